//! A key that was moved to a scratch name, and is to be so in the store too, as a machine (W8): events go
//! in, steps come out.
//!
//! The bytes are put under the new name, and then the key is deleted: in this order, so that one of them is
//! there at any time. If somebody saved the key since it was moved, the move is taken back.
//!
//! [`Departing`] decides; whoever drives it carries each [`Step`] out and reports what came of it with the
//! method that the step names. `vfs/pending_renames/settle.rs` drives it against a store, the tests below
//! through every order of answers. When a key is to be moved is decided by [`super::PendingRenames`].

use super::moving::OldName;
use super::{Outcome, Version};

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Put the bytes under the new name, if nothing has it, and report [`Departing::sent`]; or
    /// [`Departing::is_impossible`], if the store will never have such a key.
    Create,
    /// Delete the key if it still is this version, and report [`Departing::deleted`].
    Delete(Version),
    /// Delete the new name if it still is this version, and report [`Departing::taken_back`], whatever came
    /// of it: if it is still there, it is a copy too many.
    TakeBack(Version),
    /// Make a key of the scratch file, of this version, and report [`Departing::published`].
    Publish(Version),
    /// It is over.
    End(End),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The new name has the bytes; what became of the key.
    Moved(OldName),
    /// The key stays, and the scratch file stays scratch.
    NotMoved,
    /// The key is not what was moved any more, and stays.
    TakenBack,
    /// Nobody knows whether the new name has the bytes: later again.
    Unknown,
}

/// One departure that is carried out, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Departing {
    /// What the key was when it was moved.
    moved: Version,
    /// What has the new name.
    saved: Option<Version>,
    key: OldName,
}

impl Departing {
    /// It begins.
    pub fn begin(moved: Version) -> (Self, Step) {
        let departing = Self {
            moved,
            saved: None,
            key: OldName::Left,
        };
        (departing, Step::Create)
    }

    /// The answer to [`Step::Create`].
    pub fn sent(&mut self, outcome: Outcome) -> Step {
        match outcome {
            Outcome::Committed(version) => {
                self.saved = Some(version);
                Step::Delete(self.moved.clone())
            }
            Outcome::Refused(_) => Step::End(End::NotMoved),
            Outcome::Unknown => Step::End(End::Unknown),
        }
    }

    /// The other answer to [`Step::Create`].
    pub fn is_impossible(&self) -> Step {
        Step::End(End::NotMoved)
    }

    /// The answer to [`Step::Delete`].
    pub fn deleted(&mut self, key: OldName) -> Step {
        self.key = key;
        match (key, self.saved.take()) {
            (OldName::Changed, Some(version)) => Step::TakeBack(version),
            (OldName::Gone | OldName::Left, Some(version)) => Step::Publish(version),
            (_, None) => Step::End(End::Unknown),
        }
    }

    /// The answer to [`Step::TakeBack`].
    pub fn taken_back(&self) -> Step {
        Step::End(End::TakenBack)
    }

    /// The answer to [`Step::Publish`].
    pub fn published(&self) -> Step {
        Step::End(End::Moved(self.key))
    }
}

#[cfg(test)]
mod tests;
