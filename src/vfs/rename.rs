//! Renaming files.
//!
//! A key cannot be renamed in one step in any store. The bytes are saved under the new name, under
//! the condition that the base rule W1 gives for it, and then the old name is deleted, under the
//! condition that it still is what was moved. Neither step can lose anything: a refusal of the
//! first changes nothing, a refusal of the second leaves both names. A scratch file has no old name
//! in the store, so that moving it over a key is one save; moving a key to a scratch name is a
//! departure, see `pending_renames.rs`.

mod base;

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::time::Instant;

use super::Context;
use super::commit::{Change, Commit, Kept};
use super::loss::Attempt;
use super::open::Version as Newest;
use super::place::Folder;
use super::publish::Put;
use super::rescue::Reason;
use super::scratch::Scratch;
use super::table::Kind;
use super::{Error, FileKind, Vfs};
use crate::model::{
    Base, Caller, FileName, Ino, Key, Origin, Outcome, Precondition, Returned, SaveReason,
    Successor, Version,
};
use crate::store::{Child, Dir, Metadata, ReadBack, Store, Value};

/// What a rename does when the new name is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverExisting {
    /// Replaces it.
    Replace,
    /// Refuses (RENAME_NOREPLACE).
    Refuse,
}

/// The file that is moved.
struct Moved {
    ino: Ino,
    value: Arc<Value>,
    /// Whose memories count: first who renames, then who created the file.
    callers: Vec<Caller>,
    from: From,
}

/// Where the moved file is.
enum From {
    /// In a store.
    Key(Arc<dyn Store>, Key),
    /// In this mount alone; with [`Scratch::changes`] when its bytes were read.
    ScratchDir(Folder, FileName, Arc<Scratch>, u64),
}

/// What became of the name that a key had.
enum OldName {
    /// The store deleted it; when it was asked to.
    Deleted(Instant),
    /// It is still there, or nobody knows.
    Stays,
}

