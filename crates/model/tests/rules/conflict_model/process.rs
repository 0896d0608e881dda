//! What a process does to the key: it reads, opens, edits and closes.
//!
//! This is the glue that `vfs` is in the real thing, as short as it can be, around the real
//! [`Draft`] and the real memory. Steps that no other party can notice are taken together. A save
//! goes on in `saving.rs`.

use etagfs_model::saving::Facts;
use etagfs_model::{Base, CaughtUp, Draft, File, Precondition, SaveReason, Saving};

use super::appends::Lines;
use super::outcomes::Outcomes;
use super::saving::{Next, Sending};
use super::style::{Op, Style};
use super::world::{Action, Ground, Plan, Promise, SaveId, Scenario, World, caller};

/// What a save came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ended {
    NotYet,
    Saved,
    Refused,
    Unknown,
    GivenUp,
}

#[derive(Clone, Hash)]
pub(super) struct Process {
    pub(super) handle: Option<Handle>,
    reads: u8,
    opens: u8,
    pub(super) saves: Vec<Ended>,
    /// The newest event that it was shown or told of.
    pub(super) knows: Option<usize>,
    /// When it was told that there is no key, if it knows nothing else.
    pub(super) missed: Option<usize>,
    /// What a save of it would show: it was told before.
    pub(super) told: Outcomes,
    /// How many lines it has appended.
    pub(super) lines_written: u8,
}

#[derive(Clone, Hash)]
pub(super) struct Handle {
    pub(super) style: Style,
    /// How many of its operations are done.
    done: usize,
    pub(super) draft: Draft,
    pub(super) ground: Ground,
    edited: bool,
    /// A save of it was refused, or its fate is unknown.
    pub(super) lost: bool,
    /// The message of a save that is under way.
    pub(super) saving: Option<Sending>,
    /// That save, as the product makes it.
    pub(super) save: Option<Saving>,
    pub(super) caught_up: CaughtUp,
    pub(super) lines: Lines,
}

impl Process {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            handle: None,
            reads: plan.reads,
            opens: plan.opens,
            saves: Vec::new(),
            knows: None,
            missed: None,
            told: Outcomes::default(),
            lines_written: 0,
        }
    }

    pub(super) fn was_acknowledged(&self, save: usize) -> bool {
        self.saves.get(save) == Some(&Ended::Saved)
    }

    pub(super) fn may_still_happen(&self, save: usize) -> bool {
        !matches!(self.saves[save], Ended::Refused | Ended::GivenUp)
    }

    pub(super) fn is_done(&self) -> bool {
        self.handle.is_none() && self.opens == 0
    }
}

impl World {
    /// Everything that this process, or its mount for it, can do next.
    pub(super) fn process_acts(&self, s: &Scenario, p: usize, all: &mut Vec<(Action, Self)>) {
        let Some(handle) = &self.processes[p].handle else {
            if self.processes[p].reads > 0 {
                let mut next = self.clone();
                next.processes[p].reads -= 1;
                match self.is_present() {
                    true => {
                        next.show(s, p);
                        all.push((Action::Reads(p), next));
                    }
                    false => {
                        next.miss(s, p);
                        all.push((Action::FindsNothing(p), next));
                    }
                }
            }
            if self.processes[p].opens > 0 {
                for style in s.processes[p].styles {
                    if let Some(next) = self.opened(s, p, *style) {
                        all.push((Action::Opens(p, *style), next));
                    }
                }
            }
            return;
        };
        match handle.saving.as_ref().map(|saving| saving.next) {
            None if self.is_queued(s, p) => {}
            None => {
                let mut next = self.clone();
                next.save(s, p);
                match next.saving(p).map(|saving| saving.next) {
                    Some(Next::Send) => next.send(s, p, all),
                    _ => all.push((Action::IsRefusedLocally(p), next)),
                }
            }
            Some(Next::Send) => self.send(s, p, all),
            Some(Next::Look) => self.look(s, p, all),
            Some(Next::Tell) => self.tell(s, p, all),
            Some(Next::Merge) => self.merge(s, p, all),
        }
    }

