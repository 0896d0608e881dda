//! Keeps bytes that must not be lost. They go to the local disk. While that has no room they stay in memory,
//! up to a bound, and are written when there is room. Rescues that are too old or too many are dropped, if
//! the administrator said so.
//!
//! It remembers what is known of each rescue, so that a listing reads no bytes. The files are in `rescue.rs`;
//! `loss.rs` decides when bytes are kept.

mod bounds;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

use bytes::Bytes;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::content::Content;
use super::rescue::{Loss, MountedSource, Record, Rescue};
use super::state::StateDir;
use crate::telemetry::{KeptRescues, Telemetry};

pub use bounds::RescueBounds;

/// The first and the longest pause between attempts to write what is in memory; each failure doubles it.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How often rescues that are too old are looked for.
const SWEEP: Duration = Duration::from_secs(60);

/// From this many rescues on, or this many bytes of them, `status` and the metrics warn.
const MANY: (usize, u64) = (1000, 1 << 30);

/// Where rescued bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Whereabouts {
    /// In the state directory.
    Disk,
    /// In the memory of the mount, until there is room on the disk.
    Memory,
    /// Nowhere.
    Lost,
}

/// A rescue that waits for room.
#[derive(Clone, Debug)]
struct WaitingRescue {
    record: Arc<Record>,
    bytes: Bytes,
    /// The rescue on the disk that it replaces there.
    instead_of: Option<String>,
}

#[derive(Debug)]
struct WaitingRescues {
    held: BTreeMap<String, WaitingRescue>,
    /// When writing them is tried again.
    retry_at: Instant,
    wait: Duration,
    sweep_at: Instant,
}

impl WaitingRescues {
    fn bytes(&self) -> u64 {
        self.held.values().map(|held| held.bytes.len() as u64).sum()
    }
}

/// The rescues of a mount.
#[derive(Debug)]
pub(super) struct Keeper {
    disk: Option<Rescue>,
    place: MountedSource,
    bounds: RescueBounds,
    memory: Mutex<WaitingRescues>,
    /// Held while what is in memory is being written.
    settling: Mutex<()>,
    /// Held while the bounds are applied.
    sweeping: Mutex<()>,
    /// What was read of the records on the disk, which never change; `None` for those of another mounted
    /// source.
    known: Mutex<HashMap<String, Option<Arc<Record>>>>,
    telemetry: Arc<Telemetry>,
}

impl Keeper {
    /// The rescues of a mount of `place`, a source on a server.
    pub(super) fn new(
        state: Option<&StateDir>,
        place: MountedSource,
        bounds: RescueBounds,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        let now = Instant::now();
        Self {
            disk: state.map(|state| Rescue::new(state.path())),
            place,
            bounds,
            memory: Mutex::new(WaitingRescues {
                held: BTreeMap::new(),
                retry_at: now,
                wait: RETRY.0,
                sweep_at: now,
            }),
            settling: Mutex::default(),
            sweeping: Mutex::default(),
            known: Mutex::default(),
            telemetry,
        }
    }

    fn memory(&self) -> MutexGuard<'_, WaitingRescues> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// While this is held, a thread that keeps bytes waits as for a disk that does not answer, if there are
    /// bounds.
    #[cfg(test)]
    pub(in crate::vfs) fn stands_still(&self) -> MutexGuard<'_, ()> {
        self.sweeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prepares everything that a rescue needs.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn prepare(&self) -> io::Result<()> {
        self.disk.as_ref().map_or(Ok(()), Rescue::prepare)
    }

    /// Keeps bytes, and returns the name of the rescue once they are safe. The rescue that held them before,
    /// `older`, is forgotten only then.
    pub(super) fn keep(
        &self,
        loss: Loss,
        bytes: &Bytes,
        older: Option<&str>,
        now: OffsetDateTime,
    ) -> (Option<String>, Whereabouts) {
        let (store, key) = (loss.store.clone(), loss.key.clone());
        let written = Record::new(loss, &self.place, bytes.len(), now)
            .map(|record| (self.write(&record, bytes).err(), Arc::new(record)));
        let (error, record) = match written {
            Ok((None, record)) => {
                let id = record.id.clone();
                self.known().insert(id.clone(), Some(record));
                if let Some(older) = older {
                    // A rescue too many does no harm.
                    let _ = self.forget(older);
                }
                self.sweep(now);
                return (Some(id), Whereabouts::Disk);
            }
            Ok((Some(error), record)) => (error, Some(record)),
            Err(error) => (error, None),
        };
        let held = record.and_then(|record| self.hold(record, bytes, older));
        if held.is_some() {
            tracing::error!(%store, %key, rescue = held, %error, "the bytes of a save that did not happen have no room in the state directory: they are in memory until they have");
            return (held, Whereabouts::Memory);
        }
        let size = bytes.len();
        tracing::error!(%store, %key, bytes = size, %error, "the bytes of a save that did not happen could not be kept: they are lost");
        self.telemetry.metrics.rescue_lost();
        (None, Whereabouts::Lost)
    }

