//! The plain layout: an object for each key, named by the store's prefix and the key; its body is the value.
//!
//! `/` in a key makes directories, see `store/dir.rs`. Each file says what its requests cost. It knows no
//! other layout.

mod directory;
mod in_bucket;
mod list;
mod lookup;
mod metadata;
mod scan;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use in_bucket::Plain;

use super::object::{check_size, not_asked, scan_versions, tagged, too_big};
use super::{
    Child, Dir, Entry, Error, Found, LayoutName, Listing, Metadata, Opened, ReadBack, Scanned,
    Slice, Store, StoreName, Value,
};
use crate::backend::{
    After, Backend, Body, ByteRange, Fetched, Grant, ListQuery, Object, ObjectKey, ObjectMeta,
    ObjectVersion, ReadCondition, Signed,
};
use crate::model::{BadName, FileName, Key, Outcome, Precondition, PutId, Version};

/// What the layout is called.
pub const LAYOUT: LayoutName = LayoutName::new("plain");

/// A store in the plain layout.
#[derive(Clone, Debug)]
pub struct PlainStore {
    name: StoreName,
    /// What the names of its objects begin with.
    prefix: String,
    backend: Arc<dyn Backend>,
}

impl PlainStore {
    /// The store whose objects' names begin with `prefix`.
    pub fn new(name: StoreName, prefix: String, backend: Arc<dyn Backend>) -> Self {
        Self {
            name,
            prefix,
            backend,
        }
    }

    /// Makes sure that an object can have this name. The store's own part of it counts.
    fn check_name(&self, after_prefix: &str) -> Result<(), BadName> {
        match self.prefix.len() + after_prefix.len() <= self.backend.limits().key_bytes {
            true => Ok(()),
            false => Err(BadName::TooLong),
        }
    }

    fn object(&self, key: &Key) -> ObjectKey {
        ObjectKey::new(format!("{}{}", self.prefix, key.as_str()))
    }

    fn query(&self, below: &str, fold: bool, limit: u16) -> ListQuery {
        ListQuery {
            prefix: format!("{}{below}", self.prefix),
            fold,
            after: After::Start,
            limit,
        }
    }

    /// The name of an object after the store's prefix.
    fn relative<'a>(&self, object: &'a ObjectKey) -> Option<&'a str> {
        object.as_str().strip_prefix(&self.prefix)
    }
}

fn entry(key: &Key, info: &ObjectMeta) -> Entry {
    Entry {
        key: key.clone(),
        size: Some(info.size),
        modified: info.modified,
        version: info.version.clone(),
    }
}

#[async_trait]
impl Store for PlainStore {
    fn name(&self) -> StoreName {
        self.name
    }

    fn layout(&self) -> LayoutName {
        LAYOUT
    }

    fn value_limit(&self) -> u64 {
        self.backend.limits().value_bytes
    }

    fn takes_empty(&self) -> bool {
        true
    }

    fn has_unlisted_names(&self) -> bool {
        false
    }

    fn address(&self, key: &Key) -> String {
        format!("{}/{}", self.backend.name(), self.object(key))
    }

    fn identity(&self, key: &Key) -> String {
        format!("{}\n{}", self.backend.server(), self.address(key))
    }

    fn child(&self, dir: &Dir, name: &FileName) -> Result<Child, Error> {
        let child = dir.child(name)?;
        match &child {
            Child::Either(key, _) | Child::Shadowed(key, _) | Child::Key(key) => {
                self.check_name(key.as_str())?;
            }
            Child::Dir(below) => self.check_name(below.prefix())?,
        }
        Ok(child)
    }

    fn key_at(&self, text: &str) -> Result<Key, Error> {
        let key = Key::new(text)?;
        self.check_name(key.as_str())?;
        Ok(key)
    }

    fn read_back(&self, _: &Key, _: &Version) -> ReadBack {
        ReadBack::Same
    }

