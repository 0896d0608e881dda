//! Who appends (W7): what it puts behind which state, and what must become of its lines.
//!
//! A value is how many lines each one has in it, so that the judgement is arithmetic: two bits for
//! each process, and two for the outsiders, who append too. The rule is the real `Draft::rebase`.

use etagfs_model::Precondition;

use super::outcomes::Outcomes;
use super::rule::Rule;
use super::style::Style;
use super::world::{Action, Content, Ground, Message, Promise, Scenario, Sight, World};

/// How often a refused append goes on.
const RETRIES: u8 = 1;

/// The lines of a handle that appends.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(super) struct Lines {
    /// The event behind which they are put.
    pub(super) behind: usize,
    /// How many were appended since the last save.
    pub(super) fresh: u8,
    /// How many were appended at all.
    pub(super) written: u8,
    /// How often the present save went on after a refusal.
    pub(super) tries: u8,
    /// The newest save of another process of its mount since it was opened.
    pub(super) overtaken_by: Option<usize>,
}

/// One line of a process.
pub(super) fn line_of(process: usize) -> u8 {
    1 << (2 * process)
}

/// One line of an outsider.
pub(super) const LINE_OF_OUTSIDERS: u8 = 1 << 6;

fn count(content: u8, process: usize) -> u8 {
    content >> (2 * process) & 3
}

impl World {
    pub(super) fn content_at(&self, event: usize) -> u8 {
        self.history[event].put.map_or(0, |content| content.0)
    }

    /// What a handle that appends would save now.
    pub(super) fn appended(&mut self, s: &Scenario, p: usize) -> Content {
        let before = self.handle_mut(p).lines;
        let again = s
            .rule
            .lines_again(before.fresh, before.written, before.tries);
        let base = match s.rule {
            // The bytes stay those of the loser; only the condition is new.
            Rule::ResaveTheSameBytes if before.tries > 0 => self.handle_mut(p).ground.floor,
            _ => before.behind,
        };
        Content(self.content_at(base) + again * line_of(p))
    }

    /// The draft is put behind this event, and its save goes on.
    fn go_on_from(&mut self, s: &Scenario, p: usize, event: usize) {
        self.outcomes |= Outcomes::MERGED;
        let newest = self.state_at(s, event);
        let handle = self.processes[p].handle.as_mut().unwrap();
        let file = &mut self.mounts[s.processes[p].mount].file;
        let mut save = handle.save.take().unwrap();
        let step = save.rebased(file, &mut handle.draft, &mut handle.caught_up, newest);
        handle.save = Some(save);
        handle.lines.behind = event;
        handle.lines.overtaken_by = None;
        if s.rule != Rule::ResaveTheSameBytes {
            handle.ground = Ground {
                floor: event,
                kin: 1 << p,
            };
        }
        self.takes(s, p, step);
    }

    /// This mount itself has saved what the draft has to go behind.
    pub(super) fn follows(&mut self, s: &Scenario, p: usize) {
        let event = self.handle_mut(p).lines.overtaken_by;
        self.go_on_from(s, p, event.expect("it was overtaken"));
    }

    /// A save was refused: whether there is another try.
    pub(super) fn tries_again(&mut self, p: usize) -> bool {
        let lines = &mut self.handle_mut(p).lines;
        let again = lines.tries < RETRIES;
        lines.tries += u8::from(again);
        again
    }

    /// Reads what is there, puts the lines behind it and saves them again.
    pub(super) fn merge(&self, s: &Scenario, p: usize, all: &mut Vec<(Action, Self)>) {
        if self.left.unreadable > 0 {
            let mut untold = self.clone();
            untold.left.unreadable -= 1;
            untold.outcomes |= Outcomes::GIVEN_UP;
            untold.gives_up(s, p);
            all.push((Action::Looks(p, Sight::NoAnswer), untold));
        }
        let mut next = self.clone();
        next.handle_mut(p).saving = None;
        let now = next.now();
        next.go_on_from(s, p, now);
        all.push((Action::Looks(p, Sight::Answered), next));
    }

    /// A save of lines has landed, in the last event.
    pub(super) fn judge_lines(&mut self, s: &Scenario, message: &Message) {
        let p = message.id.process;
        if s.processes[p].styles != [Style::Append] {
            return;
        }
        let now = self.now();
        let (before, after) = (self.content_at(now - 1), self.content_at(now));
        let others = |content: u8| content & !(3 << (2 * p));
        let kept = others(before) == others(after) && count(before, p) <= count(after, p);
        self.must(s, kept, Promise::NoLineIsLost);
        let once = count(after, p) <= self.processes[p].lines_written;
        let deceived = self.deceived >> p & 1 == 1;
        self.must(s, once || deceived, Promise::NoLineIsThereTwice);
    }

    /// An append was acknowledged: every acknowledged line is there, unless somebody deleted it.
    pub(super) fn lines_saved(&mut self, p: usize, event: usize, replaced: &Precondition) {
        let handle = self.handle_mut(p);
        handle.lines.fresh = 0;
        handle.lines.behind = event;
        handle.lines.overtaken_by = None;
        if *replaced == Precondition::Absent {
            self.outcomes |= Outcomes::CREATED;
        }
    }
}
