//! The first listing of a store asks each object for its key, which takes longer than a caller waits. It is
//! never begun again: what was learned is kept, and the rest is learned whether somebody waits or not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::writer::Writer;
use crate::world::client::Client;
use crate::world::counted::Counted;
use crate::world::mounts::{self, Mount};
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::servers::{self, Bucket, Kind};
use crate::world::{report, wait};

const STORE: &str = "8d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";

/// How many names may be learned and not be on disk yet, and how many objects are looked at at once.
const UNWRITTEN: usize = 1000 + 32;

/// Long enough for 25,000 requests on a slow machine.
const LEARNED: Duration = Duration::from_secs(900);

fn bucket() -> Result<Bucket, String> {
    mounts::possible()?;
    Ok(servers::shared(Kind::Embedded)?.bucket())
}

/// A store with so many keys; they are put by several programs at once.
fn many(bucket: &Client, count: usize) {
    Writer::create(bucket, STORE);
    std::thread::scope(|scope| {
        for part in 0..8 {
            let writer = Writer::of(bucket, STORE);
            scope.spawn(move || {
                for n in (part..count).step_by(8) {
                    writer.assoc(&format!(":key-{n}"), &format!("{{:n {n}}}"));
                }
            });
        }
    });
}

/// How many objects were looked at, of how many, as `status` tells.
fn progress(ground: &Counted) -> Option<(u64, u64)> {
    let status = fs::read_to_string(ground.mount.file(".etagfs/status")).unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let listing = status["listings"].as_array().unwrap().first()?;
    assert_eq!(listing["store"], STORE);
    Some((listing["looked_at"].as_u64()?, listing["of"].as_u64()?))
}

/// What `ls` comes to: how many names, or an error that is one of the store's.
fn ls(ground: &Counted) -> Option<usize> {
    match fs::read_dir(ground.mount.path()) {
        Ok(names) => Some(names.flatten().count()),
        Err(error) => {
            let errno = error.raw_os_error().unwrap();
            assert!([libc::ETIMEDOUT, libc::EIO].contains(&errno), "{error}");
            None
        }
    }
}

fn gets(ground: &Counted) -> usize {
    ground.counts().of(Op::Get)
}

#[test]
fn a_first_listing_goes_on_behind_its_time_out_and_is_never_begun_again() {
    let bucket = or_skip!(bucket());
    let count = std::env::var("ETAGFS_TEST_KEYS").map_or(25_000, |count| count.parse().unwrap());
    many(&bucket.client(), count);
    let state = tempfile::tempdir().unwrap();
    let start = |mount: Mount| {
        let mount = mount.store(STORE).arg("--deadline=3").arg("--ttl=0");
        mount.log_level("info").state_dir(state.path())
    };
    let mut first = Counted::of(&bucket, start);
    assert_eq!(ls(&first), None, "{count} requests within the deadline");
    // Nobody waits any more, and it goes on.
    wait::until("much was looked at", LEARNED, || {
        progress(&first).is_some_and(|(done, of)| of as usize == count && done as usize > count / 3)
    });
    first.mount.kill();
    first.mount.clear();
    first.proxy.settle();
    let before_the_kill = gets(&first);
    assert!(before_the_kill < count);

    let second = Counted::of(&bucket, start);
    let mut tries = 0;
    let mut names = None;
    wait::until("all names are listed", LEARNED, || {
        if progress(&second).is_some() {
            return false;
        }
        tries += 1;
        names = ls(&second);
        names.is_some()
    });
    assert_eq!(names, Some(count));
    let after_the_kill = gets(&second);
    second.unmount();

    let third = Counted::of(&bucket, start);
    wait::until("the names are listed", wait::SOON, || {
        ls(&third) == Some(count)
    });
    let line = format!(
        "{count} keys, kill -9 at {before_the_kill} GET, then {after_the_kill} GET in {tries} listings; \
         a third mount: {} GET",
        gets(&third)
    );
    println!("{line}");
    report::write("konserve first listing", &line);
    assert_eq!(gets(&third), 0);
    // What a listing that failed had under way may be asked again.
    let slack = UNWRITTEN + 32 * tries;
    let total = before_the_kill + after_the_kill;
    assert!((count..=count + slack).contains(&total), "{line}");
}

