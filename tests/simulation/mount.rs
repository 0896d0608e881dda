//! One mount: the real filesystem over the real store and its rules for lost messages, started, ended and killed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use etagfs::backend::limit::Places;
use etagfs::backend::{Backend, Deadlines, Limited, Queued, Settled};
use etagfs::model::{ScratchNames, Server};
use etagfs::store::Bucket;
use etagfs::telemetry::Telemetry;
use etagfs::vfs::{
    self, AfterConflict, CallerGone, Departures, Options, Queues, RescueBounds, ScratchFiles,
    Source, StateDir, Vfs, in_queues,
};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::machine::{Machine, View};
use super::network::{OPERATION, Wire};
use super::world::{CALL, Call, Did, Errno, World};
use super::wrong::Wrong;

/// How long the kernel waits for an answer (A1): what the mount gives a request that moves few bytes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);
/// How often the daemon looks what is due.
const TICK: Duration = Duration::from_millis(200);

/// Nobody looks at it, and it is not cheap to make.
fn telemetry() -> Arc<Telemetry> {
    static ALL: LazyLock<Arc<Telemetry>> = LazyLock::new(Arc::default);
    Arc::clone(&ALL)
}

/// A name that the kernel knows.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) node: u64,
    pub(super) until: Instant,
}

/// What the kernel remembers of a mount.
#[derive(Default)]
pub(super) struct Remembered {
    pub(super) names: HashMap<(u64, String), Known>,
    /// How often it was told of each inode.
    pub(super) told: HashMap<u64, u64>,
    /// How often each is open.
    pub(super) open: HashMap<u64, u32>,
    dirs: HashMap<u64, Arc<tokio::sync::RwLock<()>>>,
    files: HashMap<u64, Arc<tokio::sync::Mutex<()>>>,
}

/// A daemon that runs, and what the kernel knows of it.
pub(crate) struct Live {
    pub(crate) epoch: u32,
    pub(crate) vfs: Arc<Vfs>,
    patience: Duration,
    gone: CancellationToken,
    tasks: Mutex<Vec<AbortHandle>>,
    remembered: Mutex<Remembered>,
}

