//! The memory behind [`Seen`](super::Seen): which version each process, family and job was shown last
//! of which key, at about 60 bytes for a reading.
//!
//! A reading is one entry for all memories whose last reading it is: at first those of the reader, of its
//! family, of its ancestors' families and of its job. A later reader of the key takes over the memories that
//! the two share; when none is left, the reading is dropped. It is found through the reader's process and
//! through its job, so no search grows with the number of processes that read one key. A key is 128 bits of a
//! keyed digest; a lineage (a process, its ancestors and its job) is stored once.

mod forgetting;

use std::sync::Arc;

use super::super::Precondition;
use super::super::who::{Caller, FAMILY, JOB, LEVELS, Levels, Living, PROCESS};
use super::lineage::Lineages;
use super::order::{Linked, Links, OF_MISSES, OF_NOBODY, Order};
use super::packed::{Packed, Packing, Texts};
use super::slab::{Heads, Id, NONE, Slab, mixed};

/// A key.
pub(super) type Digest = [u64; 2];

/// A process was shown a version of a key.
#[derive(Clone, Copy, Debug)]
struct Reading {
    key: Digest,
    version: [u64; 2],
    lineage: Id,
    next_of_process: Id,
    next_of_job: Id,
    place: Links,
    parts: u16,
    /// Whose memory it is, how the version is packed, and whether it is in doubt.
    marks: u16,
}

/// How it came to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It was read, saved, deleted or reported.
    Surely,
    /// It was read, and that is in doubt.
    Doubtfully,
    /// There was no such key when it was looked up.
    Missed,
}

const FORM: u16 = LEVELS as u16;
const DOUBTFUL: u16 = 1 << (LEVELS + 2);
/// See [`How::Missed`]. Misses wait in a list of their own.
const MISSED: u16 = 1 << (LEVELS + 4);

impl Reading {
    fn levels(&self) -> Levels {
        Levels(self.marks).and(Levels::ALL)
    }

    fn set_levels(&mut self, levels: Levels) {
        self.marks = self.marks & !Levels::ALL.0 | levels.0;
    }

    fn version(&self) -> Packed {
        Packed {
            bits: self.version,
            parts: self.parts,
            form: Packing::of(self.marks >> FORM & 0b11),
        }
    }
}

/// The readings by number, with their links in the lists.
#[derive(Clone, Debug, Default)]
struct Readings(Slab<Reading>);

impl Linked for Readings {
    fn place(&mut self, id: Id) -> &mut Links {
        &mut self.0.at(id).place
    }
}

/// What is remembered at each level of a caller.
pub(super) type AtLevels = [Id; LEVELS];

/// How much is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Readings.
    pub readings: usize,
    /// The memory that they take, in bytes.
    pub bytes: usize,
    /// How many had to be forgotten of processes that may be alive.
    pub forgotten: u64,
}

#[derive(Clone, Debug)]
pub(super) struct ReadMemory {
    readings: Readings,
    by_process: Heads,
    by_job: Heads,
    lineages: Lineages,
    order: Order,
    texts: Texts,
    limit: usize,
    forgotten: u64,
    /// How many readings of one key in one job it takes until families that have ended are looked for.
    crowd: usize,
    living: Arc<dyn Living>,
}

/// The most readings of one key in one job that are no crowd.
const FEW: usize = 16;

impl ReadMemory {
    /// How many bytes a reading takes, without its lineage.
    pub(super) const READING: usize = size_of::<Reading>();

    pub(super) fn new(limit: usize, living: Arc<dyn Living>) -> Self {
        let readings = limit / Self::READING;
        Self {
            readings: Readings::default(),
            by_process: Heads::of(readings),
            by_job: Heads::of(readings),
            lineages: Lineages::new(readings / 32),
            order: Order::default(),
            texts: Texts::default(),
            limit,
            forgotten: 0,
            crowd: FEW,
            living,
        }
    }

    pub(super) fn room(&self) -> Room {
        let heads = self.by_process.len() + self.by_job.len();
        Room {
            readings: self.readings.0.len(),
            bytes: self.readings.0.len() * Self::READING
                + self.lineages.bytes()
                + heads * size_of::<Id>()
                + self.order.bytes()
                + self.texts.bytes(),
            forgotten: self.forgotten,
        }
    }

    /// The readings that are the last ones at each level of a caller.
    pub(super) fn find(&mut self, caller: &Caller, key: Digest) -> AtLevels {
        let mut found = [NONE; LEVELS];
        for (level, id) in caller.families() {
            let mut at = self.by_process.peek(mixed(key[0], u64::from(id)));
            while at != NONE {
                let (reading, reader) = self.with_reader(at);
                if reading.key == key && reader.process.id == id {
                    let levels = reading.levels();
                    let is_it = reader.process == caller.process && level == FAMILY;
                    if is_it && levels.has(PROCESS) {
                        found[PROCESS] = at;
                    }
                    if reader.job == caller.job && levels.has(FAMILY) {
                        found[level] = at;
                    }
                }
                at = reading.next_of_process;
            }
        }
        let mut crowd = 0;
        let mut at = self.by_job.peek(of_job(key, caller));
        while at != NONE {
            let (reading, reader) = self.with_reader(at);
            if reading.key == key && reader.job == caller.job {
                crowd += 1;
                let levels = reading.levels().without(Levels::OWN);
                let shared = caller.shares(caller.levels(), reader, levels);
                for level in shared.each() {
                    found[level] = at;
                }
            }
            at = reading.next_of_job;
        }
        if crowd > self.crowd {
            self.disperse(caller, key, &found);
        }
        found
    }

