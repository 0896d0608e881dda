//! W7 to W16: appends, renames and deletes, what a result means, and what survives.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::thread;
use std::time::Duration;

use super::{errno, open_both, world, world_with};
use crate::world::mounts::Mount;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::wait;

/// Long enough for a request to get where it waits; if it does not, the test proves less.
const A_MOMENT: Duration = Duration::from_millis(300);

/// etagfs appends what was added since the last save to the current value, and saves again, up to
/// --append-retries times (10) within five seconds. After that the save fails with EAGAIN, and the
/// rescue holds what was appended and nothing else.
#[test]
fn w7_appends_merge() {
    let world = or_skip!(world());
    world.other.put("log", "1\n");
    let mut file = File::options()
        .append(true)
        .open(world.file("log"))
        .unwrap();
    for (theirs, ours) in [("1\n2\n", "3\n"), ("4\n", "5\n")] {
        file.write_all(ours.as_bytes()).unwrap();
        world.other.put("log", theirs);
        file.sync_all().unwrap();
        assert_eq!(world.other.text("log"), format!("{theirs}{ours}"));
    }
    let refusing = Fault::Answer(412, "PreconditionFailed");
    world.proxy.inject(When::op(Op::Put), refusing);
    file.write_all(b"6\n").unwrap();
    let mark = world.proxy.mark();
    assert_eq!(errno(file.sync_all()), libc::EAGAIN);
    let tries = world.proxy.since(mark).counts().of(Op::Put);
    assert!((4..=11).contains(&tries), "{tries}");
    let rescues = world.names(".etagfs/rescue");
    let kept = fs::read_to_string(world.file(".etagfs/rescue").join(&rescues[0])).unwrap();
    assert_eq!((kept.as_str(), rescues.len()), ("6\n", 1));
}

/// A rename over a key and a delete are conditional like saves.
#[test]
fn w8_a_rename_replaces_only_what_was_shown() {
    let world = or_skip!(world());
    world.other.put("key", "one");
    fs::write(world.file("temporary"), "mine").unwrap();
    fs::read(world.file("key")).unwrap();
    world.other.put("key", "two");
    assert_eq!(
        errno(fs::rename(world.file("temporary"), world.file("key"))),
        libc::EAGAIN
    );
    assert_eq!(
        (world.other.text("key"), world.other.text("temporary")),
        ("two".into(), "mine".into())
    );
    // Told: a second one replaces exactly that.
    fs::rename(world.file("temporary"), world.file("key")).unwrap();
    assert_eq!(
        (world.other.text("key"), world.other.keys()),
        ("mine".into(), vec!["key".into()])
    );
}

/// A file that is deleted on the machine that writes it behaves as on any filesystem: it can still be
/// written, closes with 0, and is not saved.
#[test]
fn w8_a_deleted_file_closes_in_peace() {
    let world = or_skip!(world());
    world.other.put("key", "value");
    for name in ["key", "new"] {
        let mut file = File::create(world.file(name)).unwrap();
        file.write_all(b"in vain").unwrap();
        fs::remove_file(world.file(name)).unwrap();
        file.write_all(b"still").unwrap();
        file.sync_all().unwrap();
    }
    assert_eq!(world.other.keys(), [""; 0]);
}

/// Two processes that delete the same version at the same time may both succeed (W6)
#[test]
fn w8_a_delete_of_what_goes_away_meanwhile_is_done() {
    let world = or_skip!(world());
    world.other.put("key", "value");
    let gate = Gate::new();
    let held = Fault::HoldRequest(gate.clone());
    world.proxy.inject(When::op(Op::Delete), held);
    thread::scope(|scope| {
        let deleting = scope.spawn(|| fs::remove_file(world.file("key")));
        gate.wait_for(1);
        world.other.delete("key");
        gate.open();
        deleting.join().unwrap().unwrap();
    });
}

