//! A key or a file, as every key-value command sees it: to be read, saved and deleted.
//!
//! [`Place`] is one of the two ways, [`Remote`] without a mount and [`PathKey`] through the
//! filesystem, behind one set of verbs. No verb here decides what a user meant; the commands do. A
//! refusal is an answer, as everywhere in this crate.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use uuid::Uuid;

use super::identity::Identity;
use super::path::PathKey;
use super::remote::Remote;
use crate::cli::report::Failure;
use crate::model::{Expect, Outcome, PutId, Version};
use crate::store::Envelope;

/// Up to this size, in bytes, a value is held in memory; a larger one in a file without a name.
pub(super) const IN_MEMORY: u64 = 64 << 20;

/// How often a read begins anew when its version goes away under it.
pub(super) const READS: u32 = 10;

/// A key in a store, or a file.
pub(in crate::cli) enum Place {
    /// By requests of our own.
    Remote(Remote),
    /// By the filesystem.
    Path(Arc<PathKey>),
}

/// What is known of a value without its bytes.
#[derive(Clone, Debug)]
pub(in crate::cli) struct About {
    /// The version; a file that is in no mount has none.
    pub(in crate::cli) version: Option<Version>,
    /// Its size in bytes, if that is known without reading it.
    pub(in crate::cli) size: Option<u64>,
    /// When this version was written.
    pub(in crate::cli) modified: SystemTime,
    /// What travels with it.
    pub(in crate::cli) envelope: Envelope,
}

/// A value.
pub(in crate::cli) struct Got {
    /// What is known of it.
    pub(in crate::cli) about: About,
    /// Its bytes.
    pub(in crate::cli) content: Content,
}

/// The bytes of a value, all of them.
#[derive(Debug)]
pub(in crate::cli) enum Content {
    /// In memory.
    Memory(Bytes),
    /// In a file that nobody else sees, from its beginning.
    Spooled(File),
}

impl Content {
    /// All bytes, in memory.
    ///
    /// # Errors
    /// When the local disk fails.
    pub(in crate::cli) fn into_bytes(self) -> Result<Bytes, Failure> {
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
    pub(in crate::cli) fn reader(self) -> Result<Box<dyn Read>, Failure> {
        Ok(match self {
            Self::Memory(bytes) => Box::new(std::io::Cursor::new(bytes)),
            Self::Spooled(mut file) => {
                file.seek(SeekFrom::Start(0))?;
                Box::new(file)
            }
        })
    }
}

/// Which version a read wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Wanted {
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
pub(in crate::cli) enum Answer {
    /// The value.
    Got(Box<Got>),
    /// [`Wanted::Not`]: it is still that one.
    Unchanged,
    /// [`Wanted::Is`]: it is another one, or none. [`Wanted::Kept`]: there is none.
    Other,
    /// There is no such key; the store said so.
    Absent,
}

/// Part of a value: so many bytes from so many on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Part {
    /// The first byte.
    pub(in crate::cli) start: u64,
    /// How many, at most; not 0.
    pub(in crate::cli) len: u64,
}

/// Works on a file in a thread of its own: its filesystem may answer late or never, and signals and clocks
/// are heard meanwhile.
///
/// # Errors
/// Those of the work.
pub(in crate::cli) async fn blocking<T: Send + 'static>(
    path: &Arc<PathKey>,
    work: impl FnOnce(&PathKey) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let path = Arc::clone(path);
    let working = tokio::task::spawn_blocking(move || work(&path));
    working
        .await
        .unwrap_or_else(|error| Err(Failure::new(error.to_string())))
}

impl Place {
    /// The same; what is saved there is to be a binary value of a konserve store.
    ///
    /// # Errors
    /// For a path: files cannot say that.
    pub(in crate::cli) fn binary(self) -> Result<Self, Failure> {
        match self {
            Self::Remote(remote) => Ok(Self::Remote(remote.binary())),
            Self::Path(path) => Err(Failure::usage(format!(
                "{}: a file cannot say that its value is binary",
                path.label()
            ))
            .hint("name the key by its URL: s3://BUCKET/UUID/KEY")),
        }
    }

    /// What messages call it.
    pub(in crate::cli) fn label(&self) -> String {
        match self {
            Self::Remote(remote) => remote.label().to_owned(),
            Self::Path(path) => path.label(),
        }
    }

    /// What it is called, byte for byte.
    pub(in crate::cli) fn spelling(&self) -> &OsStr {
        match self {
            Self::Remote(remote) => OsStr::new(remote.label()),
            Self::Path(path) => path.spelling(),
        }
    }

    /// Reads a value, or a part of it.
    ///
    /// # Errors
    /// When it cannot be read; absence is no error.
    pub(in crate::cli) async fn read(
        &self,
        wanted: &Wanted,
        part: Option<Part>,
    ) -> Result<Answer, Failure> {
        match self {
            Self::Remote(remote) => remote.read(wanted, part).await,
            Self::Path(path) => {
                let wanted = wanted.clone();
                blocking(path, move |path| path.read(&wanted, part)).await
            }
        }
    }

