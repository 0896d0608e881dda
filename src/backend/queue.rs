//! Calls that wait behind each other share the time that one of them has (A1).
//!
//! The kernel locks a directory while one name in it is looked up for a creation, made, removed or renamed, and a
//! file while it is changed: the next request comes when that one was answered. Behind a store that does not
//! answer, the k-th caller would wait for k deadlines. So a call tells in which queues it stands ([`within`]), and
//! when a queue was failed once, the calls behind fail at once with the same error, until the store answers again.
//! The caller is known by its task, as in `telemetry/exchange.rs`, so that the queues need no place in any
//! signature.
//!
//! To notice that the store is back, a *probe* is sent: the look-up of the first caller in each `PERIOD`, which
//! goes on behind its back; the first answer ends the silence. A caller that comes after a pause waits for the
//! probe until it is `LEASH` old. Those who come one right after the other stood in the queue before, and do not. A
//! write is no probe: it cannot go on behind its caller's back. So one in a while is tried: when nobody came for a
//! while, when a write elsewhere was answered, or after as long as the last one took; those that queued behind it
//! fail with it.
//!
//! It belongs outside of `limit`, whose wait is a part of the silence. It knows neither what queues are
//! nor what the requests mean.

mod silence;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument as _;

use self::silence::{Probing, Queue, Silence};
use super::{
    Backend, Body, ByteRange, Error, Fetched, Grant, Habits, Limits, ListQuery, ObjectKey,
    ObjectMeta, ObjectVersion, Page, ReadCondition, Signed,
};
use crate::model::{Outcome, Precondition, PutId, Server, Version};

/// How long a probe lives. The first one of a silence lives as long as any request, for stores that
/// are slow and not silent.
const PROBE: Duration = Duration::from_secs(5);
/// For how long a silence is remembered in which nobody asks.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The names of the queues in which a call stands.
pub type Queues = [u64; 2];

tokio::task_local! {
    static QUEUES: Queues;
}

/// Does work whose calls stand in these queues (twice the same, if it is one).
pub async fn within<F: Future>(queues: Queues, work: F) -> F::Output {
    QUEUES.scope(queues, work).await
}

/// A backend that is not waited for by one caller after the other.
#[derive(Debug)]
pub struct Queued {
    inner: Arc<dyn Backend>,
    lines: Arc<AllQueues>,
}

impl Queued {
    /// Wraps a backend, whose calls end within `patience`, as a rule.
    pub fn new(inner: Arc<dyn Backend>, patience: Duration) -> Self {
        Self {
            inner,
            lines: Arc::new(AllQueues {
                patience,
                lines: Mutex::default(),
                written: Mutex::default(),
            }),
        }
    }

    /// A call that changes nothing, and so can be a probe.
    async fn read<T, F>(&self, call: impl FnOnce(Arc<dyn Backend>) -> F + Send) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        let Ok(queues) = QUEUES.try_with(|queues| *queues) else {
            return call(inner).await;
        };
        loop {
            match self.lines.enter(queues, Class::Read) {
                Entering::Go(place) => {
                    let result = call(inner).await;
                    place.ended(result.as_ref().err());
                    return result;
                }
                Entering::Probe(probe) => {
                    let (until, error) = (probe.until, probe.error.clone());
                    let task = tokio::spawn(probe.carry_out(call(inner)).in_current_span());
                    return match timeout_at(until, task).await {
                        Ok(Ok(result)) => result,
                        // It goes on, or it panicked.
                        Err(_) | Ok(Err(_)) => Err(error),
                    };
                }
                Entering::Wait(until, mut over) => {
                    // It is over when its sender is dropped.
                    let _ = timeout_at(until, over.changed()).await;
                }
                Entering::Fail(error) => return Err(error),
            }
        }
    }

    /// A call that changes something.
    async fn write<T>(
        &self,
        call: impl Future<Output = Result<Outcome<T>, Error>> + Send,
    ) -> Result<Outcome<T>, Error> {
        let entry = match QUEUES.try_with(|queues| *queues) {
            Ok(queues) => self.lines.enter(queues, Class::Write),
            Err(_) => {
                let result = call.await;
                self.lines.heard_of_write(&result);
                return result;
            }
        };
        match entry {
            Entering::Go(place) => {
                let result = call.await;
                self.lines.heard_of_write(&result);
                match &result {
                    Ok(Outcome::Unknown) => place.ended(Some(&unknown(self.name()))),
                    result => place.ended(result.as_ref().err()),
                }
                result
            }
            Entering::Fail(error) => Err(error),
            // Writes have no probes.
            Entering::Probe(ProbingCall { error, .. }) => Err(error),
            Entering::Wait(..) => Err(unknown(self.name())),
        }
    }
}

/// Why a write is not even tried behind one whose fate is not known.
fn unknown(what: &str) -> Error {
    Error::Unreachable {
        what: what.to_owned(),
        why: "the write before it was not answered".into(),
    }
}

/// What a call does to the store: those that read and those that write fail apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Class {
    Read,
    Write,
}

