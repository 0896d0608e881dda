//! S3, and servers that speak like it, through the AWS SDK.
//!
//! The SDK's types, its names and its status codes end here: `connect` configures it, `read`,
//! `write` and `list` send requests, `info`, `span` and `integrity` read answers, and `failure`
//! says what their failures mean. It knows neither stores nor files, and of prefixes only those
//! in a listing. Reads are retried by the SDK; a write is sent once (W6), the decorator `settle`
//! does the rest.

mod bucket;
mod connect;
mod failure;
mod info;
mod integrity;
mod list;
mod read;
mod span;
mod wire;
mod write;

use async_trait::async_trait;
use aws_sdk_s3::Client;

use super::{
    Backend, Body, Deadlines, Error, Fetched, Limits, ListQuery, ObjectInfo, ObjectKey, Page, Pin,
    Span,
};
use crate::model::{Expect, Outcome, PutId, Version};

pub use connect::{Credentials, Instance, S3Config};

/// The name of the user metadata that holds the put-id (`x-amz-meta-etagfs-put` on the wire).
const PUT_ID: &str = "etagfs-put";

/// A bucket.
#[derive(Debug)]
pub struct S3 {
    /// Retries.
    reads: Client,
    /// Does not.
    writes: Client,
    bucket: String,
    name: String,
    deadlines: Deadlines,
    etags: integrity::Etags,
}

impl S3 {
    /// What messages call an object.
    fn what(&self, at: &ObjectKey) -> String {
        format!("{}/{at}", self.name)
    }
}

#[async_trait]
impl Backend for S3 {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        Limits::S3
    }

    async fn get(&self, at: &ObjectKey, pin: &Pin, span: Span) -> Result<Fetched, Error> {
        self.read(at, pin, span).await
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectInfo, Error> {
        self.look(at).await
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Expect,
        id: PutId,
    ) -> Result<Outcome, Error> {
        self.write(at, body, expect, id).await
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        self.remove(at, version).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        self.page(query).await
    }
}
