//! One rename of a file to the name of a key, as a machine: events go in, steps come out.
//!
//! No store can rename a key in one step. The bytes are put under the new name, under the condition that
//! the base rule gives (W1), and then the old name is deleted, if it still is what was moved. Neither step
//! can lose anything: a refusal of the first changes nothing, a refusal of the second leaves both names.
//!
//! [`Moving`] decides; whoever drives it carries each [`Step`] out and reports what came of it with the
//! method that the step names. `vfs/rename/moving.rs` drives it against a store, the tests below through
//! every order of answers. It knows no bytes and no metadata.

use super::{Base, Outcome, Precondition, Rival, Version};

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The new name was moved away as this version, which the store still has. Say with
    /// [`Moving::judged`] whether the callers may replace it.
    JudgeDeparted(Version),
    /// Find out what the key of the new name is, and report [`Moving::found`]. The store need not be asked
    /// if it was asked in the same system call.
    Learn,
    /// Ask the store what the key of the new name is, and report [`Moving::found`].
    Ask,
    /// Say with [`Moving::compared`] whether the file began as a copy of this, which the key of the new name
    /// is: then whoever moves it knows what it replaces, as if it had read that.
    Compare(Precondition),
    /// Say with [`Moving::judged`] what the callers may replace if the key of the new name is this (W1).
    Judge(Precondition),
    /// Find out what travels with this version, which the moved bytes inherit, and report
    /// [`Moving::inherited`].
    Inherit(Version),
    /// Put the bytes under the new name, under this condition, and report [`Moving::sent`].
    Put(Precondition),
    /// Find out what the key of the new name is now, from this if it is known, and report
    /// [`Moving::looked`], also if that cannot be found out.
    Look(Option<Rival>),
    /// Delete the old name if it still is this version, and report [`Moving::deleted`].
    Delete(Version),
    /// Remember that the file has its new name, and report [`Moving::published`].
    Publish {
        /// What the bytes replaced under the new name.
        replaced: Precondition,
        /// What is there now.
        version: Version,
        /// What became of the old name, if it was a key.
        old_name: Option<OldName>,
    },
    /// The rename is over.
    End(End),
}

/// What became of the name that a key had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OldName {
    /// The store deleted it.
    Gone,
    /// Somebody else saved it meanwhile: it stays.
    Changed,
    /// It stays, or nobody knows.
    Left,
}

/// How a rename ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The file has its new name.
    Moved,
    /// Somebody else saved the new name first.
    Lost {
        /// What was to be replaced.
        expected: Precondition,
        /// What is there now, if that could be found out.
        found: Option<Precondition>,
    },
    /// Nobody knows whether the new name has the bytes.
    Unknown {
        /// What was to be replaced.
        expected: Precondition,
    },
}

/// What has the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Nothing.
    Free,
    /// A file that this mount created and has not saved yet.
    Unsaved,
    /// A file that the store has, as far as this mount knows.
    Stored,
}

/// What a rename needs to know of its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The version of the moved key, which its old name must still be when it is deleted. `None` if the file
    /// is in this mount alone.
    pub moved: Option<Version>,
    /// The version as which the new name was moved away, if its name is not settled yet (W8).
    pub departed: Option<Version>,
    /// The process was refused a moment ago, and moves its backup over the winner's save.
    pub restores_backup: bool,
    /// What has the new name.
    pub target: Target,
}

/// One rename, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Moving {
    moved: Option<Version>,
    departed: Option<Version>,
    restores_backup: bool,
    has_asked: bool,
    /// What the key of the new name is, as far as that is known; what the bytes replace, once they are sent.
    target: Precondition,
    was_sent: bool,
    /// What has the new name, while the old one is deleted.
    saved: Option<Version>,
}

