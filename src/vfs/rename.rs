//! Renaming files.
//!
//! A key cannot be renamed in one step in any store. The bytes are saved under the new name, under
//! the condition that the base rule W1 gives for it, and then the old name is deleted, under the
//! condition that it still is what was moved. Neither step can lose anything: a refusal of the
//! first changes nothing, a refusal of the second leaves both names.

use std::ffi::OsStr;
use std::sync::Arc;

use super::loss::Attempt;
use super::open::{Opening, Version, entry_of};
use super::table::{Kind, Renewal};
use super::{Error, FileKind, Vfs};
use crate::model::{Base, Caller, Expect, FileName, Ino, Key, Outcome, Trigger};
use crate::store::{Child, Entry, Store, Value};

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
    store: Arc<Store>,
    key: Key,
    value: Arc<Value>,
    /// Whose memories count: first who renames, then who created the file.
    callers: Vec<Caller>,
}

/// Where it is moved to.
struct Target<'a> {
    at: (Ino, &'a FileName),
    store: Arc<Store>,
    key: Key,
    /// What the save under the new name replaced.
    replaced: Expect,
}

impl Vfs {
    /// Renames a file. Two or three requests.
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
        by: Opening,
    ) -> Result<(), Error> {
        self.check_writable(&from.1.display().to_string())?;
        if !self.is_store_dir(from.0) || !self.is_store_dir(to.0) {
            return Err(Error::CrossDevice(from.1.display().to_string()));
        }
        let source = self.find(from.0, from.1, by.thread).await?;
        if source.kind != FileKind::File {
            return Err(Error::CrossDevice(from.1.display().to_string()));
        }
        let to_name = FileName::new(to.1)?;
        let (to_store, to_dir) = self.table().dir(to.0)?;
        let to_key = match to_store.child(&to_dir, &to_name)? {
            Child::Either(key, _) | Child::Shadowed(key, _) | Child::Key(key) => key,
            Child::Dir(_) => return Err(Error::Invalid(to_name.to_string())),
        };
        let target = match self.find(to.0, to.1, by.thread).await {
            Ok(target) if target.kind == FileKind::Dir => {
                return Err(Error::IsDir(to_name.to_string()));
            }
            Ok(_) if over == OverExisting::Refuse => {
                return Err(Error::Exists(to_store.address(&to_key)));
            }
            Ok(target) => Some(target.ino),
            Err(Error::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        if target == Some(source.ino) {
            return Ok(());
        }
        let moved = self.take_up(source.ino, by).await?;
        let _turn = match target {
            Some(ino) => {
                let turn = Arc::clone(&self.table().node(ino)?.turn);
                Some(turn.lock_owned().await)
            }
            None => None,
        };
        let expect = self
            .rename_base(&moved, target, &to_store, &to_key, by)
            .await?;
        let saved = to_store
            .put(
                &to_key,
                moved.value.bytes.clone(),
                &moved.value.envelope,
                &expect,
            )
            .await;
        let version = match saved {
            Ok(Outcome::Saved(version)) => version,
            Ok(Outcome::Refused) => {
                let refused = self.rename_refused(&moved, target, &to_store, &to_key, &expect);
                return Err(refused.await);
            }
            Ok(Outcome::Unknown) => return Err(Error::Unknown(to_store.address(&to_key))),
            Err(error) => return Err(error.into()),
        };
        let left = match moved.store.delete(&moved.key, &moved.value.version).await {
            Ok(Outcome::Saved(())) => None,
            Ok(Outcome::Refused) => Some("somebody else saved it meanwhile".to_owned()),
            Ok(Outcome::Unknown) => Some("it is not known whether it was deleted".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = left {
            // Both names exist now; saying that the rename failed would be as wrong as silence.
            tracing::warn!(op = "rename", key = %moved.key, to = %to_key, why, "the old name stays");
        }
        let value = Value {
            version,
            modified: std::time::SystemTime::now(),
            ..Value::clone(&moved.value)
        };
        let target = Target {
            at: (to.0, &to_name),
            store: to_store,
            key: to_key,
            replaced: expect,
        };
        self.renamed(&moved, from.0, target, value);
        Ok(())
    }

    /// Saves what the moved file's own writers wrote, and reads it.
    async fn take_up(&self, ino: Ino, by: Opening) -> Result<Moved, Error> {
        let dirty: Vec<_> = self.table().node(ino)?.open.clone();
        for fh in dirty {
            self.save(fh, Trigger::Fsync).await?;
        }
        let (store, key) = self.table().file(ino)?;
        let value = match self.newest(ino, &store, &key, by.thread).await? {
            Version::Whole(value) => value,
            Version::Large(large) => self.read_whole(&store, &key, *large).await?,
        };
        let creator = self.table().node(ino)?.creator;
        Ok(Moved {
            callers: by.who.into_iter().chain(creator).collect(),
            ino,
            store,
            key,
            value,
        })
    }

    /// What the save under the new name must find (W1).
    async fn rename_base(
        &self,
        moved: &Moved,
        target: Option<Ino>,
        store: &Arc<Store>,
        key: &Key,
        by: Opening,
    ) -> Result<Expect, Error> {
        let current = match target {
            None => Expect::Absent,
            Some(ino) if self.table().node(ino)?.unsaved => Expect::Absent,
            Some(ino) => match self.just_asked(ino, by.thread) {
                Some(entry) => Expect::Is(entry.version),
                None => self.current(ino, store, key).await?,
            },
        };
        let place = (store.name(), key.clone());
        let base = {
            let asked = moved.callers.iter().copied();
            self.table().seen.base(asked, &place, &current)
        };
        match base {
            Base::Take(expect) => Ok(expect),
            Base::AlreadyLost { shown } => {
                Err(self.rename_lost(moved, target, store, key, &shown, &current))
            }
        }
    }

    async fn rename_refused(
        &self,
        moved: &Moved,
        target: Option<Ino>,
        store: &Arc<Store>,
        key: &Key,
        expect: &Expect,
    ) -> Error {
        let current = match store.describe(key).await {
            Ok(entry) => entry.map(|entry: Entry| entry.version).into(),
            Err(error) => return error.into(),
        };
        if let Some(target) = target {
            self.table().learn_absent(target);
        }
        self.rename_lost(moved, target, store, key, expect, &current)
    }

    /// The temporary file stays, but programs tend to delete it when its rename fails: its bytes
    /// are kept.
    fn rename_lost(
        &self,
        moved: &Moved,
        target: Option<Ino>,
        store: &Store,
        key: &Key,
        expected: &Expect,
        found: &Expect,
    ) -> Error {
        let attempt = Attempt {
            op: "rename",
            ino: target.unwrap_or(moved.ino),
            store,
            key,
            callers: &moved.callers,
            expected,
        };
        self.conflict(&attempt, Some(found), Some(&moved.value.bytes))
            .error
    }

    /// Moves the inode to its new name, with everything that is remembered of it.
    fn renamed(&self, moved: &Moved, from: Ino, target: Target<'_>, value: Value) {
        let version = value.version.clone();
        let mut table = self.table();
        table.learn_absent(moved.ino);
        if let Ok((store, dir)) = table.dir(from) {
            table.keep_dir(&store, &dir);
        }
        table
            .values
            .remove(&(moved.store.name(), moved.key.clone()));
        if let Some(replaced) = table.tree.rename(moved.ino, target.at.0, target.at.1)
            && let Some(node) = table.tree.get_mut(replaced)
        {
            // Its writers lost the race to this rename, and shall hear of it (W12).
            node.saves += 1;
            node.last_saved = Some(version.clone());
        }
        let place = (target.store.name(), target.key.clone());
        if let Some(node) = table.tree.get_mut(moved.ino) {
            node.kind = Kind::File(target.store, target.key.clone());
            node.saves += 1;
            node.last_saved = Some(version.clone());
        }
        table.learn_own(moved.ino, entry_of(target.key, &value));
        let renewal = Renewal {
            from: moved.value.version.clone(),
            to: version.clone(),
            envelope: None,
        };
        table.renew(moved.ino, renewal);
        let callers = || moved.callers.iter().copied();
        table
            .seen
            .saved(callers(), &place, &target.replaced, &version);
        let old = (moved.store.name(), moved.key.clone());
        let was = Expect::Is(moved.value.version.clone());
        table.seen.removed(callers(), &old, &was);
        drop(table);
        self.journal.saved();
    }
}
