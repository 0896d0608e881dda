//! What is remembered of the work of a mount, for those who look after it: counters, the latest
//! operations, the latest failures.
//!
//! A leaf beside the house: every layer may tell it something, and it knows none of them; it reads the clock and
//! takes locks for moments, but makes no request and never waits. Sources: `mount/answer.rs` for kernel operations,
//! `backend/metered.rs` for requests, `vfs` for saves and caches. Readers: `vfs/control.rs` below `/.etagfs`, and
//! `cli/metrics.rs`. The metrics are defined in `metrics.rs`.

mod access;
pub mod exchange;
mod failures;
mod labels;
mod maker;
mod metrics;
mod rescues;
#[cfg(feature = "otlp")]
pub mod traces;

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

pub use access::{Access, AccessLog, Reading, Subject};
pub use failures::{Failed, Failures};
pub use labels::{Cache, Counts, Levels, Pool, Request};
pub use metrics::Metrics;
pub use rescues::{Bound, KeptRescues};

/// Everything that is remembered of one mount.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Counters, histograms and gauges.
    pub metrics: Metrics,
    /// The latest operations of the kernel.
    pub access: AccessLog,
    /// The latest requests that failed.
    pub failures: Failures,
    /// Whether failed requests are logged as they fail. Before a mount is there, and in commands that end with the
    /// failure, its message says so.
    pub warns_of_failures: AtomicBool,
    /// What makes of a span the header that hands its trace on to the store, if it is to be.
    pub trace_header: OnceLock<fn(&tracing::Span) -> Option<String>>,
}

/// A time as logs show it: in milliseconds, to the microsecond.
pub fn milliseconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
