//! Counts requests, times them, and says in the log how each ended.
//!
//! It stands right above the backend that sends them, below `settle` and `limit`: it sees every
//! attempt at a write and every look at one in doubt, and none of the time that a request waits for
//! its place. A read is one request here however often the backend itself sends it again; those
//! messages are counted apart, as `backend/s3/wire.rs` tells of them. It decides nothing and changes
//! nothing.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::Instrument;
use tracing::field::Empty;

use super::{
    Backend, Body, ByteRange, Error, Fetched, Grant, Habits, Limits, ListQuery, ObjectKey,
    ObjectMeta, ObjectVersion, Page, ReadCondition, Signed,
};
use crate::model::{Outcome, Precondition, PutId, Server, Version};
use crate::telemetry::exchange::Exchange;
use crate::telemetry::{Failed, Request, Telemetry, milliseconds};

/// A backend whose requests are counted.
#[derive(Debug)]
pub struct Metered {
    inner: Arc<dyn Backend>,
    telemetry: Arc<Telemetry>,
}

impl Metered {
    /// Wraps a backend, and tells `telemetry`.
    pub fn new(inner: Arc<dyn Backend>, telemetry: Arc<Telemetry>) -> Self {
        Self { inner, telemetry }
    }

    /// Makes a request, about this object or this prefix of objects.
    async fn request<T>(
        &self,
        kind: Request,
        object: &str,
        call: impl Future<Output = Result<T, Error>>,
        verdict: impl FnOnce(&T) -> Verdict,
    ) -> Result<T, Error> {
        let mut underway = Underway::begin(&self.telemetry, kind, object);
        let exchange = Arc::clone(&underway.exchange);
        if let Some(header) = self.telemetry.trace_header.get()
            && let Some(header) = header(&underway.span)
        {
            exchange.set_trace_header(header);
        }
        let span = underway.span.clone();
        let result = exchange.watch(call).instrument(span).await;
        underway.verdict = Some(match &result {
            Ok(answer) => verdict(answer),
            Err(error) => Verdict::of_error(error),
        });
        result
    }
}

