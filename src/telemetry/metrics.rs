//! The metrics: the one place that defines their names, labels and buckets.
//!
//! Whoever counts calls a method that says what happened; strings of the exposition are chosen here. Gauges are not
//! kept up to date but set when somebody asks ([`Levels`]). It knows nothing of what counts. `docs/operations.md`
//! lists every metric; a test compares the list with the exposition.

use std::time::Duration;

use prometheus::{
    HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};

use super::labels::{Cache, Counts, Levels, Pool, Request};
use super::maker::{Maker, number};
use super::rescues::{Bound, Rescues};

/// Operations of the kernel: from those answered from memory to those that wait for a slow store.
const OPERATION_BUCKETS: [f64; 10] = [
    0.000_05, 0.000_2, 0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 30.0,
];

/// Requests to a store, which cross a network.
const REQUEST_BUCKETS: [f64; 12] = [
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
];

/// The metrics of one mount.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    operations: IntCounterVec,
    operation_seconds: HistogramVec,
    operations_waiting: IntGauge,
    operation_bytes: IntCounterVec,
    late_answers: IntCounter,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    requests_in_flight: IntGauge,
    requests_queued: IntGaugeVec,
    messages: IntCounterVec,
    answers: IntCounterVec,
    store_bytes: IntCounterVec,
    saves: IntCounter,
    conflicts: IntCounter,
    unknown_saves: IntCounter,
    failed_saves: IntCounter,
    pub(super) rescues: Rescues,
    merged_appends: IntCounter,
    cache_lookups: IntCounterVec,
    cache_drops: IntCounter,
    cache_bytes: IntGaugeVec,
    cache_entries: IntGaugeVec,
    inodes: IntGauge,
    handles: IntGaugeVec,
    drafts: IntGauge,
    draft_bytes: IntGauge,
    scratch_files: IntGauge,
    scratch_bytes: IntGauge,
    moved_away: IntGauge,
    readings: IntGauge,
    reading_bytes: IntGauge,
    forgotten_readings: IntCounter,
    uptime: IntGauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::new();
        let make = Maker::of(&registry);
        let build = make.gauges(
            "etagfs_build_info",
            "Always 1; the label has the version of etagfs.",
            "version",
        );
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let metrics = Self {
            operations: make.counters(
                "etagfs_operations_total",
                "Kernel operations answered, by errno.",
                &["op", "errno"],
            ),
            operation_seconds: make.times(
                "etagfs_operation_duration_seconds",
                "How long kernel operations took.",
                "op",
                &OPERATION_BUCKETS,
            ),
            operations_waiting: make.gauge(
                "etagfs_operations_waiting",
                "Kernel operations that wait for the store or for each other.",
            ),
            operation_bytes: make.counters(
                "etagfs_operation_bytes_total",
                "Bytes that programs read and wrote.",
                &["op"],
            ),
            late_answers: make.counter(
                "etagfs_late_answers_total",
                "Operations that ended after their callers were answered by the watchdog.",
            ),
            requests: make.counters(
                "etagfs_store_requests_total",
                "Requests to the store that ended, by outcome.",
                &["request", "outcome"],
            ),
            request_seconds: make.times(
                "etagfs_store_request_duration_seconds",
                "How long requests to the store took.",
                "request",
                &REQUEST_BUCKETS,
            ),
            requests_in_flight: make.gauge(
                "etagfs_store_requests_in_flight",
                "Requests to the store that are under way.",
            ),
            requests_queued: make.gauges(
                "etagfs_store_requests_queued",
                "Requests to the store that wait for one of the places of their kind.",
                "kind",
            ),
            messages: make.counters(
                "etagfs_store_messages_total",
                "HTTP requests that were sent, with those that were sent again.",
                &["request"],
            ),
            answers: make.counters(
                "etagfs_store_answers_total",
                "HTTP answers that arrived, by their status.",
                &["request", "status"],
            ),
            store_bytes: make.counters(
                "etagfs_store_bytes_total",
                "Bytes of values that were sent to the store and received from it.",
                &["direction"],
            ),
            saves: make.counter("etagfs_saves_total", "Saves that landed in the store."),
            conflicts: make.counter(
                "etagfs_conflicts_total",
                "Saves refused because somebody else saved first.",
            ),
            unknown_saves: make.counter(
                "etagfs_unknown_saves_total",
                "Saves whose fate could not be proved.",
            ),
            failed_saves: make.counter(
                "etagfs_failed_saves_total",
                "Saves that failed and certainly did not happen.",
            ),
            rescues: Rescues::new(&make),
            merged_appends: make.counter(
                "etagfs_merged_appends_total",
                "Appends repeated after another writer saved first.",
            ),
            cache_lookups: make.counters(
                "etagfs_cache_lookups_total",
                "Cache lookups, by whether they hit.",
                &["cache", "result"],
            ),
            cache_drops: make.counter(
                "etagfs_cache_drops_total",
                "How often all caches were dropped (SIGHUP).",
            ),
            cache_bytes: make.gauges(
                "etagfs_cache_bytes",
                "Memory that cached values take.",
                "cache",
            ),
            cache_entries: make.gauges(
                "etagfs_cache_entries",
                "Cached values, and names in cached listings.",
                "cache",
            ),
            inodes: make.gauge("etagfs_inodes", "Files and directories that the mount knows."),
            handles: make.gauges("etagfs_open_handles", "Open files and directories.", "kind"),
            drafts: make.gauge(
                "etagfs_drafts",
                "Open files whose bytes are not saved yet.",
            ),
            draft_bytes: make.gauge("etagfs_draft_bytes", "Bytes that are not saved yet."),
            scratch_files: make.gauge(
                "etagfs_scratch_files",
                "Scratch files: files that exist only in this mount.",
            ),
            scratch_bytes: make.gauge(
                "etagfs_scratch_bytes",
                "Bytes of scratch files.",
            ),
            moved_away: make.gauge(
                "etagfs_moved_away",
                "Keys that were moved to a scratch name and are not deleted in the store yet.",
            ),
            readings: make.gauge(
                "etagfs_readings",
                "Remembered reads: which process has read which key.",
            ),
            reading_bytes: make.gauge(
                "etagfs_reading_bytes",
                "Memory of the remembered reads.",
            ),
            forgotten_readings: make.counter(
                "etagfs_forgotten_readings_total",
                "Reads of running processes forgotten for lack of room: their saves replace the current version.",
            ),
            uptime: make.gauge("etagfs_uptime_seconds", "How long ago the mount began."),
            registry,
        };
        metrics.show_from_the_start();
        metrics
    }
}

