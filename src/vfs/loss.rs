//! A save that did not happen: its bytes are kept, the process gets one error, the kernel forgets what it
//! showed, and the log and the journal report it (W5, W16).

use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::gone::is_caller_gone;
use super::journal::Event;
use super::keeper::{Keeper, Whereabouts};
use super::rescue::{Loss, Reason};
use super::{AfterConflict, Error, Vfs};
use crate::model::{Caller, Ino, Key, Precondition};
use crate::store::Store;

/// The kernel's name of a delete.
pub(super) const UNLINK: &str = "unlink";

/// A change of a key that was attempted.
pub(super) struct Attempt<'a> {
    /// The kernel's name of the operation.
    pub(super) op: &'static str,
    pub(super) ino: Ino,
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) key: &'a Key,
    /// Whose memories count as its base; the first one attempts it.
    pub(super) callers: &'a [Caller],
    /// What it was to replace.
    pub(super) expected: &'a Precondition,
}

/// The bytes of a change that must not be lost.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) bytes: Bytes,
    /// They are not a whole value, but bytes to append to one.
    pub(super) appended: bool,
    /// The rescue that held earlier bytes of the same draft; it is removed when these are kept.
    pub(super) instead_of: Option<String>,
}

impl Kept {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self {
            bytes,
            appended: false,
            instead_of: None,
        }
    }

    pub(super) fn appended(bytes: Bytes) -> Self {
        Self {
            bytes,
            appended: true,
            instead_of: None,
        }
    }

    /// As a replacement of an earlier rescue of the same draft.
    pub(super) fn instead_of(self, rescue: Option<String>) -> Self {
        Self {
            instead_of: rescue,
            ..self
        }
    }
}

/// An attempt that did not happen.
pub(super) struct NotDone {
    /// The error for its program.
    pub(super) error: Error,
    /// The rescue that holds its bytes.
    pub(super) rescue: Option<String>,
}

impl Vfs {
    /// Another writer saved first, and there are no bytes to keep. `found` is what the key is now, if that
    /// could be found out.
    pub(super) fn conflict(&self, attempt: &Attempt<'_>, found: Option<&Precondition>) -> Error {
        let error = self.outdone(attempt, found);
        let failed = Failed::new(attempt, Reason::Conflict, &found_now(found), None);
        self.note(attempt, failed, (None, None), &error);
        self.report(attempt, found);
        // Before the caller gets its answer, so that it does not see the loser's pages.
        self.forget_in_kernel(attempt.ino);
        error
    }

    /// As [`conflict`](Self::conflict), with bytes that are kept, after [`outdone`](Self::outdone).
    pub(super) async fn lost(
        &self,
        attempt: &Attempt<'_>,
        found: Option<&Precondition>,
        kept: Option<Kept>,
        error: Error,
    ) -> NotDone {
        let (reason, now) = (Reason::Conflict, found_now(found));
        let not_done = self.not_done(attempt, reason, &now, kept, error).await;
        // Only now: the caller may have gone while the disk took its time.
        self.report(attempt, found);
        self.forget_in_kernel(attempt.ino);
        not_done
    }

    /// Notes that the attempt was refused. Returns the error.
    pub(super) fn outdone(&self, attempt: &Attempt<'_>, found: Option<&Precondition>) -> Error {
        let (store, key) = (attempt.store, attempt.key);
        let place = (store.name(), key.clone());
        let by = attempt.callers.first().map(|who| who.process);
        if attempt.op != UNLINK {
            // A process whose save was refused may clean up after itself; a process whose delete was refused
            // does not clean up when it deletes again.
            let now = self.now();
            self.table().pending().refused(&place, by, now);
        }
        Error::Conflict {
            key: store.address(key),
            expected: attempt.expected.to_string(),
            found: found_now(found),
        }
    }

    /// Notes in the memories that count what the key is now, which the error is about to tell its caller, if
    /// that still waits.
    fn report(&self, attempt: &Attempt<'_>, found: Option<&Precondition>) {
        if let Some(found) = found
            && self.options.after_conflict == AfterConflict::Told
            && !is_caller_gone()
        {
            let place = (attempt.store.name(), attempt.key.clone());
            let callers = attempt.callers.iter().copied();
            self.table().told(callers, &place, found);
        }
    }

    /// Keeps the bytes of an attempt that did not happen, and reports it in log and journal. The disk may be
    /// slow: meanwhile only requests on the same handle should wait for a lock.
    pub(super) async fn not_done(
        &self,
        attempt: &Attempt<'_>,
        reason: Reason,
        found: &str,
        kept: Option<Kept>,
        error: Error,
    ) -> NotDone {
        let failed = Failed::new(attempt, reason, found, kept.as_ref());
        let (rescue, place) = match kept {
            Some(kept) => {
                let loss = failed.loss(error.to_string());
                let (rescue, place) = self.keep(loss, kept, failed.now).await;
                (rescue, Some(place))
            }
            None => (None, None),
        };
        self.note(attempt, failed, (rescue.clone(), place), &error);
        NotDone { error, rescue }
    }

