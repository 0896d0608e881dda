//! The state directory, as the options name it, and what of it may be how large. What it is, and when it is
//! refused, is decided by `vfs/state.rs`.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args as ClapArgs;

use super::report::Failure;
use super::units::{size, time};
use crate::vfs::{RescueBounds, StateDir, Unfit};

/// Where rescued bytes and other things of this machine are kept.
#[derive(Clone, Debug, ClapArgs)]
pub(super) struct StateOptions {
    /// Directory for rescued bytes [else $XDG_STATE_HOME/etagfs; /var/lib/etagfs for root].
    #[arg(long, env = "ETAGFS_STATE_DIR", value_name = "DIR", global = true)]
    state_dir: Option<PathBuf>,
}

impl StateOptions {
    /// The directory.
    ///
    /// # Errors
    /// When none is given and there is no home directory.
    pub(super) fn dir(&self) -> Result<PathBuf, Failure> {
        if let Some(dir) = &self.state_dir {
            return Ok(std::path::absolute(dir)?);
        }
        if rustix::process::geteuid().is_root() {
            return Ok(PathBuf::from("/var/lib/etagfs"));
        }
        let said = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from);
        // That of the user database where there is no HOME, as below mount(8).
        let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
        said.filter(|dir| !dir.as_os_str().is_empty())
            .or_else(|| home.map(|home| home.join(".local/state")))
            .map(|dir| dir.join("etagfs"))
            .ok_or_else(|| {
                Failure::new("there is no home directory to keep rescued bytes in")
                    .hint("give a directory with --state-dir")
            })
    }

    /// The directory for a mount, or none for one that only reads where there is none: then nothing is
    /// made. One that cannot hold a rescue is refused before anything is mounted.
    ///
    /// # Errors
    /// [`Refused::Mount`] says what is wrong with it.
    pub(super) fn of_mount(&self, read_only: bool) -> Result<Option<StateDir>, Refused> {
        let dir = self.dir().map_err(Refused::Mount)?;
        match read_only {
            true => StateDir::find(&dir).map_err(Refused::ToReader),
            false => StateDir::make(&dir)
                .and_then(|state| state.try_rescue().map(|()| Some(state)))
                .map_err(|unfit| Refused::Mount(refusal(&unfit))),
        }
    }

    /// The directory, made if there is none; rescues are not its only use.
    ///
    /// # Errors
    /// As for a mount that writes, but nothing is tried.
    pub(super) fn make(&self) -> Result<StateDir, Failure> {
        StateDir::make(&self.dir()?).map_err(|unfit| refusal(&unfit))
    }

    /// Whether one is named, and not only the usual one meant.
    pub(super) fn is_named(&self) -> bool {
        self.state_dir.is_some()
    }

    /// The directory if there is one, to be looked at.
    ///
    /// # Errors
    /// It belongs to somebody else, or is of a newer program; one that is named does not exist, or is none.
    pub(super) fn find(&self) -> Result<Option<StateDir>, Failure> {
        const HINT: &str = "give the state directory of the mount with --state-dir, as the user who mounts; \
             .etagfs/status in the mount names it (state_directory)";
        let dir = self.dir()?;
        let found =
            StateDir::find(&dir).map_err(|unfit| Failure::new(unfit.to_string()).hint(HINT))?;
        let none = |why: String| {
            Err(Failure::new(format!("{} is no state directory: {why}", dir.display())).hint(HINT))
        };
        match &found {
            _ if !self.is_named() => {}
            None => return none("it does not exist".to_owned()),
            Some(state) => match state.foreign() {
                Ok(None) => {}
                Ok(Some(other)) => return none(format!("it holds other things ({other})")),
                Err(error) => return none(error.to_string()),
            },
        }
        Ok(found)
    }

    /// Where names of keys may be kept to spare requests, if that is possible.
    pub(super) fn for_names(&self) -> Option<PathBuf> {
        let dir = self.dir().ok()?;
        // It need not be there yet.
        StateDir::find(&dir).ok().map(|_| dir)
    }
}

/// Why there is no state directory.
pub(super) enum Refused {
    /// Nothing can be mounted.
    Mount(Failure),
    /// A mount that only reads can do without.
    ToReader(Unfit),
}

fn refusal(unfit: &Unfit) -> Failure {
    Failure::new(unfit.to_string()).hint(
        "saves that fail are kept there: give a directory of your own with --state-dir, or mount with --read-only",
    )
}

/// Makes a directory of the state, and those that it is in; nobody else is to look into them.
///
/// # Errors
/// When it cannot be made.
pub(super) fn make_private(dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// How many rescues are kept.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Rescues")]
pub(super) struct Rescues {
    /// Keep at most this many rescues of SOURCE; the oldest go first, and the log says so. The newest one
    /// always stays [default: any number].
    #[arg(long, env = "ETAGFS_RESCUE_COUNT", value_name = "NUMBER")]
    rescue_count: Option<u64>,
    /// Keep at most this many bytes of rescues of SOURCE, likewise. Units: K, M, G [default: any number].
    #[arg(long, env = "ETAGFS_RESCUE_SIZE", value_name = "SIZE", value_parser = size)]
    rescue_size: Option<u64>,
    /// Keep rescues of SOURCE for this time. Units: s, m, h, d [default: for ever].
    #[arg(long, env = "ETAGFS_RESCUE_AGE", value_name = "TIME", value_parser = time)]
    rescue_age: Option<Duration>,
    /// Memory for rescues while the state directory has no room for them. Units: K, M, G.
    #[arg(long, env = "ETAGFS_RESCUE_MEMORY", value_name = "SIZE", default_value = "64M", value_parser = size)]
    rescue_memory: u64,
}

impl Rescues {
    pub(super) fn bounds(&self) -> RescueBounds {
        RescueBounds {
            count: self.rescue_count,
            bytes: self.rescue_size,
            age: self.rescue_age,
            memory: self.rescue_memory,
        }
    }
}
