//! Limits how many requests are under way at once; no request waits for requests of another kind.
//!
//! A mount can be asked for thousands of files in one breath; without a limit each would open a
//! connection. Names, values and saves have places of their own ([`Places`]): saves that hang hold up
//! neither a `cat` nor an `ls`, and the other way round. It knows nothing of what the requests are about. It
//! belongs outside of `settle`: a write that pauses keeps its place, so that a store that asks for less
//! load gets less.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::{
    Backend, Body, ByteRange, Error, Fetched, Grant, Habits, Limits, ListQuery, ObjectKey,
    ObjectMeta, ObjectVersion, Page, ReadCondition, Signed,
};
use crate::model::{Outcome, Precondition, PutId, Server, Version};
use crate::telemetry::{Pool, Telemetry};

/// How much later than the deadline of a call its patience ends, so that the deadline comes first on a busy
/// machine, too.
const A_MOMENT: Duration = Duration::from_millis(500);

/// How many requests run at once, each kind by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// LIST and HEAD.
    pub names: usize,
    /// GET.
    pub values: usize,
    /// PUT and DELETE, each with its looks and its repetitions.
    pub saves: usize,
}

impl Default for Places {
    /// 32 for names, 64 for values, 64 for saves: 160 connections at most.
    fn default() -> Self {
        Self {
            names: 32,
            values: 64,
            saves: 64,
        }
    }
}

impl Places {
    /// The usual number of each kind, or their share of `connections` if that is lower.
    pub fn of_connections(connections: usize) -> Self {
        let usual = Self::default();
        let all = usual.names + usual.values + usual.saves;
        let part = |places: usize| (places * connections.min(all) / all).max(1);
        Self {
            names: part(usual.names),
            values: part(usual.values),
            saves: part(usual.saves),
        }
    }

    /// This many for each.
    pub fn each(places: usize) -> Self {
        Self {
            names: places,
            values: places,
            saves: places,
        }
    }
}

/// A backend with a limit on the requests under way.
#[derive(Debug)]
pub struct Limited {
    inner: Arc<dyn Backend>,
    names: Semaphore,
    values: Semaphore,
    saves: Semaphore,
    patience: Duration,
    telemetry: Arc<Telemetry>,
}

impl Limited {
    /// Wraps a backend: at most `places` calls at once (at least one of each kind), and no call waits for its place
    /// longer than `patience`. `telemetry` counts those that wait.
    pub fn new(
        inner: Arc<dyn Backend>,
        places: Places,
        patience: Duration,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let semaphore = |places: usize| Semaphore::new(places.max(1));
        Self {
            inner,
            names: semaphore(places.names),
            values: semaphore(places.values),
            saves: semaphore(places.saves),
            patience,
            telemetry,
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`Error::Deadline`]: nothing was sent.
    async fn place(&self, kind: Pool) -> Result<SemaphorePermit<'_>, Error> {
        let places = match kind {
            Pool::Names => &self.names,
            Pool::Values => &self.values,
            Pool::Saves => &self.saves,
        };
        if let Ok(place) = places.try_acquire() {
            return Ok(place);
        }
        let _waiting = WaitingForPlace::begin(&self.telemetry, kind);
        match timeout(self.patience, places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            // The semaphore is never closed, so that this is the time-out.
            Ok(Err(_)) | Err(_) => Err(self.too_late()),
        }
    }

    fn too_late(&self) -> Error {
        Error::Deadline {
            what: self.inner.name().to_owned(),
            seconds: self.patience.as_secs_f32(),
            cause: None,
        }
    }

    /// A call about names, which moves no bytes and so ends within the patience, with its wait. A call that
    /// did not wait ends by its own deadline, which is as long and can say what went wrong.
    async fn name<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let whole = async {
            let _place = self.place(Pool::Names).await?;
            call.await
        };
        let late = |_| Err(self.too_late());
        let patience = self.patience.saturating_add(A_MOMENT);
        timeout(patience, whole).await.unwrap_or_else(late)
    }
}

/// A call that waits for its place.
struct WaitingForPlace<'a>(&'a Telemetry, Pool);

impl<'a> WaitingForPlace<'a> {
    fn begin(telemetry: &'a Telemetry, kind: Pool) -> Self {
        telemetry.metrics.wants_place(kind, true);
        Self(telemetry, kind)
    }
}

impl Drop for WaitingForPlace<'_> {
    fn drop(&mut self) {
        self.0.metrics.wants_place(self.1, false);
    }
}

