//! Versions, and what a save demands and gets.
//!
//! A version is the backend's opaque identity of one stored value; it is compared only for
//! equality. Nothing here knows where a version comes from. The users are [`super::Draft`] and
//! every backend.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

/// The identity of one stored value: its ETag, exactly as the backend wrote it (quotes kept).
///
/// Equality is equality of ETags. On backends whose ETag derives from the content, writing A, B
/// and A again gives the first version back; a save based on it then replaces the very bytes its
/// writer was shown. The one thing that can go wrong is named in `settle.rs`.
#[derive(Clone)]
pub struct Version {
    etag: Arc<str>,
    snapshot: Option<Arc<str>>,
}

impl Version {
    /// Takes the ETag as the backend wrote it.
    pub fn new(etag: impl Into<Arc<str>>) -> Self {
        Self {
            etag: etag.into(),
            snapshot: None,
        }
    }

    /// Adds the name under which a backend that keeps old versions still serves this one
    /// (S3: the version id of a versioned bucket).
    #[must_use]
    pub fn with_snapshot(mut self, snapshot: Option<impl Into<Arc<str>>>) -> Self {
        self.snapshot = snapshot.map(Into::into);
        self
    }

    /// The ETag, as the backend wrote it.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The name of this version in a backend that keeps old versions.
    pub fn snapshot(&self) -> Option<&str> {
        self.snapshot.as_deref()
    }

    /// A number of nanoseconds, less than one second, that differs between versions (but for
    /// chance). Added to a modification time in whole seconds it makes every change of version a
    /// change of mtime, which is what editors look at before they overwrite (V5).
    pub fn nanos(&self) -> u32 {
        // FNV-1a, 64 bit: stable across runs and machines, unlike the standard hasher.
        let hash = self
            .etag
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
            });
        // The remainder is below 10^9, so it always fits.
        u32::try_from(hash % 1_000_000_000).unwrap_or(0)
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.etag == other.etag
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.etag.hash(state);
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.etag)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.etag)
    }
}

/// What a save demands to find under its key. There is no third case: nothing is ever written
/// unconditionally.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expect {
    /// The key does not exist.
    Absent,
    /// The key has this version.
    Is(Version),
}

impl Expect {
    /// The version, if one is expected.
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::Absent => None,
            Self::Is(version) => Some(version),
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Is(version) => version.fmt(f),
        }
    }
}

impl From<Option<Version>> for Expect {
    fn from(version: Option<Version>) -> Self {
        version.map_or(Self::Absent, Self::Is)
    }
}

/// Names one save among all saves of all mounts, so that its writer can recognise it after a
/// lost reply (W6). Every attempt of one save carries the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PutId(u128);

impl PutId {
    /// Takes a number that nobody else uses.
    pub fn new(unique: u128) -> Self {
        Self(unique)
    }

    /// Reads what `Display` wrote; there is one spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let id = Self(u128::from_str_radix(text, 16).ok()?);
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for PutId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What a conditional write came to. A refusal is an answer, not an error, so that `?` cannot
/// swallow it. `T` is what a success brings: the new version of a put, nothing of a delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T = Version> {
    /// It happened, exactly once.
    Saved(T),
    /// The key did not have the expected version; nothing happened. Whoever looked says what the key is
    /// now; a single attempt did not.
    Refused(Option<Rival>),
    /// No answer proves either. It must be reported as an I/O error, never as a conflict.
    Unknown,
}

impl<T> Outcome<T> {
    /// The same, of which a success brings something else.
    pub fn map<U>(self, brings: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Saved(saved) => Outcome::Saved(brings(saved)),
            Self::Refused(rival) => Outcome::Refused(rival),
            Self::Unknown => Outcome::Unknown,
        }
    }

    /// The same, of which a refusal says something else of what is there.
    pub fn map_rival(self, says: impl FnOnce(Rival) -> Rival) -> Self {
        match self {
            Self::Refused(rival) => Self::Refused(rival.map(says)),
            other => other,
        }
    }

    /// Whether it was refused.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// What a write found in the place of what it expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rival {
    /// What the key is now.
    pub version: Expect,
    /// Its size, if that is the size of the value.
    pub size: Option<u64>,
    /// When it was written.
    pub modified: Option<SystemTime>,
}

impl Rival {
    /// Nothing.
    pub const NOTHING: Self = Self {
        version: Expect::Absent,
        size: None,
        modified: None,
    };

    /// The same, when the object is not the value.
    #[must_use]
    pub fn of_another_size(self) -> Self {
        Self { size: None, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_equal_when_their_etags_are() {
        let plain = Version::new("\"a\"");
        assert_eq!(plain, plain.clone().with_snapshot(Some("7")));
        assert_ne!(plain, Version::new("\"b\""));
    }

    #[test]
    fn the_put_id_has_one_spelling() {
        let id = PutId::new(0xabc);
        assert_eq!(PutId::parse(&id.to_string()), Some(id));
        for bad in ["abc", "", "+0000000000000000000000000000abc", "zz"] {
            assert_eq!(PutId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn nanos_are_below_a_second_and_differ_between_versions() {
        let all: std::collections::HashSet<u32> = (0..1000)
            .map(|n| Version::new(format!("\"{n}\"")).nanos())
            .collect();
        assert!(all.iter().all(|nanos| *nanos < 1_000_000_000));
        assert_eq!(all.len(), 1000);
    }
}
