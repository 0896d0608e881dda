use std::collections::HashMap;

use super::super::walk::longest_walk;
use super::*;

fn v(n: u32) -> Version {
    Version::new(format!("\"{n}\""))
}

fn is(n: u32) -> Precondition {
    Precondition::Is(v(n))
}

fn rival(version: Precondition) -> Rival {
    Rival {
        version,
        ..Rival::NOTHING
    }
}

fn ordinary() -> Facts {
    Facts {
        unlinked: Unlinked::Ordinary,
        is_unsaved: false,
        known: Some(v(1)),
        is_only_listed: false,
    }
}

fn lost(shown: u32) -> Base {
    Base::AlreadyLost { shown: is(shown) }
}

#[test]
fn the_known_version_is_deleted_if_the_caller_may_delete_it() {
    let (mut removing, step) = Removing::begin(ordinary());
    assert_eq!(step, Step::Judge(is(1)));
    assert_eq!(removing.judged(Base::Take(is(1))), Step::Delete(v(1)));
    let step = removing.sent(Outcome::Committed(()));
    assert_eq!(step, Step::End(End::Deleted));
}

#[test]
fn what_is_not_known_is_asked_for() {
    let (mut removing, step) = Removing::begin(Facts {
        known: None,
        ..ordinary()
    });
    assert_eq!(step, Step::Ask(None));
    assert_eq!(removing.found(is(2)), Step::Judge(is(2)));
}

#[test]
fn what_is_absent_cannot_be_deleted() {
    let (mut removing, _) = Removing::begin(ordinary());
    let step = removing.judged(Base::Take(Precondition::Absent));
    assert_eq!(step, Step::End(End::Absent));
}

#[test]
fn a_caller_that_was_shown_another_version_deletes_nothing() {
    let (mut removing, _) = Removing::begin(ordinary());
    let end = End::Lost {
        expected: is(7),
        found: Some(is(1)),
    };
    assert_eq!(removing.judged(lost(7)), Step::End(end));
}

#[test]
fn a_listing_alone_makes_no_delete_lost() {
    let (mut removing, _) = Removing::begin(Facts {
        is_only_listed: true,
        ..ordinary()
    });
    assert_eq!(removing.judged(lost(7)), Step::Ask(None));
    assert_eq!(removing.found(is(2)), Step::Judge(is(2)));
    let end = End::Lost {
        expected: is(7),
        found: Some(is(2)),
    };
    assert_eq!(removing.judged(lost(7)), Step::End(end));
}

#[test]
fn after_a_refusal_the_winner_is_judged() {
    let (mut removing, _) = Removing::begin(ordinary());
    removing.judged(Base::Take(is(1)));
    let winner = Some(rival(is(2)));
    let step = removing.sent(Outcome::Refused(winner.clone()));
    assert_eq!(step, Step::Ask(winner));
    assert_eq!(removing.found(is(2)), Step::Judge(is(2)));
}

#[test]
fn a_key_that_changes_under_every_attempt_is_left_alone_in_the_end() {
    let (mut removing, mut step) = Removing::begin(ordinary());
    for n in 1..=JUDGEMENTS {
        assert_eq!(step, Step::Judge(is(n)));
        removing.judged(Base::Take(is(n)));
        removing.sent(Outcome::Refused(None));
        step = removing.found(is(n + 1));
    }
    assert_eq!(step, Step::End(End::KeepsChanging(is(JUDGEMENTS + 1))));
}

#[test]
fn a_delete_of_which_nobody_knows_is_reported_so() {
    let (mut removing, _) = Removing::begin(ordinary());
    removing.judged(Base::Take(is(1)));
    assert_eq!(removing.sent(Outcome::Unknown), Step::End(End::Unknown));
}

#[test]
fn an_unsaved_file_a_draft_and_a_clean_up_send_nothing() {
    let facts = |unlinked, is_unsaved| Facts {
        unlinked,
        is_unsaved,
        ..ordinary()
    };
    for (facts, end) in [
        (facts(Unlinked::Ordinary, true), End::NeverSaved),
        (facts(Unlinked::Draft, false), End::Draft),
        (facts(Unlinked::CleanUp, false), End::CleanUp),
    ] {
        assert_eq!(Removing::begin(facts).1, Step::End(end));
    }
}

#[test]
fn a_key_that_was_moved_away_is_deleted_only_as_what_was_moved() {
    let (removing, step) = Removing::begin(Facts {
        unlinked: Unlinked::Delete(v(5)),
        ..ordinary()
    });
    assert_eq!(step, Step::DeleteDeparted(v(5)));
    let winner = Some(rival(is(2)));
    assert_eq!(removing.sent(Outcome::Refused(winner)), Step::Look);
    for found in [Some(is(2)), None] {
        let end = End::Lost {
            expected: is(5),
            found: found.clone(),
        };
        assert_eq!(removing.looked(found), Step::End(end));
    }
}