    /// What was last shown.
    pub(super) fn version(&self, id: Id) -> Precondition {
        self.texts.unpack(self.readings.0.get(id).version())
    }

    /// The reader.
    pub(super) fn reader(&self, id: Id) -> &Caller {
        self.with_reader(id).1
    }

    /// Whether it is in doubt.
    pub(super) fn is_doubtful(&self, id: Id) -> bool {
        self.readings.0.get(id).marks & DOUBTFUL != 0
    }

    /// Whether it is a miss.
    pub(super) fn is_miss(&self, id: Id) -> bool {
        self.readings.0.get(id).marks & MISSED != 0
    }

    /// It is no memory of the reader itself any more.
    pub(super) fn take_from_process(&mut self, id: Id) {
        let levels = self.readings.0.get(id).levels();
        self.keep_only(id, levels.without(Levels::one(PROCESS)));
    }

    /// It was used.
    pub(super) fn renew(&mut self, id: Id) {
        let line = self.line(id);
        self.order.renew(line, id, &mut self.readings);
    }

    /// Remembers a version at these levels of a caller, where this was found before.
    pub(super) fn put(
        &mut self,
        caller: &Caller,
        levels: Levels,
        (key, mut found): (Digest, AtLevels),
        version: &Precondition,
        how: How,
    ) {
        found.sort_unstable();
        let mut before = NONE;
        for id in found {
            // The last one may have replaced the one before.
            if id != before && id != NONE {
                let (reading, reader) = self.with_reader(id);
                let taken = reader.shares(reading.levels(), caller, levels);
                let left = reading.levels().without(taken);
                self.keep_only(id, left);
            }
            before = id;
        }
        let packed = self.texts.pack(version);
        let lineage = self.lineage(caller);
        let line = self.lineages.get(lineage).line;
        let mark = match how {
            How::Surely => 0,
            How::Doubtfully => DOUBTFUL,
            How::Missed => MISSED,
        };
        let id = self.readings.0.add(Reading {
            key,
            version: packed.bits,
            lineage,
            next_of_process: NONE,
            next_of_job: NONE,
            place: Links::NOWHERE,
            parts: packed.parts,
            marks: levels.0 | packed.form.number() << FORM | mark,
        });
        self.grow();
        self.enter(id, levels);
        self.order.goes_on(line);
        self.order.join(self.line(id), id, &mut self.readings);
        while self.room().bytes > self.limit && self.forget_one(id) {}
    }

    /// Shortens lists that have become long.
    fn grow(&mut self) {
        let (readings, lineages) = (&mut self.readings.0, &self.lineages);
        if !self.by_process.are_few_for(readings.len()) {
            return;
        }
        self.by_process.grow(|id, follows| {
            let reading = readings.at(id);
            let behind = reading.next_of_process;
            reading.next_of_process = follows.unwrap_or(behind);
            let process = lineages.get(reading.lineage).caller.process;
            (behind, mixed(reading.key[0], u64::from(process.id)))
        });
        self.by_job.grow(|id, follows| {
            let reading = readings.at(id);
            let behind = reading.next_of_job;
            reading.next_of_job = follows.unwrap_or(behind);
            let caller = &lineages.get(reading.lineage).caller;
            (behind, of_job(reading.key, caller))
        });
        self.lineages.grow();
    }

    fn with_reader(&self, id: Id) -> (&Reading, &Caller) {
        let reading = self.readings.0.get(id);
        (reading, &self.lineages.get(reading.lineage).caller)
    }

    /// The list in which a reading waits to be forgotten.
    fn line(&self, id: Id) -> Id {
        let reading = self.readings.0.get(id);
        match reading.marks & OF_THE_DEAD {
            0 if reading.marks & MISSED != 0 => OF_MISSES,
            0 => self.lineages.get(reading.lineage).line,
            _ => OF_NOBODY,
        }
    }

    /// The number of a lineage, which now has one more reading.
    fn lineage(&mut self, caller: &Caller) -> Id {
        if let Some(lineage) = self.lineages.find(caller) {
            self.lineages.at(lineage).readings += 1;
            return lineage;
        }
        let living = Arc::clone(&self.living);
        self.order.look_around(2, |job| living.job_has_ended(job));
        let line = self.order.line_of(caller.job);
        self.lineages.add(caller, line)
    }

