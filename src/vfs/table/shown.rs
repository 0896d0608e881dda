//! Which process was shown what (W1), for the operations; the rules are in `crates/model/src/seen.rs`.

use super::super::access::At;
use super::super::place::Place;
use super::super::{Error, Who};
use super::Table;
use crate::model::{Base, Caller, Ino, Precondition, Version};

impl Table {
    /// What a save that starts from nothing replaces, when the key is `current` now (W1).
    pub(in crate::vfs) fn base(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        place: &Place,
        current: &Precondition,
    ) -> Base {
        self.seen.base(callers, place, current)
    }

    /// A writer begins a file again: it is no longer a copy, and its content is this writer's.
    pub(in crate::vfs) fn is_begun_anew(&mut self, ino: Ino, by: Who) -> Result<(), Error> {
        self.copies.forget(ino);
        self.set_maker(ino, by)
    }

    /// A file was written. A copy stays a copy if bytes are appended.
    pub(in crate::vfs) fn written(&mut self, ino: Ino, at: At) {
        self.copies.written(ino, at);
    }

    /// A file has other content now than it began with.
    pub(in crate::vfs) fn forget_copy(&mut self, ino: Ino) {
        self.copies.forget(ino);
    }

    /// Whether a file began as a copy of a key.
    pub(in crate::vfs) fn is_copy_of(&self, ino: Ino, place: &Place) -> bool {
        self.copies.is_of(ino, place)
    }

    /// What a delete removes, or the move of a key away (W1).
    pub(in crate::vfs) fn base_of_delete(
        &mut self,
        by: Option<Caller>,
        place: &Place,
        current: &Precondition,
    ) -> Base {
        self.seen.base_of_delete(by, place, current)
    }

    /// What a process was shown of a key.
    pub(in crate::vfs) fn shown_to(
        &mut self,
        caller: &Caller,
        place: &Place,
    ) -> Option<Precondition> {
        self.seen.shown_to(caller, place)
    }

    /// Whether a process was shown last that there is no such key.
    pub(in crate::vfs) fn knows_absence(&mut self, caller: &Caller, place: &Place) -> bool {
        self.seen.shown_to(caller, place) == Some(Precondition::Absent)
    }

    /// A conflict reported to these callers what a key is now.
    pub(in crate::vfs) fn told(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        place: &Place,
        found: &Precondition,
    ) {
        self.seen.told(callers, place, found);
    }

    /// These callers deleted a key, or moved it away, when it had this version.
    pub(in crate::vfs) fn deleted_by(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        place: &Place,
        version: &Version,
    ) {
        let replaced = Precondition::Is(version.clone());
        self.seen.removed(callers, place, &replaced);
    }

    /// These callers saved a version of a key.
    pub(in crate::vfs) fn saved_by(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        place: &Place,
        replaced: &Precondition,
        version: &Version,
    ) {
        self.seen.saved(callers, place, replaced, version);
    }
}
