//! Hostile bytes for everything that reads konserve's objects: mutations of what the real library
//! wrote, and noise. Each target must answer with a value or an error, within bounds.
//!
//! What libFuzzer would do with a nightly compiler, done with a stable one: no coverage, but a corpus
//! of 500 real objects. The memory of this process is limited by the kernel and each target runs on
//! a small stack, so that an allocation without a bound or a recursion without an end kills the
//! test. `ETAGFS_FUZZ_SECONDS` (default 2) is how long each target runs; `ETAGFS_FUZZ_SEED` repeats
//! a run.
//!
//! ```text
//! ETAGFS_FUZZ_SECONDS=3600 cargo test -p konserve-codec --test fuzz
//! ```

// This whole crate is a test; clippy's `allow-*-in-tests` covers only functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod corpus;
mod mutate;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::{Duration, Instant};

use corpus::Corpus;
use fastrand::Rng;
use mutate::mutate;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More than every target's limit on memory, together; far less than a length in four bytes can ask
/// for.
const ADDRESS_SPACE: u64 = 3 << 30;
/// What a thread of the mount has, in a debug build with its larger frames.
const STACK: usize = 2 << 20;

fn limit_memory() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let maximum = getrlimit(Resource::As).maximum;
        let limit = Rlimit {
            current: Some(ADDRESS_SPACE),
            maximum,
        };
        setrlimit(Resource::As, limit).unwrap();
    });
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Feeds a target for its time.
fn run(name: &'static str, corpus: &Corpus, target: fn(&[u8])) {
    limit_memory();
    let seed = number("ETAGFS_FUZZ_SEED").unwrap_or_else(|| fastrand::u64(..));
    let time = Duration::from_secs(number("ETAGFS_FUZZ_SECONDS").unwrap_or(2));
    println!("{name}: seed {seed}");
    let seeds = corpus.clone();
    let runner = std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || {
            let mut rng = Rng::with_seed(seed);
            let begun = Instant::now();
            let mut rounds = 0u64;
            for input in &seeds.0 {
                try_one(name, target, input);
            }
            while begun.elapsed() < time {
                let input = mutate(&mut rng, &seeds.0);
                try_one(name, target, &input);
                rounds += 1;
            }
            println!("{name}: {rounds} inputs from {} seeds", seeds.0.len());
        });
    runner.unwrap().join().unwrap();
}

fn try_one(name: &str, target: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        eprintln!("{name} failed for {}", hex::encode(input));
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn hostile_fressian_is_a_value_or_an_error() {
    run("fressian", &Corpus::values(1), targets::fressian);
}

#[test]
fn hostile_cbor_is_a_value_or_an_error() {
    let corpus = Corpus::values(3).and(Corpus::values(2));
    run("cbor", &corpus, targets::cbor);
}

#[test]
fn hostile_text_is_a_value_or_an_error() {
    run("edn", &Corpus::texts(), targets::edn);
}

#[test]
fn hostile_objects_are_files_or_errors() {
    run("object", &Corpus::objects(), targets::object);
}

#[test]
fn hostile_frames_are_bytes_or_errors() {
    run("compress", &Corpus::frames(), targets::compress);
}

#[test]
fn hostile_ciphertexts_are_bytes_or_errors() {
    run("aes", &Corpus::ciphertexts(), targets::aes);
}

#[test]
fn hostile_file_names_are_keys_or_errors() {
    run("name", &Corpus::texts(), targets::name);
}

#[test]
fn hostile_log_lines_are_values_or_errors() {
    run("log", &Corpus::texts(), targets::log);
}
