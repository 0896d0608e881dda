//! What is asked of a store by name, without directories: the command line's view.
//!
//! A key is spelled as one text: itself in a plain store, its file name in a konserve store, where a
//! `/` may stand for its `%2F`. It knows no files and no mounts; listings here are of keys, those of
//! `listing.rs` are of the names in a directory.

use std::ffi::OsStr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::layout::Layout;
use super::listing::{AT_ONCE, Shown};
use super::{Child, Entry, Envelope, Error, InBucket, Opened, Store as _};
use crate::backend::{Fetched, Grant, Kept, Object, Pages, Pin, Signed, Span};
use crate::model::{BadName, Expect, FileName, Key, Outcome};

/// A part of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// What is known of the whole value.
    pub entry: Entry,
    /// What travels with it.
    pub envelope: Envelope,
    /// The bytes that were asked for.
    pub bytes: Bytes,
}

/// What a scan meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scanned {
    /// Keys that begin alike up to a `/`, by what they begin with.
    Prefix(String),
    /// A key, and how it is spelled.
    Key(String, Entry),
}

impl Scanned {
    /// The text that it is listed under.
    pub fn text(&self) -> &str {
        match self {
            Self::Prefix(text) | Self::Key(text, _) => text,
        }
    }
}

impl InBucket {
    /// The key that is spelled like this.
    ///
    /// # Errors
    /// [`Error::BadName`].
    pub(super) fn key_at(&self, text: &str) -> Result<Key, Error> {
        let Layout::Konserve(store) = &self.layout else {
            let key = Key::new(text)?;
            self.check_name(key.as_str())?;
            return Ok(key);
        };
        let name = FileName::new(OsStr::new(&text.replace('/', "%2F")))?;
        match store.child(&name)? {
            Child::Key(key) => Ok(key),
            Child::Either(..) | Child::Dir(_) | Child::Shadowed(..) => Err(BadName::Illegal.into()),
        }
    }

    /// Reads a part of one version of a key: `len` bytes from `start`, fewer at its end. Nothing if
    /// it is the version that [`Pin::Not`] names. One request, but of a konserve store the value is read
    /// whole.
    ///
    /// # Errors
    /// [`Error::VersionGone`] for a version that is not to be had; any other [`Error`].
    pub(super) async fn slice(
        &self,
        key: &Key,
        pin: &Pin,
        start: u64,
        len: u64,
    ) -> Result<Option<Slice>, Error> {
        if let Layout::Konserve(_) = &self.layout {
            return self.slice_of_whole(key, pin, start, len).await;
        }
        let span = Span::Range { start, len };
        let fetched = self.backend.get(&self.object(key), pin, span).await?;
        let Fetched::Object(object) = fetched else {
            return Ok(None);
        };
        let Object { info, bytes } = *object;
        Ok(Some(Slice {
            entry: self.entry(key.clone(), &info),
            envelope: Envelope {
                meta: info.meta,
                ..Envelope::default()
            },
            bytes,
        }))
    }

    async fn slice_of_whole(
        &self,
        key: &Key,
        pin: &Pin,
        start: u64,
        len: u64,
    ) -> Result<Option<Slice>, Error> {
        Ok(match self.open_pinned(key, pin, u64::MAX).await? {
            Opened::Unchanged => None,
            Opened::Whole(value) => {
                let size = value.bytes.len();
                let index = |at: u64| usize::try_from(at).map_or(size, |at| at.min(size));
                let bytes = value
                    .bytes
                    .slice(index(start)..index(start.saturating_add(len)));
                let entry = Entry {
                    key: key.clone(),
                    size: Some(size as u64),
                    modified: value.modified,
                    version: value.version,
                };
                Some(Slice {
                    entry,
                    envelope: value.envelope,
                    bytes,
                })
            }
            Opened::Large { entry, envelope } => {
                let bytes = self.read(key, &entry, start, len).await?;
                Some(Slice {
                    entry,
                    envelope,
                    bytes,
                })
            }
        })
    }

    /// Makes a value of lines, under a key that does not exist: in a konserve store one of its logs.
    ///
    /// # Errors
    /// Any [`Error`]; the key then certainly was not made.
    pub(super) async fn create_log(&self, key: &Key, lines: Bytes) -> Result<Outcome, Error> {
        match &self.layout {
            Layout::Konserve(store) => store.create_log(key, &lines).await,
            Layout::Plain => {
                let envelope = Envelope::default();
                self.put(key, lines, &envelope, &Expect::Absent).await
            }
        }
    }