    /// Keeps what is already in a file of the state directory, under a second name.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn keep_file(
        &self,
        loss: Loss,
        path: &Path,
        now: OffsetDateTime,
    ) -> io::Result<String> {
        let size = usize::try_from(fs::metadata(path)?.len()).map_err(io::Error::other)?;
        let record = Record::new(loss, &self.place, size, now)?;
        self.disk()?.keep_file(&record, path)?;
        self.sweep(now);
        Ok(record.id)
    }

    fn write(&self, record: &Record, bytes: &[u8]) -> io::Result<()> {
        self.disk()?.keep(record, bytes)
    }

    fn disk(&self) -> io::Result<&Rescue> {
        let disk = self.disk.as_ref();
        disk.ok_or_else(|| io::ErrorKind::ReadOnlyFilesystem.into())
    }

    /// Keeps bytes in memory, if there is room for them. Returns the name of the rescue.
    fn hold(&self, record: Arc<Record>, bytes: &Bytes, older: Option<&str>) -> Option<String> {
        let mut memory = self.memory();
        let before = older.and_then(|id| memory.held.get(id));
        let freed = before.map_or(0, |held| held.bytes.len() as u64);
        if memory.bytes() - freed + bytes.len() as u64 > self.bounds.memory {
            return None;
        }
        let instead_of = match older.and_then(|id| memory.held.remove(id)) {
            Some(before) => before.instead_of,
            None => older.map(str::to_owned),
        };
        let id = record.id.clone();
        let held = WaitingRescue {
            record,
            // Not as a part of something larger.
            bytes: Bytes::copy_from_slice(bytes),
            instead_of,
        };
        memory.held.insert(id.clone(), held);
        memory.wait = RETRY.0;
        memory.retry_at = Instant::now() + memory.wait;
        Some(id)
    }

    /// Forgets a rescue, wherever it is.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn forget(&self, id: &str) -> io::Result<()> {
        let held = self.memory().held.remove(id);
        let on_disk = match held {
            Some(held) => held.instead_of,
            None => Some(id.to_owned()),
        };
        match (on_disk, &self.disk) {
            (Some(id), Some(disk)) => {
                self.known().remove(&id);
                disk.forget(&id)
            }
            _ => Ok(()),
        }
    }

    /// Whether [`settle`](Self::settle) has something to do; if so, the next such answer comes only after a
    /// while.
    pub(super) fn is_due(&self) -> bool {
        let now = Instant::now();
        let mut memory = self.memory();
        let is_retry = !memory.held.is_empty() && memory.retry_at <= now;
        if is_retry {
            memory.retry_at = now + memory.wait;
            memory.wait = (memory.wait * 2).min(RETRY.1);
        }
        let is_sweep = self.bounds.age.is_some() && memory.sweep_at <= now;
        if is_sweep {
            memory.sweep_at = now + SWEEP;
        }
        is_retry || is_sweep
    }

    /// Writes to the disk what waits in memory, and drops what is too old. Returns how many rescues still
    /// wait.
    pub(super) fn settle(&self) -> usize {
        let _settling = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting: Vec<_> = self.memory().held.values().cloned().collect();
        for held in waiting {
            let id = &held.record.id;
            if let Err(error) = self.write(&held.record, &held.bytes) {
                tracing::debug!(rescue = id, %error, "there is still no room for a rescue");
                continue;
            }
            let was_wanted = self.memory().held.remove(id).is_some();
            let gone = match was_wanted {
                true => held.instead_of.as_ref(),
                // Its bytes were saved meanwhile.
                false => Some(id),
            };
            if let Some(gone) = gone {
                // A rescue too many does no harm.
                let _ = self.forget(gone);
            }
            tracing::info!(
                rescue = id,
                "a rescue that was in memory is in the state directory"
            );
        }
        self.sweep(OffsetDateTime::now_utc());
        self.memory().held.len()
    }

    /// Logs the rescues that are lost with this process.
    pub(super) fn say_what_is_lost(&self) {
        for held in self.memory().held.values() {
            let Record { id, store, key, .. } = &*held.record;
            let bytes = held.bytes.len();
            tracing::error!(
                rescue = id,
                store,
                key,
                bytes,
                "the mount ends, and there was no room for a rescue that was in memory: it is lost"
            );
            self.telemetry.metrics.rescue_lost();
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Option<Arc<Record>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rescues on the disk, oldest first, and how many cannot be read.
    fn on_disk(&self) -> (Vec<Arc<Record>>, usize) {
        let Some(disk) = &self.disk else {
            return (Vec::new(), 0);
        };
        let ids = match disk.ids() {
            Ok(ids) => ids,
            Err(error) => {
                // For lack of a descriptor, for example. What was known a moment ago is better than nothing.
                tracing::warn!(%error, "the rescues cannot be listed");
                let known = self.known().values().flatten().cloned().collect::<Vec<_>>();
                return (by_id(known), 0);
            }
        };
        let (mut records, mut odd) = (Vec::new(), 0);
        let mut before = std::mem::take(&mut *self.known());
        let mut known = HashMap::with_capacity(ids.recorded.len());
        for id in &ids.alone {
            odd += usize::from(matches!(self.read_record(disk, id), Err(true)));
        }
        for id in ids.recorded {
            let record = match before.remove(&id) {
                Some(record) => record,
                None => match self.read_record(disk, &id) {
                    Ok(record) => record,
                    Err(is_there) => {
                        odd += usize::from(is_there);
                        continue;
                    }
                },
            };
            records.extend(record.clone());
            known.insert(id, record);
        }
        // What another thread learned meanwhile is learned again when needed.
        *self.known() = known;
        (records, odd)
    }

    /// The record of a rescue, `None` if it belongs to another mounted source; else whether there is
    /// anything.
    fn read_record(&self, disk: &Rescue, id: &str) -> Result<Option<Arc<Record>>, bool> {
        match disk.record(id) {
            Ok(record) => {
                let is_ours = self.place.is(&record.source, record.server.as_ref());
                Ok(is_ours.then(|| Arc::new(record)))
            }
            Err(odd) => Err(odd.is_some()),
        }
    }

    /// All rescues of this source, oldest first, on the disk or in memory. No bytes are read.
    pub(super) fn list(&self) -> Vec<Arc<Record>> {
        let (mut records, _) = self.on_disk();
        let held = self.memory();
        records.extend(held.held.values().map(|held| Arc::clone(&held.record)));
        let mut records = by_id(records);
        records.dedup_by(|one, other| one.id == other.id);
        records
    }

    /// What is known of one of them. No bytes are read.
    pub(super) fn get(&self, id: &str) -> Option<Arc<Record>> {
        if let Some(held) = self.memory().held.get(id) {
            return Some(Arc::clone(&held.record));
        }
        let disk = self.disk.as_ref()?;
        let known = self.known().get(id).cloned();
        match known {
            Some(record) if disk.has(id) => record,
            Some(_) => {
                self.known().remove(id);
                None
            }
            None => {
                let record = self.read_record(disk, id).ok()?;
                self.known().insert(id.to_owned(), record.clone());
                record
            }
        }
    }

    /// The bytes of one of them, to read piece by piece.
    ///
    /// # Errors
    /// Any error of the local file system; `NotFound`.
    pub(super) fn open(&self, id: &str) -> io::Result<Content> {
        if let Some(held) = self.memory().held.get(id) {
            return Ok(Content::Shared(held.bytes.clone()));
        }
        match &self.disk {
            Some(disk) => Content::of_file(disk.open(id)?),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// How much is kept, and where.
    pub(super) fn levels(&self) -> KeptRescues {
        let (records, unreadable) = self.on_disk();
        let bytes = records.iter().map(|record| record.size).sum();
        let memory = self.memory();
        let (count, limit) = MANY;
        KeptRescues {
            disk: (records.len(), bytes),
            memory: (memory.held.len(), memory.bytes()),
            unreadable,
            is_warning: records.len() >= count || bytes >= limit || !memory.held.is_empty(),
        }
    }
}

fn by_id(mut records: Vec<Arc<Record>>) -> Vec<Arc<Record>> {
    records.sort_by(|one, other| one.id.cmp(&other.id));
    records
}

/// When bytes were rescued.
pub(super) fn time_of(record: &Record) -> Option<SystemTime> {
    let time = OffsetDateTime::parse(&record.time, &Rfc3339).ok()?;
    Some(time.into())
}

/// A warning about how much is kept, if there is one.
pub(super) fn warning(levels: &KeptRescues) -> Option<String> {
    if !levels.is_warning {
        return None;
    }
    let mut text = String::new();
    if levels.memory.0 > 0 {
        text = format!(
            "{} rescues ({} bytes) are in memory only, since the state directory has no room for them: make room before the mount ends. ",
            levels.memory.0, levels.memory.1
        );
    }
    if levels.disk.0 >= MANY.0 || levels.disk.1 >= MANY.1 {
        text += &format!(
            "{} rescues ({} bytes) are in the state directory: drop what nobody wants, or bound them by --rescue-count, --rescue-size, --rescue-age",
            levels.disk.0, levels.disk.1
        );
    }
    Some(text.trim_end().to_owned())
}