    /// Saves of one mount wait for each other (W12).
    fn is_queued(&self, s: &Scenario, p: usize) -> bool {
        (0..self.processes.len()).any(|other| {
            other != p
                && s.processes[other].mount == s.processes[p].mount
                && self.saving(other).is_some()
        })
    }

    pub(super) fn saving(&self, p: usize) -> Option<&Sending> {
        self.processes[p].handle.as_ref()?.saving.as_ref()
    }

    pub(super) fn saving_mut(&mut self, p: usize) -> &mut Sending {
        self.handle_mut(p).saving.as_mut().unwrap()
    }

    pub(super) fn handle_mut(&mut self, p: usize) -> &mut Handle {
        self.processes[p].handle.as_mut().unwrap()
    }

    fn show(&mut self, s: &Scenario, p: usize) {
        let now = self.now();
        self.processes[p].knows = Some(now);
        self.processes[p].missed = None;
        self.job_knows[s.processes[p].job] = Some(now);
        self.job_missed[s.processes[p].job] = None;
        if let Precondition::Is(version) = self.current(s) {
            self.remember(s, s.processes[p].mount, |seen| {
                seen.show(&caller(s, p), &(), &version);
            });
        }
    }

    /// The last that they know for sure: a save of unknown fate tells nothing.
    pub(super) fn surely_known(&self, s: &Scenario, ground: Ground) -> Precondition {
        let is_acknowledged = |id: SaveId| self.processes[id.process].was_acknowledged(id.nth);
        let mut last = self.state_at(s, ground.floor);
        for event in ground.floor + 1..=self.now() {
            let saver = self.saver_in(ground.kin, event);
            if saver.is_some_and(is_acknowledged) && last == self.state_at(s, event - 1) {
                last = self.state_at(s, event);
            }
        }
        last
    }

    /// It hears that there is no key, which counts if nobody near it knows a version.
    fn miss(&mut self, s: &Scenario, p: usize) {
        let (now, job) = (self.now(), s.processes[p].job);
        let own = self.processes[p].knows.or(self.processes[p].missed);
        let of_job = self.job_knows[job].or(self.job_missed[job]);
        let members = 1 << p | self.members(s, job);
        let nearest = own
            .map(|floor| (floor, 1 << p))
            .or(of_job.map(|floor| (floor, members)));
        let last = |(floor, kin)| self.surely_known(s, Ground { floor, kin });
        if nearest
            .map(last)
            .is_none_or(|last| last == Precondition::Absent)
        {
            if self.processes[p].knows.is_none() {
                self.processes[p].missed = Some(now);
            }
            if self.job_knows[job].is_none() {
                self.job_missed[job] = Some(now);
            }
        }
        self.remember(s, s.processes[p].mount, |seen| {
            s.rule.missed(seen, &caller(s, p));
        });
    }

    /// Who created the key where it had missed it knows what it made.
    pub(super) fn end_misses(&mut self, s: &Scenario, of: &[usize]) {
        for p in of {
            let process = &mut self.processes[*p];
            process.knows = process.knows.or(process.missed.take());
            let job = s.processes[*p].job;
            let missed = self.job_missed[job].take();
            self.job_knows[job] = self.job_knows[job].or(missed);
        }
    }

    /// Whose memories count for a save in this style, by W1.
    pub(super) fn asked(p: usize, style: Style) -> Vec<usize> {
        match style {
            Style::RenameOver { creator } if creator != p => vec![p, creator],
            _ => vec![p],
        }
    }

