//! PUT and DELETE: one attempt, under a condition.
//!
//! There is no other put here than a conditional one (W3), and nothing is sent twice (W6). The
//! verdict on a failure is `failure.rs`'s; this file only knows whether a request began to leave.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::ChecksumAlgorithm;
use aws_smithy_runtime_api::http::HttpError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::failure::RequestFailure;
use super::integrity::may_be_digest;
use super::{PUT_ID, S3};
use crate::backend::habits::Condition;
use crate::backend::{Body, Error, ObjectKey, Tags};
use crate::model::{Outcome, Precondition, PutId, Version};
use crate::telemetry::exchange;

/// What the names of directory buckets end with (S3 Express One Zone). They take no `Content-MD5`.
const EXPRESS: &str = "--x-s3";

/// From this size on a body is not digested where others wait.
const LARGE: usize = 256 * 1024;

/// `Content-MD5`. A bucket with Object Lock refuses a put without a checksum, and what is damaged on its way is
/// refused everywhere. The older form is the one that every server knows.
async fn md5_of(bytes: Bytes) -> String {
    let digest = |bytes: &[u8]| STANDARD.encode(Md5::digest(bytes));
    if bytes.len() < LARGE {
        return digest(&bytes);
    }
    let there = bytes.clone();
    let digested = spawn_blocking(move || digest(&there)).await;
    digested.unwrap_or_else(|_| digest(&bytes))
}

impl S3 {
    /// [`crate::backend::Backend::put`].
    pub(super) async fn write(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        self.check(at, body.bytes.len() as u64)?;
        let limit = self.deadlines.with_body(body.bytes.len() as u64).attempt;
        let meta = body.meta;
        let mut metadata: HashMap<String, String> = meta.user.into_iter().collect();
        metadata.insert(PUT_ID.to_owned(), id.to_string());
        let mut request = self
            .writes
            .put_object()
            .bucket(&self.bucket)
            .key(at.as_str())
            .body(body.bytes.clone().into())
            .set_metadata(Some(metadata))
            .set_content_type(meta.content_type)
            .set_cache_control(meta.cache_control)
            .set_content_disposition(meta.content_disposition)
            .set_content_encoding(meta.content_encoding)
            .set_content_language(meta.content_language)
            .set_website_redirect_location(meta.website_redirect);
        request = match meta.tags {
            Tags::None => request,
            Tags::Are(query) => request.tagging(query),
            Tags::Of(of) => return Err(self.unread_tags(at, &of)),
        };
        request = self.terms.of_put(request);
        request = match self.bucket.ends_with(EXPRESS) {
            true => request.checksum_algorithm(ChecksumAlgorithm::Crc32),
            false => request.content_md5(md5_of(body.bytes.clone()).await),
        };
        let spelling = self.habits.spelling(Condition::Put);
        request = match expect {
            Precondition::Absent => request.if_none_match("*"),
            Precondition::Is(version) => request.if_match(spelling.spell(version)),
        };
        let departure = Departure::default();
        let mut request = request.customize().interceptor(departure.clone());
        if let Some(expires) = meta.expires {
            // As it was stored: the SDK would only take a date.
            request = request.map_request(move |mut request| {
                request
                    .headers_mut()
                    .try_insert("expires", expires.clone())?;
                Ok::<_, HttpError>(request)
            });
        }
        let sending = request.send();
        match within(limit, &departure, sending).await {
            Ok(answer) => {
                let etag = answer.e_tag.as_deref().unwrap_or_default();
                match Version::told(etag).filter(|_| !departure.is_talk()) {
                    Some(version) => {
                        let encryption = answer.server_side_encryption.as_ref();
                        let customer = answer.sse_customer_algorithm.as_deref();
                        if may_be_digest(encryption, customer) {
                            self.etags.learn(version.etag(), &body.bytes);
                        }
                        self.habits.learn_capitals(Some(etag));
                        if *expect != Precondition::Absent {
                            self.habits.prove(Condition::Put, spelling);
                        }
                        let version = version.with_snapshot(answer.version_id);
                        Ok(Outcome::Committed(version))
                    }
                    None => Ok(self.version_of(at, id).await),
                }
            }
            Err(failure) => failure.of_write(self.what(at), &self.bucket, expect),
        }
    }

