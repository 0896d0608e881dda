use std::collections::HashMap;

use super::super::walk::longest_walk;
use super::*;

fn v(n: u32) -> Version {
    Version::new(format!("\"{n}\""))
}

fn is(n: u32) -> Precondition {
    Precondition::Is(v(n))
}

/// What is moved, if it is a key.
const MOVED: u32 = 8;
/// What has the new name in the end.
const NEW: u32 = 9;

/// A scratch file is moved to a free name.
fn scratch() -> Facts {
    Facts {
        moved: None,
        departed: None,
        restores_backup: false,
        target: Target::Free,
    }
}

/// A key is moved over another one.
fn key() -> Facts {
    Facts {
        moved: Some(v(MOVED)),
        target: Target::Stored,
        ..scratch()
    }
}

fn lost(expected: Precondition, found: impl Into<Option<Precondition>>) -> Step {
    Step::End(End::Lost {
        expected,
        found: found.into(),
    })
}

/// A rename whose bytes are about to be sent, over version 1 if the name is taken.
fn sending(facts: Facts) -> Moving {
    let is_stored = facts.target == Target::Stored;
    let (mut moving, mut step) = Moving::begin(facts);
    let current = match is_stored {
        true => {
            assert_eq!(step, Step::Learn);
            step = moving.found(is(1));
            is(1)
        }
        false => Precondition::Absent,
    };
    assert_eq!(step, Step::Compare(current.clone()));
    assert_eq!(moving.compared(false), Step::Judge(current.clone()));
    assert_eq!(moving.failed(), None);
    let step = moving.judged(Base::Take(current.clone()), false);
    assert_eq!(step, Step::Put(current.clone()));
    assert_eq!(moving.failed(), Some(&current));
    moving
}

#[test]
fn a_free_or_unsaved_name_must_be_absent() {
    for target in [Target::Free, Target::Unsaved] {
        let (_, step) = Moving::begin(Facts {
            target,
            ..scratch()
        });
        assert_eq!(step, Step::Compare(Precondition::Absent));
    }
}

#[test]
fn the_old_name_is_deleted_once_the_new_one_has_the_bytes() {
    let mut moving = sending(key());
    let step = moving.sent(Outcome::Committed(v(NEW)));
    assert_eq!(step, Step::Delete(v(MOVED)));
    let published = Step::Publish {
        replaced: is(1),
        version: v(NEW),
        old_name: Some(OldName::Gone),
    };
    assert_eq!(moving.deleted(OldName::Gone), published);
    assert_eq!(moving.published(None), Step::End(End::Moved));
}

#[test]
fn an_old_name_that_stays_does_not_make_the_rename_fail() {
    for old_name in [OldName::Changed, OldName::Left] {
        let mut moving = sending(key());
        moving.sent(Outcome::Committed(v(NEW)));
        assert!(matches!(
            moving.deleted(old_name),
            Step::Publish { old_name: Some(kept), .. } if kept == old_name
        ));
        assert_eq!(moving.published(None), Step::End(End::Moved));
    }
}

#[test]
fn a_scratch_file_has_no_old_name_in_the_store() {
    let mut moving = sending(scratch());
    let published = Step::Publish {
        replaced: Precondition::Absent,
        version: v(NEW),
        old_name: None,
    };
    assert_eq!(moving.sent(Outcome::Committed(v(NEW))), published);
    assert_eq!(moving.published(None), Step::End(End::Moved));
}

#[test]
fn the_key_that_a_scratch_file_was_before_is_its_old_name() {
    let mut moving = sending(scratch());
    moving.sent(Outcome::Committed(v(NEW)));
    assert_eq!(moving.published(Some(v(3))), Step::Delete(v(3)));
    assert_eq!(moving.deleted(OldName::Left), Step::End(End::Moved));
}

#[test]
fn a_refused_rename_says_what_won() {
    let rival = Rival {
        version: is(2),
        ..Rival::NOTHING
    };
    let mut moving = sending(key());
    let step = moving.sent(Outcome::Refused(Some(rival.clone())));
    assert_eq!(step, Step::Look(Some(rival)));
    assert_eq!(moving.looked(Some(is(2))), lost(is(1), is(2)));
    assert_eq!(moving.looked(None), lost(is(1), None));
}

#[test]
fn a_rename_of_which_nobody_knows_deletes_nothing() {
    let mut moving = sending(key());
    let end = End::Unknown { expected: is(1) };
    assert_eq!(moving.sent(Outcome::Unknown), Step::End(end));
}

