//! A konserve store is a [`Store`]: what is asked of any store, and where this layout answers it.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{KonserveStore, LAYOUT, STORED, key, target};
use crate::backend::{Grant, ObjectVersion, ReadCondition, Signed};
use crate::model::{BadName, FileName, Key, Outcome, Precondition, PutId, Version};
use crate::store::object::{scan_versions, tagged};
use crate::store::{
    Child, Dir, Entry, Error, Found, LayoutName, Listing, Metadata, Opened, ReadBack, Scanned,
    Shown, Store, StoreName,
};

#[async_trait]
impl Store for KonserveStore {
    fn name(&self) -> StoreName {
        StoreName::Id(self.id)
    }

    fn layout(&self) -> LayoutName {
        LAYOUT
    }

    fn value_limit(&self) -> u64 {
        self.backend.limits().value_bytes
    }

    fn takes_empty(&self) -> bool {
        false
    }

    /// A key is spelled in several ways, and its object can be asked for by its UUID.
    fn has_unlisted_names(&self) -> bool {
        true
    }

    /// The name of an object does not say its key.
    fn learns_names(&self) -> bool {
        true
    }

    fn progress(&self) -> Option<(u64, u64)> {
        self.learning.progress()
    }

    fn address(&self, key: &Key) -> String {
        format!("{}/{}", self.backend.name(), self.object_of(key))
    }

    fn identity(&self, key: &Key) -> String {
        format!("{}\n{}", self.backend.server(), Store::address(self, key))
    }

    /// One that can only be an object has no text.
    fn child(&self, _: &Dir, name: &FileName) -> Result<Child, Error> {
        let asked = self.settings.read_name(name)?;
        let text = asked.key.as_ref().map(konserve_codec::edn::print_line);
        let text = text.map(Into::into);
        Ok(Child::Key(key(asked.object, asked.raw, text)))
    }

    /// By its file name, where a `/` may stand for its `%2F`.
    fn key_at(&self, text: &str) -> Result<Key, Error> {
        let name = FileName::new(text.replace('/', "%2F").as_ref())?;
        match self.child(&Dir::root(), &name)? {
            Child::Key(key) => Ok(key),
            Child::Either(..) | Child::Dir(_) | Child::Shadowed(..) => Err(BadName::Illegal.into()),
        }
    }

    fn read_back(&self, key: &Key, version: &Version) -> ReadBack {
        match self.saved(key, version) {
            Some((bytes, metadata)) => ReadBack::Other(bytes, Box::new(metadata)),
            None => ReadBack::Unknown,
        }
    }

    fn read_only(&self, key: &Key, metadata: &Metadata) -> Option<&'static str> {
        let is_raw = target(key).is_ok_and(|target| target.raw);
        is_raw.then_some(STORED).or_else(|| metadata.read_only())
    }

    fn fresh_metadata(&self, _: &Key) -> Metadata {
        Metadata::default()
    }

    fn recreated_metadata(&self, key: &Key, _: &Metadata) -> Metadata {
        self.fresh_metadata(key)
    }

    fn is_default(&self, _: &Key, metadata: &Metadata) -> bool {
        metadata.origin.is_none()
    }

    async fn lookup(&self, _: &Dir, name: &FileName) -> Result<Found, Error> {
        self.look_up(name).await
    }

    async fn list(&self, _: &Dir) -> Result<Listing, Error> {
        self.list_keys().await
    }

    async fn scan(&self, beginning: &str, _: bool) -> Result<Vec<Scanned>, Error> {
        let names = self.list_keys().await?.into_iter();
        let found = names.filter_map(|(name, shown)| match shown {
            Shown::File(entry) if name.as_str().starts_with(beginning) => {
                Some(Scanned::Key(name.as_str().to_owned(), entry))
            }
            _ => None,
        });
        Ok(found.collect())
    }

    async fn scan_versions(&self, beginning: &str, fold: bool) -> Result<Vec<Scanned>, Error> {
        scan_versions(self, &*self.backend, beginning, fold).await
    }

    async fn inspect(&self, key: &Key) -> Result<Option<(Entry, Metadata)>, Error> {
        self.inspect_object(key).await
    }

    async fn open_pinned(
        &self,
        key: &Key,
        pin: &ReadCondition,
        limit: u64,
    ) -> Result<Opened, Error> {
        self.open_object(key, pin, limit).await
    }

    async fn read(&self, key: &Key, entry: &Entry, start: u64, len: u64) -> Result<Bytes, Error> {
        self.read_piece(key, entry, start, len).await
    }

    async fn put_as(
        &self,
        key: &Key,
        bytes: Bytes,
        metadata: &Metadata,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        self.save(key, bytes, metadata, expect, id).await
    }

    async fn last_put(&self, key: &Key) -> Result<Option<PutId>, Error> {
        match self.backend.head(&self.object_of(key)).await {
            Ok(info) => Ok(info.put_id),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn create_log(&self, key: &Key, lines: Bytes) -> Result<Outcome, Error> {
        self.make_log(key, &lines).await
    }

    async fn delete(&self, key: &Key, version: &Version) -> Result<Outcome<()>, Error> {
        self.delete_object(key, version).await
    }

    async fn with_tags(&self, metadata: Metadata) -> Result<Metadata, Error> {
        Ok(Metadata {
            meta: tagged(&*self.backend, metadata.meta).await?,
            ..metadata
        })
    }

    async fn versions(&self, key: &Key) -> Result<Vec<ObjectVersion>, Error> {
        Ok(self.backend.versions(&self.object_of(key)).await?)
    }

    async fn presign(&self, key: &Key, _: &Grant, _: Duration) -> Result<Signed, Error> {
        Err(Error::Unsupported(format!(
            "{} holds more than the value, in konserve's own format, and a signed URL would lead to all of it",
            Store::address(self, key)
        )))
    }
}
