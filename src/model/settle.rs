//! The rule for lost and doubled messages (W6): what became of a conditional write.
//!
//! A [`Settle`] is asked after every event what to do next; it knows no backend and no clock.
//! `backend/settle.rs` carries its steps out, and `tests/it/conflict_model` runs it through every
//! order of lost, delayed and doubled messages. Three naive rules say EAGAIN for saves that landed:
//! "412 is a conflict"; "after a lost message, look once and believe it"; and "a *first* refusal is a
//! conflict", since what lies between may send a request twice and pass on the second answer. So
//! nothing is called refused without a look.
//!
//! What a look proves: our put-id on the key, or in the trail of what is there ([`super::Trail`]).
//! What it cannot tell apart: our save, and then a save or a delete of somebody who keeps no trail,
//! from theirs alone. After a lost message that is unknown; after a plain refusal it is called
//! refused, which is the truth wherever nothing is sent twice.
//!
//! The limit of all rules: where versions derive from content, a write that is sent again, by us or by
//! what lies between, is applied a second time if somebody brings back the very bytes it replaced
//! before its last copy arrives; so is a create whose key was deleted. A closer look cannot prevent
//! it, since a delayed message can arrive after every look. Both are shown in that test.

use super::{Outcome, Precondition, Rival};

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<T> {
    /// The write happened.
    Saved(T),
    /// The condition did not hold.
    Refused,
    /// Another write of the key was under way, and this attempt did nothing; it says nothing of the
    /// condition. What was under way may be another copy of this very write.
    Collided,
    /// The attempt may or may not have reached the store, and may still reach it.
    Lost,
    /// The attempt certainly did nothing and never will: throttled, or never sent.
    NotDone,
}

/// What a look at the key found. The first that fits: what a put wrote may have the version it
/// replaced, if it changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// The goal: for a put, the value that carries our put-id, on it or in its trail; for a delete, no
    /// value.
    Goal(T),
    /// What the write expected to replace.
    Base(Rival),
    /// Something else.
    Other(Rival),
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

/// Why there is a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum LookReason {
    /// The answer to the last attempt was lost.
    Lost,
    /// The last attempt was refused. If the base is there all the same, somebody brought it back,
    /// perhaps after an attempt of ours had landed.
    Refused,
    /// The last attempt met another one.
    Collided,
}

/// The state of one conditional write until its fate is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settle {
    /// A create that is sent twice could bring back a key that was created and then deleted.
    may_resend: bool,
    /// An attempt's answer was lost.
    doubt: bool,
    why: LookReason,
}

impl Settle {
    /// A put under this condition.
    pub fn put(expect: &Precondition) -> Self {
        Self::new(*expect != Precondition::Absent)
    }

    /// A delete of one version.
    pub fn delete() -> Self {
        Self::new(true)
    }

    fn new(may_resend: bool) -> Self {
        Self {
            may_resend,
            doubt: false,
            why: LookReason::Lost,
        }
    }

    /// An attempt ended. `time_left` tells whether another one may begin before the deadline.
    pub fn replied<T>(&mut self, reply: Reply<T>, time_left: bool) -> Step<T> {
        match reply {
            Reply::Saved(value) => Step::Done(Outcome::Committed(value)),
            Reply::Refused => self.look(LookReason::Refused),
            Reply::Collided => self.look(LookReason::Collided),
            Reply::Lost => {
                self.doubt = true;
                self.look(LookReason::Lost)
            }
            Reply::NotDone if time_left => Step::Send,
            Reply::NotDone if self.doubt => Step::Done(Outcome::Unknown),
            Reply::NotDone => Step::GiveUp,
        }
    }

    fn look<T>(&mut self, why: LookReason) -> Step<T> {
        self.why = why;
        Step::Look
    }

