//! `etagfs mount`: builds the stack, from the backend up, and runs it until it ends.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args as ClapArgs;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::daemon::{self, Ready};
use super::hangup::Terminal;
use super::hints::Trouble;
use super::konserve::Konserve;
use super::notify::Manager;
use super::observing::Observing;
use super::one_line::one_line;
use super::output::note;
use super::quoted::quoted;
use super::report::Failure;
use super::signals::{Signals, is_ignored};
use super::source::{Connection, Source, StateOptions};
use super::state::{Refused, Rescues};
use super::units::{memory, mode, seconds, size, store};
use super::{alive, environment, log, mount_point, probe, runtime, scratch, stores};
use crate::backend::{After, Backend, ListQuery, Page};
use crate::model::{ScratchNames, Server, StoreId};
use crate::mount::{Mounted, Options, Patience, Proc, raise_descriptor_limit};
use crate::store::{Bucket, Catalog as _, Glance};
use crate::telemetry::Telemetry;
use crate::vfs::{self, AfterConflict, Ending, StateDir, Vfs};

/// How long saves may continue after the daemon was stopped.
const GRACE: Duration = Duration::from_secs(10);

/// Of how many names it is seen at the mount what they are.
const FIRST: u16 = 16;

/// The options of `mount`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// What to mount: s3://BUCKET[/PREFIX], or one store in it: s3://BUCKET[/PREFIX]/UUID.
    source: String,
    /// Where: an empty directory.
    dir: PathBuf,
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    view: ViewOptions,
    #[command(flatten)]
    konserve: Konserve,
    #[command(flatten)]
    saving: Saving,
    #[command(flatten)]
    rescues: Rescues,
    #[command(flatten)]
    access: AccessOptions,
    #[command(flatten)]
    service: ServiceOptions,
    #[command(flatten)]
    observing: Observing,
}

/// What is shown, and how fresh.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "View")]
struct ViewOptions {
    /// Show this one store, at the top.
    #[arg(
        long,
        env = "ETAGFS_STORE",
        value_name = "UUID",
        conflicts_with = "flat",
        value_parser = store
    )]
    store: Option<StoreId>,
    /// Show the objects themselves, without a level of stores.
    #[arg(long, env = "ETAGFS_FLAT")]
    flat: bool,
    /// How old the answers of `ls` and `stat` may be, in seconds; 0 asks every time. Opening a file
    /// always shows its newest version.
    #[arg(
        long,
        env = "ETAGFS_TTL",
        value_name = "SECONDS",
        default_value = "1",
        value_parser = seconds
    )]
    ttl: Duration,
    /// Values up to this size are read whole; larger ones in pieces. Units: K, M, G.
    #[arg(long, env = "ETAGFS_INLINE_LIMIT", value_name = "SIZE", default_value = "8M", value_parser = size)]
    inline_limit: u64,
    /// Memory for values that may be read again. Units: K, M, G.
    #[arg(long, env = "ETAGFS_CACHE_SIZE", value_name = "SIZE", default_value = "64M", value_parser = size)]
    cache_size: u64,
}

/// What becomes of saves.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Saving")]
struct Saving {
    /// What a process may do after a conflict (EAGAIN): replace exactly the version that the
    /// conflict reported, or save only after reading the file again.
    #[arg(
        long,
        env = "ETAGFS_AFTER_CONFLICT",
        value_enum,
        default_value = "told"
    )]
    after_conflict: AfterConflictArg,
    /// How often to retry an append after another writer saved first; 0 makes that a conflict like
    /// any other.
    #[arg(
        long,
        env = "ETAGFS_APPEND_RETRIES",
        value_name = "TIMES",
        default_value_t = 10
    )]
    append_retries: u32,
    /// Memory for the unsaved bytes of one open file; the rest spills to an unnamed file in the state
    /// directory. Units: K, M, G.
    #[arg(long, env = "ETAGFS_DRAFT_MEMORY", value_name = "SIZE", default_value = "64M", value_parser = size)]
    draft_memory: u64,
    /// Memory for which process has read which version of which key, about 60 bytes for each file that
    /// a program read. Units: K, M, G.
    #[arg(long, env = "ETAGFS_SHOWN_MEMORY", value_name = "SIZE", default_value = "64M", value_parser = memory)]
    shown_memory: u64,
    /// Save at every write, not only at close and fsync: for programs that ignore the error of close.
    /// Each write sends a PUT of the whole value.
    #[arg(long, env = "ETAGFS_SYNC")]
    sync: bool,
    #[arg(
        help = scratch::help(),
        long,
        env = "ETAGFS_SCRATCH",
        value_name = "PATTERNS",
        value_delimiter = ',',
        default_values_t = ScratchNames::DEFAULT.map(str::to_owned),
        hide_default_value = true
    )]
    scratch: Vec<String>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum AfterConflictArg {
    /// The next save replaces exactly the version that the conflict reported.
    Told,
    /// The next save fails too, until the process has read the file again.
    Reread,
}