impl Metrics {
    /// Bytes were kept, in the state directory or until there is room in it.
    pub fn rescued(&self) {
        self.rescues.was_kept();
    }

    /// Bytes could not be kept.
    pub fn rescue_lost(&self) {
        self.rescues.was_lost();
    }

    /// A rescue was dropped because of a bound.
    pub fn rescue_dropped(&self, bound: Bound) {
        self.rescues.was_dropped(bound);
    }

    /// A series that appears with its first event hides that event from `rate()`.
    fn show_from_the_start(&self) {
        for op in ["lookup", "open", "read", "write", "flush"] {
            self.operations.with_label_values(&[op, "OK"]);
            self.operation_seconds.with_label_values(&[op]);
        }
        for op in ["read", "write"] {
            self.operation_bytes.with_label_values(&[op]);
        }
        for request in Request::ALL.map(Request::as_str) {
            self.requests.with_label_values(&[request, "ok"]);
            self.request_seconds.with_label_values(&[request]);
            self.messages.with_label_values(&[request]);
            // Any answer at all.
            self.answers.with_label_values(&[request, "200"]);
        }
        self.requests.with_label_values(&["put", "refused"]);
        for kind in Pool::ALL.map(Pool::as_str) {
            self.requests_queued.with_label_values(&[kind]);
        }
        for direction in ["sent", "received"] {
            self.store_bytes.with_label_values(&[direction]);
        }
        for cache in Cache::ALL.map(Cache::as_str) {
            for result in ["hit", "miss"] {
                self.cache_lookups.with_label_values(&[cache, result]);
            }
        }
    }

    /// An operation of the kernel was answered.
    pub fn operation(&self, op: &str, errno: &str, bytes: u64, took: Duration) {
        self.operations.with_label_values(&[op, errno]).inc();
        self.operation_seconds
            .with_label_values(&[op])
            .observe(took.as_secs_f64());
        if bytes > 0 {
            self.operation_bytes.with_label_values(&[op]).inc_by(bytes);
        }
    }

    /// An operation of the kernel begins to wait, or ends to.
    pub fn waiting(&self, more: bool) {
        match more {
            true => self.operations_waiting.inc(),
            false => self.operations_waiting.dec(),
        }
    }

    /// An operation ended after its caller was answered.
    pub fn late_answer(&self) {
        self.late_answers.inc();
    }

    /// A request to the store begins.
    pub fn request_begins(&self) {
        self.requests_in_flight.inc();
    }

    /// A request begins to wait for a place, or ends to.
    pub fn wants_place(&self, kind: Pool, more: bool) {
        let waiting = self.requests_queued.with_label_values(&[kind.as_str()]);
        match more {
            true => waiting.inc(),
            false => waiting.dec(),
        }
    }

