//! Child processes that cannot outlive the tests: the kernel signals them when the test process ends,
//! however it ends. It does not know what the children do. Users: [`super::servers`], [`super::mounts`].
//!
//! `PR_SET_PDEATHSIG` does it (set by `setpriv`, since setting it from Rust needs unsafe code). It
//! fires when the *thread* that forked ends, not the process (prctl(2)), and a test's thread ends with
//! the test: so all these children are forked by one thread that never ends.

use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use std::{io, thread};

use rustix::process::{Pid, Signal, kill_process};

use super::wait;

/// What the kernel sends to the child when the tests end without ending it.
#[derive(Clone, Copy)]
pub(crate) enum OnOurDeath {
    /// It is a server: nothing of it is worth an orderly end.
    Kill,
    /// It holds a mount: it has to unmount.
    Terminate,
}

/// A command whose child gets a signal when the test process ends. Start it with [`spawn`].
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, on_our_death: OnOurDeath) -> Command {
    let mut command = Command::new("setpriv");
    let signal = match on_our_death {
        OnOurDeath::Kill => "KILL",
        OnOurDeath::Terminate => "TERM",
    };
    // setpriv replaces itself with the program: the pid is the program's.
    command.args(["--pdeathsig", signal, "--"]).arg(program);
    command
}

type Order = (Command, Sender<io::Result<Child>>);

/// Starts the command on the thread that never ends.
///
/// # Panics
/// When `setpriv` cannot be started. A program that is missing ends the child with status 127.
pub(crate) fn spawn(command: Command) -> Tied {
    static FORKER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let forker = FORKER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::Builder::new()
            .name("forker".to_owned())
            .spawn(move || {
                for (mut command, answer) in inbox {
                    let _ = answer.send(command.spawn());
                }
            })
            .unwrap();
        Mutex::new(orders)
    });
    let (answer, child) = mpsc::channel();
    forker.lock().unwrap().send((command, answer)).unwrap();
    let child = child
        .recv()
        .unwrap()
        .expect("setpriv (Debian: util-linux) starts");
    Tied { child }
}

/// A running child; killed and reaped on drop.
#[derive(Debug)]
pub(crate) struct Tied {
    child: Child,
}

impl Tied {
    /// The child's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends a signal, unless the child has been reaped.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let pid = Pid::from_child(&self.child);
            // It may be gone between the two calls: it is still a zombie then, never another process.
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for the end; `None` when it is still running after `deadline`.
    pub(crate) fn wait(&mut self, deadline: Duration) -> Option<ExitStatus> {
        let _ = wait::eventually(deadline, || self.ended().is_some());
        self.ended()
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if self.wait(wait::SOON).is_none() {
            eprintln!("pid {} does not end after SIGKILL", self.pid());
        }
    }
}
