//! The command line: the only reader of arguments and environment, and the only writer of output.
//!
//! It builds what a subcommand needs and runs it; it decides nothing about stores or saves. Read
//! the file of the subcommand you care about; `connection.rs` tells how a SOURCE becomes a backend, and
//! `report.rs` how a failure becomes a message and an exit code.

mod alive;
mod connection;
mod daemon;
mod demo;
mod hangup;
mod konserve;
mod kv;
mod log;
mod metrics;
mod mount;
mod notify;
mod observing;
mod options;
#[allow(dead_code, reason = "mget follows")]
mod output;
mod probe;
mod quiet;
mod report;
mod rescue;
mod serve;
mod source;
mod stores;
mod top;
mod umount;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Mount a bucket of key-value stores: every key a file, every save a compare-and-swap.
#[derive(Debug, Parser)]
#[command(
    name = "etagfs",
    version,
    about,
    after_help = "\
SOURCE is s3://BUCKET[/PREFIX]. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing newer
(get --if-none-match), 66 no such key, 75 somebody else was first (try again). Every option can also be set by its ETAGFS_* variable."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mount a bucket as a directory.
    #[command(after_help = "\
Options can also be given as mount(8) and fstab(5) write them: -o sync,ro,allow_other,ttl=0.")]
    Mount(Box<mount::Args>),
    /// Unmount a directory.
    Umount(umount::Args),
    /// Find out whether a mount answers.
    #[command(after_help = "\
Exits with 0 if it does and with 1 if not, never later than --timeout: for health checks. It asks the
daemon, not the store.")]
    Alive(alive::Args),
    /// Try it: a server, a bucket and a mount, all on this machine.
    Demo(demo::Args),
    /// Run an S3-compatible server over a local directory.
    Serve(serve::Args),
    /// Find out whether a server keeps the promises that saves rely on.
    Probe(probe::Args),
    /// List, create and remove stores.
    Stores(stores::Args),
    /// Watch a mount: operations, requests, conflicts, the hottest keys.
    Top(top::Args),
    /// Look at the kept bytes of refused and failed saves.
    Rescue(rescue::Args),
    #[command(flatten)]
    Keys(kv::Command),
}

/// Parses the arguments, runs the subcommand, and says how it went.
pub fn main() -> ExitCode {
    let result = match Cli::parse_from(options::expand(std::env::args_os())).command {
        Command::Mount(args) => mount::run(*args),
        Command::Umount(args) => umount::run(&args),
        Command::Alive(args) => alive::run(&args),
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Probe(args) => probe::run(args),
        Command::Stores(args) => stores::run(args),
        Command::Top(args) => top::run(&args),
        Command::Rescue(args) => rescue::run(args),
        Command::Keys(command) => kv::run(command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// The runtime of a subcommand that talks to servers.
fn runtime() -> Result<tokio::runtime::Runtime, report::Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| report::Failure::new(format!("no threads can be started: {error}")))
}
