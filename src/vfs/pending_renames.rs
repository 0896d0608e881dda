//! Names that are moved away, created anew, or brought back (W8).
//!
//! What each step means is decided by `crates/model/src/pending_renames.rs`. Here is what other operations ask of
//! that; below `pending_renames/` it is carried out, in the directory of scratch files, and in the store once a
//! departure turns out to be meant. Every order of writes leaves the old or the new value in the store if the daemon
//! ends in between. Renames as such are in `rename.rs`.

mod alias;
mod depart;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use super::handles::Handle;
use super::place::Folder;
use super::place::Place;
use super::writer::{Writer, WriterState};
use super::{Vfs, Who};
use crate::model::{Base, Caller, FileName, Ino, Key, Precondition, Process, Unlinked, Version};
use crate::store::{Child, Dir, Store};

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

    /// What a new value replaces whose name was moved away as the version `moved`: just that, unless the callers
    /// were shown another version (W1).
    pub(super) fn departed_base(
        &self,
        callers: impl IntoIterator<Item = Caller>,
        place: &Place,
        moved: &Version,
    ) -> Base {
        let base = self.base(callers, place, &Precondition::Is(moved.clone()));
        base.over_departed(moved.clone())
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
}

/// The key that a name in a directory stands for.
pub(super) fn key_of(store: &Arc<dyn Store>, dir: &Dir, name: &FileName) -> Option<Key> {
    match store.child(dir, name).ok()? {
        Child::Either(key, _) | Child::Key(key) | Child::Shadowed(key, _) => Some(key),
        Child::Dir(_) => None,
    }
}
