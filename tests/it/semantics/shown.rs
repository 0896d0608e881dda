//! W1: what a save replaces.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use rustix::process::{Pid, Signal, kill_process};

use super::{World, errno, open_both, world, world_with};
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::wait;

/// An open that keeps the contents is based on the version it opened.
#[test]
fn w1_an_edit_replaces_what_it_opened() {
    let world = or_skip!(world());
    world.other.put("key", "mine");
    let file = open_both(&world.file("key")).unwrap();
    world.other.put("key", "theirs");
    file.write_at(b"MINE", 0).unwrap();
    assert_eq!(errno(file.sync_all()), libc::EAGAIN);
    assert_eq!(world.other.text("key"), "theirs");
}

/// A process that saved or deleted the key knows what it did, whatever it reads afterwards through an
/// older descriptor.
#[test]
fn w1_an_older_descriptor_teaches_nothing_to_who_changed_the_key() {
    let world = or_skip!(world());
    world.other.put("key", "old");
    let said = world.python(
        "
import os
def save(text):
    with open('key', 'w') as file: file.write(text)
old = os.open('key', os.O_RDONLY)
save('one')
print(os.read(old, 9))
save('two')
old = os.open('key', os.O_RDONLY)
os.unlink('key')
print(os.read(old, 9))
save('three')
old = os.open('key', os.O_RDONLY)
os.rename('key', 'moved')
print(os.read(old, 9))
save('four')
",
    );
    assert_eq!(said, "b'old'\nb'two'\nb'three'\n");
    assert_eq!(world.other.text("key"), "four");
    assert_eq!(world.other.text("moved"), "three");
}

/// If it only appended (W7), it knows its own bytes and not those before them; if it changed metadata, it knows no
/// bytes.
#[test]
fn w1_an_older_descriptor_shows_what_it_reads_to_a_process_that_only_added_to_the_key() {
    let world = or_skip!(world_with(&["--flat", "--ttl=0"]));
    let script = "
import os, time
key = os.environ['KEY']
def append():
    with open(key, 'a') as file: file.write('mine ')
def describe(): os.setxattr(key, 'user.meta.color', b'blue')
older = os.open(key, os.O_RDONLY)
print('opened', flush=True)
while not os.path.exists(os.environ['GO']): time.sleep(0.01)
{'append': append, 'describe': describe}[os.environ['CHANGE']]()
print(os.read(older, 99).decode().strip())
try:
    with open(key, 'w') as file: file.write('anew')
    print('saved')
except OSError as error: print(os.strerror(error.errno))
";
    let signal = tempfile::tempdir().unwrap();
    for (key, change, rival) in [
        ("log", "append", None),
        ("log-of-two", "append", Some("first theirs ")),
        ("described", "describe", None),
        ("described-by-two", "describe", Some("first theirs ")),
    ] {
        world.other.put(key, "first ");
        let go = signal.path().join(key);
        let running = Script::python(script)
            .within(world.mount.path())
            .env("KEY", key)
            .env("CHANGE", change)
            .env("GO", &go)
            .start();
        wait::until("it is open", wait::SOON, || {
            running.stdout_so_far() == "opened\n"
        });
        if let Some(rival) = rival {
            world.other.put(key, rival);
        }
        fs::write(&go, "").unwrap();
        let said = running.finish().ok().stdout;
        let (end, now) = match (rival, change) {
            (None, _) => ("saved", "anew"),
            (Some(_), "append") => ("Resource temporarily unavailable", "first theirs mine "),
            (Some(rival), _) => ("Resource temporarily unavailable", rival),
        };
        assert_eq!(said, format!("opened\nfirst\n{end}\n"), "{key}");
        assert_eq!(world.other.text(key), now, "{key}");
    }
}

/// So the older descriptor still shows it what it reads, also after an `EAGAIN`, which reports a version without its
/// bytes
#[test]
fn w1_an_older_descriptor_shows_what_it_reads_to_a_process_that_was_refused_and_then_described_the_key()
 {
    let world = or_skip!(world_with(&["--flat", "--ttl=0"]));
    let script = "
import os, time
def other(n):
    print('now', flush=True)
    while not os.path.exists(os.environ['GO'] + n): time.sleep(0.01)
def save():
    try:
        with open('key', 'w') as file: file.write('mine')
        print('saved')
    except OSError as error: print(os.strerror(error.errno))
print(open('key').read())
other('1')
older = os.open('key', os.O_RDONLY)
other('2')
save()
if os.environ['THEN'] == 'describes': os.setxattr('key', 'user.meta.color', b'blue')
print(os.read(older, 99).decode())
save()
";
    let signal = tempfile::tempdir().unwrap();
    for then in ["describes", "does not"] {
        world.other.put("key", "first");
        let go = signal.path().join(then);
        let running = Script::python(script)
            .within(world.mount.path())
            .env("THEN", then)
            .env("GO", &go)
            .start();
        for (nth, theirs) in [(1, "second"), (2, "third")] {
            wait::until("it waits", wait::SOON, || {
                running.stdout_so_far().matches("now\n").count() == nth
            });
            world.other.put("key", theirs);
            fs::write(signal.path().join(format!("{then}{nth}")), "").unwrap();
        }
        let refused = "Resource temporarily unavailable";
        let said = running.finish().ok().stdout;
        let expected = format!("first\nnow\nnow\n{refused}\nsecond\n{refused}\n");
        assert_eq!(said, expected, "it {then}");
        assert_eq!(world.other.text("key"), "third", "it {then}");
    }
}

