//! The access log: one line for each operation of the kernel, as a stream that is remembered for a
//! while.
//!
//! It knows lines, not files: `vfs/control.rs` shows it as one that grows. Each reader has a [`Reading`]; one that
//! lags behind the remembered lines learns how many it lost. Nobody who adds a line ever waits for a reader, but
//! for the copying of at most one page of lines.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

/// How much of the log is remembered, in bytes of its lines.
const ROOM: usize = 256 * 1024;

/// What an operation is about, as logs name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The store; none at the root of a bucket.
    pub store: Option<String>,
    /// The key, or the directory in the store.
    pub key: String,
    /// There is no level of stores: the store is not part of the path.
    pub is_flat: bool,
    /// It is one of the mount's own files: looking at the log is not logged.
    pub is_own: bool,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.store {
            Some(store) if !self.is_flat => write!(f, "{store}/")?,
            _ if self.key.is_empty() => f.write_char('/')?,
            _ => {}
        }
        for c in self.key.chars() {
            match c {
                // A line stays a line.
                '\\' => f.write_str("\\\\")?,
                c if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// One operation of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// What the kernel calls it.
    pub op: &'static str,
    /// What it is about.
    pub subject: &'a Subject,
    /// Where it is renamed to.
    pub to: Option<&'a Subject>,
    /// The thread that asked, as the kernel numbers it; 0 if nobody waits.
    pub pid: u32,
    /// `OK`, or the name of the errno.
    pub errno: &'static str,
    /// How many bytes it moved.
    pub bytes: u64,
    /// How long it took.
    pub took: Duration,
}

#[derive(Debug)]
struct LogLine {
    text: Box<str>,
    /// Where it begins in the stream.
    at: u64,
}

#[derive(Debug, Default)]
struct Log {
    lines: VecDeque<LogLine>,
    /// How many lines there ever were.
    count: u64,
    /// Where the next line will begin in the stream.
    end: u64,
    /// Of the last line.
    changed: Option<SystemTime>,
    room: usize,
    /// The text of the second that was formatted last.
    second: (i64, String),
}

/// The latest operations.
#[derive(Debug)]
pub struct AccessLog(Mutex<Log>);

impl Default for AccessLog {
    fn default() -> Self {
        Self::with_room(ROOM)
    }
}

/// How far one reader is.
///
/// Readers name offsets in what they were given, like those of a file that grows. As long as nothing was lost these
/// are places in the stream; a reader that lost lines is ahead of its own offsets by `skipped`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// The offset behind what it read last.
    next: u64,
    /// What its offsets lack to be places in the stream.
    skipped: u64,
    /// How many lines had gone by where it is.
    lines: u64,
    /// The last line that it was given has no end yet.
    cut: bool,
    begun: bool,
}

impl AccessLog {
    /// A log that remembers this many bytes of lines.
    fn with_room(room: usize) -> Self {
        Self(Mutex::new(Log {
            room,
            ..Log::default()
        }))
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line.
    pub fn add(&self, access: Access<'_>, at: SystemTime) {
        if access.subject.is_own {
            return;
        }
        self.log().add(access, at);
    }

    /// How long the stream is, in bytes, with what is not remembered any more; and when it grew last.
    pub fn extent(&self) -> (u64, Option<SystemTime>) {
        let log = self.log();
        (log.end, log.changed)
    }

    /// Reads on: at most `len` bytes for a reader that names this offset; none at the end.
    pub fn read(&self, reading: &mut Reading, offset: u64, len: usize) -> Vec<u8> {
        self.log().read(reading, offset, len)
    }
}

impl Log {
    fn add(&mut self, access: Access<'_>, at: SystemTime) {
        let mut text = String::with_capacity(128);
        self.stamp(&mut text, at);
        let Access { op, pid, errno, .. } = access;
        let (bytes, ms) = (access.bytes, access.took.as_secs_f64() * 1e3);
        // Writing to a string does not fail.
        let _ = write!(
            text,
            " {op} {pid} {errno} {bytes} {ms:.3} {}",
            access.subject
        );
        if let Some(to) = access.to {
            let _ = write!(text, " -> {to}");
        }
        text.push('\n');
        let line = LogLine {
            at: self.end,
            text: text.into_boxed_str(),
        };
        self.end += line.text.len() as u64;
        self.count += 1;
        self.changed = Some(at);
        self.lines.push_back(line);
        while self.end - self.start() > self.room as u64 {
            self.lines.pop_front();
        }
    }

