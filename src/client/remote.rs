//! A key of a store, by requests of our own.
//!
//! Everything goes by way of [`Store`], whatever its layout. While the layout is in doubt a store is
//! taken for a plain one: that a key is found there proves it, and before anything else is said, or a
//! new key made, it is asked for. It knows no files.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::identity::Identity;
use super::place::{About, Answer, Content, Got, IN_MEMORY, Part, READS, Wanted};
use super::session::Home;
use crate::backend::{Cause, Grant, Kept, Pin, Signed, Why};
use crate::cli::report::Failure;
use crate::model::{BadName, Expect, Key, Outcome, PutId, Version};
use crate::store::{Entry, Envelope, Error, Opened, Store, Value};

/// How a large value is read: in pieces of so many bytes, so many at once.
const PIECE: u64 = 8 << 20;
const PIECES: usize = 4;

/// A key of a store.
pub(in crate::cli) struct Remote {
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

    /// The same; what is saved there is to be a binary value, where a layout has such.
    pub(super) fn binary(self) -> Self {
        Self {
            binary: true,
            ..self
        }
    }

    /// What messages call it.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Asks a store that may not be what it is taken for. `found` says whether an answer proves that
    /// the key is there.
    async fn ask<T>(
        &self,
        ask: impl AsyncFn(&Arc<dyn Store>, &Key) -> Result<T, Error>,
        found: impl Fn(&T) -> bool,
    ) -> Result<T, Failure> {
        // Before it is asked: another key of the store may settle it meanwhile.
        let is_certain = self.home.is_certain();
        let assumed = self.home.assumed();
        let answer = ask(&assumed, &self.key(&assumed)?).await;
        if is_certain {
            return Ok(answer?);
        }
        match answer {
            Ok(answer) if found(&answer) => {
                self.home.proved(assumed.layout());
                Ok(answer)
            }
            Err(error) if !matches!(error, Error::NotFound(_) | Error::VersionGone(_)) => {
                Err(error.into())
            }
            nothing => {
                let store = self.home.certain().await?;
                match store.layout() == assumed.layout() {
                    true => Ok(nothing?),
                    // In another layout; what was asked for in vain was something else.
                    false => Ok(ask(&store, &self.key(&store)?).await?),
                }
            }
        }
    }

    fn key(&self, store: &Arc<dyn Store>) -> Result<Key, Failure> {
        store.key_at(&self.text).map_err(|error| {
            let hint = match error {
                Error::BadName(BadName::TooLong) => {
                    "an object's name has at most 1024 bytes, what comes before the key among them"
                }
                _ => "see how keys are spelled: etagfs ls",
            };
            Failure::usage(format!("{}: {error}", self.label)).hint(hint)
        })
    }

    /// See [`super::place::Place::read`].
    pub(super) async fn read(
        &self,
        wanted: &Wanted,
        part: Option<Part>,
    ) -> Result<Answer, Failure> {
        let pin = match wanted {
            Wanted::Newest => Pin::Newest,
            Wanted::Is(version) => Pin::Is(version.clone()),
            Wanted::Not(version) => Pin::Not(version.clone()),
            Wanted::Kept(id) => Pin::Snapshot(id.clone()),
        };
        let read = async |store: &Arc<dyn Store>, key: &Key| match part {
            Some(part) => Self::part(store, key, &pin, part).await,
            None => Self::whole(store, key, &pin).await,
        };
        let found = |answer: &Answer| !matches!(answer, Answer::Absent | Answer::Other);
        self.ask(read, found).await
    }

    async fn part(
        store: &Arc<dyn Store>,
        key: &Key,
        pin: &Pin,
        part: Part,
    ) -> Result<Answer, Error> {
        match store.slice(key, pin, part.start, part.len).await {
            Ok(None) => Ok(Answer::Unchanged),
            Ok(Some(slice)) => Ok(Answer::Got(Box::new(Got {
                about: about(slice.entry, slice.envelope),
                content: Content::Memory(slice.bytes),
            }))),
            Err(error) => not_there(store, key, error),
        }
    }

    async fn whole(store: &Arc<dyn Store>, key: &Key, pin: &Pin) -> Result<Answer, Error> {
        for _ in 0..READS {
            match store.open_pinned(key, pin, IN_MEMORY).await {
                Ok(Opened::Unchanged) => return Ok(Answer::Unchanged),
                Ok(Opened::Whole(value)) => return Ok(Answer::Got(Box::new(got(value)))),
                Ok(Opened::Large { entry, envelope }) => {
                    match spool(store, key, &entry).await {
                        Ok(content) => {
                            let about = about(entry, envelope);
                            return Ok(Answer::Got(Box::new(Got { about, content })));
                        }
                        // Somebody saved while it was read: the newest is another one now.
                        Err(Error::VersionGone(_)) if matches!(pin, Pin::Newest | Pin::Not(_)) => {}
                        Err(error) => return not_there(store, key, error),
                    }
                }
                Err(error) => return not_there(store, key, error),
            }
        }
        Err(Error::VersionGone(format!(
            "{} was saved again and again while it was read",
            store.address(key)
        )))
    }

