//! The end of a handle, and the calls that wait for it.
//!
//! The kernel reports a last close and does not wait for the answer, so the program continues while its file
//! is being saved. The program must then find what it has just written: a look-up or an open of a file waits
//! for the earlier closes of that file. What a close saves is in `save.rs`.

use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::handles::{Fh, Handle};
use super::{Error, Vfs};
use crate::model::{Ino, SaveReason};
use crate::store::{Dir, Store};

/// How long a last close may take from the kernel to [`Vfs::release`]: one of our threads has read it, but
/// not handled it yet.
const ON_ITS_WAY: Duration = Duration::from_millis(20);

/// The closes of one file that are under way. Each holds this lock for reading; a call that waits for them
/// takes it for writing once, and releases it. No close holds it while it waits for another lock of an open
/// or a look-up, because those hold none.
#[derive(Clone, Debug, Default)]
pub(super) struct Closing {
    under_way: Arc<RwLock<()>>,
    /// The handle that was flushed last while an empty file waited in it to be saved, and when: its last
    /// close may be on its way.
    flushed: Option<(Fh, Instant)>,
}

impl Closing {
    async fn begin(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.under_way).read_owned().await
    }

    /// A handle was flushed just now, and its last close may be on its way.
    pub(super) fn note_flush(&mut self, fh: Fh) {
        self.flushed = Some((fh, Instant::now()));
    }

    /// Whether the last close of a handle that is still open may be on its way.
    fn may_be_on_its_way(&self, is_open: impl FnOnce(Fh) -> bool) -> bool {
        self.flushed
            .is_some_and(|(fh, at)| at.elapsed() < ON_ITS_WAY && is_open(fh))
    }

    async fn over(&self) {
        drop(self.under_way.write().await);
    }
}

impl Vfs {
    /// The last descriptor of a handle is gone: saves what no flush saved, and closes the handle. Errors go
    /// only to the log. The part before the first wait runs when this is first polled, in the order of the
    /// kernel's requests.
    pub async fn release(&self, fh: Fh) {
        let closing = self.closing(fh);
        let _under_way = match &closing {
            Some(closing) => Some(closing.begin().await),
            None => None,
        };
        // An error is logged, and the bytes are rescued, where it happens.
        let _ = self.save(fh, SaveReason::Release).await;
        let now = self.now();
        let mut table = self.table();
        if let Some(ino) = table.close(fh) {
            table.end_unsaved(ino, now);
        }
    }

    /// Waits for the earlier closes of a file.
    pub(super) async fn closed(&self, ino: Ino) {
        loop {
            let (closing, is_on_its_way) = match self.table().get(ino) {
                Some(node) if node.is_open() => {
                    let closing = node.closing();
                    let is_on_its_way = closing.may_be_on_its_way(|fh| node.has_open(fh));
                    (closing.clone(), is_on_its_way)
                }
                _ => return,
            };
            closing.over().await;
            if !is_on_its_way {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// A handle was flushed that has nothing to save before its last close: it may be about to be closed, or
    /// a shell has moved it to where its command will write (W2).
    pub(super) fn note_flush(&self, ino: Ino, fh: Fh) {
        self.table().note_flush(ino, fh);
    }

    fn closing(&self, fh: Fh) -> Option<Closing> {
        Some(self.table().opened_on(fh).ok()?.closing().clone())
    }

    /// Checks that no new file of this mount, which the store does not know yet, is in a directory or below
    /// it.
    ///
    /// # Errors
    /// [`Error::NotEmpty`].
    pub(super) fn check_unused(&self, store: &Arc<dyn Store>, dir: &Dir) -> Result<(), Error> {
        let table = self.table();
        let is_new_in = |handle: &Handle| {
            let Handle::Writer(writer) = handle else {
                return false;
            };
            let is_new = table
                .get(writer.ino())
                .is_some_and(|node| node.is_unsaved());
            is_new
                && table.file(writer.ino()).is_ok_and(|(of, key)| {
                    of.name() == store.name() && key.as_str().starts_with(dir.prefix())
                })
        };
        match table.all_handles().any(|(_, handle)| is_new_in(handle)) {
            true => Err(Error::NotEmpty(dir.prefix().to_owned())),
            false => Ok(()),
        }
    }
}
