//! `etagfs umount`: unmounts a directory, also after its daemon died.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::alive::{Liveness, ask};
use super::hints::Trouble;
use super::quoted::quoted;
use super::report::Failure;
use super::runtime;
use crate::mount::{Busy, is_mount_point, unmount};

/// The options of `umount`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The mount point.
    dir: PathBuf,
    /// Unmount at once, even if files are open; the mount ends when they are closed.
    #[arg(long, short = 'z', env = "ETAGFS_LAZY")]
    lazy: bool,
    /// Succeed if nothing is mounted there.
    #[arg(long)]
    if_mounted: bool,
    /// Unmount only if the daemon has died; otherwise do nothing and succeed. For cleanup scripts.
    #[arg(long, conflicts_with = "lazy")]
    dead: bool,
}

/// How long a mount that lives may take to say so.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// Unmounts.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let shown = args.dir.display();
    if args.dead {
        let dir = std::path::absolute(&args.dir)?;
        if runtime()?.block_on(ask(&dir, SIGN_OF_LIFE)) != Liveness::Dead {
            return Ok(());
        }
    }
    if !is_mount_point(&args.dir)? {
        if args.if_mounted || args.dead {
            return Ok(());
        }
        return Err(
            Failure::new(format!("nothing of etagfs is mounted at {shown}"))
                .because(&Trouble::NotMounted),
        );
    }
    let busy = match args.lazy || args.dead {
        true => Busy::Detach,
        false => Busy::Refuse,
    };
    unmount(&args.dir, busy).map_err(|error| {
        Failure::new(format!("{shown} could not be unmounted: {error}")).hint(format!(
            "end the programs that use it (fuser -vm {0}), or: etagfs umount --lazy {0}",
            quoted(shown)
        ))
    })
}
