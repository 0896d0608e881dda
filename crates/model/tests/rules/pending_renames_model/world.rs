//! A small world around one key: an editor that follows its save pattern, somebody elsewhere who
//! saves and deletes, a daemon that may end at any moment, a clock, and failing saves.
//!
//! What a step means is decided by the real `PendingRenames`, `Seen` and `Draft`; the store, the shelf and the
//! judgement are the world's own. [`World::successors`] is everything that can happen next.

use std::sync::Arc;
use std::time::Duration;

use etagfs_model::{
    Ancestors, Base, Caller, Draft, Everlasting, Job, Outcome, PendingRenames, Precondition,
    Process, Returned, STAY, SaveReason, Seen, Unlinked, Version,
};

/// A value, different from all others.
type Value = u8;

/// One thing that an editor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Opens the key for reading.
    Read,
    /// Renames the key to its backup name.
    MoveAway,
    /// Creates the key anew, and writes to it.
    Create,
    /// Saves it: goes on with the next step, or with the clean-up.
    Save,
    /// Closes what it created without having written.
    CloseUnwritten,
    /// Deletes the backup.
    UnlinkBackup,
    /// Deletes the key.
    UnlinkKey,
    /// Renames the backup to the key.
    MoveBack,
}

/// What an editor does when it saves, and what it does when that fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) steps: &'static [Step],
    pub(super) clean_up: &'static [Step],
}

/// The rule that is explored: ours, or one with a mistake that must be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    Ours,
    /// Forgets who was refused: the clean-up means what it says.
    ForgetsRefusals,
    /// A departure that is meant deletes the key before the value is under the new name.
    DeleteFirst,
    /// The new value replaces whatever is there.
    BaseIsNewest,
    /// A key is gone as soon as it is moved away.
    MoveAtOnce,
}

/// What must hold in every state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// The store holds the key or its new name, unless somebody deleted it on purpose.
    NeverNone,
    /// Nothing is replaced or deleted that the editor was not shown.
    WinnerStays,
    /// An undisturbed save costs one put and leaves nothing else behind.
    OnePut,
    /// A save that did not fail is in the store.
    Saved,
}

const KEY: &str = "f";

#[derive(Clone, Debug)]
pub(super) struct World {
    rule: Rule,
    program: Program,
    key: Option<Value>,
    backup: Option<Value>,
    /// The scratch file of the backup name: its number and content.
    shelf: Option<(u64, Value)>,
    pending_renames: PendingRenames<&'static str, u64>,
    seen: Seen<&'static str>,
    draft: Option<(Draft, Value)>,
    now: Duration,
    /// Where the editor is; `true` in the clean-up.
    at: (usize, bool),
    next_value: Value,
    next_scratch: u64,
    /// How often these may still happen.
    puts_elsewhere: u8,
    deletes_elsewhere: u8,
    crashes: u8,
    failures: u8,
    /// What the editor was shown, before it was refused.
    shown: Vec<Value>,
    deleted_on_purpose: bool,
    disturbed: bool,
    failed: bool,
    puts: u8,
    pub(super) broken: Option<Promise>,
}

fn version(value: Value) -> Version {
    Version::new(format!("\"{value}\""))
}

fn expect(value: Option<Value>) -> Precondition {
    value.map(version).into()
}

fn editor() -> Caller {
    Caller {
        process: Process { id: 7, start: 1 },
        ancestors: Ancestors::default(),
        job: Job {
            group: 7,
            session: 1,
        },
    }
}

/// Room for more than this world has to remember.
fn memory() -> Seen<&'static str> {
    Seen::new(1 << 12, 0, Arc::new(Everlasting))
}

impl World {
    pub(super) fn new(rule: Rule, program: Program) -> Self {
        Self {
            rule,
            program,
            key: Some(1),
            backup: None,
            shelf: None,
            pending_renames: PendingRenames::default(),
            seen: memory(),
            draft: None,
            now: Duration::ZERO,
            at: (0, false),
            next_value: 2,
            next_scratch: 1,
            puts_elsewhere: 2,
            deletes_elsewhere: 1,
            crashes: 1,
            failures: 1,
            shown: Vec::new(),
            deleted_on_purpose: false,
            disturbed: false,
            failed: false,
            puts: 0,
            broken: None,
        }
    }

    /// All of the state as text: there is one key, so no map in it has an order.
    pub(super) fn fingerprint(&self) -> String {
        // A memory of who was shown what does not show its contents.
        let shown = self.seen.clone().shown_to(&editor(), &KEY);
        format!("{self:?} {shown:?}")
    }

