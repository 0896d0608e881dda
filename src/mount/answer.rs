//! The bridge between FUSE threads and tasks: every request gets exactly one answer, in time.
//!
//! A request is first tried on the FUSE thread; what needs no waiting (nearly all reads and
//! writes) is answered there. What must wait goes on as a task, and the FUSE thread is free again.
//! The watchdog answers for it when its deadline passes or its caller is killed (A1); the task then
//! goes on to its end, since a save that was sent may still land, and its late result is taken
//! back.

use std::collections::HashMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fuser::Errno;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::errno::{BUG, INTERRUPTED, TIMED_OUT, errno, is_ordinary};
use super::op::{Op, Tone};
use super::process::{Impatience, impatience};
use super::reply::{Reply, Undo};
use super::{Patience, Presentation};
use crate::telemetry::Telemetry;
use crate::vfs::{CallerGone, Departures, Error, Vfs, after_forgetting, in_queues};

/// How often the watchdog looks.
const TICK: Duration = Duration::from_millis(200);
/// How long a request may stay quiet before the watchdog looks at its caller.
const QUIET: Duration = Duration::from_millis(300);

/// Answers requests.
#[derive(Clone)]
pub(super) struct Bridge {
    pub(super) vfs: Arc<Vfs>,
    pub(super) look: Arc<Presentation>,
    runtime: Handle,
    tasks: TaskTracker,
    waiting: Arc<Waiting>,
}

/// The requests that wait.
#[derive(Default)]
struct Waiting {
    next: AtomicU64,
    requests: Mutex<HashMap<u64, Request>>,
}

struct Request {
    op: Arc<Op>,
    answer: Weak<dyn Answer>,
}

/// A request that can still be answered by somebody else than its task.
trait Answer: Send + Sync {
    fn fail(&self, errno: Errno) -> bool;
}

/// The reply of a request that waits.
struct Slot<R> {
    reply: Mutex<Option<R>>,
    /// Whether its caller was answered without the result.
    gone: CallerGone,
}

impl<R> Slot<R> {
    fn take(&self) -> Option<R> {
        self.reply().take()
    }

    /// As [`take`](Self::take), to answer without the result: what is shown from now on reaches nobody.
    fn take_early(&self) -> Option<R> {
        let mut slot = self.reply();
        let reply = slot.take();
        if reply.is_some() {
            self.gone.now();
        }
        reply
    }

    fn reply(&self) -> MutexGuard<'_, Option<R>> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reply whose type says which answer it takes.
struct Typed<T, R: Reply<T>>(R, std::marker::PhantomData<fn(T)>);

impl<T: 'static, R: Reply<T>> Answer for Slot<Typed<T, R>> {
    fn fail(&self, errno: Errno) -> bool {
        match self.take_early() {
            Some(Typed(reply, _)) => {
                reply.fail(errno);
                true
            }
            None => false,
        }
    }
}

impl Waiting {
    fn requests(&self) -> MutexGuard<'_, HashMap<u64, Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, op: Arc<Op>, answer: Weak<dyn Answer>) -> u64 {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.requests().insert(id, Request { op, answer });
        id
    }

    /// Answers for requests that took too long, or whose callers are being killed.
    fn look_round(&self, patience: Patience, telemetry: &Telemetry) {
        let overdue: Vec<_> = self
            .requests()
            .values()
            .filter(|request| request.op.since.elapsed() > QUIET)
            .filter_map(|request| Some((Arc::clone(&request.op), request.answer.upgrade()?)))
            .collect();
        for (op, answer) in overdue {
            let verdict = if op.since.elapsed() >= patience.for_bytes(op.weight) {
                Some((TIMED_OUT, "no answer in time"))
            } else if op.thread == 0 {
                None
            } else {
                match impatience(op.thread) {
                    Impatience::Killed => Some((INTERRUPTED, "the caller is being killed")),
                    Impatience::Interrupted if op.can_be_interrupted => {
                        Some((INTERRUPTED, "the caller was interrupted"))
                    }
                    Impatience::Interrupted | Impatience::None => None,
                }
            };
            if let Some((errno, why)) = verdict
                && answer.fail(errno)
            {
                op.answered(telemetry, Err(errno), 0, None, Tone::Warn(why));
            }
        }
    }
}

