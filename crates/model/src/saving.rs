//! One save of one writer, as a machine: events go in, steps come out.
//!
//! [`Saving`] decides. Its driver carries out each [`Step`], and reports the result with the method that the step
//! names. `vfs/save.rs` drives it against a store, `tests/rules/conflict_model/` through every order of events in
//! small worlds. It has no bytes, no store and no clock.

use super::file::{CaughtUp, File};
use super::{Draft, Outcome, Precondition, Rival, SaveError, SaveReason, Version};

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Check whether the bytes are a backup that their process would put over a winner's save, and report
    /// [`Saving::compared`].
    Compare,
    /// Append the appended bytes to the newest version (this one, if it is given and cached), and report
    /// [`Saving::rebased`].
    Rebase(Option<Version>),
    /// Send the bytes under this condition, and report [`Saving::sent`].
    Send(Precondition),
    /// Others keep saving first: wait a little, and report with [`Saving::waited`] whether another try is
    /// allowed.
    Wait,
    /// Find out what the key is now (this answer says it, if given), and report [`Saving::found`].
    Look(Option<Rival>),
    /// The save is over.
    End(End),
}

/// How a save ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing waited to be saved.
    Nothing,
    /// It happened: this version replaced the other one.
    Saved {
        /// The state of the key before.
        replaced: Precondition,
        /// What is there now.
        version: Version,
    },
    /// Another writer saved first, and the process does not know it yet.
    Refused {
        /// What was to be replaced.
        expected: Precondition,
        /// The state of the key now, if it could be found out.
        found: Option<Precondition>,
    },
    /// It is not known whether it happened.
    Unknown {
        /// What was to be replaced.
        expected: Precondition,
    },
    /// It was lost earlier, and the process knows.
    LostBefore(SaveError),
}

/// What a save needs besides its draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Why it is saved.
    pub reason: SaveReason,
    /// What the last save stored is not these bytes, and is not known: an append must first ask the store
    /// what it follows.
    pub stands_elsewhere: bool,
}

/// One save of one writer, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Saving {
    reason: SaveReason,
    /// What it expects to replace.
    base: Precondition,
    /// What this mount itself saved over the base.
    winner: Option<Version>,
    /// What the last refusal found.
    rival: Option<Rival>,
}

impl Saving {
    /// Begins a save: its writer holds the save lock, and has caught up with its file.
    pub fn begin<T: Clone>(
        file: &File<T>,
        draft: &mut Draft,
        writer: &CaughtUp,
        facts: Facts,
    ) -> (Self, Step) {
        let mut saving = Self {
            reason: facts.reason,
            base: draft.base().clone(),
            winner: file.overtaken(draft, writer).cloned(),
            rival: None,
        };
        let step = match (draft.only_appends(), &saving.winner) {
            (true, winner) if draft.is_dirty() && (winner.is_some() || facts.stands_elsewhere) => {
                Step::Rebase(winner.clone())
            }
            (true, _) => saving.ask(draft),
            (false, None) => Step::Compare,
            (false, Some(_)) => saving.overtaken(draft),
        };
        (saving, step)
    }

    /// What the save expects to replace.
    pub fn base(&self) -> &Precondition {
        &self.base
    }

    /// The answer to [`Step::Compare`]: the bytes would undo a winner's save.
    pub fn compared(&mut self, draft: &mut Draft, restores: bool) -> Step {
        self.winner = self.base.version().filter(|_| restores).cloned();
        match self.winner {
            Some(_) => self.overtaken(draft),
            None => self.ask(draft),
        }
    }

    fn overtaken(&mut self, draft: &mut Draft) -> Step {
        draft.overtaken(&self.base);
        self.ask(draft)
    }

    /// Asks the draft what to send.
    fn ask(&self, draft: &mut Draft) -> Step {
        let was_lost = draft.lost().is_some();
        match draft.begin_save(self.reason) {
            Ok(None) => Step::End(End::Nothing),
            Ok(Some(save)) => Step::Send(save.expect),
            Err(SaveError::Conflict) if !was_lost => match &self.winner {
                Some(version) => self.is_refused(Some(Precondition::Is(version.clone()))),
                None => Step::Look(None),
            },
            Err(error) => Step::End(End::LostBefore(error)),
        }
    }

    /// The answer to [`Step::Rebase`]: the appended bytes now follow this.
    pub fn rebased<T: Clone>(
        &mut self,
        file: &mut File<T>,
        draft: &mut Draft,
        writer: &mut CaughtUp,
        newest: Precondition,
    ) -> Step {
        if let Err(error) = draft.rebase(newest) {
            return Step::End(End::LostBefore(error));
        }
        self.base = draft.base().clone();
        self.winner = None;
        file.rebased(&self.base, writer);
        self.ask(draft)
    }

    /// The answer to [`Step::Send`].
    pub fn sent(&mut self, draft: &mut Draft, outcome: Outcome) -> Step {
        match outcome {
            Outcome::Refused(rival) if draft.only_appends() => {
                self.rival = rival;
                Step::Wait
            }
            outcome => self.ended(draft, outcome),
        }
    }

    /// The answer to [`Step::Wait`].
    pub fn waited(&mut self, draft: &mut Draft, may_try_again: bool) -> Step {
        let rival = self.rival.take();
        match may_try_again {
            true => Step::Rebase(None),
            false => self.ended(draft, Outcome::Refused(rival)),
        }
    }

    fn ended(&self, draft: &mut Draft, outcome: Outcome) -> Step {
        let replaced = self.base.clone();
        let said = draft.end_save(outcome.clone());
        match (said, outcome) {
            (Ok(()), Outcome::Committed(version)) => Step::End(End::Saved { replaced, version }),
            (_, Outcome::Refused(rival)) => Step::Look(rival),
            (_, Outcome::Committed(_) | Outcome::Unknown) => Step::End(End::Unknown {
                expected: self.base.clone(),
            }),
        }
    }

    /// The answer to [`Step::Look`].
    pub fn found(&self, found: Option<Precondition>) -> Step {
        self.is_refused(found)
    }

    fn is_refused(&self, found: Option<Precondition>) -> Step {
        Step::End(End::Refused {
            expected: self.base.clone(),
            found,
        })
    }

    /// A step could not be carried out: the save certainly did not happen, and its bytes still wait. Returns
    /// what it was to replace.
    pub fn failed(&self, draft: &mut Draft) -> Precondition {
        draft.abandon_save();
        self.base.clone()
    }
}
