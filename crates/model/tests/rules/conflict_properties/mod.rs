//! The memory and the drafts against slow and simple references, in long random histories.
//!
//! The references keep a log of all that ever happened and search it from its end. The explorer in
//! `conflict_model` visits every order of few events; this visits few orders of many, with several
//! keys, processes, jobs and open handles, and with forgetting.

mod log;

use std::sync::Arc;

use etagfs_model::{
    Ancestors, Base, Caller, Draft, Everlasting, Fingerprint, Job, Lost, Outcome, Precondition,
    Process, SaveError, SaveReason, Seen, Version,
};
use proptest::prelude::*;

use log::{Log, Who};

const KEYS: usize = 3;
const PROCESSES: u32 = 4;
const JOBS: u32 = 2;

fn version(n: u8) -> Version {
    match n % 2 {
        0 => Version::new(format!("\"{n:032x}\"")),
        _ => Version::new(format!("\"{n}\"")),
    }
}

/// The bytes of a version.
fn bytes(n: u8) -> Fingerprint {
    Fingerprint::of(&[n])
}

fn any_caller() -> impl Strategy<Value = Caller> {
    let ancestors = prop::collection::vec(1..=PROCESSES, 0..3);
    (1..=PROCESSES, ancestors, 0..JOBS).prop_map(|(id, ancestors, group)| Caller {
        process: Process { id, start: 0 },
        ancestors: Ancestors::new(ancestors),
        job: Job { group, session: 0 },
    })
}

/// One caller, or two as a rename has them.
fn any_callers() -> impl Strategy<Value = Vec<Caller>> {
    prop::collection::vec(any_caller(), 1..=2)
}

fn any_expect() -> impl Strategy<Value = Precondition> {
    prop_oneof![
        1 => Just(Precondition::Absent),
        4 => (0..6_u8).prop_map(|n| Precondition::Is(version(n))),
    ]
}

/// Something that teaches somebody something about a key.
#[derive(Clone, Debug)]
enum Lesson {
    Show(Caller, u8),
    /// There is no such key.
    Miss(Caller),
    Saved(Vec<Caller>, Precondition, u8),
    Removed(Vec<Caller>, Precondition),
    Told(Vec<Caller>, Precondition),
    /// The process writes the bytes of this version into the file of another key.
    Copied(u32, u8),
}

fn any_lesson(with_telling: bool) -> impl Strategy<Value = (usize, Lesson)> {
    let telling = if with_telling { 2 } else { 0 };
    let lesson = prop_oneof![
        3 => (any_caller(), 0..6_u8).prop_map(|(who, v)| Lesson::Show(who, v)),
        telling => any_caller().prop_map(Lesson::Miss),
        3 => (any_callers(), any_expect(), 0..6_u8)
            .prop_map(|(who, replaced, v)| Lesson::Saved(who, replaced, v)),
        1 => (any_callers(), any_expect()).prop_map(|(who, gone)| Lesson::Removed(who, gone)),
        telling => (any_callers(), any_expect()).prop_map(|(who, now)| Lesson::Told(who, now)),
        telling => (1..=PROCESSES, 0..6_u8).prop_map(|(who, v)| Lesson::Copied(who, v)),
    ];
    (0..KEYS, lesson)
}

fn teach(seen: &mut Seen<usize>, key: usize, lesson: &Lesson) {
    match lesson {
        Lesson::Show(who, v) => {
            if seen.show(who, &key, &version(*v)) {
                seen.note_bytes(who.process, &key, bytes(*v));
            }
        }
        Lesson::Miss(who) => seen.miss(who, &key),
        Lesson::Saved(who, replaced, v) => {
            seen.saved(who.iter().copied(), &key, replaced, &version(*v));
        }
        Lesson::Removed(who, gone) => seen.removed(who.iter().copied(), &key, gone),
        Lesson::Told(who, now) => seen.told(who.iter().copied(), &key, now),
        Lesson::Copied(who, v) => {
            let process = Process { id: *who, start: 0 };
            seen.copied(process, Some(&key), &bytes(*v));
        }
    }
}

/// A memory of about so many readings.
fn memory_of(readings: usize) -> Seen<usize> {
    Seen::new(readings * 200, 0, Arc::new(Everlasting))
}

/// What one process, or one job, is remembered to have been shown. (A family cannot be asked apart from
/// its job.)
fn remembered(seen: &Seen<usize>, who: Who, key: usize) -> Option<Precondition> {
    const NOBODY: u32 = u32::MAX;
    let (process, job) = match who {
        Who::Process(id) => (id, NOBODY),
        Who::Job(group) => (NOBODY, group),
        Who::Family(..) => unreachable!("only processes and jobs are asked"),
    };
    // A copy, since asking counts as use.
    seen.clone().shown_to(
        &Caller {
            process: Process {
                id: process,
                start: 0,
            },
            ancestors: Ancestors::default(),
            job: Job {
                group: job,
                session: 0,
            },
        },
        &key,
    )
}

