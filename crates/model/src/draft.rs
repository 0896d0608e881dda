//! The conflict rule of one writer: what a save sends, and what its answer means.
//!
//! A [`Draft`] knows which version a writer's bytes are based on, and whether they wait to be saved. The bytes
//! themselves are in `vfs`. It never sees the backend: the caller sends the [`Save`] and reports the [`Outcome`].
//! `tests/rules/conflict_model/` runs this very code through every interleaving of a small world.

use super::{Outcome, Precondition, Version};

/// What made the kernel ask for a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SaveReason {
    /// A descriptor of the handle was closed; there may be others.
    Flush,
    /// A descriptor of the handle was closed, and no other one is left that could still write.
    Close,
    /// The program asked for durability.
    Fsync,
    /// Bytes were written that must be durable at once (O_SYNC).
    Write,
    /// The last descriptor is gone; no caller is left to receive an error.
    Release,
}

/// A conditional write to carry out: the draft's bytes, under this condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Save {
    /// What the key must be for the write to happen.
    pub expect: Precondition,
}

/// Why a handle can never save again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// Another process or machine saved first.
    Conflict,
    /// It is not known whether a save happened; another save could apply it twice.
    Unknown,
}

/// Why a save did not happen, as reported to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveError {
    /// Another process or machine saved first (EAGAIN).
    Conflict,
    /// It is not known whether the save happened (EIO).
    Unknown,
}

impl From<Lost> for SaveError {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Conflict => Self::Conflict,
            Lost::Unknown => Self::Unknown,
        }
    }
}

/// What waits to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pending {
    /// Nothing: the bytes are the base's own.
    Nothing,
    /// The open created or emptied the file, and nothing was written since. Shells flush in this state,
    /// before their first write (W2), so a flush does not save it.
    Emptied,
    /// Bytes were written, or the size was set.
    Edited,
}

/// One writer's bytes: the version they are based on, and whether and how they must be saved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Draft {
    base: Precondition,
    pending: Pending,
    saving: bool,
    /// The program knows that its last save failed.
    failed: bool,
    /// Another writer on this machine replaced the base.
    overtaken: bool,
    /// Everything it did to its base can be done to any other version as well (W7).
    appends: bool,
    lost: Option<Lost>,
    dropped: bool,
}

impl Draft {
    /// A writer that opened an existing value without truncating it.
    pub fn editing(base: Version) -> Self {
        Self::new(Precondition::Is(base), Pending::Nothing)
    }

    /// A writer that starts from nothing: a new file, or an open that truncates. Rule W1 says which `base` it
    /// replaces, see [`super::Seen::base`].
    pub fn replacing(base: Precondition) -> Self {
        Self::new(base, Pending::Emptied)
    }

    /// A writer that opened a file that was created on this machine and is not saved yet, and did not empty
    /// it. It has nothing to save unless it writes. `base` is what that file replaces.
    pub fn joining(base: Precondition) -> Self {
        Self::new(base, Pending::Nothing)
    }

    fn new(base: Precondition, pending: Pending) -> Self {
        Self {
            base,
            pending,
            saving: false,
            failed: false,
            overtaken: false,
            appends: false,
            lost: None,
            dropped: false,
        }
    }

    /// The same draft, of a writer that appends. Until its first [`edit`](Self::edit), a lost race need not
    /// lose its bytes, see [`rebase`](Self::rebase).
    #[must_use]
    pub fn appending(self) -> Self {
        Self {
            appends: true,
            ..self
        }
    }

    /// What the next save expects to replace.
    pub fn base(&self) -> &Precondition {
        &self.base
    }

    /// Why this draft can never be saved again, if it cannot.
    pub fn lost(&self) -> Option<Lost> {
        self.lost
    }

    /// Whether bytes wait to be saved.
    pub fn is_dirty(&self) -> bool {
        self.pending != Pending::Nothing && self.lost.is_none() && !self.dropped
    }

    /// Whether an empty file waits to be saved: it was created or emptied, and nothing was written since.
    pub fn waits_empty(&self) -> bool {
        self.pending == Pending::Emptied && self.is_dirty()
    }

    /// Whether its writer only ever appended, so that [`rebase`](Self::rebase) can follow a refusal.
    pub fn only_appends(&self) -> bool {
        self.appends
    }

    /// Notes that bytes were written or the size was set. From now on, a lost race cannot be rebased.
    ///
    /// # Errors
    /// When the draft is lost: its bytes must not mix with the winner's (ESTALE).
    pub fn edit(&mut self) -> Result<(), Lost> {
        self.appends = false;
        self.append()
    }

    /// Notes that bytes were appended.
    ///
    /// # Errors
    /// As [`edit`](Self::edit).
    pub fn append(&mut self) -> Result<(), Lost> {
        if let Some(lost) = self.lost {
            return Err(lost);
        }
        self.pending = Pending::Edited;
        self.failed = false;
        Ok(())
    }

