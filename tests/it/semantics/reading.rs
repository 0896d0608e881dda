//! R1 to R3: what a reader is shown.

use std::fs::{self, File};
use std::io::Read as _;

use super::{errno, world, world_with};
use crate::world::procs::Script;
use crate::world::proxy::{Fault, When};
use crate::world::wait;

/// open shows the newest version in the bucket at that moment.
#[test]
fn r1_an_open_shows_the_newest_version() {
    let world = or_skip!(world_with(&["--flat", "--ttl=600"]));
    for text in ["one", "two", "three"] {
        world.other.put("key", text);
        assert_eq!(fs::read_to_string(world.file("key")).unwrap(), text);
    }
}

/// a name that a listing of its directory did not have is absent for up to --ttl after that listing. An open
/// that may create the file asks nevertheless.
#[test]
fn r1_a_name_that_was_not_listed_is_absent_for_a_while() {
    let world = or_skip!(world_with(&["--flat", "--ttl=600"]));
    world.other.put("old", "old");
    assert_eq!(world.names("."), ["old"]);
    world.other.put("key", "new");
    assert_eq!(errno(File::open(world.file("key"))), libc::ENOENT);
    world.sh("echo more >> key");
    assert_eq!(world.other.text("key"), "newmore\n");
}

/// stat and ls may be older, up to --ttl
#[test]
fn r1_a_process_that_reads_an_older_version_sees_by_name_what_others_saved() {
    let world = or_skip!(world_with(&["--flat", "--ttl=1"]));
    world.other.put("key", "old");
    let script = "
import os, time
f = os.open('key', os.O_RDONLY)
assert os.read(f, 99) == b'old' and os.read(f, 99) == b''
before = os.stat('key')
print('read', flush=True)
while True:
    now = os.stat('key')
    if now.st_size == 5 and now.st_mtime_ns != before.st_mtime_ns: break
    time.sleep(0.1)
assert os.pread(f, 99, 0) == b'old'
print('seen', flush=True)";
    let reader = Script::python(script).within(world.mount.path()).start();
    wait::until("it has read", wait::SOON, || {
        reader.stdout_so_far() == "read\n"
    });
    world.other.put("key", "newer");
    assert_eq!(reader.finish().ok().stdout, "read\nseen\n");
}

/// open shows the newest version in the bucket at that moment.
#[test]
fn r1_an_open_after_a_listing_asks_for_itself() {
    let world = or_skip!(world_with(&["--flat", "--ttl=1"]));
    world.other.put("key", "one");
    // In one thread, and with the value at hand: a look-up that asks the store, a listing that the
    // kernel remembers, and an open without a look-up.
    let script = "
import os, time
open('key').read()
time.sleep(1.1)
os.stat('key')
[entry.stat() for entry in os.scandir('.')]
print('listed', flush=True)
while not os.path.exists(os.environ['GO']): time.sleep(0.01)
print(open('key').read())";
    let outside = tempfile::tempdir().unwrap();
    let go = outside.path().join("go");
    let reader = Script::python(script)
        .env("GO", &go)
        .within(world.mount.path())
        .start();
    wait::until("it has listed", wait::SOON, || {
        reader.stdout_so_far() == "listed\n"
    });
    world.other.put("key", "two");
    fs::write(&go, "").unwrap();
    assert_eq!(reader.finish().ok().stdout, "listed\ntwo\n");
}

/// A descriptor that reads shows one version to its last byte, whatever anybody saves meanwhile.
#[test]
fn r2_a_reader_keeps_its_version() {
    let world = or_skip!(world());
    world.other.put("key", "old value");
    let mut reader = File::open(world.file("key")).unwrap();
    let mut start = [0; 3];
    reader.read_exact(&mut start).unwrap();
    world.other.put("key", "NEW");
    world.sh("printf newer > key");
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!((&start, rest.as_str()), (b"old", " value"));
}

