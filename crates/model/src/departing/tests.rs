use std::collections::HashMap;

use super::super::walk::longest_walk;
use super::*;

fn v(n: u32) -> Version {
    Version::new(format!("\"{n}\""))
}

/// A departure whose bytes have the new name.
fn created() -> Departing {
    let (mut departing, step) = Departing::begin(v(1));
    assert_eq!(step, Step::Create);
    let step = departing.sent(Outcome::Committed(v(2)));
    assert_eq!(step, Step::Delete(v(1)));
    departing
}

#[test]
fn the_key_is_deleted_and_the_scratch_file_becomes_the_new_one() {
    let mut departing = created();
    assert_eq!(departing.deleted(OldName::Gone), Step::Publish(v(2)));
    let end = End::Moved(OldName::Gone);
    assert_eq!(departing.published(), Step::End(end));
}

#[test]
fn a_key_that_somebody_saved_meanwhile_stays_and_the_move_is_taken_back() {
    let mut departing = created();
    assert_eq!(departing.deleted(OldName::Changed), Step::TakeBack(v(2)));
    assert_eq!(departing.taken_back(), Step::End(End::TakenBack));
}

#[test]
fn if_nobody_knows_whether_the_key_is_deleted_the_new_name_is_kept() {
    let mut departing = created();
    assert_eq!(departing.deleted(OldName::Left), Step::Publish(v(2)));
    let end = End::Moved(OldName::Left);
    assert_eq!(departing.published(), Step::End(end));
}

#[test]
fn a_new_name_that_somebody_has_or_that_no_key_can_have_is_not_taken() {
    let (mut departing, _) = Departing::begin(v(1));
    assert_eq!(departing.is_impossible(), Step::End(End::NotMoved));
    let refused = departing.sent(Outcome::Refused(None));
    assert_eq!(refused, Step::End(End::NotMoved));
}

#[test]
fn if_nobody_knows_whether_the_new_name_has_the_bytes_nothing_is_deleted() {
    let (mut departing, _) = Departing::begin(v(1));
    let step = departing.sent(Outcome::Unknown);
    assert_eq!(step, Step::End(End::Unknown));
}

/// A departure on its way, and what its driver knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    departing: Departing,
    step: Step,
    was_sent: bool,
    is_unknown: bool,
    created: Option<Version>,
    key: Option<OldName>,
    is_published: bool,
    is_taken_back: bool,
}

impl World {
    fn with(&self, answer: impl FnOnce(&mut Departing) -> Step) -> Self {
        let mut next = self.clone();
        next.step = answer(&mut next.departing);
        next
    }

    fn next(&self) -> Vec<Self> {
        match self.step.clone() {
            Step::Create => {
                assert!(!self.was_sent, "it is sent once");
                let sent = Self {
                    was_sent: true,
                    ..self.clone()
                };
                vec![
                    sent.with(|departing| departing.is_impossible()),
                    sent.with(|departing| departing.sent(Outcome::Refused(None))),
                    Self {
                        is_unknown: true,
                        ..sent.with(|departing| departing.sent(Outcome::Unknown))
                    },
                    Self {
                        created: Some(v(2)),
                        ..sent.with(|departing| departing.sent(Outcome::Committed(v(2))))
                    },
                ]
            }
            Step::Delete(version) => {
                assert_eq!(version, v(1), "only what was moved is deleted");
                assert!(self.created.is_some(), "only once the new name is there");
                assert_eq!(self.key, None, "it is deleted once");
                let all = [OldName::Gone, OldName::Changed, OldName::Left].into_iter();
                all.map(|key| Self {
                    key: Some(key),
                    ..self.with(|departing| departing.deleted(key))
                })
                .collect()
            }
            Step::TakeBack(version) => {
                assert_eq!(self.created, Some(version));
                assert_eq!(self.key, Some(OldName::Changed), "the key is there");
                vec![Self {
                    is_taken_back: true,
                    ..self.with(|departing| departing.taken_back())
                }]
            }
            Step::Publish(version) => {
                assert_eq!(self.created, Some(version));
                vec![Self {
                    is_published: true,
                    ..self.with(|departing| departing.published())
                }]
            }
            Step::End(end) => {
                assert_eq!(end == End::Unknown, self.is_unknown);
                assert_eq!(end == End::TakenBack, self.is_taken_back);
                assert_eq!(matches!(end, End::Moved(_)), self.is_published);
                assert_eq!(
                    end == End::NotMoved,
                    self.created.is_none() && !self.is_unknown
                );
                if let End::Moved(key) = end {
                    assert_eq!(self.key, Some(key));
                }
                Vec::new()
            }
        }
    }
}

#[test]
fn in_every_order_of_answers_the_old_or_the_new_name_is_there() {
    let (departing, step) = Departing::begin(v(1));
    let world = World {
        departing,
        step,
        was_sent: false,
        is_unknown: false,
        created: None,
        key: None,
        is_published: false,
        is_taken_back: false,
    };
    let mut walked = HashMap::new();
    assert_eq!(longest_walk(world, &World::next, &mut walked), 3);
}
