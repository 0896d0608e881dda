//! Carries the rule for lost and doubled messages out (W6, W11): sends, looks and waits as
//! [`model::Settle`] says.
//!
//! It wraps a backend whose writes are single attempts, and makes of them writes whose fate is
//! known as often as it can be known. It decides nothing about conflicts itself and knows no
//! protocol. Reads pass through, but for the trails that are read off them (`settle/trails.rs`). The
//! rule and its proof are in `crates/model/src/settle.rs`.
//!
//! [`model::Settle`]: Settle

mod trails;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, sleep, timeout_at};

use super::habits::Condition;
use super::{
    Backend, Body, ByteRange, Deadlines, Error, Fetched, Grant, Habits, Limits, ListQuery,
    ObjectKey, ObjectMeta, ObjectVersion, Page, ReadCondition, Signed,
};
use crate::model::{
    Found, Outcome, Precondition, PutId, Reply, Rival, Server, Settle, Step, Version,
};

use trails::Trails;

/// The first and the longest pause before another attempt; each is drawn between nothing and
/// twice the one before, so that clients that were turned away together do not come back so.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long a refused or doubtful write is checked after its time is up.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// A backend whose writes are settled.
///
/// A put or a delete ends within [`Deadlines::operation`] (with the time for its body) and at
/// most 5 s for a last look. Errors that mean "not done, try again" are retried until then.
#[derive(Debug)]
pub struct Settled {
    inner: Arc<dyn Backend>,
    deadlines: Deadlines,
    trails: Trails,
}

impl Settled {
    /// Wraps a backend.
    pub fn new(inner: Arc<dyn Backend>, deadlines: Deadlines) -> Self {
        Self {
            inner,
            deadlines,
            trails: Trails::default(),
        }
    }

    /// Carries a write out; and where nobody knows yet how the server wants ETags to be spelled, once more in
    /// each spelling while it refuses what is there. A refusal did nothing, so that at most one of them happens.
    async fn spelled<T, W>(
        &self,
        condition: Condition,
        base: &Version,
        limit: Duration,
        write: impl Fn(Duration) -> W + Send,
    ) -> Result<Outcome<T>, Error>
    where
        T: Send,
        W: Future<Output = Result<Outcome<T>, Error>> + Send,
    {
        let begun = Instant::now();
        let refuses_what_is_there = |outcome: &Outcome<T>| match outcome {
            Outcome::Refused(Some(rival)) => rival.version.version() == Some(base),
            _ => false,
        };
        let first = write(limit).await?;
        let Some(habits) = self.inner.habits() else {
            return Ok(first);
        };
        if !refuses_what_is_there(&first) {
            return Ok(first);
        }
        for spelling in habits.others(condition, base) {
            tracing::debug!(?condition, %base, "refused, although it exists; spelling the ETag another way");
            habits.suppose(condition, spelling);
            let again = write(limit.saturating_sub(begun.elapsed())).await;
            if !again.as_ref().is_ok_and(refuses_what_is_there) {
                habits.give_up(condition);
                return again;
            }
        }
        habits.give_up(condition);
        Ok(first)
    }

    /// What a look at a key that a put was sent to finds.
    async fn look_for_put(
        &self,
        at: &ObjectKey,
        expect: &Precondition,
        id: PutId,
    ) -> Checked<Version> {
        let mut info = match self.inner.head(at).await {
            Ok(info) => info,
            Err(Error::NotFound(_)) if *expect == Precondition::Absent => {
                return Checked::of(Found::Base(Rival::NOTHING));
            }
            Err(Error::NotFound(_)) => return Checked::of(Found::Other(Rival::NOTHING)),
            Err(error) => return Checked::failed(&error),
        };
        if info.put_id == Some(id) {
            return Checked::of(Found::Goal(info.version));
        }
        if let Some(ours) = trails::take(&mut info).version_of(id) {
            tracing::info!(object = %at, "it was saved, and saved over since");
            return Checked::of(Found::Goal(ours.clone()));
        }
        let is_base = expect.version() == Some(&info.version);
        Checked::of(match is_base {
            true => Found::Base(rival(info)),
            false => Found::Other(rival(info)),
        })
    }

