//! Append logs: walked from the first element to the last, appended to at the end.
//!
//! An append is several objects. The order is konserve's: the new elements, then the old last one
//! points to them, then the head. Each write is conditional, and the second one decides: whoever
//! links first has appended, and everybody else is refused. A crash before the head is written
//! leaves elements that the next append from here takes in.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::origin::Origin;
use super::write::{now, salt};
use super::{KonserveStore, target};
use crate::backend::{Meta, ReadCondition};
use crate::model::{Key, Outcome, Precondition, Version};
use crate::store::Error;
use konserve_codec::Value;
use konserve_codec::blob::{Blob, Codec, Header};
use konserve_codec::file::{Content, Glance, Sealed, Unsavable};
use konserve_codec::log::{Element, Head, Unappendable, appended, object_of};
use konserve_codec::metadata::{Kind, Metadata};

/// How many bytes of text a log may have, to be shown.
const MOST: usize = 32 << 20;
/// How often the head is written again when somebody else wrote it.
const HEADS: usize = 8;

/// An element as it is stored.
struct Linked {
    version: Version,
    meta: Meta,
    glance: Glance,
    element: Element,
}

/// Elements that were made, and that nothing points to yet.
struct ElementChain {
    first: Uuid,
    last: Uuid,
    made: Vec<(Uuid, Version)>,
}

impl KonserveStore {
    /// The text of a log, and the head that it should have: as `k/log` reads it, from the first element to
    /// the one that has none behind it, whatever the head calls the last. One request for each element that
    /// was not read before.
    pub(super) async fn walk(&self, log: Uuid, head: Head) -> Result<(Bytes, Head), Error> {
        let mut seen = HashSet::new();
        match self.chain_of(log, head, &mut seen).await {
            Ok(walked) if seen.contains(&head.last) => return Ok(walked),
            // Links are remembered, and another program may have laid one anew since.
            Ok(_) | Err(Error::Damaged { .. }) => {}
            Err(error) => return Err(error),
        }
        {
            let mut memory = self.memory();
            for element in seen.drain() {
                memory.elements.pop(&element);
            }
        }
        let walked = self.chain_of(log, head, &mut seen).await?;
        if !seen.contains(&head.last) {
            tracing::warn!(key = %self.address(log), found = %head.last, "the head of the log names an element that is not in it: other programs append at the same time, and lose elements");
        }
        Ok(walked)
    }

    async fn chain_of(
        &self,
        log: Uuid,
        head: Head,
        seen: &mut HashSet<Uuid>,
    ) -> Result<(Bytes, Head), Error> {
        let mut text = BytesMut::new();
        let mut at = head.first;
        loop {
            if !seen.insert(at) {
                return Err(self.broken(log, "its elements go round in a circle"));
            }
            let (line, next) = self.line(at).await?;
            text.extend_from_slice(line.as_bytes());
            if text.len() > MOST {
                return Err(self.broken(log, "it is too long to show"));
            }
            let Some(next) = next else {
                return Ok((text.freeze(), Head { last: at, ..head }));
            };
            at = next;
        }
    }

    async fn line(&self, element: Uuid) -> Result<(Arc<str>, Option<Uuid>), Error> {
        let known = self.memory().elements.get(&element).cloned();
        if let Some((next, line)) = known {
            return Ok((line, Some(next)));
        }
        let Linked { element: read, .. } = self.element(element).await?;
        let line: Arc<str> = read.line().into();
        if let Some(next) = read.next
            && line.len() < 4096
        {
            self.memory()
                .elements
                .put(element, (next, Arc::clone(&line)));
        }
        Ok((line, read.next))
    }

    async fn element(&self, id: Uuid) -> Result<Linked, Error> {
        let object = object_of(id);
        let damaged = |why: &str| self.broken(object, why);
        let looked = match self.look(object, &ReadCondition::Newest, MOST as u64).await {
            Ok(Some(looked)) => looked,
            Ok(None) | Err(Error::NotFound(_)) => {
                return Err(damaged("an element of a log is missing"));
            }
            Err(error) => return Err(error),
        };
        let origin = looked.origin.map_err(|why| damaged(&why.to_string()))?;
        let glance = Glance {
            header: origin.stored.header,
            metadata: origin.stored.metadata.clone(),
        };
        let text = match &origin.stored.content {
            Content::Text(text) => text.clone(),
            Content::Opaque(why) => return Err(damaged(why)),
            _ => return Err(damaged("it is no element of a log")),
        };
        let value = std::str::from_utf8(&text)
            .ok()
            .and_then(|text| konserve_codec::edn::read(text).ok());
        let element = value.as_ref().and_then(Element::of);
        Ok(Linked {
            version: looked.info.version,
            meta: looked.info.meta,
            glance,
            element: element.ok_or_else(|| damaged("it is no element of a log"))?,
        })
    }