    /// Everything that can happen next, and what comes of it.
    pub(super) fn successors(&self) -> Vec<(String, Self)> {
        let mut all = Vec::new();
        let mut add = |what: &str, change: &dyn Fn(&mut Self)| {
            let mut next = self.clone();
            change(&mut next);
            next.judge();
            all.push((what.to_owned(), next));
        };
        if let Some(step) = self.step() {
            add(&format!("the editor: {step:?}"), &|world| world.run(step));
            if step == Step::Save && self.failures > 0 {
                add("the save fails", &|world| world.save_fails());
            }
        }
        if self.puts_elsewhere > 0 {
            add("somebody saves elsewhere", &|world| {
                world.puts_elsewhere -= 1;
                world.disturbed = true;
                world.key = Some(world.fresh());
            });
        }
        if self.deletes_elsewhere > 0 && self.key.is_some() {
            add("somebody deletes elsewhere", &|world| {
                world.deletes_elsewhere -= 1;
                world.disturbed = true;
                world.deleted_on_purpose = true;
                world.key = None;
            });
        }
        if self.is_due() {
            add("the time of the departure is over", &|world| {
                world.settle(false)
            });
            if self.crashes > 0 {
                add("the daemon ends within the departure", &|world| {
                    world.settle(true);
                });
            }
        }
        if !self.pending_renames.due(None).is_empty() && !self.is_due() {
            add("time passes", &|world| {
                world.now += STAY;
                world.disturbed = true;
            });
        }
        if self.crashes > 0 {
            add("the daemon ends", &Self::crash);
        }
        all
    }

    fn step(&self) -> Option<Step> {
        let (at, cleans_up) = self.at;
        let steps = match cleans_up {
            true => self.program.clean_up,
            false => self.program.steps,
        };
        steps.get(at).copied()
    }

    fn fresh(&mut self) -> Value {
        self.next_value += 1;
        self.next_value
    }

    fn is_due(&self) -> bool {
        !self.pending_renames.due(Some(self.now)).is_empty()
    }

    fn run(&mut self, step: Step) {
        self.at.0 += 1;
        let who = Some(editor().process);
        match step {
            Step::Read => {
                let visible = self.key.filter(|_| !self.pending_renames.is_away(&KEY));
                if let Some(value) = visible {
                    self.seen.show(&editor(), &KEY, &version(value));
                    self.pending_renames.shown(&KEY, editor().process);
                    self.shown.push(value);
                }
            }
            Step::MoveAway => self.move_away(),
            Step::Create => self.create(),
            Step::Save => self.save(),
            Step::CloseUnwritten => {
                if self.draft.take().is_some() {
                    self.pending_renames.closed_unsaved(&KEY, self.now);
                }
            }
            Step::UnlinkBackup => {
                if let Some((id, _)) = self.shelf.take()
                    && let Some((_, base)) = self.pending_renames.alias_removed(id)
                {
                    self.deleted_on_purpose = true;
                    self.delete(&base);
                }
            }
            Step::UnlinkKey => match self.pending_renames.unlink(&KEY, who, self.now) {
                Unlinked::Delete(base) => {
                    self.deleted_on_purpose = true;
                    self.draft = None;
                    self.delete(&base);
                }
                Unlinked::Draft => self.draft = None,
                Unlinked::CleanUp => {}
                Unlinked::Ordinary => {
                    let current = expect(self.key);
                    if let Base::Take(Precondition::Is(base)) =
                        self.seen.base([editor()], &KEY, &current)
                    {
                        self.means_what_is_there();
                        self.deleted_on_purpose |= self.key.is_some_and(|value| self.knows(value));
                        self.delete(&base);
                    }
                }
            },
            Step::MoveBack => self.move_back(),
        }
    }

    fn move_away(&mut self) {
        let Some(current) = self.key.filter(|_| !self.pending_renames.is_away(&KEY)) else {
            // Nothing to move: the editor gives up.
            self.at = (usize::MAX - 1, true);
            return;
        };
        if self.rule == Rule::MoveAtOnce {
            self.backup = None;
            self.shelf = Some((0, current));
            self.delete(&version(current));
            return;
        }
        let id = self.next_scratch;
        self.next_scratch += 1;
        let shown = self.seen.shown_to(&editor(), &KEY);
        let base = match (self.rule, shown) {
            (Rule::BaseIsNewest, _) | (_, None | Some(Precondition::Absent)) => version(current),
            (_, Some(Precondition::Is(version))) => version,
        };
        self.means_what_is_there();
        self.pending_renames.depart(KEY, base, id, self.now);
        self.shelf = Some((id, current));
    }

    fn create(&mut self) {
        let current = expect(self.key);
        let base = match self.pending_renames.base(&KEY) {
            Some(base) => Base::Take(Precondition::Is(base.clone())),
            None if self.rule == Rule::BaseIsNewest => Base::Take(current.clone()),
            None => self.seen.base([editor()], &KEY, &current),
        };
        let Base::Take(base) = base else {
            self.seen.told([editor()], &KEY, &current);
            self.not_saved();
            return;
        };
        self.means_what_is_there();
        self.pending_renames.recreate(&KEY);
        let value = self.fresh();
        let mut draft = Draft::replacing(base);
        draft.edit().unwrap();
        self.draft = Some((draft, value));
    }

