//! The order in which readings are forgotten: first those that no living process will ask for, then the least
//! recently used reading of the job that has the most. So a `grep -r` over everything pushes out its own
//! readings, and not those of an open editor.

use std::collections::HashMap;
use std::collections::VecDeque;

use super::super::who::Job;
use super::slab::{Id, NONE, Slab};

/// The readings of a job, from the one used longest ago to the newest.
#[derive(Clone, Copy, Debug)]
pub(super) struct LruList {
    /// Their job; `None` for readings that no living process will ask for, and for misses.
    job: Option<Job>,
    pub(super) count: u32,
    newest: Id,
    pub(super) oldest: Id,
    /// How many lineages belong to this job.
    lineages: u32,
    pub(super) has_ended: bool,
}

/// The neighbours of a reading in its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Links {
    pub(super) older: Id,
    pub(super) newer: Id,
}

impl Links {
    pub(super) const NOWHERE: Self = Self {
        older: NONE,
        newer: NONE,
    };
}

/// What holds the links of the lists.
pub(super) trait Linked {
    fn place(&mut self, id: Id) -> &mut Links;
}

/// All lists.
#[derive(Clone, Debug)]
pub(super) struct Order {
    lines: Slab<LruList>,
    by_job: HashMap<Job, Id>,
    /// Jobs that have ended.
    ended: VecDeque<Id>,
    /// The list whose job was last checked for its end.
    asked: Id,
    /// One of the longest lists, and its length when that was found out.
    longest: (Id, u32),
}

/// The list of readings that no living process will ask for.
pub(super) const OF_NOBODY: Id = 1;

/// The list of misses: many of them push out each other, and no reading.
pub(super) const OF_MISSES: Id = 2;

/// What a list takes besides its item: in the table of jobs.
const OF_A_LINE: usize = 40;

impl Default for Order {
    fn default() -> Self {
        let mut lines = Slab::default();
        // Those of no living process, and misses.
        lines.add(LruList::new(None));
        lines.add(LruList::new(None));
        Self {
            lines,
            by_job: HashMap::new(),
            ended: VecDeque::new(),
            asked: OF_NOBODY,
            longest: (NONE, 0),
        }
    }
}

impl LruList {
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
    /// How much memory the lists take.
    pub(super) fn bytes(&self) -> usize {
        self.lines.len() * (size_of::<LruList>() + OF_A_LINE)
    }

    pub(super) fn line(&self, line: Id) -> &LruList {
        self.lines.get(line)
    }

    /// The list of a new lineage of a job.
    pub(super) fn line_of(&mut self, job: Job) -> Id {
        let lines = &mut self.lines;
        let new = || lines.add(LruList::new(Some(job)));
        let line = *self.by_job.entry(job).or_insert_with(new);
        self.lines.at(line).lineages += 1;
        line
    }

    /// Puts a reading at the new end of a list.
    pub(super) fn join(&mut self, line: Id, id: Id, readings: &mut impl Linked) {
        let it = self.lines.at(line);
        let before = std::mem::replace(&mut it.newest, id);
        *readings.place(id) = Links {
            older: before,
            newer: NONE,
        };
        match before {
            NONE => it.oldest = id,
            before => readings.place(before).newer = id,
        }
        it.count += 1;
        if it.job.is_some() && it.count > self.lines.get(self.longest_line()).count {
            self.longest = (line, self.lines.get(line).count);
        }
    }

    fn longest_line(&self) -> Id {
        match self.longest.0 {
            NONE => OF_NOBODY,
            line => line,
        }
    }

