//! What a path means is what has the name now (W8, W12, R1), and what a directory lists was there: whatever the kernel
//! believes of names that were moved, and whatever was deleted since.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::world::counted::Counted;
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::report;
use crate::world::wait::{self, SOON};

/// The kernel believes what a listing tells for longer than a test takes.
const LONG: &str = "--ttl=600";

/// A call by path, after a key `f` was listed and moved to `f~`, and what is read of `f~` and of `f` then.
const AFTER_A_MOVE: [(&str, &str, &str); 10] = [
    ("echo new > f; echo note > f~", "note\n", "new\n"),
    ("echo new > f; echo more >> f~", "old\nmore\n", "new\n"),
    (
        "echo new > f; python3 -c \"import os; os.truncate('f~', 2)\"",
        "ol",
        "new\n",
    ),
    ("echo new > f; truncate -s 0 f~", "", "new\n"),
    (
        "printf longer-than-before > f; [ $(stat -c %s f~) = 4 ]",
        "old\n",
        "longer-than-before",
    ),
    (
        "echo new > f; dd if=/dev/zero of=f~ bs=1 count=1 conv=notrunc status=none",
        "\0ld\n",
        "new\n",
    ),
    (
        "echo new > f; ! python3 -c \"import os; os.setxattr('f~', 'user.meta.a', b'1')\" 2> /dev/null",
        "old\n",
        "new\n",
    ),
    (
        "echo new > f; ! python3 -c \"import os; os.getxattr('f~', 'user.etag')\" 2> /dev/null",
        "old\n",
        "new\n",
    ),
    (
        "exec 3< f~; echo new > f; [ \"$(cat <&3)\" = old ]; exec 3<&-; echo note > f~",
        "note\n",
        "new\n",
    ),
    (
        "echo new > f; mv f~ g~; echo note > g~; mv g~ f~",
        "note\n",
        "new\n",
    ),
];

#[test]
fn whoever_writes_to_the_new_name_of_a_key_that_moved_away_writes_to_that() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg(LONG)));
    for (nth, (calls, moved, anew)) in AFTER_A_MOVE.into_iter().enumerate() {
        for is_open in [false, true] {
            let dir = format!("case-{nth}-{is_open}");
            let key = format!("{dir}/f");
            ground.other.put(&key, "old\n");
            // Somebody who reads the key all the time keeps its inode.
            let reader = if is_open { "exec 9< f;" } else { "" };
            let script = format!("set -e; cd {dir}; {reader} ls -l > /dev/null; mv f f~; {calls}");
            ground.run(Script::bash(&script)).ok();
            let read = |name: &str| {
                let read = fs::read(ground.mount.file(&dir).join(name)).unwrap();
                String::from_utf8(read).unwrap()
            };
            assert_eq!((&*read("f~"), &*read("f")), (moved, anew), "{script}");
            assert_eq!(ground.other.text(&key), anew, "{script}");
            let meta = ground.other.head(&key).unwrap().metadata;
            assert_eq!(meta.get("a"), None, "{script}");
        }
    }
    ground.unmount();
}

#[test]
fn a_key_that_moved_away_and_back_is_itself() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg(LONG)));
    for (key, calls) in [
        (
            "one",
            "mv one one~; ls -l > /dev/null; mv one~ one; echo fresh > one",
        ),
        ("two", "mv two two~; mv two~ two; echo fresh > two"),
        (
            "three",
            "mv three three~; mv three~ three; echo other > three~; echo fresh > three; rm three~",
        ),
    ] {
        ground.other.put(key, "old\n");
        ground
            .run(Script::bash(&format!("set -e; ls -l > /dev/null; {calls}")))
            .ok();
        assert_eq!(ground.other.text(key), "fresh\n", "{calls}");
        assert_eq!(
            fs::read_to_string(ground.mount.file(key)).unwrap(),
            "fresh\n"
        );
    }
    assert_eq!(ground.other.keys(), ["one", "three", "two"]);
    ground.unmount();
}

