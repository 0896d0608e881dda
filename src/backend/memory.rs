//! The reference backend: a sorted map behind a mutex, with S3's semantics and nothing else.
//!
//! It is a full backend, used for demos and by most tests; what it does is what every other one
//! must do. It knows no network, no errors but those of its own contract, and no waiting.
//! `tests/it/contract/` holds it and the others to the same facts.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use md5::{Digest, Md5};

use super::{
    After, Backend, Body, ByteRange, Cursor, Error, Fetched, Limits, ListQuery, Listed, Object,
    ObjectKey, ObjectMeta, ObjectVersion, Page, ReadCondition,
};
use crate::model::{Outcome, Precondition, PutId, Server, Version};

static NOWHERE: Server = Server::NONE;

/// What messages call it.
const NAME: &str = "memory:";

/// Objects in memory.
///
/// ETags are the quoted MD5 of the content, like S3's, so a key that is written A, B, A has its
/// first version again.
#[derive(Debug, Default)]
pub struct Memory {
    keeps: Keeps,
    state: Mutex<StoredObjects>,
}

/// Whether replaced versions can still be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Keeps {
    #[default]
    NewestVersion,
    AllVersions,
}

#[derive(Debug, Default)]
struct StoredObjects {
    objects: BTreeMap<String, Object>,
    /// Replaced and deleted versions, by key and snapshot.
    old: BTreeMap<(String, String), Object>,
    snapshots: u64,
}

impl Memory {
    /// An empty backend.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty backend that keeps old versions, like a versioned bucket: they are served by
    /// [`Version::snapshot`].
    pub fn keeping_versions() -> Self {
        Self {
            keeps: Keeps::AllVersions,
            ..Self::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, StoredObjects> {
        // Every change is a single insert or remove, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot(&self, state: &mut StoredObjects) -> Option<String> {
        (self.keeps == Keeps::AllVersions).then(|| {
            state.snapshots += 1;
            format!("v{}", state.snapshots)
        })
    }
}

impl StoredObjects {
    fn newest(&self, at: &ObjectKey) -> Result<&Object, Error> {
        self.objects
            .get(at.as_str())
            .ok_or_else(|| Error::NotFound(format!("{NAME}/{at}")))
    }

    fn pinned(&self, at: &ObjectKey, version: &Version) -> Option<&Object> {
        let newest = self.objects.get(at.as_str());
        newest
            .filter(|object| object.info.version == *version)
            .or_else(|| {
                let snapshot = version.snapshot()?.to_owned();
                self.old.get(&(at.as_str().to_owned(), snapshot))
            })
    }

    /// All versions of an object that have a name, the newest one first.
    fn kept(&self, at: &ObjectKey) -> impl Iterator<Item = &Object> {
        let name = |snapshot: &str| (at.as_str().to_owned(), snapshot.to_owned());
        // In the order of their numbers, which is not that of their names.
        let old = (1..=self.snapshots)
            .rev()
            .filter_map(move |number| self.old.get(&name(&format!("v{number}"))));
        let newest = self.objects.get(at.as_str());
        newest
            .filter(|object| object.info.version.snapshot().is_some())
            .into_iter()
            .chain(old)
    }

    fn is(&self, at: &ObjectKey, expect: &Precondition) -> bool {
        let newest = self.objects.get(at.as_str());
        newest.map(|object| &object.info.version) == expect.version()
    }

    /// Files a version that is no longer the newest, if it has a name to be found by.
    fn retire(&mut self, at: &ObjectKey, object: Option<Object>) {
        let Some(object) = object else { return };
        if let Some(snapshot) = object.info.version.snapshot() {
            let name = (at.as_str().to_owned(), snapshot.to_owned());
            self.old.insert(name, object);
        }
    }
}

fn check_key(at: &ObjectKey, limits: Limits) -> Result<(), Error> {
    match at.as_str().len() {
        0 => Err(Error::Failed {
            what: "an object without a name".into(),
            why: "a name has at least one byte".into(),
        }),
        bytes if bytes > limits.key_bytes => Err(Error::TooBig {
            what: at.to_string(),
            why: format!("{bytes} bytes of name, the limit is {}", limits.key_bytes),
        }),
        _ => Ok(()),
    }
}

fn etag(bytes: &Bytes) -> String {
    let hex: String = Md5::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hex}\"")
}

