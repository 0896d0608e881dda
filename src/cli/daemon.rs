//! `--daemon`: the command returns when the mount is ready, and the mount goes on.
//!
//! The command starts itself again in a session of its own and waits for one line on a pipe. What
//! goes wrong before that line is printed by the child, on the terminal it still has.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::log::{self, HeldLines};
use super::one_line::one_line;
use super::output::note;
use super::quoted::quoted;
use super::report::Failure;
use crate::vfs::{StateDir, open_regular};

/// Set for the process that goes on in the background.
const CHILD: &str = "ETAGFS_DAEMON_CHILD";
const READY: &str = "ready";

/// Whether this is the process that goes on in the background.
pub(super) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// Starts the process that goes on, `words` being its command line, and waits until it is ready.
pub(super) fn spawn(words: &[OsString]) -> Result<(), Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    if std::env::var_os("HOME").is_none()
        && let Some(home) = std::env::home_dir()
    {
        // mount(8) and systemd mount without one, and the AWS configuration would not be found.
        command.env("HOME", home);
    }
    let mut child = command
        .args(words.iter().skip(1))
        .env(CHILD, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        BufReader::new(out).read_line(&mut line)?;
    }
    if line.trim_end() == READY {
        return Ok(());
    }
    let status = child.wait()?;
    Err(
        match status.code().and_then(|code| u8::try_from(code).ok()) {
            // It has said why.
            Some(code @ 1..) => Failure::told(code),
            _ => Failure::new(format!("the mount did not start ({status})")),
        },
    )
}

/// Where a daemon logs: one file for each mount point. Nothing else is opened that has its name: a link
/// would lead to a file that somebody else chose.
pub(super) fn log_file(state: &StateDir, at: &Path) -> Result<File, Failure> {
    let path = state.path().join(format!("{}.log", log_name(at)));
    let mut options = OpenOptions::new();
    open_regular(&path, options.create(true).append(true).mode(0o600)).map_err(|error| {
        let path = path.display();
        Failure::new(format!("the log {path} cannot be opened: {error}"))
            .hint("take it away, or give another directory with --state-dir")
    })
}

/// What the log of a mount point is called: its path with hyphens. A path that is not told by that, or too
/// long for a file name, has a number of its own behind it.
fn log_name(at: &Path) -> String {
    /// The longest name is 255 bytes, of which the number and the ending take some.
    const LONGEST: usize = 200;
    let bytes = at.as_os_str().as_encoded_bytes();
    let mut name = at.to_string_lossy().trim_matches('/').replace('/', "-");
    let is_told = !bytes.contains(&b'-') && at.to_str().is_some() && name.len() <= LONGEST;
    if is_told {
        return name;
    }
    while name.len() > LONGEST {
        name.pop();
    }
    let number = hex::encode(Sha256::digest(bytes));
    format!("{name}.{}", &number[..8])
}

/// Tells whoever waits that the mount is ready.
pub(super) struct Ready {
    daemon: bool,
    /// Printed instead of the line that a mount prints.
    welcome: Option<String>,
    /// Let go when it is ready.
    held: Option<HeldLines>,
}

impl Ready {
    /// As a daemon, leaves the directory it was started in.
    pub(super) fn begin() -> Result<Self, Failure> {
        let daemon = is_child();
        if daemon {
            std::env::set_current_dir("/")?;
        }
        Ok(Self {
            daemon,
            welcome: None,
            held: None,
        })
    }

    /// In the foreground, with a text to print.
    pub(super) fn with_welcome(text: String) -> Self {
        Self {
            daemon: false,
            welcome: Some(text),
            held: None,
        }
    }

    /// Where to log until then, and from then on, in the foreground. A user who asks for more than the default is
    /// to see everything at once.
    pub(super) fn log_target(&mut self, level: &str) -> log::Destination {
        match level {
            "error" | "warn" | "info" => {
                log::Destination::Held(self.held.insert(HeldLines::new()).clone())
            }
            _ => log::Destination::Stderr,
        }
    }

    /// Whether nobody waits for this process to end.
    pub(super) fn is_daemon(&self) -> bool {
        self.daemon
    }

    /// Tells, and as a daemon leaves the session of the terminal and lets go of it.
    pub(super) fn tell(self, label: &str, at: &Path) -> Result<(), Failure> {
        if let Some(held) = self.held {
            held.let_go();
        }
        if self.daemon {
            // Not before there is a mount. On a directory of autofs(5), only the process group that
            // systemd's automount began the mount in may look at it meanwhile; all others wait for it.
            rustix::process::setsid().map_err(std::io::Error::from)?;
            let mut out = std::io::stdout().lock();
            writeln!(out, "{READY}")?;
            out.flush()?;
            let null = OpenOptions::new().write(true).open("/dev/null")?;
            rustix::stdio::dup2_stdout(&null).map_err(std::io::Error::from)?;
            rustix::stdio::dup2_stderr(&null).map_err(std::io::Error::from)?;
        } else if let Some(welcome) = self.welcome {
            std::io::stdout().lock().write_all(welcome.as_bytes())?;
        } else if std::io::stderr().is_terminal() {
            // For the eye only.
            note(&one_line(&format!(
                "{label} is mounted at {}. To end: Ctrl-C here, or: etagfs umount {}",
                at.display(),
                quoted(at.display())
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn every_mount_point_has_a_log_of_its_own() {
        assert_eq!(log_name(Path::new("/mnt/notes")), "mnt-notes");
        let long = format!("/{}/{}", "a".repeat(255), "b".repeat(255));
        let points = [
            OsStr::new("/mnt/a/b"),
            OsStr::new("/mnt/a-b"),
            OsStr::new("/mnt-a/b"),
            OsStr::from_bytes(b"/mnt/\xff"),
            OsStr::from_bytes(b"/mnt/\xfe"),
            OsStr::new("/mnt/\u{fffd}"),
            OsStr::new(&long),
        ];
        let names: HashSet<_> = points.iter().map(|at| log_name(Path::new(at))).collect();
        assert_eq!(names.len(), points.len(), "{names:?}");
        assert!(names.iter().all(|name| name.len() < 250), "{names:?}");
    }
}
