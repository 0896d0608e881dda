//! Which process was shown which version (W1, W5).
//!
//! A save that starts from nothing (a truncating open, a file renamed over a key) replaces the version that
//! its process was shown, else the version that its nearest relatives in its job were shown, else the current
//! one. [`Seen`] remembers what was shown: each first read is noted here, and each such save asks. `mount`
//! finds out which process a request comes from.
//!
//! Relatives matter because a job may do several things at once: in `worker & worker & wait`, each worker
//! reads and saves for itself (`n=$(cat f); echo $((n+1)) > f`), and one was not shown what the other read.
//! The nearest relative is the one that shares the closest ancestor with the writer: the `cat` of the
//! writer's own shell.
//!
//! **What was shown first was shown.** Many programs copy a file aside just before they overwrite it with a
//! text that is older than the copy. So when a process that was shown one version reads another, that reading
//! is in *doubt*: if the same process writes exactly these bytes into another file, it only copied them, and
//! its memory, its family's and its job's become what they were before. A second reading of that version ends
//! the doubt, and so does a reading of the copy.
//!
//! **A process that missed a key was shown that it is absent.** A program that finds no file begins with
//! nothing, and its save would undo what another writer created meanwhile. This counts for its whole family,
//! because programs let their children create what they miss. It counts only if no relative knows a version,
//! because `mv` looks up its target and must not forget what its script read. And it does not count for
//! deletes, because whoever deletes has seen that the key exists by now.

mod lineage;
mod memory;
mod order;
mod packed;
mod slab;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use lru::LruCache;
use sha2::{Digest as _, Sha256};

pub use memory::Room;
use memory::{AtLevels, Digest, How, ReadMemory};

use super::who::{Caller, FAMILY, LEVELS, Level, Levels, Living, PROCESS, Process};
use super::{Base, Precondition, Version};

/// The bytes of a value, as their number and a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// How many.
    pub len: u64,
    digest: [u8; 32],
}

impl Fingerprint {
    /// The fingerprint of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut tracing = Tracing::default();
        tracing.add(bytes);
        tracing.done()
    }
}

/// A [`Fingerprint`] of bytes that arrive one after the other.
#[derive(Clone, Debug, Default)]
pub struct Tracing {
    len: u64,
    digest: Sha256,
}

impl Tracing {
    /// The next bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.len += bytes.len() as u64;
        self.digest.update(bytes);
    }

    /// How many there were.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The fingerprint of all bytes.
    pub fn done(self) -> Fingerprint {
        Fingerprint {
            len: self.len,
            digest: self.digest.finalize().into(),
        }
    }
}

/// A process that was shown a version has read another one, perhaps only to copy it.
#[derive(Clone, Debug)]
struct Doubt<K> {
    caller: Caller,
    key: K,
    version: Version,
    bytes: Option<Fingerprint>,
    /// What was known at each level of the caller, and how.
    before: [Option<(Precondition, How)>; LEVELS],
}

/// How many doubts are remembered. A reading that is in doubt for longer counts.
const DOUBTS: usize = 4096;

/// What each process, each family and each job was last shown of each key. `K` names a key of the mount.
///
/// Where a method takes several callers, their memories count for one save, in this order: the process that
/// saves, and for a rename then the process that created the temporary file.
///
/// A version that an EAGAIN reported counts as shown (W5), and so does the process's own save. Neither counts
/// for a process that was never shown the key: a blind writer stays blind. Otherwise one lost race would turn
/// every later `echo > f` of its process into a refusal.
#[derive(Clone, Debug)]
pub struct Seen<K> {
    secret: u128,
    memory: ReadMemory,
    doubts: LruCache<(Process, Digest), Doubt<K>>,
}

/// A hash of everything that is written to it.
#[derive(Default)]
struct Hashed(Sha256);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        // Never asked: `Seen` takes more of it.
        0
    }
}

