//! The process table: which process makes a request, and whether it still waits for the answer.
//!
//! The kernel names the calling thread in every request. Everything else is read from `/proc`
//! (formats: proc(5)) while the caller is blocked in its call, and so certainly there. Parsing is
//! apart from reading, and tested on texts.
//!
//! `/proc/PID/stat` must not be read while PID may be inside of execve(2): Linux 6.18 makes the
//! reader wait until that is over, and a program that is replaced closes its descriptors inside of
//! execve, so it waits for the answer to a flush. Nothing here reads `stat` for a flush, and what might
//! wait is looked at in another thread, for a short time (`glance.rs`).

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process, test_kill_process_group};

use super::descriptors::Descriptors;
use super::glance::Glances;
use super::life::Lives;
use super::limit::{keep_spare, read};
use crate::model::{Ancestors, Caller, Job, Living, Process};
use crate::vfs::{Life, Processes};

/// The process and job of a thread. `None` when the kernel gave no number (page writeback, a
/// process of another pid namespace) or the thread is gone.
pub(super) fn caller(thread: u32) -> Option<Caller> {
    let id = process_id(thread)?;
    let stat = Stat::parse(&read(format!("/proc/{id}/stat")).ok()?)?;
    let groups = asking_groups(stat.group, stat.session, Status::of);
    let is_in_the_job =
        |found: &Status| found.session == stat.session && groups.contains(&found.group);
    let mut next = stat.parent;
    let ancestors = std::iter::from_fn(|| {
        let found = Status::of(next).filter(is_in_the_job)?;
        Some(std::mem::replace(&mut next, found.parent))
    });
    Some(Caller {
        process: Process {
            id,
            start: stat.start,
        },
        ancestors: Ancestors::new(ancestors),
        job: Job {
            group: *groups.last().unwrap_or(&stat.group),
            session: stat.session,
        },
    })
}

/// How many timeout(1) within each other are looked through.
const NESTED: usize = 4;

/// The groups of the job that a group belongs to, last the one that it is known by: the group itself,
/// but for that of coreutils' timeout(1), which moves itself and its command into a group of their own. `n=$(timeout 5 cat f)` is part of the script
/// as `n=$(cat f)` is. It is known by the signals it ignores: those that would stop it in the background.
/// What is started at a prompt is a job of its own, with or without timeout; but the commands of a
/// substitution belong to the shell, and have inherited from it that SIGTSTP is ignored.
fn asking_groups(mut group: u32, session: u32, status: impl Fn(u32) -> Option<Status>) -> Vec<u32> {
    let mut groups = vec![group];
    for _ in 0..NESTED {
        let asking = status(group)
            .filter(|leader| leader.group == group && leader.is_in_the_background())
            .and_then(|leader| Some((leader, status(leader.parent)?)))
            .filter(|(leader, parent)| leader.ignores(SIGTSTP) || !parent.has_prompt())
            .map(|(_, parent)| parent)
            .filter(|parent| parent.session == session);
        match asking {
            Some(parent) => group = parent.group,
            None => break,
        }
        groups.push(group);
    }
    groups
}

/// The process of a thread. Safe for any request.
fn process_id(thread: u32) -> Option<u32> {
    if thread == 0 {
        return None;
    }
    let status = read(format!("/proc/{thread}/status")).ok()?;
    field(&status, "Tgid:")?.parse().ok()
}

/// The running system, as [`Processes`].
#[derive(Debug)]
pub struct Proc {
    lives: Lives,
    glances: Glances,
    descriptors: Arc<Descriptors>,
}

impl Proc {
    /// As the mount at this place sees it. Looks, once, at how many descriptors this process may have.
    pub fn new(mounted_at: &Path) -> Self {
        keep_spare();
        Self {
            lives: Lives::new(),
            glances: Glances::default(),
            descriptors: Arc::new(Descriptors::new(mounted_at)),
        }
    }
}

impl Living for Proc {
    fn has_ended(&self, process: u32) -> bool {
        !is_there(process)
    }

    fn job_has_ended(&self, job: Job) -> bool {
        let group = i32::try_from(job.group).ok().and_then(Pid::from_raw);
        // Neither this nor the above waits, whatever the process is doing.
        group.is_none_or(|group| test_kill_process_group(group) == Err(Errno::SRCH))
    }
}

#[async_trait]
impl Processes for Proc {
    fn caller(&self, thread: u32) -> Option<Caller> {
        caller(thread)
    }

    fn misser(&self, thread: u32) -> Option<Caller> {
        let is_completing =
            |caller: &Caller| Status::of(caller.process.id).is_some_and(|it| it.has_prompt());
        caller(thread).filter(|caller| !is_completing(caller))
    }

    fn watch(&self, process: Process) -> Arc<dyn Life> {
        self.lives.watch(process)
    }

