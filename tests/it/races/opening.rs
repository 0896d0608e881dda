//! Files that are deleted, created anew and moved while somebody opens them: each descriptor is of one file, and
//! what is written through it is saved, refused and kept, or deleted with its file.

use std::fs;

use serde_json::json;

use super::actor::{Actor, errno};
use super::kept::{self, Lost};
use crate::world::counted::Counted;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::report;

/// An actor whose open of the key waits for the store.
fn opens_slowly(ground: &Counted, mode: &str) -> (Actor, Gate) {
    let gate = Gate::new();
    let get = When::op(Op::Get).key("key").once();
    ground.proxy.inject(get, Fault::HoldReply(gate.clone()));
    let mut actor = Actor::within(ground.mount.path());
    actor.begin(&json!(["open", "key", mode]));
    gate.wait_for(1);
    (actor, gate)
}

#[test]
fn a_slow_open_of_a_deleted_file_takes_nothing_from_whoever_creates_it_anew() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    ground.other.put("key", "one");
    ground.other.put("new", "moved");
    let (mut slow, gate) = opens_slowly(&ground, "r");
    let mut writer = Actor::within(ground.mount.path());
    writer.unlink("key").unwrap();
    let written = writer.open("key", "x");
    writer.write(written, "important bytes").unwrap();
    gate.open();
    let opened = slow.end().unwrap().as_u64().unwrap();
    // What it opened is the file that has the name now, of which nothing is saved yet.
    assert_eq!(slow.read(opened), "");
    slow.close(opened).unwrap();
    ground
        .run(Script::dash("mv new key; ls -l > /dev/null"))
        .ok();
    assert_eq!(writer.close(written), errno("EAGAIN"));
    assert_eq!(ground.other.text("key"), "moved");
    let lost = Lost {
        op: "flush",
        key: "key",
        expected: "absent",
        found: &ground.other.head("key").unwrap().etag,
        text: Some("important bytes"),
        pid: writer.pid(),
    };
    kept::only(&ground.mount, &[lost]);
}

#[test]
fn a_slow_open_of_a_file_that_was_deleted_and_created_anew_opens_the_new_one() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    for mode in ["r", "r+", "a"] {
        ground.run(Script::dash("rm -f key")).ok();
        ground.other.put("key", "one");
        let (mut slow, gate) = opens_slowly(&ground, mode);
        ground.run(Script::dash("rm key; printf anew > key")).ok();
        gate.open();
        let opened = slow.end().unwrap().as_u64().unwrap();
        match mode {
            "r" => assert_eq!(slow.read(opened), "anew"),
            _ => slow.write(opened, "more").unwrap(),
        }
        slow.close(opened).unwrap();
        let expected = match mode {
            "r" => "anew",
            "r+" => "more",
            _ => "anewmore",
        };
        assert_eq!(ground.other.text("key"), expected, "{mode}");
        assert_eq!(
            fs::read_to_string(ground.mount.file("key")).unwrap(),
            expected
        );
    }
    kept::only(&ground.mount, &[]);
}

#[test]
fn a_slow_open_of_a_file_that_moved_meanwhile_finds_none() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    for to in ["moved", "key~"] {
        // Another one, so that the value is not at hand.
        let value = format!("to become {to}");
        ground.other.put("key", value.clone());
        let (mut slow, gate) = opens_slowly(&ground, "r+");
        ground.run(Script::dash(&format!("mv key {to}"))).ok();
        gate.open();
        assert_eq!(slow.end(), Err("ENOENT".to_owned()), "moved to {to}");
        assert_eq!(fs::read_to_string(ground.mount.file(to)).unwrap(), value);
    }
}

/// Six threads use one name while a seventh creates and deletes it.
const CROWD: &str = "import collections, os, threading
counts, over = collections.Counter(), False
def call(what, function, *arguments):
    try:
        result = function(*arguments)
        counts[what + ' ok'] += 1
        return result
    except OSError as error:
        counts[f'{what} {os.strerror(error.errno)}'] += 1
def use(name, flags):
    while not over:
        fd = call(name + ' open', os.open, 'key', flags)
        if fd is None:
            continue
        if flags & 3:
            call(name + ' write', os.pwrite, fd, b'zz', 0)
        else:
            call(name + ' read', os.pread, fd, 10, 0)
        call(name + ' fstat', os.fstat, fd)
        call(name + ' close', os.close, fd)
def look():
    while not over:
        call('stat', os.stat, 'key')
uses = [('both', os.O_RDWR), ('read', os.O_RDONLY), ('both', os.O_RDWR), ('trunc', os.O_WRONLY | os.O_TRUNC)]
threads = [threading.Thread(target=use, args=each) for each in uses]
threads += [threading.Thread(target=look) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(60):
    fd = call('make', os.open, 'key', os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    if fd is not None:
        call('make write', os.write, fd, bytes(1 << 20))
        call('make close', os.close, fd)
    call('unlink', os.unlink, 'key')
over = True
for thread in threads:
    thread.join()
for what, count in sorted(counts.items()):
    print(what, count, sep=': ')
";

#[test]
fn nobody_loses_a_descriptor_to_whoever_deletes_and_creates_its_file() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().log_level("error")));
    let counts = ground.run(Script::python(CROWD)).ok().stdout;
    print!("{counts}");
    let line = counts.trim().replace('\n', ", ");
    report::append_line("a-name-that-comes-and-goes", &line);
    assert!(!counts.contains("Bad file descriptor"), "{counts}");
    assert!(!counts.contains("Input/output error"), "{counts}");
    assert!(counts.contains("unlink ok") && counts.contains("both close ok"));
}