impl<K: Hash + Eq + Clone> Seen<K> {
    /// Remembers as much as fits into `bytes` of memory. `secret` is a random number, so that nobody can
    /// choose keys that collide.
    pub fn new(bytes: usize, secret: u128, living: Arc<dyn Living>) -> Self {
        Self {
            secret,
            memory: ReadMemory::new(bytes, living),
            doubts: LruCache::unbounded(),
        }
    }

    /// How much is remembered.
    pub fn room(&self) -> Room {
        self.memory.room()
    }

    fn digest(&self, key: &K) -> Digest {
        let mut hashed = Hashed::default();
        hashed.write(&self.secret.to_ne_bytes());
        key.hash(&mut hashed);
        let digest: [u8; 32] = hashed.0.finalize().into();
        let word = |at: usize| {
            let bytes = digest[at..].first_chunk().copied();
            u64::from_ne_bytes(bytes.unwrap_or_default())
        };
        [word(0), word(8)]
    }

    /// The caller read this version of the key. Returns whether the reading is in doubt: then report the
    /// bytes with [`note_bytes`](Self::note_bytes).
    pub fn show(&mut self, caller: &Caller, key: &K, version: &Version) -> bool {
        let digest = self.digest(key);
        // What it read before was not only for this copy.
        self.doubts.pop(&(caller.process, digest));
        let found = self.memory.find(caller, digest);
        let before = self.certain(caller, digest, &found);
        let now = Precondition::Is(version.clone());
        let is_doubtful = before.iter().flatten().any(|(known, _)| *known != now);
        let how = match is_doubtful {
            true => How::Doubtfully,
            false => How::Surely,
        };
        self.memory
            .put(caller, caller.levels(), (digest, found), &now, how);
        if is_doubtful {
            let doubt = Doubt {
                caller: *caller,
                key: key.clone(),
                version: version.clone(),
                bytes: None,
                before,
            };
            self.doubts.put((caller.process, digest), doubt);
            if self.doubts.len() > DOUBTS {
                self.doubts.pop_lru();
            }
        }
        is_doubtful
    }

    /// The caller was shown that there is no such key.
    pub fn miss(&mut self, caller: &Caller, key: &K) {
        let digest = self.digest(key);
        let found = self.memory.find(caller, digest);
        let nearest = found.into_iter().find(|id| *id != 0);
        if nearest.is_some_and(|id| self.memory.version(id) != Precondition::Absent) {
            return;
        }
        let mut levels = caller.levels().without(Levels::one(PROCESS));
        for (level, id) in found.into_iter().enumerate() {
            if id != 0 && !self.memory.is_miss(id) {
                levels = levels.without(Levels::one(level));
            }
        }
        if !levels.is_none() {
            let now = Precondition::Absent;
            self.memory
                .put(caller, levels, (digest, found), &now, How::Missed);
        }
    }

    /// Whether the caller knows nothing of a key but that it missed it.
    pub fn has_missed(&mut self, caller: &Caller, key: &K) -> bool {
        let digest = self.digest(key);
        let found = self.memory.find(caller, digest);
        let nearest = found.into_iter().find(|id| *id != 0);
        nearest.is_some_and(|id| self.memory.is_miss(id))
    }

    /// What is known at each level of a caller, and how, if all doubts of others are justified.
    fn certain(
        &self,
        caller: &Caller,
        key: Digest,
        found: &AtLevels,
    ) -> [Option<(Precondition, How)>; LEVELS] {
        std::array::from_fn(|level| {
            let id = found[level];
            if id == 0 {
                return None;
            }
            let version = self.memory.version(id);
            let before = self.doubt_of(id, key).and_then(|doubt| {
                let shared = doubt.caller.shares(Levels::ALL, caller, Levels::one(level));
                let at = shared.each().next()?;
                doubt.before[at].clone()
            });
            let how = match self.memory.is_miss(id) {
                true => How::Missed,
                false => How::Surely,
            };
            before.or(Some((version, how)))
        })
    }

