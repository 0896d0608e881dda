//! The command line: the only reader of arguments and environment, and the only writer of output.
//!
//! It builds what a subcommand needs and runs it; it decides nothing about stores or saves. Read
//! the file of the subcommand you care about; `connection.rs` tells how a SOURCE becomes a backend, and
//! `report.rs` how a failure becomes a message and an exit code.

mod alive;
mod bucket;
mod connection;
mod daemon;
mod demo;
mod descriptors;
mod elsewhere;
mod environment;
mod hangup;
mod help;
mod helper;
mod hints;
mod konserve;
mod kv;
mod log;
mod metrics;
mod mount;
mod mount_point;
mod notify;
mod observing;
mod one_line;
mod options;
mod output;
mod pages;
mod probe;
mod quoted;
mod redact;
mod report;
mod rescue;
mod scratch;
mod serve;
mod settings_file;
mod signals;
mod source;
mod state;
mod stores;
mod top;
mod umount;
mod units;
mod variables;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use report::Failure;

/// Mount a bucket of key-value stores: every key a file, every save a compare-and-swap.
#[derive(Debug, Parser)]
#[command(
    name = "etagfs",
    version,
    about,
    after_help = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing newer (get --if-none-match), 66 no such key,
75 somebody else was first (try again). Many options can also be set by the ETAGFS_* variable that
the help of their command names."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mount a bucket as a directory.
    // The last one counts, as with mount(8).
    #[command(
        args_override_self = true,
        after_help = "\
Options can also be given as mount(8) and fstab(5) write them: -o sync,ro,allow_other,ttl=0."
    )]
    Mount(Box<mount::Args>),
    /// Unmount a directory.
    Umount(umount::Args),
    /// Check whether a mount answers.
    #[command(after_help = "\
Exits with 0 if it does and with 1 if not, never later than --timeout: for health checks. It
asks the daemon, not the store.")]
    Alive(alive::Args),
    /// Try it: a server, a bucket and a mount, all on this machine.
    Demo(demo::Args),
    /// Run an S3-compatible server over a local directory.
    Serve(serve::Args),
    /// Check that a server enforces the conditions that saves rely on.
    Probe(probe::Args),
    /// List, create, copy and remove stores.
    Stores(stores::Args),
    /// Create and remove buckets.
    Bucket(bucket::Args),
    /// Watch a mount: operations, requests, conflicts, the hottest keys.
    Top(top::Args),
    /// Show the kept bytes of refused and failed saves.
    Rescue(rescue::Args),
    #[command(flatten)]
    Keys(kv::Command),
    /// Print the manual page, or write all of them.
    Man(pages::ManArgs),
    /// Print the completions of a shell.
    #[command(after_help = "\
bash: etagfs completions bash > ~/.local/share/bash-completion/completions/etagfs
fish: etagfs completions fish > ~/.config/fish/completions/etagfs.fish
zsh:  etagfs completions zsh > DIR/_etagfs, in a DIR of $fpath")]
    Completions(pages::CompletionsArgs),
}

/// Parses the arguments, runs the subcommand, and says how it went.
pub fn main() -> ExitCode {
    let mut words = std::env::args_os().peekable();
    if helper::is_called(words.peek()) {
        let code = mount_for_mount8(words.skip(1)).map_or_else(Failure::report, |()| 0);
        return helper::exit_code(code);
    }
    let mut definition = help::arranged(Cli::command());
    let words = match options::expand(words, &options_of_mount()) {
        Ok(words) => words,
        Err(failure) => return ExitCode::from(failure.report()),
    };
    let parsed = definition
        .try_get_matches_from_mut(&words)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let command = match parsed {
        Ok(cli) => cli.command,
        Err(error) => match variables::explain(error, &definition, &words) {
            Ok(text) => {
                output::note(text.trim_end());
                return ExitCode::from(2);
            }
            Err(error) => error.exit(),
        },
    };
    let checked = variables::check(&definition, std::env::vars_os().map(|(name, _)| name));
    let done = checked.and_then(|()| run(command, &words));
    ExitCode::from(match done {
        Ok(()) => 0,
        Err(failure) => {
            log::start_late();
            failure.report()
        }
    })
}

fn run(command: Command, words: &[OsString]) -> Result<(), Failure> {
    match command {
        Command::Mount(args) => mount::run(*args, words),
        Command::Umount(args) => umount::run(&args),
        Command::Alive(args) => alive::run(&args),
        Command::Demo(args) => demo::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Probe(args) => probe::run(args),
        Command::Stores(args) => stores::run(args),
        Command::Bucket(args) => bucket::run(args),
        Command::Top(args) => top::run(&args),
        Command::Rescue(args) => rescue::run(args),
        Command::Keys(command) => kv::run(command),
        Command::Man(args) => pages::man(&args, Cli::command()),
        Command::Completions(args) => pages::completions(&args, Cli::command()),
    }
}

/// The options that a mount has.
fn options_of_mount() -> options::OptionNames {
    let mut command = Cli::command();
    command.build();
    let mount = command.find_subcommand("mount");
    let options = mount.into_iter().flat_map(clap::Command::get_arguments);
    let known = options.filter_map(|option| {
        let has_value = option.get_action().takes_values();
        Some((option.get_long()?.to_owned(), has_value))
    });
    known.collect()
}

/// As `mount.etagfs`.
fn mount_for_mount8(arguments: impl Iterator<Item = OsString>) -> Result<(), Failure> {
    let call = helper::read(arguments, &options_of_mount())?;
    variables::check(&Cli::command(), std::env::vars_os().map(|(name, _)| name))?;
    let cli = Cli::try_parse_from(&call.words).map_err(|error| helper::refusal(&error))?;
    match call.is_fake {
        true => Ok(()),
        false => run(cli.command, &call.words),
    }
}

/// The runtime of a subcommand that talks to servers. Left to itself it would read the number of its threads
/// in `TOKIO_WORKER_THREADS`, and panic if that is none; and where no thread can be started or no file opened.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let none = |error| {
        Failure::new(format!("no threads can be started: {error}"))
            .hint("the limit of processes is reached: ulimit -u, or pids.max of the control group")
    };
    can_open(FILES).map_err(|error| {
        Failure::new(format!("no files can be opened: {error}"))
            .hint("the limit of open files is too low: ulimit -n")
    })?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    can_start(threads + SPARE).map_err(none)?;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(none)
}

/// For what blocks: name resolution, local files.
const SPARE: usize = 2;

/// How many files a runtime has open, with a connection and a file beside it.
const FILES: usize = 10;

/// Whether that many more files can be open at the same time.
fn can_open(files: usize) -> std::io::Result<()> {
    let opened: std::io::Result<Vec<_>> = (0..files)
        .map(|_| std::fs::File::open("/dev/null"))
        .collect();
    opened.map(drop)
}

/// Whether that many more threads can exist at the same time.
fn can_start(threads: usize) -> std::io::Result<()> {
    let gate = std::sync::Mutex::new(());
    std::thread::scope(|scope| {
        let closed = gate.lock();
        let wait = || drop(gate.lock());
        let started: std::io::Result<Vec<_>> = (0..threads)
            .map(|_| std::thread::Builder::new().spawn_scoped(scope, wait))
            .collect();
        drop(closed);
        started.map(drop)
    })
}
