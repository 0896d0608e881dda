//! Names that are moved away, created anew, or brought back (W8).
//!
//! What each step means is decided by `model/pending_renames.rs`; here it is carried out: in the directory, and in
//! the store once a departure turns out to be meant. Every order of writes leaves the old or the
//! new value in the store if the daemon ends in between. Renames as such are in `rename.rs`.

use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::handles::Handle;
use super::loss::Attempt;
use super::open::Version as Opened;
use super::place::{Folder, Place, key_of};
use super::publish::Put;
use super::scratch::{Scratch, ScratchId};
use super::table::Kind;
use super::writer::{Writer, WriterState};
use super::{Error, Source, Vfs, Who};
use crate::model::{
    Base, Caller, Due, FileName, Ino, Key, Outcome, Precondition, Process, Unlinked, Version,
};
use crate::store::{Dir, Store, StoreName, Value};

/// Which names that are moved away are to be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departures {
    /// Those whose time is over.
    Due,
    /// Those from this directory, and from below it.
    From(Ino),
    /// All of them.
    All,
}

/// What became of a key that was moved away.
pub(super) enum Deleted {
    /// It is deleted.
    Gone,
    /// It is not what was moved any more, and stays.
    Changed,
}

impl Vfs {
    /// Since when this filesystem is there: the clock of the departures.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Whether a name shows nothing, though the store has its key.
    pub(super) fn is_away(&self, store: &Arc<dyn Store>, dir: &Dir, name: &FileName) -> bool {
        let key = key_of(store, dir, name);
        key.is_some_and(|key| self.table().is_away(&(store.name(), key)))
    }

    /// The version of a key that was moved away, if its name is not settled yet.
    pub(super) fn departed(&self, place: &Place) -> Option<Version> {
        self.table().departed(place)
    }

    /// A key that was moved away is settled, or stays where it is.
    fn dissolve(&self, place: &Place) {
        self.table().pending().dissolve(place);
    }

    /// What the first save of a name that is not in the store, or is moved away, must find.
    pub(super) fn unsaved_base(&self, place: &Place) -> Precondition {
        self.departed(place).into()
    }

    /// What a new value of a name replaces from which `moved` was moved away: just that, unless whoever makes
    /// it was shown another version (W1).
    pub(super) fn departed_base(
        &self,
        callers: impl IntoIterator<Item = Caller>,
        place: &Place,
        moved: &Version,
    ) -> Base {
        let moved = Precondition::Is(moved.clone());
        match self.base(callers, place, &moved) {
            lost @ Base::AlreadyLost {
                shown: Precondition::Is(_),
            } => lost,
            _ => Base::Take(moved),
        }
    }

    /// Whether a file can be moved away without telling the store: it is a key, and nobody writes
    /// it, since what a writer saves belongs under the new name.
    pub(super) fn can_depart(&self, ino: Ino) -> bool {
        let table = self.table();
        let is_key = table
            .get(ino)
            .is_some_and(|node| node.is_key() && !node.is_unsaved());
        let handles = table.handles_of(ino);
        is_key
            && !handles
                .iter()
                .any(|handle| matches!(**handle, Handle::Writer(_)))
    }