    /// Lists a reading where these levels are searched.
    fn enter(&mut self, id: Id, levels: Levels) {
        let (reading, reader) = self.with_reader(id);
        let process = mixed(reading.key[0], u64::from(reader.process.id));
        let job = of_job(reading.key, reader);
        if !levels.and(Levels::OWN).is_none() {
            let first = self.by_process.first(process);
            self.readings.0.at(id).next_of_process = std::mem::replace(first, id);
        }
        if !levels.without(Levels::OWN).is_none() {
            let first = self.by_job.first(job);
            self.readings.0.at(id).next_of_job = std::mem::replace(first, id);
        }
    }

    /// A reading remains the last one at these levels only.
    fn keep_only(&mut self, id: Id, left: Levels) {
        let levels = self.readings.0.get(id).levels();
        if left == levels {
            return;
        }
        let (had_own, has_own) = (levels.and(Levels::OWN), left.and(Levels::OWN));
        if !had_own.is_none() && has_own.is_none() {
            self.leave_process(id);
        }
        let (had_other, has_other) = (levels.without(Levels::OWN), left.without(Levels::OWN));
        if !had_other.is_none() && has_other.is_none() {
            self.leave_job(id);
        }
        self.readings.0.at(id).set_levels(left);
        if left.is_none() {
            self.drop_reading(id);
        } else if has_other.is_none() && self.is_of_nobody(id) {
            self.bury(id);
        }
    }

    fn leave_process(&mut self, id: Id) {
        let (reading, reader) = self.with_reader(id);
        let next = reading.next_of_process;
        let hash = mixed(reading.key[0], u64::from(reader.process.id));
        let first = self.by_process.first(hash);
        if *first == id {
            *first = next;
            return;
        }
        let mut at = *first;
        while at != NONE {
            let reading = self.readings.0.at(at);
            if reading.next_of_process == id {
                reading.next_of_process = next;
                return;
            }
            at = reading.next_of_process;
        }
    }

    fn leave_job(&mut self, id: Id) {
        let (reading, reader) = self.with_reader(id);
        let next = reading.next_of_job;
        let first = self.by_job.first(of_job(reading.key, reader));
        if *first == id {
            *first = next;
            return;
        }
        let mut at = *first;
        while at != NONE {
            let reading = self.readings.0.at(at);
            if reading.next_of_job == id {
                reading.next_of_job = next;
                return;
            }
            at = reading.next_of_job;
        }
    }

    /// A reading that is in no list but the one in which it waits to be forgotten.
    fn drop_reading(&mut self, id: Id) {
        let line = self.line(id);
        self.order.leave(line, id, &mut self.readings);
        let reading = self.readings.0.get(id);
        let (lineage, version) = (reading.lineage, reading.version());
        self.texts.drop(version);
        self.readings.0.remove(id);
        let it = self.lineages.at(lineage);
        it.readings -= 1;
        if it.readings == 0 {
            let line = it.line;
            self.lineages.remove(lineage);
            self.order.drop_lineage(line);
        }
    }

    /// Whether no process is left that would ask for a reading, except one that renames a file that its
    /// reader made.
    fn is_of_nobody(&self, id: Id) -> bool {
        let (reading, reader) = self.with_reader(id);
        self.living.has_ended(reader.process.id)
            && (reading.levels().without(Levels::OWN).is_none()
                || self.living.job_has_ended(reader.job))
    }

    /// It waits among those that are forgotten first.
    fn bury(&mut self, id: Id) {
        let line = self.line(id);
        if line != OF_NOBODY {
            self.order.leave(line, id, &mut self.readings);
            self.readings.0.at(id).marks |= OF_THE_DEAD;
            self.order.join(OF_NOBODY, id, &mut self.readings);
        }
    }

    /// Many readings of one key in one job are the last ones of some family. Families that have ended are
    /// dropped: only a process that renames a file made by one of them would ask for them.
    fn disperse(&mut self, caller: &Caller, key: Digest, found: &AtLevels) {
        let mut crowd = Vec::new();
        let mut at = self.by_job.peek(of_job(key, caller));
        while at != NONE {
            let (reading, reader) = self.with_reader(at);
            let is_asked_for = found.contains(&at);
            if reading.key == key && reader.job == caller.job && !is_asked_for {
                let ended = reader
                    .families()
                    .skip(1)
                    .filter(|(_, id)| self.living.has_ended(*id));
                let ended = ended.fold(Levels::NONE, |mut ended, (level, _)| {
                    ended.add(level);
                    ended
                });
                crowd.push((at, reading.levels().without(ended)));
            }
            at = reading.next_of_job;
        }
        let mut left = 0;
        for (id, levels) in crowd {
            left += usize::from(!levels.without(Levels::OWN).is_none());
            self.keep_only(id, levels);
        }
        self.crowd = FEW.max(2 * left);
    }
}

/// It waits among those that no living process will ask for.
const OF_THE_DEAD: u16 = 1 << (LEVELS + 3);

const _: () = assert!(size_of::<Reading>() == 56 && LEVELS + 5 <= 16 && JOB + 1 == LEVELS);

fn of_job(key: Digest, caller: &Caller) -> u64 {
    let job = caller.job;
    mixed(key[1], u64::from(job.group) << 32 | u64::from(job.session))
}