/// Where it is moved to.
struct Target<'a> {
    at: (Ino, &'a FileName),
    /// What has the name now.
    taken: Option<Ino>,
    store: Arc<dyn Store>,
    key: Key,
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
                let _moving = self.moving.lock().await;
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
                let moved = self.take_up(source.ino, by).await?;
                self.rename_key(&moved, from.0, target, by).await
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
        let (store, dir) = self.dir(from.0)?;
        let folder = (store.name(), dir);
        let place = (target.store.name(), target.key.clone());
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
        self.rename_key(&moved, from.0, target, by).await
    }

    /// Saves the bytes under the new name, and removes the old one.
    async fn rename_key(
        &self,
        moved: &Moved,
        from: Ino,
        target: Target<'_>,
        by: Context,
    ) -> Result<(), Error> {
        let _save_lock = match target.taken {
            Some(ino) => Some(self.save_lock(ino).await?),
            None => None,
        };
        let (expect, metadata) = match self.rename_base(moved, &target, by).await {
            Ok(base) => base,
            // It was told where it was found.
            Err(conflict @ Error::Conflict { .. }) => return Err(conflict),
            Err(error) => {
                let shown = self.shown_before(moved, &target);
                let failed = self.rename_failed(moved, &target, &shown, Reason::Failed, error);
                return Err(failed.await);
            }
        };
        let bytes = moved.value.bytes.clone();
        let sent = Instant::now();
        let saved = target
            .store
            .put(&target.key, bytes, &metadata, &expect)
            .await;
        let version = match saved {
            Ok(Outcome::Committed(version)) => version,
            failed => {
                self.departure_failed(moved, &target);
                return Err(match failed {
                    Ok(Outcome::Refused(rival)) => {
                        let rival = rival.map(|rival| (rival, sent));
                        self.rename_refused(moved, &target, &expect, rival).await
                    }
                    Ok(_) => {
                        self.table().forget_name(target.at.0, target.at.1);
                        let error = Error::Unknown(target.store.address(&target.key));
                        self.rename_failed(moved, &target, &expect, Reason::Unknown, error)
                            .await
                    }
                    Err(error) => {
                        self.rename_failed(moved, &target, &expect, Reason::Failed, error.into())
                            .await
                    }
                });
            }
        };
        let left = self.delete_old_name(moved, &target.key).await;
        let bytes = moved.value.bytes.clone();
        let (bytes, metadata) = match target.store.read_back(&target.key, &version) {
            ReadBack::Same => (bytes, metadata),
            ReadBack::Other(bytes, metadata) => (bytes, *metadata),
            ReadBack::Unknown => (bytes, Metadata::default()),
        };
        let place = (target.store.name(), target.key.clone());
        let value = Value {
            modified: self.saved_now(&place, &version),
            version,
            metadata,
            bytes,
        };
        self.renamed(moved, from, &target, &expect, value, left)
            .await;
        Ok(())
    }

    /// Deletes the old name of a key whose bytes have the new one; what became of it.
    async fn delete_old_name(&self, moved: &Moved, to: &Key) -> OldName {
        let From::Key(store, key) = &moved.from else {
            return OldName::Stays;
        };
        let sent = Instant::now();
        let why = match store.delete(key, &moved.value.version).await {
            Ok(Outcome::Committed(())) => return OldName::Deleted(sent),
            Ok(Outcome::Refused(_)) => "somebody else saved it meanwhile".to_owned(),
            Ok(Outcome::Unknown) => "it is not known whether it was deleted".to_owned(),
            Err(error) => error.to_string(),
        };
        // Both names exist now; saying that the rename failed would be as wrong as silence.
        tracing::warn!(op = "rename", store = %store.name(), %key, %to, why, "the old name stays");
        OldName::Stays
    }

    /// The file that was to take the place of a key that was moved away did not.
    fn departure_failed(&self, moved: &Moved, target: &Target<'_>) {
        let place = (target.store.name(), target.key.clone());
        let (now, by) = (self.now(), moved.callers.first().map(|who| who.process));
        self.table().is_not_recreated(&place, by, now);
    }

    /// Saves what the caller wrote to the moved file, and reads it. What others are writing goes on under
    /// the new name, and is saved when they close it: half a value is never sent (W3), unless the file is new
    /// and there is nothing else to move. Moving a key away is a delete: who was shown another version of it
    /// moves nothing (`sed -i.bak`, when somebody saved meanwhile).
    async fn take_up(&self, ino: Ino, by: Context) -> Result<Moved, Error> {
        let (open, unsaved) = {
            let table = self.table();
            let node = table.node(ino)?;
            (node.open_handles(), node.is_unsaved())
        };
        for fh in open {
            let trigger = match unsaved {
                true => SaveReason::Fsync,
                false if self.is_others(fh, by) => continue,
                // Emptiness is no value either.
                false => SaveReason::Write,
            };
            match self.save(fh, trigger).await {
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

    /// Moves the inode to its new name, with everything that is remembered of it.
    async fn renamed(
        &self,
        moved: &Moved,
        from: Ino,
        target: &Target<'_>,
        replaced: &Precondition,
        value: Value,
        old_name: OldName,
    ) {
        let (ino, value) = (moved.ino, Arc::new(value));
        let mut commit = Commit {
            ino,
            place: (target.store.name(), target.key.clone()),
            replaced: replaced.clone(),
            entry: value.entry(target.key.clone()),
            kept: Kept::Whole(Arc::clone(&value)),
            by: moved.callers.clone(),
            change: Change::Value(None),
        };
        self.takes_name(moved, from, target, &commit, old_name);
        match &moved.from {
            From::Key(store, key) => {
                let was = moved.value.version.clone();
                commit.change = Change::Value(Some(Successor {
                    from: Precondition::Is(was.clone()),
                    to: value.version.clone(),
                    metadata: Some(value.metadata.clone()),
                }));
                let kind = Kind::File(Arc::clone(&target.store), target.key.clone());
                self.table().becomes(ino, kind);
                self.committed(commit);
                let old = (store.name(), key.clone());
                let callers = moved.callers.iter().copied();
                self.table().deleted_by(callers, &old, &was);
                self.moved_away(old, moved.value.metadata.clone());
            }
            From::ScratchDir(folder, name, scratch, changes) => {
                self.table().advance(&commit);
                self.journal.saved();
                let put = Put {
                    scratch,
                    at: (folder, name),
                    store: &target.store,
                    key: &target.key,
                    value: Value::clone(&value),
                    changes: *changes,
                };
                if let Err(error) = self.publish(put).await {
                    tracing::warn!(op = "rename", store = %folder.0, key = %target.key, %error, "what was written while it was moved is scratch");
                }
                let gone = self.table().alias_removed(scratch);
                // It was the value of yet another key, which moved here in two steps.
                let Some((old, base)) = gone else { return };
                self.moved_away(old.clone(), moved.value.metadata.clone());
                if let Err(error) = self.delete_departed(&old, &base, scratch.creator()).await {
                    tracing::warn!(op = "rename", store = %old.0, key = %old.1, %error, "the old name stays");
                }
            }
        }
    }

    /// The moved file has its new name, and what had it is replaced.
    fn takes_name(
        &self,
        moved: &Moved,
        from: Ino,
        target: &Target<'_>,
        commit: &Commit,
        old_name: OldName,
    ) {
        let mut table = self.table();
        let mover = moved.callers.first().copied();
        if let From::Key(store, key) = &moved.from {
            match old_name {
                OldName::Deleted(sent) => table.learn_moved(moved.ino, sent, mover),
                OldName::Stays => table.forget(moved.ino),
            }
            if let Ok((store, dir)) = table.dir(from) {
                table.keep_dir(&store, &dir);
            }
            table.forget_value(&(store.name(), key.clone()));
        }
        let kind = Kind::File(Arc::clone(&target.store), target.key.clone());
        let replaced = table.rename(moved.ino, target.at, &kind, mover);
        if let Some(replaced) = replaced {
            // Its writers lost the race to this rename, and shall hear of it (W12).
            table.is_moved_over(replaced, commit);
        }
        if let Some(taken) = target.taken {
            table.changed_by(taken, mover);
        }
    }
}