    /// What is known of it, without its bytes; nothing if it does not exist.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(in crate::cli) async fn look(&self) -> Result<Option<About>, Failure> {
        match self {
            Self::Remote(remote) => remote.look().await,
            Self::Path(path) => blocking(path, PathKey::look).await,
        }
    }

    /// What it is, whatever it is called.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(in crate::cli) async fn identity(&self) -> Result<Identity, Failure> {
        match self {
            Self::Remote(remote) => remote.identity().await,
            Self::Path(path) => blocking(path, PathKey::identity).await,
        }
    }

    /// What travels with it, to be laid on another place: with its tags, if it has some. A request then.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(in crate::cli) async fn with_tags(&self, envelope: Envelope) -> Result<Envelope, Failure> {
        match self {
            Self::Remote(remote) => remote.with_tags(envelope).await,
            Self::Path(_) => Ok(envelope),
        }
    }

    /// Saves a value if the key is what `expect` says.
    ///
    /// # Errors
    /// When it cannot be saved; a refusal is no error.
    pub(in crate::cli) async fn save(
        &self,
        bytes: Bytes,
        envelope: &Envelope,
        expect: &Expect,
    ) -> Result<Outcome<Option<Version>>, Failure> {
        self.save_as(
            bytes,
            envelope,
            expect,
            PutId::new(Uuid::new_v4().as_u128()),
        )
        .await
    }

    /// The same, under a number that the caller knows again; a mount gives its saves numbers of its own.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub(in crate::cli) async fn save_as(
        &self,
        bytes: Bytes,
        envelope: &Envelope,
        expect: &Expect,
        id: PutId,
    ) -> Result<Outcome<Option<Version>>, Failure> {
        match self {
            Self::Remote(remote) => remote.save_as(bytes, envelope, expect, id).await,
            Self::Path(path) => {
                let (envelope, expect) = (envelope.clone(), expect.clone());
                blocking(path, move |path| path.save(&bytes, &envelope, &expect)).await
            }
        }
    }

    /// The save that wrote its newest version, if that is told.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(in crate::cli) async fn last_put(&self) -> Result<Option<PutId>, Failure> {
        match self {
            Self::Remote(remote) => remote.last_put().await,
            Self::Path(path) => blocking(path, PathKey::last_put).await,
        }
    }

    /// The version that a save of these bytes made, where the save itself did not tell.
    pub(in crate::cli) async fn version_of(
        &self,
        told: Option<Version>,
        bytes: &Bytes,
    ) -> Option<Version> {
        match self {
            Self::Remote(_) => told,
            Self::Path(_) if told.is_some() => told,
            Self::Path(path) => {
                let bytes = bytes.clone();
                blocking(path, move |path| Ok(path.version_of(&bytes)))
                    .await
                    .unwrap_or_default()
            }
        }
    }

    /// Deletes it if it has this version.
    ///
    /// # Errors
    /// When it cannot be deleted; a refusal is no error.
    pub(in crate::cli) async fn delete(&self, version: &Version) -> Result<Outcome<()>, Failure> {
        match self {
            Self::Remote(remote) => remote.delete(version).await,
            Self::Path(path) => {
                let version = version.clone();
                blocking(path, move |path| path.delete(&version)).await
            }
        }
    }

    /// That it does not exist.
    pub(in crate::cli) fn absent(&self) -> Failure {
        let label = self.label();
        let around = label.rsplit_once('/').map_or(".", |(around, _)| around);
        Failure::absent(format!("{label} does not exist"))
            .hint(format!("see what there is: etagfs ls {around}/"))
    }

    /// That somebody else was first.
    pub(in crate::cli) fn conflict(&self, expect: &Expect) -> Failure {
        let label = self.label();
        match expect {
            Expect::Absent => Failure::conflict(format!("{label} exists already"))
                .hint(format!("see what it is: etagfs stat {label}")),
            Expect::Is(version) => Failure::conflict(format!(
                "{label} does not have the version {version} any more: somebody else was first"
            ))
            .hint(format!(
                "read it again, and try again: etagfs get --etag {label}"
            )),
        }
    }

    /// That others were faster again and again.
    pub(in crate::cli) fn contended(&self, tries: u32) -> Failure {
        Failure::conflict(format!(
            "{} was saved by others again and again; gave up after {tries} tries",
            self.label()
        ))
        .hint("nothing was changed; give it more time: --timeout SECONDS")
    }

    /// That nothing proves whether a write happened.
    pub(in crate::cli) fn unknown(&self) -> Failure {
        Failure::new(format!(
            "it is not known whether {} was written: the answer was lost",
            self.label()
        ))
        .hint("read it before you try again")
    }
}
