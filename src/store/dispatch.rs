//! The one implementation of [`Store`]: every layout of a bucket.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::in_bucket::InBucket;
use super::{
    Child, Dir, Entry, Envelope, Error, Found, Listing, Opened, ReadBack, Scanned, Slice, Store,
    StoreName,
};
use crate::backend::{Grant, Kept, Pin, Signed};
use crate::model::{Expect, FileName, Key, Outcome, PutId, Version};

#[async_trait]
impl Store for InBucket {
    fn name(&self) -> StoreName {
        Self::name(self)
    }

    fn value_limit(&self) -> u64 {
        Self::value_limit(self)
    }

    fn takes_empty(&self) -> bool {
        Self::takes_empty(self)
    }

    fn has_aliases(&self) -> bool {
        Self::has_aliases(self)
    }

    fn progress(&self) -> Option<(u64, u64)> {
        Self::progress(self)
    }

    fn address(&self, key: &Key) -> String {
        Self::address(self, key)
    }

    fn identity(&self, key: &Key) -> String {
        Self::identity(self, key)
    }

    fn child(&self, dir: &Dir, name: &FileName) -> Result<Child, Error> {
        Self::child(self, dir, name)
    }

    fn key_at(&self, text: &str) -> Result<Key, Error> {
        Self::key_at(self, text)
    }

    fn read_back(&self, key: &Key, version: &Version) -> ReadBack {
        Self::read_back(self, key, version)
    }

    fn read_only(&self, key: &Key, envelope: &Envelope) -> Option<&'static str> {
        Self::read_only(self, key, envelope)
    }

    fn fresh_envelope(&self, key: &Key) -> Envelope {
        Self::fresh_envelope(self, key)
    }

    fn recreated_envelope(&self, key: &Key, moved: &Envelope) -> Envelope {
        Self::recreated_envelope(self, key, moved)
    }

    fn is_plain(&self, key: &Key, envelope: &Envelope) -> bool {
        Self::is_plain(self, key, envelope)
    }

    async fn lookup(&self, dir: &Dir, name: &FileName) -> Result<Found, Error> {
        Self::lookup(self, dir, name).await
    }

    async fn list(&self, dir: &Dir) -> Result<Listing, Error> {
        Self::list(self, dir).await
    }

    async fn scan(&self, beginning: &str, fold: bool) -> Result<Vec<Scanned>, Error> {
        Self::scan(self, beginning, fold).await
    }

    async fn scan_versions(&self, beginning: &str, fold: bool) -> Result<Vec<Scanned>, Error> {
        Self::scan_versions(self, beginning, fold).await
    }

    async fn describe(&self, key: &Key) -> Result<Option<Entry>, Error> {
        Self::describe(self, key).await
    }

    async fn inspect(&self, key: &Key) -> Result<Option<(Entry, Envelope)>, Error> {
        Self::inspect(self, key).await
    }

    async fn open_pinned(&self, key: &Key, pin: &Pin, limit: u64) -> Result<Opened, Error> {
        Self::open_pinned(self, key, pin, limit).await
    }

    async fn read(&self, key: &Key, entry: &Entry, start: u64, len: u64) -> Result<Bytes, Error> {
        Self::read(self, key, entry, start, len).await
    }

    async fn slice(
        &self,
        key: &Key,
        pin: &Pin,
        start: u64,
        len: u64,
    ) -> Result<Option<Slice>, Error> {
        Self::slice(self, key, pin, start, len).await
    }

    async fn put_as(
        &self,
        key: &Key,
        bytes: Bytes,
        envelope: &Envelope,
        expect: &Expect,
        id: PutId,
    ) -> Result<Outcome, Error> {
        Self::put_as(self, key, bytes, envelope, expect, id).await
    }

    async fn last_put(&self, key: &Key) -> Result<Option<PutId>, Error> {
        Self::last_put(self, key).await
    }

    async fn create_log(&self, key: &Key, lines: Bytes) -> Result<Outcome, Error> {
        Self::create_log(self, key, lines).await
    }

    async fn delete(&self, key: &Key, version: &Version) -> Result<Outcome<()>, Error> {
        Self::delete(self, key, version).await
    }

    async fn make_dir(&self, dir: &Dir) -> Result<(), Error> {
        Self::make_dir(self, dir).await
    }

    async fn remove_dir(&self, dir: &Dir) -> Result<(), Error> {
        Self::remove_dir(self, dir).await
    }

    async fn with_tags(&self, envelope: Envelope) -> Result<Envelope, Error> {
        Self::with_tags(self, envelope).await
    }

    async fn versions(&self, key: &Key) -> Result<Vec<Kept>, Error> {
        Self::versions(self, key).await
    }

    async fn presign(&self, key: &Key, grant: &Grant, expires: Duration) -> Result<Signed, Error> {
        Self::presign(self, key, grant, expires).await
    }
}
