//! What is there is shown (R3): no race, no refusal and no failure hides a key from `ls` or `cat`.
//! Each of the small cases struck a key from a remembered listing once; the race finds others.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::world::counted::Counted;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::report;
use crate::world::servers::{self, Kind};
use crate::world::wait::SOON;

/// Long enough that nothing that was remembered is forgotten by itself.
const LONG: &str = "--ttl=600";

/// `ls` lists these keys, and `cat` reads them.
#[track_caller]
fn shows(ground: &Counted, keys: &[&str]) {
    let listed = ground.run(Script::dash("ls")).ok().stdout;
    for key in keys {
        assert!(
            listed.lines().any(|name| name == *key),
            "{key} in {listed:?}"
        );
        ground.run(Script::dash(&format!("cat {key}"))).ok();
    }
}

#[test]
fn a_key_that_a_rename_lost_to_is_shown() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg(LONG)));
    ground.other.put("target", "old");
    ground.other.put("source", "new");
    shows(&ground, &["target", "source"]);
    let gate = Gate::new();
    let put = When::op(Op::Put).key("target");
    ground
        .proxy
        .inject(put.once(), Fault::HoldRequest(gate.clone()));
    let (from, to) = (ground.mount.file("source"), ground.mount.file("target"));
    let renaming = thread::spawn(move || fs::rename(from, to));
    gate.wait_for(1);
    ground.other.put("target", "somebody else's");
    gate.open();
    let refused = renaming.join().unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    shows(&ground, &["target", "source"]);
}

#[test]
fn a_key_whose_old_name_could_not_be_deleted_is_shown_under_both() {
    for fault in [Fault::access_denied(), Fault::Answer(501, "NotImplemented")] {
        let ground = or_skip!(Counted::mount(|mount| mount.flat().arg(LONG)));
        ground.other.put("old", "value");
        shows(&ground, &["old"]);
        ground.proxy.inject(When::op(Op::Delete), fault);
        fs::rename(ground.mount.file("old"), ground.mount.file("new")).unwrap();
        ground.proxy.heal();
        assert_eq!(ground.other.keys(), ["new", "old"]);
        shows(&ground, &["new", "old"]);
    }
}

/// The file was never in the bucket, and what somebody saved under its name is.
#[test]
fn a_key_is_shown_when_a_new_file_of_its_name_is_deleted_before_it_was_saved() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg(LONG)));
    let at = ground.mount.file("key");
    let new = fs::File::create(&at).unwrap();
    ground.other.put("key", "somebody else's");
    ground.run(Script::dash("ls")).ok();
    fs::remove_file(&at).unwrap();
    drop(new);
    shows(&ground, &["key"]);
    assert_eq!(ground.other.text("key"), "somebody else's");
}

/// How often one of the two mounts must have lost.
const LOST: u32 = 10;
/// Keys that are there all the time: saved, and renamed over, and never deleted.
const STEADY: [&str; 3] = ["steady-0", "steady-1", "steady-2"];

#[derive(Debug, Default)]
struct Counts {
    saves: AtomicU32,
    renames: AtomicU32,
    refused: AtomicU32,
    deleted: AtomicU32,
    own_looks: AtomicU32,
}

fn count(counter: &AtomicU32) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Saves, or hears that somebody was first.
fn attempt(counts: &Counts, done: std::io::Result<()>, counter: &AtomicU32) {
    match done {
        Ok(()) => count(counter),
        Err(error) if error.kind() == ErrorKind::WouldBlock => count(&counts.refused),
        Err(error) => panic!("{error}"),
    }
}

/// Saves a file and hears whether that was done: who only drops it hears nothing.
fn save(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// One of two machines: it saves the steady keys, renames over them, and makes, moves and deletes
/// keys of its own, which it must see at once whatever goes on.
fn writer(at: &Path, name: &str, over: &AtomicBool, counts: &Counts) {
    let mut round = 0_u32;
    while !over.load(Ordering::Relaxed) {
        round += 1;
        let key = STEADY[round as usize % STEADY.len()];
        let text = format!("{name} {round}\n");
        attempt(counts, save(&at.join(key), &text), &counts.saves);
        let own = at.join(format!("own-{name}-{round}"));
        save(&own, &text).unwrap();
        for _ in 0..3 {
            assert_eq!(fs::read_to_string(&own).unwrap(), text);
            let mut names = fs::read_dir(at).unwrap();
            let is_own = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().path() == own;
            assert!(names.any(is_own), "{} is not listed", own.display());
            count(&counts.own_looks);
        }
        // Refused or not, who moves it knows at once where it is.
        let moved = fs::rename(&own, at.join(key));
        assert_eq!(own.exists(), moved.is_err(), "{}: {moved:?}", own.display());
        if moved.is_err() {
            fs::remove_file(&own).unwrap();
            count(&counts.deleted);
        }
        attempt(counts, moved, &counts.renames);
    }
}

/// A process that looks through one mount; how often it looked, and what it missed.
fn observer(mount: &Mounted, over: &AtomicBool) -> (u32, Vec<String>) {
    let script = format!(
        "listed=$(ls); for key in {}; do cat $key > /dev/null; \
         case \"$listed\" in *$key*) ;; *) echo $key is not listed >&2;; esac; done",
        STEADY.join(" ")
    );
    let (mut looks, mut missed) = (0, Vec::new());
    while !over.load(Ordering::Relaxed) {
        let output = Script::dash(&script).within(mount.path()).run();
        looks += 1;
        missed.extend(output.stderr.lines().map(ToOwned::to_owned));
    }
    (looks, missed)
}

#[test]
fn keys_that_are_there_all_the_time_are_never_missed_while_two_mounts_race() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let other = bucket.client();
    for key in STEADY {
        other.put(key, "the first");
    }
    // The third only looks.
    let mounts = [(); 3].map(|()| Mount::of(&bucket).flat().log_level("error").start());
    let (over, counts) = (AtomicBool::new(false), Counts::default());
    let (mut looks, mut missed) = (0, Vec::new());
    thread::scope(|scope| {
        let writers = [(&mounts[0], "a"), (&mounts[1], "b")]
            .map(|(mount, name)| scope.spawn(|| writer(mount.path(), name, &over, &counts)));
        let observers = mounts
            .iter()
            .map(|mount| scope.spawn(|| observer(mount, &over)))
            .collect::<Vec<_>>();
        let until = Instant::now() + SOON;
        let is_enough = || counts.refused.load(Ordering::Relaxed) >= LOST;
        let ended = || writers.iter().any(|writer| writer.is_finished());
        while Instant::now() < until && !is_enough() && !ended() {
            thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
        for observer in observers {
            let (times, saw) = observer.join().unwrap();
            looks += times;
            missed.extend(saw);
        }
    });
    let line = format!(
        "{looks} looks of three processes at {} steady keys, {} missed; {counts:?}",
        STEADY.len(),
        missed.len()
    );
    println!("{line}");
    report::append_line("two-mount-listing-race", &line);
    assert_eq!(missed, [""; 0]);
    assert!(looks > 20 && counts.refused.load(Ordering::Relaxed) >= LOST);
}
