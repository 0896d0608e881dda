//! A command that is run for a key: its input, its output, its environment, and how it ended.
//!
//! It knows nothing of keys but what it tells the command. `update.rs` and `watch.rs` run such ones.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use rustix::io::read;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdout, Command};
use tokio::time::{interval, sleep};

use super::group::Group;
use super::stop::{BY_SIGNAL, Stop};
use crate::cli::report::Failure;
use crate::model::Version;

/// The exit codes of env(1) and the shell for commands that do not start.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

/// How often to see whether the terminal has stopped it.
const LOOK: Duration = Duration::from_millis(200);
/// So much of its output is taken at once.
const CHUNK: usize = 64 << 10;
/// Time without an end, for a clock that has one.
pub(super) const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

/// A command and its arguments.
#[derive(Clone, Debug)]
pub(super) struct Filter<'a> {
    words: &'a [OsString],
    key: OsString,
    version: Option<&'a Version>,
    event: Option<&'static str>,
}

/// How far a command may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How long it may take.
    pub(super) time: Duration,
    /// How many bytes it may print.
    pub(super) output: u64,
    /// It shares the terminal, and the process group, with its caller.
    pub(super) foreground: bool,
}

/// What a command came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FilterEnd {
    /// It succeeded, and printed this.
    Printed(Bytes),
    /// It was ended.
    Cut(Cut),
}

/// Why a command was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// Time was up.
    Late,
    /// It printed more than it may.
    Much,
    /// It wanted the terminal, which is not its own.
    Terminal,
    /// Its caller received this signal to end.
    Signal(Signal),
}

impl Cut {
    /// What the command is asked to end by.
    fn signal(self) -> Signal {
        match self {
            Self::Signal(signal) => signal,
            Self::Late | Self::Much | Self::Terminal => Signal::TERM,
        }
    }
}

impl<'a> Filter<'a> {
    /// A command for a key (`ETAGFS_KEY`) and a version of it (`ETAGFS_ETAG`; empty without one).
    pub(super) fn new(
        words: &'a [OsString],
        key: impl Into<OsString>,
        version: Option<&'a Version>,
    ) -> Self {
        Self {
            words,
            key: key.into(),
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

    fn not_started(&self, error: &std::io::Error) -> Failure {
        let code = match error.kind() {
            ErrorKind::NotFound => NOT_FOUND,
            _ => NOT_STARTED,
        };
        Failure::new(format!("{} does not start: {error}", self.name())).code(code)
    }

    /// What messages call it.
    pub(super) fn name(&self) -> String {
        let name = self.words.first().map(|word| word.to_string_lossy());
        name.unwrap_or_default().into_owned()
    }

    /// Runs it with this input to its own end, whatever it has started meanwhile, or to one of its bounds.
    ///
    /// # Errors
    /// When it fails, with its exit code.
    pub(super) async fn pipe(
        &self,
        input: &Bytes,
        bounds: Bounds,
        stop: &Stop,
    ) -> Result<FilterEnd, Failure> {
        let mut command = self.command()?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut group = Group::start(&mut command, bounds.foreground)
            .map_err(|error| self.not_started(&error))?;
        let stdin = group.child.stdin.take();
        let write = async {
            if let Some(mut stdin) = stdin {
                // A command may read nothing, or only the beginning.
                let _ = stdin.write_all(input).await;
                let _ = stdin.shutdown().await;
            }
        };
        let mut output = Output::of(group.child.stdout.take(), bounds.output);
        let mut write = std::pin::pin!(write);
        let mut late = std::pin::pin!(sleep(bounds.time.min(FOR_EVER)));
        let mut look = interval(LOOK);
        let mut is_writing = true;
        let cut = loop {
            tokio::select! {
                () = &mut write, if is_writing => is_writing = false,
                more = output.more(), if output.is_open => if !more? {
                    break Cut::Much;
                },
                status = group.child.wait() => {
                    // What it has started may keep the pipe open, and is not waited for.
                    let is_all = output.drain()?;
                    group.ended();
                    self.succeeded(status?)?;
                    match is_all {
                        true => return Ok(FilterEnd::Printed(output.bytes.into())),
                        false => break Cut::Much,
                    }
                },
                signal = stop.told() => break Cut::Signal(signal),
                () = &mut late => break Cut::Late,
                _ = look.tick() => if group.wants_terminal() {
                    break Cut::Terminal;
                },
            }
        };
        // Whoever it is that ends it: the rest of its output is nobody's.
        drop(output);
        group.end(cut.signal()).await;
        Ok(FilterEnd::Cut(cut))
    }

    /// Runs it with the output of its caller, to its own end or until it is ended.
    ///
    /// # Errors
    /// When it fails, with its exit code.
    pub(super) async fn run(&self, stop: &Stop) -> Result<Option<Cut>, Failure> {
        let mut command = self.command()?;
        command.stdin(Stdio::null());
        let mut group =
            Group::start(&mut command, false).map_err(|error| self.not_started(&error))?;
        let mut look = interval(LOOK);
        let cut = loop {
            tokio::select! {
                status = group.child.wait() => {
                    group.ended();
                    return self.succeeded(status?).map(|()| None);
                },
                signal = stop.told() => break Cut::Signal(signal),
                _ = look.tick() => if group.wants_terminal() {
                    break Cut::Terminal;
                },
            }
        };
        group.end(cut.signal()).await;
        Ok(Some(cut))
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

/// What a command prints, up to a limit.
struct Output {
    from: Option<ChildStdout>,
    bytes: Vec<u8>,
    most: u64,
    is_open: bool,
}

impl Output {
    fn of(from: Option<ChildStdout>, most: u64) -> Self {
        Self {
            is_open: from.is_some(),
            from,
            bytes: Vec::new(),
            most,
        }
    }

    /// Waits for more of it; whether it is not too much.
    async fn more(&mut self) -> std::io::Result<bool> {
        let Some(from) = &mut self.from else {
            return Ok(true);
        };
        self.bytes.reserve(CHUNK);
        let read = from.read_buf(&mut self.bytes).await?;
        self.is_open = read > 0;
        Ok(self.bytes.len() as u64 <= self.most)
    }

    /// Takes what there is by now; whether it is not too much.
    fn drain(&mut self) -> std::io::Result<bool> {
        let Some(from) = self.from.as_ref().filter(|_| self.is_open) else {
            return Ok(true);
        };
        while self.bytes.len() as u64 <= self.most {
            self.bytes.reserve(CHUNK);
            let more = read(
                from.as_fd(),
                rustix::buffer::spare_capacity(&mut self.bytes),
            );
            match more.map_err(std::io::Error::from) {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}