    /// Takes a reading out of a list.
    pub(super) fn leave(&mut self, line: Id, id: Id, readings: &mut impl Linked) {
        let Links { older, newer } = *readings.place(id);
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

    /// A lineage is gone, and with the last one its list.
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
    pub(super) fn renew(&mut self, line: Id, id: Id, readings: &mut impl Linked) {
        if self.lines.get(line).newest != id {
            self.leave(line, id, readings);
            self.join(line, id, readings);
        }
    }

    /// Checks whether the next few jobs have ended.
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

    /// A process of a job that seemed to have ended is still alive.
    pub(super) fn goes_on(&mut self, line: Id) {
        let it = self.lines.at(line);
        if std::mem::take(&mut it.has_ended) {
            self.ended.retain(|ended| *ended != line);
        }
    }

    /// One of the longest lists of jobs that may be alive: none is twice as long.
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

    /// The lists of jobs that may be alive, except this one and empty ones.
    pub(super) fn others(&self, than: Id) -> impl Iterator<Item = Id> {
        let lines = self.by_job.values().copied();
        lines.filter(move |line| *line != than && self.lines.get(*line).count > 0)
    }
}

#[cfg(test)]
mod tests {
    //! How much the memory holds, and what it forgets when it is full.

    use std::collections::HashSet;
    use std::sync::{Arc, Mutex};

    use super::super::super::who::{Ancestors, Caller, Living, Process};
    use super::super::super::{Precondition, Version};
    use super::super::Seen;
    use super::Job;

    /// The default.
    const LIMIT: usize = 64 << 20;

    /// Who has ended.
    #[derive(Debug, Default)]
    struct Ended {
        processes: Mutex<HashSet<u32>>,
        jobs: Mutex<HashSet<u32>>,
    }

    impl Living for Ended {
        fn has_ended(&self, process: u32) -> bool {
            self.processes.lock().unwrap().contains(&process)
        }

        fn job_has_ended(&self, job: Job) -> bool {
            self.jobs.lock().unwrap().contains(&job.group)
        }
    }

    /// A process six levels deep.
    fn deep(id: u32, group: u32) -> Caller {
        Caller {
            process: Process {
                id,
                start: u64::from(id),
            },
            ancestors: Ancestors::new((0..6).rev().map(|level| group + level)),
            job: Job { group, session: 1 },
        }
    }

    fn v(n: u32) -> Version {
        Version::new(format!("\"{n:032x}\""))
    }

    fn is(n: u32) -> Option<Precondition> {
        Some(Precondition::Is(v(n)))
    }

    fn of(limit: usize) -> (Seen<u32>, Arc<Ended>) {
        let ended = Arc::new(Ended::default());
        let living: Arc<dyn Living> = Arc::<Ended>::clone(&ended);
        (Seen::new(limit, 7, living), ended)
    }

    #[test]
    fn a_million_readings_of_a_process_six_levels_deep_fit_beside_an_editor_in_64_mib() {
        let (mut seen, _) = of(LIMIT);
        let editor = deep(5, 100);
        seen.show(&editor, &u32::MAX, &v(1));
        let empty = seen.room().bytes;
        let grep = deep(6, 200);
        for key in 0..1_000_000 {
            seen.show(&grep, &key, &v(key));
        }
        let room = seen.room();
        let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        println!(
            "1,000,000 readings by one process: {:.1} bytes each, {:.1} MiB with the {:.1} MiB of an empty memory",
            (room.bytes - empty) as f64 / 1e6,
            mib(room.bytes),
            mib(empty)
        );
        let fits = room.readings > 1_000_000 && room.bytes <= LIMIT && room.forgotten == 0;
        assert!(fits, "{room:?}");
        assert_eq!(seen.shown_to(&editor, &u32::MAX), is(1));
        assert_eq!(seen.shown_to(&grep, &0), is(0));
        // And more than there is room for: what is forgotten is its own, and is counted.
        for key in 1_000_000..1_200_000 {
            seen.show(&grep, &key, &v(key));
        }
        let room = seen.room();
        assert!(room.readings > 1_000_000 && room.bytes <= LIMIT, "{room:?}");
        assert_eq!(room.readings as u64 + room.forgotten, 1_200_001);
        assert_eq!(seen.shown_to(&editor, &u32::MAX), is(1));
        // What was asked for is younger than what was not.
        assert_eq!(seen.shown_to(&grep, &1), None);
        assert_eq!(seen.shown_to(&grep, &1_199_999), is(1_199_999));
    }

