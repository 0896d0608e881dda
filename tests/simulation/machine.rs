//! The processes of one machine, and what a mount can see of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use etagfs::model::{Ancestors, Caller, Job, Living, Process as Id};
use etagfs::vfs::{Life, Processes, Who};

use super::world::World;
use super::wrong::Wrong;

/// Who never had a parent.
const NOBODY: u32 = 1;

/// A process.
pub(crate) struct Process {
    pub(crate) parent: u32,
    pub(crate) job: Job,
    pub(crate) is_shell: bool,
    alive: Arc<AtomicBool>,
    /// Descriptors, and the files that they are of.
    pub(crate) descriptors: BTreeMap<u32, usize>,
    /// One thread makes one call at a time.
    pub(crate) turn: Arc<tokio::sync::Mutex<()>>,
}

impl Process {
    pub(crate) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }
}

/// The processes of one machine.
pub(crate) struct Machine {
    pub(crate) world: Arc<World>,
    first: u32,
    processes: Mutex<Vec<Process>>,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").finish_non_exhaustive()
    }
}

impl Machine {
    pub(crate) fn new(world: Arc<World>, number: usize) -> Self {
        Self {
            world,
            first: 1000 * (1 + number as u32),
            processes: Mutex::default(),
        }
    }

    pub(crate) fn processes(&self) -> MutexGuard<'_, Vec<Process>> {
        self.processes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, parent: u32, job: Option<Job>, descriptors: BTreeMap<u32, usize>) -> u32 {
        let mut processes = self.processes();
        let pid = self.first + processes.len() as u32;
        processes.push(Process {
            parent,
            job: job.unwrap_or(Job {
                group: pid,
                session: self.first,
            }),
            is_shell: false,
            alive: Arc::new(AtomicBool::new(true)),
            descriptors,
            turn: Arc::default(),
        });
        pid
    }

    /// Starts the first process of a job.
    pub(crate) fn start_job(&self) -> u32 {
        self.start(NOBODY, None, BTreeMap::new())
    }

    /// A process starts another one, which has its descriptors too.
    pub(crate) fn fork(&self, parent: u32) -> u32 {
        let (job, descriptors) = self.with(parent, |it| (it.job, it.descriptors.clone()));
        {
            let mut files = self.world.files();
            for file in descriptors.values() {
                files[*file].descriptors += 1;
            }
        }
        self.start(parent, Some(job), descriptors)
    }

    pub(crate) fn with<T>(&self, pid: u32, f: impl FnOnce(&mut Process) -> T) -> T {
        f(&mut self.processes()[(pid - self.first) as usize])
    }

    pub(crate) fn ends(&self, pid: u32) {
        self.with(pid, |process| process.alive.store(false, Ordering::Relaxed));
    }

    pub(crate) fn get<T>(&self, pid: u32, f: impl FnOnce(&Process) -> T) -> Option<T> {
        let processes = self.processes();
        let at = pid.checked_sub(self.first)?;
        Some(f(processes.get(at as usize)?))
    }

    /// The ancestors of a process within its job, the nearest first.
    pub(crate) fn ancestors(&self, pid: u32) -> Vec<u32> {
        let mut all = Vec::new();
        let mut at = self.get(pid, |it| (it.parent, it.job));
        while let Some((parent, job)) = at {
            at = self
                .get(parent, |it| (it.parent, it.job))
                .filter(|(_, of)| *of == job);
            if at.is_some() {
                all.push(parent);
            }
        }
        all
    }

    pub(crate) fn who(&self, pid: u32) -> Who {
        if self.world.is_wrong(Wrong::NobodyIsKnown) {
            return None;
        }
        let job = self.get(pid, |it| it.job)?;
        Some(Caller {
            process: Id {
                id: pid,
                start: u64::from(pid),
            },
            ancestors: Ancestors::new(self.ancestors(pid)),
            job,
        })
    }

    fn descends_from(&self, pid: u32, ancestor: u32) -> bool {
        let mut at = Some(pid);
        while let Some(pid) = at {
            if pid == ancestor {
                return true;
            }
            at = self.get(pid, |it| it.parent);
        }
        false
    }
}

/// What a mount sees of the processes.
#[derive(Debug)]
pub(crate) struct View(pub(crate) Arc<Machine>);

impl Living for View {
    fn has_ended(&self, process: u32) -> bool {
        !self.0.get(process, Process::is_alive).unwrap_or(false)
    }

    fn job_has_ended(&self, job: Job) -> bool {
        let processes = self.0.processes();
        !processes.iter().any(|it| it.job == job && it.is_alive())
    }
}

#[derive(Debug)]
struct Watched(Arc<AtomicBool>);

impl Life for Watched {
    fn goes_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Processes for View {
    fn caller(&self, thread: u32) -> Who {
        self.0.who(thread)
    }

    fn watch(&self, process: Id) -> Arc<dyn Life> {
        let alive = self.0.get(process.id, |it| Arc::clone(&it.alive));
        Arc::new(Watched(alive.unwrap_or_default()))
    }

    fn has_thread(&self, process: Id, thread: u32) -> Option<bool> {
        Some(process.id == thread && self.0.get(thread, Process::is_alive)?)
    }

    async fn can_write(&self, thread: u32, file: Vec<u64>) -> Option<bool> {
        let holders: Vec<(u32, Vec<usize>)> = {
            let processes = self.0.processes();
            let all = processes.iter().enumerate().filter(|(_, it)| it.is_alive());
            all.map(|(at, it)| {
                (
                    self.0.first + at as u32,
                    it.descriptors.values().copied().collect(),
                )
            })
            .collect()
        };
        let files = self.0.world.files();
        let writes = |open: &usize| files[*open].how.write && file.contains(&files[*open].node);
        Some(
            holders
                .iter()
                .any(|(pid, open)| open.iter().any(writes) && self.0.descends_from(*pid, thread)),
        )
    }

    async fn ignores_close(&self, thread: u32) -> bool {
        self.0.get(thread, |it| it.is_shell).unwrap_or(false)
    }
}