#[test]
fn a_key_that_moved_away_shows_the_number_of_its_new_name() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg(LONG)));
    ground.other.put("f", "old\n");
    ground.run(Script::dash("ls -l > /dev/null")).ok();
    let number = |name: &str| fs::metadata(ground.mount.file(name)).unwrap().ino();
    let before = number("f");
    ground.run(Script::dash("mv f f~")).ok();
    let moved = number("f~");
    assert_ne!(moved, before);
    ground
        .run(Script::dash("echo new > f; ls -l > /dev/null"))
        .ok();
    assert_eq!((number("f"), number("f~")), (before, moved));
}

/// More deletes than a mount remembers one by one.
const DELETED: usize = 4_300;
const STAYED: usize = 700;

#[test]
fn a_directory_that_is_emptied_while_it_is_read_skips_nothing_that_is_there() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().log_level("error")));
    let all = DELETED + STAYED;
    let keys: Vec<_> = (0..all).map(|nth| format!("dir/key-{nth:05}")).collect();
    thread::scope(|scope| {
        for some in keys.chunks(all.div_ceil(8)) {
            scope.spawn(|| some.iter().for_each(|key| drop(ground.other.put(key, "x"))));
        }
    });
    let script = format!(
        "import os
seen = []
with os.scandir('dir') as entries:
    for entry in entries:
        seen.append(entry.name)
        if len(seen) <= {DELETED}:
            os.unlink(entry.path)
print(len(seen), len(set(seen)), len(os.listdir('dir')))
"
    );
    let counts = ground.run(Script::python(&script)).ok().stdout;
    let line = format!(
        "{all} names, {DELETED} deleted while they were read; seen, different, left: {counts}"
    );
    println!("{line}");
    report::append_line("reading-directories", line.trim());
    assert_eq!(counts, format!("{all} {all} {STAYED}\n"));
}

#[test]
fn an_open_directory_brings_nothing_back() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg(LONG)));
    for key in ["key", "moved"] {
        ground.other.put(key, "old\n");
    }
    let script = "import os
for name in 'gone~', 'replaced~', 'other~':
    open(name, 'w').write(name)
before = os.scandir('.')
os.unlink('gone~')
os.rename('other~', 'replaced~')
os.unlink('key')
os.rename('moved', 'moved~')
print(sorted(entry.name for entry in before))
for name in 'gone~', 'other~', 'key', 'moved':
    assert not os.path.exists(name), name
    try:
        open(name)
        raise AssertionError(name)
    except FileNotFoundError:
        pass
assert open('replaced~').read() == 'other~'
assert open('moved~').read() == 'old\\n'
os.rename('replaced~', 'new')
assert open('new').read() == 'other~'
print(sorted(os.listdir('.')))
";
    let seen = ground.run(Script::python(script)).ok().stdout;
    assert_eq!(seen, "['replaced~']\n['moved~', 'new']\n");
    ground.unmount();
}

#[test]
fn an_answer_to_an_older_question_overrules_no_newer_one() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=1")));
    let size = || ground.run(Script::dash("stat -c %s x")).ok().stdout;
    ground.other.put("x", "1234");
    let first = Instant::now();
    assert_eq!(size(), "4\n");
    wait::until("the first answer is too old", SOON, || {
        first.elapsed() > Duration::from_millis(1100)
    });
    let gate = Gate::new();
    let list = When::op(Op::List).once();
    ground.proxy.inject(list, Fault::HoldReply(gate.clone()));
    let slow = Script::dash("stat -c %s x")
        .within(ground.mount.path())
        .start();
    gate.wait_for(1);
    ground.other.put("x", "1234567890");
    assert_eq!(size(), "10\n");
    gate.open();
    let slow = slow.finish().ok().stdout;
    assert!(["4\n", "10\n"].contains(&&*slow), "{slow}");
    assert_eq!(size(), "10\n");
    ground.unmount();
}
