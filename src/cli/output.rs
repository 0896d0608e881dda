//! Standard output and input: text, bytes, lines of JSON, and how far long work is.
//!
//! Whoever reads may have read enough; that is no failure. It knows nothing of what is said. Messages
//! about failures are `report.rs`'s.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::descriptors;
use super::one_line::lines;
use super::report::Failure;

/// Prints a text; on a terminal, with the control characters shown that names may hold.
///
/// # Errors
/// When standard output cannot be written to.
pub(super) fn say(text: &str) -> Result<(), Failure> {
    offer(text).map(|_| ())
}

/// As [`say`], of names that may be any bytes.
///
/// # Errors
/// As [`say`].
pub(super) fn say_bytes(text: &[u8]) -> Result<(), Failure> {
    match io::stdout().is_terminal() {
        true => say(&String::from_utf8_lossy(text)),
        false => copy(text),
    }
}

/// Prints a value as one line of JSON.
///
/// # Errors
/// As [`say`].
pub(super) fn say_json(value: &serde_json::Value) -> Result<(), Failure> {
    say(&format!("{value}\n"))
}

/// Prints bytes as they are.
///
/// # Errors
/// As [`say`], and when `from` cannot be read.
pub(super) fn copy(from: impl Read) -> Result<(), Failure> {
    write(from).map(|_| ())
}

/// Prints a text to whoever may have read enough: whether there is any use in printing more.
///
/// # Errors
/// As [`say`].
pub(super) fn offer(text: &str) -> Result<bool, Failure> {
    match io::stdout().is_terminal() {
        true => write(lines(text).as_bytes()),
        false => write(text.as_bytes()),
    }
}

/// Whether somebody reads it.
fn write(mut from: impl Read) -> Result<bool, Failure> {
    let written = output().and_then(|mut out| io::copy(&mut from, &mut out));
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::new(format!("standard output: {error}"))),
        Ok(_) => Ok(true),
    }
}

/// Standard output. Not by way of `std::io`, to which one that cannot be written to is as good.
fn output() -> io::Result<File> {
    match descriptors::has_output() {
        true => Ok(io::stdout().as_fd().try_clone_to_owned()?.into()),
        false => Err(io::Error::new(ErrorKind::NotConnected, "it is closed")),
    }
}

/// Standard input. Not by way of `std::io`, to which one that cannot be read is an empty one.
///
/// # Errors
/// When it is closed: nobody said that there is nothing.
pub(super) fn input() -> Result<File, Failure> {
    match descriptors::has_input() {
        true => Ok(io::stdin().as_fd().try_clone_to_owned()?.into()),
        false => Err(Failure::new("standard input is closed")
            .hint("say what it is to be; for nothing at all: < /dev/null")),
    }
}

/// Says something beside the output: a line on standard error.
pub(super) fn note(text: &str) {
    // Nowhere to say it when standard error is gone.
    let _ = writeln!(io::stderr(), "{}", lines(text));
}

/// How far long work is, on one line of a terminal; nothing where nobody looks.
pub(super) struct Progress {
    what: &'static str,
    total: Option<u64>,
    done: u64,
    shown: Option<Instant>,
    visible: bool,
}

impl Progress {
    /// Begins; `what` is done `total` times, if that is known.
    pub(super) fn new(what: &'static str, total: Option<u64>) -> Self {
        Self {
            what,
            total,
            done: 0,
            shown: None,
            // Where results go to the terminal too, they show how far it is.
            visible: io::stderr().is_terminal() && !io::stdout().is_terminal(),
        }
    }

    /// One more is done.
    pub(super) fn step(&mut self) {
        self.done += 1;
        let is_due = self
            .shown
            .is_none_or(|at| at.elapsed() > Duration::from_millis(100));
        if self.visible && is_due {
            self.shown = Some(Instant::now());
            let of = self
                .total
                .map(|total| format!(" of {total}"))
                .unwrap_or_default();
            // For the eye only.
            let _ = write!(io::stderr(), "\r{} {}{of}", self.what, self.done);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
