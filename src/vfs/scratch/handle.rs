//! A handle of a scratch file.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::access::{Access, At};
use super::super::writer::Hand;
use super::super::{Error, Who};
use super::Scratch;

/// A handle of a scratch file.
#[derive(Debug)]
pub(in crate::vfs) struct OpenScratch {
    scratch: Arc<Scratch>,
    who: Who,
    access: Access,
    hand: Hand,
    /// Whether anything was read through it.
    was_read: AtomicBool,
}

impl OpenScratch {
    pub(super) fn new(scratch: &Arc<Scratch>, who: Who, access: Access) -> Self {
        Self {
            scratch: Arc::clone(scratch),
            who,
            access,
            hand: Hand::default(),
            was_read: AtomicBool::new(false),
        }
    }

    /// The file.
    pub(in crate::vfs) fn scratch(&self) -> &Arc<Scratch> {
        &self.scratch
    }

    /// Who opened it.
    pub(in crate::vfs) fn who(&self) -> Who {
        self.who
    }

    /// Whether it was opened for writing.
    pub(in crate::vfs) fn is_for_writing(&self) -> bool {
        self.access.write
    }

    /// Notes the writing thread. Returns whether it may belong to another process than the opener, and differs from
    /// the last one.
    pub(in crate::vfs) fn note_hand(&self, thread: u32) -> bool {
        self.hand.note(self.who, thread)
    }

    /// Something is read through it; whether it is the first time.
    pub(in crate::vfs) fn note_reading(&self) -> bool {
        !self.was_read.swap(true, Ordering::Relaxed)
    }

    /// As [`Scratch::write`].
    pub(in crate::vfs) fn write(&self, at: At, data: &[u8]) -> Result<bool, Error> {
        if !self.access.write {
            return Err(Error::BadHandle);
        }
        let start = match at {
            At::Offset(start) => Some(start),
            At::End => None,
        };
        self.scratch.write(start, data).map_err(Error::of_disk)
    }
}
