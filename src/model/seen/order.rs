//! In which order readings are forgotten: those that nobody alive will ask for first, then the least
//! recently used one of the job that has the most. So one `grep -r` over everything pushes out its own
//! readings, and not those of an editor that is open beside it.

use std::collections::HashMap;
use std::collections::VecDeque;

use super::super::who::Job;
use super::slab::{Id, NONE, Slab};

/// The readings of a job, from the one used longest ago to the newest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Whose they are; `None` for those of nobody who is alive.
    job: Option<Job>,
    pub(super) count: u32,
    newest: Id,
    pub(super) oldest: Id,
    /// How many lineages are of this job.
    lineages: u32,
    pub(super) has_ended: bool,
}

/// A reading's place in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) older: Id,
    pub(super) newer: Id,
}

impl Place {
    pub(super) const NOWHERE: Self = Self {
        older: NONE,
        newer: NONE,
    };
}

/// Who has places in lines.
pub(super) trait Placed {
    fn place(&mut self, id: Id) -> &mut Place;
}

/// The lines.
#[derive(Clone, Debug)]
pub(super) struct Order {
    lines: Slab<Line>,
    by_job: HashMap<Job, Id>,
    /// Jobs that have ended.
    ended: VecDeque<Id>,
    /// The line that was asked last whether its job has ended.
    asked: Id,
    /// One of the longest lines, and how long it was when that was found out.
    longest: (Id, u32),
}

/// The line of what nobody alive will ask for.
pub(super) const OF_NOBODY: Id = 1;

/// What a line takes besides its item: in the table of jobs.
const OF_A_LINE: usize = 40;

impl Default for Order {
    fn default() -> Self {
        let mut lines = Slab::default();
        lines.add(Line::new(None));
        Self {
            lines,
            by_job: HashMap::new(),
            ended: VecDeque::new(),
            asked: OF_NOBODY,
            longest: (NONE, 0),
        }
    }
}

impl Line {
    fn new(job: Option<Job>) -> Self {
        Self {
            job,
            count: 0,
            newest: NONE,
            oldest: NONE,
            lineages: 0,
            has_ended: false,
        }
    }
}

impl Order {
    /// How much memory the lines take.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len() * (size_of::<Line>() + OF_A_LINE)
    }

    pub(super) fn line(&self, line: Id) -> &Line {
        self.lines.get(line)
    }

    /// The line of a new lineage of a job.
    pub(super) fn line_of(&mut self, job: Job) -> Id {
        let lines = &mut self.lines;
        let new = || lines.add(Line::new(Some(job)));
        let line = *self.by_job.entry(job).or_insert_with(new);
        self.lines.at(line).lineages += 1;
        line
    }

    /// Puts a reading at the new end of a line.
    pub(super) fn join(&mut self, line: Id, id: Id, readings: &mut impl Placed) {
        let it = self.lines.at(line);
        let before = std::mem::replace(&mut it.newest, id);
        *readings.place(id) = Place {
            older: before,
            newer: NONE,
        };
        match before {
            NONE => it.oldest = id,
            before => readings.place(before).newer = id,
        }
        it.count += 1;
        if line != OF_NOBODY && it.count > self.lines.get(self.longest_line()).count {
            self.longest = (line, self.lines.get(line).count);
        }
    }

    fn longest_line(&self) -> Id {
        match self.longest.0 {
            NONE => OF_NOBODY,
            line => line,
        }
    }

    /// Takes a reading out of a line.
    pub(super) fn leave(&mut self, line: Id, id: Id, readings: &mut impl Placed) {
        let Place { older, newer } = *readings.place(id);
        let it = self.lines.at(line);
        match older {
            NONE => it.oldest = newer,
            older => readings.place(older).newer = newer,
        }
        match newer {
            NONE => it.newest = older,
            newer => readings.place(newer).older = older,
        }
        it.count -= 1;
    }

    /// A lineage is gone, and its line with the last one.
    pub(super) fn drop_lineage(&mut self, line: Id) {
        let it = self.lines.at(line);
        it.lineages -= 1;
        if it.lineages > 0 {
            return;
        }
        self.goes_on(line);
        if self.longest.0 == line {
            self.longest = (NONE, 0);
        }
        if let Some(job) = self.lines.at(line).job.take() {
            self.by_job.remove(&job);
            self.lines.remove(line);
        }
    }

    /// A reading was used.
    pub(super) fn renew(&mut self, line: Id, id: Id, readings: &mut impl Placed) {
        if self.lines.get(line).newest != id {
            self.leave(line, id, readings);
            self.join(line, id, readings);
        }
    }

    /// Asks of the next few jobs whether they have ended.
    pub(super) fn look_around(&mut self, jobs: usize, has_ended: impl Fn(Job) -> bool) {
        for _ in 0..jobs.min(self.lines.last() as usize) {
            self.asked = match self.asked >= self.lines.last() {
                true => OF_NOBODY,
                false => self.asked + 1,
            };
            let it = self.lines.at(self.asked);
            if let Some(job) = it.job
                && !it.has_ended
                && has_ended(job)
            {
                it.has_ended = true;
                self.ended.push_back(self.asked);
            }
        }
    }

    /// A job that has ended and has readings.
    pub(super) fn ended(&self) -> Option<Id> {
        self.ended.front().copied()
    }

    /// Somebody of a job that was taken for ended goes on.
    pub(super) fn goes_on(&mut self, line: Id) {
        let it = self.lines.at(line);
        if std::mem::take(&mut it.has_ended) {
            self.ended.retain(|ended| *ended != line);
        }
    }

    /// One of the longest lines of those who may be alive: none is twice as long.
    pub(super) fn longest(&mut self) -> Option<Id> {
        let (line, was) = self.longest;
        if line == NONE || self.lines.get(line).count <= was / 2 {
            let longest = self
                .others(NONE)
                .max_by_key(|line| self.lines.get(*line).count)?;
            self.longest = (longest, self.lines.get(longest).count);
        }
        Some(self.longest.0)
    }

    /// The lines of those who may be alive that are not empty, but for this one.
    pub(super) fn others(&self, than: Id) -> impl Iterator<Item = Id> {
        let lines = self.by_job.values().copied();
        lines.filter(move |line| *line != than && self.lines.get(*line).count > 0)
    }
}
