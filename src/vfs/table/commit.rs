//! A commit: what this mount learns from a write that the store has carried out.
//!
//! Saves, renames, published scratch files and attributes all use this one function, so that none of them
//! forgets a part.

use std::sync::Arc;

use super::super::place::Place;
use super::super::{Vfs, Who};
use super::Table;
use crate::model::{Caller, Ino, Precondition, Successor};
use crate::store::{Entry, Metadata, Value};

/// A write that the store has carried out.
#[derive(Debug)]
pub(in crate::vfs) struct Commit {
    /// The file of the version.
    pub(in crate::vfs) ino: Ino,
    /// Its key.
    pub(in crate::vfs) place: Place,
    /// What the version replaced.
    pub(in crate::vfs) replaced: Precondition,
    /// The version, and what is known of it.
    pub(in crate::vfs) entry: Entry,
    /// What of it is cached for later readers.
    pub(in crate::vfs) kept: Kept,
    /// Whose memories count as the base of the write; the first of them made it.
    pub(in crate::vfs) by: Vec<Caller>,
    /// What the change is to the writers of the file.
    pub(in crate::vfs) change: Change,
}

/// What of a version is cached for later readers.
#[derive(Debug)]
pub(in crate::vfs) enum Kept {
    /// All of it.
    Whole(Arc<Value>),
    /// Its metadata: its bytes are too many.
    Metadata(Box<Metadata>),
    /// Nothing, because it is not known.
    Nothing,
}

/// What a commit means to the other writers of the file.
#[derive(Debug)]
pub(in crate::vfs) enum Change {
    /// Other bytes, all of them its maker's: the drafts of the others are overtaken (W12), except those based
    /// on the version in the successor, which have the same bytes.
    Value(Option<Successor<Metadata>>),
    /// Other bytes, of which its maker knows only the last: it appended them (W7).
    Appended,
    /// The same bytes, with other metadata: the drafts of the others stay valid.
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

    /// The callers that made a write know what it did, wherever the file is now.
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

    /// A caller that kept the old bytes knows the new version if it knows those bytes: from its memory, or
    /// once it reads them through an older handle (W1). What another of its handles reads must still be shown
    /// to it, also if its memory is of a version that an EAGAIN reported, without the bytes.
    fn added_to_by(&self, maker: Who, commit: &Commit) {
        let Some(caller) = maker else { return };
        let (place, version) = (&commit.place, &commit.entry.version);
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
