//! Runs a history: everything at its time, in one thread, in virtual time.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etagfs::backend::{Body, Meta, ObjectKey};
use etagfs::model::Precondition;
use etagfs::vfs::Ending;
use fastrand::Rng;
use tokio::task::LocalSet;
use tokio::time::{sleep, timeout};

use super::check::{Broken, Promise, check};
use super::disk::Disk;
use super::kernel::{Caller, forget_names};
use super::mount::Mount;
use super::plan::{Plan, Step, What, Who};
use super::programs::Program;
use super::server::{Asked, By};
use super::totals::Totals;
use super::world::World;

/// How many jobs a machine has.
const JOBS: usize = 3;
/// When every program has ended, in virtual time after the last step: some calls may each take its time.
const END: Duration = Duration::from_secs(1800);

/// What a history came to.
pub(crate) struct Ended {
    pub(crate) broken: Option<Broken>,
    pub(crate) totals: Totals,
    /// All that was asked and answered, and all that happened to the store.
    pub(crate) story: Vec<String>,
}

/// Runs a history to its end.
pub(crate) fn run(plan: &Plan, state: &Path, disk: &Arc<Disk>) -> Ended {
    fastrand::seed(plan.seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let local = LocalSet::new();
    runtime.block_on(local.run_until(live(plan.clone(), state, disk)))
}

struct History {
    world: Arc<World>,
    mounts: Vec<Arc<Mount>>,
    jobs: Vec<Vec<u32>>,
    disk: Arc<Disk>,
    /// What is under way besides programs: restarts, room on the disk.
    chores: std::cell::RefCell<Vec<tokio::task::JoinHandle<()>>>,
}

async fn live(plan: Plan, state: &Path, disk: &Arc<Disk>) -> Ended {
    let world = Arc::new(World::new(plan));
    let mounts: Vec<_> = (0..world.plan.mounts)
        .map(|number| Arc::new(Mount::new(Arc::clone(&world), number, state)))
        .collect();
    let jobs = mounts
        .iter()
        .map(|mount| (0..JOBS).map(|_| mount.machine.start_job()).collect())
        .collect();
    let history = History {
        world: Arc::clone(&world),
        mounts,
        jobs,
        disk: Arc::clone(disk),
        chores: std::cell::RefCell::default(),
    };
    for (n, key) in ["a", "b", "d/x"].iter().enumerate() {
        history.put(key, format!("first {n}\n").into());
    }
    history
        .mounts
        .iter()
        .for_each(|mount| assert!(mount.start()));
    let is_in_time = history.play().await;
    let mut broken = check(&world, &history.mounts);
    if !is_in_time && broken.is_none() {
        broken = Some(Broken {
            promise: Promise::AnswersInTime,
            what: "a program never ends".to_owned(),
        });
    }
    let story = super::story::tell(&world);
    drop(history);
    let world = Arc::try_unwrap(world);
    let totals = Totals::default();
    match &world {
        Ok(world) => totals.add(&world.totals),
        Err(world) => totals.add(&world.totals),
    }
    Ended {
        broken,
        totals,
        story,
    }
}

impl History {
    /// Everything, in its time, and then the end of all mounts. Whether all programs ended.
    async fn play(&self) -> bool {
        let mut programs = Vec::new();
        for step in self.world.plan.steps.clone() {
            sleep(step.at.saturating_sub(self.world.elapsed())).await;
            programs.extend(self.begin(step).await);
        }
        let all = async {
            for program in programs {
                program.await.unwrap();
            }
        };
        let is_in_time = timeout(END, all).await.is_ok();
        let chores = self.chores.take();
        for chore in chores {
            chore.await.unwrap();
        }
        self.disk.make_room();
        for mount in &self.mounts {
            mount.start();
            mount.stop(Ending::Unmounted).await;
        }
        // The last message has arrived.
        sleep(Duration::from_secs(100)).await;
        is_in_time
    }

    async fn begin(&self, step: Step) -> Option<tokio::task::JoinHandle<()>> {
        let world = &self.world;
        let totals = &world.totals;
        match step.what {
            What::Run(who, deed, key) => {
                let (caller, ends) = self.caller(who, step.number);
                let program = Program {
                    rng: Rng::with_seed(world.plan.seed ^ u64::from(step.number) << 20),
                    caller: caller.clone(),
                    key,
                    lines: 0,
                };
                return Some(tokio::task::spawn_local(async move {
                    program.run(deed).await;
                    if ends {
                        caller.exit().await;
                    }
                }));
            }
            What::ForeignPut { key, restores } => {
                let before = world.server.history().into_iter();
                let mut older = before
                    .filter(|event| event.key == key)
                    .filter_map(|event| event.before);
                let bytes = match older.next().filter(|_| restores) {
                    Some(value) => value.bytes,
                    None => format!("(foreign {})\n", step.number).into(),
                };
                self.put(key, bytes);
                totals.one(&totals.foreign);
            }
            What::ForeignDelete(key) => {
                if let Some(value) = world.server.now(key) {
                    world
                        .server
                        .delete(&ObjectKey::new(key), &value.version, self.foreign());
                    totals.one(&totals.foreign);
                }
            }
            What::Outage(mount, time) => {
                world.goes_out(mount, time);
                totals.one(&totals.outages);
            }
            What::Crash(mount, time) => {
                if self.mounts[mount].crash().await {
                    totals.one(&totals.crashes);
                    self.start_after(mount, time);
                }
            }
            What::Stop(mount, time) => {
                totals.one(&totals.stops);
                let mount = Arc::clone(&self.mounts[mount]);
                self.later(async move {
                    if mount.stop(Ending::Stopped).await {
                        sleep(time).await;
                        mount.start();
                    }
                });
            }
            What::DropCaches(mount) => {
                if let Some(live) = self.mounts[mount].live() {
                    live.vfs.drop_caches();
                }
            }
            What::Forget(mount) => {
                if let Some(live) = self.mounts[mount].live() {
                    forget_names(&live);
                }
            }
            What::FullDisk(time) => {
                self.disk.fill();
                let disk = Arc::clone(&self.disk);
                self.later(async move {
                    sleep(time).await;
                    disk.make_room();
                });
            }
        }
        None
    }

    fn start_after(&self, mount: usize, time: Duration) {
        let mount = Arc::clone(&self.mounts[mount]);
        self.later(async move {
            sleep(time).await;
            mount.start();
        });
    }

    fn later(&self, chore: impl Future<Output = ()> + 'static) {
        self.chores
            .borrow_mut()
            .push(tokio::task::spawn_local(chore));
    }

    fn caller(&self, who: Who, step: u32) -> (Caller, bool) {
        let first = Caller {
            mount: Arc::clone(&self.mounts[who.mount]),
            pid: self.jobs[who.mount][who.job],
            step,
        };
        match who.itself {
            true => (first, false),
            false => (first.fork(), true),
        }
    }

    fn foreign(&self) -> Asked {
        Asked {
            stamp: self.world.stamp(),
            at: self.world.elapsed(),
            by: By::Foreign,
        }
    }

    fn put(&self, key: &str, bytes: Bytes) {
        let server = &self.world.server;
        let expect: Precondition = server.now(key).map(|value| value.version).into();
        let body = Body {
            bytes,
            meta: Meta::default(),
        };
        server.put(&ObjectKey::new(key), body, &expect, None, self.foreign());
    }
}
