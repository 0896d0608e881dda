//! A filesystem without FUSE: files, handles and saves over key-value stores.
//!
//! One async method for each file operation; numbers in, values out. It knows the kernel only through
//! [`Kernel`] and [`Processes`]. To follow a save, read `save.rs` top to bottom; to follow a read, `open.rs`
//! and `io.rs`. The layer below is `store`.
//!
//! # Locks
//! `Writer::state` (one handle; held during a save) before `Node::save_lock` (one file; held during a save)
//! before the table (the mount; never held during a wait). No thread waits for the kernel under any of them.
//! A rescue is written to the disk under the first alone. Never lock two handles at once, and never a handle
//! while a save lock is held: an operation that renames, deletes or describes a file notes that in the table,
//! and each writer catches up before it saves.
//!
//! # Time
//! Ages are measured with tokio's clock, so that a simulation can run hours in a moment.

mod access;
mod append;
mod attr;
mod blank;
mod cache;
mod claim;
mod closing;
mod content;
mod context;
mod control;
mod copy;
mod create;
mod dir;
mod durable;
mod error;
mod follow;
mod forgetting;
mod gone;
mod handles;
mod io;
mod items;
mod journal;
mod keeper;
mod label;
mod lookup;
mod loss;
mod metadata;
mod open;
mod pairs;
mod pending_renames;
mod place;
mod publish;
mod reached;
mod remove;
mod rename;
mod rescue;
mod save;
mod scratch;
mod scratch_dir;
mod shutdown;
mod stat;
mod state;
mod stats;
mod subject;
mod table;
mod times;
mod told;
mod tries;
mod unshown;
mod writer;
mod xattr;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;

pub use access::{Access, At, Durable};
pub use attr::{Attr, FileKind};
pub use claim::{Begun, Claim};
pub use context::Context;
pub use create::Creation;
pub use error::{Error, Message};
pub use forgetting::{Forgotten, after_forgetting};
pub use gone::CallerGone;
pub use handles::Fh;
pub use items::{Age, DirItem};
pub use keeper::RescueBounds;
pub use label::{Label, ScratchFiles};
pub use numbers::Told;
pub use pairs::{Odd, open_regular};
pub use pending_renames::Departures;
pub use rescue::{Loss, Reason, Record, Rescue};
pub use state::{StateDir, Unfit, replace};
pub use xattr::SetMode;

use crate::model::{
    Caller, FileName, Ino, Key, Living, NodeId, Process, ScratchNames, Seen, Server, Times,
};
use crate::store::{Catalog, Dir, Store};
pub use crate::store::{Queues, in_queues};
use crate::telemetry::Telemetry;
use content::Room;
use handles::Handle;
use journal::Journal;
use keeper::Keeper;
pub use rename::OverExisting;
use rescue::MountedSource;
use scratch_dir::ScratchDir;
pub use shutdown::Ending;
use table::{Kind, Table, commit, known, numbers};

/// What the root of the mount shows.
#[derive(Clone, Debug)]
pub enum Source {
    /// The stores of a bucket, each a directory.
    Bucket(Arc<dyn Catalog>),
    /// One store, or the objects of a bucket or prefix themselves.
    Store(Arc<dyn Store>),
}

/// How the filesystem behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How old the answers to `stat` and `ls` may be. An `open` is never old (R1).
    pub ttl: Duration,
    /// Values up to this size, in bytes, are read whole and kept in memory while open.
    pub inline_limit: u64,
    /// How many bytes of values are cached for later readers.
    pub cache_bytes: usize,
    /// How many bytes of one draft are kept in memory; larger ones are in the state directory.
    pub draft_memory: usize,
    /// How many bytes of memory may hold which process was shown what (W1).
    pub shown_memory: usize,
    /// Nothing can be written.
    pub read_only: bool,
    /// How often the refused save of a handle that only appended is tried again, after the bytes that others
    /// saved (W7); 0 for never.
    pub append_retries: u32,
    /// Every write is saved at once, as with O_SYNC (W13).
    pub sync: bool,
    /// Whether a process may save over the version that a conflict reported to it (W5).
    pub after_conflict: AfterConflict,
    /// Which names are scratch: files that live in this mount alone (W9).
    pub scratch: ScratchNames,
    /// Where the filesystem is mounted; a later mount finds its scratch files by it.
    pub mounted_at: PathBuf,
    /// How many rescues there may be.
    pub rescues: RescueBounds,
    /// The server of the source; what is kept on this machine belongs to it.
    pub server: Server,
}

/// What a process may do after a conflict was reported to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterConflict {
    /// Its next save replaces exactly the version that was reported.
    Told,
    /// It must read the file again first.
    Reread,
}

/// What the filesystem asks of the kernel's caches.
pub trait Kernel: Send + Sync {
    /// Makes the kernel drop what it remembers of a file: its attributes and its pages. The kernel is asked
    /// at once; the returned future waits until it has done so, or for a limited time.
    fn forget_file(&self, id: NodeId) -> Forgotten;

