//! The world of one history: its clock, its store, and the list of all that was asked and answered.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use tokio::time::Instant;

use super::plan::Plan;
use super::server::{Server, Stamp};
use super::totals::Totals;
use super::wrong::Wrong;

/// Which call makes a request: so that the history of the store tells who changed it and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Its place in the list of calls.
    pub(crate) record: usize,
    /// Where its chance comes from.
    pub(crate) step: u32,
}

impl Call {
    /// Nobody's.
    pub(crate) const NONE: Self = Self {
        record: usize::MAX,
        step: u32::MAX,
    };
}

tokio::task_local! {
    pub(crate) static CALL: Call;
}

/// Why a call failed, as its process is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errno {
    /// EAGAIN
    Conflict,
    /// ENOENT
    Absent,
    /// EEXIST
    Exists,
    /// ESTALE
    Stale,
    /// EIO
    Io,
    /// ETIMEDOUT
    TimedOut,
    /// ENOTCONN: the daemon is not there.
    NotConnected,
    /// ENOSPC
    NoSpace,
    /// ENOTEMPTY, EISDIR, EXDEV and the like
    Other,
}

impl Errno {
    pub(crate) fn of(error: &etagfs::vfs::Error) -> Self {
        use etagfs::vfs::Error;
        match error {
            Error::Conflict { .. } => Self::Conflict,
            Error::NotFound(_) => Self::Absent,
            Error::Exists(_) => Self::Exists,
            Error::Stale(_) => Self::Stale,
            Error::Unknown(_) | Error::Failed(_) => Self::Io,
            Error::Deadline(_) => Self::TimedOut,
            Error::NoSpace(_) => Self::NoSpace,
            _ => Self::Other,
        }
    }
}

/// What made a save happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Save {
    /// A descriptor was closed by the process that opened the file, or by another one.
    Close {
        by_opener: bool,
    },
    Fsync,
    Release,
}

/// What a file holds that waits to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    /// All of it, or what was appended.
    pub(crate) bytes: Bytes,
    pub(crate) appended: bool,
    /// Something was written; else there is nothing to be saved but emptiness.
    pub(crate) written: bool,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Did {
    Open {
        path: String,
        how: How,
        file: Option<usize>,
    },
    /// All that was read from the first byte to the end, if the end was reached.
    Read {
        file: usize,
        bytes: Bytes,
        whole: bool,
    },
    Write {
        file: usize,
    },
    Cut {
        file: usize,
    },
    Save {
        file: usize,
        why: Save,
        want: Option<Want>,
    },
    Truncate {
        path: String,
        size: u64,
    },
    Unlink {
        path: String,
    },
    Rename {
        from: String,
        to: String,
        moved: Option<Bytes>,
    },
    Mkdir {
        path: String,
    },
    Rmdir {
        path: String,
    },
    Describe {
        path: String,
    },
    Look {
        path: String,
    },
    List {
        dir: String,
        names: Vec<String>,
    },
    /// The daemon does something of its own accord.
    Own(&'static str),
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct How {
    pub(crate) read: bool,
    pub(crate) write: bool,
    pub(crate) append: bool,
    pub(crate) create: bool,
    pub(crate) exclusive: bool,
    pub(crate) truncate: bool,
    /// For its owner alone, as mkstemp(3) asks for it.
    pub(crate) private: bool,
}

/// A call.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) step: u32,
    pub(crate) mount: usize,
    /// Which daemon of this mount.
    pub(crate) epoch: u32,
    pub(crate) pid: u32,
    pub(crate) begun: Stamp,
    pub(crate) ended: Stamp,
    pub(crate) at: Duration,
    pub(crate) until: Duration,
    pub(crate) did: Did,
    /// None while it is under way.
    pub(crate) result: Option<Result<(), Errno>>,
    /// What the state directory held when it failed.
    pub(crate) was_rescued: bool,
}

/// An open file: one `open(2)`.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) mount: usize,
    pub(crate) epoch: u32,
    pub(crate) path: String,
    pub(crate) opener: u32,
    pub(crate) how: How,
    /// The call that opened it.
    pub(crate) opened: usize,
    pub(crate) created: bool,
    pub(crate) fh: u64,
    pub(crate) node: u64,
    pub(crate) descriptors: u32,
    /// What its process believes to be in it.
    pub(crate) content: Vec<u8>,
    /// What was appended since the last save.
    pub(crate) appended: Vec<u8>,
    pub(crate) written: bool,
    /// Created or emptied, and not saved.
    pub(crate) emptied: bool,
    /// Its name was deleted or taken on this machine.
    pub(crate) left: bool,
    /// A file of this mount alone.
    pub(crate) scratch: bool,
}

impl File {
    pub(crate) fn want(&self) -> Option<Want> {
        let only_appends = self.how.append && !self.how.truncate && !self.how.exclusive;
        (self.written || self.emptied).then(|| Want {
            bytes: match only_appends {
                true => self.appended.clone().into(),
                false => self.content.clone().into(),
            },
            appended: only_appends,
            written: self.written,
        })
    }
}

/// The world of one history.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) server: Server,
    pub(crate) totals: Totals,
    records: Mutex<Vec<Record>>,
    files: Mutex<Vec<File>>,
    stamp: AtomicU64,
    asked: Mutex<HashMap<u32, u64>>,
    outages: Mutex<Vec<(usize, Instant)>>,
    begun: Instant,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            server: Server::new(plan.versions, plan.wrong),
            plan,
            totals: Totals::default(),
            records: Mutex::default(),
            files: Mutex::default(),
            stamp: AtomicU64::new(1),
            asked: Mutex::default(),
            outages: Mutex::default(),
            begun: Instant::now(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn is_wrong(&self, wrong: Wrong) -> bool {
        self.plan.wrong == Some(wrong)
    }

    /// Chance of a step: each time another, and the same whatever other steps do.
    pub(crate) fn chance(&self, step: u32) -> Rng {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let times = asked.entry(step).or_insert(0);
        *times += 1;
        let mixed = (u64::from(step) << 32 | *times).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Rng::with_seed(self.plan.seed ^ mixed)
    }

    pub(crate) fn goes_out(&self, mount: usize, time: Duration) {
        let mut outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        outages.push((mount, Instant::now() + time));
    }

    pub(crate) fn is_out(&self, mount: usize) -> bool {
        let outages = self.outages.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        outages
            .iter()
            .any(|(of, until)| *of == mount && now < *until)
    }

    pub(crate) fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn files(&self) -> MutexGuard<'_, Vec<File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a call begins; its place in the list.
    pub(crate) fn begin(
        &self,
        step: u32,
        (mount, epoch): (usize, u32),
        pid: u32,
        did: Did,
    ) -> usize {
        let stamp = self.stamp();
        let mut records = self.records();
        records.push(Record {
            step,
            mount,
            epoch,
            pid,
            begun: stamp,
            ended: Stamp::MAX,
            at: self.elapsed(),
            until: Duration::MAX,
            did,
            result: None,
            was_rescued: false,
        });
        records.len() - 1
    }

    /// Notes what a call came to.
    pub(crate) fn end(&self, record: usize, result: Result<(), Errno>) {
        let (stamp, until) = (self.stamp(), self.elapsed());
        let mut records = self.records();
        let record = &mut records[record];
        (record.ended, record.until, record.result) = (stamp, until, Some(result));
    }
}