    #[test]
    fn readings_by_as_many_processes_take_more_and_stay_in_bounds() {
        let limit = 4 << 20;
        let (mut seen, _) = of(limit);
        let empty = seen.room().bytes;
        for n in 0..200_000 {
            seen.show(&deep(1000 + n, 100), &n, &v(n));
        }
        let room = seen.room();
        println!(
            "readings by a process each: {:.1} bytes",
            (room.bytes - empty) as f64 / room.readings as f64
        );
        assert!(
            room.bytes <= limit && room.readings > limit / 140,
            "{room:?}"
        );
        assert_eq!(room.readings as u64 + room.forgotten, 200_000);
    }

    #[test]
    fn readings_of_those_who_are_gone_are_forgotten_first_and_not_counted() {
        let (mut seen, ended) = of(1 << 20);
        let (editor, grep) = (deep(5, 100), deep(6, 200));
        for key in 0..100 {
            seen.show(&editor, &(1_000_000 + key), &v(key));
        }
        for key in 0..10_000 {
            seen.show(&grep, &key, &v(key));
        }
        let all = seen.room();
        assert_eq!((all.readings, all.forgotten), (10_100, 0));
        ended.processes.lock().unwrap().insert(6);
        ended.jobs.lock().unwrap().insert(200);
        // A new reader, of more than there is room for beside what is left of the old one.
        let next = deep(7, 300);
        for key in 0..15_000 {
            seen.show(&next, &(2_000_000 + key), &v(key));
        }
        let room = seen.room();
        assert!(room.readings < 25_100 && room.forgotten == 0, "{room:?}");
        for key in 0..100 {
            assert_eq!(seen.shown_to(&editor, &(1_000_000 + key)), is(key));
        }
        for key in 0..15_000 {
            assert_eq!(seen.shown_to(&next, &(2_000_000 + key)), is(key));
        }
        assert_eq!(seen.shown_to(&grep, &0), None);
    }

    #[test]
    fn many_misses_push_out_each_other_and_no_reading() {
        let limit = 1 << 20;
        let (mut seen, _) = of(limit);
        let program = deep(6, 200);
        for key in 0..1000 {
            seen.show(&program, &key, &v(key));
        }
        for key in 1000..100_000 {
            seen.miss(&program, &key);
        }
        let room = seen.room();
        assert!(room.bytes <= limit && room.forgotten > 0, "{room:?}");
        for key in 0..1000 {
            assert_eq!(seen.shown_to(&program, &key), is(key));
        }
        assert_eq!(seen.shown_to(&program, &1000), None);
        let newest = seen.shown_to(&program, &99_999);
        assert_eq!(newest, Some(Precondition::Absent));
        // And readings push out misses, but for some.
        for key in 100_000..200_000 {
            seen.show(&program, &key, &v(key));
        }
        assert_eq!(seen.shown_to(&program, &99_999), Some(Precondition::Absent));
        assert!(seen.room().bytes <= limit);
    }

    #[test]
    fn one_key_that_very_many_read_costs_no_more_than_many_keys() {
        let (mut seen, ended) = of(LIMIT);
        // A loop of a script: `sh -c 'cat config'`, and each of them ends.
        for n in 0..20_000 {
            let (sh, cat) = (1_000_000 + 2 * n, 1_000_001 + 2 * n);
            let caller = Caller {
                ancestors: Ancestors::new([sh, 100]),
                ..deep(cat, 100)
            };
            seen.show(&caller, &0, &v(n));
            assert_eq!(seen.shown_to(&deep(100, 100), &0), is(n));
            ended.processes.lock().unwrap().extend([sh, cat]);
        }
        // Services, each a job of its own, and all of them go on.
        for n in 0..20_000 {
            let group = 3_000_000 + n * 10;
            seen.show(&deep(group, group), &1, &v(n));
        }
        assert_eq!(seen.shown_to(&deep(3_000_000, 3_000_000), &1), is(0));
        assert_eq!(seen.room().forgotten, 0);
    }
}
