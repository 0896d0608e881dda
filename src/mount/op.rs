//! An operation of the kernel: what it is about, and the one place where its end is counted and told.
//!
//! Whoever answers says so here ([`Op::answered`]), and the counters, the access log and the log hear
//! of it. It knows no reply; `answer.rs` answers.

use std::time::{Instant, SystemTime};

use fuser::{Errno, FileHandle, INodeNo};
use tracing::Span;
use tracing::field::Empty;

use super::errno;
use crate::telemetry::{Access, Subject, Telemetry, milliseconds};
use crate::vfs::{CallerGone, Fh, Queues};

/// What a request is, for the log and the watchdog.
#[derive(Debug)]
pub(super) struct Op {
    pub(super) name: &'static str,
    pub(super) ino: u64,
    /// The thread that waits; 0 if nobody does.
    pub(super) thread: u32,
    /// How many bytes may have to travel: they have their time.
    pub(super) weight: u64,
    /// Whether a signal that the caller handles may cut it short. A save is cut short only for a
    /// caller that is killed: nobody else may take "interrupted" for "saved".
    pub(super) can_be_interrupted: bool,
    pub(super) since: Instant,
    /// Whether it was answered before it was carried out.
    pub(super) gone: CallerGone,
    /// What the kernel locks until it is answered: others queue there, and it fails as they do.
    pub(super) queues: Option<Queues>,
    subject: Subject,
    /// Where it is renamed to.
    to: Option<Subject>,
    fh: Option<u64>,
    /// Its place in a trace, and in the log.
    span: Span,
}

/// The level at which the end of an operation is logged.
pub(super) enum Tone<'a> {
    Debug,
    DebugOf(&'a str),
    Warn(&'a str),
    Error(&'a str),
}

/// One line about an operation, at this level.
macro_rules! tell {
    ($level:ident, $op:expr, $($rest:tt)*) => {{
        let Op { name: op, thread: pid, subject, .. } = $op;
        let (store, key) = (subject.store.as_deref(), subject.key.as_str());
        tracing::$level!(op, store, key, pid, $($rest)*);
    }};
}

impl Op {
    pub(super) fn new(name: &'static str, ino: u64, thread: u32, subject: Subject) -> Self {
        Self {
            name,
            ino,
            thread,
            weight: 0,
            can_be_interrupted: true,
            since: Instant::now(),
            gone: CallerGone::default(),
            queues: None,
            subject,
            to: None,
            fh: None,
            span: Span::none(),
        }
    }

    /// An operation that changes the store: see [`Op::can_be_interrupted`].
    pub(super) fn saving(self) -> Self {
        Self {
            can_be_interrupted: false,
            ..self
        }
    }

    /// An operation that the kernel lets nobody pass: it has locked this directory, or this file.
    pub(super) fn locking(self, ino: INodeNo) -> Self {
        self.locking_both(ino, ino)
    }

    /// As [`locking`](Self::locking), with two directories.
    pub(super) fn locking_both(self, one: INodeNo, other: INodeNo) -> Self {
        Self {
            queues: Some([one.0, other.0]),
            ..self
        }
    }

    /// The bytes that may have to travel.
    pub(super) fn weighing(self, weight: u64) -> Self {
        Self { weight, ..self }
    }

    /// Through this handle.
    pub(super) fn through(self, fh: FileHandle) -> Self {
        Self {
            fh: Some(fh.0),
            ..self
        }
    }

    /// A rename to there.
    pub(super) fn to(self, to: Subject) -> Self {
        Self {
            to: Some(to),
            ..self
        }
    }

    /// Begins: what is logged while it is under way is logged as a part of it.
    pub(super) fn begin(&mut self) -> Span {
        let (store, key) = (self.subject.store.as_deref(), self.subject.key.as_str());
        self.span = tracing::debug_span!(
            "operation",
            op = self.name,
            store,
            key,
            fh = self.fh,
            pid = self.thread,
            errno = Empty,
            bytes = Empty,
        );
        self.span.clone()
    }

    /// It was answered: counts it, and logs it.
    pub(super) fn answered(
        &self,
        telemetry: &Telemetry,
        result: Result<(), Errno>,
        bytes: u64,
        opened: Option<Fh>,
        tone: Tone<'_>,
    ) {
        let took = self.since.elapsed();
        let errno = result.map_or_else(errno::name, |()| "OK");
        if !self.subject.is_own {
            telemetry.metrics.operation(self.name, errno, bytes, took);
        }
        let access = Access {
            op: self.name,
            subject: &self.subject,
            to: self.to.as_ref(),
            pid: self.thread,
            errno,
            bytes,
            took,
        };
        telemetry.access.add(access, SystemTime::now());
        self.span.record("errno", errno);
        self.span.record("bytes", bytes);
        let fh = opened.map(|fh| fh.0).or(self.fh);
        let ms = milliseconds(took);
        match tone {
            // Reads of the access log itself are not logged.
            Tone::Debug if self.subject.is_own => {
                tell!(trace, self, fh, errno, bytes, ms, "answered")
            }
            Tone::Debug => tell!(debug, self, fh, errno, bytes, ms, "answered"),
            Tone::DebugOf(why) => tell!(debug, self, fh, errno, ms, "{why}"),
            Tone::Warn(why) => tell!(warn, self, fh, errno, ms, "{why}"),
            Tone::Error(why) => tell!(error, self, fh, errno, ms, "{why}"),
        }
    }

    /// It ended, but its caller was answered before.
    pub(super) fn late(&self, what: &str) {
        let ms = milliseconds(self.since.elapsed());
        tell!(info, self, fh = self.fh, ms, "{what}");
    }
}
