//! A key of a store, by requests of our own.
//!
//! Everything goes by way of [`Store`], whatever its layout. While the layout is in doubt a store is
//! taken for a plain one: that a key is found there proves it, and before anything else is said, or a
//! new key made, it is asked for. It knows no files.

use std::ffi::OsStr;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Error;
use super::home::Home;
use super::identity::Identity;
use super::location::{Location, Revision, new_id};
use super::retry::Tries;
use super::value::{
    About, Got, IN_MEMORY, MetadataChoice, Part, READS, ReadOutcome, ValueBytes, Wanted, joined,
};
use crate::backend::{Cause, Grant, ObjectVersion, ReadCondition, Signed, Why};
use crate::model::{Key, Outcome, Precondition, PutId, Version};
use crate::store::{Entry, Metadata, Opened, Store, Value};

type StoreError = crate::store::Error;

/// As little as can be asked for.
const LITTLE: Part = Part { start: 0, len: 1 };

/// How a large value is read: the size of a piece, and how many are read at once.
const PIECE: u64 = 8 << 20;
const PIECES: usize = 4;

/// A key of a store.
#[derive(Clone, Debug)]
pub struct Remote {
    home: Arc<Home>,
    /// How the key is spelled.
    text: String,
    label: String,
    binary: bool,
}

impl Remote {
    /// The key that is spelled like this.
    pub(super) fn new(home: Arc<Home>, text: String, label: String) -> Self {
        Self {
            home,
            text,
            label,
            binary: false,
        }
    }

    /// The store as it is taken for, and the key in it.
    fn assumed(&self) -> Result<Candidate, Error> {
        // Before it is asked: another key of the store may settle it meanwhile.
        let is_certain = self.home.is_certain();
        let store = self.home.assumed();
        let key = self.key(&store)?;
        Ok(Candidate {
            store,
            key,
            is_certain,
        })
    }

    /// The store as it is, and the key in it.
    async fn certain(&self) -> Result<Candidate, Error> {
        let store = self.home.certain().await?;
        let key = self.key(&store)?;
        Ok(Candidate {
            store,
            key,
            is_certain: true,
        })
    }

    /// The answer of a store that may not be what it is taken for; nothing if it is another, which is then to be asked
    /// the same. `found` says whether an answer proves that the key is there.
    async fn believed<T>(
        &self,
        asked: &mut Candidate,
        answer: Result<T, StoreError>,
        found: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, Error> {
        if asked.is_certain {
            return Ok(Some(answer?));
        }
        match answer {
            Ok(answer) if found(&answer) => {
                self.home.proved(asked.store.layout());
                Ok(Some(answer))
            }
            Err(error)
                if !matches!(error, StoreError::NotFound(_) | StoreError::VersionGone(_)) =>
            {
                Err(error.into())
            }
            nothing => {
                let certain = self.certain().await?;
                if certain.store.layout() == asked.store.layout() {
                    return Ok(Some(nothing?));
                }
                // What was asked for in vain was another object.
                *asked = certain;
                Ok(None)
            }
        }
    }

    fn key(&self, store: &Arc<dyn Store>) -> Result<Key, Error> {
        store.key_at(&self.text).map_err(|error| Error::BadName {
            label: self.label.clone(),
            error,
        })
    }

    /// The versions that a versioned bucket keeps of it, newest first.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn versions(&self) -> Result<Vec<ObjectVersion>, Error> {
        let mut asked = self.assumed()?;
        loop {
            let listed = asked.store.versions(&asked.key).await;
            let found = |kept: &Vec<ObjectVersion>| !kept.is_empty();
            if let Some(kept) = self.believed(&mut asked, listed, found).await? {
                return Ok(kept);
            }
        }
    }

    /// A presigned URL that grants `grant` to whoever has it.
    ///
    /// # Errors
    /// When there are no such URLs.
    pub async fn presign(&self, grant: &Grant, expires: Duration) -> Result<Signed, Error> {
        let Candidate { store, key, .. } = self.certain().await?;
        Ok(store.presign(&key, grant, expires).await?)
    }

    /// Makes a value of lines, if it does not exist; in a konserve store a log.
    ///
    /// # Errors
    /// When it cannot be made; a refusal is no error.
    pub async fn create_log(&self, lines: Bytes) -> Result<Outcome, Error> {
        let Candidate { store, key, .. } = self.certain().await?;
        Ok(store.create_log(&key, lines).await?)
    }

    /// The newest version and its metadata, and how long that took.
    async fn looked(&self, tries: &mut Tries) -> Result<Option<About>, Error> {
        let asked = Instant::now();
        let found = self.look().await?;
        tries.measured(asked.elapsed());
        Ok(found)
    }
}

#[async_trait]
impl Location for Remote {
    fn label(&self) -> String {
        self.label.clone()
    }

    fn spelling(&self) -> &OsStr {
        OsStr::new(&self.label)
    }

