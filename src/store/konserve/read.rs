//! Reading: one object, one request, unless it is large or a log.
//!
//! A look-up asks for the whole object, since a file's size is known only then, and the open that
//! follows has what it needs. Of larger objects the beginning is read first: a binary value is read
//! in pieces behind it, any other has to be decoded whole.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::origin::Origin;
use super::{KonserveStore, ObjectRef, key, target};
use crate::backend::{self, ByteRange, Fetched, Object, ObjectMeta, ReadCondition};
use crate::model::{BadName, FileName, Key, Version};
use crate::store::object::{check_size, not_asked};
use crate::store::{Entry, Error, Found, Metadata, Opened, Value};
use konserve_codec::blob::{HEADER_BYTES, Header, Unreadable};
use konserve_codec::edn;
use konserve_codec::file::{Content, Glance, Glanced, Stored, glance};

/// Objects up to this size, in bytes, are read whole to learn what they are.
const PEEK: u64 = 1 << 20;
/// Values that must be decoded are read up to this size, in bytes.
const MOST: u64 = 32 << 20;
/// How much of an object is asked for to learn its key: for most objects this is all of it.
pub(super) const BEGINNING: u64 = 8 << 10;
/// Values above this size are decoded on a thread of their own.
const LONG: usize = 128 << 10;

/// An object, as far as it was read.
pub(super) struct Looked {
    pub(super) info: ObjectMeta,
    /// What it is, or why that cannot be said.
    pub(super) origin: Result<Arc<Origin>, Unreadable>,
    /// All of its bytes, if they were read.
    pub(super) bytes: Option<Bytes>,
}

impl Looked {
    /// Where the bytes begin that the file shows as they are stored.
    fn value_at(&self) -> u64 {
        match &self.origin {
            Ok(origin) => origin.stored.header.value_at(),
            Err(_) => 0,
        }
    }

    fn stored_size(&self) -> u64 {
        self.info.size.saturating_sub(self.value_at())
    }

    fn stored(&self) -> Option<Bytes> {
        let at = usize::try_from(self.value_at()).ok()?;
        let bytes = self.bytes.as_ref()?;
        Some(bytes.slice(at.min(bytes.len())..))
    }

    /// The size of the file, if it is known.
    pub(super) fn size(&self, raw: bool) -> Option<u64> {
        match &self.origin {
            _ if raw => Some(self.stored_size()),
            Err(_) => Some(self.stored_size()),
            Ok(origin) => match &origin.stored.content {
                Content::Text(text) => Some(text.len() as u64),
                Content::Binary => Some(self.stored_size()),
                Content::Log(_, text) => text.as_ref().map(|text| text.len() as u64),
                Content::Opaque(_) | Content::Unread => None,
            },
        }
    }

    pub(super) fn metadata(&self) -> Metadata {
        Metadata {
            meta: self.info.meta.clone(),
            origin: self.origin.clone().ok().map(|origin| origin as _),
            binary: false,
        }
    }

    fn value(&self, bytes: Bytes) -> Value {
        Value {
            bytes,
            version: self.info.version.clone(),
            modified: self.info.modified,
            metadata: self.metadata(),
        }
    }

    /// What a listing would tell of it. Of a value that was not read whole, the size is the one that is
    /// remembered of this version, else that of what is stored; nothing of a log.
    fn entry(&self, asked: &Key, raw: bool, remembered: Option<u64>) -> Entry {
        let text = match &self.origin {
            Ok(origin) => Some(edn::print_line(origin.stored.metadata.key()).into()),
            Err(_) => asked.text().map(Into::into),
        };
        let is_log =
            matches!(&self.origin, Ok(origin) if matches!(origin.stored.content, Content::Log(..)));
        let unknown = match is_log {
            true => 0,
            false => self.stored_size(),
        };
        Entry {
            key: match target(asked) {
                Ok(target) => key(target.object, raw, text),
                Err(_) => asked.clone(),
            },
            size: Some(self.size(raw).or(remembered).unwrap_or(unknown)),
            modified: self.info.modified,
            version: self.info.version.clone(),
        }
    }
}