/// A rename over a key and a delete are conditional like saves.
#[test]
fn w8_a_delete_waits_for_the_save_that_is_under_way() {
    let world = or_skip!(world());
    let gate = Gate::new();
    world
        .proxy
        .inject(When::op(Op::Put).once(), Fault::HoldReply(gate.clone()));
    let writing = Script::dash("echo value > key")
        .within(world.mount.path())
        .start();
    gate.wait_for(1);
    let removing = Script::dash("rm key").within(world.mount.path()).start();
    assert!(!wait::eventually(A_MOMENT, || removing.ended()));
    gate.open();
    writing.finish();
    removing.finish().ok();
    assert_eq!(world.other.keys(), [""; 0]);
}

/// When close or fsync returned 0, the bytes are in the bucket.
#[test]
fn w10_a_success_is_in_the_bucket() {
    let world = or_skip!(world());
    for n in 0..10 {
        let text = format!("{n}");
        world.sh(&format!("printf {n} > key"));
        assert_eq!(world.other.text("key"), text);
        fs::write(world.file("other"), &text).unwrap();
        assert_eq!(world.other.text("other"), text);
    }
}

/// Throttled and failed requests are sent again until --deadline. After that the error is EIO or
/// ETIMEDOUT, and the bytes are rescued.
#[test]
fn w11_a_failing_store_is_never_a_conflict() {
    let world = or_skip!(world());
    world
        .proxy
        .inject(When::op(Op::Put).times(2), Fault::slow_down());
    fs::write(world.file("key"), "value").unwrap();
    assert_eq!(world.other.text("key"), "value");

    let world = or_skip!(world_with(&["--flat", "--deadline=2"]));
    world.other.put("key", "value");
    world.proxy.inject(When::op(Op::Put), Fault::slow_down());
    let file = open_both(&world.file("key")).unwrap();
    file.write_at(b"VALUE", 0).unwrap();
    let failure = errno(file.sync_all());
    assert!([libc::EIO, libc::ETIMEDOUT].contains(&failure), "{failure}");
    assert_eq!(world.rescues(), 1);
}

/// Each open has a copy of its own. Nobody else sees the bytes before they are saved, not even another
/// descriptor of the same process. stat shows the size of the copy only to the process that writes.
#[test]
fn w12_an_open_has_a_copy_of_its_own() {
    let world = or_skip!(world());
    world.other.put("key", "value");
    let (one, two) = (
        open_both(&world.file("key")).unwrap(),
        open_both(&world.file("key")).unwrap(),
    );
    one.write_at(b"longer than before", 0).unwrap();
    let mut seen = String::new();
    (&two).read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "value");
    assert_eq!(one.metadata().unwrap().len(), 18);
    drop(two);
    assert_eq!(world.sh("stat -c %s key"), "5\n");
}

/// A race that is lost on this machine is refused without asking the store.
#[test]
fn w12_two_writers_of_one_mount_conflict() {
    let world = or_skip!(world());
    world.other.put("key", "value");
    let (one, two) = (
        open_both(&world.file("key")).unwrap(),
        open_both(&world.file("key")).unwrap(),
    );
    one.write_at(b"1", 0).unwrap();
    two.write_at(b"2", 0).unwrap();
    one.sync_all().unwrap();
    let mark = world.proxy.mark();
    assert_eq!(errno(two.sync_all()), libc::EAGAIN);
    assert_eq!(world.proxy.since(mark).counts().total(), 0);
    assert_eq!(world.other.text("key"), "1alue");
}

/// A new file is listed, empty, from its creation on; others can open it and find it empty.
#[test]
fn w12_who_only_looks_at_a_new_file_takes_nothing_from_its_writer() {
    let world = or_skip!(world());
    let mut file = File::create(world.file("new")).unwrap();
    file.write_all(b"value").unwrap();
    assert_eq!(world.sh("ls; wc -c < new; touch new"), "new\n0\n");
    file.sync_all().unwrap();
    assert_eq!(world.other.text("new"), "value");
}

