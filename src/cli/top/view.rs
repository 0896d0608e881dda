//! What `etagfs top` tells of a mount: numbers with their meaning, as JSON has them and as `text.rs`
//! writes them down.
//!
//! Pure. It knows the metrics of `telemetry/metrics.rs` by name.

use serde::Serialize;

use super::heat::Heat;
use super::sample::Between;

/// The quantile of durations that is shown.
const MOST: f64 = 0.95;

/// What is shown.
#[derive(Clone, Debug, Serialize)]
pub(super) struct View {
    /// What is mounted.
    pub(super) source: String,
    /// Where.
    pub(super) at: String,
    /// How long it has been there.
    pub(super) uptime_seconds: f64,
    /// Over how long rates and times were measured.
    pub(super) interval_seconds: f64,
    /// Operations of the kernel, most frequent first.
    pub(super) operations: Vec<Rate>,
    /// Operations that wait now.
    pub(super) waiting: f64,
    /// Errnos, and how many operations were answered with each in a second.
    pub(super) errors: Vec<Share>,
    /// Requests to the store, most frequent first.
    pub(super) requests: Vec<Rate>,
    /// What they came to, in a second.
    pub(super) outcomes: Vec<Share>,
    /// Requests under way now.
    pub(super) in_flight: f64,
    /// Bytes of values in a second.
    pub(super) sent_bytes_per_second: f64,
    /// Bytes of values in a second.
    pub(super) received_bytes_per_second: f64,
    /// Since the mount began, and in the interval.
    pub(super) saves: Vec<Count>,
    /// How often caches had what was looked for.
    pub(super) caches: Vec<Hits>,
    /// Memory of cached values.
    pub(super) cache_bytes: f64,
    /// Open files whose bytes are not saved.
    pub(super) drafts: f64,
    /// Their bytes.
    pub(super) draft_bytes: f64,
    /// Open files and directories.
    pub(super) open_handles: f64,
    /// Files of this mount alone.
    pub(super) scratch_files: f64,
    /// The hottest keys, hottest first.
    pub(super) keys: Vec<Heat>,
}

/// How often something happened, and how long it took.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Rate {
    pub(super) name: String,
    pub(super) per_second: f64,
    /// None when nothing ended in the interval.
    pub(super) mean_ms: Option<f64>,
    /// The end of the bucket below which 95 of 100 lie; none above the last bucket.
    pub(super) p95_ms: Option<f64>,
}

/// One of several things that something came to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Share {
    pub(super) name: String,
    pub(super) per_second: f64,
}

/// A counter.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Count {
    pub(super) name: &'static str,
    pub(super) total: f64,
    pub(super) of_late: f64,
}

/// How a cache did.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Hits {
    pub(super) name: String,
    pub(super) hits: f64,
    pub(super) misses: f64,
}

impl View {
    pub(super) fn new(source: &str, at: &str, between: &Between<'_>, keys: Vec<Heat>) -> Self {
        let now = |name: &str| between.after.sum(name, None);
        let operations = rates(
            between,
            "etagfs_operations_total",
            "etagfs_operation_duration_seconds",
            "op",
        );
        let requests = rates(
            between,
            "etagfs_store_requests_total",
            "etagfs_store_request_duration_seconds",
            "request",
        );
        let bytes =
            |direction| between.rate("etagfs_store_bytes_total", Some(("direction", direction)));
        let mut errors = shares(between, "etagfs_operations_total", "errno");
        errors.retain(|share| share.name != "OK");
        let count = |name, metric: &str| Count {
            name,
            total: now(metric),
            of_late: between.growth(metric, None),
        };
        Self {
            source: source.to_owned(),
            at: at.to_owned(),
            uptime_seconds: now("etagfs_uptime_seconds"),
            interval_seconds: between.time.as_secs_f64(),
            operations,
            waiting: now("etagfs_operations_waiting"),
            errors,
            requests,
            outcomes: shares(between, "etagfs_store_requests_total", "outcome"),
            in_flight: now("etagfs_store_requests_in_flight"),
            sent_bytes_per_second: bytes("sent"),
            received_bytes_per_second: bytes("received"),
            saves: vec![
                count("saves", "etagfs_saves_total"),
                count("conflicts", "etagfs_conflicts_total"),
                count("unknown", "etagfs_unknown_saves_total"),
                count("failed", "etagfs_failed_saves_total"),
                count("rescues", "etagfs_rescues_total"),
                count("merged", "etagfs_merged_appends_total"),
            ],
            caches: caches(between),
            cache_bytes: now("etagfs_cache_bytes"),
            drafts: now("etagfs_drafts"),
            draft_bytes: now("etagfs_draft_bytes"),
            open_handles: now("etagfs_open_handles"),
            scratch_files: now("etagfs_scratch_files"),
            keys,
        }
    }
}

/// Of each value of a label: how often, and how long.
fn rates(between: &Between<'_>, counter: &str, histogram: &str, label: &str) -> Vec<Rate> {
    let names = between.after.values(counter, label);
    let mut rates: Vec<_> = names
        .into_iter()
        .map(|name| {
            let of = (label, &*name);
            let most = between.quantile_ms(histogram, of, MOST);
            Rate {
                per_second: between.rate(counter, Some(of)),
                mean_ms: between.mean_ms(histogram, of),
                p95_ms: most.filter(|most| most.is_finite()),
                name,
            }
        })
        .filter(|rate| rate.per_second > 0.0)
        .collect();
    rates.sort_by(|one, two| two.per_second.total_cmp(&one.per_second));
    rates
}

fn shares(between: &Between<'_>, counter: &str, label: &str) -> Vec<Share> {
    let names = between.after.values(counter, label);
    let mut shares: Vec<_> = names
        .into_iter()
        .map(|name| Share {
            per_second: between.rate(counter, Some((label, &name))),
            name,
        })
        .filter(|share| share.per_second > 0.0)
        .collect();
    shares.sort_by(|one, two| two.per_second.total_cmp(&one.per_second));
    shares
}

/// Since the mount began: of a second there is too little to tell.
fn caches(between: &Between<'_>) -> Vec<Hits> {
    const LOOKUPS: &str = "etagfs_cache_lookups_total";
    let of = |cache: &str, result| {
        between
            .after
            .both(LOOKUPS, ("cache", cache), ("result", result))
    };
    let names = between.after.values(LOOKUPS, "cache");
    names
        .into_iter()
        .map(|name| Hits {
            hits: of(&name, "hit"),
            misses: of(&name, "miss"),
            name,
        })
        .collect()
}
