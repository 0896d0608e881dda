//! The way of one mount to the store: what becomes of each message.
//!
//! A message that was sent is on its way, whatever becomes of who sent it: a crash recalls nothing. Reads are
//! tried again here, as the real backend does; writes are single attempts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use etagfs::backend::{
    Backend, Body, ByteRange, Error, Fetched, Limits, ListQuery, ObjectKey, ObjectMeta, Page,
    ReadCondition,
};
use etagfs::model::{self, Outcome, Precondition, PutId, Version};
use fastrand::Rng;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::server::{Asked, By, Server};
use super::world::{CALL, Call, World};
use super::wrong::Wrong;

/// How long one attempt is waited for.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(10);
/// How long a read is tried again.
pub(crate) const OPERATION: Duration = Duration::from_secs(30);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Fine,
    /// It never arrives.
    RequestLost,
    /// It arrives, and the answer never does.
    ReplyLost,
    /// It arrives long after its sender has given up.
    Late,
    /// It arrives twice, and the second answer is passed on.
    Doubled,
    /// It arrives again, long after it was answered.
    CopiedLate,
    /// The store asks for less load: nothing happened.
    Throttled,
    /// Another write of the key was under way: nothing happened.
    Collided,
    /// The store fails, and nothing happened.
    Failed,
}

/// The way of one mount to the store.
pub(crate) struct Wire {
    pub(crate) world: Arc<World>,
    pub(crate) mount: usize,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("mount", &self.mount)
            .finish_non_exhaustive()
    }
}

struct Trip {
    fate: Fate,
    there: Duration,
    back: Duration,
    /// How long until the sender knows that there is no answer.
    silence: Duration,
    late: Duration,
}

impl Wire {
    fn trip(&self, call: Call, is_write: bool) -> Trip {
        let mut rng = self.world.chance(call.step);
        let rng = &mut rng;
        let plan = &self.world.plan;
        let is_bad = rng.u8(..100) < plan.weather;
        let fate = match (self.world.is_out(self.mount), is_bad, is_write) {
            (true, _, _) => Fate::RequestLost,
            (false, false, _) => Fate::Fine,
            (false, true, false) => match rng.u8(..4) {
                0 => Fate::Throttled,
                1 => Fate::Failed,
                _ => Fate::RequestLost,
            },
            (false, true, true) => match rng.u8(..16) {
                0..2 => Fate::RequestLost,
                2..5 => Fate::ReplyLost,
                5..8 => Fate::Late,
                8..10 if plan.doubles => Fate::Doubled,
                10..12 if plan.doubles => Fate::CopiedLate,
                12..14 => Fate::Throttled,
                14 => Fate::Collided,
                15 => Fate::Failed,
                _ => Fate::ReplyLost,
            },
        };
        let leg = |rng: &mut Rng| {
            let is_slow = plan.weather > 0 && rng.u8(..12) == 0;
            Duration::from_millis(rng.u64(1..if is_slow { 3000 } else { 60 }))
        };
        let silence = match rng.bool() {
            true => leg(rng),
            false if self.world.is_wrong(Wrong::NoDeadlines) => Duration::from_secs(3600),
            false => ATTEMPT,
        };
        Trip {
            fate,
            there: leg(rng),
            back: leg(rng),
            silence,
            late: Duration::from_millis(rng.u64(500..40_000)),
        }
    }

    fn call(&self) -> Call {
        CALL.try_with(|call| *call).unwrap_or(Call::NONE)
    }