    fn save(&mut self) {
        let Some((mut draft, value)) = self.draft.take() else {
            return;
        };
        let Ok(Some(save)) = draft.begin_save(SaveReason::Fsync) else {
            return;
        };
        let base = match self.rule {
            Rule::BaseIsNewest => expect(self.key),
            _ => save.expect,
        };
        if base != expect(self.key) {
            draft.end_save(Outcome::Refused(None)).unwrap_err();
            let current = expect(self.key);
            self.seen.told([editor()], &KEY, &current);
            self.not_saved();
            return;
        }
        self.replaces();
        self.puts += 1;
        self.key = Some(value);
        self.shown.push(value);
        self.seen.saved([editor()], &KEY, &base, &version(value));
        self.pending_renames.saved(&KEY);
        if self.key != Some(value) {
            self.broken = Some(Promise::Saved);
        }
    }

    fn save_fails(&mut self) {
        self.failures -= 1;
        self.disturbed = true;
        self.draft = None;
        self.not_saved();
    }

    fn not_saved(&mut self) {
        self.failed = true;
        self.at = (0, true);
        match self.rule {
            Rule::ForgetsRefusals => self.pending_renames.dissolve(&KEY),
            _ => {
                let who = Some(editor().process);
                self.pending_renames.refused(&KEY, who, self.now);
            }
        }
    }

    fn move_back(&mut self) {
        let who = Some(editor().process);
        let Some((id, content)) = self.shelf.take() else {
            // The backup is a key by now, or nothing.
            if let Some(content) = self.backup
                && !self.pending_renames.is_cleaning_up(&KEY, who, self.now)
            {
                let current = expect(self.key);
                if let Base::Take(_) = self.seen.base([editor()], &KEY, &current) {
                    self.means_what_is_there();
                    self.replaces();
                    self.key = Some(content);
                    self.backup = None;
                }
            }
            return;
        };
        if self.pending_renames.move_back(id, &KEY, who, self.now) != Returned::Ordinary {
            self.draft = None;
            return;
        }
        // A rename over what the editor was told of.
        let current = expect(self.key);
        if let Base::Take(_) = self.seen.base([editor()], &KEY, &current) {
            self.means_what_is_there();
            self.replaces();
            self.puts += 1;
            self.key = Some(content);
        }
    }

    /// Carries out the departure, or half of it.
    fn settle(&mut self, ends_within: bool) {
        let Some(due) = self.pending_renames.due(Some(self.now)).pop() else {
            return;
        };
        let Some((id, content)) = self.shelf.take() else {
            return;
        };
        if self.rule == Rule::DeleteFirst {
            self.delete(&due.base);
        } else {
            self.backup = Some(content);
        }
        if ends_within {
            self.crash();
            return;
        }
        if self.rule == Rule::DeleteFirst {
            self.backup = Some(content);
        } else if !self.delete(&due.base) && self.rule != Rule::ForgetsRefusals {
            // Somebody saved it elsewhere: the move is taken back.
            self.backup = None;
            self.shelf = Some((id, content));
            let mover = Some(editor().process);
            self.pending_renames.refused(&KEY, mover, self.now);
            return;
        }
        self.pending_renames.dissolve(&KEY);
    }

    fn crash(&mut self) {
        self.crashes -= 1;
        self.disturbed = true;
        self.pending_renames = PendingRenames::default();
        self.seen = memory();
        self.draft = None;
        // The editor hears errors from here on.
        self.at = (usize::MAX - 1, true);
    }

    /// Whether the key was what it had to be.
    fn delete(&mut self, base: &Version) -> bool {
        let is_base = self.key.map(version).as_ref() == Some(base);
        if is_base {
            self.replaces();
            self.key = None;
        }
        is_base
    }

    /// Who was never shown the key means what is there (W1).
    fn means_what_is_there(&mut self) {
        if self.seen.shown_to(&editor(), &KEY).is_none() {
            self.shown.extend(self.key);
        }
    }

    fn knows(&self, value: Value) -> bool {
        self.shown.contains(&value)
    }

    /// The mount is about to replace or delete the key.
    fn replaces(&mut self) {
        if self.key.is_some_and(|value| !self.knows(value)) {
            self.broken = Some(Promise::WinnerStays);
        }
    }

    fn judge(&mut self) {
        if self.key.is_none() && self.backup.is_none() && !self.deleted_on_purpose {
            self.broken.get_or_insert(Promise::NeverNone);
        }
        let saves = self.program.steps.contains(&Step::Save);
        let is_done = self.step().is_none() && !self.at.1;
        if saves && is_done && !self.disturbed && (self.puts, self.backup) != (1, None) {
            self.broken.get_or_insert(Promise::OnePut);
        }
    }
}