    fn has_thread(&self, process: Process, thread: u32) -> Option<bool> {
        if thread == 0 {
            return None;
        }
        // Without a descriptor, and without waiting for an execve.
        let of_process = format!("/proc/{}/task/{thread}", process.id);
        match fs::symlink_metadata(of_process) {
            Ok(_) => Some(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Some(false),
            Err(_) => None,
        }
    }

    async fn can_write(&self, thread: u32, file: Vec<u64>) -> Option<bool> {
        let process = process_id(thread)?;
        let descriptors = Arc::clone(&self.descriptors);
        let look = move |until| descriptors.can_write(process, thread, &file, until);
        self.glances.take(process, look).await
    }

    async fn ignores_close(&self, thread: u32) -> bool {
        let Some(process) = process_id(thread) else {
            return false;
        };
        let look = move |_until| runs_shell(process);
        self.glances.take(process, look).await.unwrap_or(false)
    }
}

/// Whether a process is a shell. No shell looks at the result of close(2) when a redirection is over:
/// bash 5.2, dash 0.5, zsh, mksh, yash and BusyBox put the former descriptor back with dup2(2), which
/// never tells.
fn runs_shell(process: u32) -> Option<bool> {
    let program = fs::read_link(format!("/proc/{process}/exe")).ok()?;
    let arguments = || fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    Some(is_shell(&program, arguments))
}

fn is_shell(program: &Path, arguments: impl FnOnce() -> Vec<u8>) -> bool {
    const SHELLS: [&str; 10] = [
        "ash", "bash", "dash", "ksh", "lksh", "mksh", "rbash", "sh", "yash", "zsh",
    ];
    let is_one = |name: &str| {
        // `zsh-5.9`, `ksh93`, and what the kernel adds when the program was upgraded.
        let name = name.trim_end_matches(" (deleted)");
        let is_of_version = |c: char| c.is_ascii_digit() || c == '.' || c == '-';
        SHELLS.contains(&name.trim_end_matches(is_of_version))
    };
    let name = |path: &Path| {
        path.file_name()
            .map(|name| name.to_string_lossy().into_owned())
    };
    match name(program) {
        // One program, which is what it is called as: `/bin/sh script`, `busybox sh script`.
        Some(busybox) if busybox.starts_with("busybox") => arguments()
            .split(|byte| *byte == 0)
            .take(2)
            .filter_map(|word| name(Path::new(OsStr::from_bytes(word))))
            .any(|word| is_one(&word)),
        Some(other) => is_one(&other),
        None => false,
    }
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
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
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }
}

/// What `/proc/PID/status` says, which never waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Status {
    parent: u32,
    group: u32,
    session: u32,
    ignored: u64,
}

impl Status {
    fn of(process: u32) -> Option<Self> {
        Self::parse(&read(format!("/proc/{process}/status")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        // Group and session are listed for each pid namespace, ours first.
        let number = |name| field(text, name)?.split('\t').next()?.parse().ok();
        Some(Self {
            parent: number("PPid:")?,
            group: number("NSpgid:")?,
            session: number("NSsid:")?,
            ignored: u64::from_str_radix(field(text, "SigIgn:")?, 16).ok()?,
        })
    }

    fn ignores(&self, signal: u32) -> bool {
        self.ignored & bit(signal) != 0
    }

    fn is_in_the_background(&self) -> bool {
        self.ignores(SIGTTIN) && self.ignores(SIGTTOU) && !self.has_prompt()
    }

    /// Whether it is a shell that talks to somebody: they ignore both (bash, dash, zsh, fish), and
    /// their children never SIGQUIT.
    fn has_prompt(&self) -> bool {
        self.ignores(SIGTSTP) && self.ignores(SIGQUIT)
    }
}

/// A signal in a mask of `/proc/PID/status`.
fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
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
    match read(format!("/proc/{thread}/status")) {
        Ok(status) => parse_impatience(&status),
        Err(_) if is_there(thread) => Impatience::None,
        Err(_) => Impatience::Killed,
    }
}

/// Whether a thread is there that `/proc` does not show: with `hidepid` it hides the processes of
/// other users (proc(5)).
fn is_there(thread: u32) -> bool {
    let pid = i32::try_from(thread).ok().and_then(Pid::from_raw);
    // Sends nothing. EPERM shows that the process exists, too.
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

const SIGHUP: u32 = 1;
const SIGINT: u32 = 2;
const SIGQUIT: u32 = 3;
const SIGKILL: u32 = 9;
const SIGTERM: u32 = 15;
const SIGTSTP: u32 = 20;
const SIGTTIN: u32 = 21;
const SIGTTOU: u32 = 22;

fn parse_impatience(status: &str) -> Impatience {
    let mask = |name| {
        field(status, name)
            .and_then(|hex| u64::from_str_radix(hex, 16).ok())
            .unwrap_or(0)
    };
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
            parent: 1,
            group: 40,
            session: 39,
            start: 98765,
        };
        assert_eq!(Stat::parse(line), Some(stat));
        assert_eq!(Stat::parse("42 (a"), None);
    }