/// What the store last answered to a delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    None,
    Committed,
    Refused,
    Unknown,
}

/// A delete on its way, and what its driver knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    removing: Removing,
    step: Step,
    /// The version that may be deleted: as the last judgement said, or as it was moved away.
    allowed: Option<Version>,
    is_lost: bool,
    answer: Answer,
}

impl World {
    fn with(&self, answer: impl FnOnce(&mut Removing) -> Step) -> Self {
        let mut next = self.clone();
        next.step = answer(&mut next.removing);
        next
    }

    fn sent(&self) -> Vec<Self> {
        assert_ne!(self.answer, Answer::Committed, "nothing is sent any more");
        assert_ne!(self.answer, Answer::Unknown, "nothing is sent any more");
        let refused = all().map(|version| Outcome::Refused(Some(rival(version))));
        let outcomes = refused.chain([
            Outcome::Committed(()),
            Outcome::Refused(None),
            Outcome::Unknown,
        ]);
        let outcomes = outcomes.map(|outcome| {
            let answer = match outcome {
                Outcome::Committed(()) => Answer::Committed,
                Outcome::Refused(_) => Answer::Refused,
                Outcome::Unknown => Answer::Unknown,
            };
            Self {
                answer,
                allowed: None,
                ..self.with(|removing| removing.sent(outcome))
            }
        });
        outcomes.collect()
    }

    /// What may come next; checks what must be true now.
    fn next(&self) -> Vec<Self> {
        match self.step.clone() {
            Step::Ask(rival) => {
                let found = all()
                    .filter(|found| rival.as_ref().is_none_or(|rival| rival.version == *found));
                found
                    .map(|found| self.with(|removing| removing.found(found)))
                    .collect()
            }
            Step::Judge(current) => all()
                .map(|shown| match shown == current {
                    true => Self {
                        allowed: current.version().cloned(),
                        is_lost: false,
                        ..self.with(|removing| removing.judged(Base::Take(shown)))
                    },
                    false => Self {
                        is_lost: true,
                        ..self.with(|removing| removing.judged(Base::AlreadyLost { shown }))
                    },
                })
                .collect(),
            Step::Delete(version) | Step::DeleteDeparted(version) => {
                assert_eq!(self.allowed, Some(version), "it may be deleted");
                self.sent()
            }
            Step::Look => {
                assert_eq!(self.answer, Answer::Refused);
                let found = all().map(Some).chain([None]);
                found
                    .map(|found| Self {
                        is_lost: true,
                        ..self.with(|removing| removing.looked(found))
                    })
                    .collect()
            }
            Step::End(end) => {
                self.ends(&end);
                Vec::new()
            }
        }
    }

    fn ends(&self, end: &End) {
        let is_committed = self.answer == Answer::Committed;
        assert_eq!(is_committed, *end == End::Deleted);
        let is_unknown = self.answer == Answer::Unknown;
        assert_eq!(is_unknown, *end == End::Unknown);
        match end {
            End::Lost { .. } => assert!(self.is_lost),
            End::KeepsChanging(_) => assert!(self.answer == Answer::Refused || self.is_lost),
            End::Absent => assert!(!self.is_lost),
            End::NeverSaved | End::Draft | End::CleanUp => assert_eq!(self.answer, Answer::None),
            End::Deleted | End::Unknown => {}
        }
    }
}

fn all() -> impl Iterator<Item = Precondition> {
    [Precondition::Absent, is(1), is(2)].into_iter()
}

#[test]
fn in_every_order_of_answers_only_a_judged_or_departed_version_is_deleted_and_once() {
    let mut walked = HashMap::new();
    let mut longest = 0;
    for unlinked in [
        Unlinked::Ordinary,
        Unlinked::Draft,
        Unlinked::Delete(v(1)),
        Unlinked::CleanUp,
    ] {
        for (known, is_only_listed) in [(None, false), (Some(v(1)), false), (Some(v(1)), true)] {
            for is_unsaved in [false, true] {
                let facts = Facts {
                    unlinked: unlinked.clone(),
                    is_unsaved,
                    known: known.clone(),
                    is_only_listed,
                };
                let allowed = match &unlinked {
                    Unlinked::Delete(version) => Some(version.clone()),
                    Unlinked::Ordinary | Unlinked::Draft | Unlinked::CleanUp => None,
                };
                let (removing, step) = Removing::begin(facts);
                let world = World {
                    removing,
                    step,
                    allowed,
                    is_lost: false,
                    answer: Answer::None,
                };
                longest = longest.max(longest_walk(world, &World::next, &mut walked));
            }
        }
    }
    // To ask, and as often as it is judged: to judge, to delete, to ask.
    assert_eq!(longest, 1 + 3 * JUDGEMENTS as usize);
    assert!(walked.len() > 100, "{} states", walked.len());
}
