//! What is said of a rename that did not happen, and what is kept of it (W4, W5).

use std::sync::Arc;
use tokio::time::Instant;

use super::super::loss::Kept;
use super::super::rescue::Reason;
use super::super::table::Kind;
use super::super::{Error, Vfs};
use super::moved::{From, Rename};
use crate::model::{Precondition, Rival};
use crate::store::Entry;

impl Vfs {
    /// The put was refused, which was sent at `sent`: what the key of the new name is now, if that can be
    /// found out. No request if the refusal said it.
    pub(super) async fn winner_of_rename(
        &self,
        rename: &Rename<'_>,
        (rival, sent): (Option<Rival>, Instant),
    ) -> Option<Precondition> {
        let target = &rename.target;
        let (parent, name) = target.at;
        let (rival, asked) = match rival {
            Some(rival) => (rival, sent),
            None => {
                let asked = Instant::now();
                match target.store.describe(&target.key).await {
                    Ok(entry) => (entry.map_or(Rival::NOTHING, rival_of), asked),
                    Err(error) => {
                        // The winner is not known; what was known before is not so any more.
                        self.table().forget_name(parent, name);
                        let (op, store, key) = ("rename", target.store.name(), &target.key);
                        tracing::debug!(op, %store, %key, %error, "who saved first cannot be seen");
                        return None;
                    }
                }
            }
        };
        let mut table = self.table();
        let kind = Kind::File(Arc::clone(&target.store), target.key.clone());
        let taken = table.insert(parent, name, kind);
        table.learn_rival(taken, &target.key, &rival, asked);
        table.sweep(taken);
        Some(rival.version)
    }

    /// The moved file was to take the place of a key that was moved away, if it was, and did not.
    pub(super) fn departure_failed(&self, rename: &Rename<'_>) {
        let (now, by) = (self.now(), rename.callers().next().map(|who| who.process));
        let place = rename.target.place();
        self.table().is_not_recreated(&place, by, now);
    }

    /// Somebody else saved first; `found` is what the key is now, if that could be asked. The temporary file
    /// stays, but programs tend to delete it when its rename fails: its bytes are kept, once what is `held` is
    /// free.
    pub(super) async fn rename_lost<H>(
        &self,
        rename: &Rename<'_>,
        expected: &Precondition,
        found: Option<&Precondition>,
        held: H,
    ) -> Error {
        let attempt = rename.attempt(expected);
        let error = self.outdone(&attempt, found);
        drop(held);
        let kept = Kept::whole(rename.moved.value.bytes.clone());
        self.lost(&attempt, found, Some(kept), error).await.error
    }

    /// The rename failed, or its fate is unknown. The bytes of a temporary file are kept, as after a
    /// conflict; a key still has its own.
    pub(super) async fn rename_failed(
        &self,
        rename: &Rename<'_>,
        expected: &Precondition,
        reason: Reason,
        error: Error,
    ) -> Error {
        let kept = match rename.moved.from {
            From::ScratchDir(..) => Some(Kept::whole(rename.moved.value.bytes.clone())),
            From::Key(..) => None,
        };
        let attempt = rename.attempt(expected);
        self.not_done(&attempt, reason, "unknown", kept, error)
            .await
            .error
    }
}

fn rival_of(entry: Entry) -> Rival {
    Rival {
        version: Precondition::Is(entry.version),
        size: entry.size,
        modified: Some(entry.modified),
    }
}
