//! What is too large is known before anything is sent.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use etagfs::backend::{
    self, Backend, Body, ByteRange, Fetched, Limits, ListQuery, ObjectKey, ObjectMeta, Page,
    ReadCondition,
};
use etagfs::model::{Outcome, Precondition, PutId, Server, Version};
use etagfs::store::{Bucket, Catalog as _, Error, Metadata};

use super::ground::Ground;
use super::subjects::layouts;

/// More than a value of these tests may have, in a backend that says so.
const MOST: usize = 1000;

/// A backend that holds small values only.
#[derive(Debug)]
struct Small(Arc<dyn Backend>);

#[async_trait]
impl Backend for Small {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn server(&self) -> &Server {
        self.0.server()
    }

    fn limits(&self) -> Limits {
        Limits {
            value_bytes: MOST as u64,
            ..self.0.limits()
        }
    }

    async fn get(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Fetched, backend::Error> {
        self.0.get(at, pin, span).await
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, backend::Error> {
        self.0.head(at).await
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, backend::Error> {
        assert!(body.bytes.len() <= MOST, "it was sent");
        self.0.put(at, body, expect, id).await
    }

    async fn delete(
        &self,
        at: &ObjectKey,
        version: &Version,
    ) -> Result<Outcome<()>, backend::Error> {
        self.0.delete(at, version).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, backend::Error> {
        self.0.list(query).await
    }
}

pub(super) async fn a_value_that_is_too_large_is_not_sent(g: Ground) {
    let small = Arc::new(Small(Arc::clone(&g.faults) as _));
    let catalog = Bucket::with(small, &*g.prefix, layouts());
    let store = catalog.store_as(g.id, g.layout);
    assert!(store.value_limit() <= MOST as u64);
    let key = g.key("k");
    let metadata = Metadata {
        binary: true,
        ..store.fresh_metadata(&key)
    };
    let limit = usize::try_from(store.value_limit()).unwrap();
    let bytes = Bytes::from(vec![b'x'; limit + 1]);
    let put = store
        .put(&key, bytes, &metadata, &Precondition::Absent)
        .await;
    assert!(matches!(put, Err(Error::TooBig(_))), "{put:?}");
    assert!(g.is_missing("k").await);
}

pub(super) async fn a_name_that_is_too_long_is_not_asked_for(g: Ground) {
    let before = g.requests();
    let key = g.store.key_at(&"k".repeat(5000));
    assert!(matches!(key, Err(Error::BadName(_))), "{key:?}");
    assert_eq!(g.requests(), before);
}