impl Live {
    pub(super) fn remembered<T>(&self, f: impl FnOnce(&mut Remembered) -> T) -> T {
        f(&mut self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn dir_lock(&self, dir: u64) -> Arc<tokio::sync::RwLock<()>> {
        self.remembered(|it| Arc::clone(it.dirs.entry(dir).or_default()))
    }

    pub(super) fn file_lock(&self, node: u64) -> Arc<tokio::sync::Mutex<()>> {
        self.remembered(|it| Arc::clone(it.files.entry(node).or_default()))
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request of the kernel. It is answered in time; the work goes on, and its late result is undone.
    pub(super) async fn request<T, F>(
        self: &Arc<Self>,
        call: Call,
        queues: Option<Queues>,
        undo: fn(&Vfs, T),
        work: impl FnOnce(Arc<Vfs>) -> F,
    ) -> Result<T, Errno>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, vfs::Error>> + Send + 'static,
    {
        if self.gone.is_cancelled() {
            return Err(Errno::NotConnected);
        }
        let caller = CallerGone::default();
        let work = caller.clone().watched(work(Arc::clone(&self.vfs)));
        let (answer, answered) = oneshot::channel();
        let vfs = Arc::clone(&self.vfs);
        let task = tokio::spawn(CALL.scope(call, async move {
            let result = match queues {
                Some(queues) => in_queues(queues, work).await,
                None => work.await,
            };
            if let Err(Ok(late)) = answer.send(result) {
                undo(&vfs, late);
            }
        }));
        self.tasks().push(task.abort_handle());
        tokio::select! {
            biased;
            answer = answered => match answer {
                Ok(result) => result.map_err(|error| Errno::of(&error)),
                // It was killed, or it panicked.
                Err(_) if self.gone.is_cancelled() => Err(Errno::NotConnected),
                Err(_) => panic!("a request panicked"),
            },
            () = self.gone.cancelled() => Err(Errno::NotConnected),
            () = sleep(self.patience) => {
                caller.now();
                Err(Errno::TimedOut)
            }
        }
    }

    /// Work that nobody waits for.
    pub(super) fn spawn(&self, call: Call, work: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(CALL.scope(call, work));
        self.tasks().push(task.abort_handle());
    }
}

/// One mount.
pub(crate) struct Mount {
    pub(crate) world: Arc<World>,
    pub(crate) number: usize,
    pub(crate) machine: Arc<Machine>,
    state: PathBuf,
    live: Mutex<Option<Arc<Live>>>,
    epochs: Mutex<u32>,
}

impl Mount {
    pub(crate) fn new(world: Arc<World>, number: usize, state: &Path) -> Self {
        Self {
            machine: Arc::new(Machine::new(Arc::clone(&world), number)),
            state: state.join(format!("mount-{number}")),
            world,
            number,
            live: Mutex::default(),
            epochs: Mutex::default(),
        }
    }

    /// How many daemons it had so far.
    pub(crate) fn epoch(&self) -> u32 {
        *self.epochs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn live(&self) -> Option<Arc<Live>> {
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn options(&self) -> Options {
        Options {
            ttl: self.world.plan.ttl,
            inline_limit: if self.world.plan.pieces { 24 } else { 1 << 20 },
            cache_bytes: 1 << 20,
            draft_memory: 1 << 20,
            shown_memory: 1 << 20,
            read_only: false,
            append_retries: 10,
            sync: false,
            after_conflict: AfterConflict::Told,
            scratch: ScratchNames::new(ScratchNames::DEFAULT.map(|one| one.parse().unwrap())),
            mounted_at: PathBuf::from(format!("/mnt/{}", self.number)),
            rescues: RescueBounds {
                memory: 1 << 20,
                ..RescueBounds::default()
            },
            server: Server::NONE,
        }
    }

    /// Starts a daemon. Without room on the disk it does not start.
    pub(crate) fn start(&self) -> bool {
        if self.live().is_some() {
            return false;
        }
        let wire = Wire {
            world: Arc::clone(&self.world),
            mount: self.number,
        };
        let deadlines = Deadlines {
            operation: match self.world.is_wrong(Wrong::NoDeadlines) {
                true => Duration::from_secs(3600),
                false => OPERATION,
            },
            ..Deadlines::default()
        };
        let patience = OPERATION;
        let settled: Arc<dyn Backend> = match self.world.is_wrong(Wrong::NotSettled) {
            true => Arc::new(wire),
            false => Arc::new(Settled::new(Arc::new(wire), deadlines)),
        };
        let limited = Limited::new(settled, Places::default(), patience, telemetry());
        let queued = Queued::new(Arc::new(limited), patience);
        let Ok(state) = StateDir::make(&self.state) else {
            return false;
        };
        let made = Vfs::new(
            Source::Store(Bucket::new(Arc::new(queued), "").flat()),
            "simulated",
            self.options(),
            Some(&state),
            Box::new(View(Arc::clone(&self.machine))),
            telemetry(),
        );
        let Ok(vfs) = made else { return false };
        let epoch = {
            let mut epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
            *epochs += 1;
            *epochs
        };
        let live = Arc::new(Live {
            epoch,
            vfs: Arc::new(vfs),
            patience: match self.world.is_wrong(Wrong::NoDeadlines) {
                true => Duration::from_secs(3600),
                false => PATIENCE,
            },
            gone: CancellationToken::new(),
            tasks: Mutex::default(),
            remembered: Mutex::default(),
        });
        self.tick(&live);
        *self.live.lock().unwrap_or_else(PoisonError::into_inner) = Some(live);
        true
    }

    /// What the daemon does of its own accord.
    fn tick(&self, live: &Arc<Live>) {
        let (world, number) = (Arc::clone(&self.world), self.number);
        let weak = Arc::downgrade(live);
        let task = tokio::spawn(async move {
            loop {
                sleep(TICK).await;
                let Some(live) = weak.upgrade() else { return };
                if live.vfs.has_rescues_due() {
                    live.vfs.settle_rescues();
                }
                if live.vfs.has_departures_due() {
                    let did = Did::Own("departures");
                    let record = world.begin(u32::MAX - 1, (number, live.epoch), 0, did);
                    let (world, vfs) = (Arc::clone(&world), Arc::clone(&live.vfs));
                    let step = u32::MAX - 1 - number as u32;
                    live.spawn(Call { record, step }, async move {
                        let settled = vfs.settle_departures(Departures::Due).await;
                        world.end(record, settled.map_err(|error| Errno::of(&error)));
                    });
                }
            }
        });
        live.tasks().push(task.abort_handle());
    }

    fn take(&self) -> Option<Arc<Live>> {
        self.live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The daemon dies, in the middle of whatever it does.
    pub(crate) async fn crash(&self) -> bool {
        let Some(live) = self.take() else {
            return false;
        };
        live.gone.cancel();
        for task in live.tasks().drain(..) {
            task.abort();
        }
        self.ended(live).await;
        if self.world.is_wrong(Wrong::NoScratchFiles) {
            let _ = std::fs::remove_dir_all(self.state.join("scratch"));
        }
        true
    }

    /// The daemon is told to end: it answers what was asked, and rescues the rest (A2).
    pub(crate) async fn stop(&self, ending: vfs::Ending) -> bool {
        let Some(live) = self.take() else {
            return false;
        };
        let begun = Instant::now();
        while live.tasks().iter().skip(1).any(|task| !task.is_finished())
            && begun.elapsed() < PATIENCE
        {
            sleep(TICK).await;
        }
        let did = Did::Own("end");
        let record = self
            .world
            .begin(u32::MAX - 8, (self.number, live.epoch), 0, did);
        let call = Call {
            record,
            step: u32::MAX - 8 - self.number as u32,
        };
        CALL.scope(call, live.vfs.finish(ending)).await;
        self.world.end(record, Ok(()));
        live.gone.cancel();
        for task in live.tasks().drain(..) {
            task.abort();
        }
        self.ended(live).await;
        true
    }

    /// Waits until nothing of a daemon is left.
    async fn ended(&self, live: Arc<Live>) {
        let vfs = Arc::downgrade(&live.vfs);
        drop(live);
        for _ in 0..1000 {
            if vfs.strong_count() == 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("a daemon that ended is still there");
    }

    /// The bytes of all rescues on the disk.
    pub(crate) fn rescues(&self) -> Vec<Vec<u8>> {
        let rescues = vfs::Rescue::new(&self.state);
        let Ok((records, _)) = rescues.list() else {
            return Vec::new();
        };
        let bytes = records.iter().filter_map(|one| rescues.read(&one.id).ok());
        bytes.collect()
    }

    /// What a mistake throws away.
    pub(crate) fn lose_rescues(&self) {
        let _ = std::fs::remove_dir_all(self.state.join("rescue"));
    }

    /// The names of the scratch files on the disk, with their directories.
    pub(crate) fn scratch_files(&self) -> Vec<String> {
        let Ok(files) = ScratchFiles::of(&self.state) else {
            return Vec::new();
        };
        let names = files
            .labels()
            .map(|label| format!("{}{}", label.dir, label.name));
        names.collect()
    }
}
