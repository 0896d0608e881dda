//! The end of a mount: every draft is saved or rescued (A2).

use std::time::Duration;

use super::handles::Handle;
use super::loss::{Attempt, Kept};
use super::pending_renames::Departures;
use super::rescue::Reason;
use super::writer::Writer;
use super::{Error, Vfs};
use crate::model::{Precondition, SaveReason};

/// How long the pending renames may take that are carried out at the end.
const LAST_RENAMES: Duration = Duration::from_secs(10);

/// How a mount ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was unmounted: every file had been closed.
    Unmounted,
    /// The daemon must stop while files may still be open.
    Stopped,
}

impl Vfs {
    /// Saves or rescues every remaining draft. Saves that are still under way have used up their time; their
    /// bytes are rescued.
    ///
    /// After an unmount every handle was closed, so what no flush saved is saved now, as at any
    /// release. When the daemon is stopped, a draft may be half written: it is rescued, never
    /// saved.
    pub async fn finish(&self, ending: Ending) {
        let left: Vec<_> = {
            let table = self.table();
            let handles = table.all_handles();
            handles.map(|(fh, handle)| (fh, handle.clone())).collect()
        };
        for (fh, handle) in left {
            let Handle::Writer(writer) = &*handle else {
                continue;
            };
            if let Some((base, kept)) = writer.under_way() {
                let why = "the mount ended while it was being saved";
                self.rescue_at_end(writer, &base, kept, why).await;
            } else if ending == Ending::Unmounted {
                // Errors are logged and rescued where they happen.
                let _ = self.save(fh, SaveReason::Release).await;
            } else {
                self.rescue_draft(writer).await;
            }
        }
        // What does not succeed any more loses nothing: the keys are where they were, and the scratch files
        // are in the state directory.
        let settled =
            tokio::time::timeout(LAST_RENAMES, self.settle_departures(Departures::All)).await;
        if !matches!(settled, Ok(Ok(()))) {
            tracing::warn!("names that were moved to scratch names are as they were in the store");
        }
        if self.keeper.settle() > 0 {
            self.keeper.say_what_is_lost();
        }
    }

    async fn rescue_draft(&self, writer: &Writer) {
        let mut state = writer.lock().await;
        self.catch_up(writer, &mut state);
        if state.draft.is_dirty() && state.content.len() > 0 && !state.is_half() {
            let base = state.draft.base().clone();
            let why = "the mount ended before the file was closed";
            match state.kept() {
                Ok(kept) => self.rescue_at_end(writer, &base, kept, why).await,
                Err(error) => {
                    let ino = writer.ino().0;
                    tracing::error!(ino, %error, "a draft could not be rescued");
                }
            }
            state.draft.drop_unlinked();
        }
    }

    async fn rescue_at_end(&self, writer: &Writer, base: &Precondition, kept: Kept, why: &str) {
        let Ok((store, key)) = self.file(writer.ino()) else {
            return;
        };
        let attempt = Attempt {
            op: "end",
            ino: writer.ino(),
            store: &store,
            key: &key,
            callers: writer.who().as_slice(),
            expected: base,
        };
        let error = Error::failed(format!("{}: {why}", store.address(&key)));
        self.not_done(&attempt, Reason::Unmounted, "unknown", Some(kept), error)
            .await;
    }
}