fn everybody() -> impl Iterator<Item = Who> {
    (1..=PROCESSES)
        .map(Who::Process)
        .chain((0..JOBS).map(Who::Job))
}

proptest! {
    #[test]
    fn the_memory_answers_like_a_log_of_everything(
        lessons in prop::collection::vec(any_lesson(true), 0..200),
        questions in prop::collection::vec((any_callers(), 0..KEYS, any_expect()), 200),
    ) {
        let (mut seen, mut log) = (memory_of(1000), Log::default());
        for ((key, lesson), (callers, asked, current)) in lessons.iter().zip(&questions) {
            teach(&mut seen, *key, lesson);
            log.teach(*key, lesson);
            prop_assert_eq!(
                seen.base(callers.iter().copied(), asked, current),
                log.base(callers, *asked, current)
            );
            prop_assert_eq!(
                seen.base_of_delete(callers.first().copied(), asked, current),
                log.base_of_delete(&callers[..1], *asked, current)
            );
        }
    }

    #[test]
    fn forgetting_makes_readers_blind_and_does_nothing_else(
        capacity in 0..12_usize,
        lessons in prop::collection::vec(any_lesson(false), 0..200),
    ) {
        let (mut seen, mut log) = (memory_of(capacity), Log::default());
        for (key, lesson) in &lessons {
            teach(&mut seen, *key, lesson);
            log.teach(*key, lesson);
            for who in everybody() {
                for key in 0..KEYS {
                    if let Some(shown) = remembered(&seen, who, key) {
                        prop_assert_eq!(Some(&shown), log.last(who, key));
                    }
                }
            }
        }
    }

    #[test]
    fn who_was_just_shown_a_version_is_not_forgotten(
        capacity in 0..12_usize,
        lessons in prop::collection::vec(any_lesson(true), 0..100),
        (caller, key, shown, current) in (any_caller(), 0..KEYS, 0..6_u8, any_expect()),
    ) {
        let mut seen = memory_of(capacity);
        for (key, lesson) in &lessons {
            teach(&mut seen, *key, lesson);
        }
        seen.show(&caller, &key, &version(shown));
        let shown = Precondition::Is(version(shown));
        let base = seen.base([caller], &key, &current);
        if shown == current {
            prop_assert_eq!(base, Base::Take(current));
        } else {
            prop_assert_eq!(base, Base::AlreadyLost { shown });
        }
    }

    #[test]
    fn the_told_may_replace_what_they_were_told_and_nothing_newer(
        capacity in 0..24_usize,
        lessons in prop::collection::vec(any_lesson(true), 0..100),
        (callers, key, now, newer) in (any_callers(), 0..KEYS, any_expect(), any_expect()),
    ) {
        let mut seen = memory_of(capacity);
        for (key, lesson) in &lessons {
            teach(&mut seen, *key, lesson);
        }
        let was_blind = callers
            .iter()
            .all(|caller| seen.clone().shown_to(caller, &key).is_none());
        seen.told(callers.iter().copied(), &key, &now);
        prop_assert_eq!(
            seen.base(callers.iter().copied(), &key, &now),
            Base::Take(now.clone())
        );
        let second = seen.base(callers.iter().copied(), &key, &newer);
        if was_blind || now == newer {
            prop_assert_eq!(second, Base::Take(newer));
        } else {
            prop_assert_eq!(second, Base::AlreadyLost { shown: now });
        }
    }
}

/// What can happen to a draft.
#[derive(Clone, Debug)]
enum Deed {
    Edit,
    /// A save falls due by this reason, and if it is sent, it comes to this.
    Save(SaveReason, Option<Outcome>),
    Overtaken(Precondition),
    Moved(u8, u8),
    Unlinked,
}

fn any_deed() -> impl Strategy<Value = Deed> {
    let reason = prop_oneof![
        Just(SaveReason::Flush),
        Just(SaveReason::Close),
        Just(SaveReason::Fsync),
        Just(SaveReason::Release)
    ];
    let outcome = prop_oneof![
        1 => Just(None),
        6 => (0..4_u8).prop_map(|n| Some(Outcome::Committed(version(n)))),
        1 => Just(Some(Outcome::Refused(None))),
        1 => Just(Some(Outcome::Unknown)),
    ];
    prop_oneof![
        10 => Just(Deed::Edit),
        10 => (reason, outcome).prop_map(|(reason, outcome)| Deed::Save(reason, outcome)),
        2 => any_expect().prop_map(Deed::Overtaken),
        2 => (0..4_u8, 0..4_u8).prop_map(|(from, to)| Deed::Moved(from, to)),
        1 => Just(Deed::Unlinked),
    ]
}

/// What is known of a draft from the log of what happened to it. A deed is in the log only if it
/// had an effect: an edit that was taken, a save that was sent.
struct DraftLog {
    first_base: Precondition,
    emptied: bool,
    deeds: Vec<Deed>,
}

