//! A process that does one system call after the other, as the test tells it: so that a test decides
//! the order of the calls of two writers, and sees the errno of each. It is `actor.py`.
//!
//! ```ignore
//! let mut a = Actor::within(mount.path());
//! let fd = a.open("key", "r+");
//! assert_eq!(a.read(fd), "old");
//! assert_eq!(a.close(fd), Err("EAGAIN".to_owned()));
//! ```

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::world::wait::{self, SOON};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/races/actor.py");

/// A file descriptor of an actor.
pub(super) type Fd = u64;

/// What a call came to; an error is the name of its errno.
pub(super) type Done = Result<(), String>;

/// The error of a call.
pub(super) fn errno(name: &str) -> Done {
    Err(name.to_owned())
}

/// The process; killed on drop. It has a process group of its own.
#[derive(Debug)]
pub(super) struct Actor {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

impl Actor {
    /// An actor whose paths are relative to this directory.
    pub(super) fn within(directory: &Path) -> Self {
        let mut child = Command::new("python3")
            .arg(PROGRAM)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            // Ends with the process, or with the actor.
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            orders,
            answers,
        }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Begins a call; [`Actor::end`] waits for it.
    pub(super) fn begin(&mut self, call: &Value) {
        writeln!(self.orders, "{call}").unwrap();
    }

    /// The result of the call that was begun.
    #[track_caller]
    pub(super) fn end(&mut self) -> Result<Value, String> {
        let line = self.answers.recv_timeout(SOON).expect("the actor answers");
        let answer: Value = serde_json::from_str(&line).unwrap();
        match answer["errno"].as_str() {
            Some(errno) => Err(errno.to_owned()),
            None => Ok(answer["ok"].clone()),
        }
    }

    #[track_caller]
    fn call(&mut self, call: &Value) -> Result<Value, String> {
        self.begin(call);
        self.end()
    }

    #[track_caller]
    fn done(&mut self, call: &Value) -> Done {
        self.call(call).map(drop)
    }

    /// open(2); modes `r`, `r+`, `w` (create or truncate), `x` (create, exclusively), `a`, `xa`.
    #[track_caller]
    pub(super) fn try_open(&mut self, path: &str, mode: &str) -> Result<Fd, String> {
        let fd = self.call(&json!(["open", path, mode]))?;
        Ok(fd.as_u64().unwrap())
    }

    /// Like [`Actor::try_open`], when it must succeed.
    #[track_caller]
    pub(super) fn open(&mut self, path: &str, mode: &str) -> Fd {
        self.try_open(path, mode).unwrap()
    }

    /// The whole file.
    #[track_caller]
    pub(super) fn read(&mut self, fd: Fd) -> String {
        let text = self.call(&json!(["read", fd])).unwrap();
        text.as_str().unwrap().to_owned()
    }

    /// Opens, reads and closes a file.
    #[track_caller]
    pub(super) fn cat(&mut self, path: &str) -> String {
        let text = self.call(&json!(["cat", path])).unwrap();
        text.as_str().unwrap().to_owned()
    }

    /// ftruncate(2) to nothing.
    #[track_caller]
    pub(super) fn truncate(&mut self, fd: Fd) -> Done {
        self.done(&json!(["truncate", fd, 0]))
    }

    /// pwrite(2) at the beginning; what was opened to append appends.
    #[track_caller]
    pub(super) fn write(&mut self, fd: Fd, text: &str) -> Done {
        self.done(&json!(["write", fd, text]))
    }

    /// fsync(2).
    #[track_caller]
    pub(super) fn fsync(&mut self, fd: Fd) -> Done {
        self.done(&json!(["fsync", fd]))
    }

    /// close(2).
    #[track_caller]
    pub(super) fn close(&mut self, fd: Fd) -> Done {
        self.done(&json!(["close", fd]))
    }

    /// rename(2).
    #[track_caller]
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Done {
        self.done(&json!(["rename", from, to]))
    }

    /// unlink(2).
    #[track_caller]
    pub(super) fn unlink(&mut self, path: &str) -> Done {
        self.done(&json!(["unlink", path]))
    }

    /// Replaces the text of a file as `echo text > path` does: the first call that failed.
    #[track_caller]
    pub(super) fn save(&mut self, path: &str, text: &str) -> Done {
        self.save_as(path, "w", text)
    }

    /// Creates a file exclusively: the first call that failed.
    #[track_caller]
    pub(super) fn create(&mut self, path: &str, text: &str) -> Done {
        self.save_as(path, "x", text)
    }

    #[track_caller]
    fn save_as(&mut self, path: &str, mode: &str, text: &str) -> Done {
        let fd = self.try_open(path, mode)?;
        let written = self.write(fd, text);
        let closed = self.close(fd);
        written.and(closed)
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        // ESRCH, when it has ended, is as good.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        if !wait::eventually(SOON, || matches!(self.child.try_wait(), Ok(Some(_)))) {
            eprintln!("actor pid {} does not end after SIGKILL", self.pid());
        }
    }
}
