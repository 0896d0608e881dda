//! A small world: one key in a store, a few processes on a few mounts, outsiders, a bad network.
//!
//! [`World::successors`] is everything that can happen next. What a process does lies in
//! `process.rs`; the rule it follows is the real code behind `rule.rs`; what must never happen is
//! [`Promise`]. The store and the history are the world's own, and so is the judgement: it is made
//! from the history alone, by positions in it, and asks the model nothing.

use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use etagfs_model::{
    Ancestors, Caller, Everlasting, File, Job, Precondition, Process as Pid, PutId, Seen, Version,
};

use super::appends::LINE_OF_OUTSIDERS;
use super::outcomes::Outcomes;
use super::process::Process;
use super::rule::Rule;
use super::style::Style;

/// What the store promises about versions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Versions {
    /// No two values ever share one.
    Unique,
    /// The same bytes have the same version, so A, B, A ends with the first version.
    OfContent,
}

/// The bytes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Content(pub u8);

/// What a process may do, at most.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) mount: usize,
    pub(super) job: usize,
    /// How often it may open the key for reading.
    pub(super) reads: u8,
    /// How often it may begin one of its styles.
    pub(super) opens: u8,
    pub(super) styles: &'static [Style],
    /// What it writes; matters only where versions are of content.
    pub(super) writes: Content,
}

/// One world to explore.
#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) rule: Rule,
    pub(super) versions: Versions,
    /// Whether the key exists at the beginning, as `Content(0)`.
    pub(super) present: bool,
    pub(super) processes: Vec<Plan>,
    pub(super) outsiders_write: &'static [Content],
    /// They put a line of theirs behind what is there instead.
    pub(super) outsiders_append: bool,
    pub(super) faults: Faults,
    /// Promises that are known not to hold here.
    pub(super) excused: &'static [Promise],
}

/// How often something may still go wrong, or come from outside.
#[derive(Clone, Copy, Hash)]
pub(super) struct Faults {
    pub(super) foreign_puts: u8,
    pub(super) foreign_deletes: u8,
    /// Messages lost or delayed.
    pub(super) lost: u8,
    /// Messages that something in between sends twice.
    pub(super) doubled: u8,
    /// Attempts answered with a throttle.
    pub(super) throttled: u8,
    /// Looks that get no answer.
    pub(super) unreadable: u8,
    /// Saves whose time is up at some point.
    pub(super) late: u8,
}

/// What must hold in every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Promise {
    /// An acknowledged save is in the history once, and no save is there twice (but for putting
    /// the same bytes in the place of themselves, where versions are of content).
    ExactlyOnce,
    /// A save that was answered EAGAIN, or given up with certainty, is never in the history. Excused
    /// is what nobody can tell apart: see [`World::is_hidden`].
    RefusedNeverHappens,
    /// A save replaces what its process was shown or told, or what was there when a process that
    /// was never shown anything opened it.
    NothingUnseenIsReplaced,
    /// EAGAIN is said only when somebody else changed the key since.
    EagainMeansConflict,
    /// A lost handle takes no bytes and sends nothing.
    LostHandlesAreSilent,
    /// A create is not sent again after a lost message.
    CreatesAreSentOnce,
    /// The flush of a shell before its first write saves nothing.
    NoEmptyValueBetween,
    /// Who appends takes away nothing of what is there.
    NoLineIsLost,
    /// What was appended once is never there twice.
    NoLineIsThereTwice,
}

/// Who changed the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum By {
    Outsider,
    Save(SaveId),
}

/// The n-th save (or delete) of a process: what its put-id says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SaveId {
    pub(super) process: usize,
    pub(super) nth: usize,
}

impl SaveId {
    pub(super) fn put_id(self) -> PutId {
        PutId::new((self.process << 16 | self.nth) as u128)
    }
}

/// One change of the key.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Event {
    pub(super) by: By,
    /// The new value; none after a delete.
    pub(super) put: Option<Content>,
    /// The event whose trail its writer knew, and goes on.
    pub(super) after: Option<usize>,
}

/// What a save may replace, by the history: the state after the event `floor`, and what the saves
/// of `kin` (a bit per process) made of that.
#[derive(Clone, Copy, Debug, Hash)]
pub(super) struct Ground {
    pub(super) floor: usize,
    pub(super) kin: u8,
}

/// A conditional write on its way to the store.
#[derive(Clone, Debug, Hash)]
pub(super) struct Message {
    pub(super) id: SaveId,
    pub(super) expect: Precondition,
    /// The new value; none for a delete.
    pub(super) put: Option<Content>,
    pub(super) ground: Ground,
    /// The event whose trail it goes on.
    pub(super) after: Option<usize>,
    /// There is another copy of it, or was.
    pub(super) is_doubled: bool,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    ForeignPut(Content),
    ForeignDelete,
    DelayedMessageArrives(SaveId),
    Reads(usize),
    FindsNothing(usize),
    Opens(usize, Style),
    Sends(usize, Fate),
    Looks(usize, Sight),
    IsTold(usize),
    IsRefusedLocally(usize),
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    ReplyLost,
    Delayed,
    Throttled,
    /// A copy arrives, and nobody hears of its answer; the message itself comes later.
    CopiedBefore,
    /// It is answered, and a copy of it is still on its way.
    CopiedBehind,
}

