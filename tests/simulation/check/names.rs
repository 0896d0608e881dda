//! What is absent is absent in the store, or this mount knows better (R3).

use std::time::Duration;

use super::{Judge, Promise};
use crate::server::Stamp;
use crate::world::{Did, Errno, Record};

impl Judge<'_> {
    pub(super) fn names(&mut self) {
        for at in 0..self.records.len() {
            let record = self.records[at].clone();
            if let (Did::List { dir, names }, Some(Ok(()))) = (&record.did, record.result) {
                self.listed(at, &record, dir, names);
            }
            if record.result != Some(Err(Errno::Absent)) {
                continue;
            }
            let path = match &record.did {
                Did::Open { path, .. }
                | Did::Truncate { path, .. }
                | Did::Unlink { path }
                | Did::Rmdir { path }
                | Did::Describe { path }
                | Did::Look { path } => path,
                Did::Rename { from, .. } => from,
                _ => continue,
            };
            let holds = self.may_be_absent(&record, path) || self.lacks_its_directory(&record);
            self.must(holds, Promise::AbsentMeansAbsent, at, || {
                format!("{path} was there all the time")
            });
        }
    }

    fn listed(&mut self, at: usize, record: &Record, dir: &str, names: &[String]) {
        for key in crate::plan::KEYS.into_iter().chain(crate::plan::LOGS) {
            let (of, name) = key.split_once('/').unwrap_or(("", key));
            if of != dir || names.iter().any(|listed| listed == name) {
                continue;
            }
            let holds = self.may_be_absent(record, key);
            self.must(holds, Promise::AbsentMeansAbsent, at, || {
                format!("{key} is not listed, and was there all the time")
            });
        }
    }

    /// Whether a name was absent at some moment that an answer may be from.
    fn may_be_absent(&self, record: &Record, path: &str) -> bool {
        let since = record
            .at
            .saturating_sub(self.world.plan.ttl + Duration::from_millis(1));
        let from = self.stamp_at(since).min(record.begun);
        let below = format!("{path}/");
        let keys: Vec<_> = self
            .of_key
            .keys()
            .filter(|key| *key == path || key.starts_with(&below))
            .collect();
        let changes = keys.iter().flat_map(|key| &self.of_key[*key]);
        let moments = changes
            .map(|at| self.events[*at].stamp)
            .filter(|stamp| (from..=record.ended).contains(stamp))
            // Just after each change.
            .map(|stamp| stamp + 1)
            .chain([from]);
        let is_absent = |stamp: Stamp| keys.iter().all(|key| self.value_at(key, stamp).is_none());
        moments.into_iter().any(is_absent) || is_local(path) || self.is_away(record, path)
    }

    /// Whether a file was to be moved into a directory that may be absent.
    fn lacks_its_directory(&self, record: &Record) -> bool {
        let Did::Rename { to, .. } = &record.did else {
            return false;
        };
        let Some((dir, _)) = to.split_once('/') else {
            return false;
        };
        let below = format!("{dir}/");
        let keys: Vec<_> = self
            .of_key
            .keys()
            .filter(|key| key.starts_with(&below))
            .collect();
        // All of them at once would be more than enough.
        keys.iter().all(|key| self.may_be_absent(record, key))
    }

    fn stamp_at(&self, time: Duration) -> Stamp {
        let before = self.records.iter().filter(|record| record.at <= time);
        before.map(|record| record.begun).max().unwrap_or(0)
    }

    /// Whether this mount has moved the name away.
    fn is_away(&self, record: &Record, path: &str) -> bool {
        self.records.iter().any(|one| {
            (one.mount, one.epoch) == (record.mount, record.epoch)
                && one.begun < record.ended
                && matches!(&one.did, Did::Rename { from, to, .. } if from == path && to.ends_with('~'))
                && one.result != Some(Err(Errno::Absent))
        })
    }
}

/// Whether a name may be one of a file of one mount alone.
fn is_local(path: &str) -> bool {
    path.ends_with('~') || path.ends_with(".swp") || path.starts_with(".t.")
}