    /// Moves a key to a scratch name. At most one request, for the bytes.
    ///
    /// # Errors
    /// Any [`Error`]; then nothing has changed.
    pub(super) async fn depart(
        &self,
        ino: Ino,
        to: (Ino, &FileName),
        by: Context,
    ) -> Result<(), Error> {
        let (store, key) = self.file(ino)?;
        let (to_store, to_dir) = self.dir(to.0)?;
        let folder = (to_store.name(), to_dir.clone());
        let _moving = self.moving.lock().await;
        let newest = self.newest(ino, &store, &key, by).await?;
        self.check_not_absent(ino, &store, &key, &newest, by)?;
        let alias = self
            .scratch_dir()
            .make_aside(*by.who())
            .map_err(Error::of_disk)?;
        let filled = self.fill(&alias, &store, &key, newest).await;
        let ready = match (filled, self.scratch_at(&to_store, &to_dir, to.1)) {
            (Ok(version), Some(old)) => self.give_up(&old).await.map(|()| version),
            (filled, _) => filled,
        };
        let current = match ready {
            Ok(version) => version,
            Err(error) => {
                // It holds a part of the value; the key, and what has the name, are where they were.
                self.scratch_dir().discard(&alias);
                return Err(error);
            }
        };
        self.scratch_dir()
            .put(&folder, to.1, Arc::clone(&alias))
            .map_err(Error::of_disk)?;
        alias.note_absence();
        let place = (store.name(), key);
        self.settle_doubts(&place);
        let now = self.now();
        let mut table = self.table();
        let shown = by.who().and_then(|who| table.shown_to(&who, &place));
        let base = match shown {
            Some(Precondition::Is(version)) if version != current => version,
            _ => current,
        };
        table.pending().depart(place, base, alias.id(), now);
        table.changed_by(ino, *by.who());
        // The kernel may believe a name, and moves that: it finds the key's inode by the new one then.
        table.may_be_mistaken(ino, to, &Kind::Scratch(alias));
        drop(table);
        self.forget_in_kernel(ino);
        Ok(())
    }

    /// Whoever was shown that a key is absent, and moves it away, is about to create what somebody else has
    /// created meanwhile (emacs and its backup).
    fn check_not_absent(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
        newest: &Opened,
        by: Context,
    ) -> Result<(), Error> {
        let place = (store.name(), key.clone());
        self.settle_doubts(&place);
        let knows_absence = |who: &Caller| self.table().knows_absence(who, &place);
        if !by.who().as_ref().is_some_and(knows_absence) {
            return Ok(());
        }
        let current = match newest {
            Opened::Whole(value) => value.version.clone(),
            Opened::Large(large) => large.0.version.clone(),
        };
        let attempt = Attempt {
            op: "rename",
            ino,
            store,
            key,
            callers: by.callers(),
            expected: &Precondition::Absent,
        };
        Err(self.conflict(&attempt, Some(&Precondition::Is(current))))
    }

    /// Fills a scratch file with a version of a key; which one that is.
    async fn fill(
        &self,
        alias: &Scratch,
        store: &Arc<dyn Store>,
        key: &Key,
        newest: Opened,
    ) -> Result<Version, Error> {
        let (version, metadata) = match newest {
            Opened::Whole(value) => {
                let written = alias.write(Some(0), &value.bytes);
                written.map_err(Error::of_disk)?;
                (value.version.clone(), value.metadata.clone())
            }
            Opened::Large(large) => {
                let (entry, metadata) = *large;
                self.each_block(store, key, &entry, |at, block| {
                    let written = alias.write(Some(at), block);
                    written.map(drop).map_err(Error::of_disk)
                })
                .await?;
                (entry.version, metadata)
            }
        };
        alias.holds_value(metadata);
        Ok(version)
    }

    /// Deletes a scratch file, and the key that was moved there if that was not created anew.
    ///
    /// # Errors
    /// Any [`Error`]; then nothing has changed.
    pub(super) async fn remove_scratch(
        &self,
        parent: Ino,
        name: &FileName,
        scratch: &Scratch,
    ) -> Result<(), Error> {
        let (store, dir) = self.dir(parent)?;
        let _moving = self.moving.lock().await;
        self.drop_scratch(&(store.name(), dir), name, scratch)
            .await?;
        self.table().unlink_name(parent, name);
        Ok(())
    }

    /// As [`remove_scratch`](Self::remove_scratch), for callers that hold `moving`.
    pub(super) async fn drop_scratch(
        &self,
        folder: &Folder,
        name: &FileName,
        scratch: &Scratch,
    ) -> Result<(), Error> {
        self.give_up(scratch).await?;
        self.scratch_dir()
            .remove(folder, name)
            .map_err(Error::of_disk)?;
        Ok(())
    }