    async fn look_for_delete(&self, at: &ObjectKey, version: &Version) -> Checked<()> {
        match self.inner.head(at).await {
            Ok(info) if info.version == *version => Checked::of(Found::Base(rival(info))),
            Ok(info) => Checked::of(Found::Other(rival(info))),
            Err(Error::NotFound(_)) => Checked::of(Found::Goal(())),
            Err(error) => Checked::failed(&error),
        }
    }
}

/// What a look at a key found.
struct Checked<T> {
    found: Found<T>,
    /// Another one would find no more.
    is_final: bool,
}

impl<T> Checked<T> {
    fn of(found: Found<T>) -> Self {
        Self {
            found,
            is_final: false,
        }
    }

    fn failed(error: &Error) -> Self {
        Self {
            found: Found::Unreadable,
            is_final: matches!(error, Error::Denied { .. }),
        }
    }
}

fn rival(info: ObjectMeta) -> Rival {
    Rival {
        version: Precondition::Is(info.version),
        size: Some(info.size),
        modified: Some(info.modified),
    }
}

/// One write under way.
struct Write<'a> {
    op: &'static str,
    at: &'a ObjectKey,
    rule: Settle,
    deadline: Instant,
    attempts: u32,
    pause: Duration,
}

impl<'a> Write<'a> {
    fn new(op: &'static str, at: &'a ObjectKey, rule: Settle, limit: Duration) -> Self {
        Self {
            op,
            at,
            rule,
            deadline: Instant::now() + limit,
            attempts: 0,
            pause: PAUSE.0,
        }
    }

    /// A pause of random length, longer on average each time.
    fn draw(&mut self) -> Duration {
        let drawn = self.pause.mul_f64(fastrand::f64());
        self.pause = (self.pause * 2).min(PAUSE.1);
        drawn
    }

    async fn settle<T, S, L>(
        mut self,
        send: impl Fn() -> S + Send,
        look: impl Fn() -> L + Send,
    ) -> Result<Outcome<T>, Error>
    where
        T: Send + PartialEq,
        S: Future<Output = Result<Outcome<T>, Error>> + Send,
        L: Future<Output = Checked<T>> + Send,
    {
        let (request, object) = (self.op, self.at);
        let mut step = Step::Send;
        let mut failure = None;
        loop {
            let nap = self.draw();
            match step {
                Step::Done(outcome) => {
                    self.tell(&outcome);
                    return Ok(outcome);
                }
                Step::GiveUp => {
                    tracing::warn!(request, %object, attempts = self.attempts, "giving up: not done");
                    return Err(failure.unwrap_or_else(|| self.too_late()));
                }
                Step::Send => {
                    self.attempts += 1;
                    let (reply, final_) = match timeout_at(self.deadline, send()).await {
                        Ok(Ok(Outcome::Committed(value))) => (Reply::Saved(value), false),
                        Ok(Ok(Outcome::Refused(_))) => (Reply::Refused, false),
                        Ok(Ok(Outcome::Unknown)) | Err(_) => (Reply::Lost, false),
                        Ok(Err(error @ Error::Collided { .. })) => {
                            failure = Some(error);
                            (Reply::Collided, false)
                        }
                        Ok(Err(error)) => {
                            let final_ = !is_worth_another_try(&error);
                            failure = Some(error);
                            (Reply::NotDone, final_)
                        }
                    };
                    let is_refusal = reply == Reply::Refused;
                    step = self.rule.replied(reply, !final_ && self.has_time(nap));
                    match step {
                        Step::Send => {
                            let error = failure.as_ref().map(ToString::to_string);
                            tracing::debug!(request, %object, error, "not done; sending again");
                            sleep(nap).await;
                        }
                        Step::Look if is_refusal => {
                            tracing::debug!(request, %object, "refused; checking whether it was written");
                        }
                        Step::Look => tracing::info!(request, %object, "in doubt; looking"),
                        Step::Done(_) | Step::GiveUp => {}
                    }
                }
                Step::Look => {
                    let until = self.deadline.max(Instant::now() + LAST_LOOK);
                    let looked = timeout_at(until, look()).await;
                    let Checked { found, is_final } =
                        looked.unwrap_or(Checked::of(Found::Unreadable));
                    step = self.rule.looked(found, !is_final && self.has_time(nap));
                    match step {
                        Step::Send => {
                            tracing::info!(request, %object, "it has not happened; sending again");
                            sleep(nap).await;
                        }
                        Step::Look => {
                            tracing::info!(request, %object, "no trace of it; checking again");
                            sleep(nap).await;
                        }
                        Step::Done(_) | Step::GiveUp => {}
                    }
                }
            }
        }
    }