    /// Judge's own reading of W1, from the history.
    fn ground(&self, s: &Scenario, p: usize, style: Style) -> Ground {
        let blind = Ground {
            floor: self.now(),
            kin: 1 << p,
        };
        if matches!(
            style,
            Style::InPlace | Style::WriteOnly | Style::CreateNew | Style::Append
        ) {
            return blind;
        }
        // Who deletes has seen that there is something.
        let binds = |missed: Option<usize>| missed.filter(|_| style != Style::Unlink);
        for asked in Self::asked(p, style) {
            let process = &self.processes[asked];
            if let Some(floor) = process.knows.or(binds(process.missed)) {
                // All who rename what it created carry out its work.
                let kin = (0..self.processes.len())
                    .filter(|n| {
                        asked != p
                            && s.processes[*n]
                                .styles
                                .iter()
                                .any(|style| style.creator() == Some(asked))
                    })
                    .fold(1 << asked, |kin, n| kin | 1 << n);
                return Ground { floor, kin };
            }
            let job = s.processes[asked].job;
            if let Some(floor) = self.job_knows[job].or(binds(self.job_missed[job])) {
                let kin = 1 << p | self.members(s, job);
                return Ground { floor, kin };
            }
        }
        blind
    }

    /// EAGAIN named what is there now to the program.
    pub(super) fn told(&mut self, s: &Scenario, p: usize, style: Style) {
        let (now, current) = (self.now(), self.current(s));
        let asked = Self::asked(p, style);
        for asked in &asked {
            let job = s.processes[*asked].job;
            let process = &mut self.processes[*asked];
            let of_process = (&mut process.knows, &mut process.missed);
            let of_job = (&mut self.job_knows[job], &mut self.job_missed[job]);
            let mut memories = [of_process, of_job].into_iter();
            if let Some((knows, missed)) =
                memories.find(|(knows, missed)| knows.is_some() || missed.is_some())
            {
                (*knows, *missed) = (Some(now), None);
                break;
            }
        }
        let callers = asked.iter().map(|p| caller(s, *p)).collect::<Vec<_>>();
        self.remember(s, s.processes[p].mount, |seen| {
            s.rule.told(seen, &callers, &current);
        });
        self.processes[p].told = Outcomes::SAVED_AFTER_TELLING;
    }

    fn opened(&self, s: &Scenario, p: usize, style: Style) -> Option<Self> {
        let needs_value = matches!(style, Style::InPlace | Style::WriteOnly | Style::Unlink);
        if needs_value && !self.is_present() || style == Style::CreateNew && self.is_present() {
            return None;
        }
        let mut next = self.clone();
        next.processes[p].opens -= 1;
        let ground = self.ground(s, p, style);
        let draft = match (style, self.current(s)) {
            (Style::InPlace, Precondition::Is(version)) => {
                next.show(s, p);
                Draft::editing(version)
            }
            (Style::WriteOnly, Precondition::Is(version)) => Draft::editing(version),
            (Style::CreateNew, current) => Draft::replacing(current),
            (Style::Append, Precondition::Is(version)) => Draft::editing(version).appending(),
            (Style::Append, Precondition::Absent) => {
                Draft::replacing(Precondition::Absent).appending()
            }
            (_, current) => {
                let callers = Self::asked(p, style)
                    .into_iter()
                    .map(|p| caller(s, p))
                    .collect::<Vec<_>>();
                match next.remember(s, s.processes[p].mount, |seen| {
                    s.rule.base(seen, &callers, style, &current)
                }) {
                    Base::Take(base) => Draft::replacing(base),
                    Base::AlreadyLost { .. } => {
                        let true_conflict = next.others_came_after(ground);
                        next.must(s, true_conflict, Promise::EagainMeansConflict);
                        next.told(s, p, style);
                        next.outcomes |= Outcomes::REFUSED_AT_OPEN;
                        return Some(next);
                    }
                }
            }
        };
        let caught_up = next.mounts[s.processes[p].mount].file.now();
        next.processes[p].handle = Some(Handle {
            style,
            done: 0,
            draft,
            ground,
            edited: false,
            lost: false,
            saving: None,
            save: None,
            caught_up,
            lines: Lines {
                behind: self.now(),
                ..Lines::default()
            },
        });
        next.run(s, p);
        Some(next)
    }

