//! Saving: one conditional PUT, of an object written like the one it replaces.
//!
//! A save whose caller did not read the object first costs one GET more, since serializer,
//! compressor, encryptor and metadata stay what they are; the first new key of a store costs a LIST
//! and a GET, to learn how its neighbours are written. What changes no value sends nothing.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use uuid::Uuid;

use super::origin::Origin;
use super::{KonserveStore, ObjectRef, STORED, target};
use crate::backend::{After, Body, ByteRange, Fetched, ListQuery, Meta, ReadCondition};
use crate::model::{Key, Outcome, Precondition, PutId, Rival, Version};
use crate::store::object::{tagged, too_big};
use crate::store::{Error, Metadata, Rejected};
use konserve_codec::aes::SALT_BYTES;
use konserve_codec::blob::{Codec, HEADER_BYTES, Header, Serializer};
use konserve_codec::file::{Content, Plan, Sealed, Stored, Unsavable};
use konserve_codec::object::{Role, role};
use konserve_codec::{Value, edn, hasch};

/// Up to this size, in bytes, an object is read whole before it is replaced.
const READ_FIRST: u64 = 8 << 20;
/// Up to this size, in bytes, it is remembered what a reader would see of a save.
const REMEMBERED: usize = 8 << 20;
/// Why nothing becomes of a log under another name: the elements are not in its file, and two heads would
/// share them.
const LOG_STAYS: &str = "a log cannot be moved or copied as a file; copy its lines: etagfs log LOG | etagfs append COPY";
/// How many names are asked for to find one neighbour.
const NEIGHBOURS: u16 = 8;

impl KonserveStore {
    /// Saves a file's bytes if the key is what `expect` says.
    ///
    /// # Errors
    /// [`Error::Rejected`] for bytes that are no value; [`Error::ReadOnly`]; any other [`Error`].
    /// The value then certainly was not saved.
    pub(super) async fn save(
        &self,
        key: &Key,
        bytes: Bytes,
        metadata: &Metadata,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let ObjectRef { object, raw } = target(key)?;
        if raw {
            return Err(self.read_only(object, STORED));
        }
        let origin = Origin::of(metadata);
        if let Some(origin) = &origin
            && origin.stored.is_log()
            && (origin.stored.object != object || *expect == Precondition::Absent)
        {
            return Err(self.read_only(object, LOG_STAYS));
        }
        let (own, other) = match &origin {
            Some(origin) if origin.stored.object == object => (Some(origin), None),
            other => (None, other.as_deref()),
        };
        let (plan, before) = match expect {
            Precondition::Absent => {
                let value = self.key_of(key)?;
                (
                    Plan::create(value, self.codec().await?, other.map(|other| &other.stored)),
                    None,
                )
            }
            Precondition::Is(version) => {
                let Some(before) = self.target_of(object, version, own).await? else {
                    return Ok(Outcome::Refused(None));
                };
                if let Some(why) = before.stored.read_only() {
                    return Err(self.read_only(object, why));
                }
                if let Content::Log(head, text) = &before.stored.content {
                    if own.is_some() && metadata.meta != before.meta {
                        // It would be said to be set, and be nowhere: only the head could hold it.
                        return Err(self.read_only(object, "attributes of a log cannot be set"));
                    }
                    let Some(text) = text.as_ref().filter(|_| other.is_none()) else {
                        return Err(self.read_only(object, "a log can only be appended to"));
                    };
                    return self.append(&before, *head, text, &bytes).await;
                }
                (
                    Plan::replace(&before.stored, other.map(|other| &other.stored)),
                    Some(before),
                )
            }
        };
        let plan = match metadata.binary {
            true => plan.binary(),
            false => plan,
        };
        let value = plan
            .parse(&bytes)
            .map_err(|why| self.unsavable(object, &why))?;
        let meta = match (own, &before) {
            (None, Some(before)) => before.meta.clone(),
            _ => metadata.meta.clone(),
        };
        if other.is_none()
            && let Some(before) = before
            && before.meta == meta
            && is_unchanged(&before.stored, value.as_ref(), &bytes)
        {
            let version = before.version.clone();
            self.remember(before, &bytes);
            return Ok(Outcome::Committed(version));
        }
        let sealed = plan
            .seal(
                value.as_ref(),
                &bytes,
                now(),
                self.settings.secret.as_ref(),
                salt,
            )
            .map_err(|why| self.unsavable(object, &why))?;
        let outcome = self
            .send_as(object, &sealed, meta.clone(), expect, id)
            .await?;
        if let Outcome::Committed(version) = &outcome {
            let stored = Stored {
                object,
                header: sealed.header,
                metadata: sealed.metadata,
                content: sealed.content,
            };
            let saved = Origin {
                stored,
                version: version.clone(),
                meta,
            };
            self.remember(Arc::new(saved), &bytes);
        }
        Ok(outcome)
    }

    /// Sends an object.
    pub(super) async fn send(
        &self,
        object: Uuid,
        sealed: &Sealed,
        meta: Meta,
        expect: &Precondition,
    ) -> Result<Outcome, Error> {
        let id = PutId::new(Uuid::new_v4().as_u128());
        self.send_as(object, sealed, meta, expect, id).await
    }

