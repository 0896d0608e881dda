//! How a mount carries one save to the store, and what the program hears.
//!
//! It does what the real [`Saving`] and [`Settle`] say, as `vfs/save.rs` and `backend/settle.rs` do. What
//! made the program save is in `process.rs`.
//!
//! [`Saving`]: etagfs_model::Saving

use etagfs_model::saving::{End, Step as SaveStep};
use etagfs_model::{Found, Outcome, Precondition, Reply, Rival, SaveError, Settle, Step, Version};

use super::outcomes::Outcomes;
use super::process::Ended;
use super::rule::Rule;
use super::world::{
    Action, By, Content, Fate, Ground, Message, Promise, SaveId, Scenario, Sight, World, caller,
};

#[derive(Clone, Hash)]
pub(super) struct Sending {
    pub(super) message: Message,
    pub(super) settle: Settle,
    pub(super) next: Next,
    /// Its time is up.
    pub(super) late: bool,
    /// A message of it was lost.
    pub(super) doubt: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Next {
    Send,
    Look,
    /// The refused process is to be told what is there.
    Tell,
    /// What was appended is to be put behind what is there.
    Merge,
}

type StepOf = Step<Option<Version>>;

impl World {
    pub(super) fn begin(
        &mut self,
        s: &Scenario,
        p: usize,
        expect: Precondition,
        put: Option<Content>,
    ) {
        let process = &mut self.processes[p];
        let id = SaveId {
            process: p,
            nth: process.saves.len(),
        };
        process.saves.push(Ended::NotYet);
        let after = self.shown_at(s, &expect);
        let process = &mut self.processes[p];
        let handle = process.handle.as_mut().unwrap();
        handle.saving = Some(Sending {
            settle: match put {
                Some(_) => s.rule.put(&expect),
                None => s.rule.delete(),
            },
            message: Message {
                id,
                expect,
                put,
                ground: handle.ground,
                after,
                is_doubled: false,
            },
            next: Next::Send,
            late: false,
            doubt: false,
        });
    }

    pub(super) fn send(&self, s: &Scenario, p: usize, all: &mut Vec<(Action, Self)>) {
        let saving = self.saving(p).unwrap();
        let message = saving.message.clone();
        let once = !saving.doubt || message.expect != Precondition::Absent;
        let mut base = self.clone();
        base.must(s, once, Promise::CreatesAreSentOnce);
        let mut push = |fate, next| all.push((Action::Sends(p, fate), next));

        let mut next = base.clone();
        let reply = if next.carry_out(s, &message) {
            Reply::Saved(next.current(s).version().cloned())
        } else {
            Reply::Refused
        };
        let time_left = !saving.late;
        if self.left.doubled > 0 {
            let doubled = Message {
                is_doubled: true,
                ..message.clone()
            };
            // Its answer is lost, and another copy is what the mount waits for.
            let mut before = base.clone();
            before.left.doubled -= 1;
            before.saving_mut(p).message = doubled.clone();
            before.carry_out(s, &doubled);
            push(Fate::CopiedBefore, before);
            // What is delayed for ever was not doubled.
            let mut behind = next.clone();
            behind.left.doubled -= 1;
            behind.saving_mut(p).message = doubled.clone();
            behind.network.push(doubled);
            behind.replied(s, p, reply.clone(), time_left);
            push(Fate::CopiedBehind, behind);
        }
        next.replied(s, p, reply, time_left);
        push(Fate::Answered, next);

        let times = self.times_left(saving);
        for time_left in times {
            if self.left.lost > 0 {
                let mut lost = base.clone();
                lost.left.lost -= 1;
                lost.saving_mut(p).doubt = true;
                let mut arrived = lost.clone();
                if arrived.carry_out(s, &message) {
                    arrived.replied(s, p, Reply::Lost, *time_left);
                    push(Fate::ReplyLost, arrived);
                }
                // One that is delayed for ever is a lost request.
                lost.network.push(message.clone());
                lost.replied(s, p, Reply::Lost, *time_left);
                push(Fate::Delayed, lost);
            }
            if self.left.throttled > 0 {
                let mut next = base.clone();
                next.left.throttled -= 1;
                next.replied(s, p, Reply::NotDone, *time_left);
                push(Fate::Throttled, next);
            }
        }
    }