impl Moving {
    /// A rename begins: nobody else saves the file that has the new name meanwhile.
    pub fn begin(facts: Facts) -> (Self, Step) {
        let moving = Self {
            moved: facts.moved,
            departed: facts.departed.clone(),
            restores_backup: facts.restores_backup,
            has_asked: false,
            target: facts.departed.clone().into(),
            was_sent: false,
            saved: None,
        };
        let step = match (facts.departed, facts.restores_backup, facts.target) {
            (Some(version), ..) => Step::JudgeDeparted(version),
            (None, true, Target::Free) => would_undo(Precondition::Absent),
            (None, true, Target::Unsaved | Target::Stored) => Step::Ask,
            (None, false, Target::Free | Target::Unsaved) => Step::Compare(Precondition::Absent),
            (None, false, Target::Stored) => Step::Learn,
        };
        (moving, step)
    }

    /// A step could not be carried out, and the file certainly does not have its new name: what it was to
    /// replace, if the bytes were sent.
    pub fn failed(&self) -> Option<&Precondition> {
        self.was_sent.then_some(&self.target)
    }

    /// The answer to [`Step::Learn`] and [`Step::Ask`].
    pub fn found(&mut self, current: Precondition) -> Step {
        if self.restores_backup {
            return would_undo(current);
        }
        self.target = current.clone();
        Step::Compare(current)
    }

    /// The answer to [`Step::Compare`].
    pub fn compared(&mut self, is_copy: bool) -> Step {
        match is_copy {
            true => self.put(),
            false => Step::Judge(self.target.clone()),
        }
    }

    /// The answer to [`Step::Judge`] and [`Step::JudgeDeparted`], and whether only a listing says what the
    /// key is: then the store is asked before the rename is called lost.
    pub fn judged(&mut self, base: Base, is_only_listed: bool) -> Step {
        match (base, &self.departed) {
            (Base::Take(_), Some(version)) => Step::Inherit(version.clone()),
            (Base::Take(expect), None) => {
                self.target = expect;
                self.put()
            }
            (Base::AlreadyLost { .. }, None) if is_only_listed && !self.has_asked => {
                self.has_asked = true;
                Step::Ask
            }
            (Base::AlreadyLost { shown }, _) => Step::End(End::Lost {
                expected: shown,
                found: Some(self.target.clone()),
            }),
        }
    }

    /// The answer to [`Step::Inherit`].
    pub fn inherited(&mut self) -> Step {
        self.put()
    }

    fn put(&mut self) -> Step {
        self.was_sent = true;
        Step::Put(self.target.clone())
    }

    /// The answer to [`Step::Put`].
    pub fn sent(&mut self, outcome: Outcome) -> Step {
        match (outcome, self.moved.clone()) {
            (Outcome::Committed(version), Some(moved)) => {
                self.saved = Some(version);
                Step::Delete(moved)
            }
            (Outcome::Committed(version), None) => self.publish(version, None),
            (Outcome::Refused(rival), _) => Step::Look(rival),
            (Outcome::Unknown, _) => Step::End(End::Unknown {
                expected: self.target.clone(),
            }),
        }
    }

    /// The answer to [`Step::Look`].
    pub fn looked(&self, found: Option<Precondition>) -> Step {
        Step::End(End::Lost {
            expected: self.target.clone(),
            found,
        })
    }

    /// The answer to [`Step::Delete`]. Whatever became of the old name, the file has its new one: to say
    /// that the rename failed would be as wrong as silence.
    pub fn deleted(&mut self, old_name: OldName) -> Step {
        match self.saved.take() {
            Some(version) => self.publish(version, Some(old_name)),
            None => Step::End(End::Moved),
        }
    }

    fn publish(&self, version: Version, old_name: Option<OldName>) -> Step {
        Step::Publish {
            replaced: self.target.clone(),
            version,
            old_name,
        }
    }

    /// The answer to [`Step::Publish`]. If the file held the value of yet another key, which moved here in
    /// two steps (W8), that key is the old name, and this is its version.
    pub fn published(&mut self, departed: Option<Version>) -> Step {
        match departed {
            Some(version) => Step::Delete(version),
            None => Step::End(End::Moved),
        }
    }
}

/// A process that restores its backup was shown nothing of the winner.
fn would_undo(winner: Precondition) -> Step {
    Step::End(End::Lost {
        expected: Precondition::Absent,
        found: Some(winner),
    })
}

#[cfg(test)]
mod tests;
