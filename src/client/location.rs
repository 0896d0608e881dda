//! A key or a file, as every verb sees it: to be read, saved and deleted.
//!
//! [`Location`] has two implementations: a key of a store by requests (`remote.rs`), and a file by the filesystem
//! (`path.rs`). Each of its functions makes one attempt, and a refusal is an answer, as everywhere below this layer.
//! The verbs (`put.rs`, `update.rs`, ...) try again, and decide what a refusal means.

use std::ffi::OsStr;
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::Error;
use super::identity::Identity;
use super::retry::Tries;
use super::value::{About, MetadataChoice, Part, ReadOutcome, Wanted};
use crate::model::{Outcome, Precondition, PutId, Version};
use crate::store::Metadata;

/// A key of a store, or a file. See [`Client::location`](super::Client::location).
///
/// The functions of this trait are single attempts. Use the functions of this module, which try again where that
/// helps: [`put`](super::put()), [`update`](super::update()), [`append`](super::append()) and the like.
#[async_trait]
pub trait Location: Send + Sync {
    /// What messages call it.
    fn label(&self) -> String;

    /// What it is called, byte for byte.
    fn spelling(&self) -> &OsStr;

    /// Reads a value, or a part of it. One request, but for large values, and in konserve stores.
    ///
    /// # Errors
    /// When it cannot be read; absence is no error.
    async fn read(&self, wanted: &Wanted, part: Option<Part>) -> Result<ReadOutcome, Error>;

    /// What is known of it, without its bytes; nothing if it does not exist. One request.
    ///
    /// # Errors
    /// When that cannot be found out.
    async fn look(&self) -> Result<Option<About>, Error>;

    /// Saves a value if the key is what `expect` says, under a number that the caller knows again; a mount gives its
    /// saves numbers of its own. One request.
    ///
    /// # Errors
    /// When it cannot be saved; a refusal is no error.
    async fn save_as(
        &self,
        bytes: Bytes,
        metadata: &Metadata,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome<Option<Version>>, Error>;

    /// Deletes it if it has this version. One request. A key that is gone counts as deleted.
    ///
    /// # Errors
    /// When it cannot be deleted; a refusal is no error.
    async fn delete(&self, version: &Version) -> Result<Outcome<()>, Error>;

    /// As [`delete`](Self::delete), but a key that is gone is a refusal. Two requests.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    async fn delete_existing(&self, version: &Version) -> Result<Outcome<()>, Error>;

    /// Deletes whatever is there now; whether there was anything. Two requests.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    async fn delete_any(&self, tries: &mut Tries) -> Result<Outcome<bool>, Error>;

    /// Saves a value over whatever is there now, and nothing newer. Two requests.
    ///
    /// # Errors
    /// As [`save_as`](Self::save_as).
    async fn overwrite(
        &self,
        bytes: Bytes,
        choice: &MetadataChoice,
        tries: &mut Tries,
    ) -> Result<Outcome<Option<Version>>, Error>;

    /// Saves a value over what [`look`](Self::look) found, and nothing else, under a number that the caller knows
    /// again. One request.
    ///
    /// # Errors
    /// As [`save_as`](Self::save_as).
    async fn save_over(
        &self,
        found: Option<About>,
        bytes: Bytes,
        choice: &MetadataChoice,
        id: PutId,
    ) -> Result<Outcome<Option<Version>>, Error>;

    /// Puts lines behind what is there now; makes it if it does not exist, in a konserve store as a log. Two
    /// requests.
    ///
    /// # Errors
    /// As [`save_as`](Self::save_as).
    async fn append(&self, lines: &Bytes, tries: &mut Tries) -> Result<Outcome<()>, Error>;

    /// Reads the newest value to change it, in this time at most where the store has no deadline of its own.
    ///
    /// # Errors
    /// As [`read`](Self::read), and [`Error::Late`].
    async fn read_to_change(&self, within: Duration) -> Result<ReadOutcome, Error>;

    /// Keeps other updates away from what has no version; held until it is dropped.
    ///
    /// # Errors
    /// [`Error::Locked`].
    async fn lock(&self, _tries: &mut Tries) -> Result<Lock, Error> {
        Ok(Lock { _held: None })
    }

    /// The metadata that a save over this version has to send for it to stay the same; nothing if the key has another
    /// version. At most one request.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    async fn metadata_of(&self, version: &Version) -> Result<Option<Metadata>, Error>;

    /// Metadata that is to be laid on another place: with the tags, if there are some. A request then.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn with_tags(&self, metadata: Metadata) -> Result<Metadata, Error> {
        Ok(metadata)
    }