/// Who may access the mount, and how.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Access")]
struct AccessOptions {
    /// Refuse every change.
    #[arg(long, env = "ETAGFS_READ_ONLY")]
    read_only: bool,
    /// Owner of everything [default: you].
    #[arg(long, env = "ETAGFS_UID")]
    uid: Option<u32>,
    /// Group of everything [default: yours].
    #[arg(long, env = "ETAGFS_GID")]
    gid: Option<u32>,
    /// Permissions of files, in octal.
    #[arg(long, env = "ETAGFS_FILE_MODE", value_name = "MODE", default_value = "644", value_parser = mode)]
    file_mode: u16,
    /// Permissions of directories, in octal.
    #[arg(long, env = "ETAGFS_DIR_MODE", value_name = "MODE", default_value = "755", value_parser = mode)]
    dir_mode: u16,
    /// Let other users access the mount, as far as the permissions allow.
    #[arg(long, env = "ETAGFS_ALLOW_OTHER")]
    allow_other: bool,
    /// Run no programs from the mount.
    #[arg(long, env = "ETAGFS_NO_EXEC")]
    no_exec: bool,
}

/// How it runs.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Running")]
struct ServiceOptions {
    /// Return when the mount is ready, and continue in the background.
    #[arg(long, env = "ETAGFS_DAEMON")]
    daemon: bool,
    /// First read variables from this file: lines of NAME=VALUE, as in systemd's EnvironmentFile=.
    /// For keys and options that do not belong in fstab.
    #[arg(long, env = "ETAGFS_ENV_FILE", value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(flatten)]
    state: StateOptions,
}

/// Mounts, and returns when the mount is over (or, as a daemon, ready). `words` are those that became
/// `args`, with which it starts itself again where it has to.
pub(super) fn run(mut args: Args, words: &[OsString]) -> Result<(), Failure> {
    let is_launcher = args.service.daemon && !daemon::is_child();
    if let Some(file) = &args.service.env_file
        && !is_launcher
    {
        environment::load(file, words)?;
    }
    let (source, store) = Source::with_store(&args.source, &args.connection, args.view.flat)?;
    match (store, args.view.store) {
        (Some(one), Some(other)) if one != other => {
            return Err(Failure::usage(
                "two stores are named: one in SOURCE, and one by --store",
            ));
        }
        (store, named) => args.view.store = store.or(named),
    }
    args.dir = std::path::absolute(&args.dir)?;
    mount_point::check(&args.dir)?;
    mount_point::check_apart(&args.dir, &args.service.state.dir()?)?;
    let (state, unfit) = match args.service.state.of_mount(args.access.read_only) {
        Ok(state) => (state, None),
        Err(Refused::ToReader(unfit)) => (None, Some(unfit)),
        Err(Refused::Mount(failure)) => return Err(failure),
    };
    if is_launcher {
        return daemon::spawn(words);
    }
    let mut ready = Ready::begin()?;
    let target = match ready.is_daemon() {
        true => {
            let state = args.service.state.make();
            // Only a mount that reads comes here without one.
            let state = state.map_err(|failure| {
                failure.hint("a daemon logs there: give a directory of your own with --state-dir")
            })?;
            log::Destination::File(daemon::log_file(&state, &args.dir)?)
        }
        false => ready.log_target(&args.observing.log),
    };
    let runtime = runtime()?;
    let going = args
        .observing
        .start(target, &source.label(), runtime.handle())?;
    if let Some(unfit) = unfit {
        tracing::warn!("{unfit}; a mount that only reads does without");
    }
    let result = runtime.block_on(serve(args, &source, state.as_ref(), ready));
    // The runtime sends the last of it.
    drop(going);
    result
}

