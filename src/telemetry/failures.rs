//! The latest requests that failed, each with the id by which the store's operators find it.
//!
//! It only remembers, and not for ever. Users read it in `/.etagfs/failures`.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// How many are remembered.
const LATEST: usize = 100;

/// A request that failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failed {
    /// When it ended, in RFC 3339.
    pub time: String,
    /// Its kind: `get`, `put`, ...
    pub request: &'static str,
    /// The object, or the prefix of a listing.
    pub object: String,
    /// What it came to: `denied`, `unknown`, ...
    pub outcome: &'static str,
    /// The status of the last answer, if there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The id that the server gave it, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How often it was sent.
    pub sent: u32,
    /// How long it took, in milliseconds.
    pub ms: f64,
    /// Why it failed, in words.
    pub message: String,
}

/// The latest requests that failed.
#[derive(Debug, Default)]
pub struct Failures(Mutex<VecDeque<Failed>>);

impl Failures {
    /// Remembers one.
    pub fn add(&self, failed: Failed) {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() == LATEST {
            latest.pop_front();
        }
        latest.push_back(failed);
    }

    /// The latest, oldest first, one JSON object a line.
    pub fn lines(&self) -> String {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = latest.iter().filter_map(|failed| {
            let mut line = serde_json::to_string(failed).ok()?;
            line.push('\n');
            Some(line)
        });
        lines.collect()
    }
}
