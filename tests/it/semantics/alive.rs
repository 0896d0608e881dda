//! A1 to A5: what goes on when something breaks.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use super::{errno, open_both, world, world_with};
use crate::world::mounts::Mount;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::servers::{self, Kind};
use crate::world::wait;

/// Every call returns in time, even if the store never answers, and a process that is killed while it
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

/// SIGTERM unmounts, finishes the saves that are under way, rescues the rest, and exits with 0.
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

/// A server that ignores preconditions is refused at the mount.
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

/// --cache-size bounds the memory for values that may be read again, and the number of names (100000)
/// bounds the memory for listings.
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

/// A file that is open for writing takes up to --draft-memory (64 MiB); a larger one is in a file
/// without a name in the state directory, where holes take no room.
#[test]
fn a4_a_large_draft_is_not_in_memory() {
    let world = or_skip!(world());
    let file = File::create_new(world.file("key")).unwrap();
    file.set_len(4 << 30).unwrap();
    file.write_at(b"end", (4 << 30) - 3).unwrap();
    let mut end = [1; 6];
    file.read_exact_at(&mut end, (4 << 30) - 6).unwrap();
    assert_eq!(&end, b"\0\0\0end");
    assert_eq!(file.metadata().unwrap().len(), 4 << 30);
    let status = fs::read_to_string(format!("/proc/{}/status", world.mount.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(peak < 256 << 10, "{peak} KiB");
    // Four GiB are not sent.
    fs::remove_file(world.file("key")).unwrap();
}

/// A file that is open for writing takes up to --draft-memory (64 MiB); a larger one is in a file
/// without a name in the state directory
#[test]
fn a4_a_large_draft_is_saved_like_any_other() {
    let world = or_skip!(world_with(&[
        "--flat",
        "--draft-memory=10K",
        "--inline-limit=20K"
    ]));
    let text: Vec<u8> = (0..100_000_u32)
        .map(|n| u8::try_from(n % 251).unwrap())
        .collect();
    fs::write(world.file("key"), &text).unwrap();
    assert_eq!(world.other.get("key").unwrap().bytes, text);
    assert_eq!(fs::read(world.file("key")).unwrap(), text);
    // Edited, appended to behind what somebody else saved, refused, cut.
    let mut file = File::options()
        .append(true)
        .open(world.file("key"))
        .unwrap();
    file.write_all(&text).unwrap();
    world.other.put("key", [b"theirs", &text[..]].concat());
    file.sync_all().unwrap();
    let merged = [b"theirs", &text[..], &text[..]].concat();
    assert_eq!(world.other.get("key").unwrap().bytes, merged);
    let file = open_both(&world.file("key")).unwrap();
    file.write_at(b"THEIRS", 0).unwrap();
    world.other.put("key", "winner");
    assert_eq!(errno(file.sync_all()), libc::EAGAIN);
    let rescues = world.names(".etagfs/rescue");
    let kept = fs::read(world.file(".etagfs/rescue").join(&rescues[0])).unwrap();
    assert_eq!(kept, [b"THEIRS", &text[..], &text[..]].concat());
    fs::write(world.file("cut"), &text).unwrap();
    let file = open_both(&world.file("cut")).unwrap();
    file.set_len(7).unwrap();
    file.sync_all().unwrap();
    assert_eq!(world.other.get("cut").unwrap().bytes, text[..7]);
    assert_eq!(
        fs::read_dir(world.mount.state_dir().join("drafts"))
            .unwrap()
            .count(),
        0
    );
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
    let failure = errno(fs::read(world.file("key")));
    assert!([libc::EIO, libc::ETIMEDOUT].contains(&failure), "{failure}");
    // A slow machine may need more than the two seconds that each try has.
    let holds = |name: &str, value: &str| {
        wait::until(name, wait::SOON, || {
            fs::read_to_string(world.file(name)).is_ok_and(|text| text == value)
        });
    };
    holds("good", "good");
    damage.remove();
    holds("key", "value");
}
