//! What a store answers: entries, values, names and what they turned out to be.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;

use super::{Dir, Metadata};
use crate::model::{FileName, Key, Version};

/// What a listing tells of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Size of the file in bytes, if it is known without reading the value.
    pub size: Option<u64>,
    /// When this version was written.
    pub modified: SystemTime,
    /// The version.
    pub version: Version,
}

/// Bytes, the version they came with, and what travels with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The file's bytes.
    pub bytes: Bytes,
    /// The version.
    pub version: Version,
    /// When this version was written.
    pub modified: SystemTime,
    /// What travels with it.
    pub metadata: Metadata,
}

impl Value {
    /// What a listing would tell of it.
    pub fn entry(&self, key: Key) -> Entry {
        Entry {
            key,
            size: Some(self.bytes.len() as u64),
            modified: self.modified,
            version: self.version.clone(),
        }
    }
}

/// What a name in a directory turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing; the backend said so.
    Absent,
    /// A directory.
    Dir(Dir),
    /// A key.
    File(Entry),
    /// A key, and its value, which came with the answer.
    Read(Key, Box<Value>),
}

/// The answer to opening a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Its newest version is the one the caller has.
    Unchanged,
    /// All of it.
    Whole(Value),
    /// It is larger than the limit: to be read in pieces, see [`Store::read`](super::Store::read).
    Large {
        /// What is known of it.
        entry: Entry,
        /// What travels with it.
        metadata: Metadata,
    },
}

/// What a reader is shown of bytes that were just saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadBack {
    /// Those bytes, with what was to travel with them.
    Same,
    /// These: they mean the same, or what they were put behind is before them.
    Other(Bytes, Box<Metadata>),
    /// Only the backend can tell.
    Unknown,
}

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// What is known of the whole value.
    pub entry: Entry,
    /// What travels with it.
    pub metadata: Metadata,
    /// The bytes that were asked for.
    pub bytes: Bytes,
}

impl Slice {
    /// `len` bytes from `start` of a value, fewer at its end.
    pub(super) fn of(key: &Key, value: Value, start: u64, len: u64) -> Self {
        let size = value.bytes.len();
        let index = |at: u64| usize::try_from(at).map_or(size, |at| at.min(size));
        let bytes = value
            .bytes
            .slice(index(start)..index(start.saturating_add(len)));
        Self {
            entry: Entry {
                key: key.clone(),
                size: Some(size as u64),
                modified: value.modified,
                version: value.version,
            },
            metadata: value.metadata,
            bytes,
        }
    }
}

/// What a scan meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// Keys that begin alike up to a `/`, by what they begin with.
    Prefix(String),
    /// A key, and how it is spelled.
    Key(String, Entry),
}

impl Scanned {
    /// The text that it is listed under.
    pub fn text(&self) -> &str {
        match self {
            Self::Prefix(text) | Self::Key(text, _) => text,
        }
    }
}

/// What stands under a name in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// A directory.
    Dir,
    /// A key.
    File(Entry),
}

/// All names of a directory, in order.
pub type Listing = BTreeMap<FileName, Shown>;