    /// Whether there may be time left after the next answer.
    fn times_left(&self, saving: &Sending) -> &'static [bool] {
        match (saving.late, self.left.late) {
            (true, _) => &[false],
            (false, 0) => &[true],
            (false, _) => &[true, false],
        }
    }

    fn time_passes(&mut self, p: usize, time_left: bool) {
        if !time_left && !self.saving_mut(p).late {
            self.left.late -= 1;
            self.saving_mut(p).late = true;
        }
    }

    fn replied(&mut self, s: &Scenario, p: usize, reply: Reply<Option<Version>>, time_left: bool) {
        self.time_passes(p, time_left);
        let saving = self.saving_mut(p);
        let doubt = saving.doubt;
        let step = s
            .rule
            .replied(&mut saving.settle, reply, (doubt, time_left));
        self.take(s, p, step);
    }

    pub(super) fn look(&self, s: &Scenario, p: usize, all: &mut Vec<(Action, Self)>) {
        let saving = self.saving(p).unwrap();
        let message = &saving.message;
        let is_newest = self.history[self.now()].by == By::Save(message.id);
        let current = self.current(s);
        let rival = Rival {
            version: current.clone(),
            ..Rival::NOTHING
        };
        let ours = match message.put {
            Some(_) => self.made(s, message.id).map(Some),
            None => (current == Precondition::Absent).then_some(None),
        };
        let ours = ours.filter(|_| is_newest || message.put.is_none() || s.rule.follows_trails());
        let in_trail = ours.is_some() && message.put.is_some() && !is_newest;
        let found = if let Some(version) = ours {
            Found::Goal(version)
        } else if current == message.expect
            && !(s.rule == Rule::LookCloser && self.others_came_after(message.ground))
        {
            Found::Base(rival)
        } else {
            Found::Other(rival)
        };
        let times = self.times_left(saving);
        for time_left in times {
            let mut next = self.clone();
            if in_trail {
                next.outcomes |= Outcomes::FOUND_IN_A_TRAIL;
            }
            next.looked(s, p, found.clone(), *time_left);
            all.push((Action::Looks(p, Sight::Answered), next));
            if self.left.unreadable > 0 {
                let mut next = self.clone();
                next.left.unreadable -= 1;
                next.looked(s, p, Found::Unreadable, *time_left);
                all.push((Action::Looks(p, Sight::NoAnswer), next));
            }
        }
    }

    fn looked(&mut self, s: &Scenario, p: usize, found: Found<Option<Version>>, time_left: bool) {
        self.time_passes(p, time_left);
        let saving = self.saving_mut(p);
        let step = s.rule.looked(&mut saving.settle, found, time_left);
        self.take(s, p, step);
    }

    fn take(&mut self, s: &Scenario, p: usize, step: StepOf) {
        match step {
            Step::Send => self.saving_mut(p).next = Next::Send,
            Step::Look => self.saving_mut(p).next = Next::Look,
            Step::Done(outcome) => self.settled(s, p, outcome),
            Step::GiveUp => {
                let id = self.saving_mut(p).message.id;
                let never = self.times(id) == 0;
                self.must(s, never, Promise::RefusedNeverHappens);
                self.ended(p, Ended::GivenUp);
                self.outcomes |= Outcomes::GIVEN_UP;
                self.gives_up(s, p);
            }
        }
    }

    /// A step of the save could not be carried out.
    pub(super) fn gives_up(&mut self, s: &Scenario, p: usize) {
        let handle = self.handle_mut(p);
        match handle.save.take() {
            Some(save) => _ = save.failed(&mut handle.draft),
            None => handle.draft.abandon_save(),
        }
        self.finished(s, p);
    }

