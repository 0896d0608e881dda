//! Waiting for a condition with a deadline: the tests' only way to wait. It knows nothing of what is
//! waited for.
//!
//! ```ignore
//! wait::until("the key is there", SOON, || client.get("k").is_some()); // panics after the deadline
//! if !wait::eventually(SOON, || child_is_gone()) { .. }                // tells
//! ```

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for anything that is not broken, on a slow machine with busy neighbours too. It only bounds
/// a hang.
pub(crate) const SOON: Duration = Duration::from_secs(120);

const FIRST_NAP: Duration = Duration::from_millis(1);
const LONGEST_NAP: Duration = Duration::from_millis(50);

/// Polls until `condition` holds; false when it still does not after `deadline`.
#[must_use = "the condition may never have come true"]
pub(crate) fn eventually(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + deadline;
    let mut nap = FIRST_NAP;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(nap);
        nap = (nap * 2).min(LONGEST_NAP);
    }
}

/// Polls until `condition` holds.
///
/// # Panics
/// When it does not within `deadline`; the message names `what`.
#[track_caller]
pub(crate) fn until(what: &str, deadline: Duration, condition: impl FnMut() -> bool) {
    assert!(
        eventually(deadline, condition),
        "not within {deadline:?}: {what}"
    );
}