/// Mounts, tells `ready`, and returns when the mount is over.
pub(super) async fn serve(
    args: Args,
    source: &Source,
    state: Option<&StateDir>,
    ready: Ready,
) -> Result<(), Failure> {
    raise_descriptor_limit();
    // Before anything is mounted, so that a signal never finds a mount without its end.
    let mut ends = Signals::heard(&[Signal::INT, Signal::TERM])?;
    // Below nohup(1) the end of the terminal is no end; to drop what is remembered hurts nobody.
    let is_terminal_ours = !is_ignored(Signal::HUP);
    let mut hangup = signal(SignalKind::hangup())?;
    let terminal = match ready.is_daemon() || !is_terminal_ours {
        true => Terminal::none(),
        false => Terminal::at_start(),
    };
    let metrics = args.observing.listen().await?;
    let telemetry = Arc::<Telemetry>::default();
    args.observing.tell_store_of_traces(&telemetry);
    let telling_failures = Arc::clone(&telemetry);
    let reached = tokio::select! {
        reached = reach(&args, source, state, Arc::clone(&telemetry)) => reached,
        // There is nothing to unmount yet, and the store may take its time.
        signal = ends.next() => return Err(ended(signal, source, &args.dir)),
    };
    let (root, server) = reached?;
    let patterns = scratch::patterns(&args.saving.scratch);
    let ttl = args.view.ttl;
    let options = vfs::Options {
        ttl,
        inline_limit: args.view.inline_limit,
        cache_bytes: usize::try_from(args.view.cache_size).unwrap_or(usize::MAX),
        draft_memory: usize::try_from(args.saving.draft_memory).unwrap_or(usize::MAX),
        shown_memory: usize::try_from(args.saving.shown_memory).unwrap_or(usize::MAX),
        read_only: args.access.read_only,
        sync: args.saving.sync,
        append_retries: args.saving.append_retries,
        after_conflict: match args.saving.after_conflict {
            AfterConflictArg::Told => AfterConflict::Told,
            AfterConflictArg::Reread => AfterConflict::Reread,
        },
        scratch: ScratchNames::new(patterns?),
        mounted_at: args.dir.clone(),
        rescues: args.rescues.bounds(),
        server,
    };
    let label = source.label();
    // Rescues name the store by themselves.
    let shown = match args.view.store {
        Some(id) => format!("{label}/{id}"),
        None => label.clone(),
    };
    let vfs = Arc::new(Vfs::new(
        root,
        &*label,
        options,
        state,
        Box::new(Proc::new(&args.dir)),
        Arc::clone(&telemetry),
    )?);
    let _metrics = metrics
        .map(|metrics| metrics.serve(Arc::clone(&vfs)))
        .transpose()?;
    let told = Arc::clone(&vfs);
    let deadlines = args.connection.deadlines();
    let options = Options {
        uid: args
            .access
            .uid
            .unwrap_or(rustix::process::getuid().as_raw()),
        gid: args
            .access
            .gid
            .unwrap_or(rustix::process::getgid().as_raw()),
        file_mode: args.access.file_mode,
        dir_mode: args.access.dir_mode,
        allow_other: args.access.allow_other,
        read_only: args.access.read_only,
        no_exec: args.access.no_exec,
        ttl,
        patience: Patience {
            // The store's own deadline, and what a save may need to find out how it ended.
            base: deadlines.operation + Duration::from_secs(10),
            slowest: deadlines.slowest,
        },
        // As it was given, so that `mount -a` sees that this line of the fstab is mounted.
        source: args.source.clone(),
    };
    let mounted = Mounted::new(
        Arc::clone(&vfs),
        &args.dir,
        options,
        tokio::runtime::Handle::current(),
    )
    .map_err(|error| mount_point::failure(&args.dir, &error))?;
    telling_failures
        .warns_of_failures
        .store(true, Ordering::Relaxed);
    let known = Arc::clone(&vfs);
    let reach = alive::keep_within_reach(&args.dir, move || known.is_within_reach()).await;
    let kept_at = state.map(|state| tracing::field::display(state.path().display()));
    tracing::info!(source = %shown, at = %args.dir.display(), state_directory = kept_at, "mounted");
    let telling = match Manager::of(&shown, &args.dir) {
        Some(manager) => {
            if let Err(failure) = manager.ready().await {
                let _ = mounted.end(Ending::Stopped, GRACE).await;
                return Err(failure);
            }
            Some(manager.keep_telling(move || told.telemetry().metrics.counts()))
        }
        None => None,
    };
    ready.tell(&shown, &args.dir)?;

    let mut over = tokio::time::interval(Duration::from_millis(50));
    let ending = loop {
        tokio::select! {
            _ = ends.next() => break Ending::Stopped,
            _ = hangup.recv() => match terminal.is_gone() {
                true => break Ending::Stopped,
                false => {
                    let vfs = Arc::clone(&vfs);
                    // It waits for the kernel; its end is in the log.
                    drop(tokio::task::spawn_blocking(move || vfs.drop_caches()));
                }
            },
            _ = over.tick() => if mounted.is_over() { break Ending::Unmounted },
        }
    };
    if let Some(telling) = telling {
        telling.stopping();
    }
    drop(reach);
    let end = mounted.end(ending, GRACE).await;
    tracing::info!(source = %shown, at = %args.dir.display(), "unmounted");
    end.map_err(|error| {
        let dir = args.dir.display();
        Failure::new(format!("{dir} could not be unmounted: {error}")).hint(format!(
            "end the programs that use it, then: etagfs umount {}",
            quoted(dir)
        ))
    })?;
    match vfs.rescues_in_memory() {
        0 => Ok(()),
        lost => Err(Failure::new(format!(
            "{lost} rescues had no room in the state directory, and are lost"
        ))
        .hint("the log names them; make room there before the next mount")),
    }
}

