//! The programs in `examples/`, run as their readers will run them.

use std::time::Duration;

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

#[test]
fn the_race_script_shows_a_refusal_its_rescue_and_the_remedy() {
    or_skip!(mounts::possible());
    let out = Script::dash(&format!("exec {EXAMPLES}/race.sh"))
        .env("ETAGFS", ETAGFS)
        .deadline(Duration::from_secs(120))
        .run()
        .ok();
    for line in [
        "one: 0, two: 0",
        "two: saved 1",
        "one: the counter is 1",
        "one: saved 11",
        "11 + 10 + 10 = 31",
    ] {
        assert!(out.stdout.lines().any(|it| it == line), "{out:#?}");
    }
    assert!(
        out.stderr.contains("Resource temporarily unavailable"),
        "{out:#?}"
    );
    assert!(out.stdout.contains("/counter  (s3://demo"), "{out:#?}");
}
