//! What SIGHUP means: that the terminal is gone, for a process that was started on one; else, as for most services,
//! to read everything anew.
//!
//! It decides, and does nothing. `mount.rs` asks it.

use std::fs::File;

/// The terminal that this process was started on, if any.
pub(super) struct Terminal {
    had: bool,
}

impl Terminal {
    /// None: a daemon leaves it as soon as it is mounted.
    pub(super) fn none() -> Self {
        Self { had: false }
    }

    /// As it is now: at the start.
    pub(super) fn at_start() -> Self {
        Self { had: is_there() }
    }

    /// Whether there was one, and is none any more.
    pub(super) fn is_gone(&self) -> bool {
        self.had && !is_there()
    }
}

/// tty(4): without a controlling terminal, or when it was hung up, it cannot be opened.
fn is_there() -> bool {
    File::open("/dev/tty").is_ok()
}
