//! S3, and servers that speak like it, through the AWS SDK.
//!
//! The SDK's types, its names and its status codes end here: `connect` configures it, `keys` has the
//! keys that requests are signed with, `read`, `write` and `list` send requests, `info`, `span`, `integrity` and `listings` read answers, `failure`
//! says what their failures mean, `answer` whose word an error answer is, and `portal` whose a success. It knows neither stores nor files, and of prefixes only those
//! in a listing. Reads are retried by the SDK; a write is sent once (W6), the decorator `settle`
//! does the rest.

mod answer;
mod body;
mod bounds;
mod bucket;
mod byte_range;
mod causes;
mod connect;
mod credentials;
mod detour;
mod endpoint;
mod failure;
mod http;
mod info;
mod integrity;
mod keys;
mod list;
mod listings;
mod portal;
mod presign;
mod read;
mod retry;
mod sources;
mod tags;
mod terms;
mod trust;
mod versions;
mod wire;
mod write;
mod xml;

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_s3::Client;

use super::{
    Backend, Body, ByteRange, Cause, Deadlines, Denial, Error, Fetched, Grant, Habits, Limits,
    ListQuery, ObjectKey, ObjectMeta, ObjectVersion, Page, ReadCondition, Signed,
};
use crate::model::{Outcome, Precondition, PutId, Server, Version};
use crate::telemetry::exchange;

pub use connect::{Endpoint, S3Config};
pub use credentials::{Credentials, Instance};
pub use endpoint::of_environment as endpoint_of_environment;
pub use http::Network;
pub use terms::{Encryption, Terms};
pub use trust::{NoTrust, Trust};

/// The name of the user metadata that holds the put-id (`x-amz-meta-etagfs-put` on the wire).
const PUT_ID: &str = "etagfs-put";

/// How often a request goes where it is sent.
const DETOURS: u32 = 3;

/// A bucket.
#[derive(Debug)]
pub struct S3 {
    /// Retries.
    reads: Client,
    /// Does not.
    writes: Client,
    bucket: String,
    name: String,
    server: Server,
    deadlines: Deadlines,
    /// None: requests are not signed.
    keys: Option<keys::Keys>,
    terms: Terms,
    etags: integrity::Etags,
    detour: detour::Detour,
    /// See [`Limits::listing_bytes`].
    listing_memory: u64,
    habits: Habits,
    told: listings::Told,
}

impl S3 {
    /// What messages call an object.
    fn what(&self, at: &ObjectKey) -> String {
        format!("{}/{at}", self.name)
    }

    /// Carries an operation out. What is not about an object tells which server it is about.
    async fn ask<T, F>(&self, operation: impl Fn() -> F + Send + Sync) -> Result<T, Error>
    where
        T: Send,
        F: Future<Output = Result<T, Error>> + Send,
    {
        let mut sent_elsewhere = self.detour.sent();
        let (mut answer, mut last) = wire::watched(Box::pin(self.ask_with_keys(&operation))).await;
        for _ in 0..DETOURS {
            let sent = self.detour.sent();
            // Whoever is sent elsewhere was not served, and neither is anybody else who failed.
            if sent == sent_elsewhere || !matches!(answer, Err(Error::Failed { .. })) {
                break;
            }
            sent_elsewhere = sent;
            (answer, last) = wire::watched(Box::pin(self.ask_with_keys(&operation))).await;
        }
        match &mut answer {
            Err(Error::Unreachable { why, .. } | Error::Failed { why, .. }) => {
                let mut said = why.clone().of(&self.server);
                // What an https server says to TLS is not said to http.
                let endpoint = self.server.endpoint.as_deref();
                if !endpoint.is_some_and(|url| url.starts_with("http://")) {
                    said = said.but_not(&Cause::NotHttp);
                }
                *why = said;
            }
            // It was asked again until the time was over.
            Err(Error::Deadline { what, .. }) if matches!(last, Some(wire::Last::Unreadable)) => {
                answer = Err(Error::Corrupt {
                    what: std::mem::take(what),
                    why: format!("{}: no answer could be read", self.server),
                });
            }
            Err(Error::Deadline { what, cause, .. }) => {
                if let Some(wire::Last::Stranded(why)) = last {
                    *cause = Some(why);
                }
                what.push_str(&format!(" from {}", self.server));
                // The time was over before the patience of the client.
                if let Some(why) = exchange::last_stranded() {
                    what.push_str(&format!(" ({why})"));
                }
            }
            _ => {}
        }
        answer
    }

    /// Carries an operation out. If the store did not take the keys, and there are others by now, it does so a
    /// second time: what was denied has not happened. A denial names the credentials that were used.
    async fn ask_with_keys<T, F>(&self, operation: impl Fn() -> F + Send + Sync) -> Result<T, Error>
    where
        T: Send,
        F: Future<Output = Result<T, Error>> + Send,
    {
        let Some(keys) = &self.keys else {
            return operation().await;
        };
        let generation = keys.generation();
        let mut answer = operation().await;
        if let Err(Error::Denied {
            to: Denial::Credentials,
            ..
        }) = answer
            && keys.are_others(generation).await
        {
            answer = operation().await;
        }
        if let Err(Error::Denied { why, .. }) = &mut answer
            && let Some(whence) = keys.whence()
        {
            *why = why.clone().with(format_args!("; credentials: {whence}"));
        }
        answer
    }
}

#[async_trait]
impl Backend for S3 {
    fn name(&self) -> &str {
        &self.name
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn limits(&self) -> Limits {
        Limits {
            listing_bytes: self.listing_memory,
            ..Limits::S3
        }
    }

    fn habits(&self) -> Option<&Habits> {
        Some(&self.habits)
    }

    async fn get(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Fetched, Error> {
        let asked = SystemTime::now();
        let fetched = self
            .ask(|| self.past_portals(at, || self.read(at, pin, span)))
            .await?;
        if let Fetched::Object(object) = &fetched
            && !matches!(pin, ReadCondition::Snapshot(_))
        {
            self.told.note(at, &object.info, asked);
        }
        Ok(fetched)
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        let asked = SystemTime::now();
        let info = self.ask(|| self.past_portals(at, || self.look(at))).await?;
        self.told.note(at, &info, asked);
        Ok(info)
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        self.ask(|| self.write(at, body.clone(), expect, id)).await
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        self.ask(|| self.remove(at, version)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        let asked = SystemTime::now();
        let mut page = self.ask(|| self.page(query)).await?;
        let habits = &self.habits;
        self.told.compare(&mut page.objects, asked, habits);
        Ok(page)
    }

    async fn versions(&self, at: &ObjectKey) -> Result<Vec<ObjectVersion>, Error> {
        self.ask(|| self.kept(at)).await
    }

    async fn tags(&self, at: &ObjectKey) -> Result<String, Error> {
        self.ask(|| self.tags_of(at)).await
    }

    async fn presign(
        &self,
        at: &ObjectKey,
        grant: &Grant,
        expires: Duration,
    ) -> Result<Signed, Error> {
        self.ask(|| self.sign(at, grant, expires)).await
    }
}
