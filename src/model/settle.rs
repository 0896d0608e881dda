//! The lost-reply rule (W6): what became of a conditional write whose answer never arrived.
//!
//! A [`Settle`] is asked after every event what to do next; it knows no backend and no clock.
//! `backend/settle.rs` carries its steps out, and `tests/it/conflict_model.rs` runs it through
//! every order of lost and delayed messages. The naive rule ("412 is a conflict") and the rule
//! that asks once and then believes in a conflict both report EAGAIN for saves that landed; this
//! one says EAGAIN only for a refusal with no lost message before it.
//!
//! The limit: where versions derive from content, a write in doubt is applied a second time if
//! somebody brings back the very bytes it replaced before its last attempt arrives (a flag that
//! is set, and reset while the first message is still under way). A closer look cannot prevent
//! it, since a delayed message can arrive after every look; only never sending again could, and
//! then every broken connection would be an I/O error. Both are shown in that test.

use super::{Expect, Outcome};

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<T> {
    /// The write happened.
    Saved(T),
    /// The condition did not hold.
    Refused,
    /// The attempt may or may not have reached the store, and may still reach it.
    Lost,
    /// The attempt certainly did nothing and never will: throttled, or never sent.
    NotDone,
}

/// What a look at the key found while the fate of a write is in doubt. The first that fits: what
/// a put wrote may have the version it replaced, if it changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// The goal: for a put, the value that carries our put-id; for a delete, no value.
    Goal(T),
    /// What the write expected to replace: no attempt has landed so far.
    Base,
    /// Something else.
    Other,
    /// No answer.
    Unreadable,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Send the write (again), under the same condition and the same put-id.
    Send,
    /// Look at the key.
    Look,
    /// Report this.
    Done(Outcome<T>),
    /// Report the error of the last attempt: the write certainly did not happen.
    GiveUp,
}

/// The state of one conditional write until its fate is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settle {
    /// A create that is sent twice could bring back a key that was created and then deleted.
    may_resend: bool,
    /// An attempt's answer was lost.
    doubt: bool,
    /// The last attempt was refused. If the base is there all the same, somebody brought it back,
    /// perhaps after an attempt of ours had landed.
    refused: bool,
}

impl Settle {
    /// A put under this condition.
    pub fn put(expect: &Expect) -> Self {
        Self::new(*expect != Expect::Absent)
    }

    /// A delete of one version.
    pub fn delete() -> Self {
        Self::new(true)
    }

    fn new(may_resend: bool) -> Self {
        Self {
            may_resend,
            doubt: false,
            refused: false,
        }
    }

    /// An attempt ended. `time_left` tells whether another one may begin before the deadline.
    pub fn replied<T>(&mut self, reply: Reply<T>, time_left: bool) -> Step<T> {
        self.refused = matches!(reply, Reply::Refused);
        match reply {
            Reply::Saved(value) => Step::Done(Outcome::Saved(value)),
            Reply::Refused if self.doubt => Step::Look,
            Reply::Refused => Step::Done(Outcome::Refused),
            Reply::Lost => {
                self.doubt = true;
                Step::Look
            }
            Reply::NotDone if time_left => Step::Send,
            Reply::NotDone if self.doubt => Step::Done(Outcome::Unknown),
            Reply::NotDone => Step::GiveUp,
        }
    }

    /// A look ended. `time_left` as in [`replied`](Self::replied).
    pub fn looked<T>(&mut self, found: Found<T>, time_left: bool) -> Step<T> {
        match found {
            Found::Goal(value) => Step::Done(Outcome::Saved(value)),
            Found::Base if self.may_resend && !self.refused && time_left => Step::Send,
            Found::Unreadable if time_left => Step::Look,
            Found::Base | Found::Other | Found::Unreadable => Step::Done(Outcome::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Version;

    fn update() -> Settle {
        Settle::put(&Expect::Is(Version::new("\"1\"")))
    }

    #[test]
    fn a_refusal_without_a_lost_message_before_it_is_a_refusal() {
        let mut settle = update();
        assert_eq!(settle.replied::<()>(Reply::NotDone, true), Step::Send);
        assert_eq!(
            settle.replied::<()>(Reply::Refused, true),
            Step::Done(Outcome::Refused)
        );
    }

    #[test]
    fn a_refusal_after_a_lost_message_is_never_a_conflict() {
        for (found, outcome) in [
            (Found::Goal(7), Outcome::Saved(7)),
            (Found::Base, Outcome::Unknown),
            (Found::Other, Outcome::Unknown),
        ] {
            let mut settle = update();
            assert_eq!(settle.replied::<u8>(Reply::Lost, true), Step::Look);
            assert_eq!(settle.looked::<u8>(Found::Base, true), Step::Send);
            assert_eq!(settle.replied::<u8>(Reply::Refused, true), Step::Look);
            assert_eq!(settle.looked(found, true), Step::Done(outcome));
        }
    }

    #[test]
    fn what_was_refused_is_not_sent_again_even_if_the_base_is_back() {
        let mut settle = update();
        assert_eq!(settle.replied::<()>(Reply::Lost, true), Step::Look);
        assert_eq!(settle.looked::<()>(Found::Base, true), Step::Send);
        assert_eq!(settle.replied::<()>(Reply::Refused, true), Step::Look);
        assert_eq!(settle.looked::<()>(Found::Unreadable, true), Step::Look);
        assert_eq!(
            settle.looked::<()>(Found::Base, true),
            Step::Done(Outcome::Unknown)
        );
    }

    #[test]
    fn a_create_is_never_sent_again_after_a_lost_message() {
        let mut settle = Settle::put(&Expect::Absent);
        assert_eq!(settle.replied::<()>(Reply::Lost, true), Step::Look);
        assert_eq!(
            settle.looked::<()>(Found::Base, true),
            Step::Done(Outcome::Unknown)
        );
    }

    #[test]
    fn when_time_is_up_doubt_stays_doubt_and_certainty_stays_an_error() {
        let mut sure = update();
        assert_eq!(sure.replied::<()>(Reply::NotDone, false), Step::GiveUp);
        let mut unsure = update();
        assert_eq!(unsure.replied::<()>(Reply::Lost, false), Step::Look);
        assert_eq!(unsure.looked::<()>(Found::Base, true), Step::Send);
        assert_eq!(
            unsure.replied::<()>(Reply::NotDone, false),
            Step::Done(Outcome::Unknown)
        );
    }
}
