//! The bounds on rescues, if the administrator set any, and which rescues are dropped.

use std::io;
use std::sync::PoisonError;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Keeper, Record};
use crate::telemetry::Bound;

/// How many rescues there may be.
#[derive(Clone, Copy, Debug, Default)]
pub struct RescueBounds {
    /// On the disk; `None` for any number.
    pub count: Option<u64>,
    /// Their bytes on the disk.
    pub bytes: Option<u64>,
    /// For how long they are kept.
    pub age: Option<Duration>,
    /// Bytes that may wait in memory until there is room on the disk.
    pub memory: u64,
}

impl Keeper {
    /// Drops what exceeds the bounds, the oldest first. The newest one stays, however large it is.
    pub(super) fn sweep(&self, now: OffsetDateTime) {
        let RescueBounds {
            count, bytes, age, ..
        } = self.bounds;
        if count.is_none() && bytes.is_none() && age.is_none() {
            return;
        }
        let _sweeping = self.sweeping.lock().unwrap_or_else(PoisonError::into_inner);
        let (records, _) = self.on_disk();
        let mut left = records.len() as u64;
        let mut size: u64 = records.iter().map(|record| record.size).sum();
        let newest = records.len().saturating_sub(1);
        for (n, record) in records.iter().enumerate() {
            let is_newest = n == newest;
            let since = OffsetDateTime::parse(&record.time, &Rfc3339).ok();
            let is_old = || Some(now - since? > age?);
            let bound = match () {
                () if !is_newest && count.is_some_and(|most| left > most) => Bound::Count,
                () if !is_newest && bytes.is_some_and(|most| size > most) => Bound::Bytes,
                () if is_old() == Some(true) => Bound::Age,
                () => break,
            };
            let Record { id, store, key, .. } = &**record;
            let gone = self.forget(id);
            if let Err(error) = &gone
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(rescue = id, %error, "a rescue could not be dropped");
                continue;
            }
            left -= 1;
            size -= record.size;
            if gone.is_err() {
                // It was dropped or applied meanwhile.
                continue;
            }
            let bound_name = bound.as_str();
            tracing::warn!(
                rescue = id,
                store,
                key,
                bytes = record.size,
                why = bound_name,
                "a rescue was dropped: there may be no more, or none as old"
            );
            self.telemetry.metrics.rescue_dropped(bound);
        }
    }
}
