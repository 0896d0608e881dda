//! `etagfs umount`: unmounts a directory, also after its daemon died.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::report::Failure;
use crate::mount::{Busy, is_mount_point, unmount};

/// The options of `umount`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The mount point.
    dir: PathBuf,
    /// Take it away at once, even if files are open; it ends when they are closed.
    #[arg(long, short = 'z', env = "ETAGFS_LAZY")]
    lazy: bool,
}

/// Unmounts.
pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let shown = args.dir.display();
    if !is_mount_point(&args.dir)? {
        return Err(
            Failure::new(format!("nothing of etagfs is mounted at {shown}"))
                .hint("see what is mounted where: findmnt --types fuse,fuse.etagfs"),
        );
    }
    let busy = match args.lazy {
        true => Busy::Detach,
        false => Busy::Refuse,
    };
    unmount(&args.dir, busy).map_err(|error| {
        Failure::new(format!("{shown} could not be unmounted: {error}")).hint(format!(
            "end the programs that use it (fuser -vm {shown}), or: etagfs umount --lazy {shown}"
        ))
    })
}