/// By the time the names are learned, what was listed first is outdated.
#[test]
fn the_first_long_listing_asks_each_object_once_however_long_it_takes() {
    let bucket = or_skip!(bucket());
    many(&bucket.client(), 40);
    let ground = Counted::of(&bucket, |mount| mount.store(STORE).arg("--ttl=5"));
    let gate = Gate::new();
    ground
        .proxy
        .inject(When::op(Op::Get), Fault::HoldRequest(gate.clone()));
    let at = ground.mount.path();
    let listing = Script::dash("ls -l | wc -l").within(at).start();
    gate.wait_for(32);
    // Until the listing is older than it may be.
    assert!(!wait::eventually(Duration::from_secs(6), || listing.ended()));
    gate.open();
    assert_eq!(listing.finish().ok().stdout.trim(), "41");
    let counts = ground.counts();
    assert_eq!((counts.of(Op::Get), counts.of(Op::List)), (40, 2));
}

/// The file in which names are kept.
fn kept(state: &Path) -> PathBuf {
    state.join("konserve").join(format!("{STORE}.names"))
}

#[test]
fn names_in_a_damaged_file_are_learned_again_and_never_wrong() {
    let bucket = or_skip!(bucket());
    const COUNT: usize = 50;
    many(&bucket.client(), COUNT);
    let state = tempfile::tempdir().unwrap();
    let start = |mount: Mount| mount.store(STORE).arg("--ttl=600").state_dir(state.path());
    let all = "ls -l | tail -n +2 | awk '{ print $5, $9 }'";
    let first = Counted::of(&bucket, start);
    let right = first.run(Script::dash(all)).ok().stdout;
    assert_eq!(right.lines().count(), COUNT);
    first.unmount();
    let whole = fs::read_to_string(kept(state.path())).unwrap();
    let lines: Vec<_> = whole.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), COUNT);

    type Damage<'a> = (&'a str, Box<dyn Fn(usize, &str) -> String + 'a>, usize);
    let every_fifth = |n: usize| n.is_multiple_of(5);
    let damages: [Damage<'_>; 5] = [
        (
            "lines without an end",
            Box::new(|n, line| match every_fifth(n) {
                true => line[..line.len() / 2].to_owned(),
                false => line.to_owned(),
            }),
            COUNT / 5,
        ),
        (
            "another size",
            Box::new(|n, line| match every_fifth(n) {
                true => line.replace("\"size\":", "\"size\":9"),
                false => line.to_owned(),
            }),
            COUNT / 5,
        ),
        (
            "hidden keys",
            Box::new(|n, line| match every_fifth(n) {
                true => line.replace("\"key\":\":key", "\"key\":null,\"x\":\":key"),
                false => line.to_owned(),
            }),
            COUNT / 5,
        ),
        (
            "keys of others",
            Box::new(|n, line| match every_fifth(n) {
                true => line.replace(":key-", ":kex-"),
                false => line.to_owned(),
            }),
            COUNT / 5,
        ),
        (
            "nothing but noise",
            Box::new(|n, _| format!("\u{0}\u{1}{n}")),
            COUNT,
        ),
    ];
    for (what, damage, again) in damages {
        let damaged: String = lines
            .iter()
            .enumerate()
            .map(|(n, line)| damage(n, line) + "\n")
            .collect();
        fs::write(kept(state.path()), damaged).unwrap();
        let ground = Counted::of(&bucket, start);
        assert_eq!(ground.run(Script::dash(all)).ok().stdout, right, "{what}");
        assert_eq!(gets(&ground), again, "{what}");
        ground.unmount();
        // And it is whole again.
        let ground = Counted::of(&bucket, start);
        assert_eq!(ground.run(Script::dash(all)).ok().stdout, right, "{what}");
        assert_eq!(gets(&ground), 0, "{what}");
        ground.unmount();
    }
}

#[test]
fn an_object_that_fails_does_not_keep_the_others_from_being_learned() {
    let bucket = or_skip!(bucket());
    many(&bucket.client(), 200);
    let state = tempfile::tempdir().unwrap();
    let start = |mount: Mount| mount.store(STORE).arg("--ttl=0").state_dir(state.path());
    let ground = Counted::of(&bucket, start);
    let denied = ground
        .proxy
        .inject(When::op(Op::Get).nth(3), Fault::Answer(403, "AccessDenied"));
    assert!(fs::read_dir(ground.mount.path()).is_err());
    assert_eq!(denied.struck(), 1);
    assert_eq!(gets(&ground), 200);
    ground.unmount();
    let ground = Counted::of(&bucket, start);
    assert_eq!(ls(&ground), Some(200));
    assert_eq!(gets(&ground), 1);
}
