//! The process table: who makes a request, and whether it still waits for the answer.
//!
//! The kernel names the calling thread in every request. Everything else is read from `/proc`
//! (formats: proc(5)) while the caller is blocked in its call, and so certainly there. Parsing is
//! apart from reading, and tested on texts.
//!
//! `/proc/PID/stat` must not be read while PID may be inside of execve(2): Linux 6.18 makes the
//! reader wait until that is over, and a program that is replaced closes its descriptors inside of
//! execve, so it waits for the answer to a flush. Nothing here reads `stat` for a flush.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::model::{Caller, Job, Process};
use crate::vfs::{Life, Processes};

/// The process and job of a thread. `None` when the kernel gave no number (page writeback, a
/// process of another pid namespace) or the thread is gone.
pub(super) fn caller(thread: u32) -> Option<Caller> {
    let id = process_id(thread)?;
    let stat = Stat::parse(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)?;
    Some(Caller {
        process: Process {
            id,
            start: stat.start,
        },
        job: Job {
            group: stat.group,
            session: stat.session,
        },
    })
}

/// The process of a thread. Safe for any request.
pub(super) fn process_id(thread: u32) -> Option<u32> {
    if thread == 0 {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    field(&status, "Tgid:")?.parse().ok()
}

/// The running system, as [`Processes`].
#[derive(Clone, Copy, Debug)]
pub struct Proc;

impl Processes for Proc {
    fn watch(&self, process: Process) -> Box<dyn Life> {
        let pid = i32::try_from(process.id).ok().and_then(Pid::from_raw);
        // It waits for an answer, so its id cannot mean another process yet.
        let fd = pid.and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        Box::new(Watched(fd))
    }
}

/// A process that is watched: its pidfd becomes readable when it ends (pidfd_open(2)).
#[derive(Debug)]
struct Watched(Option<OwnedFd>);

impl Life for Watched {
    fn goes_on(&self) -> bool {
        let Some(fd) = &self.0 else {
            return false;
        };
        let mut poll_fds = [PollFd::new(fd, PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        matches!(poll(&mut poll_fds, Some(&now)), Ok(0))
    }
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    group: u32,
    session: u32,
    start: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is the command in parentheses, and may hold anything.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }
}

/// How much a waiting thread wants to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Impatience {
    /// It waits.
    None,
    /// A signal that asks a program to stop is pending.
    Interrupted,
    /// It is being killed, or is gone.
    Killed,
}

/// Whether a blocked thread has been signalled.
pub(super) fn impatience(thread: u32) -> Impatience {
    match fs::read_to_string(format!("/proc/{thread}/status")) {
        Ok(status) => parse_impatience(&status),
        Err(_) => Impatience::Killed,
    }
}

const SIGHUP: u32 = 1;
const SIGINT: u32 = 2;
const SIGQUIT: u32 = 3;
const SIGKILL: u32 = 9;
const SIGTERM: u32 = 15;

fn parse_impatience(status: &str) -> Impatience {
    let mask = |name| {
        field(status, name)
            .and_then(|hex| u64::from_str_radix(hex, 16).ok())
            .unwrap_or(0)
    };
    let bit = |signal: u32| 1_u64 << (signal - 1);
    let pending = mask("SigPnd:") | mask("ShdPnd:");
    // A signal whose default is to end the process shows as SIGKILL, see complete_signal() in
    // the kernel's signal.c.
    if pending & bit(SIGKILL) != 0 {
        return Impatience::Killed;
    }
    let heard = pending & !mask("SigBlk:") & !mask("SigIgn:");
    let stop = bit(SIGHUP) | bit(SIGINT) | bit(SIGQUIT) | bit(SIGTERM);
    match heard & stop {
        0 => Impatience::None,
        _ => Impatience::Interrupted,
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_any_command_name() {
        let line = "42 (a) b (c) S 1 40 39 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1000";
        let stat = Stat {
            group: 40,
            session: 39,
            start: 98765,
        };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("42 (a"), None);
    }

    #[test]
    fn this_process_is_found_and_alive() {
        let me = caller(std::process::id()).expect("this process");
        assert_eq!(me.process.id, std::process::id());
        assert!(Proc.watch(me.process).goes_on());
    }

    #[test]
    fn a_process_that_ended_does_not_go_on_even_before_it_is_waited_for() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("cat runs");
        let life = Proc.watch(Process {
            id: child.id(),
            start: 0,
        });
        assert!(life.goes_on());
        drop(child.stdin.take());
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while life.goes_on() && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        assert!(!life.goes_on());
        child.wait().expect("it ended");
    }

    #[test]
    fn only_signals_that_end_or_stop_a_program_make_it_impatient() {
        let status = |pending: u64, blocked: u64, ignored: u64| {
            parse_impatience(&format!(
                "SigPnd:\t{pending:016x}\nShdPnd:\t0\nSigBlk:\t{blocked:016x}\nSigIgn:\t{ignored:016x}\n"
            ))
        };
        let (int, kill, urg) = (1 << 1, 1 << 8, 1 << 22);
        assert_eq!(status(0, 0, 0), Impatience::None);
        assert_eq!(status(kill, 0, 0), Impatience::Killed);
        assert_eq!(status(int, 0, 0), Impatience::Interrupted);
        assert_eq!(status(int, int, 0), Impatience::None);
        assert_eq!(status(int, 0, int), Impatience::None);
        // Sent by the Go runtime to itself all the time.
        assert_eq!(status(urg, 0, 0), Impatience::None);
    }
}
