//! The programs in `examples/`, run as their readers will run them.

use crate::world::mounts::{self, Mount};
use crate::world::procs::Script;
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
