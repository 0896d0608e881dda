//! Deleting files.
//!
//! A delete is conditional like a save: it removes what its caller was shown, else what is there
//! now, and nothing newer.

use std::ffi::OsStr;
use std::sync::Arc;
use tokio::time::Instant;

use super::loss::{Attempt, UNLINK};
use super::open::Opening;
use super::pending_renames::Deleted;
use super::table::Kind;
use super::{Error, Vfs};
use crate::model::{Base, FileName, Ino, Key, Outcome, Precondition, Unlinked, Version};
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
    pub async fn remove(&self, parent: Ino, name: &OsStr, by: Opening) -> Result<(), Error> {
        self.check_writable(&name.display().to_string())?;
        let attr = self.find(parent, name, by.thread).await?;
        let name = FileName::new(name)?;
        if let Some(scratch) = self.scratch_of(attr.ino) {
            return self.remove_scratch(parent, &name, &scratch).await;
        }
        let (store, key) = self.table().file(attr.ino)?;
        let (_, dir) = self.table().dir(parent)?;
        // Held to the end: a save that is under way decides whether there is anything to delete, and
        // one that waits must find the file removed.
        let save_lock = Arc::clone(&self.table().node(attr.ino)?.save_lock);
        let _save_lock = save_lock.lock().await;
        let place = (store.name(), key.clone());
        let gone = match self.unlinked(&place, by.who) {
            Unlinked::Ordinary if self.table().node(attr.ino)?.file.is_unsaved() => Gone::NeverWas,
            Unlinked::Ordinary => self.delete(attr.ino, &store, &key, by).await?,
            Unlinked::Delete(base) => {
                let sent = Instant::now();
                let deleted = self.delete_departed(&place, &base, by.who).await?;
                if let Deleted::Changed = deleted {
                    let current = self.current(attr.ino, &store, &key).await.ok();
                    let attempt = Attempt {
                        op: UNLINK,
                        ino: attr.ino,
                        store: &store,
                        key: &key,
                        callers: by.who.as_slice(),
                        expected: &Precondition::Is(base),
                    };
                    return Err(self.conflict(&attempt, current.as_ref(), None).error);
                }
                Gone::Deleted(sent)
            }
            Unlinked::Draft => {
                self.table().forget_draft(attr.ino);
                return Ok(());
            }
            Unlinked::CleanUp => {
                self.table().tree.unlink(attr.ino);
                return Ok(());
            }
        };
        self.table().changed_by(attr.ino, by.who);
        self.removed((parent, &name), attr.ino, &store, &dir, gone);
        Ok(())
    }

    async fn delete(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
        by: Opening,
    ) -> Result<Gone, Error> {
        let place = (store.name(), key.clone());
        let mut current = match self.known_version(ino) {
            Some(version) => Precondition::Is(version),
            None => self.current(ino, store, key).await?,
        };
        let mut is_only_listed = self.table().is_only_listed(ino);
        self.settle_doubts(&place);
        for _ in 0..LOOKS {
            let base = self.table().seen.base_of_delete(by.who, &place, &current);
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
                        callers: by.who.as_slice(),
                        expected: &shown,
                    };
                    return Err(self.conflict(&attempt, Some(&current), None).error);
                }
            };
            let sent = Instant::now();
            match store.delete(key, &version).await? {
                Outcome::Committed(()) => {
                    let replaced = Precondition::Is(version);
                    self.table().seen.removed(by.who, &place, &replaced);
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

    fn known_version(&self, ino: Ino) -> Option<Version> {
        let table = self.table();
        let known = table.tree.get(ino)?.known.as_ref()?;
        Some(known.entry.version.clone())
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
        table.leaves_behind(ino);
        table.tree.unlink(ino);
        if let Ok((_, key)) = table.file(ino) {
            let place = (store.name(), key);
            table.values.remove(&place);
            table.moved.pop(&place);
        }
        debug_assert!(table.tree.find(parent, name).is_none());
        if let Some(node) = table.tree.get_mut(ino) {
            node.file.remove();
        }
    }

    /// Whether a directory inode is one whose names can be renamed and removed.
    pub(super) fn is_store_dir(&self, ino: Ino) -> bool {
        matches!(
            self.table().node(ino).map(|node| node.kind.clone()),
            Ok(Kind::Dir(..))
        )
    }
}
