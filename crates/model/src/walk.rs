//! Walks a machine through every order of answers, for its tests.

use std::collections::HashMap;
use std::hash::Hash;

/// The largest number of steps from this state to an end. `next` says which states may follow one, none at an
/// end, and checks what must be true in it.
///
/// # Panics
/// When the machine can go round in a circle.
pub(super) fn longest_walk<S: Clone + Eq + Hash>(
    from: S,
    next: &impl Fn(&S) -> Vec<S>,
    walked: &mut HashMap<S, Option<usize>>,
) -> usize {
    match walked.get(&from) {
        Some(Some(steps)) => return *steps,
        Some(None) => panic!("the machine goes round in a circle"),
        None => {}
    }
    walked.insert(from.clone(), None);
    let longest = next(&from)
        .into_iter()
        .map(|state| 1 + longest_walk(state, next, walked))
        .max()
        .unwrap_or_default();
    walked.insert(from, Some(longest));
    longest
}