    /// The version that a save of these bytes made, where the save itself did not tell.
    async fn version_of(&self, told: Option<Version>, bytes: &Bytes) -> Option<Version>;

    /// The save that wrote the newest version, if its writer told.
    ///
    /// # Errors
    /// When that cannot be found out.
    async fn last_put(&self) -> Result<Option<PutId>, Error>;

    /// The number of a save that was just made here as `id`.
    ///
    /// # Errors
    /// As [`last_put`](Self::last_put).
    async fn put_id(&self, id: PutId) -> Result<Option<PutId>, Error>;

    /// What it is, whatever it is called.
    ///
    /// # Errors
    /// When that cannot be found out.
    async fn identity(&self) -> Result<Identity, Error>;

    /// How it is now; asks as little as is needed to see whether it is as it was.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    async fn observe(&self, known: Option<&Revision>) -> Result<Option<Revision>, Error>;

    /// Whether it is a directory.
    ///
    /// # Errors
    /// When that cannot be found out.
    async fn is_directory(&self) -> Result<bool, Error> {
        Ok(false)
    }

    /// Whether it is a log of konserve, of which this is known.
    fn is_log(&self, about: &About) -> bool;

    /// That it can be moved, or moved to: a move must not go into a pipe.
    ///
    /// # Errors
    /// When it cannot.
    async fn check_movable(&self) -> Result<(), Error> {
        Ok(())
    }

    /// That it can be deleted, as far as that is known before a move writes its copy.
    ///
    /// # Errors
    /// Why not.
    async fn check_deletable(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Deletes what has no version if it still is what was read.
    ///
    /// # Errors
    /// When it is not, or cannot be deleted.
    async fn delete_as_read(&self) -> Result<(), Error>;

    /// The same; what is saved there is to be a binary value of a konserve store.
    ///
    /// # Errors
    /// For a file, which cannot say that.
    fn binary(self: Arc<Self>) -> Result<Arc<dyn Location>, Error>;
}

/// What keeps other updates away, see [`Location::lock`].
#[derive(Debug)]
pub struct Lock {
    pub(super) _held: Option<File>,
}

/// How a key or file is, as far as it takes to see a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revision {
    /// It has this version.
    Version(Version),
    /// A file that has no version: its time, and its size in bytes, have to do.
    Stamp(SystemTime, u64),
}

impl Revision {
    /// The version, if it has one.
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::Version(version) => Some(version),
            Self::Stamp(..) => None,
        }
    }
}

/// A number for one save.
pub(super) fn new_id() -> PutId {
    PutId::new(Uuid::new_v4().as_u128())
}

/// That another writer was first.
pub(crate) fn conflict(label: String, expect: &Precondition) -> Error {
    match expect {
        Precondition::Absent => Error::Exists(label),
        Precondition::Is(version) => Error::Replaced {
            label,
            version: version.clone(),
        },
    }
}

/// What a save under a condition came to.
///
/// # Errors
/// A conflict, or that nothing is known.
pub(crate) fn settled<T>(
    label: String,
    outcome: Outcome<T>,
    expect: &Precondition,
) -> Result<T, Error> {
    match outcome {
        Outcome::Committed(saved) => Ok(saved),
        Outcome::Refused(_) => Err(conflict(label, expect)),
        Outcome::Unknown => Err(Error::Unknown(label)),
    }
}
