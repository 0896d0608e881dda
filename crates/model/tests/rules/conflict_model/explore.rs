//! The explorer: every state of a world that any order of events can reach, breadth first.
//!
//! It knows nothing of what happens in a world. Since it goes breadth first, the story it tells of
//! a broken property is a shortest one. A state is remembered by a hash of 64 bits; two states
//! that share one (a chance of about 1 in 10^7 for a million states) would hide one of them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use super::outcomes::Outcomes;
use super::world::{Action, Promise, Scenario, World};

/// How an exploration ended.
pub(super) struct Explored {
    pub(super) states: usize,
    /// What was seen to happen anywhere.
    pub(super) outcomes: Outcomes,
    /// The first broken promise, and the shortest story that breaks it.
    pub(super) broken: Option<(Promise, Story)>,
}

/// What happened, in order.
pub(super) struct Story(Vec<Action>);

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, action) in self.0.iter().enumerate() {
            writeln!(f, "  {:2}. {action:?}", n + 1)?;
        }
        Ok(())
    }
}

fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// Visits every state, or ends at the first broken promise.
pub(super) fn explore(scenario: &Scenario) -> Explored {
    let began = Instant::now();
    let first = World::new(scenario);
    let root = fingerprint(&first);
    let mut came_from: HashMap<u64, Option<(u64, Action)>> = HashMap::from([(root, None)]);
    let mut outcomes = Outcomes::default();
    let mut broken = None;
    let mut level = vec![(root, first)];
    'all: while !level.is_empty() {
        let mut next_level = Vec::new();
        for (from, world) in level {
            for (action, next) in world.successors(scenario) {
                outcomes |= next.outcomes;
                let at = fingerprint(&next);
                if let Entry::Vacant(vacant) = came_from.entry(at) {
                    vacant.insert(Some((from, action)));
                    if let Some(promise) = next.broken {
                        broken = Some((promise, story(&came_from, at)));
                        break 'all;
                    }
                    next_level.push((at, next));
                }
            }
        }
        level = next_level;
    }
    println!(
        "{}: {} states in {:.1} s; {outcomes:?}",
        scenario.name,
        came_from.len(),
        began.elapsed().as_secs_f32()
    );
    Explored {
        states: came_from.len(),
        outcomes,
        broken,
    }
}

fn story(came_from: &HashMap<u64, Option<(u64, Action)>>, end: u64) -> Story {
    let mut actions = Vec::new();
    let mut at = end;
    while let Some(Some((from, action))) = came_from.get(&at) {
        actions.push(*action);
        at = *from;
    }
    actions.reverse();
    Story(actions)
}