/// A descriptor that reads shows one version to its last byte, whatever anybody saves meanwhile.
#[test]
fn r2_a_descriptor_has_the_size_of_what_it_reads() {
    let world = or_skip!(world_with(&["--flat", "--ttl=60"]));
    world.other.put("key", "old");
    assert_eq!(fs::metadata(world.file("key")).unwrap().len(), 3);
    world.other.put("key", "a longer one");
    let reader = File::open(world.file("key")).unwrap();
    assert_eq!(reader.metadata().unwrap().len(), 12);
}

/// If that version is gone, read fails with ESTALE (in a versioned bucket the reader continues to read
/// it).
#[test]
fn r2_a_large_value_is_never_mixed() {
    let world = or_skip!(world_with(&["--flat", "--inline-limit=1K"]));
    world.other.put("key", vec![b'a'; 4096]);
    let mut reader = File::open(world.file("key")).unwrap();
    world.other.put("key", vec![b'b'; 4096]);
    assert_eq!(errno(reader.read(&mut [0; 4096])), libc::ESTALE);
}

/// A descriptor at the end of its version continues in the newest version, if that version begins with
/// all of the descriptor's bytes.
#[test]
fn r2_a_reader_at_its_end_goes_on_in_a_version_that_begins_with_its_own() {
    let world = or_skip!(world_with(&["--flat", "--ttl=0"]));
    let reads = |then: &[&str]| {
        world.other.put("key", "old");
        let mut reader = File::open(world.file("key")).unwrap();
        let mut read = || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            (text, reader.metadata().unwrap().len())
        };
        let mut told = vec![read()];
        for value in then {
            world.other.put("key", (*value).to_owned());
            told.push(read());
        }
        told.iter()
            .map(|(text, size)| format!("{text} {size}"))
            .collect::<Vec<_>>()
    };
    let goes_on = reads(&["old and new", "old and newer"]);
    assert_eq!(goes_on, ["old 3", " and new 11", "er 13"]);
    assert_eq!(reads(&["old", "older"]), ["old 3", " 3", "er 5"]);
    // Not the bytes behind its own in a value that is another one; and that stays so.
    assert_eq!(
        reads(&["new and longer", "old and new"]),
        ["old 3", " 3", " 3"]
    );
    for shorter in ["ol", "", "new"] {
        assert_eq!(reads(&[shorter, shorter]), ["old 3", " 3", " 3"]);
    }
}

/// A descriptor at the end of its version continues in the newest version
#[test]
fn r2_a_reader_that_does_not_stand_at_its_end_keeps_its_version_whatever_is_appended() {
    let world = or_skip!(world_with(&["--flat", "--ttl=0"]));
    world.other.put("key", "old value");
    let mut reader = File::open(world.file("key")).unwrap();
    let mut start = [0; 3];
    reader.read_exact(&mut start).unwrap();
    world.other.put("key", "old value and more");
    assert_eq!(reader.metadata().unwrap().len(), 9);
    let mut rest = [0; 20];
    assert_eq!(reader.read(&mut rest).unwrap(), 6);
    assert_eq!(&rest[..6], b" value");
}

/// An outage, or a throttled or denied request, is a separate error, and never an empty directory.
#[test]
fn r3_an_outage_is_not_an_absence() {
    let world = or_skip!(world());
    world.other.put("key", "value");
    assert_eq!(errno(fs::metadata(world.file("none"))), libc::ENOENT);
    world.proxy.inject(When::any(), Fault::access_denied());
    assert_eq!(errno(fs::read(world.file("key"))), libc::EACCES);
    assert_eq!(errno(fs::metadata(world.file("none"))), libc::EACCES);
    assert_eq!(errno(fs::read_dir(world.mount.path())), libc::EACCES);

    let world = or_skip!(world_with(&["--flat", "--deadline=1"]));
    world.other.put("key", "value");
    world.proxy.down();
    let failure = errno(fs::read(world.file("key")));
    assert!([libc::EIO, libc::ETIMEDOUT].contains(&failure), "{failure}");
    assert_ne!(errno(fs::read_dir(world.mount.path())), libc::ENOENT);
    world.proxy.up();
    // A slow machine may need more than the second that each try has.
    wait::until("the value is there again", wait::SOON, || {
        fs::read_to_string(world.file("key")).is_ok_and(|text| text == "value")
    });
}