    /// A look ended. `time_left` as in [`replied`](Self::replied).
    pub fn looked<T>(&mut self, found: Found<T>, time_left: bool) -> Step<T> {
        let resends = match self.why {
            LookReason::Lost => self.may_resend,
            LookReason::Refused => false,
            // That attempt did nothing; after a lost one before it, a create stays what it was.
            LookReason::Collided => self.may_resend || !self.doubt,
        };
        match found {
            Found::Goal(value) => Step::Done(Outcome::Committed(value)),
            Found::Base(_) if resends && time_left => Step::Send,
            Found::Base(_) if self.why == LookReason::Collided && !self.doubt => Step::GiveUp,
            Found::Base(rival) | Found::Other(rival) if !self.doubt => {
                Step::Done(Outcome::Refused(Some(rival)))
            }
            Found::Unreadable if time_left => Step::Look,
            Found::Base(_) | Found::Other(_) | Found::Unreadable => Step::Done(Outcome::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Version;

    fn update() -> Settle {
        Settle::put(&Precondition::Is(Version::new("\"1\"")))
    }

    fn rival() -> Rival {
        Rival {
            version: Precondition::Is(Version::new("\"2\"")),
            ..Rival::NOTHING
        }
    }

    fn base() -> Rival {
        Rival {
            version: Precondition::Is(Version::new("\"1\"")),
            ..Rival::NOTHING
        }
    }

    #[test]
    fn nothing_is_called_refused_without_a_look() {
        for mut settle in [
            update(),
            Settle::put(&Precondition::Absent),
            Settle::delete(),
        ] {
            assert_eq!(settle.replied::<()>(Reply::NotDone, true), Step::Send);
            assert_eq!(settle.replied::<()>(Reply::Refused, false), Step::Look);
            let refused = Step::Done(Outcome::Refused(Some(rival())));
            assert_eq!(settle.looked::<()>(Found::Other(rival()), false), refused);
        }
    }

    #[test]
    fn a_refusal_of_what_is_there_is_none() {
        for mut settle in [
            update(),
            Settle::put(&Precondition::Absent),
            Settle::delete(),
        ] {
            assert_eq!(settle.replied::<u8>(Reply::Refused, true), Step::Look);
            let saved = Step::Done(Outcome::Committed(7));
            assert_eq!(settle.looked::<u8>(Found::Goal(7), true), saved);
        }
    }

    #[test]
    fn what_was_refused_is_not_sent_again_even_if_the_base_is_back() {
        // A lock that was freed between the refusal and the look.
        let mut create = Settle::put(&Precondition::Absent);
        assert_eq!(create.replied::<()>(Reply::Refused, true), Step::Look);
        assert_eq!(create.looked::<()>(Found::Unreadable, true), Step::Look);
        assert_eq!(
            create.looked::<()>(Found::Base(Rival::NOTHING), true),
            Step::Done(Outcome::Refused(Some(Rival::NOTHING)))
        );
        let mut settle = update();
        assert_eq!(settle.replied::<()>(Reply::Lost, true), Step::Look);
        assert_eq!(settle.looked::<()>(Found::Base(base()), true), Step::Send);
        assert_eq!(settle.replied::<()>(Reply::Refused, true), Step::Look);
        assert_eq!(settle.looked::<()>(Found::Unreadable, true), Step::Look);
        assert_eq!(
            settle.looked::<()>(Found::Base(base()), true),
            Step::Done(Outcome::Unknown)
        );
    }

    #[test]
    fn a_refusal_that_cannot_be_looked_at_is_unknown() {
        let mut settle = update();
        assert_eq!(settle.replied::<()>(Reply::Refused, true), Step::Look);
        assert_eq!(settle.looked::<()>(Found::Unreadable, true), Step::Look);
        let unknown = Step::Done(Outcome::Unknown);
        assert_eq!(settle.looked::<()>(Found::Unreadable, false), unknown);
    }

    #[test]
    fn a_refusal_after_a_lost_message_is_never_a_conflict() {
        for (found, outcome) in [
            (Found::Goal(7), Outcome::Committed(7)),
            (Found::Base(base()), Outcome::Unknown),
            (Found::Other(rival()), Outcome::Unknown),
        ] {
            let mut settle = update();
            assert_eq!(settle.replied::<u8>(Reply::Lost, true), Step::Look);
            assert_eq!(settle.looked::<u8>(Found::Base(base()), true), Step::Send);
            assert_eq!(settle.replied::<u8>(Reply::Refused, true), Step::Look);
            assert_eq!(settle.looked(found, true), Step::Done(outcome));
        }
    }

    #[test]
    fn a_create_is_never_sent_again_after_a_lost_message() {
        let mut settle = Settle::put(&Precondition::Absent);
        assert_eq!(settle.replied::<()>(Reply::Lost, true), Step::Look);
        assert_eq!(
            settle.looked::<()>(Found::Base(Rival::NOTHING), true),
            Step::Done(Outcome::Unknown)
        );
    }

    #[test]
    fn what_met_another_write_is_sent_again_while_the_key_is_what_it_was() {
        for mut settle in [
            update(),
            Settle::put(&Precondition::Absent),
            Settle::delete(),
        ] {
            for _ in 0..3 {
                assert_eq!(settle.replied::<()>(Reply::Collided, true), Step::Look);
                assert_eq!(settle.looked::<()>(Found::Base(base()), true), Step::Send);
            }
            assert_eq!(settle.replied::<()>(Reply::Collided, false), Step::Look);
            let never = settle.clone().looked::<()>(Found::Base(base()), false);
            assert_eq!(never, Step::GiveUp);
            let refused = Step::Done(Outcome::Refused(Some(rival())));
            assert_eq!(settle.looked::<()>(Found::Other(rival()), false), refused);
        }
        let mut doubtful = Settle::put(&Precondition::Absent);
        assert_eq!(doubtful.replied::<()>(Reply::Lost, true), Step::Look);
        assert_eq!(doubtful.replied::<()>(Reply::Collided, true), Step::Look);
        let unknown = Step::Done(Outcome::Unknown);
        assert_eq!(doubtful.looked::<()>(Found::Base(base()), true), unknown);
    }

    #[test]
    fn when_time_is_up_doubt_stays_doubt_and_certainty_stays_an_error() {
        let mut sure = update();
        assert_eq!(sure.replied::<()>(Reply::NotDone, false), Step::GiveUp);
        let mut unsure = update();
        assert_eq!(unsure.replied::<()>(Reply::Lost, false), Step::Look);
        assert_eq!(unsure.looked::<()>(Found::Base(base()), true), Step::Send);
        assert_eq!(
            unsure.replied::<()>(Reply::NotDone, false),
            Step::Done(Outcome::Unknown)
        );
    }
}