/// All queues in which somebody stands, or that are silent.
#[derive(Debug)]
struct AllQueues {
    patience: Duration,
    lines: Mutex<HashMap<(u64, Class), Queue>>,
    /// When the store last answered a write, in whatever queue or none.
    written: Mutex<Option<Instant>>,
}

/// What a call in a queue is to do.
enum Entering {
    Go(CallUnderWay),
    Probe(ProbingCall),
    /// Until then, or the end of the probe; then it enters again.
    Wait(Instant, watch::Receiver<()>),
    Fail(Error),
}

/// A call under way.
struct CallUnderWay {
    lines: Arc<AllQueues>,
    queues: Queues,
    class: Class,
    began: Instant,
}

/// A call that asks whether the store is back.
struct ProbingCall {
    place: CallUnderWay,
    error: Error,
    /// How long its caller waits for it.
    until: Instant,
    is_patient: bool,
    /// Its end is the news.
    over: watch::Sender<()>,
}

impl ProbingCall {
    async fn carry_out<T>(self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let result = match self.is_patient {
            true => call.await,
            false => timeout(PROBE, call).await.unwrap_or(Err(self.error)),
        };
        if self.is_patient {
            self.place.each(|line| {
                if let Some(silence) = &mut line.silence {
                    silence.is_asked_patiently = false;
                }
            });
        }
        self.place.ended(result.as_ref().err());
        drop(self.over);
        result
    }
}

impl AllQueues {
    fn lines(&self) -> MutexGuard<'_, HashMap<(u64, Class), Queue>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Option<Instant>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard_of_write<T>(&self, result: &Result<Outcome<T>, Error>) {
        if let Ok(Outcome::Committed(_) | Outcome::Refused(_)) = result {
            *self.written() = Some(Instant::now());
        }
    }

    fn enter(self: &Arc<Self>, queues: Queues, class: Class) -> Entering {
        let now = Instant::now();
        let written = *self.written();
        let mut lines = self.lines();
        let mut entry = None;
        for queue in queues {
            if let Some(line) = lines.get_mut(&(queue, class))
                && let Some(silence) = line.silence_at(now, self.patience)
            {
                entry = Some(match class {
                    Class::Read => silence.ask(now),
                    Class::Write => silence.try_again(now, written),
                });
                break;
            }
        }
        let asked = match entry {
            Some(Probing::No(error)) => return Entering::Fail(error),
            Some(Probing::Under(until, over)) => return Entering::Wait(until, over),
            Some(Probing::Yes(asking)) => Some(asking),
            Some(Probing::Really) | None => None,
        };
        for (at, queue) in queues.iter().enumerate() {
            if !queues[..at].contains(queue) {
                let line = lines.entry((*queue, class)).or_default();
                line.under_way.push(now);
            }
        }
        drop(lines);
        let place = CallUnderWay {
            lines: Arc::clone(self),
            queues,
            class,
            began: now,
        };
        match asked {
            None => Entering::Go(place),
            Some(asking) => Entering::Probe(ProbingCall {
                place,
                error: asking.error,
                until: asking.until,
                is_patient: asking.is_patient,
                over: asking.over,
            }),
        }
    }
}

impl CallUnderWay {
    fn each(&self, mut change: impl FnMut(&mut Queue)) {
        let mut lines = self.lines.lines();
        for (at, queue) in self.queues.iter().enumerate() {
            if !self.queues[..at].contains(queue)
                && let Some(line) = lines.get_mut(&(*queue, self.class))
            {
                change(line);
            }
        }
    }

    /// The call came to this.
    fn ended(&self, failure: Option<&Error>) {
        let now = Instant::now();
        self.each(|line| line.ended(self.began, failure, now));
    }
}

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        self.each(|line| {
            if let Some(at) = line.under_way.iter().position(|began| *began == self.began) {
                line.under_way.swap_remove(at);
            }
        });
        let now = Instant::now();
        let is_over = |silence: &Silence| now.duration_since(silence.came) > REMEMBERED;
        self.lines.lines().retain(|_, line| {
            !line.under_way.is_empty() || line.silence.as_ref().is_some_and(|it| !is_over(it))
        });
    }
}

#[async_trait]
impl Backend for Queued {
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
        let (at, pin) = (at.clone(), pin.clone());
        self.read(move |inner| async move { inner.get(&at, &pin, span).await })
            .await
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        let at = at.clone();
        self.read(move |inner| async move { inner.head(&at).await })
            .await
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        self.write(self.inner.put(at, body, expect, id)).await
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        self.write(self.inner.delete(at, version)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        let query = query.clone();
        self.read(move |inner| async move { inner.list(&query).await })
            .await
    }

    async fn versions(&self, at: &ObjectKey) -> Result<Vec<ObjectVersion>, Error> {
        let at = at.clone();
        self.read(move |inner| async move { inner.versions(&at).await })
            .await
    }

    async fn tags(&self, at: &ObjectKey) -> Result<String, Error> {
        let at = at.clone();
        self.read(move |inner| async move { inner.tags(&at).await })
            .await
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
