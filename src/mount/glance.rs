//! Looks at `/proc` that may have to wait.
//!
//! Some files of a process cannot be read while it is inside of execve(2), and a program that is
//! replaced waits, there, for our answer to the flush of each descriptor that execve closes. Whoever
//! waited for such a look before answering would wait for ever. So a look is taken in a thread of its
//! own and has a time to be taken in; a few may be under way at once, and one only of a process that did
//! not let itself be looked at in time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

/// How long a look may take. One that does not have to wait takes a ten-thousandth of this, on a machine
/// that has nothing else to do; and whoever is not seen for want of time is not heard of (W2).
const TIME: Duration = Duration::from_secs(1);

/// How many threads look at once. There are 512 for all that blocks.
const AT_ONCE: usize = 16;

/// The looks that are under way.
#[derive(Debug)]
pub(super) struct Glances {
    places: Arc<Semaphore>,
    next: AtomicU64,
    under_way: Arc<UnderWay>,
    time: Duration,
}

/// The processes that are looked at.
#[derive(Debug, Default)]
struct UnderWay(Mutex<HashMap<u64, Looked>>);

#[derive(Clone, Copy, Debug)]
struct Looked {
    process: u32,
    is_overdue: bool,
}

impl UnderWay {
    fn table(&self) -> MutexGuard<'_, HashMap<u64, Looked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hides(&self, process: u32) -> bool {
        let hides = |looked: &Looked| looked.process == process && looked.is_overdue;
        self.table().values().any(hides)
    }
}

/// A look; on drop it is over.
struct Glance(Arc<UnderWay>, u64);

impl Drop for Glance {
    fn drop(&mut self) {
        self.0.table().remove(&self.1);
    }
}

impl Default for Glances {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            next: AtomicU64::new(0),
            under_way: Arc::default(),
            time: TIME,
        }
    }
}

impl Glances {
    /// Looks at a process. `None` when that came to nothing in time. `look` is given how long its answer is waited
    /// for.
    pub(super) async fn take<T, F>(&self, process: u32, look: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce(std::time::Instant) -> Option<T> + Send + 'static,
    {
        let until = Instant::now() + self.time;
        let place = Arc::clone(&self.places).acquire_owned();
        let place = timeout_at(until, place).await.ok()?.ok()?;
        if self.under_way.hides(process) {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let glance = Glance(Arc::clone(&self.under_way), id);
        let looked = Looked {
            process,
            is_overdue: false,
        };
        self.under_way.table().insert(id, looked);
        let looking = tokio::task::spawn_blocking(move || {
            let found = look(until.into_std());
            drop((glance, place));
            found
        });
        match timeout_at(until, looking).await {
            Ok(found) => found.ok().flatten(),
            Err(_) => {
                if let Some(looked) = self.under_way.table().get_mut(&id) {
                    looked.is_overdue = true;
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const SHORT: Duration = Duration::from_millis(50);

    fn short() -> Glances {
        Glances {
            time: SHORT,
            ..Glances::default()
        }
    }

    #[tokio::test]
    async fn a_look_that_waits_is_given_up_and_its_process_is_not_looked_at_again() {
        let glances = short();
        let (go, gate) = mpsc::channel::<()>();
        let began = Instant::now();
        let stuck = glances.take(1, move |_| gate.recv().ok()).await;
        assert_eq!((stuck, began.elapsed() >= SHORT), (None, true));
        assert!(glances.under_way.hides(1) && !glances.under_way.hides(2));
        let again: Option<()> = glances.take(1, |_| unreachable!("it hides")).await;
        assert_eq!(again, None);
        // It can be looked at as soon as that is over.
        drop(go);
        while glances.under_way.hides(1) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let glances = Glances {
            time: Duration::from_secs(60),
            ..glances
        };
        assert_eq!(glances.take(1, |_| Some(1)).await, Some(1));
        assert!(glances.under_way.table().is_empty());
    }

    #[tokio::test]
    async fn however_many_looks_wait_few_threads_do_and_nobody_waits_long() {
        let glances = Arc::new(short());
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let looks: Vec<_> = (0..200)
            .map(|process| {
                let (glances, gate) = (Arc::clone(&glances), Arc::clone(&gate));
                tokio::spawn(async move {
                    let wait = move |_| gate.lock().ok()?.recv().ok();
                    glances.take(process, wait).await
                })
            })
            .collect();
        // Each ends although none is let go.
        for look in looks {
            assert_eq!(look.await.expect("it ends"), None);
        }
        assert!(glances.under_way.table().len() <= AT_ONCE);
        drop(go);
    }
}