    /// It is known what became of a write, or that nobody can know.
    fn settled(&mut self, s: &Scenario, p: usize, outcome: Outcome<Option<Version>>) {
        let message = self.saving_mut(p).message.clone();
        match &outcome {
            Outcome::Committed(version) => self.saved(s, p, version.clone()),
            Outcome::Refused(_) => {
                let never = self.times(message.id) == 0;
                let hidden = message.is_doubled && self.is_hidden(message.id);
                self.must(s, never || hidden, Promise::RefusedNeverHappens);
                if !never && hidden {
                    self.deceived |= 1 << p;
                    self.outcomes |= Outcomes::HIDDEN;
                }
                self.ended(p, Ended::Refused);
            }
            Outcome::Unknown => self.ended(p, Ended::Unknown),
        }
        let handle = self.handle_mut(p);
        let Some(mut save) = handle.save.take() else {
            // A delete has no draft.
            return match outcome {
                Outcome::Committed(_) => self.finished(s, p),
                Outcome::Refused(rival) => self.refused(s, p, rival.is_some()),
                Outcome::Unknown => self.in_doubt(s, p),
            };
        };
        let outcome = outcome.map(|version| version.expect("a put makes a version"));
        let step = s.rule.sent(&mut save, &mut handle.draft, outcome);
        handle.save = Some(save);
        self.takes(s, p, step);
    }

    /// Carries out what the save does next.
    pub(super) fn takes(&mut self, s: &Scenario, p: usize, step: SaveStep) {
        let handle = self.handle_mut(p);
        match step {
            SaveStep::Compare => {
                let mut save = handle.save.take().unwrap();
                let step = save.compared(&mut handle.draft, false);
                handle.save = Some(save);
                self.takes(s, p, step);
            }
            SaveStep::Send(expect) => self.sends(s, p, expect),
            SaveStep::Rebase(Some(_)) => self.follows(s, p),
            SaveStep::Rebase(None) => self.saving_mut(p).next = Next::Merge,
            SaveStep::Wait => {
                let again = self.tries_again(p);
                let handle = self.handle_mut(p);
                let mut save = handle.save.take().unwrap();
                let step = save.waited(&mut handle.draft, again);
                handle.save = Some(save);
                self.takes(s, p, step);
            }
            // The mount knows of it by itself, and nothing was sent.
            SaveStep::Look(_) if handle.saving.is_none() => self.refused_here(s, p),
            // The look that proved the refusal has found who won.
            SaveStep::Look(rival) => self.refused(s, p, rival.is_some()),
            SaveStep::End(End::Saved { .. } | End::Nothing) => self.finished(s, p),
            SaveStep::End(End::Refused { .. }) => self.refused_here(s, p),
            SaveStep::End(End::Unknown { .. }) => self.in_doubt(s, p),
            SaveStep::End(End::LostBefore(_)) => unreachable!("a lost handle is told at once"),
        }
    }

    /// Nobody can know what became of a save.
    fn in_doubt(&mut self, s: &Scenario, p: usize) {
        self.outcomes |= Outcomes::UNKNOWN;
        let current = self.current(s);
        let handle = self.handle_mut(p);
        handle.lost = true;
        s.rule
            .after_failure(&mut handle.draft, SaveError::Unknown, &current);
        self.finished(s, p);
    }

    fn ended(&mut self, p: usize, how: Ended) {
        *self.processes[p].saves.last_mut().unwrap() = how;
    }

    /// The mount itself saved over what was to be replaced: nothing was sent.
    fn refused_here(&mut self, s: &Scenario, p: usize) {
        self.outcomes |= Outcomes::REFUSED_LOCALLY;
        let base = self.handle_mut(p).draft.base().clone();
        self.begin(s, p, base, None);
        self.ended(p, Ended::Refused);
        self.refused(s, p, false);
    }

    fn refused(&mut self, s: &Scenario, p: usize, is_found: bool) {
        self.outcomes |= Outcomes::CONFLICT;
        let kin = 1 << p;
        let ground = Ground {
            kin,
            ..self.handle_mut(p).ground
        };
        let true_conflict = self.others_came_after(ground);
        self.must(s, true_conflict, Promise::EagainMeansConflict);
        self.handle_mut(p).lost = true;
        match is_found {
            true => self.is_told(s, p),
            false => self.saving_mut(p).next = Next::Tell,
        }
    }

    pub(super) fn tell(&self, s: &Scenario, p: usize, all: &mut Vec<(Action, Self)>) {
        let mut next = self.clone();
        if self.left.unreadable > 0 {
            let mut untold = self.clone();
            untold.left.unreadable -= 1;
            untold.finished(s, p);
            all.push((Action::Looks(p, Sight::NoAnswer), untold));
        }
        next.is_told(s, p);
        all.push((Action::IsTold(p), next));
    }

