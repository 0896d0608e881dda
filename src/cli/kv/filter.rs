//! A command that is run for a key: its input, its output, its environment, and how it ended.
//!
//! It knows nothing of keys but what it tells the command. `update.rs` and `watch.rs` run such ones.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::cli::report::Failure;
use crate::model::Version;

/// The exit codes of env(1) and the shell for commands that do not start.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;
/// What a shell adds to the number of the signal that ended a command.
const BY_SIGNAL: i32 = 128;

/// A command and its arguments.
#[derive(Clone, Debug)]
pub(super) struct Filter<'a> {
    words: &'a [OsString],
    key: String,
    version: Option<&'a Version>,
    event: Option<&'static str>,
}

/// What a command came to.
pub(super) enum Ended {
    /// It succeeded, and printed this.
    Printed(Bytes),
    /// Time was up; it was killed.
    Late,
}

impl<'a> Filter<'a> {
    /// A command for a key (`ETAGFS_KEY`) and a version of it (`ETAGFS_ETAG`; empty without one).
    pub(super) fn new(words: &'a [OsString], key: String, version: Option<&'a Version>) -> Self {
        Self {
            words,
            key,
            version,
            event: None,
        }
    }

    /// With what happened to the key (`ETAGFS_EVENT`).
    pub(super) fn event(mut self, event: &'static str) -> Self {
        self.event = Some(event);
        self
    }

    fn command(&self) -> Result<Command, Failure> {
        let (program, arguments) = self
            .words
            .split_first()
            .ok_or_else(|| Failure::usage("there is no command after --"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("ETAGFS_KEY", &self.key)
            .env("ETAGFS_ETAG", self.version.map_or("", Version::etag))
            .envs(self.event.map(|event| ("ETAGFS_EVENT", event)))
            .kill_on_drop(true);
        Ok(command)
    }

    fn spawn(&self, mut command: Command) -> Result<Child, Failure> {
        command.spawn().map_err(|error| {
            let code = match error.kind() {
                ErrorKind::NotFound => NOT_FOUND,
                _ => NOT_STARTED,
            };
            Failure::new(format!("{} does not start: {error}", self.name())).code(code)
        })
    }

    fn name(&self) -> String {
        let name = self.words.first().map(|word| word.to_string_lossy());
        name.unwrap_or_default().into_owned()
    }

    /// Runs it with this input, no longer than this.
    ///
    /// # Errors
    /// When it fails, with its exit code.
    pub(super) async fn pipe(&self, input: &Bytes, limit: Duration) -> Result<Ended, Failure> {
        let mut command = self.command()?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = self.spawn(command)?;
        let stdin = child.stdin.take();
        let write = async {
            if let Some(mut stdin) = stdin {
                // Who reads nothing, or only the beginning, is right to.
                let _ = stdin.write_all(input).await;
                let _ = stdin.shutdown().await;
            }
        };
        let run = async { tokio::join!(child.wait_with_output(), write).0 };
        match timeout(limit, run).await {
            Ok(output) => {
                let output = output?;
                self.succeeded(output.status)?;
                Ok(Ended::Printed(output.stdout.into()))
            }
            Err(_) => Ok(Ended::Late),
        }
    }

    /// Runs it with the terminal of its caller.
    ///
    /// # Errors
    /// When it fails, with its exit code.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let mut command = self.command()?;
        command.stdin(Stdio::null());
        let status = self.spawn(command)?.wait().await?;
        self.succeeded(status)
    }

    fn succeeded(&self, status: ExitStatus) -> Result<(), Failure> {
        if status.success() {
            return Ok(());
        }
        let code = match status.signal() {
            Some(signal) => BY_SIGNAL + signal,
            None => status.code().unwrap_or(1),
        };
        let code = u8::try_from(code).unwrap_or(1);
        Err(Failure::new(format!("{} failed ({status})", self.name())).code(code))
    }
}
