//! What a rename finds out before it sends anything: what it may replace (W1, W4), and what travels with the
//! moved bytes (W14).

use super::super::place::Place;
use super::super::{Error, Vfs};
use super::moved::{From, Rename};
use crate::model::moving::{Facts, Target};
use crate::model::{Base, Precondition, Version, backed_up};
use crate::store::Metadata;

impl Vfs {
    /// What the machine has to know of the two names.
    pub(super) fn facts_of_rename(&self, rename: &Rename<'_>) -> Result<Facts, Error> {
        let (moved, target) = (&rename.moved, &rename.target);
        let departed = self.departed(&target.place());
        let has_target = match target.taken {
            None => Target::Free,
            Some(ino) if departed.is_none() && self.is_unsaved(ino)? => Target::Unsaved,
            Some(_) => Target::Stored,
        };
        Ok(Facts {
            moved: match moved.from {
                From::Key(..) => Some(moved.value.version.clone()),
                From::ScratchDir(..) => None,
            },
            departed,
            restores_backup: self.restores_backup(rename),
            target: has_target,
        })
    }

    /// What travels with the moved file, if somebody chose it.
    pub(super) fn own_metadata(rename: &Rename<'_>) -> Option<Metadata> {
        let (store, key) = match &rename.moved.from {
            From::Key(store, key) => (store, key),
            From::ScratchDir(..) => (&rename.target.store, &rename.target.key),
        };
        let metadata = &rename.moved.value.metadata;
        (!store.is_default(key, metadata)).then(|| metadata.clone())
    }

    /// What the key of the new name is; and what travels with it, unless the moved file has metadata of its
    /// own. No request for what this system call asked already, otherwise one.
    pub(super) async fn learn_target(
        &self,
        rename: &Rename<'_>,
        metadata: &mut Option<Metadata>,
    ) -> Result<Precondition, Error> {
        let (target, by) = (&rename.target, rename.by);
        let Some(ino) = target.taken else {
            return Ok(Precondition::Absent);
        };
        if metadata.is_none() {
            let inspected = self.inspect(ino, &target.store, &target.key, by).await?;
            let (current, inherited) = inspected;
            *metadata = Some(inherited.of(&rename.moved.value.bytes));
            return Ok(current);
        }
        match self.just_asked(ino, by) {
            Some(entry) => Ok(Precondition::Is(entry.version)),
            None => self.current(ino, &target.store, &target.key).await,
        }
    }

    /// What the store says that the key of the new name is; one request.
    pub(super) async fn ask_target(&self, rename: &Rename<'_>) -> Result<Precondition, Error> {
        let target = &rename.target;
        match target.taken {
            Some(ino) => self.current(ino, &target.store, &target.key).await,
            None => Ok(Precondition::Absent),
        }
    }

    /// What travels with a version of the new name that was moved away, unless the moved file has metadata of
    /// its own.
    pub(super) async fn inherit(
        &self,
        rename: &Rename<'_>,
        version: &Version,
        metadata: &mut Option<Metadata>,
    ) -> Result<(), Error> {
        let target = &rename.target;
        if metadata.is_none() {
            let inherited = self.metadata_of(&target.store, &target.key, version);
            *metadata = Some(inherited.await?.of(&rename.moved.value.bytes));
        }
        Ok(())
    }

    /// What travels with the moved bytes if nobody chose it and nothing has the new name.
    pub(super) fn fresh_metadata(&self, rename: &Rename<'_>) -> Metadata {
        let target = &rename.target;
        let fresh = self.new_metadata(&target.store, &target.key);
        fresh.of(&rename.moved.value.bytes)
    }

    /// Whether a file that is moved over a key began as a copy of what that key is now. Then whoever
    /// moves it knows what it replaces, as if it had read it.
    pub(super) fn replaces_its_original(
        &self,
        rename: &Rename<'_>,
        place: &Place,
        current: &Precondition,
    ) -> bool {
        let moved = &rename.moved;
        self.settle_doubts(place);
        let is_intact = match moved.from {
            From::Key(..) => self.is_own(moved.ino, &moved.value.version),
            From::ScratchDir(..) => true,
        };
        let is_it = is_intact && self.is_copy_of(moved.ino, place, current);
        if is_it {
            self.note_reading_of_copy(moved.ino, rename.callers().next());
        }
        is_it
    }

    /// What the callers may replace if the key of the new name is this, once all doubts are settled; and
    /// whether only a listing says what it is.
    pub(super) fn base_of_rename(
        &self,
        rename: &Rename<'_>,
        place: &Place,
        current: &Precondition,
    ) -> (Base, bool) {
        let mut table = self.table();
        let base = table.base(rename.callers(), place, current);
        let taken = rename.target.taken;
        (base, taken.is_some_and(|ino| table.is_only_listed(ino)))
    }

    /// The version of the target that the callers were shown, if what it is now cannot be asked.
    pub(super) fn shown_before(&self, rename: &Rename<'_>) -> Precondition {
        let place = rename.target.place();
        let callers = rename.callers();
        match self.table().base(callers, &place, &Precondition::Absent) {
            Base::Take(expect) | Base::AlreadyLost { shown: expect } => expect,
        }
    }

    /// Whether a process that was refused a moment ago moves a backup over its original (`NAME~` over
    /// `NAME`, or what it copied aside): it undoes its own failed save, and must not undo the winner's.
    fn restores_backup(&self, rename: &Rename<'_>) -> bool {
        let (moved, target) = (&rename.moved, &rename.target);
        let (now, by) = (self.now(), rename.callers().next().map(|who| who.process));
        let place = target.place();
        let table = self.table();
        let from = table.name(moved.ino);
        let original = from.and_then(|(dir, name)| Some((dir, backed_up(name)?)));
        let is_backup = original.is_some_and(|(dir, name)| (dir, &name) == target.at)
            || table.is_copy_of(moved.ino, &place);
        is_backup && table.is_cleaning_up(&place, by, now)
    }
}