    async fn keep(
        &self,
        loss: Loss,
        kept: Kept,
        now: OffsetDateTime,
    ) -> (Option<String>, Whereabouts) {
        let keep = move |keeper: &Keeper, loss, kept: &Kept| {
            keeper.keep(loss, &kept.bytes, kept.instead_of.as_deref(), now)
        };
        let (keeper, other_loss, other) = (Arc::clone(&self.keeper), loss.clone(), kept.clone());
        match on_disk(move || keep(&keeper, other_loss, &other)).await {
            Ok(kept) => kept,
            // The threads for such work are gone because the mount ends: so it is done here.
            Err(error) if error.is_cancelled() => {
                tracing::debug!(%error, "a rescue is written by the thread that lost its save");
                keep(&self.keeper, loss, &kept)
            }
            Err(error) => {
                self.telemetry.metrics.rescue_lost();
                tracing::error!(%error, "the bytes of a save that did not happen could not be kept: they are lost");
                (None, Whereabouts::Lost)
            }
        }
    }

    fn note(
        &self,
        attempt: &Attempt<'_>,
        failed: Failed,
        (rescue, kept): (Option<String>, Option<Whereabouts>),
        error: &Error,
    ) {
        let &Attempt { op, store, key, .. } = attempt;
        let Failed {
            reason,
            expected,
            found,
            pid,
            now,
            ..
        } = failed;
        tracing::warn!(op, store = %store.name(), %key, expected, found, pid, rescue, "{error}");
        self.journal.not_saved(Event {
            time: now.format(&Rfc3339).unwrap_or_default(),
            op,
            store: failed.store,
            key: failed.key,
            reason,
            expected,
            found,
            pid,
            rescue,
            kept,
            message: error.to_string(),
        });
    }
}

/// Runs work that may have to wait for the local disk on a thread that serves no requests. On a runtime of
/// one thread it runs in place, so that what happens there can be repeated.
pub(super) async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, tokio::task::JoinError> {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::CurrentThread => Ok(work()),
        _ => tokio::task::spawn_blocking(work).await,
    }
}

