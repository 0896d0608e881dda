//! Names that were moved away (W8), for the operations; the rules are in `crates/model/src/pending_renames.rs`.

use std::time::Duration;
use tokio::time::Instant;

use super::super::Who;
use super::super::place::Place;
use super::super::scratch::{Scratch, ScratchId};
use super::Table;
use crate::model::{Due, Ino, PendingRenames, Precondition, Process, Version};

impl Table {
    /// Decides about names that are moved away, created again and cleaned up.
    pub(in crate::vfs) fn pending(&mut self) -> &mut PendingRenames<Place, ScratchId> {
        &mut self.pending_renames
    }

    /// Whether a name does not exist here, although the store has its key.
    pub(in crate::vfs) fn is_away(&self, place: &Place) -> bool {
        self.pending_renames.is_away(place)
    }

    /// The version of a key that was moved away, if its name is not settled yet.
    pub(in crate::vfs) fn departed(&self, place: &Place) -> Option<Version> {
        self.pending_renames.base(place).cloned()
    }

    /// Whether a process was refused a key a moment ago, and cleans up after itself.
    pub(in crate::vfs) fn is_cleaning_up(
        &self,
        place: &Place,
        by: Option<Process>,
        now: Duration,
    ) -> bool {
        self.pending_renames.is_cleaning_up(place, by, now)
    }

    /// What was to take the place of a key did not: if that was moved away, its name shows the store's
    /// value again. Whether it was.
    pub(in crate::vfs) fn is_not_recreated(
        &mut self,
        place: &Place,
        by: Option<Process>,
        now: Duration,
    ) -> bool {
        let was_away = self.pending_renames.base(place).is_some();
        if was_away {
            self.pending_renames.refused(place, by, now);
            self.listings.remove_store(place.0);
        }
        was_away
    }

    /// As [`is_not_recreated`](Self::is_not_recreated), of a file that this mount created in its place.
    pub(in crate::vfs) fn draft_is_not_recreated(
        &mut self,
        ino: Ino,
        place: &Place,
        by: Option<Process>,
        now: Duration,
    ) {
        if self.is_not_recreated(place, by, now)
            && let Some(node) = self.tree.get_mut(ino)
        {
            node.file.give_up();
            node.known = None;
        }
    }

    /// The scratch file goes that a key was moved to; which one that is, if it was not created anew.
    pub(in crate::vfs) fn alias_removed(&mut self, scratch: &Scratch) -> Option<(Place, Version)> {
        self.pending_renames.alias_removed(scratch.id())
    }

    /// The names whose time is over, or all of them.
    pub(in crate::vfs) fn due(&self, now: Option<Duration>) -> Vec<Due<Place, ScratchId>> {
        self.pending_renames.due(now)
    }

    /// The store deleted a key that was moved away.
    pub(in crate::vfs) fn departed_is_deleted(&mut self, who: Who, place: &Place, base: &Version) {
        let replaced = Precondition::Is(base.clone());
        self.seen.removed(who, place, &replaced);
        self.values.remove(place);
        self.deletes.note(place.clone(), Instant::now());
        self.listings.remove_store(place.0);
    }
}
