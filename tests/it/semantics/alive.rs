//! A1 to A5: what goes on when something breaks.

use std::fs::{self, File};
use std::io::Write as _;
use std::time::Duration;

use super::{errno, world, world_with};
use crate::world::mounts::Mount;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::servers::{self, Kind};

/// Every call returns, in time, even if the store never answers, and a process that is killed while it
/// waits is gone within about a second.
#[test]
fn a1_who_is_killed_while_it_waits_is_gone() {
    let world = or_skip!(world());
    world.other.put("key", "value");
    let hole = Gate::new();
    world
        .proxy
        .inject(When::any(), Fault::BlackHole(hole.clone()));
    let waiting = Script::dash("exec cat key")
        .within(world.mount.path())
        .deadline(Duration::from_secs(20))
        .start();
    hole.wait_for(1);
    waiting.kill();
    assert!(!waiting.finish().timed_out);
    world.proxy.heal();
    hole.open();
    assert_eq!(fs::read_to_string(world.file("key")).unwrap(), "value");
}

/// SIGTERM unmounts, finishes the saves that are under way, rescues what is left, and exits with 0.
#[test]
fn a2_a_mount_that_is_stopped_rescues_what_is_left() {
    let state = tempfile::tempdir().unwrap();
    let argument = format!("--state-dir={}", state.path().display());
    let world = or_skip!(world_with(&["--flat"]));
    let mount = Mount::of(&world.bucket)
        .flat()
        .state_dir(state.path())
        .start();
    let mut file = File::create(mount.file("key")).unwrap();
    file.write_all(b"half").unwrap();
    mount.terminate();
    assert_eq!(world.other.keys(), [""; 0]);
    let kept = fs::read_dir(state.path().join("rescue"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let values: Vec<_> = kept
        .filter(|path| path.extension().is_some_and(|end| end == "value"))
        .collect();
    assert_eq!(values.len(), 1, "{argument}");
    assert_eq!(fs::read_to_string(&values[0]).unwrap(), "half");
}

/// A server that ignores conditions is refused at the mount.
#[test]
fn a3_a_server_that_ignores_conditions_is_refused() {
    let bucket = or_skip!(servers::shared(Kind::S3rver)).bucket();
    let refused = Mount::of(&bucket).flat().try_start().unwrap_err();
    assert!(
        refused.status.is_some_and(|status| !status.success()),
        "{}",
        refused.log
    );
    Mount::of(&bucket).flat().read_only().start().unmount();
}

/// Memory for values that may be read again is bounded by --cache-size, and that for listings by their
/// names (100000).
#[test]
fn a4_the_cache_stays_within_its_size() {
    let world = or_skip!(world_with(&["--flat", "--cache-size=64K"]));
    for n in 0..20 {
        world.other.put(&format!("{n}"), vec![b'x'; 10_000]);
        fs::read(world.file(&format!("{n}"))).unwrap();
    }
    let status = fs::read_to_string(world.file(".etagfs/status")).unwrap();
    let cached = status
        .lines()
        .find_map(|line| line.trim().strip_prefix("\"cached_bytes\": "))
        .unwrap();
    let cached: u64 = cached.trim_end_matches(',').parse().unwrap();
    assert!((10_000..=65_536).contains(&cached), "{status}");
}

/// Odd keys and damaged answers are an error of one key, and never the end of the mount.
#[test]
fn a5_a_damaged_answer_is_an_error_of_its_key() {
    let world = or_skip!(world_with(&["--flat", "--deadline=2"]));
    world.other.put("key", "value");
    world.other.put("good", "good");
    let damage = world
        .proxy
        .inject(When::op(Op::Get).key("key"), Fault::garbage());
    assert_eq!(errno(fs::read(world.file("key"))), libc::EIO);
    assert_eq!(fs::read_to_string(world.file("good")).unwrap(), "good");
    damage.remove();
    assert_eq!(fs::read_to_string(world.file("key")).unwrap(), "value");
}
