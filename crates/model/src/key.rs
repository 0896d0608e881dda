//! Which store, and which of its values.
//!
//! Names as plain data: a store is a UUID, a key is a text. File names are in `name.rs`; `store` says where a
//! key's object is.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use uuid::Uuid;

use super::BadName;

/// The longest key, in bytes of UTF-8 (the limit of S3 for a whole object key).
pub const MAX_KEY_BYTES: usize = 1024;

/// The name of a store: a UUID, written in lower case with hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(Uuid);

impl StoreId {
    /// Takes a UUID.
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// Reads the one spelling that is a store's name.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(Uuid::try_parse(text).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The name of a value in a store: what identifies it, and what its owner calls it.
///
/// In a plain store both are one text, at most [`MAX_KEY_BYTES`] bytes of UTF-8 and not empty. Where an
/// object's name is not its key (but a hash of it, for example), the object's name identifies it, and keys
/// are equal if their objects' names are.
#[derive(Clone, Debug)]
pub struct Key {
    id: Arc<str>,
    text: Option<Arc<str>>,
}

impl Key {
    /// A key that is its own identity. Checks the length.
    ///
    /// # Errors
    /// [`BadName::TooLong`] or, for the empty text, [`BadName::Illegal`].
    pub fn new(text: impl Into<String>) -> Result<Self, BadName> {
        let text = text.into();
        match text.len() {
            0 => Err(BadName::Illegal),
            1..=MAX_KEY_BYTES => Ok(Self {
                id: text.into(),
                text: None,
            }),
            _ => Err(BadName::TooLong),
        }
    }

    /// A key that another text identifies. `text` is what its owner calls it, if that is known.
    pub fn identified(id: impl Into<Arc<str>>, text: Option<Arc<str>>) -> Self {
        Self {
            id: id.into(),
            text,
        }
    }

    /// What identifies it.
    pub fn as_str(&self) -> &str {
        &self.id
    }

    /// What its owner calls it, if that is another text.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.id.cmp(&other.id)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text.as_ref().unwrap_or(&self.id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_has_one_spelling() {
        let text = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";
        assert_eq!(
            StoreId::parse(text).map(|id| id.to_string()).as_deref(),
            Some(text)
        );
        assert_eq!(StoreId::parse(&text.to_uppercase()), None);
        assert_eq!(StoreId::parse(&text.replace('-', "")), None);
    }
}