    /// The versions that are kept of it, newest first.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(super) async fn versions(&self) -> Result<Vec<Kept>, Failure> {
        let list = async |store: &Arc<dyn Store>, key: &Key| store.versions(key).await;
        self.ask(list, |kept| !kept.is_empty()).await
    }

    /// An address that allows something with it to whoever has it.
    ///
    /// # Errors
    /// When there are no such addresses.
    pub(super) async fn presign(
        &self,
        grant: &Grant,
        expires: Duration,
    ) -> Result<Signed, Failure> {
        let store = self.home.certain().await?;
        Ok(store.presign(&self.key(&store)?, grant, expires).await?)
    }

    /// See [`super::place::Place::look`].
    pub(super) async fn look(&self) -> Result<Option<About>, Failure> {
        let inspect = async |store: &Arc<dyn Store>, key: &Key| store.inspect(key).await;
        let found = self.ask(inspect, Option::is_some).await?;
        Ok(found.map(|(entry, envelope)| about(entry, envelope)))
    }

    /// See [`super::place::Place::identity`]. No request, once it was read or looked at.
    pub(super) async fn identity(&self) -> Result<Identity, Failure> {
        let store = match self.home.is_certain() {
            true => self.home.assumed(),
            false => self.home.certain().await?,
        };
        Ok(Identity::of_object(&store.identity(&self.key(&store)?)))
    }

    /// See [`super::place::Place::last_put`].
    pub(super) async fn last_put(&self) -> Result<Option<PutId>, Failure> {
        let store = self.home.certain().await?;
        Ok(store.last_put(&self.key(&store)?).await?)
    }

    /// See [`super::place::Place::with_tags`].
    pub(super) async fn with_tags(&self, envelope: Envelope) -> Result<Envelope, Failure> {
        Ok(self.home.assumed().with_tags(envelope).await?)
    }

    /// See [`super::place::Place::save_as`].
    pub(super) async fn save_as(
        &self,
        bytes: Bytes,
        envelope: &Envelope,
        expect: &Expect,
        id: PutId,
    ) -> Result<Outcome<Option<Version>>, Failure> {
        let mut envelope = envelope.clone();
        envelope.binary |= self.binary;
        let put = async |store: &Arc<dyn Store>, key: &Key| {
            let bytes = bytes.clone();
            store.put_as(key, bytes, &envelope, expect, id).await
        };
        let outcome = match expect {
            // A key that is new to a store that is no plain one would hide all others.
            Expect::Absent => {
                let store = self.home.certain().await?;
                put(&store, &self.key(&store)?).await?
            }
            Expect::Is(_) => self.ask(put, |outcome| !outcome.is_refused()).await?,
        };
        Ok(outcome.map(Some))
    }

    /// Makes a value of lines, if it does not exist; in a konserve store a log.
    ///
    /// # Errors
    /// When it cannot be made; a refusal is no error.
    pub(super) async fn create_log(&self, lines: Bytes) -> Result<Outcome, Failure> {
        let store = self.home.certain().await?;
        Ok(store.create_log(&self.key(&store)?, lines).await?)
    }

    /// See [`super::place::Place::delete`]. An object that is not there counts as deleted, so that it has
    /// to be the right one.
    pub(super) async fn delete(&self, version: &Version) -> Result<Outcome<()>, Failure> {
        let store = self.home.certain().await?;
        Ok(store.delete(&self.key(&store)?, version).await?)
    }
}

/// What an error of a read says, if it says that there is nothing.
fn not_there(store: &Arc<dyn Store>, key: &Key, error: Error) -> Result<Answer, Error> {
    match error {
        // Not the bucket.
        Error::NotFound(what) if what == store.address(key) => Ok(Answer::Absent),
        Error::VersionGone(_) => Ok(Answer::Other),
        error => Err(error),
    }
}

fn got(value: Value) -> Got {
    Got {
        about: About {
            version: Some(value.version),
            size: Some(value.bytes.len() as u64),
            modified: value.modified,
            envelope: value.envelope,
        },
        content: Content::Memory(value.bytes),
    }
}

fn about(entry: Entry, envelope: Envelope) -> About {
    About {
        version: Some(entry.version),
        size: entry.size,
        modified: entry.modified,
        envelope,
    }
}

/// Reads one version of a large value into a file, so that nobody sees a part of it.
async fn spool(store: &Arc<dyn Store>, key: &Key, entry: &Entry) -> Result<Content, Error> {
    let local = |error: std::io::Error| {
        let words = format!("a temporary file: {error}");
        Error::Failed(Why::because(Cause::TemporaryFile, words))
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
    Ok(Content::Spooled(file))
}