    fn has_time(&self, nap: Duration) -> bool {
        Instant::now() + nap < self.deadline
    }

    fn too_late(&self) -> Error {
        Error::Unreachable {
            what: self.at.to_string(),
            why: "time was up".into(),
        }
    }

    fn tell<T>(&self, outcome: &Outcome<T>) {
        let (request, object, attempts) = (self.op, self.at, self.attempts);
        match outcome {
            Outcome::Committed(_) => tracing::debug!(request, %object, attempts, "done"),
            Outcome::Refused(_) => tracing::debug!(request, %object, attempts, "refused"),
            Outcome::Unknown => {
                tracing::warn!(request, %object, attempts, "unknown: nothing proves whether it happened");
            }
        }
    }
}

/// Whether the same request, sent again, may fare better.
fn is_worth_another_try(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::Deadline { .. } => true,
        Error::Collided { .. }
        | Error::NotFound(_)
        | Error::VersionGone(_)
        | Error::Denied { .. }
        | Error::TooBig { .. }
        | Error::Corrupt { .. }
        | Error::Unsupported { .. }
        | Error::Failed { .. } => false,
    }
}

#[async_trait]
impl Backend for Settled {
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
        let mut fetched = self.inner.get(at, pin, span).await?;
        if let Fetched::Object(object) = &mut fetched {
            self.trails.learn(at, &mut object.info);
        }
        Ok(fetched)
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        let mut info = self.inner.head(at).await?;
        self.trails.learn(at, &mut info);
        Ok(info)
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let limit = self.deadlines.with_body(body.bytes.len() as u64).operation;
        let mut body = body;
        let trail = self.trails.of(at, expect);
        trails::lay(&trail, &mut body.meta);
        let send = || self.inner.put(at, body.clone(), expect, id);
        let look = || self.look_for_put(at, expect, id);
        let write = |limit| {
            let write = Write::new("put", at, Settle::put(expect), limit);
            write.settle(send, look)
        };
        let outcome = match expect {
            Precondition::Absent => write(limit).await?,
            Precondition::Is(base) => self.spelled(Condition::Put, base, limit, write).await?,
        };
        if let Outcome::Committed(version) = &outcome {
            self.trails.saved(at, id, version, &trail);
        }
        Ok(outcome)
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        let send = || self.inner.delete(at, version);
        let look = || self.look_for_delete(at, version);
        let write = |limit| {
            let write = Write::new("delete", at, Settle::delete(), limit);
            write.settle(send, look)
        };
        let limit = self.deadlines.operation;
        self.spelled(Condition::Delete, version, limit, write).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        self.inner.list(query).await
    }

    async fn versions(&self, at: &ObjectKey) -> Result<Vec<ObjectVersion>, Error> {
        self.inner.versions(at).await
    }

    async fn tags(&self, at: &ObjectKey) -> Result<String, Error> {
        self.inner.tags(at).await
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
mod tests;
