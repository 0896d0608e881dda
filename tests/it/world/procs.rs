//! Runs scripts (bash, dash, python3) in a directory, with a deadline, in a process group of their
//! own. It does not judge their result. See [`super::wait`] for conditions instead of results.
//!
//! ```ignore
//! let out = Script::bash("echo hi > f; cat f").within(mount.path()).run();
//! assert_eq!((out.code, out.stdout.as_str()), (Some(0), "hi\n"));
//! Script::python("open('f').read()").within(dir).run().ok();      // ok(): panics unless exit 0
//! let running = Script::dash("sleep 100").start();                // in the background
//! running.kill(); let out = running.finish();
//! ```

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::wait;

/// The deadline of a script that names none. It only bounds a hang.
const DEADLINE: Duration = Duration::from_secs(300);

/// What a script came to.
#[derive(Debug)]
pub(crate) struct Output {
    /// The script itself, for messages.
    pub(crate) script: String,
    /// The exit code; `None` when a signal ended it, or the deadline did.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// The deadline struck, and the whole process group was killed.
    pub(crate) timed_out: bool,
    /// Standard output, lossily as UTF-8.
    pub(crate) stdout: String,
    /// Standard error, lossily as UTF-8.
    pub(crate) stderr: String,
}

impl Output {
    /// The output of a script that must succeed.
    ///
    /// # Panics
    /// When it did not; the message tells everything.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(self.code == Some(0), "the script failed: {self:#?}");
        self
    }
}

/// A script to run.
#[derive(Debug)]
pub(crate) struct Script {
    program: &'static str,
    text: String,
    directory: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    deadline: Duration,
}

impl Script {
    fn new(program: &'static str, text: &str) -> Self {
        Self {
            program,
            text: text.to_owned(),
            directory: None,
            environment: Vec::new(),
            deadline: DEADLINE,
        }
    }

    /// A script for bash.
    pub(crate) fn bash(text: &str) -> Self {
        Self::new("bash", text)
    }

    /// A script for dash, the strict one.
    pub(crate) fn dash(text: &str) -> Self {
        Self::new("dash", text)
    }

    /// A script for python3.
    pub(crate) fn python(text: &str) -> Self {
        Self::new("python3", text)
    }

    /// The directory to run in; the tests' own when none is named.
    pub(crate) fn within(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    /// Adds a variable to the inherited environment.
    pub(crate) fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// How long it may take (300 s when not said).
    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Output {
        self.start().finish()
    }

    /// Starts it in the background.
    pub(crate) fn start(self) -> Running {
        // Files, not pipes: a descendant that keeps a pipe open would keep us reading.
        let stdout = tempfile::tempfile().unwrap();
        let stderr = tempfile::tempfile().unwrap();
        let mut command = Command::new(self.program);
        command
            .arg("-c")
            .arg(&self.text)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap())
            .process_group(0);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.program));
        Running {
            script: self,
            child,
            stdout,
            stderr,
            reaped: false,
        }
    }
}

/// Writes a program. Another process does it: what is open for writing cannot be executed, and a child that
/// another test forks has what this process has open, until it has become its program.
pub(crate) fn write_program(path: &Path, text: &str) {
    Script::dash(r#"printf %s "$TEXT" > "$FILE" && chmod 755 "$FILE""#)
        .env("TEXT", text)
        .env("FILE", path)
        .run()
        .ok();
}

/// A script in the background; its process group is killed on drop.
#[derive(Debug)]
pub(crate) struct Running {
    script: Script,
    child: Child,
    stdout: File,
    stderr: File,
    reaped: bool,
}

impl Running {
    /// The process id of the script, which is its process group's too.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended. Does not reap it: until then its pid and group cannot be another's.
    pub(crate) fn ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let state = waitid(WaitId::Pid(Pid::from_child(&self.child)), options);
        state.unwrap().is_some()
    }

    /// Sends a signal to the whole process group.
    pub(crate) fn signal(&self, signal: Signal) {
        // ESRCH, when all have ended, is as good.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }

    /// Kills the whole process group.
    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    /// What it has written to standard output so far.
    pub(crate) fn stdout_so_far(&self) -> String {
        contents(&self.stdout)
    }

    /// Waits for the end, or kills the group at the deadline (counted from here). Whatever the script
    /// left running in its group is killed too.
    ///
    /// # Panics
    /// When the script does not even end when killed: something blocks it in the kernel.
    pub(crate) fn finish(mut self) -> Output {
        let deadline = self.script.deadline;
        let in_time = wait::eventually(deadline, || self.ended());
        self.kill();
        wait::until("a killed script ends", wait::SOON, || self.ended());
        let status = self.child.wait().unwrap();
        self.reaped = true;
        Output {
            script: self.script.text.clone(),
            code: status.code(),
            signal: status.signal(),
            timed_out: !in_time,
            stdout: contents(&self.stdout),
            stderr: contents(&self.stderr),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.reaped {
            return;
        }
        self.kill();
        if wait::eventually(wait::SOON, || self.ended()) {
            let _ = self.child.wait();
        } else {
            eprintln!("script pid {} does not end after SIGKILL", self.pid());
        }
    }
}

fn contents(file: &File) -> String {
    // By position: the file's offset is shared with the child, which writes there.
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}