    /// Appends what a file's bytes have more than the log.
    pub(super) async fn append(
        &self,
        log: &Arc<Origin>,
        head: Head,
        before: &Bytes,
        after: &Bytes,
    ) -> Result<Outcome, Error> {
        let values = self.to_append(log.stored.object, before, after)?;
        if values.is_empty() {
            return Ok(Outcome::Committed(log.version.clone()));
        }
        let (tail_id, tail) = self.tail(log.stored.object, head).await?;
        let (key, codec) = (log.stored.metadata.key(), log.stored.header.codec);
        let mut text = BytesMut::from(&before[..]);
        let Some(chain) = self.chain(key, codec, values, &mut text).await? else {
            return Ok(Outcome::Unknown);
        };
        let linked = Element {
            next: Some(chain.first),
            ..tail.element
        };
        let sealed = self.seal(
            tail.glance.header.codec,
            tail.glance.metadata,
            &linked.into_value(),
        )?;
        let expect = Precondition::Is(tail.version);
        match self
            .send(object_of(tail_id), &sealed, tail.meta, &expect)
            .await?
        {
            Outcome::Committed(_) => {}
            Outcome::Unknown => return Ok(Outcome::Unknown),
            Outcome::Refused(_) => {
                self.take_back(chain.made).await;
                return Ok(Outcome::Refused(None));
            }
        }
        // Of what a crash or another program linked in between, the text is not known here.
        let text = (tail_id == head.last).then(|| text.freeze());
        let head = Head {
            last: chain.last,
            ..head
        };
        // Now that they are linked, no failure means any more that they are not in the log.
        match self.write_head(log, head, text).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                let log = self.address(log.stored.object);
                tracing::warn!(key = %log, %error, "elements were appended, but the head of the log could not be written; the next append includes them");
                Ok(Outcome::Unknown)
            }
        }
    }

    /// Makes a log of lines, under a key that does not exist: the elements, then the head, which decides.
    ///
    /// # Errors
    /// [`Error::Rejected`] for lines that are no values; any other [`Error`].
    pub(super) async fn make_log(&self, key: &Key, lines: &Bytes) -> Result<Outcome, Error> {
        let object = target(key)?.object;
        let values = self.to_append(object, &Bytes::new(), lines)?;
        if values.is_empty() {
            let why = Unsavable::Text("there is no value in the lines".to_owned());
            return Err(self.unsavable(object, &why));
        }
        let (key, codec) = (self.key_of(key)?, self.codec().await?);
        let mut text = BytesMut::new();
        let Some(chain) = self.chain(&key, codec, values, &mut text).await? else {
            return Ok(Outcome::Unknown);
        };
        let (first, last) = (chain.first, chain.last);
        let metadata = Metadata::new(key, &Kind::AppendLog, now());
        let sealed = self.seal(codec, metadata, &Head { first, last }.into_value())?;
        let outcome = self
            .send(object, &sealed, Meta::default(), &Precondition::Absent)
            .await?;
        if outcome.is_refused() {
            self.take_back(chain.made).await;
        }
        Ok(outcome)
    }

    /// The values of the lines that one text has more than the other.
    fn to_append(&self, log: Uuid, before: &Bytes, after: &Bytes) -> Result<Vec<Value>, Error> {
        appended(before, after).map_err(|why| match why {
            Unappendable::NotAppended => self.read_only(log, "a log can only be appended to"),
            Unappendable::Line(why) => self.unsavable(log, &Unsavable::Text(why)),
        })
    }

    /// Makes elements, each but the last pointing to the next, and adds their lines to the text. `None`
    /// when it is in doubt whether they were made.
    async fn chain(
        &self,
        key: &Value,
        codec: Codec,
        values: Vec<Value>,
        text: &mut BytesMut,
    ) -> Result<Option<ElementChain>, Error> {
        let ids: Vec<Uuid> = values.iter().map(|_| Uuid::new_v4()).collect();
        let mut made = Vec::new();
        for (at, value) in values.into_iter().enumerate() {
            let element = Element {
                next: ids.get(at + 1).copied(),
                value,
            };
            text.extend_from_slice(element.line().as_bytes());
            let metadata = Metadata::new(key.clone(), &Kind::AppendLog, now());
            let sealed = self.seal(codec, metadata, &element.into_value())?;
            let object = object_of(ids[at]);
            match self
                .send(object, &sealed, Meta::default(), &Precondition::Absent)
                .await?
            {
                Outcome::Committed(version) => made.push((object, version)),
                Outcome::Refused(_) | Outcome::Unknown => return Ok(None),
            }
        }
        let ends = ids.first().copied().zip(ids.last().copied());
        Ok(ends.map(|(first, last)| ElementChain { first, last, made }))
    }

    /// The element that has none behind it. After a crash it lies behind the one that the head names.
    async fn tail(&self, log: Uuid, head: Head) -> Result<(Uuid, Linked), Error> {
        let mut id = head.last;
        let mut seen = HashSet::new();
        loop {
            if !seen.insert(id) {
                return Err(self.broken(log, "its elements go round in a circle"));
            }
            let stored = self.element(id).await?;
            match stored.element.next {
                None => return Ok((id, stored)),
                Some(next) => id = next,
            }
        }
    }

    /// Writes the head over the one that was read. If somebody else wrote it since, the elements are
    /// linked all the same: then they are in the log, and the head must only not point before them.
    /// `text` is what the log then shows, if that is known without asking.
    async fn write_head(
        &self,
        log: &Arc<Origin>,
        mut head: Head,
        mut text: Option<Bytes>,
    ) -> Result<Outcome, Error> {
        let mut over = Arc::clone(log);
        for _ in 0..HEADS {
            let sealed = self.seal(
                over.stored.header.codec,
                over.stored.metadata.clone(),
                &head.into_value(),
            )?;
            let expect = Precondition::Is(over.version.clone());
            let outcome = self
                .send(log.stored.object, &sealed, over.meta.clone(), &expect)
                .await?;
            match outcome {
                Outcome::Committed(version) => {
                    let mut written = Origin::clone(&over);
                    written.version = version;
                    written.stored.header = sealed.header;
                    written.stored.metadata = sealed.metadata;
                    return Ok(self.appended(written, head, text).await);
                }
                Outcome::Unknown => return Ok(Outcome::Unknown),
                Outcome::Refused(_) => {}
            }
            let Some(looked) = self
                .look(log.stored.object, &ReadCondition::Newest, MOST as u64)
                .await?
            else {
                return Ok(Outcome::Unknown);
            };
            let Ok(found) = looked.origin else {
                return Ok(Outcome::Unknown);
            };
            let Content::Log(theirs, _) = found.stored.content else {
                return Ok(Outcome::Unknown);
            };
            if theirs.first != head.first {
                // It was deleted and made anew: what was linked is behind the log that is no more.
                return Ok(Outcome::Refused(None));
            }
            let (whole, walked) = self.walk(log.stored.object, theirs).await?;
            text = Some(whole);
            if walked == theirs {
                return Ok(self.appended(Origin::clone(&found), theirs, text).await);
            }
            head = walked;
            over = found;
        }
        Ok(Outcome::Unknown)
    }

    /// The log has this head now. Notes what a reader would see of it.
    async fn appended(&self, mut log: Origin, head: Head, text: Option<Bytes>) -> Outcome {
        let version = log.version.clone();
        let text = match text {
            Some(text) => Some(text),
            // A failure costs whoever looks next a walk of his own.
            None => self
                .walk(log.stored.object, head)
                .await
                .ok()
                .map(|(text, _)| text),
        };
        if let Some(text) = text {
            let content = Content::Log(head, Some(text.clone()));
            log.stored.content = content;
            self.remember(Arc::new(log), &text);
        }
        Outcome::Committed(version)
    }

    /// Deletes elements that were never linked. One that stays is in nobody's way.
    async fn take_back(&self, made: Vec<(Uuid, Version)>) {
        for (object, version) in made {
            let _ = self.backend.delete(&self.object(object), &version).await;
        }
    }

    fn seal(&self, codec: Codec, mut metadata: Metadata, value: &Value) -> Result<Sealed, Error> {
        metadata.written(now());
        let secret = self.settings.secret.as_ref();
        let map = metadata.clone().into_value();
        let encode = |value: &Value| codec.encode(value, secret.map(|key| (key, salt())));
        let sealed = encode(&map).and_then(|stored| {
            let value = encode(value)?;
            let blob = Blob {
                codec,
                metadata: &stored,
                value: &value,
            };
            let bytes = blob.write()?;
            let header = Header {
                codec,
                metadata_bytes: u32::try_from(stored.len()).unwrap_or(u32::MAX),
            };
            Ok((Bytes::from(bytes), header))
        });
        let (bytes, header) = sealed.map_err(|why| self.unsavable(Uuid::nil(), &why.into()))?;
        Ok(Sealed {
            bytes,
            header,
            metadata,
            content: Content::Unread,
        })
    }

    fn broken(&self, object: Uuid, why: &str) -> Error {
        Error::Damaged {
            what: self.address(object),
            why: why.to_owned(),
        }
    }
}