/// every write is saved before it returns.
#[test]
fn w13_every_write_is_saved_where_that_is_asked_for() {
    let world = or_skip!(world());
    let always = Mount::of(&world.bucket).flat().arg("--sync").start();
    let mut options = File::options();
    options.write(true).create(true);
    let files = [
        (always.file("always"), options.clone()),
        (
            world.file("sync"),
            options.custom_flags(libc::O_SYNC).clone(),
        ),
        (
            world.file("dsync"),
            options.custom_flags(libc::O_DSYNC).clone(),
        ),
    ];
    for (path, options) in files {
        let key = path.file_name().unwrap().to_str().unwrap();
        let mut file = options.open(&path).unwrap();
        for text in ["one\n", "one\ntwo\n"] {
            file.write_all(&text.as_bytes()[text.len() - 4..]).unwrap();
            assert_eq!(world.other.text(key), text);
        }
    }
}

/// A write that loses its race fails with ESTALE, never with EAGAIN; the bytes are rescued, and the
/// descriptor is lost (W5).
#[test]
fn w13_a_write_that_loses_its_race_is_stale() {
    let world = or_skip!(world_with(&["--flat", "--sync"]));
    let file = File::create(world.file("key")).unwrap();
    file.write_at(b"mine", 0).unwrap();
    world.other.put("key", "theirs");
    for n in 1..=2 {
        assert_eq!(errno(file.write_at(b"MINE", 0)), libc::ESTALE);
        assert_eq!(world.rescues(), 1, "after write {n}");
    }
    assert_eq!(errno(file.sync_all()), libc::EAGAIN);
    assert_eq!(world.other.text("key"), "theirs");
    // And appends go on.
    let mut log = File::options()
        .append(true)
        .open(world.file("key"))
        .unwrap();
    world.other.put("key", "theirs\n");
    log.write_all(b"mine\n").unwrap();
    assert_eq!(world.other.text("key"), "theirs\nmine\n");
}

/// One call is one save up to 128 KiB; the kernel splits longer ones.
#[test]
fn w13_a_write_of_some_size_is_one_save() {
    let world = or_skip!(world_with(&["--flat", "--sync"]));
    let mut file = File::create(world.file("key")).unwrap();
    let mark = world.proxy.mark();
    file.write_all(&[b'x'; 128 * 1024]).unwrap();
    assert_eq!(world.proxy.since(mark).counts().of(Op::Put), 1);
    file.write_all(&[b'y'; 2 * 1024 * 1024]).unwrap();
    println!("2 MiB: {}", world.proxy.since(mark).counts().line());
}

/// never with EAGAIN; the bytes are rescued
#[test]
fn w13_an_append_that_failed_and_is_written_again_is_there_once() {
    let world = or_skip!(world_with(&["--flat", "--deadline=2"]));
    world.other.put("log", "1\n");
    let mut file = File::options()
        .append(true)
        .custom_flags(libc::O_SYNC)
        .open(world.file("log"))
        .unwrap();
    world.proxy.inject(When::op(Op::Put), Fault::slow_down());
    let failure = errno(file.write(b"2\n"));
    assert!([libc::EIO, libc::ETIMEDOUT].contains(&failure), "{failure}");
    assert_eq!(world.rescues(), 1);
    world.proxy.heal();
    // A slow machine may need more than the two seconds that each try has.
    wait::until("it is written again", wait::SOON, || {
        file.write(b"2\n").is_ok()
    });
    assert_eq!(world.other.text("log"), "1\n2\n");
    assert_eq!(world.rescues(), 0);
}

/// What travels with a value survives an edit
#[test]
fn w14_an_edit_keeps_the_metadata() {
    let world = or_skip!(world());
    world
        .other
        .put_with("key", "value", "text/x-own", &[("colour", "red")]);
    let file = open_both(&world.file("key")).unwrap();
    file.write_at(b"V", 0).unwrap();
    file.sync_all().unwrap();
    fs::write(world.file("page.html"), "<p>").unwrap();
    let object = world.other.get("key").unwrap();
    assert_eq!(
        (object.text(), object.content_type.as_deref()),
        ("Value", Some("text/x-own"))
    );
    assert_eq!(object.metadata["colour"], "red");
    assert_eq!(
        world
            .other
            .head("page.html")
            .unwrap()
            .content_type
            .as_deref(),
        Some("text/html")
    );
}

