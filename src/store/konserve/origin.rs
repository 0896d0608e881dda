//! The version of an object that a file's bytes came from.

use konserve_codec::file::Stored;

use crate::backend::Meta;
use crate::model::Version;

/// What a save of a file needs to know of the object that was read: [`Stored`] is konserve's part of
/// it, the rest is the backend's.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The object, taken apart.
    pub stored: Stored,
    /// The version that was read.
    pub version: Version,
    /// What travels with it.
    pub meta: Meta,
}

impl PartialEq for Origin {
    /// One version of one object is always the same.
    fn eq(&self, other: &Self) -> bool {
        self.stored.object == other.stored.object && self.version == other.version
    }
}

impl Eq for Origin {}
