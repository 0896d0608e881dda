//! The rule for lost and doubled messages (W6): whether a conditional write happened.
//!
//! A [`Settle`] says after every event what to do next. It has no backend and no clock. `backend/settle.rs` carries
//! out its steps, and `tests/rules/conflict_model/` runs it through every order of lost, delayed and doubled messages.
//! Three naive rules say EAGAIN for saves that landed: "412 is a conflict"; "after a lost message, check once and
//! trust the answer"; and "a *first* refusal is a conflict" (an intermediary may send a request twice and pass on the
//! second answer). So no write is reported as refused without a check.
//!
//! A check proves that our save happened if our put-id is on the key, or in the trail of its value
//! ([`super::Trail`]). It cannot distinguish two cases: our save followed by a save or delete of a program
//! that keeps no trail, and that save or delete alone. After a lost message the result is then unknown; after
//! a plain refusal it is refused, which is true unless a request was sent twice.
//!
//! Every rule has this limit: where versions derive from content, a write that is sent again (by us or by an
//! intermediary) is applied a second time if someone restores exactly the bytes that it replaced before its
//! last copy arrives; so is a create whose key was deleted. More checks cannot prevent that, because a
//! delayed message can arrive after any check. The test shows both.

use super::{Outcome, Precondition, Rival};

/// The result of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply<T> {
    /// The write happened.
    Saved(T),
    /// The condition did not hold.
    Refused,
    /// Another write of the key was under way, and this attempt did nothing; that says nothing about the
    /// condition. The other write may be another copy of this one.
    Collided,
    /// The attempt may or may not have reached the store, and may still reach it.
    Lost,
    /// The attempt certainly did nothing and never will: throttled, or never sent.
    NotDone,
}

/// What a check of the key found. The first case that fits counts: a put that changed nothing may have the
/// version it replaced.
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
    /// Check the key.
    Look,
    /// Report this.
    Done(Outcome<T>),
    /// Report the error of the last attempt: the write certainly did not happen.
    GiveUp,
}

/// Why the key is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum LookReason {
    /// The answer to the last attempt was lost.
    Lost,
    /// The last attempt was refused. If the key has the base all the same, someone restored it, perhaps after
    /// an attempt of ours succeeded.
    Refused,
    /// The last attempt met another one.
    Collided,
}

/// The state of one conditional write until its result is known.
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

    /// An attempt ended. `time_left` says whether another one may begin before the deadline.
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

    /// A check ended. `time_left` is as in [`replied`](Self::replied).
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
    use crate::Version;

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
        // A lock that was released between the refusal and the check.
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
