//! Which key each object has that was never seen before: one ranged GET for each.
//!
//! It is done by one task for a store, which goes on when the callers that wait for it are gone, and
//! ends with the mount. What it learned stays learned when it fails or ends half-way: the next one goes on
//! there, and after each thousand names also that of another mount. Its one reader is `list.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::stream::{self, StreamExt};
use tokio::sync::watch;
use uuid::Uuid;

use super::KonserveStore;
use super::names::AT_MOST_UNWRITTEN;
use super::read::Looked;
use crate::backend::{Cause, Listed, Why};
use crate::model::Version;
use crate::store::Error;

/// How many objects are looked at at once, of all stores of a mount; less than the backend allows, so that
/// others come in.
pub(super) const AT_ONCE: usize = 32;

/// After this many failures in a row, nothing more is read.
const HOPELESS: usize = AT_ONCE;

/// How often an object is looked at that somebody writes meanwhile.
const GLIMPSES: usize = 5;

/// The versions that were looked at; none of an object that is gone.
pub(super) type Learned = HashMap<Uuid, Option<Version>>;

/// What a task came to; nothing yet.
type LearnResult = Option<Result<Arc<Learned>, Error>>;

/// The task that learns, if there is one, and how far it is.
#[derive(Debug, Default)]
pub(super) struct Learning {
    task: Mutex<Option<watch::Receiver<LearnResult>>>,
    done: AtomicU64,
    total: AtomicU64,
}

impl Learning {
    /// How many objects were looked at, of how many; nothing when none is being looked at.
    pub(super) fn progress(&self) -> Option<(u64, u64)> {
        let total = self.total.load(Ordering::Relaxed);
        (total > 0).then(|| (self.done.load(Ordering::Relaxed), total))
    }

    fn begin(&self, total: usize) -> Running<'_> {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total as u64, Ordering::Relaxed);
        Running(self)
    }
}

/// Objects are being looked at; over when it is dropped.
struct Running<'a>(&'a Learning);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.total.store(0, Ordering::Relaxed);
    }
}

impl KonserveStore {
    /// Waits for the task that learns; without one, begins one that looks at these objects. What
    /// comes of a task that others began need not tell of all of them.
    ///
    /// # Errors
    /// Any [`Error`] of an object; [`Error::Deadline`] when it takes longer than a caller may wait. The
    /// task then goes on.
    pub(super) async fn learned(&self, objects: &[(Uuid, Listed)]) -> Result<Arc<Learned>, Error> {
        let mut task = self.task(objects);
        let failed = || Error::Failed(format!("{}: reading its objects failed", self.id).into());
        let ended = task.wait_for(Option::is_some);
        let outcome = match self.settings.patience {
            None => ended.await,
            Some(patience) => match tokio::time::timeout(patience, ended).await {
                Ok(ended) => ended,
                Err(_) => return Err(self.goes_on()),
            },
        };
        // Its sender is dropped without a word only by a panic, and at the end of the mount.
        let outcome = outcome.map_err(|_| failed())?;
        outcome.clone().unwrap_or_else(|| Err(failed()))
    }

    fn goes_on(&self) -> Error {
        let (done, total) = self.learning.progress().unwrap_or_default();
        let words = format!(
            "the names of {} are being read, {done} of {total} so far; this continues in the background, and the next listing starts from there",
            self.id
        );
        Error::Deadline(Why::because(Cause::GoesOn, words))
    }

    fn task(&self, objects: &[(Uuid, Listed)]) -> watch::Receiver<LearnResult> {
        let mut present = (self.learning.task.lock()).unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*present
            && task.has_changed().is_ok()
            && task.borrow().is_none()
        {
            return task.clone();
        }
        let (sender, receiver) = watch::channel(None);
        *present = Some(receiver.clone());
        // It is there: somebody is asking it.
        if let Some(store) = self.me.upgrade() {
            let objects = objects.to_vec();
            // It ends with the runtime, when the mount has ended.
            tokio::spawn(async move {
                let learned = store.learn(objects).await;
                sender.send_replace(Some(learned.map(Arc::new)));
            });
        }
        receiver
    }

    /// Looks at objects, several at once.
    async fn learn(&self, objects: Vec<(Uuid, Listed)>) -> Result<Learned, Error> {
        let running = self.learning.begin(objects.len());
        let looks = objects.into_iter().map(|(object, listed)| async move {
            // It is never closed.
            let _place = self.glimpses.acquire().await.ok();
            (object, self.glimpse_if_new(object, &listed).await)
        });
        let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        let mut learned = Learned::new();
        let (mut failure, mut in_a_row) = (None, 0);
        while let Some((object, version)) = looks.next().await {
            match version {
                Ok(version) => {
                    in_a_row = 0;
                    learned.insert(object, version);
                    running.0.done.fetch_add(1, Ordering::Relaxed);
                    if learned.len().is_multiple_of(AT_MOST_UNWRITTEN) {
                        self.names.store(1).await;
                    }
                }
                Err(error) => {
                    in_a_row += 1;
                    failure = Some(error);
                    if in_a_row == HOPELESS {
                        break;
                    }
                }
            }
        }
        self.names.store(1).await;
        failure.map_or(Ok(learned), Err)
    }

    /// The version of an object that was looked at; nothing if it is gone.
    async fn glimpse_if_new(
        &self,
        object: Uuid,
        listed: &Listed,
    ) -> Result<Option<Version>, Error> {
        let version = listed.version.as_ref();
        // Somebody may have opened it meanwhile.
        if version.is_some() && self.names.show(object, version).is_some() {
            return Ok(version.cloned());
        }
        match self.glimpse_at_last(object).await {
            Ok(looked) => {
                self.names.learn(object, &looked, self.settings.spelling);
                Ok(Some(looked.info.version))
            }
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Looks at an object whose beginning takes two requests, until nobody writes it in between.
    async fn glimpse_at_last(&self, object: Uuid) -> Result<Looked, Error> {
        for _ in 1..GLIMPSES {
            match self.glimpse(object).await {
                Err(Error::VersionGone(_)) => {}
                looked => return looked,
            }
        }
        self.glimpse(object).await
    }
}
