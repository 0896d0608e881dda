//! The conflict rule of one writer: what a save sends, and what its answer means.
//!
//! A [`Draft`] knows the version a writer's bytes are based on and whether they wait to be saved;
//! the bytes themselves live beside it in `vfs`. It never sees the backend: the caller carries
//! [`Save`] there and brings the [`Outcome`] back. `tests/it/conflict_model/` runs this very
//! code through every interleaving of a small world.

use super::{Outcome, Precondition, Version};

/// What made the kernel ask for a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SaveReason {
    /// A descriptor of the handle was closed; there may be others.
    Flush,
    /// A descriptor of the handle was closed, and nobody has another one that could still write.
    Close,
    /// The program asked for durability.
    Fsync,
    /// Bytes were written that must be durable at once (O_SYNC).
    Write,
    /// The last descriptor is gone; nobody hears an error.
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
    /// Somebody else saved first.
    Conflict,
    /// A save's fate could not be proved; saving again could apply it twice.
    Unknown,
}

/// Why a save did not happen, as told to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveError {
    /// Somebody else saved first (EAGAIN).
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
    /// Nothing: the bytes are those of the base.
    Nothing,
    /// The open created or emptied the file and nothing was written since. Shells flush in this
    /// state, before their first write (W2), so a flush does not save it.
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
    /// The program was told that its last save failed.
    failed: bool,
    /// Somebody on this machine replaced the base.
    overtaken: bool,
    /// Whatever it did to its base can be done to any other version as well (W7).
    appends: bool,
    lost: Option<Lost>,
    dropped: bool,
}

impl Draft {
    /// A writer that opened an existing value without truncating it.
    pub fn editing(base: Version) -> Self {
        Self::new(Precondition::Is(base), Pending::Nothing)
    }

    /// A writer that starts from nothing: a new file, or an open that truncates. `base` is what
    /// the rule W1 says it replaces, see [`super::Seen::base`].
    pub fn replacing(base: Precondition) -> Self {
        Self::new(base, Pending::Emptied)
    }

    /// A writer that opened, without emptying it, a file that somebody on this machine created and
    /// did not save yet. Unless it writes, it has nothing to save. `base` is what that file
    /// replaces.
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

    /// The same draft of a writer that appends, until its first [`edit`](Self::edit): a lost race
    /// need not lose its bytes, see [`rebase`](Self::rebase).
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

    /// Why this draft can never be saved again, if so.
    pub fn lost(&self) -> Option<Lost> {
        self.lost
    }

    /// Whether bytes wait to be saved.
    pub fn is_dirty(&self) -> bool {
        self.pending != Pending::Nothing && self.lost.is_none() && !self.dropped
    }

    /// Whether what waits to be saved is an empty file: one that was created or emptied, and to which
    /// nothing was written since.
    pub fn waits_empty(&self) -> bool {
        self.pending == Pending::Emptied && self.is_dirty()
    }

    /// Whether all that was ever done to it is appending, so that a refusal of it can be answered
    /// with [`rebase`](Self::rebase).
    pub fn only_appends(&self) -> bool {
        self.appends
    }

    /// Notes that bytes were written or the size was set. From now on a lost race is lost.
    ///
    /// # Errors
    /// When the draft is lost: its bytes may not mix with the winner's (ESTALE).
    pub fn edit(&mut self) -> Result<(), Lost> {
        self.appends = false;
        self.append()
    }

    /// Notes that bytes were written behind the last one.
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

    /// Says what to send, if anything. The caller must answer with [`end_save`](Self::end_save)
    /// or [`abandon_save`](Self::abandon_save) before anything else is done to the draft.
    ///
    /// # Errors
    /// When the draft is lost: a program that asks again hears the same answer again, but a release
    /// is told nothing, it has nobody to tell. Or when this very call loses it, because it was
    /// [overtaken](Self::overtaken).
    pub fn begin_save(&mut self, trigger: SaveReason) -> Result<Option<Save>, SaveError> {
        debug_assert!(!self.saving, "a draft saves once at a time");
        if self.dropped {
            return Ok(None);
        }
        if let Some(lost) = self.lost {
            return match trigger {
                SaveReason::Release => Ok(None),
                SaveReason::Flush | SaveReason::Close | SaveReason::Fsync | SaveReason::Write => {
                    Err(lost.into())
                }
            };
        }
        let due = match (self.pending, trigger) {
            (Pending::Nothing, _) | (Pending::Emptied, SaveReason::Flush | SaveReason::Write) => {
                false
            }
            // What the program was told has failed must not happen behind its back.
            (_, SaveReason::Release) if self.failed => false,
            (Pending::Emptied, SaveReason::Close | SaveReason::Fsync | SaveReason::Release)
            | (Pending::Edited, _) => true,
        };
        // Who only appends can go on from whatever is there: it asks the store.
        if due && self.overtaken && !self.appends {
            self.lost = Some(Lost::Conflict);
            return Err(SaveError::Conflict);
        }
        self.saving = due;
        Ok(due.then(|| Save {
            expect: self.base.clone(),
        }))
    }

    /// In the place of [`end_save`](Self::end_save) after a refusal, or before a save that would be
    /// refused: the bytes that were appended since the last save have been put behind those of
    /// `newest`, and are based on that now. Nothing appended to what exists needs no save.
    ///
    /// Only ever after an answer that the save did not happen: a save of unknown fate may have put
    /// the same bytes there already (W6).
    ///
    /// # Errors
    /// When the draft did more than append, or is lost: it is lost then, as by a refusal.
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

    /// Learns what became of the save.
    ///
    /// # Errors
    /// When the save was refused or cannot be proved. The draft is then lost for good.
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

    /// Learns that the save certainly did not happen and was not refused either (the store was
    /// unreachable, denied it, or could not hold it) and that the program was told. The bytes
    /// still wait; the program may ask for another save, but the last release does not.
    pub fn abandon_save(&mut self) {
        self.saving = false;
        self.failed = true;
    }

    /// Learns that somebody else on this machine deleted `gone` or replaced it by another version
    /// (W12). If the draft is based on that, its next save is refused without asking the store; if
    /// it never saves, it closes in peace.
    pub fn overtaken(&mut self, gone: &Precondition) {
        self.overtaken |= self.base == *gone;
    }

    /// Learns that what is written next is based on `shown`, which is not what was opened: the next save
    /// is refused, also of one who only appended so far.
    pub fn outdated(&mut self, shown: Precondition) {
        self.base = shown;
        self.overtaken = true;
        self.appends = false;
    }

    /// Learns that the bytes of `from` have the version `to` now: this machine renamed the file, or
    /// saved the new file that this draft joined while it was empty. A draft that is based on anything
    /// else keeps its base, and will be refused.
    pub fn moved(&mut self, from: &Precondition, to: Version) {
        if self.base == *from {
            self.base = Precondition::Is(to);
        }
    }

    /// The file was deleted by this machine while open: like any unlinked file, it is written to
    /// in vain and closes without an error.
    pub fn drop_unlinked(&mut self) {
        self.dropped = true;
    }
}

#[cfg(test)]
mod tests;
