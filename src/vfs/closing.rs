//! The end of a handle, and who has to wait for it.
//!
//! The kernel tells of a last close and does not wait for the answer, so the program goes on while
//! its file is being saved. It must find then what it has just left: a look-up or an open of a file
//! waits for the closes of that file that came before it. It knows nothing of what a close saves: see
//! `save.rs`.

use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

use super::handles::{Fh, Handle};
use super::{Error, Vfs};
use crate::model::{Ino, SaveReason};
use crate::store::{Dir, Store};

/// How long a last close may be on its way from the kernel to [`Vfs::release`]: one of our threads has
/// read it and did not come to it yet.
const ON_ITS_WAY: Duration = Duration::from_millis(20);

/// The closes of one file that are under way: each holds it for reading, and who waits for them asks
/// for it for writing, once, and lets it go. Nobody holds it while waiting for any other lock that an
/// open or a look-up holds, since those hold none.
#[derive(Clone, Debug, Default)]
pub(super) struct Closing {
    under_way: Arc<RwLock<()>>,
    /// The handle that was flushed last while emptiness waited in it to be saved, and when: perhaps
    /// its last close is on its way.
    flushed: Option<(Fh, Instant)>,
}

impl Closing {
    async fn begin(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.under_way).read_owned().await
    }

    /// A handle was flushed just now, and perhaps its last close is on its way.
    pub(super) fn note_flush(&mut self, fh: Fh) {
        self.flushed = Some((fh, Instant::now()));
    }

    /// Whether a last close may be on its way, of a handle that is still open.
    fn may_be_on_its_way(&self, is_open: impl FnOnce(Fh) -> bool) -> bool {
        self.flushed
            .is_some_and(|(fh, at)| at.elapsed() < ON_ITS_WAY && is_open(fh))
    }

    async fn over(&self) {
        drop(self.under_way.write().await);
    }
}

impl Vfs {
    /// The last descriptor of a handle is gone: saves what no flush saved, and closes it. Nobody
    /// hears of an error but the log. The part before the first wait is done when this is first
    /// polled, in the order in which the kernel asks.
    pub async fn release(&self, fh: Fh) {
        let closing = self.closing(fh);
        let _under_way = match &closing {
            Some(closing) => Some(closing.begin().await),
            None => None,
        };
        // An error is logged and rescued where it happens.
        let _ = self.save(fh, SaveReason::Release).await;
        let now = self.now();
        let mut table = self.table();
        if let Some(ino) = table.close(fh) {
            table.end_unsaved(ino, now);
        }
    }

    /// Waits for the closes of a file that came before.
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

    /// A handle was flushed that has nothing to save until it is closed for good: perhaps it is being
    /// closed, or a shell has put it where its command will write (W2).
    pub(super) fn note_flush(&self, ino: Ino, fh: Fh) {
        self.table().note_flush(ino, fh);
    }

    fn closing(&self, fh: Fh) -> Option<Closing> {
        Some(self.table().opened_on(fh).ok()?.closing().clone())
    }

    /// Makes sure that no new file of this mount is in a directory or below it, which the store does
    /// not know of yet.
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