#[async_trait]
impl Backend for Limited {
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
        let _place = self.place(Pool::Values).await?;
        self.inner.get(at, pin, span).await
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        self.name(self.inner.head(at)).await
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let _place = self.place(Pool::Saves).await?;
        self.inner.put(at, body, expect, id).await
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        let _place = self.place(Pool::Saves).await?;
        self.inner.delete(at, version).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        self.name(self.inner.list(query)).await
    }

    async fn versions(&self, at: &ObjectKey) -> Result<Vec<ObjectVersion>, Error> {
        self.name(self.inner.versions(at)).await
    }

    async fn tags(&self, at: &ObjectKey) -> Result<String, Error> {
        self.name(self.inner.tags(at)).await
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
    use crate::backend::Memory;
    use crate::backend::fault::{Fault, Faulty, Gate, Op};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn limited(faulty: &Arc<Faulty>, places: usize) -> Limited {
        let places = Places::each(places);
        Limited::new(faulty.clone(), places, PATIENCE, Arc::default())
    }

    #[test]
    fn where_connections_are_few_each_kind_has_its_part_of_them() {
        assert_eq!(Places::of_connections(usize::MAX), Places::default());
        assert_eq!(Places::of_connections(256), Places::default());
        let few = Places::of_connections(16);
        assert_eq!((few.names, few.values, few.saves), (3, 6, 6));
        assert_eq!(Places::of_connections(0), Places::each(1));
    }

    #[tokio::test(start_paused = true)]
    async fn no_kind_of_call_takes_a_place_of_another_kind() {
        let faulty = Arc::new(Faulty::new(Arc::new(Memory::new())));
        let gate = Gate::new();
        for op in [Op::Put, Op::Get, Op::Head] {
            faulty.every(op, Fault::HoldRequest(gate.clone()));
        }
        let limited = Arc::new(limited(&faulty, 1));
        let at = ObjectKey::new("k");
        let held: Vec<_> = (0..3)
            .map(|kind| {
                let (limited, at) = (Arc::clone(&limited), at.clone());
                tokio::spawn(async move {
                    match kind {
                        0 => drop(
                            limited
                                .put(&at, body(), &Precondition::Absent, PutId::new(1))
                                .await,
                        ),
                        1 => drop(
                            limited
                                .get(&at, &ReadCondition::Newest, ByteRange::UpTo(1))
                                .await,
                        ),
                        _ => drop(limited.head(&at).await),
                    }
                })
            })
            .collect();
        // With one place for all of them only one would come through.
        gate.arrived(3).await;
        gate.open();
        for call in held {
            call.await.unwrap();
        }
    }

    fn body() -> Body {
        Body {
            bytes: bytes::Bytes::new(),
            meta: crate::backend::Meta::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_beyond_the_limit_waits_for_a_place() {
        let faulty = Arc::new(Faulty::new(Arc::new(Memory::new())));
        let gate = Gate::new();
        faulty.next(Op::Head, Fault::HoldRequest(gate.clone()));
        faulty.next(Op::Head, Fault::HoldRequest(gate.clone()));
        let limited = Arc::new(limited(&faulty, 2));
        let head = || {
            let limited = Arc::clone(&limited);
            tokio::spawn(async move { limited.head(&ObjectKey::new("k")).await })
        };
        let first = [head(), head()];
        gate.arrived(2).await;
        let third = head();
        tokio::task::yield_now().await;
        assert_eq!(faulty.calls(Op::Head), 2);
        gate.open();
        for call in first.into_iter().chain([third]) {
            assert!(matches!(call.await.unwrap(), Err(Error::NotFound(_))));
        }
        assert_eq!(faulty.calls(Op::Head), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_of_a_call_comes_before_the_patience_with_it() {
        let faulty = Arc::new(Faulty::new(Arc::new(Memory::new())));
        let limited = limited(&faulty, 1);
        let call = async {
            tokio::time::sleep(PATIENCE).await;
            Err::<(), _>(Error::NotFound("what went wrong".to_owned()))
        };
        let told = limited.name(call).await;
        assert!(matches!(told, Err(Error::NotFound(_))), "{told:?}");
        let endless = limited.name(std::future::pending::<Result<(), _>>()).await;
        assert!(matches!(endless, Err(Error::Deadline { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_place_for_ever() {
        let faulty = Arc::new(Faulty::new(Arc::new(Memory::new())));
        let gate = Gate::new();
        faulty.next(Op::Get, Fault::HoldRequest(gate.clone()));
        let limited = Arc::new(limited(&faulty, 1));
        let holder = Arc::clone(&limited);
        let held = tokio::spawn(async move {
            holder
                .get(
                    &ObjectKey::new("k"),
                    &ReadCondition::Newest,
                    ByteRange::UpTo(1),
                )
                .await
        });
        gate.arrived(1).await;
        let late = limited
            .get(
                &ObjectKey::new("k"),
                &ReadCondition::Newest,
                ByteRange::UpTo(1),
            )
            .await;
        assert!(matches!(late, Err(Error::Deadline { .. })));
        assert_eq!(faulty.calls(Op::Get), 1);
        gate.open();
        assert!(matches!(held.await.unwrap(), Err(Error::NotFound(_))));
    }
}