impl DraftLog {
    fn base_after(&self, deeds: usize) -> Precondition {
        let Some(last) = deeds.checked_sub(1) else {
            return self.first_base.clone();
        };
        let before = || self.base_after(last);
        match &self.deeds[last] {
            Deed::Save(_, Some(Outcome::Committed(version))) => Precondition::Is(version.clone()),
            Deed::Moved(from, to) if before() == Precondition::Is(version(*from)) => {
                Precondition::Is(version(*to))
            }
            _ => before(),
        }
    }

    fn base(&self) -> Precondition {
        self.base_after(self.deeds.len())
    }

    fn was_overtaken(&self) -> bool {
        self.deeds
            .iter()
            .enumerate()
            .any(|(at, deed)| matches!(deed, Deed::Overtaken(gone) if *gone == self.base_after(at)))
    }

    fn was_unlinked(&self) -> bool {
        self.deeds.iter().any(|deed| matches!(deed, Deed::Unlinked))
    }

    fn lost(&self) -> Option<Lost> {
        self.deeds.iter().find_map(|deed| match deed {
            Deed::Save(_, Some(Outcome::Refused(_))) => Some(Lost::Conflict),
            Deed::Save(_, Some(Outcome::Unknown)) => Some(Lost::Unknown),
            _ => None,
        })
    }

    /// Whether bytes wait that this reason saves, and not what its program was told has failed.
    fn due(&self, reason: SaveReason) -> bool {
        let told = self.deeds.iter().rev().find_map(|deed| match deed {
            Deed::Edit => Some(false),
            Deed::Save(_, None) => Some(true),
            _ => None,
        });
        self.waits_for(reason) && !(reason == SaveReason::Release && told == Some(true))
    }

    fn waits_for(&self, reason: SaveReason) -> bool {
        let since = self
            .deeds
            .iter()
            .rposition(|deed| matches!(deed, Deed::Save(_, Some(Outcome::Committed(_)))));
        let edited = self.deeds[since.unwrap_or(0)..]
            .iter()
            .any(|deed| matches!(deed, Deed::Edit));
        let emptied = self.emptied && since.is_none();
        edited || emptied && reason != SaveReason::Flush
    }
}

proptest! {
    #[test]
    fn a_draft_does_what_the_log_of_its_deeds_says(
        emptied in any::<bool>(),
        first_base in any_expect(),
        deeds in prop::collection::vec(any_deed(), 0..60),
    ) {
        let mut draft = match (&first_base, emptied) {
            (Precondition::Is(version), false) => Draft::editing(version.clone()),
            _ => Draft::replacing(first_base.clone()),
        };
        let emptied = emptied || first_base == Precondition::Absent;
        let mut log = DraftLog { first_base, emptied, deeds: Vec::new() };
        for deed in deeds {
            match &deed {
                Deed::Edit => match log.lost() {
                    Some(lost) => prop_assert_eq!(draft.edit(), Err(lost)),
                    None => {
                        prop_assert_eq!(draft.edit(), Ok(()));
                        log.deeds.push(deed);
                    }
                },
                Deed::Save(reason, outcome) => {
                    let said = draft.begin_save(*reason);
                    if log.was_unlinked() {
                        prop_assert_eq!(said, Ok(None));
                    } else if let Some(lost) = log.lost() {
                        match reason {
                            SaveReason::Release => prop_assert_eq!(said, Ok(None)),
                            _ => prop_assert_eq!(said, Err(SaveError::from(lost))),
                        }
                    } else if !log.due(*reason) {
                        prop_assert_eq!(said, Ok(None));
                    } else if log.was_overtaken() {
                        prop_assert_eq!(said, Err(SaveError::Conflict));
                        log.deeds.push(Deed::Save(*reason, Some(Outcome::Refused(None))));
                    } else {
                        prop_assert_eq!(said.unwrap().map(|save| save.expect), Some(log.base()));
                        match outcome {
                            None => draft.abandon_save(),
                            Some(outcome) => {
                                let said = draft.end_save(outcome.clone());
                                let saved = matches!(outcome, Outcome::Committed(_));
                                prop_assert_eq!(said.is_ok(), saved);
                            }
                        }
                        log.deeds.push(deed);
                    }
                }
                Deed::Overtaken(gone) => {
                    draft.overtaken(gone);
                    log.deeds.push(deed);
                }
                Deed::Moved(from, to) => {
                    draft.moved(&Precondition::Is(version(*from)), version(*to));
                    log.deeds.push(deed);
                }
                Deed::Unlinked => {
                    draft.drop_unlinked();
                    log.deeds.push(deed);
                }
            }
            prop_assert_eq!(draft.base(), &log.base());
            prop_assert_eq!(draft.lost(), log.lost());
            let waits = log.waits_for(SaveReason::Release) && log.lost().is_none() && !log.was_unlinked();
            prop_assert_eq!(draft.is_dirty(), waits);
        }
    }
}
