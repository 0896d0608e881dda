//! The context of a request: the process that asks, its thread, and so its system call.
//!
//! It is made where the request of the kernel arrives. The process is read from `/proc` while the caller
//! waits. For frequent requests that seldom depend on it, only the thread is noted, and the process is looked
//! up where it matters.

use super::Who;
use crate::model::{Caller, Process};

/// The context of a request.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    who: Who,
    thread: u32,
}

/// The present system call of a thread: answers to it stay known until the call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call(u32);

impl Context {
    /// A request of a process (if known), on a thread with the kernel's number.
    pub const fn new(who: Who, thread: u32) -> Self {
        Self { who, thread }
    }

    /// A request on a thread whose process need not be known to answer it.
    pub const fn on(thread: u32) -> Self {
        Self { who: None, thread }
    }

    /// A request of the mount itself, without a process.
    pub const OWN: Self = Self::on(0);

    /// The process that asks and its job, if they are known.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// As [`who`](Self::who), without the job.
    pub fn process(&self) -> Option<Process> {
        Some(self.who?.process)
    }

    /// As [`who`](Self::who), as the callers whose memories count: one, or none.
    pub(super) fn callers(&self) -> &[Caller] {
        self.who.as_slice()
    }

    /// The thread that asks.
    pub(super) fn thread(&self) -> u32 {
        self.thread
    }

    /// The system call that it asks in.
    pub(super) fn call(&self) -> Call {
        Call(self.thread)
    }
}
