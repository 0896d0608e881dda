//! A commit: what a write that the store has carried out means to the memory of this mount.
//!
//! Saves, renames, published scratch files and attributes all come to this one place, so that none of them
//! forgets what the others know.

use std::sync::Arc;

use super::super::place::Place;
use super::super::{Vfs, Who};
use super::Table;
use crate::model::{Caller, Ino, Precondition, Successor};
use crate::store::{Entry, Metadata, Value};

/// A write that the store has carried out.
#[derive(Debug)]
pub(in crate::vfs) struct Commit {
    /// The file that the version is of.
    pub(in crate::vfs) ino: Ino,
    /// Its key.
    pub(in crate::vfs) place: Place,
    /// What the version took the place of.
    pub(in crate::vfs) replaced: Precondition,
    /// The version, and what is known of it.
    pub(in crate::vfs) entry: Entry,
    /// What of it is kept for readers to come.
    pub(in crate::vfs) kept: Kept,
    /// Whose memories count as the base of the write; the first of them made it.
    pub(in crate::vfs) by: Vec<Caller>,
    /// What the change is to the writers of the file.
    pub(in crate::vfs) change: Change,
}

/// What is kept of a version for readers to come.
#[derive(Debug)]
pub(in crate::vfs) enum Kept {
    /// All of it.
    Whole(Arc<Value>),
    /// What travels with it: its bytes are too many.
    Metadata(Box<Metadata>),
    /// Nothing, since it is not known.
    Nothing,
}

/// What a commit is to those who have the file open for writing.
#[derive(Debug)]
pub(in crate::vfs) enum Change {
    /// Other bytes, all of them its maker's: their drafts are overtaken (W12), but not those that are based on
    /// what the successor says, which have these bytes too.
    Value(Option<Successor<Metadata>>),
    /// Other bytes, of which its maker knows only the last: it put them behind what was there (W7).
    Appended,
    /// The same bytes, with other metadata: their drafts go on.
    Metadata(Successor<Metadata>),
}

impl Table {
    /// Learns what a write did.
    pub(in crate::vfs) fn commit(&mut self, commit: Commit) {
        self.advance(&commit);
        let Commit {
            ino,
            place,
            replaced,
            entry,
            kept,
            change,
            ..
        } = commit;
        let version = entry.version.clone();
        self.learn_own(ino, entry);
        let (is_value, successor) = match change {
            Change::Value(successor) => (true, successor),
            Change::Appended => (true, None),
            Change::Metadata(successor) => (false, Some(successor)),
        };
        if let Some(node) = self.tree.get_mut(ino) {
            if let Some(successor) = successor {
                node.file.goes_on_as(successor, !node.open.is_empty());
            }
            if is_value {
                node.file.save(&replaced, &version);
            }
        }
        match kept {
            Kept::Whole(value) => self.values.put(place, value),
            Kept::Metadata(metadata) => {
                self.values.remove(&place);
                self.values.put_metadata(place, version, *metadata);
            }
            Kept::Nothing => self.values.remove(&place),
        }
    }

    /// Another file was moved over this one by a write.
    pub(in crate::vfs) fn is_moved_over(&mut self, ino: Ino, commit: &Commit) {
        if let Some(node) = self.tree.get_mut(ino) {
            node.file.save(&commit.replaced, &commit.entry.version);
        }
    }

    /// Those who made a write know what it did, wherever the file is now.
    pub(in crate::vfs) fn advance(&mut self, commit: &Commit) {
        let (place, by) = (&commit.place, &commit.by);
        self.pending_renames.saved(place);
        let version = &commit.entry.version;
        self.seen
            .saved(by.iter().copied(), place, &commit.replaced, version);
        let maker = by.first().copied();
        match commit.change {
            Change::Value(_) => self.changed_by(commit.ino, maker),
            Change::Appended | Change::Metadata(_) => self.added_to_by(maker, commit),
        }
    }

    /// Whoever kept the bytes that were there knows the new version if it knows those: from its memory, or
    /// once it reads them through an older handle (W1). What another of its handles reads, it still has to
    /// be shown.
    fn added_to_by(&mut self, maker: Who, commit: &Commit) {
        let Some(caller) = maker else { return };
        let (place, version) = (&commit.place, &commit.entry.version);
        let known = self.seen.shown_to(&caller, place);
        if known.as_ref().and_then(Precondition::version) == Some(version) {
            return self.changed_by(commit.ino, maker);
        }
        if let Some(replaced) = commit.replaced.version() {
            for handle in self.handles_by(commit.ino, caller.process) {
                handle.will_know(place, replaced, version);
            }
        }
    }
}

impl Vfs {
    /// Learns what a write did, and counts it.
    pub(in crate::vfs) fn committed(&self, commit: Commit) {
        self.table().commit(commit);
        self.journal.saved();
    }
}
