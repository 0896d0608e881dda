//! The store: objects that can be compared and swapped, and everything that ever happened to them.
//!
//! It knows nothing of messages; those are `network.rs`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use etagfs::backend::{
    After, Body, ByteRange, Cursor, Error, Fetched, ListQuery, Listed, Meta, Object, ObjectKey,
    ObjectMeta, Page, ReadCondition,
};
use etagfs::model::{Outcome, Precondition, PutId, Version};

use super::plan::Versions;
use super::wrong::Wrong;

/// A point in the one order of everything that happens.
pub(crate) type Stamp = u64;

/// Who changed an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// A call, by its place in the list of all calls; which copy of its message.
    Call(usize, u32),
    /// Somebody who knows nothing of etagfs.
    Foreign,
}

/// A version and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) version: Version,
    pub(crate) bytes: Bytes,
}

/// A change of an object.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) stamp: Stamp,
    pub(crate) at: Duration,
    pub(crate) key: String,
    pub(crate) by: By,
    pub(crate) id: Option<PutId>,
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    history: Vec<Event>,
}

/// The store.
pub(crate) struct Server {
    versions: Versions,
    pub(crate) wrong: Option<Wrong>,
    state: Mutex<State>,
}

/// When and by whom something is asked.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) stamp: Stamp,
    pub(crate) at: Duration,
    pub(crate) by: By,
}