    /// How many requests wait for a place, of each kind.
    pub fn places_wanted(&self) -> [(&'static str, i64); 3] {
        Pool::ALL.map(|kind| {
            let waiting = self.requests_queued.with_label_values(&[kind.as_str()]);
            (kind.as_str(), waiting.get())
        })
    }

    /// A request to the store ended.
    pub fn request_ended(&self, request: Request, outcome: &str, took: Duration) {
        let request = request.as_str();
        self.requests_in_flight.dec();
        self.requests.with_label_values(&[request, outcome]).inc();
        self.request_seconds
            .with_label_values(&[request])
            .observe(took.as_secs_f64());
    }

    /// What was sent for a request, and how it was answered.
    pub fn messages(&self, request: Request, sent: u32, statuses: &[u16]) {
        let request = request.as_str();
        self.messages
            .with_label_values(&[request])
            .inc_by(sent.into());
        for status in statuses {
            self.answers
                .with_label_values(&[request, &status.to_string()])
                .inc();
        }
    }

    /// Bytes of a value went to the store.
    pub fn sent_bytes(&self, bytes: u64) {
        self.store_bytes.with_label_values(&["sent"]).inc_by(bytes);
    }

    /// Bytes of a value came from the store.
    pub fn received_bytes(&self, bytes: u64) {
        self.store_bytes
            .with_label_values(&["received"])
            .inc_by(bytes);
    }

    /// A save landed.
    pub fn saved(&self) {
        self.saves.inc();
    }

    /// Somebody else saved first.
    pub fn conflict(&self) {
        self.conflicts.inc();
    }

    /// What happened to saves.
    pub fn counts(&self) -> Counts {
        Counts {
            saves: self.saves.get(),
            conflicts: self.conflicts.get(),
            unknown: self.unknown_saves.get(),
            failed: self.failed_saves.get(),
            rescues: self.rescues.total(),
        }
    }

    /// The fate of a save could not be proved.
    pub fn unknown_save(&self) {
        self.unknown_saves.inc();
    }

    /// A save certainly did not happen.
    pub fn failed_save(&self) {
        self.failed_saves.inc();
    }

    /// A refused append goes on, behind what others saved.
    pub fn merged_append(&self) {
        self.merged_appends.inc();
    }

    /// Something was looked for in a cache.
    pub fn looked_up(&self, cache: Cache, is_hit: bool) {
        let result = if is_hit { "hit" } else { "miss" };
        self.cache_lookups
            .with_label_values(&[cache.as_str(), result])
            .inc();
    }

    /// So many readings had to be forgotten since the mount began. Whoever tells it keeps others from
    /// telling it at the same time.
    pub fn forgot_readings(&self, so_far: u64) {
        let told = self.forgotten_readings.get();
        self.forgotten_readings.inc_by(so_far.saturating_sub(told));
    }

    /// All caches were dropped.
    pub fn dropped_caches(&self) {
        self.cache_drops.inc();
    }

    /// All metrics, in the Prometheus text format (version 0.0.4).
    pub fn text(&self, levels: &Levels) -> String {
        self.inodes.set(number(levels.inodes));
        for (kind, count) in Levels::HANDLES.iter().zip(levels.handles) {
            self.handles.with_label_values(&[kind]).set(number(count));
        }
        self.drafts.set(number(levels.drafts.0));
        self.draft_bytes.set(number(levels.drafts.1));
        let (values, listings) = (Cache::Values.as_str(), Cache::Listings.as_str());
        self.cache_bytes
            .with_label_values(&[values])
            .set(number(levels.cached_bytes));
        for (cache, entries) in [
            (values, levels.cached_values),
            (listings, levels.cached_names),
        ] {
            self.cache_entries
                .with_label_values(&[cache])
                .set(number(entries));
        }
        self.scratch_files.set(number(levels.scratch.0));
        self.scratch_bytes.set(number(levels.scratch.1));
        self.moved_away.set(number(levels.moved_away));
        self.rescues.show(&levels.rescues);
        self.readings.set(number(levels.readings.0));
        self.reading_bytes.set(number(levels.readings.1));
        self.uptime.set(number(levels.uptime.as_secs()));
        // It fails only for a family without a name or without a metric, of which there is none.
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_is_shown_from_the_start() {
        let text = Metrics::default().text(&Levels::default());
        let families = text.lines().filter(|line| line.starts_with("# TYPE "));
        assert_eq!(families.count(), 40, "{text}");
    }

    #[test]
    fn what_happened_is_counted_under_its_labels() {
        let metrics = Metrics::default();
        metrics.operation("flush", "EAGAIN", 0, Duration::from_millis(3));
        metrics.request_begins();
        metrics.request_ended(Request::Put, "refused", Duration::from_millis(2));
        metrics.messages(Request::Get, 3, &[500, 200]);
        let text = metrics.text(&Levels::default());
        for line in [
            "etagfs_operations_total{errno=\"EAGAIN\",op=\"flush\"} 1",
            "etagfs_operation_duration_seconds_bucket{op=\"flush\",le=\"0.005\"} 1",
            "etagfs_operation_duration_seconds_bucket{op=\"flush\",le=\"0.001\"} 0",
            "etagfs_store_requests_total{outcome=\"refused\",request=\"put\"} 1",
            "etagfs_store_requests_in_flight 0",
            "etagfs_store_messages_total{request=\"get\"} 3",
            "etagfs_store_answers_total{request=\"get\",status=\"500\"} 1",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
    }
}
