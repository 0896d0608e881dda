//! Values, and what is known of them: what a read is asked for, and what it brings.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};

use crate::backend::Meta;
use crate::model::Version;
use crate::store::Metadata;

/// Up to this size, in bytes, a value is held in memory; a larger one in a file without a name.
pub(super) const IN_MEMORY: u64 = 64 << 20;

/// How often a read begins anew when its version goes away under it.
pub(super) const READS: u32 = 10;

/// What is known of a value without its bytes.
#[derive(Clone, Debug)]
pub struct About {
    /// The version; a file that is in no mount has none.
    pub version: Option<Version>,
    /// Its size in bytes, if that is known without reading it.
    pub size: Option<u64>,
    /// When this version was written.
    pub modified: SystemTime,
    /// Its metadata: headers, user metadata, and what only konserve stores have.
    pub metadata: Metadata,
}

/// A value.
#[derive(Debug)]
pub struct Got {
    /// What is known of it.
    pub about: About,
    /// Its bytes.
    pub content: ValueBytes,
}

/// The bytes of a value, all of them.
#[derive(Debug)]
pub enum ValueBytes {
    /// In memory.
    Memory(Bytes),
    /// In a file that nobody else sees, from its beginning: a value of more than 64 MiB.
    Spooled(File),
}

impl ValueBytes {
    /// All bytes, in memory.
    ///
    /// # Errors
    /// When the local disk fails.
    pub fn into_bytes(self) -> io::Result<Bytes> {
        match self {
            Self::Memory(bytes) => Ok(bytes),
            Self::Spooled(mut file) => {
                let mut bytes = Vec::new();
                file.seek(SeekFrom::Start(0))?;
                file.read_to_end(&mut bytes)?;
                Ok(bytes.into())
            }
        }
    }

    /// To be read from the beginning.
    ///
    /// # Errors
    /// When the local disk fails.
    pub fn reader(self) -> io::Result<Box<dyn Read>> {
        Ok(match self {
            Self::Memory(bytes) => Box::new(io::Cursor::new(bytes)),
            Self::Spooled(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                Box::new(file)
            }
        })
    }
}

/// Which version a read wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The newest.
    Newest,
    /// The newest, if it is this one.
    Is(Version),
    /// The newest, unless it is this one.
    Not(Version),
    /// The one that a versioned bucket keeps under this id.
    Kept(String),
}

/// What a read came to.
#[derive(Debug)]
pub enum ReadOutcome {
    /// The value.
    Got(Box<Got>),
    /// [`Wanted::Not`]: it is still that one.
    Unchanged,
    /// [`Wanted::Is`]: it is another one, or none. [`Wanted::Kept`]: there is none.
    Other,
    /// There is no such key; the store said so.
    Absent,
}

/// Part of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The first byte, counted from 0.
    pub start: u64,
    /// How many bytes, at most; not 0.
    pub len: u64,
}

/// The metadata of a value that is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MetadataChoice {
    /// That of the version that is replaced; a new key gets a content type from its name.
    #[default]
    Inherited,
    /// This, and nothing of the version that is replaced.
    Given(Meta),
    /// That of the value that it is a copy of.
    Copied(Metadata),
}

impl MetadataChoice {
    /// What is sent with a value of these bytes that replaces one with the metadata `replaced`.
    pub(super) fn over(&self, replaced: Metadata, bytes: &[u8]) -> Metadata {
        match self {
            Self::Inherited => replaced.of(bytes),
            Self::Given(meta) => Metadata {
                meta: meta.clone(),
                ..replaced
            },
            Self::Copied(metadata) => metadata.clone(),
        }
    }
}

/// The one, and behind it the other.
pub(crate) fn joined(one: &[u8], other: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(one.len() + other.len());
    bytes.extend_from_slice(one);
    bytes.extend_from_slice(other);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_any_metadata_says_all_of_it() {
        let kept = Metadata {
            meta: Meta {
                content_type: Some("text/css".to_owned()),
                cache_control: Some("no-store".to_owned()),
                ..Meta::default()
            },
            ..Metadata::default()
        };
        assert_eq!(MetadataChoice::Inherited.over(kept.clone(), b""), kept);
        let given = Meta {
            user: [("a".to_owned(), "b".to_owned())].into(),
            ..Meta::default()
        };
        let meta = MetadataChoice::Given(given).over(kept, b"").meta;
        assert_eq!((meta.content_type, meta.cache_control), (None, None));
        assert_eq!(meta.user["a"], "b");
    }
}
