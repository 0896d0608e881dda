//! Attributes (V5).

use std::time::{Duration, SystemTime};

use crate::model::Ino;

/// What kind of thing an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Dir,
    /// A file that holds a value.
    File,
    /// A symbolic link; only scratch files are.
    Symlink,
    /// A file that only the mount writes.
    Control,
}

/// What `stat` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// The inode.
    pub ino: Ino,
    /// Its kind.
    pub kind: FileKind,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change.
    pub modified: SystemTime,
    /// Whether it has a name.
    pub is_linked: bool,
    /// How long the kernel may go on believing this.
    pub ttl: Duration,
}