    /// A scratch file is about to go: so does the key that was moved there, if that was not created anew.
    /// For callers that hold `moving`.
    ///
    /// # Errors
    /// Any [`Error`]; then nothing has changed.
    pub(super) async fn give_up(&self, scratch: &Scratch) -> Result<(), Error> {
        let gone = self.table().alias_removed(scratch);
        if let Some((place, base)) = gone {
            let result = self.delete_departed(&place, &base, scratch.creator()).await;
            if let Err(error) = result {
                let now = self.now();
                self.table()
                    .pending()
                    .depart(place, base, scratch.id(), now);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Deletes a key that was moved away, if it still is what was moved.
    pub(super) async fn delete_departed(
        &self,
        place: &Place,
        base: &Version,
        who: Who,
    ) -> Result<Deleted, Error> {
        let store = self.store(place.0)?;
        match store.delete(&place.1, base).await? {
            Outcome::Committed(()) => {
                self.table().departed_is_deleted(who, place, base);
                Ok(Deleted::Gone)
            }
            Outcome::Refused(_) => {
                let (store, key) = place;
                tracing::warn!(%store, %key, "it was moved away here and saved elsewhere: it stays");
                Ok(Deleted::Changed)
            }
            Outcome::Unknown => {
                self.table().forget_listings(place.0);
                Err(Error::Unknown(store.address(&place.1)))
            }
        }
    }

    /// Whether departures wait whose time is over, and nobody is at it: whoever asked for them to be
    /// settled again and again would have a queue of that when the store does not answer.
    pub fn has_departures_due(&self) -> bool {
        let now = self.now();
        let is_due = {
            let mut table = self.table();
            table.pending().forget_failed_recreates(now);
            !table.due(Some(now)).is_empty()
        };
        is_due && self.moving.try_lock().is_ok()
    }

    /// Carries out in the store what was meant.
    ///
    /// # Errors
    /// Any [`Error`] of one of them: it is tried again after a while, and nothing is lost.
    pub async fn settle_departures(&self, which: Departures) -> Result<(), Error> {
        let _moving = self.moving.lock().await;
        let due = {
            let table = self.table();
            match which {
                Departures::Due => table.due(Some(self.now())),
                Departures::All => table.due(None),
                Departures::From(ino) => {
                    let mut due = table.due(None);
                    // Above the stores, everything is below.
                    if let Ok((store, dir)) = table.dir(ino) {
                        due.retain(|due| {
                            let (of, key) = &due.key;
                            *of == store.name() && key.as_str().starts_with(dir.prefix())
                        });
                    }
                    due
                }
            }
        };
        let mut result = Ok(());
        for due in due {
            let now = self.now();
            self.table().pending().postpone(&due.key, now);
            if let Err(error) = self.settle_departure(&due).await {
                let (store, key) = &due.key;
                tracing::warn!(op = "rename", %store, %key, %error, "moved away here, not yet in the store");
                result = Err(error);
            }
        }
        result
    }

    /// Puts the bytes under the new name, and then deletes the key: in this order, so that one of
    /// them is there at any time.
    async fn settle_departure(&self, due: &Due<Place, ScratchId>) -> Result<(), Error> {
        let found = self.scratch_dir().find(due.alias);
        let Some(((store_name, dir), name, scratch)) = found else {
            self.dissolve(&due.key);
            return Ok(());
        };
        let store = self.store(store_name)?;
        let Some(key) = key_of(&store, &dir, &name) else {
            self.dissolve(&due.key);
            return Ok(());
        };
        let changes = scratch.changes();
        let bytes = scratch.read_all(store.value_limit())?;
        let metadata = store.with_tags(scratch.metadata_of(&bytes)).await?;
        let saved = match store
            .put(&key, bytes.clone(), &metadata, &Precondition::Absent)
            .await
        {
            Err(crate::store::Error::ReadOnly(why)) => {
                // It will never be possible: a log of konserve stays where it is.
                tracing::warn!(op = "rename", store = %due.key.0, key = %due.key.1, to = %key, why, "the key stays, and the moved bytes are scratch");
                let mut table = self.table();
                table.pending().dissolve(&due.key);
                table.forget_listings(store_name);
                return Ok(());
            }
            saved => saved?,
        };
        let version = match saved {
            Outcome::Committed(version) => version,
            Outcome::Refused(_) => {
                tracing::warn!(op = "rename", store = %due.key.0, key = %due.key.1, to = %key, "somebody else made the new name: both keys stay, and the moved bytes are scratch");
                self.dissolve(&due.key);
                return Ok(());
            }
            Outcome::Unknown => {
                self.table().forget_listings(store_name);
                return Err(Error::Unknown(store.address(&key)));
            }
        };
        let deleted = self
            .delete_departed(&due.key, &due.base, scratch.creator())
            .await;
        if let Ok(Deleted::Changed) = deleted {
            // What was moved is not what is there now. The move is taken back; if that fails, there
            // is a copy too many.
            let mover = scratch.creator().map(|who| who.process);
            let now = self.now();
            self.table().pending().refused(&due.key, mover, now);
            drop(store.delete(&key, &version).await);
            return Ok(());
        }
        self.dissolve(&due.key);
        self.moved_away(due.key.clone(), metadata.clone());
        let value = Value {
            bytes,
            modified: self.saved_now(&(store_name, key.clone()), &version),
            version,
            metadata,
        };
        self.journal.saved();
        let put = Put {
            scratch: &scratch,
            at: (&(store_name, dir), &name),
            store: &store,
            key: &key,
            value,
            changes,
        };
        self.publish(put).await?;
        deleted.map(drop)
    }

    /// A save of a key did not happen. If the key had been moved away, its name shows the store's
    /// value again, and its editor may clean up.
    pub(super) fn not_recreated(&self, writer: &Writer, place: &Place) {
        let (now, by) = (self.now(), writer.who().map(|who| who.process));
        let ino = writer.ino();
        self.table().draft_is_not_recreated(ino, place, by, now);
    }

    /// Whether a save would put a backup over a winner: after a refusal, an editor that copies its backup over
    /// the file undoes its own failed save, and must not undo the winner's.
    pub(super) fn restores_a_backup(
        &self,
        writer: &Writer,
        state: &WriterState,
        place: &Place,
    ) -> bool {
        let Some(process) = writer.who().map(|who| who.process) else {
            return false;
        };
        let Some(folder) = self.cleaned_up_by(process, writer.ino(), place) else {
            return false;
        };
        let size = state.content.len();
        if state.content.is_large() {
            // No editor's backup is: it would be read whole to be compared.
            return false;
        }
        let Ok(bytes) = state.content.read(0, size) else {
            return false;
        };
        let dir = self.scratch_dir();
        let mut own = dir.in_folder(&folder).filter(|(_, scratch)| {
            scratch
                .creator()
                .is_some_and(|maker| maker.process == process)
        });
        own.any(|(_, scratch)| {
            scratch.shape().is_ok_and(|(len, _)| len == size as u64)
                && scratch
                    .read_all(size as u64)
                    .is_ok_and(|backup| backup == bytes)
        })
    }

    /// The folder of a file, if a process was refused it a moment ago and cleans up after itself.
    fn cleaned_up_by(&self, process: Process, ino: Ino, place: &Place) -> Option<Folder> {
        let now = self.now();
        let table = self.table();
        if !table.is_cleaning_up(place, Some(process), now) {
            return None;
        }
        let (parent, _) = table.name(ino)?;
        let (store, dir) = table.dir(parent).ok()?;
        Some((store.name(), dir))
    }

    /// What deleting a file means, see [`Unlinked`].
    pub(super) fn unlinked(&self, place: &Place, who: Who) -> Unlinked {
        let now = self.now();
        let process = who.map(|who| who.process);
        self.table().pending().unlink(place, process, now)
    }

    /// The store of a name.
    fn store(&self, name: StoreName) -> Result<Arc<dyn Store>, Error> {
        match (&self.source, name) {
            (Source::Store(store), _) => Ok(Arc::clone(store)),
            (Source::Bucket(catalog), StoreName::Id(id)) => Ok(catalog.store(id)),
            (Source::Bucket(_), StoreName::Flat) => Err(Error::BadHandle),
        }
    }
}