#[test]
fn callers_that_were_shown_another_version_replace_nothing() {
    let (mut moving, _) = Moving::begin(key());
    moving.found(is(1));
    moving.compared(false);
    let base = Base::AlreadyLost { shown: is(7) };
    assert_eq!(moving.judged(base, false), lost(is(7), is(1)));
}

#[test]
fn a_listing_alone_makes_no_rename_lost() {
    let (mut moving, _) = Moving::begin(key());
    moving.found(is(1));
    moving.compared(false);
    let base = Base::AlreadyLost { shown: is(7) };
    assert_eq!(moving.judged(base.clone(), true), Step::Ask);
    assert_eq!(moving.found(is(2)), Step::Compare(is(2)));
    assert_eq!(moving.compared(false), Step::Judge(is(2)));
    assert_eq!(moving.judged(base, true), lost(is(7), is(2)));
}

#[test]
fn a_copy_of_what_is_there_replaces_it() {
    let (mut moving, _) = Moving::begin(key());
    moving.found(is(1));
    assert_eq!(moving.compared(true), Step::Put(is(1)));
}

#[test]
fn a_name_that_was_moved_away_is_replaced_as_what_it_was() {
    let facts = Facts {
        departed: Some(v(4)),
        target: Target::Unsaved,
        ..scratch()
    };
    let (mut moving, step) = Moving::begin(facts);
    assert_eq!(step, Step::JudgeDeparted(v(4)));
    let mut lost_race = moving.clone();
    let base = Base::AlreadyLost { shown: is(7) };
    assert_eq!(lost_race.judged(base, false), lost(is(7), is(4)));
    let step = moving.judged(Base::Take(is(4)), false);
    assert_eq!(step, Step::Inherit(v(4)));
    assert_eq!(moving.failed(), None);
    assert_eq!(moving.inherited(), Step::Put(is(4)));
}

#[test]
fn a_backup_is_not_put_over_a_winner() {
    let backup = |target| Facts {
        restores_backup: true,
        target,
        ..scratch()
    };
    let (_, step) = Moving::begin(backup(Target::Free));
    let absent = Precondition::Absent;
    assert_eq!(step, lost(absent.clone(), absent.clone()));
    for target in [Target::Unsaved, Target::Stored] {
        let (mut moving, step) = Moving::begin(backup(target));
        assert_eq!(step, Step::Ask);
        assert_eq!(moving.found(is(2)), lost(absent.clone(), is(2)));
    }
}

/// What the store answered to the put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    None,
    Committed,
    Refused,
    Unknown,
}

/// A rename on its way, and what its driver knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    moving: Moving,
    step: Step,
    moved: Option<Version>,
    may_put: bool,
    /// What the bytes may replace, as was judged last.
    allowed: Option<Precondition>,
    sent: Option<Precondition>,
    answer: Answer,
    is_published: bool,
    /// The key that the scratch file was before.
    departed: Option<Version>,
    deletes: u8,
    asked: u8,
}

impl World {
    fn with(&self, answer: impl FnOnce(&mut Moving) -> Step) -> Self {
        let mut next = self.clone();
        next.step = answer(&mut next.moving);
        next
    }

    fn asked(&self) -> Vec<Self> {
        assert_eq!(self.sent, None);
        let found = all().map(|found| Self {
            asked: self.asked + 1,
            ..self.with(|moving| moving.found(found))
        });
        found.collect()
    }

    fn judged(&self, current: &Precondition) -> Vec<Self> {
        let judged = all().flat_map(|shown| {
            [false, true].map(|is_only_listed| {
                let (base, allowed) = match shown == *current {
                    true => (Base::Take(shown.clone()), Some(shown.clone())),
                    false => {
                        let shown = shown.clone();
                        (Base::AlreadyLost { shown }, None)
                    }
                };
                Self {
                    allowed,
                    ..self.with(|moving| moving.judged(base, is_only_listed))
                }
            })
        });
        judged.collect()
    }

