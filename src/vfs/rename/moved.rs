//! What a rename moves, and where to.

use std::sync::Arc;

use super::super::Context;
use super::super::loss::Attempt;
use super::super::place::Folder;
use super::super::place::Place;
use super::super::scratch::Scratch;
use crate::model::{Caller, FileName, Ino, Key, Precondition};
use crate::store::{Store, Value};

/// The file that is moved.
pub(super) struct Moved {
    pub(super) ino: Ino,
    pub(super) value: Arc<Value>,
    /// Whose memories count: first the caller of the rename, then the creator of the file.
    pub(super) callers: Vec<Caller>,
    pub(super) from: From,
}

/// Where the moved file is.
pub(super) enum From {
    /// In a store.
    Key(Arc<dyn Store>, Key),
    /// In this mount alone; with [`Scratch::changes`] when its bytes were read.
    ScratchDir(Folder, FileName, Arc<Scratch>, u64),
}

/// Where it is moved to.
pub(super) struct Target<'a> {
    pub(super) at: (Ino, &'a FileName),
    /// What has the name now.
    pub(super) taken: Option<Ino>,
    pub(super) store: Arc<dyn Store>,
    pub(super) key: Key,
}

impl Target<'_> {
    /// The key of the new name.
    pub(super) fn place(&self) -> Place {
        (self.store.name(), self.key.clone())
    }
}

/// A file that gets the name of a key.
pub(super) struct Rename<'a> {
    pub(super) moved: Moved,
    /// The directory where it was.
    pub(super) parent: Ino,
    pub(super) target: Target<'a>,
    pub(super) by: Context,
}

impl Rename<'_> {
    /// Whose memories count.
    pub(super) fn callers(&self) -> impl Iterator<Item = Caller> {
        self.moved.callers.iter().copied()
    }

    /// The same as an attempt to replace what has the new name.
    pub(super) fn attempt<'a>(&'a self, expected: &'a Precondition) -> Attempt<'a> {
        Attempt {
            op: "rename",
            ino: self.target.taken.unwrap_or(self.moved.ino),
            store: &self.target.store,
            key: &self.target.key,
            callers: &self.moved.callers,
            expected,
        }
    }
}
