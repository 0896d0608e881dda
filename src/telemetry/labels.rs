//! What the metrics are given, and the words they show it in.
//!
//! It counts nothing; `metrics.rs` does.

use std::time::Duration;

use super::rescues::KeptRescues;

/// What a request to a backend asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// An object, or a part of it.
    Get,
    /// What is known of an object.
    Head,
    /// A conditional write.
    Put,
    /// A conditional delete.
    Delete,
    /// One page of names.
    List,
}

impl Request {
    pub(super) const ALL: [Self; 5] = [Self::Get, Self::Head, Self::Put, Self::Delete, Self::List];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Head => "head",
            Self::Put => "put",
            Self::Delete => "delete",
            Self::List => "list",
        }
    }
}

/// What a place for a request is for; each kind has a limited number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// Listing, and asking what an object is.
    Names,
    /// Reading objects.
    Values,
    /// Writing and deleting them.
    Saves,
}

impl Pool {
    pub(super) const ALL: [Self; 3] = [Self::Names, Self::Values, Self::Saves];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Values => "values",
            Self::Saves => "saves",
        }
    }
}

/// What is kept to save requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Whole values; a hit is an open that moved no bytes (the store was asked all the same).
    Values,
    /// Listings of directories; a hit is a directory that was not listed again.
    Listings,
    /// Names and attributes; a hit is a look-up or a `stat` that asked nobody.
    Attributes,
}

impl Cache {
    pub(super) const ALL: [Self; 3] = [Self::Values, Self::Listings, Self::Attributes];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Listings => "listings",
            Self::Attributes => "attributes",
        }
    }
}

/// How often each thing happened to saves since the mount began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Saves that landed.
    pub saves: u64,
    /// Saves that were refused.
    pub conflicts: u64,
    /// Saves whose fate is unknown.
    pub unknown: u64,
    /// Saves that failed and certainly did not happen.
    pub failed: u64,
    /// Values that were rescued.
    pub rescues: u64,
}

/// How things stand at one moment: what the gauges show.
#[derive(Clone, Copy, Debug, Default)]
pub struct Levels {
    /// Inodes that the mount knows.
    pub inodes: usize,
    /// Open handles by what they are: readers, writers, of scratch files, of directories, of the
    /// mount's own files.
    pub handles: [usize; 5],
    /// Drafts: what was written and is not saved, and its bytes.
    pub drafts: (usize, u64),
    /// Bytes of cached values, with what is known of them.
    pub cached_bytes: usize,
    /// Cached values.
    pub cached_values: usize,
    /// Names in cached listings.
    pub cached_names: usize,
    /// Scratch files, and their bytes.
    pub scratch: (usize, u64),
    /// Names that were moved to a scratch name, and not yet in the store.
    pub moved_away: usize,
    /// Rescues that are kept.
    pub rescues: KeptRescues,
    /// Readings that are remembered, and the memory that they take.
    pub readings: (usize, usize),
    /// How long ago the mount began.
    pub uptime: Duration,
}

impl Levels {
    /// What each of [`Levels::handles`] is called.
    pub(super) const HANDLES: [&str; 5] = ["reader", "writer", "scratch", "directory", "control"];
}