/// It also survives an edit that empties the file first, or moves it away and creates it again, under
/// any name
#[test]
fn w14_an_emptied_file_keeps_its_metadata() {
    let world = or_skip!(world());
    for (key, script) in [
        ("emptied", "echo new > emptied"),
        (
            "truncated",
            "truncate -s 0 truncated; echo new >> truncated",
        ),
        (
            "recreated",
            "mv recreated recreated~; echo new > recreated; rm recreated~",
        ),
    ] {
        world
            .other
            .put_with(key, "old", "text/x-own", &[("colour", "red")]);
        world.sh(script);
        let object = world.other.get(key).unwrap();
        assert_eq!(object.text(), "new\n", "{key}");
        assert_eq!(object.content_type.as_deref(), Some("text/x-own"), "{key}");
        assert_eq!(object.metadata["colour"], "red", "{key}");
    }
}

/// To find the metadata may cost one HEAD, at an open that empties a file which this mount has neither
/// read nor saved before.
#[test]
fn w14_what_was_read_or_saved_is_known() {
    // So small a cache holds no value.
    let world = or_skip!(world_with(&["--flat", "--cache-size=1"]));
    world.other.put_with("read", "old", "text/x-own", &[]);
    world.other.put_with("cold", "old", "text/x-own", &[]);
    world.sh("cat read; echo 0 > saved");
    // Any open asks for the newest version, by LIST or HEAD (R1).
    for (key, asked) in [("read", 1), ("saved", 1), ("cold", 2), ("cold", 1)] {
        let mark = world.proxy.mark();
        world.sh(&format!("echo 1 > {key}"));
        let counts = world.proxy.since(mark).counts();
        let (list, head) = (counts.of(Op::List), counts.of(Op::Head));
        assert_eq!((list + head, counts.of(Op::Put)), (asked, 1), "{key}");
    }
    for key in ["read", "cold"] {
        let object = world.other.head(key).unwrap();
        assert_eq!(object.content_type.as_deref(), Some("text/x-own"));
    }
}

/// A file that is renamed over a key takes over all of these if it has none of its own; else it keeps
/// its own.
#[test]
fn w14_a_file_renamed_over_a_key_takes_over_its_metadata() {
    let world = or_skip!(world());
    let kind = |key: &str| world.other.head(key).unwrap().content_type.unwrap();
    for temporary in ["temporary", "notes.txt~"] {
        world
            .other
            .put_with("notes.txt", "old", "text/x-own", &[("colour", "red")]);
        world.sh(&format!("echo new > {temporary}; mv {temporary} notes.txt"));
        let object = world.other.get("notes.txt").unwrap();
        assert_eq!(object.text(), "new\n");
        assert_eq!(object.content_type.as_deref(), Some("text/x-own"));
        assert_eq!(object.metadata["colour"], "red");
    }
    // What this mount remembers of it is what the store has.
    let own = "import os; print(os.getxattr('notes.txt', 'user.meta.colour').decode())";
    assert_eq!(world.python(own), "red\n");
    world.other.put_with("own", "own", "image/x-own", &[]);
    world
        .other
        .put_with("meta", "own", "text/plain", &[("size", "big")]);
    for own in ["own", "meta"] {
        world
            .other
            .put_with("target", "old", "text/x-own", &[("colour", "red")]);
        let before = world.other.head(own).unwrap();
        world.sh(&format!("mv {own} target"));
        let object = world.other.head("target").unwrap();
        assert_eq!(object.content_type, before.content_type);
        assert!(!object.metadata.contains_key("colour"));
    }
    assert_eq!(world.other.head("target").unwrap().metadata["size"], "big");
    // A new name gives its type to who has none.
    world.sh("echo '<p>' > part; mv part page.html; echo x > b.txt; mv b.txt b.css");
    assert_eq!(
        (kind("page.html"), kind("b.css")),
        ("text/html".into(), "text/css".into())
    );
}