/// What became of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    Answered,
    NoAnswer,
}

/// The memory of a mount. Its hash is what it answers.
#[derive(Clone)]
pub(super) struct Mount {
    pub(super) seen: Rc<Seen<()>>,
    /// What the mount did to the key, as the product notes it for its writers.
    pub(super) file: File<()>,
    answers: Vec<(Option<Precondition>, bool)>,
}

impl Mount {
    fn new() -> Self {
        Self {
            seen: Rc::new(Seen::new(1 << 12, 0, Arc::new(Everlasting))),
            file: File::default(),
            answers: Vec::new(),
        }
    }
}

impl Hash for Mount {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.file.hash(state);
        self.answers.hash(state);
    }
}

/// A state.
#[derive(Clone, Hash)]
pub(super) struct World {
    pub(super) history: Vec<Event>,
    pub(super) mounts: Vec<Mount>,
    pub(super) processes: Vec<Process>,
    /// The newest event that each job was shown or told of.
    pub(super) job_knows: Vec<Option<usize>>,
    /// When a job was told that there is no key, if it knows nothing else.
    pub(super) job_missed: Vec<Option<usize>>,
    pub(super) network: Vec<Message>,
    pub(super) left: Faults,
    pub(super) broken: Option<Promise>,
    pub(super) outcomes: Outcomes,
    /// Processes that heard EAGAIN for a save that happened, as nobody could tell; a bit for each.
    pub(super) deceived: u8,
}

static ALL_VERSIONS: LazyLock<Vec<Version>> = LazyLock::new(|| {
    (b'a'..=b'z')
        .map(|letter| Version::new(char::from(letter).to_string()))
        .collect()
});

/// Who a process is, to the model.
pub(super) fn caller(scenario: &Scenario, process: usize) -> Caller {
    Caller {
        process: pid(process),
        ancestors: Ancestors::default(),
        job: job(scenario.processes[process].job),
    }
}

fn pid(process: usize) -> Pid {
    Pid {
        id: u32::try_from(process).unwrap(),
        start: 1,
    }
}

fn job(number: usize) -> Job {
    Job {
        group: u32::try_from(number).unwrap(),
        session: 1,
    }
}

