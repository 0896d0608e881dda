//! One delete of a file, as a machine: events go in, steps come out.
//!
//! [`Removing`] decides; whoever drives it carries each [`Step`] out and reports what came of it with the
//! method that the step names. `vfs/remove.rs` drives it against a store, the tests below through every
//! order of answers. A delete removes what its caller was shown, else what is there now, and nothing newer.

use super::{Base, Outcome, Precondition, Rival, Unlinked, Version};

/// How often a delete is judged. Whoever was shown nothing deletes what is there, which may change under
/// the delete again and again.
const JUDGEMENTS: u32 = 5;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Find out what the key is now, from this if it is known, and report [`Removing::found`].
    Ask(Option<Rival>),
    /// Say what the caller may delete if the key is this (W1), with [`Removing::judged`].
    Judge(Precondition),
    /// Delete this version, and report [`Removing::sent`].
    Delete(Version),
    /// Delete the key that was moved away, if it still is this version, and report [`Removing::sent`].
    DeleteDeparted(Version),
    /// Find out what the key is now, and report [`Removing::looked`], also if that cannot be found out.
    Look,
    /// The delete is over.
    End(End),
}

/// How a delete ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// This mount created the file and never saved it: only the mount has to forget it.
    NeverSaved,
    /// The file was the draft of a name that was moved away: that name is away again (W8).
    Draft,
    /// The caller cleans up after a refusal: what is in the store is not its own (W8).
    CleanUp,
    /// The store deleted it.
    Deleted,
    /// There is nothing to delete.
    Absent,
    /// The key is not what the caller was shown, or not what it moved away.
    Lost {
        /// What was to be deleted.
        expected: Precondition,
        /// What is there now, if that could be found out.
        found: Option<Precondition>,
    },
    /// The key changed under every attempt. This is what it was last.
    KeepsChanging(Precondition),
    /// Nobody knows whether it was deleted.
    Unknown,
}

/// What a delete needs to know of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What deleting the name means.
    pub unlinked: Unlinked,
    /// This mount created the file and has not saved it yet.
    pub is_unsaved: bool,
    /// The version that the store last reported.
    pub known: Option<Version>,
    /// Only a listing reported it, which may be older than it seems.
    pub is_only_listed: bool,
}

/// One delete of a file, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Removing {
    /// What the key was when it was moved away, if it was.
    departed: Option<Version>,
    /// Before the delete is called lost, the store is asked.
    asks_first: bool,
    judgements: u32,
    /// What the key is, as far as that is known.
    current: Precondition,
}

impl Removing {
    /// A delete begins: nobody else saves the file meanwhile.
    pub fn begin(facts: Facts) -> (Self, Step) {
        let mut removing = Self {
            departed: None,
            asks_first: facts.is_only_listed,
            judgements: 0,
            current: Precondition::Absent,
        };
        let step = match facts.unlinked {
            Unlinked::Draft => Step::End(End::Draft),
            Unlinked::CleanUp => Step::End(End::CleanUp),
            Unlinked::Delete(version) => {
                removing.departed = Some(version.clone());
                Step::DeleteDeparted(version)
            }
            Unlinked::Ordinary if facts.is_unsaved => Step::End(End::NeverSaved),
            Unlinked::Ordinary => match facts.known {
                Some(version) => removing.judge(Precondition::Is(version)),
                None => Step::Ask(None),
            },
        };
        (removing, step)
    }

    fn judge(&mut self, current: Precondition) -> Step {
        if self.judgements == JUDGEMENTS {
            return Step::End(End::KeepsChanging(current));
        }
        self.judgements += 1;
        self.current = current.clone();
        Step::Judge(current)
    }

    /// The answer to [`Step::Ask`].
    pub fn found(&mut self, current: Precondition) -> Step {
        self.judge(current)
    }

    /// The answer to [`Step::Judge`].
    pub fn judged(&mut self, base: Base) -> Step {
        match base {
            Base::Take(Precondition::Is(version)) => Step::Delete(version),
            Base::Take(Precondition::Absent) => Step::End(End::Absent),
            Base::AlreadyLost { .. } if self.asks_first => {
                self.asks_first = false;
                Step::Ask(None)
            }
            Base::AlreadyLost { shown } => Step::End(End::Lost {
                expected: shown,
                found: Some(self.current.clone()),
            }),
        }
    }

    /// The answer to [`Step::Delete`] and [`Step::DeleteDeparted`].
    pub fn sent(&self, outcome: Outcome<()>) -> Step {
        match (outcome, &self.departed) {
            (Outcome::Committed(()), _) => Step::End(End::Deleted),
            (Outcome::Unknown, _) => Step::End(End::Unknown),
            (Outcome::Refused(_), Some(_)) => Step::Look,
            // What was known was older than it seemed.
            (Outcome::Refused(rival), None) => Step::Ask(rival),
        }
    }

    /// The answer to [`Step::Look`].
    pub fn looked(&self, found: Option<Precondition>) -> Step {
        Step::End(End::Lost {
            expected: self.departed.clone().into(),
            found,
        })
    }
}

#[cfg(test)]
mod tests;
