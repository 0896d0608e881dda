//! Deleting files.
//!
//! A delete is conditional like a save: it removes what its caller was shown, else what is there
//! now, and nothing newer.

use std::ffi::OsStr;
use std::sync::Arc;
use tokio::time::Instant;

use super::Context;
use super::loss::{Attempt, UNLINK};
use super::pending_renames::Deleted;
use super::table::Kind;
use super::{Error, Vfs};
use crate::model::{Base, FileName, Ino, Key, Outcome, Precondition, Unlinked};
use crate::store::{Dir, Store};

/// Why a name that was removed is free.
enum Gone {
    /// The store deleted the key; when it was asked to.
    Deleted(Instant),
    /// It was a file of this mount that was never saved.
    NeverWas,
}

/// How often a caller that was shown nothing looks again when the key changes under its delete.
const LOOKS: usize = 5;

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
        let place = (store.name(), key.clone());
        let gone = match self.unlinked(&place, *by.who()) {
            Unlinked::Ordinary if self.is_unsaved(attr.ino)? => Gone::NeverWas,
            Unlinked::Ordinary => self.delete(attr.ino, &store, &key, by).await?,
            Unlinked::Delete(base) => {
                let sent = Instant::now();
                let deleted = self.delete_departed(&place, &base, *by.who()).await?;
                if let Deleted::Changed = deleted {
                    let current = self.current(attr.ino, &store, &key).await.ok();
                    let attempt = Attempt {
                        op: UNLINK,
                        ino: attr.ino,
                        store: &store,
                        key: &key,
                        callers: by.callers(),
                        expected: &Precondition::Is(base),
                    };
                    return Err(self.conflict(&attempt, current.as_ref()));
                }
                Gone::Deleted(sent)
            }
            Unlinked::Draft => {
                self.table().forget_draft(attr.ino);
                return Ok(());
            }
            Unlinked::CleanUp => {
                self.table().unlink(attr.ino);
                return Ok(());
            }
        };
        self.table().changed_by(attr.ino, *by.who());
        self.removed((parent, &name), attr.ino, &store, &dir, gone);
        Ok(())
    }

    async fn delete(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
        by: Context,
    ) -> Result<Gone, Error> {
        let place = (store.name(), key.clone());
        let known = self.table().known_version(ino);
        let mut current = match known {
            Some(version) => Precondition::Is(version),
            None => self.current(ino, store, key).await?,
        };
        let mut is_only_listed = self.table().is_only_listed(ino);
        for _ in 0..LOOKS {
            let base = self.base_of_delete(*by.who(), &place, &current);
            let version = match base {
                Base::Take(Precondition::Is(version)) => version,
                Base::Take(Precondition::Absent) => {
                    return Err(Error::NotFound(store.address(key)));
                }
                Base::AlreadyLost { .. } if is_only_listed => {
                    is_only_listed = false;
                    current = self.current(ino, store, key).await?;
                    continue;
                }
                Base::AlreadyLost { shown } => {
                    let attempt = Attempt {
                        op: UNLINK,
                        ino,
                        store,
                        key,
                        callers: by.callers(),
                        expected: &shown,
                    };
                    return Err(self.conflict(&attempt, Some(&current)));
                }
            };
            let sent = Instant::now();
            match store.delete(key, &version).await? {
                Outcome::Committed(()) => {
                    self.table().deleted_by(*by.who(), &place, &version);
                    return Ok(Gone::Deleted(sent));
                }
                Outcome::Unknown => {
                    self.table().forget(ino);
                    return Err(Error::Unknown(store.address(key)));
                }
                // The answer to the last look was older than it seemed; look now.
                Outcome::Refused(rival) => {
                    current = self.rival(ino, store, key, (rival, sent)).await?;
                }
            }
        }
        Err(Error::Conflict {
            key: store.address(key),
            expected: "its newest version".to_owned(),
            found: current.to_string(),
        })
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