    /// Drops what the kernel remembers of a name in a directory.
    fn forget_name(&self, parent: NodeId, name: &FileName);
}

/// What the filesystem asks of the process table.
#[async_trait]
pub trait Processes: Living {
    /// The process and job of a thread that waits for an answer, if they can be known.
    fn caller(&self, thread: u32) -> Who;

    /// As [`caller`](Self::caller), for an answer that there is no such file. `None` also if the process only
    /// completes names for its user.
    fn misser(&self, thread: u32) -> Who {
        self.caller(thread)
    }

    /// Begins to watch a process that certainly exists, because it waits for an answer.
    fn watch(&self, process: Process) -> Arc<dyn Life>;

    /// Whether this is a thread of a process. `None` if that is unknown.
    fn has_thread(&self, _process: Process, _thread: u32) -> Option<bool> {
        None
    }

    /// Whether the process of a thread that has just closed a descriptor of a file, or a descendant of it,
    /// can still write to that file through another one; the file has one of these numbers for the kernel.
    /// `None` if that cannot be found out, or not soon. Other requests do not wait meanwhile.
    async fn can_write(&self, _thread: u32, _file: Vec<u64>) -> Option<bool> {
        None
    }

    /// Whether the process of a thread never checks the result of close(2). `false` if that is unknown.
    async fn ignores_close(&self, _thread: u32) -> bool {
        false
    }
}

/// A process that is watched.
pub trait Life: Send + Sync + std::fmt::Debug {
    /// Whether it has not ended yet (a zombie has).
    fn goes_on(&self) -> bool;
}

/// The filesystem of one mount.
pub struct Vfs {
    source: Source,
    /// What messages and rescues call the source.
    label: String,
    options: Options,
    /// The directory of what is kept on this machine.
    state_dir: Option<PathBuf>,
    table: Mutex<Table>,
    /// Locked for a moment, also while the table is held.
    times: Mutex<Times>,
    scratch_dir: Mutex<ScratchDir>,
    /// Held while names are moved away and back, which is rare.
    moving: tokio::sync::Mutex<()>,
    keeper: Arc<Keeper>,
    /// The place for drafts.
    room: Room,
    /// Held while a draft is saved that is too large for memory.
    large_save: tokio::sync::Mutex<()>,
    journal: Journal,
    telemetry: Arc<Telemetry>,
    kernel: OnceLock<Box<dyn Kernel>>,
    processes: Arc<dyn Processes>,
    started: Instant,
}

impl std::fmt::Debug for Vfs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vfs")
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

impl Vfs {
    /// A filesystem that shows `source`, called `label` in messages, and keeps what it must keep on this
    /// machine in `state`; without one nothing can be written. It reports to `telemetry`.
    ///
    /// # Errors
    /// Rescues cannot be kept: any error of the local file system.
    pub fn new(
        source: Source,
        label: impl Into<String>,
        options: Options,
        state: Option<&StateDir>,
        processes: Box<dyn Processes>,
        telemetry: Arc<Telemetry>,
    ) -> std::io::Result<Self> {
        let label = label.into();
        let root = match &source {
            Source::Bucket(_) => Kind::Stores,
            Source::Store(store) => Kind::Dir(Arc::clone(store), Dir::root()),
        };
        let place = MountedSource {
            source: label.clone(),
            server: options.server.clone(),
        };
        let keeper = Arc::new(Keeper::new(
            state,
            place.clone(),
            options.rescues,
            Arc::clone(&telemetry),
        ));
        if !options.read_only {
            keeper.prepare()?;
            // Those that are too many by now, or too old.
            keeper.settle();
        }
        let at = |name| state.map(|state| state.path().join(name));
        let processes: Arc<dyn Processes> = processes.into();
        let secret = uuid::Uuid::new_v4().as_u128();
        let living = Arc::<dyn Processes>::clone(&processes);
        let seen = Seen::new(options.shown_memory, secret, living);
        Ok(Self {
            table: Mutex::new(Table::new(root, seen, options.cache_bytes, options.ttl)),
            times: Mutex::default(),
            scratch_dir: Mutex::new(ScratchDir::new(at("scratch"), place, &options.mounted_at)),
            state_dir: state.map(|state| state.path().to_owned()),
            moving: tokio::sync::Mutex::default(),
            keeper,
            room: Room::new(at("drafts"), options.draft_memory),
            large_save: tokio::sync::Mutex::new(()),
            journal: Journal::new(Arc::clone(&telemetry)),
            telemetry,
            kernel: OnceLock::new(),
            processes,
            started: Instant::now(),
            source,
            label,
            options,
        })
    }

    /// Whether rescues wait for room on the disk, or must be checked for their age now.
    pub fn has_rescues_due(&self) -> bool {
        self.keeper.is_due()
    }

    /// Writes to the disk the rescues that wait for room there, and drops those that are too old. Blocks on
    /// the local disk.
    pub fn settle_rescues(&self) {
        self.keeper.settle();
    }

