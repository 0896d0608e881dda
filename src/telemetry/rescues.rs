//! The metrics of rescues: how many bytes are kept that could not be saved, and what became of the rest.
//!
//! Counted are the rescues of one source, not those that other mounts keep in the same directory.

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::maker::{Maker, number};

/// Why a rescue was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// There were too many.
    Count,
    /// They were too large together.
    Bytes,
    /// It was too old.
    Age,
}

impl Bound {
    const ALL: [Self; 3] = [Self::Count, Self::Bytes, Self::Age];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Bytes => "bytes",
            Self::Age => "age",
        }
    }
}

/// How many rescues are kept at one moment, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptRescues {
    /// In the state directory.
    pub disk: (usize, u64),
    /// In memory, until there is room in the state directory.
    pub memory: (usize, u64),
    /// What lies there and cannot be read.
    pub unreadable: usize,
    /// Whether somebody should look at them.
    pub is_warning: bool,
}

#[derive(Debug)]
pub(super) struct Rescues {
    kept: IntCounter,
    lost: IntCounter,
    dropped: IntCounterVec,
    count: IntGaugeVec,
    bytes: IntGaugeVec,
    unreadable: IntGauge,
    warning: IntGauge,
}

impl Rescues {
    pub(super) fn new(make: &Maker<'_>) -> Self {
        let made = Self {
            kept: make.counter(
                "etagfs_rescues_total",
                "Values that could not be saved and were kept on this machine.",
            ),
            lost: make.counter(
                "etagfs_rescues_lost_total",
                "Values that could neither be saved nor kept.",
            ),
            dropped: make.counters(
                "etagfs_rescues_dropped_total",
                "Rescues that were dropped because of a bound that the administrator set.",
                &["bound"],
            ),
            count: make.gauges(
                "etagfs_kept_rescues",
                "Rescues of this source that are kept.",
                "place",
            ),
            bytes: make.gauges(
                "etagfs_kept_rescue_bytes",
                "Bytes of the rescues of this source.",
                "place",
            ),
            unreadable: make.gauge(
                "etagfs_rescues_unreadable",
                "Rescues in the state directory that cannot be read.",
            ),
            warning: make.gauge(
                "etagfs_rescues_warning",
                "1 when there are many rescues, or no room for them on the disk.",
            ),
        };
        for bound in Bound::ALL.map(Bound::as_str) {
            made.dropped.with_label_values(&[bound]);
        }
        made
    }

    pub(super) fn was_kept(&self) {
        self.kept.inc();
    }

    pub(super) fn was_lost(&self) {
        self.lost.inc();
    }

    pub(super) fn was_dropped(&self, bound: Bound) {
        self.dropped.with_label_values(&[bound.as_str()]).inc();
    }

    pub(super) fn total(&self) -> u64 {
        self.kept.get()
    }

    pub(super) fn show(&self, levels: &KeptRescues) {
        for (place, (count, bytes)) in [("disk", levels.disk), ("memory", levels.memory)] {
            self.count.with_label_values(&[place]).set(number(count));
            self.bytes.with_label_values(&[place]).set(number(bytes));
        }
        self.unreadable.set(number(levels.unreadable));
        self.warning.set(i64::from(levels.is_warning));
    }
}
