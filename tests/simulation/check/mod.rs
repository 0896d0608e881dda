//! The contract (`docs/semantics.md`), held against a history that has ended.
//!
//! It judges by what the store did and by what each process was told, and asks the code under test nothing.
//! What the contract excepts by name is excepted here by the same name.

mod bases;
mod names;
mod reads;
mod saves;
mod shared;
mod shown;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::mount::{Mount, PATIENCE};
use super::server::{By, Event, Stamp, Value};
use super::world::{Errno, File, Record, World};

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Promise {
    /// A success is in the bucket, exactly once (W6, W10).
    AcknowledgedIsSavedOnce,
    /// What was refused never happens (W6).
    RefusedNeverHappens,
    /// A save replaces nothing that its process was not shown (W1, W5).
    NothingUnseenIsReplaced,
    /// What could not be saved is rescued whole, or was saved after all (W5, W16).
    LostBytesAreRescued,
    /// A rescue is complete or absent (A2).
    RescuesAreWhole,
    /// ENOENT means that the store said so (R3).
    AbsentMeansAbsent,
    /// One of several wins a lock (W15).
    LocksHaveOneWinner,
    /// Each appended line is there once, if it was acknowledged, and never more often (W7).
    LinesAreThereOnce,
    /// A descriptor shows one version, and an open the newest (R1, R2).
    OneVersionIsRead,
    /// Every call is answered in time (A1).
    AnswersInTime,
    /// A crash leaves the scratch files (W9).
    ScratchFilesSurvive,
    /// What is sent for a save is what its process wrote.
    NothingElseIsSaved,
    /// No emptied or half-written value is sent (W3).
    NoHalfValueIsSent,
}

/// A promise that does not hold.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    pub(crate) promise: Promise,
    pub(crate) what: String,
}

/// A history, as it can be asked.
struct Judge<'a> {
    world: &'a World,
    mounts: &'a [Arc<Mount>],
    records: Vec<Record>,
    files: Vec<File>,
    events: Vec<Event>,
    /// The changes of each key, by their places in the history.
    of_key: HashMap<String, Vec<usize>>,
    /// The changes that each call made.
    of_call: HashMap<usize, Vec<usize>>,
    rescues: Vec<Vec<Vec<u8>>>,
    broken: Option<Broken>,
}

/// Holds the contract against a history; the first promise that it breaks.
pub(crate) fn check(world: &World, mounts: &[Arc<Mount>]) -> Option<Broken> {
    let events = world.server.history();
    let (mut of_key, mut of_call) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
    for (at, event) in events.iter().enumerate() {
        of_key.entry(event.key.clone()).or_default().push(at);
        if let By::Call(call, _) = event.by {
            of_call.entry(call).or_default().push(at);
        }
    }
    let mut judge = Judge {
        world,
        mounts,
        records: world.records().clone(),
        files: world.files().clone(),
        rescues: mounts.iter().map(|mount| mount.rescues()).collect(),
        events,
        of_key,
        of_call,
        broken: None,
    };
    judge.times();
    judge.saves();
    judge.bases();
    judge.reads();
    judge.names();
    judge.shared();
    judge.count();
    judge.broken
}

impl Judge<'_> {
    fn must(
        &mut self,
        holds: bool,
        promise: Promise,
        record: usize,
        what: impl FnOnce() -> String,
    ) {
        if !holds && self.broken.is_none() {
            let Record {
                step, mount, pid, ..
            } = self.records[record];
            self.broken = Some(Broken {
                promise,
                what: format!("{} (step {step}, mount {mount}, pid {pid})", what()),
            });
        }
    }

    /// Every call is answered within the patience of the kernel for each of its requests.
    fn times(&mut self) {
        // A look-up of a directory, one of a name, and the request itself; twice after ESTALE. The lock of a
        // directory is held by others meanwhile.
        let most = PATIENCE * 3 + Duration::from_secs(5);
        for at in 0..self.records.len() {
            let record = &self.records[at];
            if record.pid == 0 {
                continue;
            }
            let (is_over, took) = (
                record.result.is_some(),
                record.until.saturating_sub(record.at),
            );
            let is_release = matches!(
                record.did,
                super::world::Did::Save {
                    why: super::world::Save::Release,
                    ..
                }
            );
            self.must(
                (is_over && took <= most) || is_release,
                Promise::AnswersInTime,
                at,
                || format!("it took {took:?}"),
            );
        }
    }

    /// What a key was just before some point.
    fn value_at(&self, key: &str, stamp: Stamp) -> Option<&Value> {
        let changes = self.of_key.get(key)?;
        let n = changes.partition_point(|at| self.events[*at].stamp < stamp);
        let last = n.checked_sub(1)?;
        self.events[changes[last]].after.as_ref()
    }

    /// All that a key was from one point to another.
    fn values_in(&self, key: &str, from: Stamp, to: Stamp) -> Vec<Option<&Value>> {
        let mut all = vec![self.value_at(key, from)];
        let changes = self.of_key.get(key).map_or(&[][..], Vec::as_slice);
        let within = changes
            .iter()
            .map(|at| &self.events[*at])
            .filter(|event| (from..=to).contains(&event.stamp));
        all.extend(within.map(|event| event.after.as_ref()));
        all
    }

    fn events_of(&self, call: usize) -> impl Iterator<Item = &Event> {
        let events = self.of_call.get(&call).map_or(&[][..], Vec::as_slice);
        events.iter().map(|at| &self.events[*at])
    }

    /// Whether a daemon of this mount died or ended while it was this one.
    fn has_crashed(&self, mount: usize, epoch: u32) -> bool {
        let later = |record: &Record| record.mount == mount && record.epoch > epoch;
        let unconnected = |record: &Record| {
            (record.mount, record.epoch) == (mount, epoch)
                && record.result == Some(Err(Errno::NotConnected))
        };
        self.mounts[mount].epoch() > epoch
            || self
                .records
                .iter()
                .any(|record| later(record) || unconnected(record))
    }

    /// What happened, for the totals.
    fn count(&self) {
        use super::world::Did;
        let totals = &self.world.totals;
        for record in &self.records {
            let Some(result) = record.result else {
                continue;
            };
            let one = match (&record.did, result) {
                (_, Err(Errno::Absent)) => &totals.absent,
                (Did::Mkdir { .. }, Ok(())) => &totals.locks,
                (Did::Mkdir { .. }, Err(Errno::Exists)) => &totals.locks_refused,
                (Did::Open { how, .. }, Err(Errno::Exists)) if how.exclusive => {
                    &totals.locks_refused
                }
                (_, Err(Errno::Conflict)) => &totals.refused,
                (_, Err(Errno::Io | Errno::TimedOut)) => &totals.failed,
                (Did::Read { whole: true, .. }, Ok(())) => &totals.read,
                (Did::Rename { .. }, Ok(())) => &totals.renamed,
                (Did::Unlink { .. }, Ok(())) => &totals.removed,
                _ => continue,
            };
            totals.one(one);
        }
        for event in &self.events {
            if let By::Call(call, copy) = event.by {
                let record = self.records.get(call);
                if record.is_some_and(|record| record.ended < event.stamp) || copy > 0 {
                    totals.one(&totals.late);
                }
                totals.one(&totals.saved);
            }
        }
        for _ in self.rescues.iter().flatten() {
            totals.one(&totals.rescues);
        }
    }
}