    /// The versions that are kept of a key, newest first.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where none are; any other [`Error`].
    pub(super) async fn versions(&self, key: &Key) -> Result<Vec<Kept>, Error> {
        Ok(self.backend.versions(&self.object(key)).await?)
    }

    /// An address that allows something with a key to whoever has it, for so long. Sends nothing.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where a value is not the bytes of its object; any other [`Error`].
    pub(super) async fn presign(
        &self,
        key: &Key,
        grant: &Grant,
        expires: Duration,
    ) -> Result<Signed, Error> {
        if let Layout::Konserve(_) = &self.layout {
            return Err(Error::Unsupported(format!(
                "{} holds more than the value, in konserve's own format: a signed address leads to all of it",
                self.address(key)
            )));
        }
        let at = self.object(key);
        Ok(self.backend.presign(&at, grant, expires).await?)
    }

    /// As [`scan`](Self::scan), for somebody who compares the versions with those of the values. Unless it is known
    /// whether listings tell them, one more request asks that of the first key; two more, and another listing
    /// or two, if it seems that they do not.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    pub(super) async fn scan_versions(
        &self,
        beginning: &str,
        fold: bool,
    ) -> Result<Vec<Scanned>, Error> {
        let found = self.scan(beginning, fold).await?;
        let habits = self.backend.habits();
        let Some(habits) = habits.filter(|habits| habits.lists_versions().is_none()) else {
            return Ok(found);
        };
        let first = |found: &[Scanned]| {
            found.iter().find_map(|one| match one {
                Scanned::Key(_, entry) => Some((entry.key.clone(), entry.version.clone())),
                Scanned::Prefix(_) => None,
            })
        };
        let Some((key, listed)) = first(&found) else {
            return Ok(found);
        };
        let look = async || {
            let entry = self.describe(&key).await?;
            Ok::<_, Error>(entry.map(|entry| entry.version))
        };
        let before = look().await?;
        if before.as_ref() == Some(&listed) {
            habits.learn_listings(true);
            return Ok(found);
        }
        // Somebody may have saved it in between: only what is the same before and after is a proof.
        let again = self.scan(beginning, fold).await?;
        let listed = first(&again).filter(|(same, _)| *same == key);
        let is_same = before.is_some() && look().await? == before;
        if !is_same || listed.is_none_or(|(_, listed)| Some(listed) == before) {
            return Ok(again);
        }
        habits.learn_listings(false);
        self.scan(beginning, fold).await
    }

    /// All keys that are spelled with this beginning, in order; with `fold` only up to the next `/`.
    /// One LIST for every thousand objects, without the markers of empty directories.
    ///
    /// # Errors
    /// Any [`Error`]; never a part of the keys.
    pub(super) async fn scan(&self, beginning: &str, fold: bool) -> Result<Vec<Scanned>, Error> {
        if let Layout::Konserve(store) = &self.layout {
            let names = store.list().await?.into_iter();
            return Ok(names
                .filter_map(|(name, shown)| match shown {
                    Shown::File(entry) if name.as_str().starts_with(beginning) => {
                        Some(Scanned::Key(name.as_str().to_owned(), entry))
                    }
                    _ => None,
                })
                .collect());
        }
        let mut found = Vec::new();
        let query = self.query(beginning, fold, 1000);
        let mut pages = Pages::new(&*self.backend, query);
        while let Some(page) = pages.next().await? {
            for prefix in &page.prefixes {
                if let Some(text) = prefix.strip_prefix(&self.prefix) {
                    found.push(Scanned::Prefix(text.to_owned()));
                }
            }
            let keys = page.objects.into_iter().filter_map(|listed| {
                let text = self.relative(&listed.key)?.to_owned();
                let is_marker = listed.size == 0 && text.ends_with('/');
                let key = Key::new(&*text).ok().filter(|_| !is_marker)?;
                Some(async move {
                    let entry = self.entry_listed(key, listed).await?;
                    Ok::<_, Error>(entry.map(|entry| Scanned::Key(text, entry)))
                })
            });
            let mut keys = stream::iter(keys).buffered(AT_ONCE);
            while let Some(key) = keys.try_next().await? {
                found.extend(key);
            }
            drop(keys);
        }
        found.sort_by(|one, other| one.text().cmp(other.text()));
        Ok(found)
    }
}
