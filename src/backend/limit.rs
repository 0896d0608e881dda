//! At most so many requests at once.
//!
//! A mount can be asked for thousands of files in one breath; without a limit each would open a
//! connection. It knows nothing of what the requests are. It belongs outside of `settle`: a call
//! that pauses keeps its place, so that a store that asks for less load gets less.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::{
    Backend, Body, Error, Fetched, Grant, Kept, Limits, ListQuery, ObjectInfo, ObjectKey, Page,
    Pin, Signed, Span,
};
use crate::model::{Expect, Outcome, PutId, Version};

/// A backend that is asked for so much at once and no more.
#[derive(Debug)]
pub struct Limited {
    inner: Arc<dyn Backend>,
    places: Semaphore,
    patience: Duration,
}

impl Limited {
    /// Wraps a backend: at most `places` calls at once (at least one), and no call waits for its
    /// place longer than `patience`.
    pub fn new(inner: Arc<dyn Backend>, places: usize, patience: Duration) -> Self {
        Self {
            inner,
            places: Semaphore::new(places.max(1)),
            patience,
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`Error::Deadline`]: nothing was sent.
    async fn place(&self) -> Result<SemaphorePermit<'_>, Error> {
        match timeout(self.patience, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            // The semaphore is never closed, so that this is the time-out.
            Ok(Err(_)) | Err(_) => Err(Error::Deadline {
                what: self.inner.name().to_owned(),
                seconds: self.patience.as_secs_f32(),
            }),
        }
    }
}

#[async_trait]
impl Backend for Limited {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn server(&self) -> &str {
        self.inner.server()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn get(&self, at: &ObjectKey, pin: &Pin, span: Span) -> Result<Fetched, Error> {
        let _place = self.place().await?;
        self.inner.get(at, pin, span).await
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectInfo, Error> {
        let _place = self.place().await?;
        self.inner.head(at).await
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Expect,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let _place = self.place().await?;
        self.inner.put(at, body, expect, id).await
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        let _place = self.place().await?;
        self.inner.delete(at, version).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        let _place = self.place().await?;
        self.inner.list(query).await
    }

    async fn versions(&self, at: &ObjectKey) -> Result<Vec<Kept>, Error> {
        let _place = self.place().await?;
        self.inner.versions(at).await
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

    #[tokio::test(start_paused = true)]
    async fn a_call_beyond_the_limit_waits_for_a_place() {
        let faulty = Arc::new(Faulty::new(Arc::new(Memory::new())));
        let gate = Gate::new();
        faulty.next(Op::Head, Fault::HoldRequest(gate.clone()));
        faulty.next(Op::Head, Fault::HoldRequest(gate.clone()));
        let limited = Arc::new(Limited::new(faulty.clone(), 2, PATIENCE));
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
    async fn nobody_waits_for_a_place_for_ever() {
        let faulty = Arc::new(Faulty::new(Arc::new(Memory::new())));
        let gate = Gate::new();
        faulty.next(Op::Head, Fault::HoldRequest(gate.clone()));
        let limited = Arc::new(Limited::new(faulty.clone(), 1, PATIENCE));
        let holder = Arc::clone(&limited);
        let held = tokio::spawn(async move { holder.head(&ObjectKey::new("k")).await });
        gate.arrived(1).await;
        let late = limited.head(&ObjectKey::new("k")).await;
        assert!(matches!(late, Err(Error::Deadline { .. })));
        assert_eq!(faulty.calls(Op::Head), 1);
        gate.open();
        assert!(matches!(held.await.unwrap(), Err(Error::NotFound(_))));
    }
}