/// That a signal came before anything was mounted.
fn ended(signal: Signal, source: &Source, dir: &Path) -> Failure {
    let number = signal.as_raw();
    let by = match signal {
        Signal::INT => "SIGINT".to_owned(),
        Signal::TERM => "SIGTERM".to_owned(),
        _ => format!("signal {number}"),
    };
    let (label, dir) = (source.label(), dir.display());
    Failure::new(format!(
        "ended by {by} before {label} had answered: nothing is mounted at {dir}"
    ))
    // As a shell counts them.
    .code(128 + u8::try_from(number).unwrap_or_default())
}

/// Asks the store whether it can be mounted, and for what the root shows.
async fn reach(
    args: &Args,
    source: &Source,
    state: Option<&StateDir>,
    telemetry: Arc<Telemetry>,
) -> Result<(vfs::Source, Server), Failure> {
    let backend = args.connection.connect_counted(source, telemetry).await?;
    let state_dir = state.map(StateDir::path);
    let first = check_bucket(&*backend, source).await?;
    let asked = args.connection.asked(source);
    if args.access.read_only {
        probe::recall(&*backend, &asked, state_dir);
    } else {
        probe::require_conditions(&*backend, source, &asked, state_dir).await?;
    }
    let server = backend.server().clone();
    let patience = args.connection.deadlines().operation;
    let layouts = args.konserve.layouts(state_dir, patience)?;
    let catalog = Bucket::with(backend, &*source.prefix, layouts).creating(args.konserve.layout());
    if !args.view.flat && args.view.store.is_none() {
        // Nobody's mount is to wait for this, or to fail.
        let is_of_objects = match catalog.glance(&first) {
            Glance::Objects if first.next.is_some() => {
                catalog.list().await.is_ok_and(|stores| stores.is_empty())
            }
            glance => glance == Glance::Objects,
        };
        if is_of_objects {
            let told = stores::no_stores(&source.label());
            tracing::warn!("{told}");
            if daemon::is_child() {
                // Its log is in a file.
                note(&one_line(&format!("etagfs: {told}")));
            }
        }
    }
    Ok((root(&args.view, catalog, source).await?, server))
}

/// What the root shows.
async fn root(
    view: &ViewOptions,
    catalog: Bucket,
    source: &Source,
) -> Result<vfs::Source, Failure> {
    if view.flat {
        return Ok(vfs::Source::Store(catalog.flat()));
    }
    let Some(id) = view.store else {
        return Ok(vfs::Source::Bucket(Arc::new(catalog)));
    };
    match catalog.find(id).await? {
        Some(_) => Ok(vfs::Source::Store(catalog.store(id))),
        None => Err(
            Failure::new(format!("{} has no store {id}", source.label())).because(
                &Trouble::NoStore {
                    source: source.label(),
                    store: id.to_string(),
                },
            ),
        ),
    }
}

/// One request: the bucket exists, and we may list it; its first names.
async fn check_bucket(backend: &dyn Backend, source: &Source) -> Result<Page, Failure> {
    let query = ListQuery {
        prefix: source.prefix.clone(),
        fold: true,
        after: After::Start,
        limit: FIRST,
    };
    match backend.list(&query).await {
        Ok(page) => Ok(page),
        Err(error) if error.is_not_found() => Err(Failure::new(format!(
            "the bucket {} does not exist",
            source.bucket
        ))
        .because(&Trouble::NoBucket(source.bucket.clone()))),
        Err(error) => Err(Failure::denied(error, &Trouble::MayNotList)),
    }
}