/// What a request came to.
#[derive(Debug)]
enum Verdict {
    /// What could be expected of it.
    Fine(&'static str),
    /// It failed.
    Bad(&'static str, String),
}

impl Verdict {
    fn of_error(error: &Error) -> Self {
        match error {
            Error::NotFound(_) => Self::Fine("not_found"),
            Error::VersionGone(_) => Self::Fine("version_gone"),
            Error::Denied { .. } => Self::Bad("denied", error.to_string()),
            Error::Unreachable { .. } => Self::Bad("unreachable", error.to_string()),
            Error::Collided { .. } => Self::Fine("collided"),
            Error::Deadline { .. } => Self::Bad("deadline", error.to_string()),
            Error::TooBig { .. } => Self::Bad("too_big", error.to_string()),
            Error::Corrupt { .. } => Self::Bad("corrupt", error.to_string()),
            Error::Unsupported { .. } => Self::Fine("unsupported"),
            Error::Failed { .. } => Self::Bad("failed", error.to_string()),
        }
    }

    fn of_write<T>(outcome: &Outcome<T>) -> Self {
        match outcome {
            Outcome::Committed(_) => Self::Fine("ok"),
            Outcome::Refused(_) => Self::Fine("refused"),
            // The reason is noted separately: see `exchange::explain`.
            Outcome::Unknown => Self::Bad("unknown", "whether it happened is not known".to_owned()),
        }
    }
}

/// A request under way; whoever drops it has its end counted.
struct Underway<'a> {
    telemetry: &'a Telemetry,
    exchange: Arc<Exchange>,
    kind: Request,
    object: &'a str,
    since: Instant,
    span: tracing::Span,
    verdict: Option<Verdict>,
}

impl<'a> Underway<'a> {
    fn begin(telemetry: &'a Telemetry, kind: Request, object: &'a str) -> Self {
        telemetry.metrics.request_begins();
        Self {
            telemetry,
            exchange: Arc::default(),
            kind,
            object,
            since: Instant::now(),
            span: tracing::debug_span!(
                "request",
                request = kind.as_str(),
                object,
                outcome = Empty,
                why = Empty,
                status = Empty,
                request_id = Empty,
                sent = Empty,
            ),
            verdict: None,
        }
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let verdict = self.verdict.take();
        // Nobody waited for its end: the time of a write was up, or the mount ends.
        let given_up = || Verdict::Bad("given_up", "nobody waited for its end".to_owned());
        let verdict = verdict.unwrap_or_else(given_up);
        let took = self.since.elapsed();
        let ms = milliseconds(took);
        let messages = self.exchange.now();
        let (request, object, sent) = (self.kind.as_str(), self.object, messages.sent);
        let (request_id, status) = (messages.request_id.as_deref(), messages.statuses.last());
        let metrics = &self.telemetry.metrics;
        metrics.messages(self.kind, sent, &messages.statuses);
        self.span.record("sent", sent);
        self.span.record("status", status);
        self.span.record("request_id", request_id);
        match verdict {
            Verdict::Fine(outcome) => {
                metrics.request_ended(self.kind, outcome, took);
                self.span.record("outcome", outcome);
                tracing::trace!(
                    request, object, outcome, status, request_id, sent, ms, "answered"
                );
            }
            Verdict::Bad(outcome, message) => {
                metrics.request_ended(self.kind, outcome, took);
                let message = match messages.why {
                    Some(why) => format!("{message}: {why}"),
                    None => message,
                };
                self.span.record("outcome", outcome);
                self.span.record("why", &*message);
                match self.telemetry.warns_of_failures.load(Ordering::Relaxed) {
                    true => {
                        tracing::warn!(
                            request,
                            object,
                            outcome,
                            status,
                            request_id,
                            sent,
                            ms,
                            "request failed: {message}"
                        );
                    }
                    false => {
                        tracing::debug!(
                            request,
                            object,
                            outcome,
                            status,
                            request_id,
                            sent,
                            ms,
                            "request failed: {message}"
                        );
                    }
                }
                let time = OffsetDateTime::now_utc().format(&Rfc3339);
                self.telemetry.failures.add(Failed {
                    time: time.unwrap_or_default(),
                    request,
                    object: object.to_owned(),
                    outcome,
                    status: status.copied(),
                    request_id: request_id.map(str::to_owned),
                    sent,
                    ms,
                    message,
                });
            }
        }
    }
}

#[async_trait]
impl Backend for Metered {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn server(&self) -> &Server {
        self.inner.server()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn habits(&self) -> Option<&Habits> {
        self.inner.habits()
    }