impl Server {
    pub(crate) fn new(versions: Versions, wrong: Option<Wrong>) -> Self {
        Self {
            versions,
            wrong,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that happened so far.
    pub(crate) fn history(&self) -> Vec<Event> {
        self.state().history.clone()
    }

    /// What a key is now.
    pub(crate) fn now(&self, key: &str) -> Option<Value> {
        self.state().objects.get(key).map(value)
    }

    fn is_wrong(&self, wrong: Wrong) -> bool {
        self.wrong == Some(wrong)
    }

    pub(crate) fn get(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Fetched, Error> {
        let state = self.state();
        let newest = state.objects.get(at.as_str());
        let object = match pin {
            ReadCondition::Newest => newest,
            ReadCondition::Not(known) => match newest {
                Some(object) if object.info.version == *known => return Ok(Fetched::Unchanged),
                newest => newest,
            },
            ReadCondition::Is(version) => {
                let pinned = newest.filter(|object| object.info.version == *version);
                Some(pinned.ok_or_else(|| Error::VersionGone(at.clone()))?)
            }
            ReadCondition::Snapshot(_) => return Err(Error::VersionGone(at.clone())),
        };
        let object = object.ok_or_else(|| Error::NotFound(at.to_string()))?;
        Ok(Fetched::Object(Box::new(Object {
            info: object.info.clone(),
            bytes: cut(&object.bytes, span),
        })))
    }

    pub(crate) fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        let state = self.state();
        let object = state.objects.get(at.as_str());
        let mut info = object
            .map(|object| object.info.clone())
            .ok_or_else(|| Error::NotFound(at.to_string()))?;
        if self.is_wrong(Wrong::RefusesWhatItDid) {
            info.put_id = None;
            info.meta = Meta::default();
        }
        Ok(info)
    }

    pub(crate) fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: Option<PutId>,
        asked: Asked,
    ) -> Outcome {
        let mut state = self.state();
        let before = state.objects.get(at.as_str()).map(value);
        let is_met = before.as_ref().map(|value| &value.version) == expect.version();
        let is_copy = matches!(asked.by, By::Call(_, copy) if copy > 0);
        let anyway = match expect {
            Precondition::Is(_) => self.is_wrong(Wrong::IgnoresIfMatch) && before.is_some(),
            Precondition::Absent => self.is_wrong(Wrong::IgnoresIfNoneMatch),
        } || (is_copy && self.is_wrong(Wrong::CopiesAreUnconditional));
        if !is_met && !anyway {
            return Outcome::Refused(None);
        }
        let version = match self.versions {
            Versions::Unique => Version::new(format!("\"{}\"", state.history.len() + 1)),
            Versions::OfContent => Version::new(format!("\"{:016x}\"", digest(&body.bytes))),
        };
        let is_own = matches!(asked.by, By::Call(..));
        if is_own && self.is_wrong(Wrong::ForgetsSaves) && state.history.len() % 4 == 3 {
            return Outcome::Committed(version);
        }
        let object = Object {
            info: ObjectMeta {
                size: body.bytes.len() as u64,
                version: version.clone(),
                modified: SystemTime::UNIX_EPOCH
                    + Duration::from_secs(1_000_000_000 + asked.at.as_secs()),
                meta: body.meta,
                put_id: id,
            },
            bytes: body.bytes,
        };
        let event = Event {
            stamp: asked.stamp,
            at: asked.at,
            key: at.as_str().to_owned(),
            by: asked.by,
            id,
            before,
            after: Some(value(&object)),
        };
        let refuses = self.is_wrong(Wrong::RefusesWhatItDid) && state.history.len() % 4 == 3;
        state.history.push(event);
        state.objects.insert(at.as_str().to_owned(), object);
        match is_own && refuses {
            true => Outcome::Refused(None),
            false => Outcome::Committed(version),
        }
    }

    pub(crate) fn delete(&self, at: &ObjectKey, version: &Version, asked: Asked) -> Outcome<()> {
        let mut state = self.state();
        let Some(before) = state.objects.get(at.as_str()).map(value) else {
            return Outcome::Refused(None);
        };
        if before.version != *version && !self.is_wrong(Wrong::IgnoresIfMatch) {
            return Outcome::Refused(None);
        }
        state.objects.remove(at.as_str());
        state.history.push(Event {
            stamp: asked.stamp,
            at: asked.at,
            key: at.as_str().to_owned(),
            by: asked.by,
            id: None,
            before: Some(before),
            after: None,
        });
        Outcome::Committed(())
    }

    pub(crate) fn list(&self, query: &ListQuery, now: Duration) -> Page {
        let state = self.state();
        let old = self.is_wrong(Wrong::StaleListings).then(|| {
            let then = now.saturating_sub(Duration::from_secs(4));
            state.objects_at(then)
        });
        let objects = old.as_ref().unwrap_or(&state.objects);
        let mut page = Page::default();
        let (from, skips) = match &query.after {
            After::Start => ("", false),
            After::Name(name) => (name.as_str(), true),
            After::Page(Cursor(name)) => (name.as_str(), false),
        };
        let mut done: Option<String> = None;
        for (key, object) in objects {
            let Some(tail) = key.strip_prefix(&query.prefix) else {
                continue;
            };
            let is_before = key.as_str() < from || (skips && key == from);
            let is_folded = done.as_ref().is_some_and(|folded| key.starts_with(folded));
            if is_before || is_folded {
                continue;
            }
            if page.objects.len() + page.prefixes.len() >= usize::from(query.limit) {
                page.next = Some(Cursor(key.clone()));
                break;
            }
            match tail.find('/').filter(|_| query.fold) {
                Some(slash) => {
                    let folded = key[..=query.prefix.len() + slash].to_owned();
                    page.prefixes.push(folded.clone());
                    done = Some(folded);
                }
                None => page.objects.push(Listed {
                    key: ObjectKey::new(key),
                    size: object.info.size,
                    modified: object.info.modified,
                    version: Some(object.info.version.clone()),
                }),
            }
        }
        page
    }
}

impl State {
    /// The objects as they were then.
    fn objects_at(&self, then: Duration) -> BTreeMap<String, Object> {
        let mut objects = self.objects.clone();
        for event in self
            .history
            .iter()
            .rev()
            .take_while(|event| event.at > then)
        {
            match &event.before {
                None => drop(objects.remove(&event.key)),
                Some(value) => {
                    let object = Object {
                        info: ObjectMeta {
                            size: value.bytes.len() as u64,
                            version: value.version.clone(),
                            modified: SystemTime::UNIX_EPOCH,
                            meta: Meta::default(),
                            put_id: None,
                        },
                        bytes: value.bytes.clone(),
                    };
                    objects.insert(event.key.clone(), object);
                }
            }
        }
        objects
    }
}

fn value(object: &Object) -> Value {
    Value {
        version: object.info.version.clone(),
        bytes: object.bytes.clone(),
    }
}

fn cut(bytes: &Bytes, span: ByteRange) -> Bytes {
    let size = bytes.len() as u64;
    let (start, end) = match span {
        ByteRange::UpTo(most) if size <= most => (0, size),
        ByteRange::UpTo(_) => (0, 0),
        ByteRange::Range { start, len } => (start.min(size), start.saturating_add(len).min(size)),
    };
    bytes.slice(start as usize..end as usize)
}

/// FNV-1a, which is enough for bytes that nobody chooses.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    })
}