    async fn read(&self, wanted: &Wanted, part: Option<Part>) -> Result<ReadOutcome, Error> {
        let pin = match wanted {
            Wanted::Newest => ReadCondition::Newest,
            Wanted::Is(version) => ReadCondition::Is(version.clone()),
            Wanted::Not(version) => ReadCondition::Not(version.clone()),
            Wanted::Kept(id) => ReadCondition::Snapshot(id.clone()),
        };
        let found =
            |answer: &ReadOutcome| !matches!(answer, ReadOutcome::Absent | ReadOutcome::Other);
        let mut asked = self.assumed()?;
        loop {
            let answer = match part {
                Some(part) => read_part(&asked, &pin, part).await,
                None => read_whole(&asked, &pin).await,
            };
            if let Some(answer) = self.believed(&mut asked, answer, found).await? {
                return Ok(answer);
            }
        }
    }

    async fn look(&self) -> Result<Option<About>, Error> {
        let mut asked = self.assumed()?;
        loop {
            let found = asked.store.inspect(&asked.key).await;
            if let Some(found) = self.believed(&mut asked, found, Option::is_some).await? {
                return Ok(found.map(|(entry, metadata)| about(entry, metadata)));
            }
        }
    }

    async fn save_as(
        &self,
        bytes: Bytes,
        metadata: &Metadata,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome<Option<Version>>, Error> {
        let mut metadata = metadata.clone();
        metadata.binary |= self.binary;
        let mut asked = match expect {
            // A key that is new to a store that is no plain one would hide all others.
            Precondition::Absent => self.certain().await?,
            Precondition::Is(_) => self.assumed()?,
        };
        loop {
            let (store, key) = (&asked.store, &asked.key);
            let outcome = store
                .put_as(key, bytes.clone(), &metadata, expect, id)
                .await;
            let found = |outcome: &Outcome| !outcome.is_refused();
            if let Some(outcome) = self.believed(&mut asked, outcome, found).await? {
                return Ok(outcome.map(Some));
            }
        }
    }

    /// An object that is not there counts as deleted, so that it has to be the right one.
    async fn delete(&self, version: &Version) -> Result<Outcome<()>, Error> {
        let Candidate { store, key, .. } = self.certain().await?;
        Ok(store.delete(&key, version).await?)
    }

    async fn delete_existing(&self, version: &Version) -> Result<Outcome<()>, Error> {
        // A delete that finds nothing is done, whoever did it (W8).
        let found = self.look().await?.and_then(|about| about.version);
        match found.as_ref() == Some(version) {
            true => self.delete(version).await,
            false => Ok(Outcome::Refused(None)),
        }
    }

    async fn delete_any(&self, tries: &mut Tries) -> Result<Outcome<bool>, Error> {
        let found = self.looked(tries).await?;
        Ok(match found.and_then(|about| about.version) {
            None => Outcome::Committed(false),
            Some(version) => self.delete(&version).await?.map(|()| true),
        })
    }

    async fn overwrite(
        &self,
        bytes: Bytes,
        choice: &MetadataChoice,
        tries: &mut Tries,
    ) -> Result<Outcome<Option<Version>>, Error> {
        let found = self.looked(tries).await?;
        self.save_over(found, bytes, choice, new_id()).await
    }

    async fn save_over(
        &self,
        found: Option<About>,
        bytes: Bytes,
        choice: &MetadataChoice,
        id: PutId,
    ) -> Result<Outcome<Option<Version>>, Error> {
        let (expect, replaced) = match found {
            Some(about) => (Precondition::from(about.version), about.metadata),
            None => (Precondition::Absent, Metadata::default()),
        };
        let metadata = choice.over(replaced, &bytes);
        self.save_as(bytes, &metadata, &expect, id).await
    }

    async fn append(&self, lines: &Bytes, tries: &mut Tries) -> Result<Outcome<()>, Error> {
        let asked = Instant::now();
        let answer = self.read(&Wanted::Newest, None).await?;
        tries.measured(asked.elapsed());
        Ok(match answer {
            ReadOutcome::Got(got) => {
                let after = joined(&got.content.into_bytes()?, lines);
                let expect = Precondition::from(got.about.version);
                let metadata = got.about.metadata.of(&after);
                let saved = self.save_as(after, &metadata, &expect, new_id()).await?;
                saved.map(drop)
            }
            ReadOutcome::Absent | ReadOutcome::Other | ReadOutcome::Unchanged => {
                self.create_log(lines.clone()).await?.map(drop)
            }
        })
    }

    async fn read_to_change(&self, _within: Duration) -> Result<ReadOutcome, Error> {
        self.read(&Wanted::Newest, None).await
    }

    async fn metadata_of(&self, version: &Version) -> Result<Option<Metadata>, Error> {
        let found = self.look().await?;
        let found = found.filter(|about| about.version.as_ref() == Some(version));
        Ok(found.map(|about| about.metadata))
    }

    async fn with_tags(&self, metadata: Metadata) -> Result<Metadata, Error> {
        Ok(self.home.assumed().with_tags(metadata).await?)
    }

    async fn version_of(&self, told: Option<Version>, _bytes: &Bytes) -> Option<Version> {
        told
    }

    async fn last_put(&self) -> Result<Option<PutId>, Error> {
        let Candidate { store, key, .. } = self.certain().await?;
        Ok(store.last_put(&key).await?)
    }

    async fn put_id(&self, id: PutId) -> Result<Option<PutId>, Error> {
        Ok(Some(id))
    }

    /// No request, once it was read or looked at.
    async fn identity(&self) -> Result<Identity, Error> {
        let Candidate { store, key, .. } = self.certain().await?;
        Ok(Identity::of_object(&store.identity(&key)))
    }

    async fn observe(&self, known: Option<&Revision>) -> Result<Option<Revision>, Error> {
        let version = known.and_then(Revision::version).cloned();
        let wanted = version.map_or(Wanted::Newest, Wanted::Not);
        Ok(match self.read(&wanted, Some(LITTLE)).await? {
            ReadOutcome::Unchanged => known.cloned(),
            ReadOutcome::Got(got) => got.about.version.map(Revision::Version),
            ReadOutcome::Absent | ReadOutcome::Other => None,
        })
    }

    fn is_log(&self, about: &About) -> bool {
        about.metadata.is_log()
    }

    async fn delete_as_read(&self) -> Result<(), Error> {
        Err(Error::Unknown(self.label.clone()))
    }

    fn binary(self: Arc<Self>) -> Result<Arc<dyn Location>, Error> {
        Ok(Arc::new(Self {
            binary: true,
            ..Self::clone(&self)
        }))
    }
}

/// A store that is asked for a key.
struct Candidate {
    store: Arc<dyn Store>,
    key: Key,
    /// Whether there is no doubt that it is this one.
    is_certain: bool,
}

async fn read_part(
    asked: &Candidate,
    pin: &ReadCondition,
    part: Part,
) -> Result<ReadOutcome, StoreError> {
    let Candidate { store, key, .. } = asked;
    match store.slice(key, pin, part.start, part.len).await {
        Ok(None) => Ok(ReadOutcome::Unchanged),
        Ok(Some(slice)) => Ok(ReadOutcome::Got(Box::new(Got {
            about: about(slice.entry, slice.metadata),
            content: ValueBytes::Memory(slice.bytes),
        }))),
        Err(error) => not_there(store, key, error),
    }
}

async fn read_whole(asked: &Candidate, pin: &ReadCondition) -> Result<ReadOutcome, StoreError> {
    let Candidate { store, key, .. } = asked;
    for _ in 0..READS {
        match store.open_pinned(key, pin, IN_MEMORY).await {
            Ok(Opened::Unchanged) => return Ok(ReadOutcome::Unchanged),
            Ok(Opened::Whole(value)) => return Ok(ReadOutcome::Got(Box::new(got(value)))),
            Ok(Opened::Large { entry, metadata }) => {
                match spool(store, key, &entry).await {
                    Ok(content) => {
                        let about = about(entry, metadata);
                        return Ok(ReadOutcome::Got(Box::new(Got { about, content })));
                    }
                    // Somebody saved while it was read: the newest is another one now.
                    Err(StoreError::VersionGone(_))
                        if matches!(pin, ReadCondition::Newest | ReadCondition::Not(_)) => {}
                    Err(error) => return not_there(store, key, error),
                }
            }
            Err(error) => return not_there(store, key, error),
        }
    }
    Err(StoreError::VersionGone(format!(
        "{} was saved again and again while it was read",
        store.address(key)
    )))
}

/// What an error of a read says, if it says that there is nothing.
fn not_there(
    store: &Arc<dyn Store>,
    key: &Key,
    error: StoreError,
) -> Result<ReadOutcome, StoreError> {
    match error {
        // Not the bucket.
        StoreError::NotFound(what) if what == store.address(key) => Ok(ReadOutcome::Absent),
        StoreError::VersionGone(_) => Ok(ReadOutcome::Other),
        error => Err(error),
    }
}

fn got(value: Value) -> Got {
    Got {
        about: About {
            version: Some(value.version),
            size: Some(value.bytes.len() as u64),
            modified: value.modified,
            metadata: value.metadata,
        },
        content: ValueBytes::Memory(value.bytes),
    }
}

fn about(entry: Entry, metadata: Metadata) -> About {
    About {
        version: Some(entry.version),
        size: entry.size,
        modified: entry.modified,
        metadata,
    }
}

/// Reads one version of a large value into a file, so that nobody sees a part of it.
async fn spool(store: &Arc<dyn Store>, key: &Key, entry: &Entry) -> Result<ValueBytes, StoreError> {
    let local = |error: std::io::Error| {
        let words = format!("a temporary file: {error}");
        StoreError::Failed(Why::because(Cause::TemporaryFile, words).over(error))
    };
    let mut file = tempfile::tempfile().map_err(local)?;
    let size = entry.size.unwrap_or_default();
    let starts = (0..size.div_ceil(PIECE)).map(|piece| piece * PIECE);
    let mut pieces = stream::iter(starts)
        .map(|start| store.read(key, entry, start, PIECE))
        .buffered(PIECES);
    while let Some(piece) = pieces.try_next().await? {
        file.write_all(&piece).map_err(local)?;
    }
    Ok(ValueBytes::Spooled(file))
}
