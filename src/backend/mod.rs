//! Backends: things that hold objects and can compare-and-swap them.
//!
//! [`Backend`] is small enough for S3 and for DynamoDB (no ranges there, small values, conditions
//! on attributes), and has no unconditional write. It knows neither stores nor files. `memory`
//! is the reference; `s3` the real thing; `pages` lists to the end; `settle`, `limit`, `queue`, `metered` and `fault` wrap any backend, `probe`
//! examines one. Every backend passes the one suite in `tests/it/contract/`.

mod certain;
mod deadlines;
pub mod fault;
pub mod habits;
pub mod limit;
pub mod memory;
mod meta;
pub mod metered;
mod pages;
pub mod probe;
pub mod queue;
pub mod s3;
pub mod settle;
pub mod why;

pub use certain::certain;
pub use deadlines::Deadlines;
pub use habits::Habits;
pub use limit::Limited;
pub use memory::Memory;
pub use meta::{Meta, Tags};
pub use metered::Metered;
pub use pages::Pages;
pub use queue::Queued;
pub use s3::S3;
pub use settle::Settled;
pub use why::{Cause, Why};

use std::fmt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;

use crate::model::{Outcome, Precondition, PutId, Server, Version};

/// The name of an object in its backend.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// Takes the name as it is.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is known of an object without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectMeta {
    /// Size in bytes.
    pub size: u64,
    /// Its version.
    pub version: Version,
    /// When this version was written, by the backend's clock (often in whole seconds).
    pub modified: SystemTime,
    /// What travels with it.
    pub meta: Meta,
    /// The save that wrote this version, if its writer told (W6).
    pub put_id: Option<PutId>,
}

/// An object, or the part of it that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// What is known of the whole object.
    pub info: ObjectMeta,
    /// The bytes that were asked for.
    pub bytes: Bytes,
}

/// Which version a read wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadCondition {
    /// The newest.
    Newest,
    /// This one and no other; answered with [`Error::VersionGone`] when it is not to be had. A
    /// backend that keeps old versions serves them by [`Version::snapshot`].
    Is(Version),
    /// The newest, unless it is this one; then the answer is [`Fetched::Unchanged`].
    Not(Version),
    /// The one of this name in a backend that keeps old versions ([`Version::snapshot`]); answered with
    /// [`Error::VersionGone`] when there is none.
    Snapshot(String),
}

/// Which bytes a read wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// All, if there are at most this many; otherwise none, only the [`ObjectMeta`].
    UpTo(u64),
    /// Those from `start`, at most `len` of them; none if the object ends before `start`.
    Range {
        /// The first byte.
        start: u64,
        /// How many; not 0.
        len: u64,
    },
}

/// The answer to a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The object. With [`ByteRange::UpTo`] and a larger object, `bytes` is empty and `info.size`
    /// tells why.
    Object(Box<Object>),
    /// The newest version is the one the caller has ([`ReadCondition::Not`]).
    Unchanged,
}

/// The bytes of a put.
#[derive(Clone, Debug)]
pub struct Body {
    /// All bytes.
    pub bytes: Bytes,
    /// What travels with them.
    pub meta: Meta,
}

/// Where a listing begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum After {
    /// At the first name.
    Start,
    /// After this name, which need not exist.
    Name(String),
    /// Where the last page ended.
    Page(Cursor),
}

/// The backend's own note of where a page ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

/// What to list.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Only names that begin with this.
    pub prefix: String,
    /// Whether names with a `/` after the prefix are folded into one prefix each.
    pub fold: bool,
    /// Where to begin.
    pub after: After,
    /// The most objects and prefixes together, 1 to 1000.
    pub limit: u16,
}

/// An object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: ObjectKey,
    /// Size in bytes.
    pub size: u64,
    /// When it was written.
    pub modified: SystemTime,
    /// Its version; some servers leave it out of listings.
    pub version: Option<Version>,
}

/// One page of a listing, in the order of the names' bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The objects.
    pub objects: Vec<Listed>,
    /// The folded prefixes, each with its closing `/`.
    pub prefixes: Vec<String>,
    /// Where the next page begins; none after the last.
    pub next: Option<Cursor>,
}

/// A version that a backend keeps of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectVersion {
    /// Its name, for [`ReadCondition::Snapshot`].
    pub snapshot: String,
    /// The version; none where the object was deleted.
    pub version: Option<Version>,
    /// Size in bytes; 0 where it was deleted.
    pub size: u64,
    /// When it was written, or the object deleted.
    pub modified: SystemTime,
    /// Whether it is what a read finds.
    pub newest: bool,
}

/// What a presigned URL allows its holder to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// To read the object.
    Get,
    /// To write it, if it is what is expected; without an expectation, whatever it is.
    Put(Option<Precondition>),
}

/// A signed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The address.
    pub url: String,
    /// Headers that a request must have besides, names and values.
    pub headers: Vec<(String, String)>,
}

/// What a backend can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest value, in bytes.
    pub value_bytes: u64,
    /// The longest object name, in bytes.
    pub key_bytes: usize,
    /// How much memory the names of listings under way may take, those of this process together; about
    /// 400 bytes each.
    pub listing_bytes: u64,
}

impl Limits {
    /// Those of S3: 5 GiB in one put, names of 1024 bytes.
    pub const S3: Self = Self {
        value_bytes: 5 << 30,
        key_bytes: 1024,
        listing_bytes: 256 << 20,
    };
}

