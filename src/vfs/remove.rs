//! Deleting files.
//!
//! A delete is conditional like a save. [`Vfs::remove`] carries out what the machine [`Removing`] says,
//! step by step, and decides nothing.

use std::ffi::OsStr;
use std::sync::Arc;
use tokio::time::Instant;

use super::Context;
use super::loss::{Attempt, UNLINK};
use super::place::Place;
use super::table::Kind;
use super::{Error, Vfs};
use crate::model::removing::{End, Facts, Removing, Step};
use crate::model::{FileName, Ino, Key, Outcome, Unlinked, Version};
use crate::store::{Dir, Store};

/// Why a name that was removed is free.
enum Gone {
    /// The store deleted the key; when it was asked to.
    Deleted(Instant),
    /// It was a file of this mount that was never saved.
    NeverWas,
}

/// The file that is deleted, and by whom.
struct Doomed<'a> {
    ino: Ino,
    store: &'a Arc<dyn Store>,
    key: &'a Key,
    place: &'a Place,
    by: Context,
}

impl Vfs {
    /// Deletes a file. One or two requests.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the caller was shown another version than the one that is there;
    /// [`Error::NotFound`]; any other.
    pub async fn remove(&self, parent: Ino, name: &OsStr, by: Context) -> Result<(), Error> {
        self.check_writable(&name.display().to_string())?;
        let attr = self.find(parent, name, by).await?;
        let name = FileName::new(name)?;
        if let Some(scratch) = self.scratch_of(attr.ino) {
            return self.remove_scratch(parent, &name, &scratch).await;
        }
        let (store, key) = self.file(attr.ino)?;
        let (_, dir) = self.dir(parent)?;
        // Held to the end: a save that is under way decides whether there is anything to delete, and
        // one that waits must find the file removed.
        let _save_lock = self.save_lock(attr.ino).await?;
        let doomed = Doomed {
            ino: attr.ino,
            store: &store,
            key: &key,
            place: &(store.name(), key.clone()),
            by,
        };
        let (end, sent) = self.delete(&doomed).await?;
        let gone = match end {
            End::Deleted => Gone::Deleted(sent),
            End::NeverSaved => Gone::NeverWas,
            End::Draft => {
                self.table().forget_draft(attr.ino);
                return Ok(());
            }
            End::CleanUp => {
                self.table().unlink(attr.ino);
                return Ok(());
            }
            End::Absent => return Err(Error::NotFound(store.address(&key))),
            End::Unknown => return Err(Error::Unknown(store.address(&key))),
            End::Lost { expected, found } => {
                let attempt = Attempt {
                    op: UNLINK,
                    ino: attr.ino,
                    store: &store,
                    key: &key,
                    callers: by.callers(),
                    expected: &expected,
                };
                return Err(self.conflict(&attempt, found.as_ref()));
            }
            End::KeepsChanging(found) => {
                return Err(Error::Conflict {
                    key: store.address(&key),
                    expected: "its newest version".to_owned(),
                    found: found.to_string(),
                });
            }
        };
        self.table().changed_by(attr.ino, *by.who());
        self.removed((parent, &name), attr.ino, &store, &dir, gone);
        Ok(())
    }

    /// Carries out what [`Removing`] says; how it ended, and when the last request to delete was sent.
    async fn delete(&self, doomed: &Doomed<'_>) -> Result<(End, Instant), Error> {
        let &Doomed {
            ino,
            store,
            key,
            place,
            by,
        } = doomed;
        let mut sent = Instant::now();
        let (mut removing, mut step) = Removing::begin(self.facts_of_delete(doomed)?);
        loop {
            step = match step {
                Step::Ask(rival) => {
                    removing.found(self.rival(ino, store, key, (rival, sent)).await?)
                }
                Step::Judge(current) => {
                    removing.judged(self.base_of_delete(*by.who(), place, &current))
                }
                Step::Delete(version) => {
                    sent = Instant::now();
                    removing.sent(self.delete_shown(doomed, &version).await?)
                }
                Step::DeleteDeparted(version) => {
                    sent = Instant::now();
                    removing.sent(self.delete_departed(place, &version, *by.who()).await?)
                }
                Step::Look => removing.looked(self.current(ino, store, key).await.ok()),
                Step::End(end) => return Ok((end, sent)),
            };
        }
    }

    fn facts_of_delete(&self, doomed: &Doomed<'_>) -> Result<Facts, Error> {
        let unlinked = self.unlinked(doomed.place, *doomed.by.who());
        let is_unsaved = unlinked == Unlinked::Ordinary && self.is_unsaved(doomed.ino)?;
        let table = self.table();
        Ok(Facts {
            unlinked,
            is_unsaved,
            known: table.known_version(doomed.ino),
            is_only_listed: table.is_only_listed(doomed.ino),
        })
    }

    /// Deletes a version of a key, and remembers what came of it.
    async fn delete_shown(
        &self,
        doomed: &Doomed<'_>,
        version: &Version,
    ) -> Result<Outcome<()>, Error> {
        let outcome = doomed.store.delete(doomed.key, version).await?;
        match outcome {
            Outcome::Committed(()) => {
                let who = *doomed.by.who();
                self.table().deleted_by(who, doomed.place, version);
            }
            Outcome::Unknown => self.table().forget(doomed.ino),
            Outcome::Refused(_) => {}
        }
        Ok(outcome)
    }

    /// A name was removed: forgets it, and lets its open handles go on in vain.
    fn removed(
        &self,
        (parent, name): (Ino, &FileName),
        ino: Ino,
        store: &Arc<dyn Store>,
        dir: &Dir,
        gone: Gone,
    ) {
        let mut table = self.table();
        match gone {
            Gone::Deleted(sent) => table.learn_deleted(ino, sent),
            // Somebody else may have saved a key of this name.
            Gone::NeverWas => table.forget(ino),
        }
        table.keep_dir(store, dir);
        table.removed(ino);
        debug_assert!(table.find(parent, name).is_none());
    }

    /// Whether a directory inode is one whose names can be renamed and removed.
    pub(super) fn is_store_dir(&self, ino: Ino) -> bool {
        matches!(self.kind(ino), Ok(Kind::Dir(..)))
    }
}
