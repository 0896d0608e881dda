//! What an open directory holds.

use std::sync::Arc;
use tokio::time::Instant;

use super::attr::FileKind;
use super::scratch::Scratch;
use crate::model::FileName;
use crate::store::Entry;

/// A name in an open directory.
#[derive(Clone, Debug)]
pub struct DirItem {
    /// The name.
    pub name: FileName,
    /// What it is.
    pub(super) item: Item,
}

/// What a name in an open directory is.
#[derive(Clone, Debug)]
pub(super) enum Item {
    /// A directory.
    Dir,
    /// A key, as the listing shows it.
    File(Entry),
    /// A file that this mount created and did not save yet.
    Unsaved,
    /// A file that only this mount has.
    Scratch(Arc<Scratch>),
    /// A file that only the mount writes.
    Control,
}

/// How old the names of a directory are.
#[derive(Clone, Copy, Debug)]
pub struct Age {
    /// When the store was asked for them.
    pub(super) asked: Instant,
    /// The time up to which they include what this mount did: for remembered names, when they were taken from
    /// memory.
    pub(super) corrected: Instant,
}

impl Age {
    /// Asked now.
    pub(super) fn now() -> Self {
        let now = Instant::now();
        Self {
            asked: now,
            corrected: now,
        }
    }
}

impl DirItem {
    /// A file, or a symbolic link.
    pub fn kind(&self) -> FileKind {
        match &self.item {
            Item::Dir => FileKind::Dir,
            Item::File(_) | Item::Unsaved => FileKind::File,
            Item::Scratch(scratch) => scratch.kind(),
            Item::Control => FileKind::Control,
        }
    }
}
