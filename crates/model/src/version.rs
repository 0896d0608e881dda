//! Versions, preconditions and outcomes of a save.
//!
//! A version is the backend's opaque identity of one stored value; it is compared only for
//! equality. Nothing here knows where a version comes from. The users are [`super::Draft`] and
//! every backend.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

/// No server sends longer ones.
const LONGEST: usize = 512;

/// The words that some servers send instead of an ETag.
const NOTHING: [&str; 6] = ["*", "null", "nil", "none", "undefined", "(null)"];

/// Whether this is a digest in hexadecimal digits: of one put, or of an upload in parts (with `-N` after it).
fn is_digest(opaque: &str) -> bool {
    let (digits, parts) = opaque.split_once('-').unwrap_or((opaque, "1"));
    digits.len() >= 32
        && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        && parts.bytes().all(|byte| byte.is_ascii_digit())
}

/// The identity of one stored value: its ETag, in one spelling (see [`told`](Self::told)).
///
/// Equality is equality of ETags. On backends whose ETag derives from the content, writing A, B and A again
/// gives the first version back; a save based on it then replaces exactly the bytes that its writer was
/// shown. `settle.rs` says what can go wrong.
#[derive(Clone)]
pub struct Version {
    etag: Arc<str>,
    snapshot: Option<Arc<str>>,
}

impl Version {
    /// Reads an ETag in any spelling of a server, a person or another mount: weak or strong, with or without
    /// quotes, a digest in upper or lower case. All of them name one version, whose spelling here is strong,
    /// quoted and, for digests, in lower case.
    ///
    /// `None` if it names no version: nothing, `*` (which as a condition means "whatever is there"), the null
    /// of some programming language, or text that cannot be an ETag (RFC 9110, 8.8.3).
    pub fn told(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix("W/").unwrap_or(text);
        let bare = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text);
        let is_opaque = |byte: u8| (0x21..0x7f).contains(&byte) && byte != b'"';
        if bare.is_empty() || bare.len() > LONGEST || !bare.bytes().all(is_opaque) {
            return None;
        }
        if NOTHING.iter().any(|no| bare.eq_ignore_ascii_case(no)) {
            return None;
        }
        Some(Self::new(match is_digest(bare) {
            true => format!("\"{}\"", bare.to_ascii_lowercase()),
            false => format!("\"{bare}\""),
        }))
    }

    /// Takes an ETag that is spelled as [`told`](Self::told) spells it.
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

    /// The ETag, strong and quoted.
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The ETag without its quotes.
    pub fn opaque(&self) -> &str {
        self.etag.trim_matches('"')
    }

    /// Whether the ETag is a hexadecimal number, whose case does not matter.
    pub fn is_digest(&self) -> bool {
        is_digest(self.opaque())
    }

    /// The name of this version in a backend that keeps old versions.
    pub fn snapshot(&self) -> Option<&str> {
        self.snapshot.as_deref()
    }

    /// A number of nanoseconds below one second that (almost always) differs between versions. Added to a
    /// modification time in whole seconds, it makes every change of version a change of mtime, which editors
    /// check before they overwrite (V5).
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

/// What the key must be for a save to happen. There is no third case: no write is unconditional.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Precondition {
    /// The key does not exist.
    Absent,
    /// The key has this version.
    Is(Version),
}

impl Precondition {
    /// The version, if one is expected.
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::Absent => None,
            Self::Is(version) => Some(version),
        }
    }
}

impl fmt::Display for Precondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("absent"),
            Self::Is(version) => version.fmt(f),
        }
    }
}

impl From<Option<Version>> for Precondition {
    fn from(version: Option<Version>) -> Self {
        version.map_or(Self::Absent, Self::Is)
    }
}

/// Names one save among all saves of all mounts, so that its writer can recognise it after a
/// lost reply (W6). Every attempt of one save carries the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PutId(u128);

impl PutId {
    /// Takes a number that is not used anywhere else.
    pub fn new(unique: u128) -> Self {
        Self(unique)
    }

    /// Reads what `Display` wrote; there is only one spelling.
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

/// The result of a conditional write. A refusal is an answer, not an error, so that `?` cannot swallow it.
/// `T` is the result of a success: the new version for a put, nothing for a delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T = Version> {
    /// It happened, exactly once.
    Committed(T),
    /// The key did not have the expected version; nothing happened. It holds what the key is now, if that was
    /// checked; a single attempt does not check.
    Refused(Option<Rival>),
    /// No answer proves either. Report it as an I/O error, never as a conflict.
    Unknown,
}

impl<T> Outcome<T> {
    /// The same, with another result of a success.
    pub fn map<U>(self, brings: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Committed(saved) => Outcome::Committed(brings(saved)),
            Self::Refused(rival) => Outcome::Refused(rival),
            Self::Unknown => Outcome::Unknown,
        }
    }

    /// The same, with another description of what a refusal found.
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

/// What a write found instead of what it expected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rival {
    /// What the key is now.
    pub version: Precondition,
    /// Its size, if it is the size of the value.
    pub size: Option<u64>,
    /// When it was written.
    pub modified: Option<SystemTime>,
}

impl Rival {
    /// Nothing.
    pub const NOTHING: Self = Self {
        version: Precondition::Absent,
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
    fn one_version_has_many_spellings() {
        let digest = "d41d8cd98f00b204e9800998ecf8427e";
        let version = Version::new(format!("\"{digest}\""));
        for spelled in [
            digest.to_owned(),
            format!("\"{digest}\""),
            format!("W/\"{digest}\""),
            format!("W/{digest}"),
            format!(" \"{digest}\" "),
            digest.to_uppercase(),
            format!("\"{}\"", digest.to_uppercase()),
        ] {
            assert_eq!(Version::told(&spelled), Some(version.clone()), "{spelled}");
        }
        assert_eq!(version.opaque(), digest);
        // Only digests are equal in upper and lower case.
        assert_ne!(Version::told("\"CPj+tag\""), Version::told("\"cpj+tag\""));
        let parts = Version::told(&format!("{}-12", digest.to_uppercase()));
        assert_eq!(parts, Some(Version::new(format!("\"{digest}-12\""))));
    }

    #[test]
    fn what_names_no_version_is_none() {
        for absurd in [
            "",
            " ",
            "\"\"",
            "W/\"\"",
            "W/",
            "*",
            "\"*\"",
            "null",
            "\"undefined\"",
            "None",
            "\"",
            "\"a",
            "a\"",
            "\"a\", \"b\"",
            "a b",
            "a\u{7f}",
            "\u{e9}",
            "a\nb",
            &"x".repeat(513),
        ] {
            assert_eq!(Version::told(absurd), None, "{absurd:?}");
        }
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