    /// RFC 3339 in UTC, with milliseconds. Formatting a date takes longer than all the rest.
    fn stamp(&mut self, text: &mut String, at: SystemTime) {
        let at = OffsetDateTime::from(at);
        let second = at.unix_timestamp();
        if self.second.0 != second || self.second.1.is_empty() {
            let (date, time) = (at.date(), at.time());
            self.second = (
                second,
                format!(
                    "{date}T{:02}:{:02}:{:02}",
                    time.hour(),
                    time.minute(),
                    time.second()
                ),
            );
        }
        let _ = write!(text, "{}.{:03}Z", self.second.1, at.millisecond());
    }

    /// Where the oldest remembered line begins.
    fn start(&self) -> u64 {
        self.lines.front().map_or(self.end, |line| line.at)
    }

    /// The number of the line that holds this place of the stream, or comes next.
    fn number_of(&self, place: u64) -> u64 {
        let behind = self.lines.partition_point(|line| line.at <= place);
        let held = self.lines.len() as u64;
        self.count - held + (behind as u64).saturating_sub(1)
    }

    fn read(&self, reading: &mut Reading, offset: u64, len: usize) -> Vec<u8> {
        if offset != reading.next || !reading.begun {
            // It went somewhere else by itself: nothing is lost, wherever it lands.
            *reading = Reading {
                next: offset,
                skipped: self.start().saturating_sub(offset),
                lines: 0,
                cut: false,
                begun: true,
            };
            reading.lines = self.number_of(offset.saturating_add(reading.skipped));
        }
        let mut text = Vec::new();
        let mut place = offset.saturating_add(reading.skipped);
        let start = self.start();
        if place < start {
            let lost = self.number_of(start).saturating_sub(reading.lines);
            let cut = if reading.cut { "\n" } else { "" };
            let told = format!("{cut}# {lost} lines lost\n");
            // Offsets never get ahead of the stream: `tail -f` would take it for truncated. Who lost
            // less than the telling has nearly all of the line.
            match told.len() as u64 <= start - place {
                true => text.extend_from_slice(told.as_bytes()),
                false => text.extend_from_slice(cut.as_bytes()),
            }
            place = start;
        }
        // A reader that asks for less than the telling gets all of it cut, and the lines next time.
        text.truncate(len);
        let first = self.lines.partition_point(|line| line.at <= place).max(1) - 1;
        for line in self.lines.iter().skip(first) {
            let from = usize::try_from(place.saturating_sub(line.at)).unwrap_or(usize::MAX);
            let rest = line.text.as_bytes().get(from..).unwrap_or_default();
            let rest = &rest[..rest.len().min(len - text.len())];
            text.extend_from_slice(rest);
            place += rest.len() as u64;
            if text.len() == len {
                break;
            }
        }
        reading.cut = text.last().map_or(reading.cut, |last| *last != b'\n');
        reading.next = offset + text.len() as u64;
        reading.skipped = place.saturating_sub(reading.next);
        reading.lines = self.number_of(place);
        if place == self.end {
            reading.lines = self.count;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(key: &str) -> Subject {
        Subject {
            store: Some("s".to_owned()),
            key: key.to_owned(),
            ..Subject::default()
        }
    }

    fn add(log: &AccessLog, key: &str) {
        let access = Access {
            op: "read",
            subject: &subject(key),
            to: None,
            pid: 7,
            errno: "OK",
            bytes: 5,
            took: Duration::from_micros(1500),
        };
        log.add(
            access,
            SystemTime::UNIX_EPOCH + Duration::from_millis(61_001),
        );
    }

    fn line(key: &str) -> String {
        format!("1970-01-01T00:01:01.001Z read 7 OK 5 1.500 s/{key}\n")
    }

    /// All that a reader gets from where it is, in pieces of this size.
    fn rest(log: &AccessLog, reading: &mut Reading, offset: &mut u64, piece: usize) -> String {
        let mut all = Vec::new();
        loop {
            let text = log.read(reading, *offset, piece);
            if text.is_empty() {
                return String::from_utf8(all).unwrap();
            }
            *offset += text.len() as u64;
            all.extend(text);
        }
    }

    #[test]
    fn a_reader_gets_every_line_once_whatever_the_size_of_its_reads() {
        for piece in [1, 7, 52, 4096] {
            let log = AccessLog::default();
            let (mut reading, mut offset) = (Reading::default(), 0);
            assert_eq!(rest(&log, &mut reading, &mut offset, piece), "");
            add(&log, "a");
            add(&log, "b");
            let both = format!("{}{}", line("a"), line("b"));
            assert_eq!(rest(&log, &mut reading, &mut offset, piece), both);
            add(&log, "c");
            assert_eq!(rest(&log, &mut reading, &mut offset, piece), line("c"));
            assert_eq!(log.extent().0, offset);
        }
    }

    #[test]
    fn a_reader_that_lags_is_told_how_many_lines_it_lost() {
        let log = AccessLog::with_room(2 * line("a").len());
        let (mut reading, mut offset) = (Reading::default(), 0);
        add(&log, "a");
        assert_eq!(rest(&log, &mut reading, &mut offset, 99), line("a"));
        for key in ["b", "c", "d", "e", "f"] {
            add(&log, key);
        }
        let told = format!("# 3 lines lost\n{}{}", line("e"), line("f"));
        assert_eq!(rest(&log, &mut reading, &mut offset, 99), told);
        // It never seems to be behind the end of the file, so that `tail -f` does not take it for one
        // that was truncated.
        assert!(offset <= log.extent().0);
        add(&log, "g");
        assert_eq!(rest(&log, &mut reading, &mut offset, 99), line("g"));
    }

    #[test]
    fn what_a_reader_was_given_of_a_lost_line_ends_before_the_telling() {
        let log = AccessLog::with_room(2 * line("a").len());
        let (mut reading, mut offset) = (Reading::default(), 0);
        add(&log, "a");
        let part = log.read(&mut reading, 0, 10);
        offset += part.len() as u64;
        for key in ["b", "c"] {
            add(&log, key);
        }
        let told = format!("\n# 1 lines lost\n{}{}", line("b"), line("c"));
        assert_eq!(rest(&log, &mut reading, &mut offset, 99), told);
    }

    #[test]
    fn a_new_reader_begins_with_the_oldest_line_that_is_remembered() {
        let log = AccessLog::with_room(2 * line("a").len());
        for key in ["a", "b", "c"] {
            add(&log, key);
        }
        let (mut reading, mut offset) = (Reading::default(), 0);
        let both = format!("{}{}", line("b"), line("c"));
        assert_eq!(rest(&log, &mut reading, &mut offset, 99), both);
        // Another one goes to the end at once, as `tail` does.
        let (mut reading, end) = (Reading::default(), log.extent().0);
        let mut offset = end - line("c").len() as u64;
        assert_eq!(rest(&log, &mut reading, &mut offset, 99), line("c"));
        assert_eq!(offset, end);
    }

    #[test]
    fn a_name_cannot_make_a_line_of_its_own() {
        let text = subject("a\nb\\c d").to_string();
        assert_eq!(text, "s/a\\u{a}b\\\\c d");
    }

    #[test]
    fn looking_at_the_log_is_not_logged() {
        let log = AccessLog::default();
        let own = Subject {
            is_own: true,
            ..Subject::default()
        };
        let access = Access {
            op: "read",
            subject: &own,
            to: None,
            pid: 1,
            errno: "OK",
            bytes: 0,
            took: Duration::ZERO,
        };
        log.add(access, SystemTime::UNIX_EPOCH);
        assert_eq!(log.extent(), (0, None));
    }
}