impl KonserveStore {
    /// Finds out what a name is. One request, but for objects above a MiB.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(super) async fn look_up(&self, name: &FileName) -> Result<Found, Error> {
        let asked = self.settings.read_name(name)?;
        let wanted = key(
            asked.object,
            asked.raw,
            asked.key.as_ref().map(|key| edn::print_line(key).into()),
        );
        let looked = match self.look(asked.object, &ReadCondition::Newest, PEEK).await {
            Ok(Some(looked)) => looked,
            Ok(None) => return Err(self.not_asked(asked.object)),
            Err(Error::NotFound(_)) => return Ok(Found::Absent),
            Err(error) => return Err(error),
        };
        self.names
            .learn(asked.object, &looked, self.settings.spelling);
        let entry = self.entry(&wanted, &looked);
        Ok(match self.shown(&looked, asked.raw) {
            Some(bytes) => Found::Read(entry.key, Box::new(looked.value(bytes))),
            None => Found::File(entry),
        })
    }

    /// What is known of a key, and what travels with it. As many requests as
    /// [`look_up`](Self::look_up).
    ///
    /// # Errors
    /// Any [`Error`].
    pub(super) async fn inspect_object(
        &self,
        key: &Key,
    ) -> Result<Option<(Entry, Metadata)>, Error> {
        let ObjectRef { object, .. } = target(key)?;
        match self.look(object, &ReadCondition::Newest, PEEK).await {
            Ok(Some(looked)) => {
                self.names.learn(object, &looked, self.settings.spelling);
                Ok(Some((self.entry(key, &looked), looked.metadata())))
            }
            Ok(None) => Err(self.not_asked(object)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads one version of a key. One request, but for logs (one for each element that was
    /// not read before) and for values above the limit.
    ///
    /// # Errors
    /// [`Error::Damaged`] for a value that cannot be shown as text; any other [`Error`].
    pub(super) async fn open_object(
        &self,
        key: &Key,
        pin: &ReadCondition,
        limit: u64,
    ) -> Result<Opened, Error> {
        let ObjectRef { object, raw } = target(key)?;
        let Some(mut looked) = self.look(object, pin, limit.min(MOST)).await? else {
            return Ok(Opened::Unchanged);
        };
        if !raw && looked.bytes.is_none() && !looked.is_binary() {
            looked = self.look_whole(object, &looked).await?;
        }
        if !raw
            && let Ok(origin) = &looked.origin
            && let Content::Log(head, None) = &origin.stored.content
        {
            let (text, head) = self.walk(object, *head).await?;
            let mut whole = Origin::clone(origin);
            whole.stored.content = Content::Log(head, Some(text));
            looked.origin = Ok(Arc::new(whole));
        }
        self.names.learn(object, &looked, self.settings.spelling);
        if let Some(bytes) = self.shown(&looked, raw) {
            return Ok(Opened::Whole(looked.value(bytes)));
        }
        match (raw, &looked.origin) {
            (true, _) => Ok(self.large(key, looked)),
            (false, Err(why)) => Err(self.unreadable(object, &why.to_string())),
            (false, Ok(origin)) => match &origin.stored.content {
                Content::Opaque(why) => Err(self.unreadable(object, why)),
                Content::Unread => {
                    let why = format!("it has more than {MOST} bytes");
                    Err(self.unreadable(object, &why))
                }
                _ => Ok(self.large(key, looked)),
            },
        }
    }

    fn large(&self, key: &Key, looked: Looked) -> Opened {
        let entry = self.entry(key, &looked);
        let Ok(ObjectRef { object, .. }) = target(key) else {
            return Opened::Large {
                entry,
                metadata: looked.metadata(),
            };
        };
        let at = (object, looked.info.version.clone());
        self.memory().offsets.put(at, looked.value_at());
        Opened::Large {
            entry,
            metadata: looked.metadata(),
        }
    }

    /// Reads a piece of one version of a large value, as it is stored.
    ///
    /// # Errors
    /// [`Error::VersionGone`]; any other [`Error`].
    pub(super) async fn read_piece(
        &self,
        key: &Key,
        entry: &Entry,
        start: u64,
        len: u64,
    ) -> Result<Bytes, Error> {
        let ObjectRef { object, .. } = target(key)?;
        let version = &entry.version;
        let known = self
            .memory()
            .offsets
            .get(&(object, version.clone()))
            .copied();
        let at = match known {
            Some(at) => at,
            None => {
                let header = self.part(object, version, 0, HEADER_BYTES as u64).await?.1;
                let at = Header::read(&header).map_or(0, Header::value_at);
                self.memory().offsets.put((object, version.clone()), at);
                at
            }
        };
        let (info, bytes) = self.part(object, version, at + start, len).await?;
        let told = info.size.saturating_sub(at);
        check_size(told, entry.size, || self.address(object))?;
        Ok(bytes)
    }

    /// Reads an object, whole if it has at most `limit` bytes, otherwise its beginning; nothing if
    /// it is the version that [`ReadCondition::Not`] names.
    pub(super) async fn look(
        &self,
        object: Uuid,
        pin: &ReadCondition,
        limit: u64,
    ) -> Result<Option<Looked>, Error> {
        let at = self.object(object);
        let fetched = self.backend.get(&at, pin, ByteRange::UpTo(limit)).await?;
        let Fetched::Object(fetched) = fetched else {
            return Ok(None);
        };
        let Object { info, bytes } = *fetched;
        let looked = match info.size <= limit {
            true => self.interpret(object, info, bytes, true).await,
            false => self.look_at_beginning(object, info).await?,
        };
        Ok(Some(looked))
    }

    /// Reads as much of an object as its key needs; for most objects this is all of it.
    pub(super) async fn glimpse(&self, object: Uuid) -> Result<Looked, Error> {
        let span = ByteRange::Range {
            start: 0,
            len: BEGINNING,
        };
        let fetched = self
            .backend
            .get(&self.object(object), &ReadCondition::Newest, span)
            .await?;
        let Fetched::Object(fetched) = fetched else {
            return Err(self.not_asked(object));
        };
        let Object { info, bytes } = *fetched;
        self.begin(object, info, bytes).await
    }

    async fn look_at_beginning(&self, object: Uuid, info: ObjectMeta) -> Result<Looked, Error> {
        let (_, bytes) = self.part(object, &info.version, 0, BEGINNING).await?;
        self.begin(object, info, bytes).await
    }

    /// What an object is, of which at least the beginning is at hand.
    async fn begin(&self, object: Uuid, info: ObjectMeta, bytes: Bytes) -> Result<Looked, Error> {
        let whole = bytes.len() as u64 == info.size;
        match glance(&bytes, self.settings.secret.as_ref()) {
            Ok(Glanced::Needs(more)) if !whole && more <= info.size => {
                let (_, bytes) = self.part(object, &info.version, 0, more).await?;
                let whole = bytes.len() as u64 == info.size;
                Ok(self.interpret(object, info, bytes, whole).await)
            }
            _ => Ok(self.interpret(object, info, bytes, whole).await),
        }
    }

    /// Reads a value that must be decoded whole.
    async fn look_whole(&self, object: Uuid, looked: &Looked) -> Result<Looked, Error> {
        if looked.info.size > MOST || looked.origin.is_err() {
            return Ok(Looked {
                info: looked.info.clone(),
                origin: looked.origin.clone(),
                bytes: None,
            });
        }
        let pin = ReadCondition::Is(looked.info.version.clone());
        match self.look(object, &pin, MOST).await? {
            Some(looked) => Ok(looked),
            None => Err(self.not_asked(object)),
        }
    }

    /// What an object's bytes, or its beginning, say.
    async fn interpret(&self, object: Uuid, info: ObjectMeta, bytes: Bytes, whole: bool) -> Looked {
        let secret = self.settings.secret.clone();
        let glanced = match glance(&bytes, secret.as_ref()) {
            Ok(Glanced::All(glance)) => Ok(glance),
            Ok(Glanced::Needs(_)) => Err(Unreadable::Header("shorter than its metadata")),
            Err(why) => Err(why),
        };
        if let Ok(header) = Header::read(&bytes) {
            self.learn_codec(header.codec);
        }
        let origin = match glanced {
            Err(why) => Err(why),
            Ok(glance) => {
                let content = match whole {
                    true => decode(&glance, object, &bytes, secret).await,
                    false if glance.is_binary() => Content::Binary,
                    false => Content::Unread,
                };
                let stored = Stored {
                    object,
                    header: glance.header,
                    metadata: glance.metadata,
                    content,
                };
                Ok(Arc::new(Origin {
                    stored,
                    version: info.version.clone(),
                    meta: info.meta.clone(),
                }))
            }
        };
        Looked {
            info,
            origin,
            bytes: whole.then_some(bytes),
        }
    }

    /// A part of one version of an object.
    async fn part(
        &self,
        object: Uuid,
        version: &Version,
        start: u64,
        len: u64,
    ) -> Result<(ObjectMeta, Bytes), Error> {
        let pin = ReadCondition::Is(version.clone());
        let span = ByteRange::Range { start, len };
        match self.backend.get(&self.object(object), &pin, span).await {
            Ok(Fetched::Object(part)) => Ok((part.info, part.bytes)),
            Ok(Fetched::Unchanged) => Err(self.not_asked(object)),
            Err(backend::Error::NotFound(_)) => {
                Err(backend::Error::VersionGone(self.object(object)).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The bytes of a file, if they are at hand.
    fn shown(&self, looked: &Looked, raw: bool) -> Option<Bytes> {
        match &looked.origin {
            _ if raw => looked.stored(),
            Err(_) => None,
            Ok(origin) => match &origin.stored.content {
                Content::Text(text) => Some(text.clone()),
                Content::Binary => looked.stored(),
                Content::Log(_, text) => text.clone(),
                Content::Opaque(_) | Content::Unread => None,
            },
        }
    }

    fn entry(&self, wanted: &Key, looked: &Looked) -> Entry {
        let Ok(ObjectRef { object, raw }) = target(wanted) else {
            return looked.entry(wanted, false, None);
        };
        let known = self.names.size(object, &looked.info.version);
        looked.entry(wanted, raw, known)
    }

    fn unreadable(&self, object: Uuid, why: &str) -> Error {
        Error::Damaged {
            what: self.address(object),
            why: format!("{why}; its stored bytes can be read under its name and %.raw"),
        }
    }

    fn not_asked(&self, object: Uuid) -> Error {
        not_asked(self.address(object))
    }

    /// The text that a key has in EDN, as a value.
    ///
    /// # Errors
    /// [`Error::BadName`] for a name that says an object only.
    pub(super) fn key_of(&self, key: &Key) -> Result<konserve_codec::Value, Error> {
        let text = key.text().ok_or(BadName::Illegal)?;
        edn::read(text).map_err(|_| BadName::Illegal.into())
    }
}

impl Looked {
    fn is_binary(&self) -> bool {
        matches!(&self.origin, Ok(origin) if origin.stored.content == Content::Binary)
    }
}

/// Decoding takes time in proportion to the value; the thread that answers others is not held up.
async fn decode(
    glance: &Glance,
    object: Uuid,
    bytes: &Bytes,
    secret: Option<konserve_codec::aes::EncryptionKey>,
) -> Content {
    let at = usize::try_from(glance.header.value_at()).unwrap_or(usize::MAX);
    let stored = bytes.slice(at.min(bytes.len())..);
    if stored.len() <= LONG {
        return Content::read(glance, object, &stored, secret.as_ref());
    }
    let glance = glance.clone();
    let task = tokio::task::spawn_blocking(move || {
        Content::read(&glance, object, &stored, secret.as_ref())
    });
    match task.await {
        Ok(content) => content,
        Err(_) => Content::Opaque("decoding it failed".into()),
    }
}