    /// The doubt about a reading, if any is left.
    fn doubt_of(&self, id: u32, key: Digest) -> Option<&Doubt<K>> {
        if !self.memory.is_doubtful(id) {
            return None;
        }
        let reader = self.memory.reader(id);
        let doubt = self.doubts.peek(&(reader.process, key))?;
        let is_it =
            doubt.caller == *reader && self.memory.version(id).version() == Some(&doubt.version);
        is_it.then_some(doubt)
    }

    /// Notes the bytes of the version that the process read last, and that is in doubt.
    pub fn note_bytes(&mut self, process: Process, key: &K, bytes: Fingerprint) {
        let digest = self.digest(key);
        if let Some(doubt) = self.doubts.peek_mut(&(process, digest)) {
            doubt.bytes = Some(bytes);
        }
    }

    /// The process read this copy of a version: it did not only copy it.
    pub fn read_copy(&mut self, caller: &Caller, key: &K, version: &Version) {
        self.show(caller, key, version);
        let digest = self.digest(key);
        self.doubts.pop(&(caller.process, digest));
    }

    /// Whether a file of `len` bytes (of the key `of`, if of any) may be a copy by this process.
    pub fn may_copy(&self, process: Process, of: Option<&K>, len: u64) -> bool {
        self.doubts.iter().any(|((by, _), doubt)| {
            *by == process
                && Some(&doubt.key) != of
                && doubt.bytes.is_some_and(|bytes| bytes.len == len)
        })
    }

    /// Whether any reading is in doubt.
    pub fn is_anybody_in_doubt(&self) -> bool {
        !self.doubts.is_empty()
    }

    /// The processes whose reading of a key is in doubt.
    pub fn in_doubt(&self, key: &K) -> Vec<Process> {
        if self.doubts.is_empty() {
            return Vec::new();
        }
        let digest = self.digest(key);
        let doubts = self.doubts.iter().filter(|((_, of), _)| *of == digest);
        doubts.map(|((process, _), _)| *process).collect()
    }

    /// The process wrote these bytes into a file (of the key `into`, if of any). If a reading of another key
    /// is in doubt and has these bytes, it does not count as shown. Returns that reading.
    pub fn copied(
        &mut self,
        process: Process,
        into: Option<&K>,
        bytes: &Fingerprint,
    ) -> Vec<(K, Version)> {
        let is_it = |((by, _), doubt): &(&(Process, Digest), &Doubt<K>)| {
            *by == process && Some(&doubt.key) != into && doubt.bytes.as_ref() == Some(bytes)
        };
        let found: Vec<_> = self
            .doubts
            .iter()
            .filter(is_it)
            .map(|(at, _)| *at)
            .collect();
        let doubts = found
            .into_iter()
            .filter_map(|at| Some((at.1, self.doubts.pop(&at)?)));
        let doubts: Vec<_> = doubts.collect();
        let mut copied = Vec::new();
        for (digest, doubt) in doubts {
            self.take_back(digest, &doubt);
            copied.push((doubt.key, doubt.version));
        }
        copied
    }

    /// Undoes a reading in doubt: each level where it is still the last one, and was not the first one, gets
    /// back what it had before.
    fn take_back(&mut self, key: Digest, doubt: &Doubt<K>) {
        let found = self.memory.find(&doubt.caller, key);
        let is_last = |level: Level| {
            let id = found[level];
            id != 0
                && self.memory.is_doubtful(id)
                && *self.memory.reader(id) == doubt.caller
                && self.memory.version(id).version() == Some(&doubt.version)
        };
        let mut again: Vec<(&(Precondition, How), Levels)> = Vec::new();
        for level in Levels::ALL.each().filter(|level| is_last(*level)) {
            let Some(before) = &doubt.before[level] else {
                continue;
            };
            match again.iter_mut().find(|(known, _)| *known == before) {
                Some((_, levels)) => levels.add(level),
                None => again.push((before, Levels::one(level))),
            }
        }
        let is_first = doubt.before[PROCESS].is_none() && is_last(PROCESS);
        let missed = |before: &Option<(Precondition, How)>| {
            before.as_ref().is_some_and(|(_, how)| *how == How::Missed)
        };
        if is_first && missed(&doubt.before[FAMILY]) {
            self.memory.take_from_process(found[PROCESS]);
        }
        for ((before, how), levels) in again {
            let found = self.memory.find(&doubt.caller, key);
            self.memory
                .put(&doubt.caller, levels, (key, found), before, *how);
        }
    }

