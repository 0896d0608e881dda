//! Lines of many writers, locks, and scratch files.

use super::{Judge, Promise};
use crate::plan::LOGS;
use crate::server::By;
use crate::world::{Did, Errno, Save};

impl Judge<'_> {
    pub(super) fn shared(&mut self) {
        self.lines();
        self.locks();
        self.scratch();
    }

    /// Where everybody appends: each line that was acknowledged is there once, none twice.
    fn lines(&mut self) {
        for at in 0..self.records.len() {
            let record = self.records[at].clone();
            let Did::Save {
                file,
                why,
                want: Some(want),
            } = &record.did
            else {
                continue;
            };
            let path = self.files[*file].path.clone();
            if !LOGS.contains(&path.as_str()) || !want.written {
                continue;
            }
            let now = self
                .value_at(&path, u64::MAX)
                .map(|value| value.bytes.clone());
            let now = String::from_utf8_lossy(&now.unwrap_or_default()).into_owned();
            let is_acknowledged = record.result == Some(Ok(()))
                && matches!(why, Save::Fsync | Save::Close { by_opener: true });
            let is_refused = record.result == Some(Err(Errno::Conflict));
            for line in String::from_utf8_lossy(&want.bytes).lines() {
                let times = now.lines().filter(|other| *other == line).count();
                let totals = &self.world.totals;
                totals.one(&totals.lines);
                let holds = match (is_acknowledged, is_refused) {
                    (true, _) => times == 1,
                    (_, true) => times == 0,
                    _ => times <= 1,
                };
                self.must(holds, Promise::LinesAreThereOnce, at, || {
                    format!("{line} is there {times} times")
                });
            }
        }
    }

    /// Whoever took a lock made it.
    fn locks(&mut self) {
        for at in 0..self.records.len() {
            let record = self.records[at].clone();
            match (&record.did, record.result) {
                (Did::Mkdir { path }, Some(Ok(()))) => {
                    let marker = format!("{path}/");
                    let made = self
                        .events_of(at)
                        .filter(|event| event.key == marker && event.before.is_none())
                        .count();
                    self.must(made >= 1, Promise::LocksHaveOneWinner, at, || {
                        format!("it did not make {marker}")
                    });
                }
                (
                    Did::Save {
                        file,
                        why: Save::Close { by_opener: true },
                        ..
                    },
                    Some(Ok(())),
                ) => {
                    let of = &self.files[*file];
                    if !of.how.exclusive || !of.created || of.scratch || of.left {
                        continue;
                    }
                    let file = *file;
                    // What it made when it was opened, or by a save.
                    let made = self.events.iter().any(|event| {
                        let By::Call(call, _) = event.by else {
                            return false;
                        };
                        let by = self.records.get(call).map(|record| &record.did);
                        let is_its = call == self.files[file].opened
                            || matches!(by, Some(Did::Save { file: of, .. }) if *of == file);
                        is_its && event.before.is_none() && event.stamp < record.ended
                    });
                    self.must(made, Promise::LocksHaveOneWinner, at, || {
                        "it was closed well, and it did not make it".to_owned()
                    });
                }
                _ => {}
            }
        }
    }

    /// A swap file that was closed is there at the end, whatever became of its mount.
    fn scratch(&mut self) {
        for at in 0..self.records.len() {
            let record = self.records[at].clone();
            let Did::Save {
                file,
                why: Save::Close { .. },
                want: Some(want),
            } = &record.did
            else {
                continue;
            };
            let of = &self.files[*file];
            if !of.path.ends_with(".swp") || record.result != Some(Ok(())) || !want.written {
                continue;
            }
            let (mount, path) = (of.mount, of.path.clone());
            let is_there = self.mounts[mount].scratch_files().contains(&path);
            if self.has_crashed(mount, record.epoch) {
                let totals = &self.world.totals;
                totals.one(&totals.scratch);
            }
            self.must(is_there, Promise::ScratchFilesSurvive, at, || {
                format!("{path} is gone")
            });
        }
    }
}