    fn read_only(&self, _: &Key, _: &Metadata) -> Option<&'static str> {
        None
    }

    fn fresh_metadata(&self, key: &Key) -> Metadata {
        metadata::fresh(key)
    }

    fn recreated_metadata(&self, _: &Key, moved: &Metadata) -> Metadata {
        moved.clone()
    }

    fn is_default(&self, key: &Key, metadata: &Metadata) -> bool {
        metadata::is_default(metadata, key)
    }

    async fn lookup(&self, dir: &Dir, name: &FileName) -> Result<Found, Error> {
        self.look_up(dir, name).await
    }

    async fn list(&self, dir: &Dir) -> Result<Listing, Error> {
        self.list_dir(dir).await
    }

    async fn scan(&self, beginning: &str, fold: bool) -> Result<Vec<Scanned>, Error> {
        self.scan_objects(beginning, fold).await
    }

    async fn scan_versions(&self, beginning: &str, fold: bool) -> Result<Vec<Scanned>, Error> {
        scan_versions(self, &*self.backend, beginning, fold).await
    }

    async fn inspect(&self, key: &Key) -> Result<Option<(Entry, Metadata)>, Error> {
        match self.backend.head(&self.object(key)).await {
            Ok(info) => Ok(Some((entry(key, &info), info.meta.into()))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn open_pinned(
        &self,
        key: &Key,
        pin: &ReadCondition,
        limit: u64,
    ) -> Result<Opened, Error> {
        let at = self.object(key);
        let fetched = self.backend.get(&at, pin, ByteRange::UpTo(limit)).await?;
        let Fetched::Object(object) = fetched else {
            return Ok(Opened::Unchanged);
        };
        let Object { info, bytes } = *object;
        let entry = entry(key, &info);
        let large = info.size > limit;
        let metadata = info.meta.into();
        Ok(match large {
            true => Opened::Large { entry, metadata },
            false => Opened::Whole(Value {
                bytes,
                version: entry.version,
                modified: entry.modified,
                metadata,
            }),
        })
    }

    async fn read(&self, key: &Key, entry: &Entry, start: u64, len: u64) -> Result<Bytes, Error> {
        // That it is of one version is the backend's to see.
        let pin = ReadCondition::Is(entry.version.clone());
        let at = self.object(key);
        let span = ByteRange::Range { start, len };
        match self.backend.get(&at, &pin, span).await? {
            Fetched::Object(object) => {
                check_size(object.info.size, entry.size, || self.address(key))?;
                Ok(object.bytes)
            }
            Fetched::Unchanged => Err(not_asked(self.address(key))),
        }
    }

    async fn slice(
        &self,
        key: &Key,
        pin: &ReadCondition,
        start: u64,
        len: u64,
    ) -> Result<Option<Slice>, Error> {
        let span = ByteRange::Range { start, len };
        let fetched = self.backend.get(&self.object(key), pin, span).await?;
        let Fetched::Object(object) = fetched else {
            return Ok(None);
        };
        let Object { info, bytes } = *object;
        Ok(Some(Slice {
            entry: entry(key, &info),
            metadata: info.meta.into(),
            bytes,
        }))
    }

    async fn put_as(
        &self,
        key: &Key,
        bytes: Bytes,
        metadata: &Metadata,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let limit = self.value_limit();
        if bytes.len() as u64 > limit {
            return Err(too_big(&self.address(key), limit));
        }
        let meta = tagged(&*self.backend, metadata::typed(metadata, key)).await?;
        let (at, body) = (self.object(key), Body { bytes, meta });
        Ok(self.backend.put(&at, body, expect, id).await?)
    }

    async fn last_put(&self, key: &Key) -> Result<Option<PutId>, Error> {
        match self.backend.head(&self.object(key)).await {
            Ok(info) => Ok(info.put_id),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn create_log(&self, key: &Key, lines: Bytes) -> Result<Outcome, Error> {
        let metadata = Metadata::default();
        self.put(key, lines, &metadata, &Precondition::Absent).await
    }

    async fn delete(&self, key: &Key, version: &Version) -> Result<Outcome<()>, Error> {
        Ok(self.backend.delete(&self.object(key), version).await?)
    }

    async fn make_dir(&self, dir: &Dir) -> Result<(), Error> {
        self.make_marker(dir).await
    }

    async fn remove_dir(&self, dir: &Dir) -> Result<(), Error> {
        self.remove_marker(dir).await
    }

    async fn with_tags(&self, metadata: Metadata) -> Result<Metadata, Error> {
        Ok(Metadata {
            meta: tagged(&*self.backend, metadata.meta).await?,
            ..metadata
        })
    }

    async fn versions(&self, key: &Key) -> Result<Vec<ObjectVersion>, Error> {
        Ok(self.backend.versions(&self.object(key)).await?)
    }

    async fn presign(&self, key: &Key, grant: &Grant, expires: Duration) -> Result<Signed, Error> {
        let at = self.object(key);
        Ok(self.backend.presign(&at, grant, expires).await?)
    }
}
