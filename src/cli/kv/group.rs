//! A command and all that it starts, as one: a process group of its own, which is ended as a whole.
//!
//! Such a group does not have the terminal. A command that wants it is stopped by the kernel (SIGTTIN), which is
//! noticed here; one that shares the group of its caller has the terminal, and is ended alone. It knows
//! neither input nor output.

use std::io;
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid,
};
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// So long it may take to end when it is asked to.
const POLITE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

/// A running command.
#[derive(Debug)]
pub(super) struct Group {
    /// The command itself.
    pub(super) child: Child,
    /// None when it is over.
    pid: Option<Pid>,
    is_own: bool,
}

impl Group {
    /// Starts a command, in a group of its own or its caller's.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start(command: &mut Command, shared: bool) -> io::Result<Self> {
        if !shared {
            command.process_group(0);
        }
        let child = command.spawn()?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        Ok(Self {
            child,
            pid,
            is_own: !shared,
        })
    }

    /// The command has ended by itself; what it left behind may go on.
    pub(super) fn ended(&mut self) {
        self.pid = None;
    }

    /// Whether it was stopped since it used the terminal.
    pub(super) fn wants_terminal(&self) -> bool {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let Some(pid) = self.pid.filter(|_| self.is_own) else {
            return false;
        };
        let stopped = waitid(WaitId::Pid(pid), options).ok().flatten();
        let by = stopped.and_then(|status| status.stopping_signal());
        [Signal::TTIN, Signal::TTOU]
            .map(|signal| Some(signal.as_raw()))
            .contains(&by)
    }

    /// Ends it: asks by this signal, and does not ask twice.
    pub(super) async fn end(mut self, signal: Signal) {
        if let Some(pid) = self.pid {
            self.send(pid, signal);
            // A stopped process receives no signal.
            self.send(pid, Signal::CONT);
            let mut waited = Duration::ZERO;
            // Not reaped: until then the number of its group is nobody else's.
            while waited < POLITE && !has_ended(pid) {
                sleep(PAUSE).await;
                waited += PAUSE;
            }
        }
        self.kill();
        // It is killed: all that is left is to take note of it.
        let _ = self.child.wait().await;
    }

    fn kill(&mut self) {
        if let Some(pid) = self.pid.take() {
            self.send(pid, Signal::KILL);
        }
    }

    fn send(&self, pid: Pid, signal: Signal) {
        // ESRCH, when all have ended, is as good.
        let _ = match self.is_own {
            true => kill_process_group(pid, signal),
            false => kill_process(pid, signal),
        };
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a child has ended, of which nobody has taken note yet.
fn has_ended(child: Pid) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(child), options), Ok(None))
}