/// Why a backend could not do what it was asked.
///
/// A refused write is no error: see [`Outcome::Refused`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The object, or the bucket, does not exist: the backend said so (ENOENT).
    #[error("{0} does not exist")]
    NotFound(String),
    /// The pinned version is no longer to be had (ESTALE).
    #[error("{0} no longer has the version that was opened")]
    VersionGone(ObjectKey),
    /// The backend refuses the caller, or does not know it (EACCES).
    #[error("access to {what} was denied: {why}")]
    Denied {
        /// Bucket or object.
        what: String,
        /// The backend's own words, with its request id, and whose credentials were used.
        #[source]
        why: Why,
        /// What it said no to.
        to: Denial,
    },
    /// The request certainly did nothing: it was never sent, or the backend asked for less load.
    /// Worth another try (EIO when there is no time left).
    #[error("{what} could not be reached: {why}")]
    Unreachable {
        /// Bucket or object.
        what: String,
        /// Cause, and the backend's request id if there was one.
        #[source]
        why: Why,
    },
    /// Another conditional write of the object was under way, and this one certainly did nothing; it is
    /// not said whether its condition held. Worth a look, and then perhaps another try (EIO when there
    /// is no time left).
    #[error("{what} is being written by somebody else: {why}")]
    Collided {
        /// The object.
        what: String,
        /// The backend's own words.
        why: String,
    },
    /// No answer in time (ETIMEDOUT).
    #[error("no answer about {what} within {seconds} s")]
    Deadline {
        /// Bucket or object.
        what: String,
        /// The deadline, in seconds.
        seconds: f32,
        /// What kept it from being answered, as far as that is known.
        cause: Option<Cause>,
    },
    /// The value or the name is larger than the backend holds (EFBIG).
    #[error("{what} is too large: {why}")]
    TooBig {
        /// The object.
        what: String,
        /// The limit.
        why: String,
    },
    /// The backend answered something that cannot be right: a body cut short, a missing version
    /// (EIO).
    #[error("the answer about {what} is damaged: {why}")]
    Corrupt {
        /// Bucket or object.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// This kind of backend cannot do this (ENOTSUP).
    #[error("{what}: {why}")]
    Unsupported {
        /// Bucket or object.
        what: String,
        /// What it cannot do.
        why: &'static str,
    },
    /// The backend failed, or cannot do this at all (EIO).
    #[error("{what} failed: {why}")]
    Failed {
        /// Bucket or object.
        what: String,
        /// The backend's own words, with its request id.
        #[source]
        why: Why,
    },
}

/// What a backend says no to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// Nobody: there are no credentials to ask with.
    Nobody,
    /// The credentials themselves: expired, unknown, wrong.
    Credentials,
    /// This request by these credentials.
    Request,
}

impl Error {
    /// Whether the backend said that the thing does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    /// What it comes of, as far as that is known.
    pub fn cause(&self) -> Option<&Cause> {
        match self {
            Self::Denied { why, .. } | Self::Unreachable { why, .. } | Self::Failed { why, .. } => {
                why.cause()
            }
            Self::Deadline { cause, .. } => cause.as_ref(),
            Self::NotFound(_)
            | Self::VersionGone(_)
            | Self::Collided { .. }
            | Self::TooBig { .. }
            | Self::Corrupt { .. }
            | Self::Unsupported { .. } => None,
        }
    }
}

/// A thing that holds objects and can compare-and-swap them.
///
/// Every call ends within the backend's own deadline. Reads retry inside; a put or a delete is
/// one attempt, whose lost answer is [`Outcome::Unknown`] (the decorator `settle` makes the best
/// of it).
#[async_trait]
pub trait Backend: Send + Sync + fmt::Debug {
    /// What messages call it: `s3://bucket`.
    fn name(&self) -> &str;

    /// Which server it asks; [`Server::NONE`] where there is none. A decorator passes it on.
    fn server(&self) -> &Server;

    /// What it can hold.
    fn limits(&self) -> Limits;

    /// What it was found to do in a way of its own; nothing where there is one way only. A decorator passes it
    /// on.
    fn habits(&self) -> Option<&Habits> {
        None
    }

    /// Reads an object.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::NotFound`] only when the backend said so.
    async fn get(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Fetched, Error>;

    /// Reads what is known of an object.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error>;

    /// Writes an object if it is what `expect` says.
    ///
    /// # Errors
    /// Any [`Error`] but [`Error::NotFound`] of the object; after one, the object certainly was
    /// not written.
    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error>;

    /// Deletes an object if it has this version. A missing object is a refusal.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error>;

    /// Lists one page.
    ///
    /// # Errors
    /// Any [`Error`]; [`Error::NotFound`] is about the bucket.
    async fn list(&self, query: &ListQuery) -> Result<Page, Error>;

    /// The versions that are kept of an object, newest first. A decorator passes it on.
    ///
    /// # Errors
    /// [`Error::Unsupported`], unless the backend keeps versions; any other [`Error`].
    async fn versions(&self, at: &ObjectKey) -> Result<Vec<ObjectVersion>, Error> {
        Err(Error::Unsupported {
            what: format!("{}/{at}", self.name()),
            why: "no old versions are kept there",
        })
    }

    /// The tags of an object, as the query of a URL. Only what a read says to have some need be asked
    /// about ([`Tags::Of`]). A decorator passes it on.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    async fn tags(&self, at: &ObjectKey) -> Result<String, Error> {
        Err(Error::Unsupported {
            what: format!("{}/{at}", self.name()),
            why: "there are no tags",
        })
    }

    /// A presigned URL that grants `grant` to its holder for `expires`. Makes no request. A decorator passes it on.
    ///
    /// # Errors
    /// [`Error::Unsupported`], unless the backend has such addresses; any other [`Error`].
    async fn presign(
        &self,
        at: &ObjectKey,
        grant: &Grant,
        expires: Duration,
    ) -> Result<Signed, Error> {
        let _ = (grant, expires);
        Err(Error::Unsupported {
            what: format!("{}/{at}", self.name()),
            why: "there are no signed addresses",
        })
    }
}
