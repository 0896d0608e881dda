//! Renaming files.
//!
//! This file finds out which kind of rename is asked for. To move a key over another one, or to a new name, takes two
//! writes: `crates/model/src/moving.rs` decides their order and their conditions, and `rename/moving.rs` carries them
//! out. A scratch file has no old name in the store, so that moving it over a key is one write. To move a key to a
//! scratch name is a departure, see `pending_renames.rs`.

mod base;
mod done;
mod lost;
mod moved;
mod moving;

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::SystemTime;

use super::Context;
use super::handles::Fh;
use super::loss::Attempt;
use super::open::Version as Newest;
use super::scratch::Scratch;
use super::{Error, FileKind, Vfs};
use crate::model::{Base, FileName, Ino, Origin, Precondition, Returned, SaveReason, Version};
use crate::store::{Child, Dir, Store, Value};
use moved::{From, Moved, Rename, Target};

/// What a rename does when the new name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverExisting {
    /// Replaces it.
    Replace,
    /// Refuses (RENAME_NOREPLACE).
    Refuse,
}

impl Vfs {
    /// Renames a file: two or three requests. None or one, if one of the names is scratch.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the caller, or the creator of the file, was shown another version
    /// of the new name than the one that is there; [`Error::CrossDevice`] for directories; any
    /// other.
    pub async fn rename(
        &self,
        from: (Ino, &OsStr),
        to: (Ino, &OsStr),
        over: OverExisting,
        by: Context,
    ) -> Result<(), Error> {
        self.goes_on_to_make(to.0, to.1, by);
        self.check_writable(&from.1.display().to_string())?;
        if !self.is_store_dir(from.0) || !self.is_store_dir(to.0) {
            return Err(Error::CrossDevice(from.1.display().to_string()));
        }
        let source = self.find(from.0, from.1, by).await?;
        if source.kind == FileKind::Dir {
            return Err(Error::CrossDevice(from.1.display().to_string()));
        }
        let to_name = FileName::new(to.1)?;
        let (store, dir) = self.dir(to.0)?;
        let key = match store.child(&dir, &to_name)? {
            Child::Either(key, _) | Child::Shadowed(key, _) | Child::Key(key) => key,
            Child::Dir(_) => return Err(Error::Invalid(to_name.to_string())),
        };
        let taken = match self.find(to.0, to.1, by).await {
            Ok(target) if target.kind == FileKind::Dir => {
                return Err(Error::IsDir(to_name.to_string()));
            }
            Ok(_) if over == OverExisting::Refuse => {
                return Err(Error::Exists(store.address(&key)));
            }
            Ok(target) => Some(target.ino),
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        let moved = self.file(source.ino).ok();
        // As rename(2) has it of two links to one file.
        let is_same = moved.is_some_and(|(of, was)| of.name() == store.name() && was == key);
        if taken == Some(source.ino) || (taken.is_some() && is_same) {
            return Ok(());
        }
        let to_scratch = match taken {
            Some(ino) => self.scratch_of(ino).is_some(),
            None => self.is_scratch_name(&to_name, Origin::Other),
        };
        let target = Target {
            at: (to.0, &to_name),
            taken,
            store,
            key,
        };
        match self.scratch_of(source.ino) {
            Some(scratch) => {
                let from = (from.0, &FileName::new(from.1)?);
                match to_scratch {
                    true => {
                        self.rename_scratch(source.ino, from, &scratch, target.at)
                            .await
                    }
                    false => {
                        self.rename_to_key(source.ino, from, scratch, target, by)
                            .await
                    }
                }
            }
            None if to_scratch && self.can_depart(source.ino) => {
                self.depart(source.ino, target.at, by).await
            }
            None => {
                let rename = Rename {
                    moved: self.take_up(source.ino, by).await?,
                    parent: from.0,
                    target,
                    by,
                };
                self.rename_key(&rename, ()).await
            }
        }
    }

    /// Gives a scratch file another scratch name. If it takes the place of one that a key was moved
    /// to, it is what became of that key.
    async fn rename_scratch(
        &self,
        ino: Ino,
        from: (Ino, &FileName),
        scratch: &Scratch,
        to: (Ino, &FileName),
    ) -> Result<(), Error> {
        let _moving = self.moving.lock().await;
        let (from_folder, to_folder) = {
            let table = self.table();
            let folder = |(store, dir): (Arc<dyn Store>, Dir)| (store.name(), dir);
            (folder(table.dir(from.0)?), folder(table.dir(to.0)?))
        };
        let old = self.scratch_dir().get(&to_folder, to.1);
        if let Some(old) = &old {
            let is_alias = self.table().pending().is_alias(scratch.id());
            if is_alias {
                self.give_up(old).await?;
            } else {
                self.table()
                    .pending()
                    .alias_replaced(old.id(), scratch.id());
            }
        }
        let renamed = self
            .scratch_dir()
            .rename((&from_folder, from.1), (&to_folder, to.1));
        if let Err(error) = renamed {
            if let Some(old) = &old {
                self.table()
                    .pending()
                    .alias_replaced(scratch.id(), old.id());
            }
            return Err(Error::of_disk(error));
        }
        let mut table = self.table();
        let kind = table.node(ino)?.kind().clone();
        table.rename(ino, to, &kind, None);
        Ok(())
    }

    /// Moves a scratch file over a key, or makes one of it: how most tools save.
    async fn rename_to_key(
        &self,
        ino: Ino,
        from: (Ino, &FileName),
        scratch: Arc<Scratch>,
        target: Target<'_>,
        by: Context,
    ) -> Result<(), Error> {
        let moving = self.moving.lock().await;
        let (store, dir) = self.dir(from.0)?;
        let folder = (store.name(), dir);
        let place = target.place();
        if scratch.is_pristine() {
            let (now, process) = (self.now(), by.process());
            let returned = {
                let mut table = self.table();
                table
                    .pending()
                    .move_back(scratch.id(), &place, process, now)
            };
            if returned != Returned::Ordinary {
                self.scratch_dir()
                    .remove(&folder, from.1)
                    .map_err(Error::of_disk)?;
                let mut table = self.table();
                table.unlink(ino);
                if let (Returned::Back, Some(draft)) = (returned, target.taken) {
                    table.forget_draft(draft);
                }
                table.forget_listings(target.store.name());
                return Ok(());
            }
        }
        if scratch.link().is_some() {
            let name = target.at.1;
            return Err(Error::NotPermitted(format!(
                "{name}: there are no symbolic links in a store"
            )));
        }
        let changes = scratch.changes();
        let bytes = scratch.read_all(target.store.value_limit())?;
        let metadata = scratch.metadata_of(&bytes);
        let value = Value {
            metadata: target.store.with_tags(metadata).await?,
            bytes,
            version: Version::new(String::new()),
            modified: SystemTime::now(),
        };
        let moved = Moved {
            ino,
            value: Arc::new(value),
            callers: by.who().iter().copied().chain(scratch.maker()).collect(),
            from: From::ScratchDir(folder, from.1.clone(), scratch, changes),
        };
        let rename = Rename {
            moved,
            parent: from.0,
            target,
            by,
        };
        self.rename_key(&rename, moving).await
    }

    /// Saves what the caller wrote to the moved file, and reads it. What others are writing goes on under
    /// the new name, and is saved when they close it: half a value is never sent (W3), unless the file is new
    /// and there is nothing else to move. Moving a key away is a delete: a caller that was shown another version
    /// moves nothing (`sed -i.bak`, when somebody saved meanwhile).
    async fn take_up(&self, ino: Ino, by: Context) -> Result<Moved, Error> {
        let (open, unsaved) = {
            let table = self.table();
            let node = table.node(ino)?;
            (node.open_handles(), node.is_unsaved())
        };
        for fh in open {
            let reason = match unsaved {
                true => SaveReason::Fsync,
                false if self.is_others(fh, by) => continue,
                // Emptiness is no value either.
                false => SaveReason::Write,
            };
            match self.save(fh, reason).await {
                // It was closed meanwhile, which saved it.
                Err(Error::BadHandle) if self.handle(fh).is_err() => {}
                saved => saved?,
            }
        }
        let (store, key) = self.file(ino)?;
        let value = match self.newest(ino, &store, &key, by).await? {
            Newest::Whole(value) => value,
            Newest::Large(large) => self.read_whole(&store, &key, *large).await?,
        };
        let value = Arc::new(Value {
            metadata: store.with_tags(value.metadata.clone()).await?,
            ..Value::clone(&value)
        });
        let place = (store.name(), key.clone());
        let current = Precondition::Is(value.version.clone());
        let base = self.base_of_delete(*by.who(), &place, &current);
        if let Base::AlreadyLost { shown } = base {
            let attempt = Attempt {
                op: "rename",
                ino,
                store: &store,
                key: &key,
                callers: by.callers(),
                expected: &shown,
            };
            return Err(self.conflict(&attempt, Some(&current)));
        }
        let creator = self.table().maker(ino);
        Ok(Moved {
            ino,
            value,
            callers: by.who().iter().copied().chain(creator).collect(),
            from: From::Key(store, key),
        })
    }

    /// Whether another process than the caller opened this handle.
    fn is_others(&self, fh: Fh, by: Context) -> bool {
        let handle = self.handle(fh).ok();
        let opener = handle.and_then(|handle| handle.who());
        let pair = opener.zip(*by.who());
        pair.is_some_and(|(opener, by)| opener.process != by.process)
    }
}