    /// [`crate::backend::Backend::delete`].
    pub(super) async fn remove(
        &self,
        at: &ObjectKey,
        version: &Version,
    ) -> Result<Outcome<()>, Error> {
        let spelling = self.habits.spelling(Condition::Delete);
        let request = self
            .writes
            .delete_object()
            .bucket(&self.bucket)
            .key(at.as_str())
            .if_match(spelling.spell(version));
        let departure = Departure::default();
        let sending = request.customize().interceptor(departure.clone()).send();
        match within(self.deadlines.attempt, &departure, sending).await {
            Ok(_) if departure.is_talk() => {
                exchange::explain("the answer is not one of S3's");
                Ok(Outcome::Unknown)
            }
            Ok(_) => {
                self.habits.prove(Condition::Delete, spelling);
                Ok(Outcome::Committed(()))
            }
            Err(failure) => {
                let expect = Precondition::Is(version.clone());
                failure.of_write(self.what(at), &self.bucket, &expect)
            }
        }
    }

    fn check(&self, at: &ObjectKey, size: u64) -> Result<(), Error> {
        let limits = crate::backend::Limits::S3;
        let too_big = |why| {
            Err(Error::TooBig {
                what: self.what(at),
                why,
            })
        };
        match at.as_str().len() {
            0 => Err(Error::Failed {
                what: self.what(at),
                why: "a name has at least one byte".into(),
            }),
            bytes if bytes > limits.key_bytes => too_big(format!(
                "{bytes} bytes of name, the limit is {}",
                limits.key_bytes
            )),
            _ if size > limits.value_bytes => too_big(format!(
                "{size} bytes, the limit of a put is {}",
                limits.value_bytes
            )),
            _ => Ok(()),
        }
    }

    /// Tags travel only when they were read: to leave them out would be to lose them.
    fn unread_tags(&self, at: &ObjectKey, of: &ObjectKey) -> Error {
        Error::Failed {
            what: self.what(at),
            why: format!("the tags of {of} were not read").into(),
        }
    }

    /// A put succeeded, as it seems, and did not say as S3 does which version it made.
    async fn version_of(&self, at: &ObjectKey, id: PutId) -> Outcome {
        match self.look(at).await {
            Ok(info) if info.put_id == Some(id) => Outcome::Committed(info.version),
            _ => Outcome::Unknown,
        }
    }
}

/// Waits for the answer, but no longer than this.
async fn within<T, E>(
    limit: Duration,
    departure: &Departure,
    sending: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
) -> Result<T, RequestFailure>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match timeout(limit, sending).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(RequestFailure::of(error, departure.has_begun())),
        Err(_) if departure.has_begun() => Err(RequestFailure::Late),
        Err(_) => Err(RequestFailure::Unsent(
            "time was up before the request could be signed".into(),
        )),
    }
}

/// Notes that a request has been signed and is about to leave. Until then its failure proves
/// that nothing was written: no credentials, for instance. And notes what came back.
#[derive(Clone, Default)]
struct Departure {
    begun: Arc<AtomicBool>,
    talk: Arc<AtomicBool>,
}

impl Departure {
    fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Acquire)
    }

    /// Whether the success has something to say. S3 has nothing to say to a PUT or a DELETE that it
    /// did; a portal or a gateway that answers everything with a page has.
    fn is_talk(&self) -> bool {
        self.talk.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Departure({})", self.has_begun())
    }
}

impl Intercept for Departure {
    fn name(&self) -> &'static str {
        "departure"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.begun.store(true, Ordering::Release);
        Ok(())
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        self.talk
            .store(!body.trim_ascii().is_empty(), Ordering::Release);
        Ok(())
    }
}