    /// How many rescues are only in memory.
    pub fn rescues_in_memory(&self) -> usize {
        self.keeper.levels().memory.0
    }

    /// Connects the filesystem with the kernel's caches, once they exist.
    pub fn attach(&self, kernel: Box<dyn Kernel>) {
        // A filesystem is mounted once; a second kernel would be a bug, and the first one is right.
        let _ = self.kernel.set(kernel);
    }

    /// How it behaves.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What is remembered of the work of this mount.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    /// The table of the mount. Never held over a wait.
    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic while the table was held is a bug; its data is still the best available.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scratch files of the mount. Held over calls of the local disk, and never while the table is.
    fn scratch_dir(&self) -> MutexGuard<'_, ScratchDir> {
        self.scratch_dir
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A handle.
    ///
    /// # Errors
    /// [`Error::BadHandle`] when there is none of this number.
    fn handle(&self, fh: Fh) -> Result<Arc<Handle>, Error> {
        self.table().handle(fh)
    }

    /// The open handles of a file, oldest first.
    fn handles_of(&self, ino: Ino) -> Vec<Arc<Handle>> {
        self.table().handles_of(ino)
    }

    /// Opens a handle.
    fn open_handle(&self, ino: Ino, handle: Handle) -> Fh {
        self.table().open(ino, handle)
    }

    /// What an inode stands for.
    fn kind(&self, ino: Ino) -> Result<Kind, Error> {
        Ok(self.table().node(ino)?.kind().clone())
    }

    /// The store and key of a file.
    fn file(&self, ino: Ino) -> Result<(Arc<dyn Store>, Key), Error> {
        self.table().file(ino)
    }

    /// The store and directory of a directory.
    fn dir(&self, ino: Ino) -> Result<(Arc<dyn Store>, Dir), Error> {
        self.table().dir(ino)
    }

    /// Whether this mount created a file and has not saved it yet.
    fn is_unsaved(&self, ino: Ino) -> Result<bool, Error> {
        Ok(self.table().node(ino)?.is_unsaved())
    }

    /// A save or a removal has the file to itself until this is dropped (W12).
    async fn save_lock(&self, ino: Ino) -> Result<OwnedMutexGuard<()>, Error> {
        let save_lock = self.table().save_lock(ino)?;
        Ok(save_lock.lock_owned().await)
    }

    fn check_writable(&self, what: &str) -> Result<(), Error> {
        match self.options.read_only {
            true => Err(Error::ReadOnly(what.to_owned())),
            false => Ok(()),
        }
    }
}

/// The caller of a request, as far as it is known.
pub type Who = Option<Caller>;

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::Version;
    use crate::store::StoreName;

    /// A process table without processes.
    #[derive(Debug)]
    pub(crate) struct Nobody;

    impl Living for Nobody {
        fn has_ended(&self, _process: u32) -> bool {
            true
        }

        fn job_has_ended(&self, _job: crate::model::Job) -> bool {
            true
        }
    }

    impl Processes for Nobody {
        fn caller(&self, _thread: u32) -> Who {
            None
        }

        fn watch(&self, process: Process) -> Arc<dyn Life> {
            unreachable!("{process:?} is known to nobody")
        }
    }

    /// A filesystem of one store, in memory.
    pub(crate) fn in_memory(state_dir: &Path) -> Vfs {
        in_memory_within(state_dir, RescueBounds::default())
    }

    /// As [`in_memory`], with at most this many rescues.
    pub(crate) fn in_memory_within(state_dir: &Path, rescues: RescueBounds) -> Vfs {
        let options = Options {
            ttl: Duration::ZERO,
            inline_limit: 1 << 20,
            cache_bytes: 1 << 20,
            draft_memory: 1 << 20,
            shown_memory: 1 << 16,
            read_only: false,
            append_retries: 0,
            sync: false,
            after_conflict: AfterConflict::Told,
            scratch: ScratchNames::new(Vec::new()),
            mounted_at: state_dir.to_owned(),
            rescues,
            server: Server::NONE,
        };
        let state = StateDir::make(state_dir).unwrap();
        Vfs::new(
            Source::Store(crate::store::in_memory()),
            "memory",
            options,
            Some(&state),
            Box::new(Nobody),
            Arc::default(),
        )
        .unwrap()
    }

    #[test]
    fn while_names_are_being_moved_no_departure_is_due_for_somebody_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut vfs = in_memory(dir.path());
        vfs.started = Instant::now().checked_sub(Duration::from_secs(60)).unwrap();
        let place = (StoreName::Flat, Key::new("key").unwrap());
        let base = Version::new("\"1\"");
        vfs.table().pending().depart(place, base, 1, Duration::ZERO);
        assert!(vfs.has_departures_due());
        let _moving = vfs.moving.try_lock().unwrap();
        assert!(!vfs.has_departures_due());
    }
}