impl World {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mounts = 1 + scenario.processes.iter().map(|p| p.mount).max().unwrap();
        let jobs = 1 + scenario.processes.iter().map(|p| p.job).max().unwrap();
        Self {
            history: vec![Event {
                by: By::Outsider,
                put: scenario.present.then_some(Content(0)),
                after: None,
            }],
            mounts: vec![Mount::new(); mounts],
            processes: scenario.processes.iter().map(Process::new).collect(),
            job_knows: vec![None; jobs],
            job_missed: vec![None; jobs],
            network: Vec::new(),
            left: scenario.faults,
            broken: None,
            outcomes: Outcomes::default(),
            deceived: 0,
        }
    }

    /// The position of the newest event.
    pub(super) fn now(&self) -> usize {
        self.history.len() - 1
    }

    /// What the key was after this event.
    pub(super) fn state_at(&self, scenario: &Scenario, event: usize) -> Precondition {
        match self.history[event].put {
            None => Precondition::Absent,
            Some(content) => Precondition::Is(
                ALL_VERSIONS[match scenario.versions {
                    Versions::Unique => event,
                    Versions::OfContent => usize::from(content.0),
                }]
                .clone(),
            ),
        }
    }

    pub(super) fn current(&self, scenario: &Scenario) -> Precondition {
        self.state_at(scenario, self.now())
    }

    pub(super) fn is_present(&self) -> bool {
        self.history[self.now()].put.is_some()
    }

    /// Notes a broken promise, the first one.
    pub(super) fn must(&mut self, scenario: &Scenario, holds: bool, promise: Promise) {
        if !holds && !scenario.excused.contains(&promise) {
            self.broken.get_or_insert(promise);
        }
    }

    /// Uses the memory of a mount.
    pub(super) fn remember<T>(
        &mut self,
        scenario: &Scenario,
        mount: usize,
        with: impl FnOnce(&mut Seen<()>) -> T,
    ) -> T {
        let mount = &mut self.mounts[mount];
        let seen = Rc::make_mut(&mut mount.seen);
        let result = with(seen);
        // Nobody is process or job 99, so each of these asks for one memory only.
        let (nobody, nothing) = (pid(99), job(99));
        let processes = (0..scenario.processes.len()).map(|n| Caller {
            process: pid(n),
            ancestors: Ancestors::default(),
            job: nothing,
        });
        let jobs = (0..self.job_knows.len()).map(|n| Caller {
            process: nobody,
            ancestors: Ancestors::default(),
            job: job(n),
        });
        // And another process of the same number is one of the family only.
        let families = scenario
            .processes
            .iter()
            .enumerate()
            .map(|(n, plan)| Caller {
                process: Pid { start: 2, ..pid(n) },
                ancestors: Ancestors::default(),
                job: job(plan.job),
            });
        mount.answers = processes
            .chain(jobs)
            .chain(families)
            .map(|who| (seen.shown_to(&who, &()), seen.has_missed(&who, &())))
            .collect();
        result
    }

    /// Forgets what a mount remembers.
    pub(super) fn forget(&mut self, mount: usize) {
        self.mounts[mount] = Mount::new();
    }

    /// How often a save is in the history.
    pub(super) fn times(&self, id: SaveId) -> usize {
        self.history
            .iter()
            .filter(|event| event.by == By::Save(id))
            .count()
    }

    /// Whether what is there now may be replaced on this ground.
    pub(super) fn is_on(&self, scenario: &Scenario, ground: Ground) -> bool {
        self.known(scenario, ground)
            .contains(&self.current(scenario))
    }

    /// The states that the kin know on this ground.
    pub(super) fn known(&self, scenario: &Scenario, ground: Ground) -> Vec<Precondition> {
        let mut known = vec![self.state_at(scenario, ground.floor)];
        for event in ground.floor + 1..=self.now() {
            let own = self.saver_in(ground.kin, event).is_some();
            if own && known.contains(&self.state_at(scenario, event - 1)) {
                known.push(self.state_at(scenario, event));
            }
        }
        known
    }

    /// Whether anybody changed the key since then, other than by an acknowledged save of the kin. A late
    /// copy of such a save is nobody's.
    pub(super) fn others_came_after(&self, ground: Ground) -> bool {
        let is_copy = |event: usize| {
            let by = self.history[event].by;
            by != By::Outsider && self.history[..event].iter().any(|older| older.by == by)
        };
        (ground.floor + 1..=self.now()).any(|event| {
            is_copy(event)
                || self
                    .saver_in(ground.kin, event)
                    .is_none_or(|id| !self.processes[id.process].was_acknowledged(id.nth))
        })
    }

    pub(super) fn saver_in(&self, kin: u8, event: usize) -> Option<SaveId> {
        match self.history[event].by {
            By::Save(id) if kin >> id.process & 1 == 1 => Some(id),
            _ => None,
        }
    }

    /// The store carries out a conditional write. Returns whether it did.
    pub(super) fn carry_out(&mut self, scenario: &Scenario, message: &Message) -> bool {
        if self.current(scenario) != message.expect {
            return false;
        }
        let idle = self.history[self.now()].put == message.put;
        let grounded = self.is_on(scenario, message.ground);
        self.must(scenario, grounded, Promise::NothingUnseenIsReplaced);
        self.history.push(Event {
            by: By::Save(message.id),
            put: message.put,
            after: message.after,
        });
        let id = message.id;
        // The copy of a create makes a key that was deleted meanwhile: nothing says that it is old.
        let revives = message.is_doubled && message.expect == Precondition::Absent;
        let possible = self.processes[id.process].may_still_happen(id.nth);
        let once = self.times(id) == 1;
        if revives && !(possible && once) {
            self.outcomes |= Outcomes::REVIVED;
        }
        self.must(scenario, possible || revives, Promise::RefusedNeverHappens);
        let idle = idle && scenario.versions == Versions::OfContent;
        self.must(scenario, once || idle || revives, Promise::ExactlyOnce);
        self.judge_lines(scenario, message);
        true
    }

    /// Everything that can happen next.
    pub(super) fn successors(&self, scenario: &Scenario) -> Vec<(Action, Self)> {
        let mut all = Vec::new();
        self.outsiders(scenario, &mut all);
        for (n, message) in self.network.iter().enumerate() {
            let mut next = self.clone();
            next.network.remove(n);
            if next.carry_out(scenario, message) {
                next.outcomes |= Outcomes::LANDED_LATE;
            }
            next.retire(scenario, message.id.process);
            all.push((Action::DelayedMessageArrives(message.id), next));
        }
        for process in 0..self.processes.len() {
            self.process_acts(scenario, process, &mut all);
        }
        all
    }

    fn outsiders(&self, scenario: &Scenario, all: &mut Vec<(Action, Self)>) {
        if self.network.is_empty() && self.processes.iter().all(Process::is_done) {
            return; // Nobody could notice.
        }
        let event = |put| Event {
            by: By::Outsider,
            put,
            after: None,
        };
        if self.left.foreign_puts > 0 {
            for content in scenario.outsiders_write {
                let content = match scenario.outsiders_append {
                    true => Content(self.content_at(self.now()) + LINE_OF_OUTSIDERS),
                    false => *content,
                };
                let mut next = self.clone();
                next.left.foreign_puts -= 1;
                next.history.push(event(Some(content)));
                all.push((Action::ForeignPut(content), next));
            }
        }
        if self.left.foreign_deletes > 0 && self.is_present() {
            let mut next = self.clone();
            next.left.foreign_deletes -= 1;
            next.history.push(event(None));
            all.push((Action::ForeignDelete, next));
        }
    }
}
