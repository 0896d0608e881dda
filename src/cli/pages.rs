//! `etagfs man` and `etagfs completions`: what is made of the definition of the command line.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Command};
use clap_complete::Shell;

use super::output::copy;
use super::report::Failure;

/// The page about fstab and mount(8): no command of ours, so that it is written by hand.
const MOUNT_ETAGFS: &str = include_str!("mount.etagfs.8");

/// The options of `man`.
#[derive(Debug, ClapArgs)]
pub(super) struct ManArgs {
    /// Write all pages into this directory, one for each command.
    dir: Option<PathBuf>,
}

/// The options of `completions`.
#[derive(Debug, ClapArgs)]
pub(super) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the page about `etagfs`, or writes all.
pub(super) fn man(args: &ManArgs, command: Command) -> Result<(), Failure> {
    let Some(dir) = &args.dir else {
        let mut command = command.disable_help_subcommand(true);
        command.build();
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        return copy(&page[..]);
    };
    write(dir, command).map_err(|error| {
        Failure::new(format!(
            "the pages cannot be written to {}: {error}",
            dir.display()
        ))
        .hint("choose a directory of yours, like ~/.local/share/man/man1")
    })
}

fn write(dir: &Path, command: Command) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    clap_mangen::generate_to(command, dir)?;
    std::fs::write(dir.join("mount.etagfs.8"), MOUNT_ETAGFS)
}

/// Prints the completions of a shell.
pub(super) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command, "etagfs", &mut text);
    copy(&text[..])
}