    /// A save of these callers replaced `replaced` by `version`. Each knows the new bytes if it knew the
    /// bytes they replaced. Otherwise (an append over a version that it was never shown) its memory stays as
    /// it is, because another save with that memory as its base would undo someone's work.
    pub fn saved(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        key: &K,
        replaced: &Precondition,
        version: &Version,
    ) {
        self.advance(callers, key, replaced, &Precondition::Is(version.clone()));
    }

    /// These callers deleted the key, or moved it away, when it was `replaced`.
    pub fn removed(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        key: &K,
        replaced: &Precondition,
    ) {
        self.advance(callers, key, replaced, &Precondition::Absent);
    }

    fn advance(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        key: &K,
        replaced: &Precondition,
        now: &Precondition,
    ) {
        let digest = self.digest(key);
        for caller in callers {
            let found = self.memory.find(&caller, digest);
            let mut levels = Levels::NONE;
            for (level, id) in found.into_iter().enumerate() {
                if id != 0 && self.memory.version(id) == *replaced {
                    levels.add(level);
                }
            }
            if !levels.is_none() {
                self.memory
                    .put(&caller, levels, (digest, found), now, How::Surely);
            }
        }
    }

    /// An EAGAIN just reported to these callers that the key is now `current`. That is noted in the memory
    /// that was the base, so that a deliberate second save replaces exactly this version and nothing newer.
    /// (The command that a script repeats after a refusal is another process of the same job; a second `mv`
    /// has another job, but the same creator of the temporary file.)
    pub fn told(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        key: &K,
        current: &Precondition,
    ) {
        let digest = self.digest(key);
        let remembered = callers.into_iter().find_map(|caller| {
            let found = self.memory.find(&caller, digest);
            let level = found.into_iter().position(|id| id != 0)?;
            Some((caller, Levels::one(level), found))
        });
        if let Some((caller, level, found)) = remembered {
            self.memory
                .put(&caller, level, (digest, found), current, How::Surely);
        }
    }

    /// What the process of the caller was shown, else what its nearest relatives in its job were shown.
    pub fn shown_to(&mut self, caller: &Caller, key: &K) -> Option<Precondition> {
        let digest = self.digest(key);
        let found = self.memory.find(caller, digest);
        let nearest = found.into_iter().find(|id| *id != 0)?;
        self.memory.renew(nearest);
        Some(self.memory.version(nearest))
    }

    /// The base rule W1 for a delete, and for moving a key away, when it is now `current`: a caller that
    /// missed it before knows by now that there is something to delete.
    pub fn base_of_delete(&mut self, by: Option<Caller>, key: &K, current: &Precondition) -> Base {
        let digest = self.digest(key);
        let shown = by.and_then(|caller| {
            let found = self.memory.find(&caller, digest);
            let counts = |id: &u32| *id != 0 && !self.memory.is_miss(*id);
            let nearest = found.into_iter().find(counts)?;
            self.memory.renew(nearest);
            Some(self.memory.version(nearest))
        });
        Base::of(shown, current)
    }

    /// The base rule W1 for a save that starts from nothing, when the key is now `current`.
    pub fn base(
        &mut self,
        callers: impl IntoIterator<Item = Caller>,
        key: &K,
        current: &Precondition,
    ) -> Base {
        let shown = callers
            .into_iter()
            .find_map(|caller| self.shown_to(&caller, key));
        Base::of(shown, current)
    }
}

#[cfg(test)]
mod tests;