    async fn read<T: Send + 'static>(
        &self,
        ask: impl Fn(&Server, Duration) -> Result<T, Error> + Clone + Send + 'static,
    ) -> Result<T, Error> {
        let call = self.call();
        let until = Instant::now() + OPERATION;
        loop {
            let trip = self.trip(call, false);
            let error = match trip.fate {
                Fate::Throttled => {
                    sleep(trip.back).await;
                    self.unreachable("asks for less load")
                }
                Fate::Failed => {
                    sleep(trip.back).await;
                    return Err(self.failed());
                }
                Fate::RequestLost => {
                    sleep(trip.silence).await;
                    self.unreachable("no answer")
                }
                _ => {
                    sleep(trip.there).await;
                    let answer = ask(&self.world.server, self.world.elapsed());
                    sleep(trip.back).await;
                    return answer;
                }
            };
            if Instant::now() >= until {
                return Err(error);
            }
            sleep(trip.back).await;
        }
    }

    /// Sends a message that is carried out after some time, whatever becomes of its sender.
    fn deliver<T: Send + 'static>(
        &self,
        call: Call,
        copy: u32,
        after: Duration,
        carry_out: impl FnOnce(&Server, Asked) -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (answer, answered) = oneshot::channel();
        let world = Arc::clone(&self.world);
        tokio::spawn(async move {
            sleep(after).await;
            let asked = Asked {
                stamp: world.stamp(),
                at: world.elapsed(),
                by: By::Call(call.record, copy),
            };
            // Its sender may have given up.
            let _ = answer.send(carry_out(&world.server, asked));
        });
        answered
    }

    async fn write<T: Send + 'static>(
        &self,
        carry_out: impl Fn(&Server, Asked) -> Outcome<T> + Clone + Send + 'static,
    ) -> Result<Outcome<T>, Error> {
        let call = self.call();
        let trip = self.trip(call, true);
        self.world.totals.message(matches!(trip.fate, Fate::Fine));
        let send = |copy, after| self.deliver(call, copy, after, carry_out.clone());
        let answered = match trip.fate {
            Fate::Throttled => {
                sleep(trip.back).await;
                return Err(self.unreachable("asks for less load"));
            }
            Fate::Failed => {
                sleep(trip.back).await;
                return Err(self.failed());
            }
            Fate::Collided => {
                sleep(trip.back).await;
                return Err(Error::Collided {
                    what: "the key".to_owned(),
                    why: "another write is under way".to_owned(),
                });
            }
            Fate::RequestLost => {
                sleep(trip.silence).await;
                return Ok(Outcome::Unknown);
            }
            Fate::ReplyLost => {
                drop(send(0, trip.there));
                sleep(trip.there + trip.silence).await;
                return Ok(Outcome::Unknown);
            }
            Fate::Late => {
                drop(send(0, trip.there + trip.late));
                sleep(trip.silence).await;
                return Ok(Outcome::Unknown);
            }
            Fate::Doubled => {
                self.world.totals.doubled();
                drop(send(0, trip.there));
                send(1, trip.there * 2)
            }
            Fate::CopiedLate => {
                self.world.totals.doubled();
                drop(send(1, trip.there + trip.late));
                send(0, trip.there)
            }
            Fate::Fine => send(0, trip.there),
        };
        let waits = async {
            let answer = answered.await;
            sleep(trip.back).await;
            answer
        };
        match timeout(ATTEMPT, waits).await {
            Ok(Ok(outcome)) => Ok(outcome),
            Ok(Err(_)) | Err(_) => Ok(Outcome::Unknown),
        }
    }

    fn unreachable(&self, why: &'static str) -> Error {
        Error::Unreachable {
            what: "the store".to_owned(),
            why: why.into(),
        }
    }

    fn failed(&self) -> Error {
        Error::Failed {
            what: "the store".to_owned(),
            why: "it is ill".into(),
        }
    }
}

static NOWHERE: model::Server = model::Server::NONE;

#[async_trait]
impl Backend for Wire {
    fn name(&self) -> &str {
        "simulated:"
    }

    fn server(&self) -> &model::Server {
        &NOWHERE
    }

    fn limits(&self) -> Limits {
        Limits::S3
    }

    async fn get(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Fetched, Error> {
        let (at, pin) = (at.clone(), pin.clone());
        self.read(move |server, _| server.get(&at, &pin, span))
            .await
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        let at = at.clone();
        self.read(move |server, _| server.head(&at)).await
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let (at, expect) = (at.clone(), expect.clone());
        self.write(move |server, asked| server.put(&at, body.clone(), &expect, Some(id), asked))
            .await
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        let (at, version) = (at.clone(), version.clone());
        self.write(move |server, asked| server.delete(&at, &version, asked))
            .await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        let query = query.clone();
        self.read(move |server, now| Ok(server.list(&query, now)))
            .await
    }
}
