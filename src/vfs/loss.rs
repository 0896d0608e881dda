//! What becomes of a save that did not happen: its bytes are kept, its process is told once, the
//! kernel forgets what it showed, and the log and the journal say so (W5, W16).

use std::sync::Arc;

use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::journal::Event;
use super::rescue::{Loss, Reason};
use super::{AfterConflict, Error, Vfs};
use crate::model::{Caller, Ino, Key, Precondition};
use crate::store::Store;

/// What the kernel calls a delete.
pub(super) const UNLINK: &str = "unlink";

/// A change of a key that was attempted.
pub(super) struct Attempt<'a> {
    /// What the kernel calls it.
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
    /// They are not a whole value, but what was to be put behind one.
    pub(super) appended: bool,
    /// The rescue that held the bytes of the same draft before, which goes when these are kept.
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

    /// In the place of an earlier rescue of the same draft.
    pub(super) fn instead_of(self, rescue: Option<String>) -> Self {
        Self {
            instead_of: rescue,
            ..self
        }
    }
}

/// An attempt that did not happen.
pub(super) struct NotDone {
    /// What its program is told.
    pub(super) error: Error,
    /// The rescue that holds its bytes.
    pub(super) rescue: Option<String>,
}

impl Vfs {
    /// Somebody else saved first. `found` is what the key is now, if that could be asked; `bytes`
    /// are what was to be saved, if there was anything.
    pub(super) fn conflict(
        &self,
        attempt: &Attempt<'_>,
        found: Option<&Precondition>,
        bytes: Option<&Bytes>,
    ) -> NotDone {
        self.conflict_over(attempt, found, bytes.cloned().map(Kept::whole).as_ref())
    }

    /// As [`conflict`](Self::conflict), over bytes that need not be a whole value.
    pub(super) fn conflict_over(
        &self,
        attempt: &Attempt<'_>,
        found: Option<&Precondition>,
        kept: Option<&Kept>,
    ) -> NotDone {
        let (store, key) = (attempt.store, attempt.key);
        let place = (store.name(), key.clone());
        let by = attempt.callers.first().map(|who| who.process);
        if attempt.op != UNLINK {
            // Whose save was refused may clean up after itself; whose delete was refused does not
            // clean up when it deletes again.
            let now = self.now();
            self.table().pending().refused(&place, by, now);
        }
        if let Some(found) = found
            && self.options.after_conflict == AfterConflict::Told
        {
            let callers = attempt.callers.iter().copied();
            self.table().told(callers, &place, found);
        }
        let found = found.map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let error = Error::Conflict {
            key: store.address(key),
            expected: attempt.expected.to_string(),
            found: found.clone(),
        };
        let not_done = self.not_done(attempt, Reason::Conflict, &found, kept, error);
        // Before the caller hears of it, so that it does not look at the loser's pages.
        self.forget_in_kernel(attempt.ino);
        not_done
    }

    /// Keeps the bytes of an attempt that did not happen, and says so in log and journal.
    pub(super) fn not_done(
        &self,
        attempt: &Attempt<'_>,
        reason: Reason,
        found: &str,
        kept: Option<&Kept>,
        error: Error,
    ) -> NotDone {
        let &Attempt { op, store, key, .. } = attempt;
        let expected = attempt.expected.to_string();
        let pid = attempt.callers.first().map_or(0, |one| one.process.id);
        let now = OffsetDateTime::now_utc();
        let loss = Loss {
            store: store.name().to_string(),
            key: key.to_string(),
            expected: expected.clone(),
            found: found.to_owned(),
            reason,
            message: error.to_string(),
            appended: kept.is_some_and(|kept| kept.appended),
            pid,
        };
        let (rescue, place) = match kept {
            Some(kept) => {
                let older = kept.instead_of.as_deref();
                let (rescue, place) = self.keeper.keep(loss, &kept.bytes, older, now);
                (rescue, Some(place))
            }
            None => (None, None),
        };
        tracing::warn!(op, store = %store.name(), %key, expected, found, pid, rescue, "{error}");
        self.journal.not_saved(Event {
            time: now.format(&Rfc3339).unwrap_or_default(),
            op,
            store: store.name().to_string(),
            key: key.to_string(),
            reason,
            expected,
            found: found.to_owned(),
            pid,
            rescue: rescue.clone(),
            kept: place,
            message: error.to_string(),
        });
        NotDone { error, rescue }
    }
}