fn found_now(found: Option<&Precondition>) -> String {
    found.map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// What is known of an attempt that did not happen.
struct Failed {
    store: String,
    key: String,
    reason: Reason,
    expected: String,
    found: String,
    appended: bool,
    pid: u32,
    now: OffsetDateTime,
}

impl Failed {
    fn new(attempt: &Attempt<'_>, reason: Reason, found: &str, kept: Option<&Kept>) -> Self {
        Self {
            store: attempt.store.name().to_string(),
            key: attempt.key.to_string(),
            reason,
            expected: attempt.expected.to_string(),
            found: found.to_owned(),
            appended: kept.is_some_and(|kept| kept.appended),
            pid: attempt.callers.first().map_or(0, |one| one.process.id),
            now: OffsetDateTime::now_utc(),
        }
    }

    fn loss(&self, message: String) -> Loss {
        Loss {
            store: self.store.clone(),
            key: self.key.clone(),
            expected: self.expected.clone(),
            found: self.found.clone(),
            reason: self.reason,
            message,
            appended: self.appended,
            pid: self.pid,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::model::{Ancestors, FileName, Job, Origin, Process};
    use crate::vfs::tests::in_memory_within;
    use crate::vfs::{
        Access, At, CallerGone, Context, Creation, Durable, Fh, OverExisting, RescueBounds,
    };

    const BY: Context = Context::on(1);
    const ACCESS: Access = Access {
        read: true,
        write: true,
        truncate: false,
        append: false,
        durable: Durable::AtSave,
    };

    async fn write(vfs: &Vfs, fh: Fh, bytes: &[u8]) {
        let at = At::Offset(0);
        let written = vfs.write(fh, at, bytes, Durable::AtSave, BY).await;
        written.unwrap();
    }

    /// A filesystem with a key: its inode, and the handle that its first value was written by.
    async fn with_a_key(dir: &std::path::Path) -> (Arc<Vfs>, Ino, Fh) {
        let bounds = RescueBounds {
            count: Some(1000),
            ..RescueBounds::default()
        };
        let vfs = Arc::new(in_memory_within(dir, bounds));
        let how = Creation {
            over: OverExisting::Replace,
            origin: Origin::Other,
        };
        let made = vfs.create(Ino::ROOT, "key".as_ref(), ACCESS, how, BY).await;
        let (told, fh) = made.unwrap();
        write(&vfs, fh, b"first").await;
        vfs.flush(fh, BY).await.unwrap();
        (vfs, told.attr.ino, fh)
    }

    /// A disk that stands still.
    struct SlowDisk {
        goes_on: mpsc::Sender<()>,
        thread: std::thread::JoinHandle<()>,
    }

    impl SlowDisk {
        fn of(vfs: &Arc<Vfs>) -> Self {
            let (goes_on, waits) = mpsc::channel::<()>();
            let (stands, still) = mpsc::channel();
            let disk = Arc::clone(vfs);
            let thread = std::thread::spawn(move || {
                let _slow = disk.keeper.stands_still();
                stands.send(()).unwrap();
                waits.recv().unwrap_err();
            });
            still.recv().unwrap();
            Self { goes_on, thread }
        }

        fn goes_on(self) {
            drop(self.goes_on);
            self.thread.join().unwrap();
        }
    }

    /// Loses five bytes, which a disk that stands still is about to keep.
    async fn losing(
        vfs: &Vfs,
        loses: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> tokio::task::JoinHandle<Result<(), Error>> {
        let lost = tokio::spawn(loses);
        while !vfs.keeper.list().iter().any(|kept| kept.size == 5) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        lost
    }

    /// Loses five bytes to the winner of a key, and keeps them on a disk that stands still.
    async fn others_go_on_while(
        vfs: &Arc<Vfs>,
        ino: Ino,
        loses: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) {
        let disk = SlowDisk::of(vfs);
        let lost = losing(vfs, loses).await;
        let others = Arc::clone(vfs);
        let others = tokio::spawn(async move {
            let size = others.attr(ino, BY).await.unwrap().size;
            let fh = others.open(ino, ACCESS, BY).await.unwrap();
            let read = others.read(fh, 0, 100).await.unwrap();
            write(&others, fh, b"third!").await;
            others.flush(fh, BY).await.unwrap();
            drop(others.moving.lock().await);
            (size, read)
        });
        let others = tokio::time::timeout(Duration::from_secs(10), others).await;
        let (size, read) = others.expect("nobody waits for the disk").unwrap();
        assert_eq!((size, &read[..]), (6, &b"winner"[..]));
        assert!(!lost.is_finished());
        disk.goes_on();
        assert!(matches!(lost.await.unwrap(), Err(Error::Conflict { .. })));
        let kept = vfs.keeper.list();
        assert_eq!(kept.len(), 1);
    }

    /// All requests have one thread.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn while_a_slow_disk_takes_a_rescue_the_file_can_be_looked_at_read_and_saved() {
        let dir = tempfile::tempdir().unwrap();
        let (vfs, ino, fh) = with_a_key(dir.path()).await;
        let loser = vfs.open(ino, ACCESS, BY).await.unwrap();
        write(&vfs, loser, b"loser").await;
        write(&vfs, fh, b"winner").await;
        vfs.flush(fh, BY).await.unwrap();
        let losing = Arc::clone(&vfs);
        others_go_on_while(&vfs, ino, async move { losing.flush(loser, BY).await }).await;
    }

    /// All requests have one thread.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn while_a_slow_disk_takes_the_rescue_of_a_rename_its_target_can_be_read_and_saved() {
        let dir = tempfile::tempdir().unwrap();
        let (vfs, ino, fh) = with_a_key(dir.path()).await;
        let editor = with_a_loser(&vfs, ino, fh).await;
        let losing = Arc::clone(&vfs);
        others_go_on_while(&vfs, ino, async move { rename(&losing, editor).await }).await;
    }

    /// An editor that read the key and wrote a temporary file, and somebody else who saved the key since.
    async fn with_a_loser(vfs: &Vfs, ino: Ino, fh: Fh) -> Context {
        let editor = Caller {
            process: Process { id: 2, start: 2 },
            ancestors: Ancestors::default(),
            job: Job {
                group: 2,
                session: 2,
            },
        };
        let editor = Context::new(Some(editor), 2);
        let reading = Access {
            write: false,
            ..ACCESS
        };
        let reader = vfs.open(ino, reading, editor).await.unwrap();
        assert_eq!(&vfs.read(reader, 0, 100).await.unwrap()[..], b"first");
        let name = FileName::new("t".as_ref()).unwrap();
        let made = vfs.make_scratch(Ino::ROOT, &name, ACCESS, editor);
        let (_, temporary) = made.unwrap();
        write(vfs, temporary, b"loser").await;
        vfs.flush(temporary, editor).await.unwrap();
        write(vfs, fh, b"winner").await;
        vfs.flush(fh, BY).await.unwrap();
        editor
    }

    /// Moves the temporary file over the key.
    async fn rename(vfs: &Vfs, by: Context) -> Result<(), Error> {
        let (from, to) = ((Ino::ROOT, "t".as_ref()), (Ino::ROOT, "key".as_ref()));
        vfs.rename(from, to, OverExisting::Replace, by).await
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_conflict_whose_caller_goes_while_its_bytes_are_kept_is_reported_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let (vfs, ino, fh) = with_a_key(dir.path()).await;
        let editor = with_a_loser(&vfs, ino, fh).await;
        let disk = SlowDisk::of(&vfs);
        let caller = CallerGone::default();
        let loser = Arc::clone(&vfs);
        let loses = caller
            .clone()
            .watched(async move { rename(&loser, editor).await });
        let lost = losing(&vfs, loses).await;
        caller.now();
        disk.goes_on();
        assert!(matches!(lost.await.unwrap(), Err(Error::Conflict { .. })));
        // It was not told of the winner, so it does not replace that; from now on it is.
        let again = rename(&vfs, editor).await;
        assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
        rename(&vfs, editor).await.unwrap();
    }
}
