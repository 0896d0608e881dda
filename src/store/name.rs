//! What stores and layouts are called.

use std::fmt;

use crate::model::StoreId;

/// What a store is called in messages and in the mount: a UUID, or nothing when the objects of the
/// bucket are shown themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoreName {
    /// A store among others.
    Id(StoreId),
    /// The bucket or prefix itself (`--flat`).
    Flat,
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Flat => f.write_str("flat"),
        }
    }
}

/// What a layout is called: in listings of stores, in the names of attributes, and by `--layout`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayoutName(&'static str);

impl LayoutName {
    /// The layout of this name: a word of small letters.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The word.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for LayoutName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