    fn is_told(&mut self, s: &Scenario, p: usize) {
        let style = self.handle_mut(p).style;
        self.told(s, p, style);
        let current = self.current(s);
        let handle = self.handle_mut(p);
        s.rule
            .after_failure(&mut handle.draft, SaveError::Conflict, &current);
        self.finished(s, p);
    }

    fn saved(&mut self, s: &Scenario, p: usize, version: Option<Version>) {
        let saving = self.saving_mut(p).clone();
        let Message {
            id, expect, put, ..
        } = saving.message;
        self.ended(p, Ended::Saved);
        if saving.doubt {
            self.outcomes |= Outcomes::SAVED_AFTER_LOSS;
        }
        self.outcomes |= self.processes[p].told;
        let times = self.times(id);
        let style = self.handle_mut(p).style;
        let mount = s.processes[p].mount;
        let callers = Self::asked(p, style)
            .into_iter()
            .map(|p| caller(s, p))
            .collect::<Vec<_>>();
        match (put, &version) {
            (Some(_), Some(version)) => {
                self.outcomes |= Outcomes::SAVED;
                self.must(s, times > 0, Promise::ExactlyOnce);
                self.remember(s, mount, |seen| {
                    s.rule.saved(seen, &callers, &expect, version);
                });
                if expect == Precondition::Absent {
                    self.end_misses(s, &Self::asked(p, style));
                }
                // An acknowledged save that is not in the history is a broken promise already.
                let event = self
                    .history
                    .iter()
                    .rposition(|event| event.by == By::Save(id));
                self.lines_saved(p, event.unwrap_or_default(), &expect);
            }
            _ => {
                self.outcomes |= Outcomes::DELETED;
                if times == 0 {
                    self.gone_by_other_hands(s, p, &expect);
                }
                self.remember(s, mount, |seen| {
                    seen.removed(callers, &(), &expect);
                });
            }
        }
        self.overtakes(s, p, (&expect, version.as_ref()), id);
    }

    /// The other writers of the mount learn of a save, as far as it changed anything.
    fn overtakes(
        &mut self,
        s: &Scenario,
        p: usize,
        (replaced, version): (&Precondition, Option<&Version>),
        id: SaveId,
    ) {
        let mount = s.processes[p].mount;
        if let Some(version) = version {
            let file = &mut self.mounts[mount].file;
            file.save(replaced, version);
            file.saved_by(&mut self.processes[p].handle.as_mut().unwrap().caught_up);
        }
        if version.is_some() && version == replaced.version() {
            return;
        }
        let event = self
            .history
            .iter()
            .rposition(|event| event.by == By::Save(id));
        for (other, process) in self.processes.iter_mut().enumerate() {
            if let Some(handle) = process.handle.as_mut()
                && other != p
                && s.processes[other].mount == mount
            {
                if version.is_none() {
                    // In the product such a writer writes in vain; here it is refused, which is as much.
                    handle.draft.overtaken(replaced);
                }
                handle.lines.overtaken_by = event;
            }
        }
    }

    /// The save is over, and the program goes on.
    pub(super) fn finished(&mut self, s: &Scenario, p: usize) {
        let handle = self.handle_mut(p);
        handle.saving = None;
        handle.save = None;
        self.run(s, p);
    }

    /// A delete whose reply was lost found no value, and was not what removed it: the process was
    /// told, truly, that there is none.
    fn gone_by_other_hands(&mut self, s: &Scenario, p: usize, expected: &Precondition) {
        let now = self.now();
        let job = s.processes[p].job;
        let of_process = (self.processes[p].knows, 1 << p);
        let of_job = (self.job_knows[job], self.members(s, job));
        let knew = |world: &Self, (floor, kin): (Option<usize>, u8)| {
            floor.is_some_and(|floor| world.surely_known(s, Ground { floor, kin }) == *expected)
        };
        if knew(self, of_process) {
            self.processes[p].knows = Some(now);
        }
        if knew(self, of_job) {
            self.job_knows[job] = Some(now);
        }
    }
}