impl Bridge {
    /// Answers from `vfs`, each within `patience`; waiting requests run as tasks of `runtime` and
    /// are counted in `tasks`.
    pub(super) fn new(
        vfs: Arc<Vfs>,
        look: Presentation,
        runtime: Handle,
        tasks: TaskTracker,
        patience: Patience,
    ) -> Self {
        let waiting = Arc::<Waiting>::default();
        let watched = Arc::downgrade(&waiting);
        let (departing, carriers) = (Arc::downgrade(&vfs), tasks.clone());
        runtime.spawn(async move {
            let mut tick = tokio::time::interval(TICK);
            loop {
                tick.tick().await;
                let Some(waiting) = watched.upgrade() else {
                    return;
                };
                let Some(vfs) = departing.upgrade() else {
                    return;
                };
                // It reads /proc, which is memory.
                waiting.look_round(patience, vfs.telemetry());
                if vfs.has_rescues_due() {
                    let vfs = Arc::clone(&vfs);
                    // It waits for the local disk; what it comes to is in the log.
                    drop(tokio::task::spawn_blocking(move || vfs.settle_rescues()));
                }
                if vfs.has_departures_due() {
                    // What fails is logged, and tried again.
                    carriers
                        .spawn(async move { drop(vfs.settle_departures(Departures::Due).await) });
                }
            }
        });
        Self {
            vfs,
            look: Arc::new(look),
            runtime,
            tasks,
            waiting,
        }
    }

    /// Answers a request with what `work` comes to.
    pub(super) fn answer<T, R, F>(&self, mut op: Op, reply: R, work: F)
    where
        T: Undo,
        R: Reply<T>,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let span = op.begin();
        // Whoever ends the mount waits for what has begun, also while it is no task yet: it may have sent its
        // request already.
        let _begun = self.tasks.token();
        let work = after_forgetting(op.gone.clone().watched(work)).instrument(span);
        let mut work: Pin<Box<dyn Future<Output = Result<T, Error>> + Send>> = match op.queues {
            Some(queues) => Box::pin(in_queues(queues, work)),
            None => Box::pin(work),
        };
        let guard = self.runtime.enter();
        let mut context = Context::from_waker(Waker::noop());
        let tried = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut context)));
        drop(guard);
        match tried {
            // The reply is dropped, which answers EIO; the mount lives on (A5).
            Err(_) => self.panicked(&op),
            Ok(Poll::Ready(result)) => self.finish(&op, reply, result),
            Ok(Poll::Pending) => self.wait(op, reply, work),
        }
    }

    fn wait<T, R>(
        &self,
        op: Op,
        reply: R,
        work: Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>,
    ) where
        T: Undo,
        R: Reply<T>,
    {
        let reply = Typed(reply, std::marker::PhantomData::<fn(T)>);
        let slot = Arc::new(Slot {
            reply: Mutex::new(Some(reply)),
            gone: op.gone.clone(),
        });
        let weak = Arc::downgrade(&slot);
        let op = Arc::new(op);
        let id = self.waiting.add(Arc::clone(&op), weak);
        let bridge = self.clone();
        self.tasks.spawn_on(
            async move {
                // Removed on the way out, also by a panic; the slot then answers EIO.
                let waiting = Remove::new(&bridge, id, &op);
                let result = work.await;
                waiting.ended();
                match slot.take() {
                    Some(Typed(reply, _)) => bridge.finish(&op, reply, result),
                    None => bridge.too_late(&op, result),
                }
            },
            &self.runtime,
        );
    }

    fn finish<T: Undo, R: Reply<T>>(&self, op: &Op, reply: R, result: Result<T, Error>) {
        let telemetry = self.vfs.telemetry();
        match result {
            Ok(value) => {
                op.answered(
                    telemetry,
                    Ok(()),
                    value.bytes(),
                    value.opened(),
                    Tone::Debug,
                );
                reply.send(value, &self.look);
            }
            Err(error) => {
                let answer = errno(&error);
                let words = error.to_string();
                let tone = match is_ordinary(&error) {
                    true => Tone::DebugOf(&words),
                    false => Tone::Warn(&words),
                };
                op.answered(telemetry, Err(answer), 0, None, tone);
                reply.fail(answer);
            }
        }
    }

    /// Answers a request that needs no waiting and has no other answer than what `work` makes.
    pub(super) fn at_once(&self, mut op: Op, work: impl FnOnce() -> Result<(), Errno>) {
        let span = op.begin();
        match catch_unwind(AssertUnwindSafe(|| span.in_scope(work))) {
            Err(_) => self.panicked(&op),
            Ok(result) => op.answered(self.vfs.telemetry(), result, 0, None, Tone::Debug),
        }
    }

    /// Answers a request that is not even looked at.
    pub(super) fn refuse<T, R: Reply<T>>(&self, op: Op, reply: R, errno: Errno) {
        op.answered(self.vfs.telemetry(), Err(errno), 0, None, Tone::Debug);
        reply.fail(errno);
    }

    /// The reply is dropped, which answers for it; the mount lives on (A5).
    fn panicked(&self, op: &Op) {
        let why = "a bug: the request panicked";
        op.answered(self.vfs.telemetry(), Err(BUG), 0, None, Tone::Error(why));
    }

    fn too_late<T: Undo>(&self, op: &Op, result: Result<T, Error>) {
        self.vfs.telemetry().metrics.late_answer();
        match result {
            Ok(value) => {
                op.late("succeeded after its caller was gone");
                value.undo(&self.vfs);
            }
            Err(error) => op.late(&format!("failed after its caller was gone: {error}")),
        }
    }
}

