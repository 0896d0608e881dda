//! The callers of requests: processes, their relatives, and their jobs (W1). `mount` finds them out.

use std::fmt;

/// A process: its id, and its start time in clock ticks since boot, because ids are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    /// Thread group id.
    pub id: u32,
    /// Start time (`/proc/PID/stat`, field 22).
    pub start: u64,
}

/// A job: a process group within its session. The commands, substitutions and pipelines of a
/// script share it; at a prompt each command line has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// Process group id.
    pub group: u32,
    /// Session id.
    pub session: u32,
}

/// The nearest ancestors of a process within its job, its parent first.
///
/// Ids without start times, which could only be read from files whose reader may have to wait for us. An id
/// that is reused within one job inherits a memory that is at worst too old: one conflict too many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ancestors([u32; Self::MOST]);

impl Ancestors {
    /// How many are remembered.
    pub const MOST: usize = 6;

    /// These ids, the parent first; those beyond [`MOST`](Self::MOST) are left out.
    pub fn new(ids: impl IntoIterator<Item = u32>) -> Self {
        let mut ancestors = Self::default();
        for (place, id) in ancestors.0.iter_mut().zip(ids) {
            *place = id;
        }
        ancestors
    }

    /// The ids, the parent first.
    pub fn ids(self) -> impl Iterator<Item = u32> {
        self.0.into_iter().take_while(|id| *id != 0)
    }
}

/// The caller of a request. Requests without a usable process id (page writeback, release, a process of
/// another pid namespace) have no caller, and count as blind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The process.
    pub process: Process,
    /// Its ancestors within its job.
    pub ancestors: Ancestors,
    /// Its job.
    pub job: Job,
}

/// How many memories a caller may have: its own, those of its family and of its ancestors'
/// families, and that of its job.
pub(super) const LEVELS: usize = Ancestors::MOST + 3;

/// One of the memories of a caller: 0 is its own, the last one that of its job, and those between are the
/// families of the caller and of its ancestors. A lower number is nearer.
pub(super) type Level = usize;

/// The memory of the process itself.
pub(super) const PROCESS: Level = 0;
/// The memory of the process and all that it started.
pub(super) const FAMILY: Level = 1;
/// The memory of the job.
pub(super) const JOB: Level = LEVELS - 1;

impl Caller {
    /// The levels of this caller, the nearest first.
    pub(super) fn levels(&self) -> Levels {
        let families = 1 + self.ancestors.ids().count();
        Levels(((1 << (families + 1)) - 1) | (1 << JOB))
    }

    /// The process whose family is at a level, for each level between [`FAMILY`] and [`JOB`].
    pub(super) fn families(&self) -> impl Iterator<Item = (Level, u32)> {
        let ids = std::iter::once(self.process.id).chain(self.ancestors.ids());
        (FAMILY..).zip(ids)
    }

    /// The levels among `levels` of this caller that are the same memory as one of `others` of
    /// `other`.
    pub(super) fn shares(&self, levels: Levels, other: &Self, others: Levels) -> Levels {
        let mut shared = Levels::NONE;
        if self.process == other.process && levels.has(PROCESS) && others.has(PROCESS) {
            shared.add(PROCESS);
        }
        if self.job != other.job {
            return shared;
        }
        if levels.has(JOB) && others.has(JOB) {
            shared.add(JOB);
        }
        if others.without(Levels(1 << PROCESS | 1 << JOB)).is_none() {
            return shared;
        }
        for (level, id) in self.families().filter(|(level, _)| levels.has(*level)) {
            let is_it = |(at, theirs)| theirs == id && others.has(at);
            if other.families().any(is_it) {
                shared.add(level);
            }
        }
        shared
    }
}

/// Some of the memories of a caller.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Levels(pub(super) u16);

impl Levels {
    pub(super) const NONE: Self = Self(0);
    /// Those that belong to the process itself and to what it started.
    pub(super) const OWN: Self = Self(1 << PROCESS | 1 << FAMILY);
    /// All possible levels.
    pub(super) const ALL: Self = Self((1 << LEVELS) - 1);

    pub(super) fn one(level: Level) -> Self {
        Self(1 << level)
    }

    pub(super) fn add(&mut self, level: Level) {
        self.0 |= 1 << level;
    }

    pub(super) fn has(self, level: Level) -> bool {
        self.0 & 1 << level != 0
    }

    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }

    pub(super) fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    pub(super) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(super) fn each(self) -> impl Iterator<Item = Level> {
        (0..LEVELS).filter(move |level| self.has(*level))
    }
}

/// Questions to the process table. Answers never wait.
pub trait Living: Send + Sync + fmt::Debug {
    /// Whether no process has this id any more.
    fn has_ended(&self, process: u32) -> bool;

    /// Whether no process of this job is left.
    fn job_has_ended(&self, job: Job) -> bool;
}

/// A world in which no process ever ends.
#[derive(Clone, Copy, Debug)]
pub struct Everlasting;

impl Living for Everlasting {
    fn has_ended(&self, _process: u32) -> bool {
        false
    }

    fn job_has_ended(&self, _job: Job) -> bool {
        false
    }
}
