//! The key-value commands: on a key of a store by its URL, or on any file by its path.
//!
//! `target.rs` reads what the user wrote, `session.rs` finds the way there, and a `Place` (`place.rs`) is
//! what a command works on: a key (`remote.rs`) or a file (`path.rs`). The commands know neither
//! requests nor system calls; each file of theirs is one of them. Read `get.rs` first.

mod backoff;
mod get;
mod path;
mod place;
mod put;
mod remote;
mod said;
mod session;
mod target;

use clap::Subcommand;

use session::Outcome;

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Print a value.
    Get(Box<get::Args>),
    /// Save a value and print its ETag.
    Put(Box<put::Put>),
    /// Save a value under a key that does not exist yet, and print its ETag.
    Create(Box<put::Create>),
}

/// Runs one.
pub(super) fn run(command: Command) -> Outcome {
    match command {
        Command::Get(args) => get::run(&args),
        Command::Put(args) => put::put(&args),
        Command::Create(args) => put::create(&args),
    }
}
