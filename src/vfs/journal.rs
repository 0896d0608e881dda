//! What happened to saves: counters, and the latest conflicts.
//!
//! It only remembers; `save.rs` tells it. Users read it in `/.etagfs/stats` and
//! `/.etagfs/conflicts`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::rescue::Reason;

/// How many conflicts are remembered.
const LATEST: usize = 1000;

/// How often each thing happened since the mount began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Saves that landed.
    pub saves: u64,
    /// Saves that were refused.
    pub conflicts: u64,
    /// Saves whose fate is unknown.
    pub unknown: u64,
    /// Saves that failed and certainly did not happen.
    pub failed: u64,
    /// Values that were rescued.
    pub rescues: u64,
}

/// A save that did not happen.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Event {
    pub(super) time: String,
    pub(super) op: &'static str,
    pub(super) store: String,
    pub(super) key: String,
    pub(super) reason: Reason,
    pub(super) expected: String,
    pub(super) found: String,
    pub(super) pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rescue: Option<String>,
    pub(super) message: String,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    latest: VecDeque<Event>,
}

/// What happened to the saves of a mount.
#[derive(Debug, Default)]
pub struct Journal {
    state: Mutex<State>,
}

impl Journal {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The counters.
    pub fn counts(&self) -> Counts {
        self.with(|state| state.counts)
    }

    pub(super) fn saved(&self) {
        self.with(|state| state.counts.saves += 1);
    }

    /// A save did not happen; `event.rescue` tells whether its bytes were kept.
    pub(super) fn not_saved(&self, event: Event) {
        self.with(|state| {
            match event.reason {
                Reason::Conflict => state.counts.conflicts += 1,
                Reason::Unknown => state.counts.unknown += 1,
                Reason::Failed | Reason::Unmounted => state.counts.failed += 1,
            }
            state.counts.rescues += u64::from(event.rescue.is_some());
            if state.latest.len() == LATEST {
                state.latest.pop_front();
            }
            state.latest.push_back(event);
        });
    }

    /// The latest events, oldest first, one JSON object a line.
    pub(super) fn conflicts(&self) -> String {
        self.with(|state| {
            let lines = state.latest.iter().filter_map(|event| {
                let mut line = serde_json::to_string(event).ok()?;
                line.push('\n');
                Some(line)
            });
            lines.collect()
        })
    }
}