/// Takes a request off the list of those that wait.
struct Remove<'a> {
    bridge: &'a Bridge,
    id: u64,
    op: &'a Op,
    /// Whether its work came to an end.
    ended: bool,
}

impl<'a> Remove<'a> {
    fn new(bridge: &'a Bridge, id: u64, op: &'a Op) -> Self {
        bridge.vfs.telemetry().metrics.waiting(true);
        Self {
            bridge,
            id,
            op,
            ended: false,
        }
    }

    fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for Remove<'_> {
    fn drop(&mut self) {
        self.bridge.vfs.telemetry().metrics.waiting(false);
        self.bridge.waiting.requests().remove(&self.id);
        if !self.ended && std::thread::panicking() {
            self.bridge.panicked(self.op);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Levels, Subject};
    use crate::vfs::tests::in_memory;

    /// A reply that notes what becomes of it.
    struct Slip(Option<Arc<Mutex<Vec<&'static str>>>>);

    impl Slip {
        fn note(&mut self, what: &'static str) {
            if let Some(notes) = self.0.take() {
                notes.lock().unwrap().push(what);
            }
        }
    }

    impl Reply<()> for Slip {
        fn send(mut self, (): (), _: &Presentation) {
            self.note("sent");
        }

        fn fail(mut self, _: Errno) {
            self.note("failed");
        }
    }

    /// As fuser's: a reply that is dropped says EIO.
    impl Drop for Slip {
        fn drop(&mut self) {
            self.note("dropped");
        }
    }

    struct World {
        bridge: Bridge,
        tasks: TaskTracker,
        notes: Arc<Mutex<Vec<&'static str>>>,
        _state: tempfile::TempDir,
    }

    impl World {
        fn new(patience: Duration) -> Self {
            let state = tempfile::tempdir().unwrap();
            let look = Presentation {
                uid: 0,
                gid: 0,
                file_mode: 0o644,
                dir_mode: 0o755,
                ttl: Duration::ZERO,
            };
            let patience = Patience {
                base: patience,
                slowest: 1,
            };
            let tasks = TaskTracker::new();
            let vfs = Arc::new(in_memory(state.path()));
            Self {
                bridge: Bridge::new(vfs, look, Handle::current(), tasks.clone(), patience),
                tasks,
                notes: Arc::default(),
                _state: state,
            }
        }

        fn ask(&self, work: impl Future<Output = Result<(), Error>> + Send + 'static) {
            let slip = Slip(Some(Arc::clone(&self.notes)));
            self.bridge.answer(op(), slip, work);
        }

        /// What became of the replies, once all is over, and how often each errno was counted.
        async fn end(self) -> (Vec<&'static str>, String) {
            self.tasks.close();
            self.tasks.wait().await;
            let text = self.bridge.vfs.telemetry().metrics.text(&Levels::default());
            let of_ours = |line: &&str| line.contains("op=\"test\"") && line.contains("_total");
            let counted: Vec<_> = text.lines().filter(of_ours).collect();
            (self.notes.lock().unwrap().clone(), counted.join("\n"))
        }
    }

    fn op() -> Op {
        Op::new("test", 1, 0, Subject::default())
    }

    fn counted(errno: &str, times: u32) -> String {
        format!("etagfs_operations_total{{errno=\"{errno}\",op=\"test\"}} {times}")
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn a_request_is_answered_once_whether_it_waits_or_not() {
        let world = World::new(LONG);
        world.ask(async { Ok(()) });
        world.ask(async {
            tokio::task::yield_now().await;
            Ok(())
        });
        assert_eq!(world.end().await, (vec!["sent", "sent"], counted("OK", 2)));
    }

    #[tokio::test]
    async fn a_request_that_panics_is_answered_once_and_ends_nothing_else() {
        let world = World::new(LONG);
        world.ask(async { panic!("at once") });
        world.ask(async {
            tokio::task::yield_now().await;
            panic!("later")
        });
        world.bridge.at_once(op(), || panic!("on the spot"));
        let (notes, counts) = world.end().await;
        assert_eq!(notes, ["dropped", "dropped"]);
        assert_eq!(counts, counted("EIO", 3));
    }

    #[tokio::test]
    async fn what_the_watchdog_has_answered_is_not_answered_again() {
        let world = World::new(Duration::ZERO);
        let (go, gate) = tokio::sync::oneshot::channel::<()>();
        world.ask(async {
            let _ = gate.await;
            Ok(())
        });
        while world.notes.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        go.send(()).unwrap();
        assert_eq!(world.end().await, (vec!["failed"], counted("ETIMEDOUT", 1)));
    }
}