    /// What may come next; checks what must be true now.
    fn next(&self) -> Vec<Self> {
        match &self.step {
            Step::Put(_) => {}
            _ => assert_eq!(self.moving.failed(), self.sent.as_ref()),
        }
        match self.step.clone() {
            Step::JudgeDeparted(version) => self.judged(&Precondition::Is(version)),
            Step::Judge(current) => self.judged(&current),
            Step::Learn | Step::Ask => self.asked(),
            Step::Compare(current) => vec![
                self.with(|moving| moving.compared(false)),
                Self {
                    allowed: Some(current),
                    ..self.with(|moving| moving.compared(true))
                },
            ],
            Step::Inherit(version) => {
                assert_eq!(self.allowed, Some(Precondition::Is(version)));
                vec![self.with(|moving| moving.inherited())]
            }
            Step::Put(expect) => self.put(&expect),
            Step::Look(_) => {
                assert_eq!(self.answer, Answer::Refused);
                let found = all().map(Some).chain([None]);
                found
                    .map(|found| self.with(|moving| moving.looked(found)))
                    .collect()
            }
            Step::Delete(version) => {
                assert_eq!(self.answer, Answer::Committed, "the new name is there");
                let old_name = self.moved.as_ref().or(self.departed.as_ref());
                assert_eq!(old_name, Some(&version), "only what was moved is deleted");
                assert_eq!(self.deletes, 0, "it is deleted once");
                let all = [OldName::Gone, OldName::Changed, OldName::Left].into_iter();
                all.map(|old_name| Self {
                    deletes: 1,
                    ..self.with(|moving| moving.deleted(old_name))
                })
                .collect()
            }
            Step::Publish {
                replaced,
                version,
                old_name,
            } => {
                assert_eq!(self.answer, Answer::Committed);
                assert_eq!(self.sent, Some(replaced));
                assert_eq!(version, v(NEW));
                assert_eq!(old_name.is_some(), self.moved.is_some());
                assert!(!self.is_published);
                self.published()
            }
            Step::End(end) => {
                self.ends(&end);
                Vec::new()
            }
        }
    }

    fn put(&self, expect: &Precondition) -> Vec<Self> {
        assert!(self.may_put, "a backup is not put over a winner");
        assert_eq!(self.sent, None, "it is sent once");
        assert_eq!(self.allowed.as_ref(), Some(expect), "it may be replaced");
        let outcomes = [
            (Outcome::Committed(v(NEW)), Answer::Committed),
            (Outcome::Refused(None), Answer::Refused),
            (Outcome::Refused(Some(Rival::NOTHING)), Answer::Refused),
            (Outcome::Unknown, Answer::Unknown),
        ];
        let sent = outcomes.map(|(outcome, answer)| Self {
            sent: Some(expect.clone()),
            answer,
            ..self.with(|moving| moving.sent(outcome))
        });
        sent.into()
    }

    fn published(&self) -> Vec<Self> {
        let departed: &[Option<Version>] = match self.moved {
            Some(_) => &[None],
            None => &[None, Some(v(3))],
        };
        let published = departed.iter().map(|departed| Self {
            is_published: true,
            departed: departed.clone(),
            ..self.with(|moving| moving.published(departed.clone()))
        });
        published.collect()
    }

    fn ends(&self, end: &End) {
        assert!(self.asked <= 2, "it is learned once, and asked once");
        let has_old_name = self.moved.is_some() || self.departed.is_some();
        match end {
            End::Moved => {
                assert_eq!(self.answer, Answer::Committed);
                assert!(self.is_published);
                assert_eq!(self.deletes == 1, has_old_name);
            }
            End::Lost { expected, .. } => {
                assert!(matches!(self.answer, Answer::None | Answer::Refused));
                assert!(self.sent.is_none() || self.sent.as_ref() == Some(expected));
            }
            End::Unknown { expected } => {
                assert_eq!(self.answer, Answer::Unknown);
                assert_eq!(self.sent.as_ref(), Some(expected));
            }
        }
        let is_unknown = matches!(end, End::Unknown { .. });
        assert_eq!(is_unknown, self.answer == Answer::Unknown);
    }
}

fn all() -> impl Iterator<Item = Precondition> {
    [Precondition::Absent, is(1), is(2)].into_iter()
}

#[test]
fn in_every_order_of_answers_the_bytes_are_sent_once_and_the_old_name_goes_after_them() {
    let mut walked = HashMap::new();
    let mut longest = 0;
    for moved in [None, Some(v(MOVED))] {
        for departed in [None, Some(v(1))] {
            for restores_backup in [false, true] {
                for target in [Target::Free, Target::Unsaved, Target::Stored] {
                    let (moving, step) = Moving::begin(Facts {
                        moved: moved.clone(),
                        departed: departed.clone(),
                        restores_backup,
                        target,
                    });
                    let world = World {
                        moving,
                        step,
                        moved: moved.clone(),
                        may_put: departed.is_some() || !restores_backup,
                        allowed: None,
                        sent: None,
                        answer: Answer::None,
                        is_published: false,
                        departed: None,
                        deletes: 0,
                        asked: 0,
                    };
                    longest = longest.max(longest_walk(world, &World::next, &mut walked));
                }
            }
        }
    }
    // To learn, to compare, to judge, to ask, to compare, to judge, to put, to delete, to publish.
    assert_eq!(longest, 9);
    assert!(walked.len() > 200, "{} states", walked.len());
}