    async fn get(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Fetched, Error> {
        let call = self.inner.get(at, pin, span);
        let fetched = self.request(Request::Get, at.as_str(), call, |fetched| match fetched {
            Fetched::Object(_) => Verdict::Fine("ok"),
            Fetched::Unchanged => Verdict::Fine("unchanged"),
        });
        let fetched = fetched.await?;
        if let Fetched::Object(object) = &fetched {
            self.telemetry
                .metrics
                .received_bytes(object.bytes.len() as u64);
        }
        Ok(fetched)
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        let call = self.inner.head(at);
        let fine = |_: &_| Verdict::Fine("ok");
        self.request(Request::Head, at.as_str(), call, fine).await
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        self.telemetry.metrics.sent_bytes(body.bytes.len() as u64);
        let call = self.inner.put(at, body, expect, id);
        self.request(Request::Put, at.as_str(), call, Verdict::of_write)
            .await
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        let call = self.inner.delete(at, version);
        self.request(Request::Delete, at.as_str(), call, Verdict::of_write)
            .await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        let object = format!("{}*", query.prefix);
        let call = self.inner.list(query);
        let fine = |_: &_| Verdict::Fine("ok");
        self.request(Request::List, &object, call, fine).await
    }

    async fn versions(&self, at: &ObjectKey) -> Result<Vec<ObjectVersion>, Error> {
        let call = self.inner.versions(at);
        let fine = |_: &_| Verdict::Fine("ok");
        self.request(Request::List, at.as_str(), call, fine).await
    }

    async fn tags(&self, at: &ObjectKey) -> Result<String, Error> {
        let call = self.inner.tags(at);
        let fine = |_: &_| Verdict::Fine("ok");
        self.request(Request::Head, at.as_str(), call, fine).await
    }

    async fn presign(
        &self,
        at: &ObjectKey,
        grant: &Grant,
        expires: Duration,
    ) -> Result<Signed, Error> {
        self.inner.presign(at, grant, expires).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::fault::{Fault, Faulty, Op};
    use crate::backend::{Deadlines, Memory, Settled};
    use crate::model::PutId;
    use crate::telemetry::Levels;

    fn counted(telemetry: &Telemetry, line: &str) -> bool {
        let text = telemetry.metrics.text(&Levels::default());
        text.lines().any(|it| it == line)
    }

    #[tokio::test(start_paused = true)]
    async fn every_attempt_that_settle_makes_is_counted_and_so_is_its_look() {
        let faulty = Arc::new(Faulty::new(Arc::new(Memory::new())));
        let telemetry = Arc::<Telemetry>::default();
        let metered = Arc::new(Metered::new(faulty.clone(), Arc::clone(&telemetry)));
        let settled = Settled::new(metered, Deadlines::default());
        faulty.next(Op::Put, Fault::LoseReply);
        let body = Body {
            bytes: bytes::Bytes::from_static(b"five!"),
            meta: crate::backend::Meta::default(),
        };
        let at = ObjectKey::new("k");
        let outcome = settled
            .put(&at, body, &Precondition::Absent, PutId::new(1))
            .await
            .unwrap();
        assert!(matches!(outcome, Outcome::Committed(_)));
        for line in [
            "etagfs_store_requests_total{outcome=\"unknown\",request=\"put\"} 1",
            "etagfs_store_requests_total{outcome=\"ok\",request=\"head\"} 1",
            "etagfs_store_bytes_total{direction=\"sent\"} 5",
            "etagfs_store_requests_in_flight 0",
        ] {
            assert!(counted(&telemetry, line), "{line}");
        }
        let failures = telemetry.failures.lines();
        assert!(failures.contains("\"outcome\":\"unknown\""), "{failures}");
    }

    #[tokio::test]
    async fn a_missing_object_is_an_answer_and_no_failure() {
        let telemetry = Arc::<Telemetry>::default();
        let metered = Metered::new(Arc::new(Memory::new()), Arc::clone(&telemetry));
        assert!(metered.head(&ObjectKey::new("k")).await.is_err());
        let line = "etagfs_store_requests_total{outcome=\"not_found\",request=\"head\"} 1";
        assert!(counted(&telemetry, line));
        assert_eq!(telemetry.failures.lines(), "");
    }

    #[tokio::test]
    async fn a_request_that_nobody_waits_for_is_counted_too() {
        let faulty = Arc::new(Faulty::new(Arc::new(Memory::new())));
        let telemetry = Arc::<Telemetry>::default();
        let metered = Metered::new(faulty.clone(), Arc::clone(&telemetry));
        faulty.next(
            Op::Head,
            Fault::HoldRequest(crate::backend::fault::Gate::new()),
        );
        let object = ObjectKey::new("k");
        {
            let mut head = metered.head(&object);
            assert!(futures_util::poll!(&mut head).is_pending());
            assert!(counted(&telemetry, "etagfs_store_requests_in_flight 1"));
        }
        let line = "etagfs_store_requests_total{outcome=\"given_up\",request=\"head\"} 1";
        assert!(counted(&telemetry, line));
        assert!(counted(&telemetry, "etagfs_store_requests_in_flight 0"));
    }
}