    /// Returns what to send, if anything. The caller must report with [`end_save`](Self::end_save) or
    /// [`abandon_save`](Self::abandon_save) before anything else is done to the draft.
    ///
    /// # Errors
    /// When the draft is lost. A program that asks again gets the same error again; a release gets none,
    /// because no caller is left to receive it. Also when this very call loses it, because it was
    /// [overtaken](Self::overtaken).
    pub fn begin_save(&mut self, reason: SaveReason) -> Result<Option<Save>, SaveError> {
        debug_assert!(!self.saving, "a draft saves once at a time");
        if self.dropped {
            return Ok(None);
        }
        if let Some(lost) = self.lost {
            return match reason {
                SaveReason::Release => Ok(None),
                SaveReason::Flush | SaveReason::Close | SaveReason::Fsync | SaveReason::Write => {
                    Err(lost.into())
                }
            };
        }
        let due = match (self.pending, reason) {
            (Pending::Nothing, _) | (Pending::Emptied, SaveReason::Flush | SaveReason::Write) => {
                false
            }
            // A save that was reported as failed must not happen later.
            (_, SaveReason::Release) if self.failed => false,
            (Pending::Emptied, SaveReason::Close | SaveReason::Fsync | SaveReason::Release)
            | (Pending::Edited, _) => true,
        };
        // A writer that only appends can continue from any version: it asks the store.
        if due && self.overtaken && !self.appends {
            self.lost = Some(Lost::Conflict);
            return Err(SaveError::Conflict);
        }
        self.saving = due;
        Ok(due.then(|| Save {
            expect: self.base.clone(),
        }))
    }

    /// Call this instead of [`end_save`](Self::end_save) after a refusal, or before a save that would be
    /// refused: the bytes appended since the last save now follow those of `newest`, and are based on it. If
    /// no bytes were appended and the key exists, no save is needed.
    ///
    /// Call it only after an answer that the save did not happen: a save in doubt may have appended the same
    /// bytes already (W6).
    ///
    /// # Errors
    /// When the draft did more than append, or is lost. The draft is then lost, as by a refusal.
    pub fn rebase(&mut self, newest: Precondition) -> Result<(), SaveError> {
        self.saving = false;
        if !self.appends || self.lost.is_some() {
            let lost = *self.lost.get_or_insert(Lost::Conflict);
            return Err(lost.into());
        }
        if self.pending == Pending::Emptied && newest != Precondition::Absent {
            self.pending = Pending::Nothing;
        }
        self.base = newest;
        self.overtaken = false;
        Ok(())
    }

    /// Notes the result of the save.
    ///
    /// # Errors
    /// When the save was refused, or it is not known whether it happened. The draft is then lost for good.
    pub fn end_save(&mut self, outcome: Outcome) -> Result<(), SaveError> {
        self.saving = false;
        let lost = match outcome {
            Outcome::Committed(version) => {
                self.base = Precondition::Is(version);
                self.pending = Pending::Nothing;
                return Ok(());
            }
            Outcome::Refused(_) => Lost::Conflict,
            Outcome::Unknown => Lost::Unknown,
        };
        self.lost = Some(lost);
        Err(lost.into())
    }

    /// Notes that the save certainly did not happen, that it was not refused (the store was unreachable,
    /// denied it, or could not hold it), and that the program knows. The bytes still wait: the program may
    /// save again, but the last release does not.
    pub fn abandon_save(&mut self) {
        self.saving = false;
        self.failed = true;
    }

    /// Notes that another writer on this machine deleted `gone` or replaced it by another version (W12). If
    /// the draft is based on `gone`, its next save is refused without a request; if it never saves, it closes
    /// without an error.
    pub fn overtaken(&mut self, gone: &Precondition) {
        self.overtaken |= self.base == *gone;
    }

    /// Notes that what is written next is based on `shown`, which is not the version that was opened. The
    /// next save is refused, even if the writer only appended so far.
    pub fn outdated(&mut self, shown: Precondition) {
        self.base = shown;
        self.overtaken = true;
        self.appends = false;
    }

    /// Notes that the bytes of `from` now have the version `to`: this machine renamed the file, or saved the
    /// new file that this draft joined while it was empty. A draft with any other base keeps it, and will be
    /// refused.
    pub fn moved(&mut self, from: &Precondition, to: Version) {
        if self.base == *from {
            self.base = Precondition::Is(to);
        }
    }

    /// This machine deleted the file while it was open. As with any unlinked file, writes to it are lost, and
    /// it closes without an error.
    pub fn drop_unlinked(&mut self) {
        self.dropped = true;
    }
}

#[cfg(test)]
mod tests;
