//! A program that is talked to, a line at a time, so that a test decides when each of its steps
//! happens. It does not know what the lines mean. Scripts that just run: [`super::procs`].
//!
//! ```ignore
//! let mut program = Dialogue::with(command);
//! program.say("close key");
//! assert_eq!(program.hear(), "ready");         // panics when no line comes in time
//! program.finish();                            // panics unless it ends with 0
//! ```

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::process::{Pid, Signal, kill_process_group};

use super::wait::{self, SOON};

/// The program; killed on drop, with its process group, which is its own.
#[derive(Debug)]
pub(crate) struct Dialogue {
    child: Child,
    orders: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Dialogue {
    /// Starts the program.
    pub(crate) fn with(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let orders = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            // Ends with the process, or with the dialogue.
            for line in output.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            orders,
            lines,
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a line.
    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.orders.as_ref().unwrap(), "{line}").unwrap();
    }

    /// The next line.
    ///
    /// # Panics
    /// When the program hangs, or has ended.
    #[track_caller]
    pub(crate) fn hear(&self) -> String {
        match self.lines.recv_timeout(SOON) {
            Ok(line) => line,
            Err(why) => panic!("pid {} says nothing: {why}", self.pid()),
        }
    }

    /// Ends the program by the end of its input.
    ///
    /// # Panics
    /// When it hangs, has more to say, or does not end with 0.
    #[track_caller]
    pub(crate) fn finish(mut self) {
        drop(self.orders.take());
        wait::until("the program ends", SOON, || self.ended());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status:?}");
        assert_eq!(self.lines.recv().ok(), None);
    }

    fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        if self.ended() {
            return;
        }
        // ESRCH, when it has just ended, is as good.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        if !wait::eventually(SOON, || self.ended()) {
            eprintln!("pid {} does not end after SIGKILL", self.pid());
        }
    }
}
