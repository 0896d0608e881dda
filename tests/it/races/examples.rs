//! The programs in `examples/`, run as their readers will run them.

use std::path::PathBuf;
use std::process::Command;

use crate::world::cli;
use crate::world::mounts::{self, Mount};
use crate::world::procs::Script;
use crate::world::report;
use crate::world::servers::{self, Kind};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

#[test]
fn the_counter_that_people_copy_loses_nothing_and_leaves_nothing() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let mounts = [
        Mount::of(&bucket).flat().start(),
        Mount::of(&bucket).flat().start(),
    ];
    bucket.client().put("counter", "7\n");
    let text = format!("for _ in 1 2 3 4 5; do {EXAMPLES}/counter.py counter 2 || exit 1; done");
    let running: Vec<_> = mounts
        .iter()
        .chain(&mounts)
        .map(|mount| Script::dash(&text).within(mount.path()).start())
        .collect();
    for one in running {
        assert_eq!(one.finish().ok().stdout.lines().count(), 5);
    }
    assert_eq!(bucket.client().text("counter"), "47\n");
    assert_eq!(bucket.client().keys(), ["counter"]);
}

#[test]
fn the_counter_that_people_copy_does_not_retry_other_errors() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let mount = Mount::of(&bucket).flat().start();
    let out = Script::dash(&format!("{EXAMPLES}/counter.py missing"))
        .within(mount.path())
        .run();
    assert_eq!(out.code, Some(1));
    assert!(out.stderr.contains("No such file"), "{}", out.stderr);
}

/// The program of `examples/counter.rs`, as `cargo test` builds it, also when only a part of the tests is built.
fn counter() -> PathBuf {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["build", "--locked", "--offline", "--example", "counter"])
        .args(["--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let built = command.output().expect("cargo");
    assert!(built.status.success(), "{built:#?}");
    let messages = String::from_utf8_lossy(&built.stdout);
    let mut programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_ours = message["target"]["name"] == "counter";
        is_ours.then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    programs.next_back().expect("a program")
}

#[test]
fn two_programs_of_the_library_lose_no_increment() {
    const TIMES: u32 = 50;
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let state = tempfile::tempdir().unwrap();
    let counter = counter();
    let key = format!("s3://{}/counter", bucket.name);
    let script = |text: &str| {
        cli::script(&bucket, state.path(), text)
            .env("COUNTER", &counter)
            .env("KEY", &key)
            .env("URL", &bucket.endpoint)
    };
    // One is told by an option where the server is, the other by the environment.
    let running = [
        format!("$COUNTER --endpoint-url $URL $KEY {TIMES}"),
        format!("AWS_ENDPOINT_URL_S3=$URL $COUNTER $KEY {TIMES}"),
    ]
    .map(|text| script(&text).start());
    let mut lines = String::new();
    for one in running {
        let out = one.finish().ok();
        let told = format!("after {TIMES} increments, ");
        assert!(out.stdout.contains(&told), "{out:#?}");
        lines.push_str(&out.stdout);
    }
    assert_eq!(bucket.client().text("counter"), format!("{}\n", 2 * TIMES));
    assert_eq!(bucket.client().keys(), ["counter"]);
    println!("{lines}");
    report::append_line(
        "contention",
        &format!(
            "examples/counter.rs, 2 processes: {}",
            lines.trim().replace('\n', "; ")
        ),
    );

    // What is no conflict is not tried again.
    bucket.client().put("counter", "seven");
    let odd = script("$COUNTER --endpoint-url $URL $KEY").run();
    assert_ne!(odd.code, Some(0), "{odd:#?}");
    assert_eq!(bucket.client().text("counter"), "seven");
}

/// Whether a line is what the README says of it, where `...` is anything.
fn is_like(line: &str, told: &str) -> bool {
    let mut parts = told.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.trim().strip_prefix(first) else {
        return false;
    };
    let mut open = false;
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        open = part.is_empty();
    }
    open || rest.is_empty()
}

#[test]
fn the_race_in_the_readme_is_what_the_script_prints() {
    or_skip!(mounts::possible());
    let out = Script::dash(&format!("exec {EXAMPLES}/race.sh 2>&1"))
        .env("ETAGFS", ETAGFS)
        .env("LC_ALL", "C")
        .run()
        .ok();
    let readme = include_str!("../../../README.md");
    let (_, below) = readme.split_once("```text\n").expect("a recorded race");
    let (recorded, _) = below.split_once("```").expect("its end");
    let told: Vec<_> = recorded.lines().filter(|line| !line.is_empty()).collect();
    let printed = out.stdout.lines().filter(|line| !line.is_empty());
    let printed: Vec<_> = printed.collect();
    assert_eq!(told.len(), printed.len(), "{out:#?}");
    for (line, told) in printed.iter().zip(told) {
        assert!(is_like(line, told), "{told:?}, printed {line:?}");
    }
}
