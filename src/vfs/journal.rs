//! The latest saves that did not happen.
//!
//! It remembers and counts what `save.rs` and `loss.rs` report. Users read it in `/.etagfs/conflicts`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::keeper::Whereabouts;
use super::rescue::Reason;
use crate::telemetry::Telemetry;

/// How many conflicts are remembered.
const LATEST: usize = 1000;

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
    /// Where its bytes are, if there were any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kept: Option<Whereabouts>,
    pub(super) message: String,
}

/// What happened to the saves of a mount.
#[derive(Debug)]
pub(super) struct Journal {
    latest: Mutex<VecDeque<Event>>,
    telemetry: Arc<Telemetry>,
}

impl Journal {
    pub(super) fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            latest: Mutex::default(),
            telemetry,
        }
    }

    fn latest(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn saved(&self) {
        self.telemetry.metrics.saved();
    }

    /// A save did not happen; `event.rescue` says whether its bytes were kept.
    pub(super) fn not_saved(&self, event: Event) {
        let metrics = &self.telemetry.metrics;
        match event.reason {
            Reason::Conflict => metrics.conflict(),
            Reason::Unknown => metrics.unknown_save(),
            Reason::Failed | Reason::Unmounted => metrics.failed_save(),
        }
        if event.rescue.is_some() {
            metrics.rescued();
        }
        let mut latest = self.latest();
        if latest.len() == LATEST {
            latest.pop_front();
        }
        latest.push_back(event);
    }

    /// The latest events, oldest first, one JSON object a line.
    pub(super) fn conflicts(&self) -> String {
        let latest = self.latest();
        let lines = latest.iter().filter_map(|event| {
            let mut line = serde_json::to_string(event).ok()?;
            line.push('\n');
            Some(line)
        });
        lines.collect()
    }
}
