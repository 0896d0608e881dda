//! How much the memory holds, and what it forgets when it is full.

use std::collections::HashSet;
use std::sync::Mutex;

use super::super::who::{Ancestors, Job};
use super::*;

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

fn is(n: u32) -> Option<Expect> {
    Some(Expect::Is(v(n)))
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
