//! Lock files that nothing is written to, and such that something is: exclusive creation has one winner
//! over any number of machines, as each program hears of it (W15). The counts are printed.

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::world::mounts::{self, Mount, Mounted};
use crate::world::report;
use crate::world::servers::{self, Kind};

/// A process that tries to take each lock whose name it is told, and says whether it did.
struct Locker {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Locker {
    fn start(program: &str, text: &str, within: &Path) -> Self {
        let mut child = Command::new(program)
            .args(["-c", text])
            .current_dir(within)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        Self {
            orders: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    fn begin(&mut self, lock: &str) {
        writeln!(self.orders, "{lock}").unwrap();
    }

    fn end(&mut self) -> String {
        self.answers.next().expect("an answer").unwrap()
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// A way to take a lock.
struct Way {
    name: &'static str,
    program: &'static str,
    text: String,
    /// What is in a lock that was taken.
    is_empty: bool,
    /// Of so many ways that do the same in another shell.
    of: usize,
}

/// A shell loop: a subshell, since a redirection that fails ends a shell when the builtin is special.
fn shell(name: &'static str, program: &'static str, take: &str, is_empty: bool) -> Way {
    Way {
        name,
        program,
        text: format!(
            "while read -r lock; do if (set -C; {take} > $lock); then echo won; else echo lost; fi; done"
        ),
        is_empty,
        of: 2,
    }
}

fn python(name: &'static str, write: &str, is_empty: bool) -> Way {
    let text = format!(
        "
import errno, os, sys
for lock in sys.stdin:
    try:
        fd = os.open(lock.strip(), os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        {write}
        os.close(fd)
        print('won', flush=True)
    except OSError as error:
        print(errno.errorcode[error.errno], flush=True)"
    );
    Way {
        name,
        program: "python3",
        text,
        is_empty,
        of: 1,
    }
}

fn ways() -> Vec<Way> {
    vec![
        shell("bash, empty", "bash", ":", true),
        shell("dash, empty", "dash", ":", true),
        shell("bash, with its number", "bash", "echo $$", false),
        shell("dash, with its number", "dash", "echo $$", false),
        python("python, empty", "pass", true),
        python(
            "python, with its number",
            "os.write(fd, b'%d' % os.getpid())",
            false,
        ),
    ]
}

/// Empty locks of shells and of Python, and others, so many times each, by one process on each of so many
/// mounts.
fn one_winner(machines: usize, rounds: usize) {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let start = |_| Mount::of(&bucket).flat().log_level("info").start();
    let mounts: Vec<Mounted> = (0..machines).map(start).collect();
    for (n, way) in ways().into_iter().enumerate() {
        let rounds = rounds / way.of;
        let start = |mount: &Mounted| Locker::start(way.program, &way.text, mount.path());
        let mut lockers: Vec<_> = mounts.iter().map(start).collect();
        let (mut none, mut several, mut unheard) = (0, 0, 0);
        let (mut at_open, mut at_close) = (0, 0);
        for round in 0..rounds {
            let lock = format!("lock-{n}-{round}");
            for locker in &mut lockers {
                locker.begin(&lock);
            }
            let said: Vec<_> = lockers.iter_mut().map(Locker::end).collect();
            match said.iter().filter(|said| *said == "won").count() {
                0 => none += 1,
                1 => {}
                _ => several += 1,
            }
            at_open += said
                .iter()
                .filter(|said| matches!(said.as_str(), "EEXIST" | "lost"))
                .count();
            at_close += said.iter().filter(|said| *said == "EAGAIN").count();
            // The one who was told so is the one whose lock is there.
            let text = bucket.client().text(&lock);
            let winner = said.iter().position(|said| said == "won");
            let number = winner.map(|winner| lockers[winner].child.id().to_string());
            let is_right = match way.is_empty {
                true => text.is_empty(),
                false => Some(text.trim()) == number.as_deref(),
            };
            unheard += usize::from(!is_right);
        }
        let line = format!(
            "{}, {machines} mounts: {several} of {rounds} with several winners, {none} with none, {unheard} with another's \
             text; {at_open} losers heard it at the open, {at_close} at the close",
            way.name
        );
        report::append_line("locks", &line);
        assert_eq!((none, several, unheard), (0, 0, 0), "{line}");
        assert_eq!(at_open + at_close, rounds * (machines - 1), "{line}");
    }
    for mount in mounts {
        mount.unmount();
    }
}

#[test]
fn a_lock_file_is_taken_by_one_of_two_mounts_in_200_rounds() {
    one_winner(2, 200);
}

#[test]
fn a_lock_file_is_taken_by_one_of_five_mounts_in_40_rounds() {
    one_winner(5, 40);
}