/// So the older descriptor still shows it what it reads, also after an `EAGAIN`, which reports a version without its
/// bytes: if that is the version that was appended to, the process then knows the whole
#[test]
fn w1_a_process_that_reads_back_what_it_appended_to_knows_the_whole() {
    let script = "
import os, time
log = open('log', 'a+')
print('opened', flush=True)
while not os.path.exists(os.environ['GO']): time.sleep(0.01)
log.write('mine '); log.flush(); os.fsync(log.fileno())
log.seek(0)
print(log.read())
log.close()
with open('log', 'w') as file: file.write('anew')
";
    let world = or_skip!(world());
    let signal = tempfile::tempdir().unwrap();
    let go = signal.path().join("go");
    world.other.put("log", "first ");
    let running = Script::python(script)
        .within(world.mount.path())
        .env("GO", &go)
        .start();
    wait::until("it is open", wait::SOON, || {
        running.stdout_so_far() == "opened\n"
    });
    world.other.put("log", "first theirs ");
    fs::write(&go, "").unwrap();
    let said = running.finish().ok().stdout;
    assert_eq!(said, "opened\nfirst theirs mine \n");
    assert_eq!(world.other.text("log"), "anew");
}

/// A writer that never read the key is *blind*: it replaces the version that exists when it opens the
/// file, and stays blind after its saves and after an `EAGAIN`.
#[test]
fn w1_a_blind_writer_replaces_what_was_made_since_the_last_listing() {
    let world = or_skip!(world_with(&["--flat", "--ttl=60"]));
    world.other.put("old", "old");
    assert_eq!(world.sh("ls"), "old\n");
    world.other.put("new", "theirs");
    world.other.put("log", "theirs\n");
    world.other.put("lock", "theirs");
    // Each name is believed to be absent, by a listing that is a little too old.
    world.sh("/bin/echo ours > new; /bin/echo ours >> log");
    assert_eq!(world.other.text("new"), "ours\n");
    assert_eq!(world.other.text("log"), "theirs\nours\n");
    let mut exclusively = File::options();
    exclusively.write(true).create_new(true);
    let refused = exclusively.open(world.file("lock")).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EEXIST));
    assert_eq!(world.other.text("lock"), "theirs");
    assert_eq!(world.rescues(), 0);
}

/// A read that fails, also by `ETIMEDOUT` or `EINTR`, shows nothing.
#[test]
fn w1_a_version_that_could_not_be_read_was_not_shown() {
    let world = or_skip!(world_with(&["--flat", "--inline-limit=1K"]));
    world.other.put("key", vec![b'a'; 4096]);
    assert_eq!(fs::read(world.file("key")).unwrap(), [b'a'; 4096]);
    world.other.put("key", vec![b'b'; 4096]);
    let mut reader = File::open(world.file("key")).unwrap();
    let when = When::op(Op::Get).key("key");
    let denied = world.proxy.inject(when, Fault::access_denied());
    assert_eq!(errno(reader.read(&mut [0; 4096])), libc::EACCES);
    denied.remove();
    assert_eq!(errno(fs::write(world.file("key"), "ours")), libc::EAGAIN);
    assert_eq!(world.other.text("key"), "b".repeat(4096));
}

/// A read that fails, also by `ETIMEDOUT` or `EINTR`, shows nothing.
#[test]
fn w1_what_was_read_after_its_reader_was_interrupted_was_not_shown() {
    let script = "
import os, signal, time
with open('key') as file: file.read()
print('read', flush=True)
def wait(name):
    while not os.path.exists(os.path.join(os.environ['GO'], name)): time.sleep(0.01)
class Interrupted(Exception): pass
def interrupt(*_): raise Interrupted
wait('open')
fd = os.open('key', os.O_RDONLY)
print('open', flush=True)
wait('read')
signal.signal(signal.SIGTERM, interrupt)
try: os.read(fd, 4096)
except Interrupted: pass
print('interrupted', flush=True)
wait('save')
try:
    with open('key', 'w') as file: file.write('ours')
except OSError as error: print(os.strerror(error.errno))
";
    let world = or_skip!(world_with(&["--flat", "--inline-limit=1K"]));
    let (go, gate) = (tempfile::tempdir().unwrap(), Gate::new());
    world.other.put("key", vec![b'a'; 4096]);
    let running = Script::python(script)
        .within(world.mount.path())
        .env("GO", go.path())
        .start();
    let has_said = |words: &str| {
        wait::until(words, wait::SOON, || {
            running.stdout_so_far().ends_with(words)
        });
    };
    has_said("read\n");
    world.other.put("key", vec![b'b'; 4096]);
    fs::write(go.path().join("open"), "").unwrap();
    has_said("open\n");
    let held = When::op(Op::Get).key("key");
    let held = world.proxy.inject(held, Fault::HoldReply(gate.clone()));
    fs::write(go.path().join("read"), "").unwrap();
    gate.wait_for(1);
    running.signal(Signal::TERM);
    has_said("interrupted\n");
    held.remove();
    gate.open();
    is_carried_out_late(&world);
    fs::write(go.path().join("save"), "").unwrap();
    let said = running.finish().ok().stdout;
    assert!(
        said.ends_with("Resource temporarily unavailable\n"),
        "{said}"
    );
    assert_eq!(world.other.text("key"), "b".repeat(4096));
}

