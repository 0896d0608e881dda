//! Names that are moved away (W8), in every order of events: the real rule of `crates/model/src/pending_renames.rs`
//! between an editor, somebody elsewhere, a clock and a daemon that may end at any moment.
//!
//! Versions never repeat here. The explorer is told nothing of the rule but its outcome; rules with
//! a mistake are found broken, so that it is known to look.

mod world;

use std::collections::{HashMap, VecDeque};

use crate::report;
use world::{Program, Promise, Rule, Step, World};

const PROGRAMS: [Program; 7] = [
    Program {
        name: "vim, nvim",
        steps: &[
            Step::Read,
            Step::MoveAway,
            Step::Create,
            Step::Save,
            Step::UnlinkBackup,
        ],
        clean_up: &[Step::UnlinkKey, Step::MoveBack],
    },
    Program {
        name: "emacs",
        steps: &[Step::Read, Step::MoveAway, Step::Create, Step::Save],
        clean_up: &[Step::MoveBack],
    },
    Program {
        name: "deletes its backup first",
        steps: &[
            Step::Read,
            Step::MoveAway,
            Step::Create,
            Step::UnlinkBackup,
            Step::Save,
        ],
        clean_up: &[Step::UnlinkKey],
    },
    Program {
        name: "mv",
        steps: &[Step::MoveAway],
        clean_up: &[],
    },
    Program {
        name: "mv there and back",
        steps: &[Step::Read, Step::MoveAway, Step::MoveBack],
        clean_up: &[],
    },
    Program {
        name: "mv and rm",
        steps: &[Step::MoveAway, Step::UnlinkBackup],
        clean_up: &[],
    },
    Program {
        name: "thinks better of it",
        steps: &[
            Step::Read,
            Step::MoveAway,
            Step::Create,
            Step::CloseUnwritten,
            Step::Read,
            Step::MoveBack,
        ],
        clean_up: &[],
    },
];

/// How many states there are, and the first broken promise with a shortest story of it.
fn explore(rule: Rule, program: Program) -> (usize, Option<(Promise, Vec<String>)>) {
    let first = World::new(rule, program);
    let mut came_from = HashMap::from([(first.fingerprint(), None)]);
    let mut queue = VecDeque::from([first]);
    while let Some(world) = queue.pop_front() {
        let here = world.fingerprint();
        for (what, next) in world.successors() {
            let there = next.fingerprint();
            if came_from.contains_key(&there) {
                continue;
            }
            came_from.insert(there.clone(), Some((here.clone(), what)));
            if let Some(promise) = next.broken {
                let mut story = Vec::new();
                let mut at = &there;
                while let Some(Some((from, what))) = came_from.get(at) {
                    story.push(what.clone());
                    at = from;
                }
                story.reverse();
                return (came_from.len(), Some((promise, story)));
            }
            queue.push_back(next);
        }
    }
    (came_from.len(), None)
}

#[test]
fn no_order_of_events_loses_a_value_that_was_moved_away() {
    for program in PROGRAMS {
        let (states, broken) = explore(Rule::Ours, program);
        assert!(
            broken.is_none(),
            "{}: {:?} is broken:\n  {}",
            program.name,
            broken.as_ref().map(|(promise, _)| promise),
            broken
                .as_ref()
                .map(|(_, story)| story.join("\n  "))
                .unwrap_or_default()
        );
        report(&format!(
            "moved away, {}: {states} states, all promises hold",
            program.name
        ));
    }
}

#[test]
fn the_explorer_finds_the_rules_that_are_wrong() {
    for (rule, promise) in [
        (Rule::ForgetsRefusals, Promise::WinnerStays),
        (Rule::DeleteFirst, Promise::NeverNone),
        (Rule::BaseIsNewest, Promise::WinnerStays),
        (Rule::MoveAtOnce, Promise::NeverNone),
    ] {
        let found = PROGRAMS
            .iter()
            .filter_map(|program| explore(rule, *program).1);
        let promises: Vec<_> = found.map(|(promise, _)| promise).collect();
        assert!(promises.contains(&promise), "{rule:?}: only {promises:?}");
    }
}