    #[test]
    fn the_group_of_timeout_asks_for_the_group_that_started_it_unless_that_has_a_prompt() {
        let none = 0;
        let background = bit(SIGTTIN) | bit(SIGTTOU);
        let substitution = background | bit(SIGTSTP);
        let prompt = substitution | bit(SIGQUIT);
        let status = |parent, group, session, ignored| Status {
            parent,
            group,
            session,
            ignored,
        };
        let found = |id| match id {
            10 => Some(status(1, 10, 10, prompt)),
            20 => Some(status(10, 20, 10, none)),
            // In the script 20, and in each other.
            30 => Some(status(20, 30, 10, background)),
            31 => Some(status(30, 31, 10, background)),
            // At the prompt, and in a substitution there.
            40 => Some(status(10, 40, 10, background)),
            41 => Some(status(10, 41, 10, substitution)),
            // A shell with a prompt in another one.
            45 => Some(status(10, 45, 10, prompt)),
            // Of another session.
            50 => Some(status(20, 50, 50, background)),
            _ => None,
        };
        let groups = [10, 20, 30, 31, 40, 41, 45, 60];
        let asking = groups.map(|group| asking_groups(group, 10, found).pop());
        assert_eq!(asking, [10, 20, 20, 20, 40, 10, 45, 60].map(Some));
        assert_eq!(asking_groups(31, 10, found), [31, 30, 20]);
        assert_eq!(asking_groups(50, 50, found), [50]);
    }

    #[test]
    fn a_status_is_read_as_our_pid_namespace_sees_it() {
        let text = "Name:\tx\nPPid:\t7\nNSpgid:\t42\t1\nNSsid:\t40\t1\nSigIgn:\t0000000000300000\n";
        let status = Status::parse(text).expect("it is complete");
        let numbers = (status.parent, status.group, status.session);
        assert_eq!(numbers, (7, 42, 40));
        assert!(status.is_in_the_background() && !status.has_prompt());
        assert_eq!(Status::parse("PPid:\t7\n"), None);
    }

    #[test]
    fn this_process_is_found_and_alive() {
        let me = caller(std::process::id()).expect("this process");
        assert_eq!(me.process.id, std::process::id());
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("cat runs");
        let its = caller(child.id()).expect("the child");
        drop(child.stdin.take());
        child.wait().expect("it ended");
        let parents = [me.process.id].into_iter().chain(me.ancestors.ids());
        assert_eq!(its.ancestors, Ancestors::new(parents));
        assert_eq!(its.job, me.job);
        assert!(Lives::new().watch(me.process).goes_on());
        let proc = Proc::new(Path::new("/"));
        let has = |thread| proc.has_thread(me.process, thread);
        assert_eq!(
            [me.process.id, 1, 0].map(has),
            [Some(true), Some(false), None]
        );
    }

    #[test]
    fn shells_are_known_by_their_program_whatever_its_version() {
        let no_arguments = || unreachable!("they are not looked at");
        let shells = [
            "/bin/bash",
            "/usr/bin/dash",
            "/bin/zsh-5.9",
            "/bin/ksh93",
            "/a/bash (deleted)",
        ];
        for shell in shells {
            assert!(is_shell(Path::new(shell), no_arguments), "{shell}");
        }
        for other in [
            "/bin/cp",
            "/bin/bashful",
            "/bin/python3.13",
            "/usr/bin/ssh",
            "/",
        ] {
            assert!(!is_shell(Path::new(other), no_arguments), "{other}");
        }
    }

    #[test]
    fn busybox_is_the_shell_when_it_is_called_as_one() {
        let is = |words: &'static str| is_shell(Path::new("/bin/busybox"), || words.into());
        assert!(is("/bin/sh\0./script\0") && is("busybox\0ash\0-c\0") && is("sh\0"));
        assert!(!is("cp\0-a\0sh\0") && !is("busybox\0cp\0sh\0") && !is(""));
    }

    #[test]
    fn a_thread_is_there_until_it_is_gone_also_one_that_leads_no_process() {
        let (name, go) = std::sync::mpsc::channel();
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            // PID/task/TID
            let me = fs::read_link("/proc/thread-self").expect("a link");
            let id = me.file_name().and_then(|id| id.to_str()?.parse().ok());
            name.send(id.expect("a number")).expect("somebody listens");
            let _ = ended.recv();
        });
        let id = go.recv().expect("it runs");
        assert!(is_there(id) && is_there(1));
        drop(end);
        thread.join().expect("it ended");
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while is_there(id) && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        assert!(!is_there(id) && !is_there(0));
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