    async fn send_as(
        &self,
        object: Uuid,
        sealed: &Sealed,
        meta: Meta,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let limit = self.backend.limits().value_bytes;
        if sealed.bytes.len() as u64 > limit {
            return Err(too_big(&self.address(object), limit));
        }
        let body = Body {
            bytes: sealed.bytes.clone(),
            meta: tagged(&*self.backend, meta).await?,
        };
        let outcome = self
            .backend
            .put(&self.object(object), body, expect, id)
            .await?;
        Ok(outcome.map_rival(Rival::of_another_size))
    }

    /// Deletes a key if it has this version. Of a log only the head, as konserve does.
    ///
    /// # Errors
    /// Any [`Error`]; the key then certainly was not deleted.
    pub(super) async fn delete_object(
        &self,
        key: &Key,
        version: &Version,
    ) -> Result<Outcome<()>, Error> {
        let ObjectRef { object, .. } = target(key)?;
        let outcome = self.backend.delete(&self.object(object), version).await?;
        Ok(outcome.map_rival(Rival::of_another_size))
    }

    /// The version of an object that is to be replaced, if it is to be had.
    async fn target_of(
        &self,
        object: Uuid,
        version: &Version,
        own: Option<&Arc<Origin>>,
    ) -> Result<Option<Arc<Origin>>, Error> {
        if let Some(origin) = own.filter(|origin| origin.version == *version) {
            return Ok(Some(Arc::clone(origin)));
        }
        let pin = ReadCondition::Is(version.clone());
        match self.look(object, &pin, READ_FIRST).await {
            Ok(Some(looked)) => match looked.origin {
                Ok(origin) => Ok(Some(origin)),
                Err(why) => Err(self.read_only(object, &why.to_string())),
            },
            Ok(None) | Err(Error::NotFound(_) | Error::VersionGone(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Notes what a reader would see of what was just saved, unless that is much.
    pub(super) fn remember(&self, saved: Arc<Origin>, bytes: &Bytes) {
        let shown = match &saved.stored.content {
            Content::Text(text) | Content::Log(_, Some(text)) => text.clone(),
            _ => bytes.clone(),
        };
        if shown.len() <= REMEMBERED {
            let at = (saved.stored.object, saved.version.clone());
            let metadata = Metadata {
                meta: saved.meta.clone(),
                origin: Some(saved),
                binary: false,
            };
            self.memory().saves.put(at, (shown, metadata));
        }
    }

    pub(super) fn learn_codec(&self, codec: Codec) {
        let mut memory = self.memory();
        let was_secret = memory.codec.is_some_and(|known| known.encrypted);
        memory.codec = Some(Codec {
            // What this program does not write, konserve reads beside it.
            serializer: Serializer::Fressian,
            encrypted: codec.encrypted || was_secret,
            ..codec
        });
    }

    /// How new objects are written: like the others of the store; encrypted if one is.
    pub(super) async fn codec(&self) -> Result<Codec, Error> {
        if let Some(codec) = self.memory().codec {
            return Ok(codec);
        }
        let store = format!("{}{}", self.prefix, self.id);
        let query = ListQuery {
            prefix: format!("{store}_"),
            fold: false,
            after: After::Start,
            limit: NEIGHBOURS,
        };
        let page = self.backend.list(&query).await?;
        for listed in page.objects {
            let name = listed.key.as_str().strip_prefix(&store);
            if !matches!(name.and_then(role), Some(Role::Value(_))) {
                continue;
            }
            let span = ByteRange::Range {
                start: 0,
                len: HEADER_BYTES as u64,
            };
            if let Fetched::Object(part) = self
                .backend
                .get(&listed.key, &ReadCondition::Newest, span)
                .await?
                && let Ok(header) = Header::read(&part.bytes)
            {
                self.learn_codec(header.codec);
                break;
            }
        }
        Ok(self.memory().codec.unwrap_or(Codec {
            encrypted: self.settings.secret.is_some(),
            ..Codec::DEFAULT
        }))
    }

    pub(super) fn unsavable(&self, object: Uuid, why: &Unsavable) -> Error {
        match why {
            Unsavable::Text(_) => {
                Error::Rejected(Rejected(format!("{}: {why}", self.address(object))))
            }
            Unsavable::ReadOnly(why) => self.read_only(object, why),
        }
    }

    pub(super) fn read_only(&self, object: Uuid, why: &str) -> Error {
        Error::ReadOnly(format!("{} ({why})", self.address(object)))
    }
}

/// Whether a save would store the value that is stored.
fn is_unchanged(target: &Stored, value: Option<&Value>, bytes: &Bytes) -> bool {
    match (&target.content, value) {
        (Content::Text(text), Some(value)) => {
            text == bytes || edn::print(value).as_bytes() == &text[..]
        }
        _ => false,
    }
}

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// As konserve makes it: a hash of a random UUID.
pub(super) fn salt() -> [u8; SALT_BYTES] {
    hasch::hash(&Value::Uuid(Uuid::new_v4())).expect("a UUID has a hash")
}
