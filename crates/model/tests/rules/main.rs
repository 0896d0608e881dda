//! The rules, explored: the real machines of this crate in small worlds, in every order of events, and against slow
//! references. Nothing here knows a mount or a bucket.

// This whole crate is a test; clippy's `allow-*-in-tests` covers only functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

// The conflict rule in small worlds: every order of events and messages.
mod conflict_model;
// The memory of who was shown what, and drafts, against slow references.
mod conflict_properties;
// Names that editors move away and create again (W8), in every order of events.
mod pending_renames_model;

use std::fs;
use std::io::Write as _;
use std::path::Path;

/// Adds a line to the report of `tests/run`, and prints it.
fn report(line: &str) {
    println!("{line}");
    let reports = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-report");
    fs::create_dir_all(&reports).unwrap();
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(reports.join("rules.txt"))
        .and_then(|mut report| report.write_all(format!("{line}\n").as_bytes()))
        .unwrap();
}