/// What travels with a value survives an edit
#[test]
fn w14_an_attribute_that_is_being_set_is_in_the_save_that_waits_for_it() {
    let world = or_skip!(world());
    world.other.put("key", "value");
    let file = open_both(&world.file("key")).unwrap();
    file.write_at(b"V", 0).unwrap();
    let gate = Gate::new();
    let hold = Fault::HoldReply(gate.clone());
    world.proxy.inject(When::op(Op::Put).once(), hold);
    let script = "import os; os.setxattr('key', 'user.meta.colour', b'red')";
    let setting = Script::python(script).within(world.mount.path()).start();
    gate.wait_for(1);
    // The kernel queues a file's setxattr and fsync, but only while somebody waits for them.
    setting.kill();
    setting.finish();
    let saving = thread::spawn(move || file.sync_all());
    assert!(!wait::eventually(A_MOMENT, || saving.is_finished()));
    gate.open();
    saving.join().unwrap().unwrap();
    let object = world.other.get("key").unwrap();
    assert_eq!(object.text(), "Value");
    assert_eq!(object.metadata["colour"], "red");
}

/// mkdir succeeds on one of several machines, and that one knows it (W6): it is the portable lock.
#[test]
fn w15_one_of_two_mounts_makes_the_directory() {
    let world = or_skip!(world());
    let second = Mount::of(&world.bucket).flat().start();
    let results = [world.file("lock"), second.file("lock")].map(fs::create_dir);
    assert!(results[0].is_ok());
    assert_eq!(errno(results.into_iter().nth(1).unwrap()), libc::EEXIST);
    fs::remove_dir(world.file("lock")).unwrap();
    wait::until("the other can have it", wait::SOON, || {
        fs::create_dir(second.file("lock")).is_ok()
    });
}

/// O_EXCL also succeeds for only one of them, but the loser may learn it late: EEXIST when the file is
/// visible, else EAGAIN when the loser closes it.
#[test]
fn w15_exclusive_creation_has_one_winner() {
    let world = or_skip!(world());
    let second = Mount::of(&world.bucket).flat().start();
    let [mut one, mut two] =
        [world.file("key"), second.file("key")].map(|path| File::create_new(path).unwrap());
    one.write_all(b"1").unwrap();
    two.write_all(b"2").unwrap();
    one.sync_all().unwrap();
    assert_eq!(errno(two.sync_all()), libc::EAGAIN);
    assert_eq!(errno(File::create_new(world.file("key"))), libc::EEXIST);
    assert_eq!(world.other.text("key"), "1");
}

/// A save that cannot be stored fails with the errno that says why, and its bytes are rescued.
#[test]
fn w16_a_save_that_the_store_denies_says_so() {
    let world = or_skip!(world());
    world
        .proxy
        .inject(When::op(Op::Put), Fault::access_denied());
    let mut file = File::create(world.file("key")).unwrap();
    file.write_all(b"value").unwrap();
    assert_eq!(errno(file.sync_all()), libc::EACCES);
    assert_eq!(world.rescues(), 1);
    let conflicts = fs::read_to_string(world.file(".etagfs/conflicts")).unwrap();
    assert!(conflicts.contains("\"reason\":\"failed\""), "{conflicts}");
    let read_only = Mount::of(&world.bucket).flat().read_only().start();
    assert_eq!(errno(File::create(read_only.file("key"))), libc::EROFS);
}

/// The same holds for a value that reaches the largest size
#[test]
fn w16_what_stops_at_the_largest_size_replaces_nothing() {
    let world = or_skip!(world());
    world.other.put("key", "old");
    let largest = 5 << 30;
    let file = File::create(world.file("key")).unwrap();
    // A hole: it takes no room.
    file.set_len(largest - 2).unwrap();
    assert_eq!(errno(file.write_all_at(b"more", largest - 2)), libc::EFBIG);
    assert_eq!(errno(file.sync_all()), libc::ENOSPC);
    drop(file);
    assert_eq!(world.other.text("key"), "old");
}