/// The present, in whole seconds: no coarser and no finer than what S3 tells.
fn now() -> SystemTime {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

fn cut(bytes: &Bytes, span: ByteRange) -> Bytes {
    let size = bytes.len() as u64;
    let (start, end) = match span {
        ByteRange::UpTo(most) if size <= most => (0, size),
        ByteRange::UpTo(_) => (0, 0),
        ByteRange::Range { start, len } => (start.min(size), start.saturating_add(len).min(size)),
    };
    // Both are at most the length, which is a usize.
    let index = |at: u64| usize::try_from(at).unwrap_or(bytes.len());
    bytes.slice(index(start)..index(end))
}

#[async_trait]
impl Backend for Memory {
    fn name(&self) -> &str {
        NAME
    }

    fn server(&self) -> &Server {
        &NOWHERE
    }

    fn limits(&self) -> Limits {
        Limits::S3
    }

    async fn get(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Fetched, Error> {
        let state = self.state();
        let object = match pin {
            ReadCondition::Newest => state.newest(at)?,
            ReadCondition::Not(known) => {
                let newest = state.newest(at)?;
                if newest.info.version == *known {
                    return Ok(Fetched::Unchanged);
                }
                newest
            }
            ReadCondition::Is(version) => state
                .pinned(at, version)
                .ok_or_else(|| Error::VersionGone(at.clone()))?,
            ReadCondition::Snapshot(snapshot) => state
                .kept(at)
                .find(|object| object.info.version.snapshot() == Some(snapshot))
                .ok_or_else(|| Error::VersionGone(at.clone()))?,
        };
        Ok(Fetched::Object(Box::new(Object {
            info: object.info.clone(),
            bytes: cut(&object.bytes, span),
        })))
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        Ok(self.state().newest(at)?.info.clone())
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        check_key(at, self.limits())?;
        let mut state = self.state();
        if !state.is(at, expect) {
            return Ok(Outcome::Refused(None));
        }
        let snapshot = self.snapshot(&mut state);
        let version = Version::new(etag(&body.bytes)).with_snapshot(snapshot);
        let object = Object {
            info: ObjectMeta {
                size: body.bytes.len() as u64,
                version: version.clone(),
                modified: now(),
                meta: body.meta,
                put_id: Some(id),
            },
            bytes: body.bytes,
        };
        let replaced = state.objects.insert(at.as_str().to_owned(), object);
        state.retire(at, replaced);
        Ok(Outcome::Committed(version))
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        let mut state = self.state();
        if !state.is(at, &Precondition::Is(version.clone())) {
            return Ok(Outcome::Refused(None));
        }
        let deleted = state.objects.remove(at.as_str());
        state.retire(at, deleted);
        Ok(Outcome::Committed(()))
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        let state = self.state();
        let mut page = Page::default();
        // The name to go on at, if it exists.
        let mut from = match &query.after {
            After::Start => query.prefix.clone(),
            After::Name(name) => after(name).max(query.prefix.clone()),
            After::Page(Cursor(from)) => from.clone(),
        };
        loop {
            let rest = (Bound::Included(from.as_str()), Bound::Unbounded);
            let Some((key, object)) = state.objects.range::<str, _>(rest).next() else {
                return Ok(page);
            };
            let Some(tail) = key.strip_prefix(&query.prefix) else {
                return Ok(page);
            };
            if page.objects.len() + page.prefixes.len() >= usize::from(query.limit) {
                page.next = Some(Cursor(from));
                return Ok(page);
            }
            match tail.find('/').filter(|_| query.fold) {
                Some(slash) => {
                    let folded = &key[..=query.prefix.len() + slash];
                    page.prefixes.push(folded.to_owned());
                    from = after_all_in(folded);
                }
                None => {
                    page.objects.push(Listed {
                        key: ObjectKey::new(key),
                        size: object.info.size,
                        modified: object.info.modified,
                        version: Some(object.info.version.clone()),
                    });
                    from = after(key);
                }
            }
        }
    }

    async fn versions(&self, at: &ObjectKey) -> Result<Vec<ObjectVersion>, Error> {
        if self.keeps == Keeps::NewestVersion {
            return Err(Error::Unsupported {
                what: at.to_string(),
                why: "no old versions are kept there",
            });
        }
        let state = self.state();
        let newest = state
            .objects
            .get(at.as_str())
            .map(|object| &object.info.version);
        let kept = state.kept(at).map(|object| ObjectVersion {
            snapshot: object
                .info
                .version
                .snapshot()
                .unwrap_or_default()
                .to_owned(),
            version: Some(object.info.version.clone()),
            size: object.info.size,
            modified: object.info.modified,
            newest: newest.and_then(Version::snapshot) == object.info.version.snapshot(),
        });
        Ok(kept.collect())
    }
}

/// The first name after this one.
fn after(name: &str) -> String {
    format!("{name}\0")
}

/// The first name after all that begin with this prefix, which ends with a slash.
fn after_all_in(folded: &str) -> String {
    // '0' is the character after '/'.
    format!("{}0", folded.strip_suffix('/').unwrap_or(folded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_after_a_folded_prefix_is_after_all_names_in_it() {
        let next = after_all_in("a/");
        assert!(next.as_str() > "a/\u{10ffff}\u{10ffff}");
        assert!(next.as_str() <= "a0");
        assert_eq!(after_all_in("a//"), "a/0");
    }

    #[tokio::test]
    async fn every_version_is_listed_and_read_by_its_name() {
        let memory = Memory::keeping_versions();
        let at = ObjectKey::new("k");
        let mut expect = Precondition::Absent;
        for text in ["a", "b", "c"] {
            let body = Body {
                bytes: Bytes::from(text),
                meta: crate::backend::Meta::default(),
            };
            let put = memory.put(&at, body, &expect, PutId::new(1)).await;
            let Ok(Outcome::Committed(version)) = put else {
                panic!("{put:?}");
            };
            expect = Precondition::Is(version);
        }
        let kept = memory.versions(&at).await.expect("they are kept");
        let newest: Vec<_> = kept.iter().map(|kept| kept.newest).collect();
        assert_eq!(newest, [true, false, false]);
        for (kept, text) in kept.iter().zip(["c", "b", "a"]) {
            let pin = ReadCondition::Snapshot(kept.snapshot.clone());
            let read = memory.get(&at, &pin, ByteRange::UpTo(9)).await;
            let Ok(Fetched::Object(object)) = read else {
                panic!("{read:?}");
            };
            assert_eq!(object.bytes, text);
        }
        let none = ReadCondition::Snapshot("none".to_owned());
        let read = memory.get(&at, &none, ByteRange::UpTo(9)).await;
        assert!(matches!(read, Err(Error::VersionGone(_))), "{read:?}");
        assert!(Memory::new().versions(&at).await.is_err());
    }

    #[test]
    fn spans_are_cut_to_what_there_is() {
        let bytes = Bytes::from_static(b"0123456789");
        let range = |start, len| cut(&bytes, ByteRange::Range { start, len });
        assert_eq!(range(2, 3), "234");
        assert_eq!(range(8, u64::MAX), "89");
        assert_eq!(range(10, 1), "");
        assert_eq!(range(u64::MAX, u64::MAX), "");
        assert_eq!(cut(&bytes, ByteRange::UpTo(10)), bytes);
        assert_eq!(cut(&bytes, ByteRange::UpTo(9)), "");
    }
}
