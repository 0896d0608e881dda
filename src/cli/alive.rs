//! `etagfs alive`: whether a mount answers; and how the daemon itself finds out (`notify.rs`).
//!
//! A process asks, never a thread of the daemon: a process that waits for a mount cannot always be killed, and a
//! daemon that waits for itself could not even die. It asks for what the daemon makes up by itself, so that a store
//! that is out of reach makes no mount dead.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::hints::Trouble;
use super::quoted::quoted;
use super::report::Failure;
use super::runtime;
use crate::mount::is_mount_point;

const ANSWERS: &str = "answers";
const ELSEWHERE: &str = "elsewhere";
const DEAD: &str = "dead";
const CLOSED: &str = "closed";

/// The options of `alive`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The mount point.
    dir: PathBuf,
    /// The longest time to wait, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = super::units::seconds)]
    timeout: Duration,
    /// Ask, and wait as long as it takes.
    #[arg(long, hide = true)]
    ask: bool,
}

/// What asking came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    /// The mount answers.
    Answers,
    /// No mount of ours is there (any more).
    Elsewhere,
    /// Its daemon is gone.
    Dead,
    /// It is closed to this user: the kernel does not even ask it.
    Closed,
    /// It does not, and why.
    Silent(String),
}

/// Says whether the mount answers.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let shown = args.dir.display();
    let dir = std::path::absolute(&args.dir)?;
    if args.ask {
        let word = match wait_for(&dir) {
            Ok(true) => ANSWERS.to_owned(),
            Ok(false) => ELSEWHERE.to_owned(),
            Err(error) if is_death(&error) => DEAD.to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => CLOSED.to_owned(),
            Err(error) => error.to_string(),
        };
        return Ok(writeln!(std::io::stdout().lock(), "{word}")?);
    }
    match runtime()?.block_on(ask(&dir, args.timeout)) {
        Liveness::Answers => Ok(()),
        Liveness::Elsewhere => Err(
            Failure::new(format!("nothing of etagfs is mounted at {shown}"))
                .because(&Trouble::NotMounted),
        ),
        Liveness::Dead => Err(
            Failure::new(format!("{shown} is dead: its daemon is gone")).hint(format!(
                "unmount it: etagfs umount {}; then mount it again",
                quoted(shown)
            )),
        ),
        Liveness::Closed => Err(Failure::new(format!(
            "{shown} is closed to you: only the user who mounted it can ask it"
        ))
        .hint("ask as that user, or as root if root mounted it; --allow-other opens a mount to all users")),
        Liveness::Silent(why) => Err(
            Failure::new(format!("{shown} does not answer: {why}")).hint(format!(
                "unmount it: etagfs umount --lazy {}; then mount it again",
                quoted(shown)
            )),
        ),
    }
}

/// Lets another process ask the mount at `dir`, an absolute path, and waits up to `within`.
pub(super) async fn ask(dir: &Path, within: Duration) -> Liveness {
    // Also if the program was replaced by a newer one since. It needs no variable.
    let asking = tokio::process::Command::new("/proc/self/exe")
        .arg0("etagfs")
        .args(["alive", "--ask", "--"])
        .arg(dir)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(within, asking).await {
        Err(_) => Liveness::Silent(format!("nothing came back within {within:?}")),
        Ok(Err(error)) => Liveness::Silent(format!("it could not be asked: {error}")),
        Ok(Ok(output)) => match String::from_utf8_lossy(&output.stdout).trim_end() {
            ANSWERS => Liveness::Answers,
            ELSEWHERE => Liveness::Elsewhere,
            DEAD => Liveness::Dead,
            CLOSED => Liveness::Closed,
            "" => Liveness::Silent(format!(
                "the process that asked it ended with {}",
                output.status
            )),
            why => Liveness::Silent(why.to_owned()),
        },
    }
}

/// How often it is made sure that the kernel knows the mount's own directory.
const LOOK: Duration = Duration::from_secs(1);
/// How long that may take, before the mount is ready, and later.
const IN_REACH: Duration = Duration::from_secs(2);

/// Keeps a mount's own directory known to the kernel, until what is returned is dropped: only an unknown
/// name in the root has to wait while another one there is being looked up or made (V4). The kernel
/// forgets names when it needs their memory; `is_known` tells whether it has.
pub(super) async fn keep_within_reach(
    dir: &Path,
    is_known: impl Fn() -> bool + Send + Sync + 'static,
) -> Keeping {
    // Nobody can be in the way yet. What does not answer now is found out by whoever looks.
    ask(dir, IN_REACH).await;
    let dir = dir.to_owned();
    Keeping(tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK).await;
            if !is_known() {
                ask(&dir, IN_REACH).await;
            }
        }
    }))
}

/// Somebody keeps a mount's own directory within reach.
pub(super) struct Keeping(tokio::task::JoinHandle<()>);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How the kernel says that nobody reads from `/dev/fuse` any more.
fn is_death(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    [ErrorKind::NotConnected, ErrorKind::ConnectionAborted].contains(&error.kind())
}

/// Waits for an answer of the mount; `false` if there is none of ours.
fn wait_for(dir: &Path) -> std::io::Result<bool> {
    if !is_mount_point(dir)? {
        return Ok(false);
    }
    // If the mount is closed to this user, the kernel itself answers, with nothing but zeros.
    if rustix::fs::statfs(dir)?.f_blocks == 0 {
        return Err(std::io::ErrorKind::PermissionDenied.into());
    }
    // Goes through all of the daemon but the store: names, handles, the table.
    match std::fs::read(dir.join(".etagfs/status")) {
        // The files belong to somebody else; the daemon has answered all the same.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(true),
        // Unmounted meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        result => result.map(|_| true),
    }
}
