//! `fsx`: thousands of random reads, writes, truncations, maps, closes and syncs of one file, each read
//! compared with what a model of the file says. A seed names the whole sequence, and fsx prints the
//! last operations and the difference when it finds one.

use std::fs;
use std::time::Duration;

use super::Ground;
use crate::world::installed::built;
use crate::world::mounts::Mount;
use crate::world::procs::Script;
use crate::world::report;

/// How many operations one run makes; every eighth or so is a save.
const OPERATIONS: usize = 1000;

/// Generous: it takes two seconds on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(900);

/// The size of the file stays below `flen`, that of an operation below `opsize`. Not offered by the
/// mount: fallocate, holes.
const CONFIGURATION: &str = "
flen = 65536
[opsize]
max = 16384
[weights]
close_open = 2
read = 10
write = 10
mapread = 5
mapwrite = 5
truncate = 5
invalidate = 1
sendfile = 2
fsync = 2
fdatasync = 1
copy_file_range = 3
punch_hole = 0
posix_fallocate = 0
";

/// Runs fsx once for each seed, all at the same time, each on a file of its own.
fn run(name: &str, options: impl FnOnce(Mount) -> Mount, seeds: &[u32]) -> Result<(), String> {
    let fsx = built("fsx")?;
    let ground = Ground::mount(options)?;
    let own = tempfile::tempdir().unwrap();
    fs::write(own.path().join("fsx.toml"), CONFIGURATION).unwrap();
    let running: Vec<_> = seeds
        .iter()
        .map(|seed| {
            let file = ground.mount.file(format!("fsx-{seed}"));
            let arguments = "-f fsx.toml -P .";
            Script::bash(&format!(
                "exec {fsx:?} -N {OPERATIONS} -S {seed} {arguments} {file:?}"
            ))
            .within(own.path())
            .deadline(DEADLINE)
            .start()
        })
        .collect();
    for (seed, one) in seeds.iter().zip(running) {
        let out = one.finish();
        assert_eq!(out.code, Some(0), "seed {seed}: {out:#?}");
        assert!(
            out.stderr.contains("A-OK") || out.stdout.contains("A-OK"),
            "{out:#?}"
        );
        // The end of fsx closes its file, and that is a save like all others.
        let key = format!("fsx-{seed}");
        let here = fs::read(ground.mount.file(&key)).unwrap();
        let there = ground.other.get(&key).unwrap().bytes;
        assert!(there == here, "seed {seed}: the bucket has other bytes");
        let line = format!("fsx seed {seed}, {name}: {OPERATIONS} operations");
        report::append_line("suites", &line);
    }
    ground.end(0);
    Ok(())
}

#[test]
fn fsx_finds_no_difference_between_a_key_and_a_file() {
    or_skip!(run("as mounted by default", |mount| mount, &[1, 2, 3]));
}

/// Most reads then come in pieces, each under the condition that the version is still there.
#[test]
fn fsx_finds_no_difference_when_values_are_larger_than_what_is_read_whole() {
    let small = |mount: Mount| mount.arg("--inline-limit=16K").arg("--cache-size=32K");
    or_skip!(run("with an inline limit of 16 KiB", small, &[4, 5]));
}