/// A process was *shown* a version if it read that version, if an `EAGAIN` reported it
#[test]
fn w1_a_conflict_that_was_found_after_its_process_was_killed_was_reported_to_nobody() {
    let world = or_skip!(world());
    let (go, gate) = (tempfile::tempdir().unwrap(), Gate::new());
    world.other.put("key", "one");
    let script = "
cat key
/bin/echo two > key & echo $! > $GO/pid; wait $! 2> /dev/null; echo killed
while [ ! -e $GO/save ]; do sleep 0.01; done
echo three > key";
    let held = When::op(Op::Put).key("key").once();
    world.proxy.inject(held, Fault::HoldRequest(gate.clone()));
    let running = Script::dash(script)
        .within(world.mount.path())
        .env("GO", go.path())
        .start();
    gate.wait_for(1);
    world.other.put("key", "theirs");
    let mut pid = None;
    wait::until("its number is told", wait::SOON, || {
        let told = fs::read_to_string(go.path().join("pid")).unwrap_or_default();
        pid = told.strip_suffix('\n').and_then(|pid| pid.parse().ok());
        pid.is_some()
    });
    let pid = Pid::from_raw(pid.unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    wait::until("it is killed", wait::SOON, || {
        running.stdout_so_far().ends_with("killed\n")
    });
    gate.open();
    is_carried_out_late(&world);
    fs::write(go.path().join("save"), "").unwrap();
    let out = running.finish();
    assert_ne!(out.code, Some(0), "{out:#?}");
    assert_eq!(world.other.text("key"), "theirs");
}

/// A request whose caller is gone ends.
fn is_carried_out_late(world: &World) {
    let metrics = world.file(".etagfs/stats");
    wait::until("it is carried out late", wait::SOON, || {
        let told = fs::read_to_string(&metrics).unwrap();
        told.lines()
            .filter_map(|line| line.strip_prefix("etagfs_late_answers_total "))
            .any(|count| count != "0")
    });
}

/// **An answer that there is no such file counts as well**: a process that got `ENOENT` was shown that the key
/// is absent.
#[test]
fn w1_who_found_no_file_replaces_nothing_that_was_created_since() {
    let world = or_skip!(world_with(&["--flat", "--ttl=60"]));
    world.other.put("old", "old");
    assert_eq!(world.sh("ls"), "old\n");
    for key in ["one", "two"] {
        world.other.put(key, "theirs");
    }
    // Each is believed to be absent, by a listing that is a little too old.
    let said = world.python(
        "
import errno, os
def save(name):
    try: open(name, 'w').write('ours')
    except OSError as error: print(errno.errorcode[error.errno])
    else: print('saved')
for name in ('one', 'two'):
    if not os.path.exists(name): save(name)
save('two')
",
    );
    assert_eq!(said, "EAGAIN\nEAGAIN\nsaved\n");
    assert_eq!(world.other.text("one"), "theirs");
    assert_eq!(world.other.text("two"), "ours");
    assert_eq!(
        world.sh("[ -e three ] || echo ours > three; cat three"),
        "ours\n"
    );
}

/// An open that empties the file, a name that is created again and the target of a rename are based on
/// the first of these that exists, where relatives count only within the job:
/// 1. the version of the key that the process itself was last shown
/// 2. the version that the processes it started were shown
/// 3. the version that its parent, or any process that its parent started, was shown; then one level
///    up, and so on up to the whole job
/// 4. for a rename: the version that the maker of the moved file (the process that created, emptied or
///    wrote it last) was shown
/// 5. the current version
#[test]
fn w1_what_a_script_was_shown_counts_for_its_later_commands() {
    let world = or_skip!(world());
    world.other.put("key", "one");
    // Read by one process of the script, written by another, changed between by a third party.
    let script = "cat key; while [ ! -e $GO ]; do sleep 0.01; done; cp /etc/hostname key";
    let outside = tempfile::tempdir().unwrap();
    let go = outside.path().join("go");
    let running = Script::dash(script)
        .env("GO", &go)
        .within(world.mount.path())
        .start();
    wait::until("it has read", wait::SOON, || {
        running.stdout_so_far() == "one"
    });
    world.other.put("key", "two");
    fs::write(&go, "").unwrap();
    assert_eq!(running.finish().code, Some(1));
    assert_eq!(world.other.text("key"), "two");
    // Another job never read it.
    world.sh("echo three > key");
    assert_eq!(world.other.text("key"), "three\n");
}
