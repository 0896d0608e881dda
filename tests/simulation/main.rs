//! The product itself, in a simulated world: several mounts, their kernels and processes, a store and a
//! network, in one thread and in virtual time. What is simulated, and how a seed is repeated, is in
//! `docs/design.md`.
//!
//! Without variables the histories of the seeds from 1 on run for a minute, three thousand at most.
//! `ETAGFS_SIMULATION_SECONDS` is for how long histories run, from a seed on that is chosen by chance, or is
//! `ETAGFS_SIMULATION_FIRST`; `ETAGFS_SIMULATION_SEED` repeats one, with all its lines.

// This whole crate is a test; clippy's `allow-*-in-tests` covers only functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod check;
mod disk;
mod history;
mod kernel;
mod machine;
mod mount;
mod network;
mod plan;
mod programs;
mod server;
mod shrink;
mod story;
mod totals;
mod world;
mod wrong;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use disk::Disk;
use history::{Ended, run};
use plan::Plan;
use shrink::{Story, shrink};
use totals::Totals;
use wrong::Wrong;

/// How many histories the test command plays at most.
const HISTORIES: u64 = 3_000;

/// How long a broken promise is looked at, to find its shortest story.
const SHRINKING: Duration = Duration::from_secs(20);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn play(plan: &Plan, disk: &Arc<Disk>) -> Ended {
    let state = tempfile::tempdir_in(disk.path()).unwrap();
    run(plan, state.path(), disk)
}

/// Plays one history; its story, if it breaks a promise.
fn play_seed(seed: u64, disk: &Arc<Disk>, totals: &Totals) -> Option<Story> {
    let plan = Plan::of(seed, disk.is_small());
    let ended = play(&plan, disk);
    totals.add(&ended.totals);
    shrink(plan, ended, disk, SHRINKING)
}

/// Tells a person after the run.
fn report(text: &str) {
    println!("{text}");
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-report");
    fs::create_dir_all(&reports).unwrap();
    let file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(reports.join("simulation.txt"));
    use std::io::Write as _;
    writeln!(file.unwrap(), "{text}").unwrap();
}

#[test]
fn every_promise_holds_in_random_histories() {
    let totals = Totals::default();
    if let Some(seed) = number("ETAGFS_SIMULATION_SEED") {
        let disk = Arc::new(Disk::new());
        let plan = Plan::of(seed, disk.is_small());
        let ended = play(&plan, &disk);
        println!("{}\n{}", plan.tell(), ended.story.join("\n"));
        let story = shrink(plan, ended, &disk, SHRINKING);
        assert!(
            story.is_none(),
            "\n{}",
            story.map(|story| story.tell()).unwrap_or_default()
        );
        return;
    }
    let time = number("ETAGFS_SIMULATION_SECONDS").unwrap_or(60);
    let threads = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4);
    let each = Duration::from_secs(time) / threads as u32;
    // The test command is the same for everybody; whoever gives a time looks for what nobody has seen.
    let is_search = number("ETAGFS_SIMULATION_SECONDS").is_some();
    let first = number("ETAGFS_SIMULATION_FIRST").unwrap_or_else(|| match is_search {
        true => fastrand::u64(..1 << 40),
        false => 1,
    });
    let last = match is_search {
        true => u64::MAX,
        false => first + HISTORIES,
    };
    println!("the first seed is {first}");
    let (next, begun) = (AtomicU64::new(first), Instant::now());
    let is_broken = AtomicBool::new(false);
    let play_on = || {
        let disk = Arc::new(Disk::new());
        while begun.elapsed() < each && !is_broken.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= last {
                break;
            }
            if let Some(story) = play_seed(seed, &disk, &totals) {
                is_broken.store(true, Ordering::Relaxed);
                panic!("a promise is broken:\n{}", story.tell());
            }
        }
        disk.is_small()
    };
    let can_fill = std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(play_on)).collect();
        players.into_iter().all(|player| player.join().unwrap())
    });
    let histories = next.load(Ordering::Relaxed).min(last) - first;
    let rate = histories as f64 / begun.elapsed().as_secs_f64();
    report(&format!(
        "{histories} histories from seed {first} on, {rate:.0} a second: {totals}"
    ));
    let mut missing = totals.missing();
    if !can_fill {
        missing.retain(|what| *what != "rescues in memory");
    }
    assert!(missing.is_empty() || time < 30, "never: {missing:?}");
}

/// A seed is all that a history needs to happen again.
#[test]
fn a_seed_repeats_its_history_line_by_line() {
    let disk = Arc::new(Disk::new());
    for seed in 1..20 {
        let plan = Plan::of(seed, disk.is_small());
        let [one, other] = [play(&plan, &disk), play(&plan, &disk)].map(|ended| ended.story);
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one, other, "seed {seed}");
        }
        assert_eq!(one.len(), other.len(), "seed {seed}");
    }
}

/// The wrong rules that were put in on purpose, and the promises that they may break.
#[test]
fn every_wrong_rule_is_found() {
    let disk = Arc::new(Disk::new());
    for wrong in Wrong::ALL {
        let begun = Instant::now();
        let found = (1..2000).find_map(|seed| {
            let plan = Plan {
                wrong: Some(wrong),
                ..Plan::of(seed, disk.is_small())
            };
            let ended = play(&plan, &disk);
            let histories = seed;
            Some((
                shrink(plan, ended, &disk, Duration::from_secs(2))?,
                histories,
            ))
        });
        let (story, histories) = found.unwrap_or_else(|| panic!("{wrong:?} is not found"));
        let promise = story.broken.promise;
        println!("{wrong:?} breaks {promise:?}:\n{}", story.tell());
        report(&format!(
            "{wrong:?} breaks {promise:?}: seed {}, {histories} histories, {:.1} s, {} steps",
            story.plan.seed,
            begun.elapsed().as_secs_f64(),
            story.plan.steps.len()
        ));
        assert!(wrong.breaks().contains(&promise), "{wrong:?}: {promise:?}");
    }
}