    /// The program goes on to its next save, or to its last close. Nobody else can notice.
    pub(super) fn run(&mut self, s: &Scenario, p: usize) {
        while let Some(handle) = &mut self.processes[p].handle {
            let Some(op) = handle.style.ops().get(handle.done) else {
                self.processes[p].handle = None;
                self.rest(s, s.processes[p].mount);
                break;
            };
            let lost = handle.lost;
            match op {
                Op::Delete => return,
                Op::Edit => {
                    let refused = handle.draft.edit().is_err();
                    handle.edited |= !refused;
                    self.must(s, refused == lost, Promise::LostHandlesAreSilent);
                }
                Op::Append => {
                    let refused = handle.draft.append().is_err();
                    handle.edited |= !refused;
                    handle.lines.fresh += u8::from(!refused);
                    handle.lines.written += u8::from(!refused);
                    self.processes[p].lines_written += u8::from(!refused);
                    self.must(s, refused == lost, Promise::LostHandlesAreSilent);
                }
                Op::Save(reason) => {
                    let reason = s.rule.reason(*reason);
                    match handle.draft.clone().begin_save(reason) {
                        Ok(None) => {}
                        Err(_) if lost => {}
                        Ok(Some(_)) | Err(_) => return,
                    }
                }
            }
            self.handle_mut(p).done += 1;
        }
        self.retire(s, p);
    }

    /// What a mount did to a file that nobody has open can matter to nobody.
    fn rest(&mut self, s: &Scenario, mount: usize) {
        let mut open = self.processes.iter().zip(&s.processes);
        if !open.any(|(process, plan)| plan.mount == mount && process.handle.is_some()) {
            self.mounts[mount].file = File::default();
        }
    }

    /// Forgets what can matter no more, so that fewer states differ.
    pub(super) fn retire(&mut self, s: &Scenario, p: usize) {
        let plan = &s.processes[p];
        let shares = s.processes.iter().enumerate().any(|(other, others)| {
            other != p && (others.mount == plan.mount || others.job == plan.job)
        });
        let pending = self.network.iter().any(|message| message.id.process == p);
        if !shares && !pending && self.processes[p].is_done() {
            self.processes[p] = Process::new(&Plan {
                opens: 0,
                reads: 0,
                ..plan.clone()
            });
            self.job_knows[plan.job] = None;
            self.job_missed[plan.job] = None;
            self.forget(plan.mount);
        }
    }

    /// The program comes to the save where [`run`](Self::run) stopped.
    fn save(&mut self, s: &Scenario, p: usize) {
        let file = self.mounts[s.processes[p].mount].file.clone();
        let handle = self.handle_mut(p);
        handle.lines.tries = 0;
        let op = handle.style.ops()[handle.done];
        handle.done += 1;
        let Op::Save(reason) = op else {
            let base = handle.draft.base().clone();
            return self.begin(s, p, base, None);
        };
        let early = reason == SaveReason::Flush && !handle.edited;
        let lost = handle.lost;
        let facts = Facts {
            reason: s.rule.reason(reason),
            stands_elsewhere: false,
        };
        file.catch_up(&mut handle.draft, &mut handle.caught_up);
        let (save, step) = Saving::begin(&file, &mut handle.draft, &handle.caught_up, facts);
        handle.save = Some(save);
        self.takes(s, p, step);
        if self
            .saving(p)
            .is_some_and(|saving| saving.next == Next::Send)
        {
            self.must(s, !early, Promise::NoEmptyValueBetween);
            self.must(s, !lost, Promise::LostHandlesAreSilent);
        }
    }

    /// Sends what the handle has under this condition.
    pub(super) fn sends(&mut self, s: &Scenario, p: usize, expect: Precondition) {
        let content = match self.handle_mut(p).style {
            Style::Append => self.appended(s, p),
            _ => s.processes[p].writes,
        };
        self.begin(s, p, expect, Some(content));
    }

    pub(super) fn members(&self, s: &Scenario, job: usize) -> u8 {
        (0..self.processes.len())
            .filter(|n| s.processes[*n].job == job)
            .fold(0, |kin, n| kin | 1 << n)
    }
}
