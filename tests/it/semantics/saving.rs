//! W2 to W6: when a save happens, and what becomes of a lost race.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;

use super::{World, errno, open_both, world, world_with};
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::wait;

/// close saves what was written through the descriptor. So do fsync and, without reporting a failure,
/// the end of the process.
#[test]
fn w2_close_fsync_and_the_end_of_a_process_save() {
    let world = or_skip!(world());
    let mut file = File::create(world.file("synced")).unwrap();
    file.write_all(b"1").unwrap();
    file.sync_all().unwrap();
    assert_eq!(world.other.text("synced"), "1");
    world.python("f = open('closed', 'w'); f.write('2'); f.close()");
    assert_eq!(world.other.text("closed"), "2");
    world.python(
        "import os; f = os.open('left', os.O_CREAT | os.O_WRONLY); os.write(f, b'3'); os._exit(0)",
    );
    wait::until("it was saved", wait::SOON, || {
        world.other.head("left").is_some()
    });
    world.sh(": > touched");
    wait::until("it was saved", wait::SOON, || {
        world.other.head("touched").is_some()
    });
}

/// A file that was created or emptied, and to which nothing was written, is saved, empty, by the last
/// close: the one after which neither the process that opened it nor any of its descendants can write
/// to it. An earlier close saves nothing: shells close a copy of the descriptor before the command
/// writes.
#[test]
fn w2_the_last_close_of_an_empty_file_saves_it() {
    let world = or_skip!(world());
    for key in ["emptied", "refused"] {
        world.other.put(key, "before");
    }
    let script = "
import errno, os
fd = os.open(os.environ['KEY'], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.close(os.dup(fd))
print('copied', flush=True)
while not os.path.exists(os.environ['GO']): pass
try: os.close(fd)
except OSError as error: print(errno.errorcode[error.errno])
else: print('saved')";
    let signal = tempfile::tempdir().unwrap();
    for (key, before, said, after) in [
        ("emptied", Some("before"), "saved", ""),
        ("created", None, "saved", ""),
        ("refused", Some("theirs"), "EAGAIN", "theirs"),
    ] {
        let go = signal.path().join(key);
        let running = Script::python(script)
            .within(world.mount.path())
            .env("KEY", key)
            .env("GO", &go)
            .start();
        wait::until("a copy is closed", wait::SOON, || {
            running.stdout_so_far().contains("copied")
        });
        if said == "EAGAIN" {
            world.other.put(key, "theirs");
        }
        let found = world.other.get(key);
        assert_eq!(found.as_ref().map(|object| object.text()), before, "{key}");
        fs::write(&go, "").unwrap();
        let out = running.finish().ok();
        assert_eq!(out.stdout, format!("copied\n{said}\n"), "{key}");
        assert_eq!(world.other.text(key), after, "{key}");
    }
}

/// So a file that a shell itself creates with noclobber (set -C; : > lock) is in the bucket, empty,
/// before the shell continues, and the loser's open fails with EEXIST.
#[test]
fn w15_the_lock_of_a_shell_is_in_the_bucket_before_the_shell_goes_on() {
    let world = or_skip!(world());
    let take = "set -C; exec 3> lock; echo taken; exec sleep 300";
    let running = Script::dash(take).within(world.mount.path()).start();
    wait::until("it is taken", wait::SOON, || {
        running.stdout_so_far() == "taken\n"
    });
    assert_eq!(world.other.text("lock"), "");
    // Somebody takes another one between our look-up and our creation.
    let gate = Gate::new();
    let racing = When::op(Op::Put).key("late").once();
    world.proxy.inject(racing, Fault::HoldRequest(gate.clone()));
    let taking = Script::bash("set -C; : > late || echo lost")
        .within(world.mount.path())
        .start();
    gate.wait_for(1);
    world.other.put("late", "theirs");
    gate.open();
    let out = taking.finish();
    assert_eq!(out.stdout, "lost\n", "{out:#?}");
    assert_eq!(world.other.text("late"), "theirs");
    assert_eq!(world.rescues(), 0);
}

/// A child that inherited the descriptor saves nothing by closing its copy while the process that
/// opened it lives.
#[test]
fn w2_a_child_that_closes_an_inherited_descriptor_saves_nothing() {
    let world = or_skip!(world());
    let mark = world.proxy.mark();
    let script = "
import os, subprocess
f = os.open('key', os.O_CREAT | os.O_WRONLY)
os.set_inheritable(f, True)
os.write(f, b'one ')
subprocess.run(['true'], close_fds=False)
os.write(f, b'two')
os.close(f)";
    world.python(script);
    assert_eq!(world.other.text("key"), "one two");
    assert_eq!(world.proxy.since(mark).counts().of(Op::Put), 1);
}

/// A save is one conditional PUT, and nothing reaches the bucket before it.
#[test]
fn w3_nothing_is_sent_before_the_save() {
    let world = or_skip!(world());
    let etag = world.other.put("key", "value");
    let mark = world.proxy.mark();
    let mut file = File::create(world.file("key")).unwrap();
    let mut new = File::create(world.file("new")).unwrap();
    file.write_all(b"half").unwrap();
    new.write_all(b"half").unwrap();
    assert_eq!(world.proxy.since(mark).counts().of(Op::Put), 0);
    assert_eq!(world.other.keys(), ["key"]);
    file.sync_all().unwrap();
    new.sync_all().unwrap();
    let puts = world.proxy.since(mark).of(Op::Put);
    assert_eq!(puts.len(), 2);
    assert_eq!(puts[0].if_match(), Some(&*etag));
    assert_eq!(puts[1].if_none_match(), Some("*"));
}

/// etagfs never sends an emptied object, a half-written value or an unconditional write.
#[test]
fn w3_an_open_that_was_interrupted_empties_nothing() {
    let world = or_skip!(world_with(&["--flat", "--ttl=600"]));
    world.other.put("key", "value");
    let gate = Gate::new();
    world
        .proxy
        .inject(When::op(Op::Head).once(), Fault::HoldReply(gate.clone()));
    // The look-up of the open is answered from memory, so that the open itself asks.
    let opening = Script::python("import os; os.stat('key'); open('key', 'w')")
        .within(world.mount.path())
        .start();
    gate.wait_for(1);
    opening.kill();
    opening.finish();
    gate.open();
    let undone = || {
        world
            .mount
            .log()
            .contains("succeeded after its caller was gone")
    };
    wait::until("the open is taken back", wait::SOON, undone);
    world.mount.unmount();
    assert_eq!(world.other.text("key"), "value");
}

/// A save that lost its race fails with EAGAIN, from the call that would have saved: close, fsync,
/// rename, truncate, unlink, setxattr.
#[test]
fn w4_a_lost_race_is_eagain_from_every_call_that_saves() {
    let world = or_skip!(world());
    let script = "
import errno, os, sys, subprocess
def told(call):
    try: call()
    except OSError as error: print(errno.errorcode[error.errno])
    else: print('no error')
def shown():
    with open('key') as f: f.read()
    print('shown', flush=True)
    sys.stdin.readline()
def close():
    f = os.open('key', os.O_WRONLY)
    shown()
    os.write(f, b'x')
    os.close(f)
def fsync():
    f = os.open('key', os.O_WRONLY)
    shown()
    os.write(f, b'x')
    try: os.fsync(f)
    finally:
        try: os.close(f)
        except OSError: pass
def rename():
    with open('temporary', 'w') as f: f.write('x')
    shown()
    os.rename('temporary', 'key')
def truncate(): shown(); os.truncate('key', 0)
def unlink(): shown(); os.unlink('key')
def emptying(): shown(); open('key', 'w')
for call in (close, fsync, rename, truncate, unlink, emptying): told(call)
";
    let outside = tempfile::tempdir().unwrap();
    let pipe = outside.path().join("pipe");
    Script::dash("mkfifo pipe")
        .within(outside.path())
        .run()
        .ok();
    world.other.put("key", "0");
    let text = format!("exec python3 -c \"$SCRIPT\" < {}", pipe.display());
    let running = Script::dash(&text)
        .env("SCRIPT", script)
        .within(world.mount.path())
        .start();
    let mut go = File::options().write(true).open(&pipe).unwrap();
    for round in 1..=6 {
        let shown = || running.stdout_so_far().matches("shown").count() == round;
        wait::until("it was shown the key", wait::SOON, shown);
        world.other.put("key", format!("{round}"));
        go.write_all(b"\n").unwrap();
    }
    let said = running.finish().ok().stdout;
    assert_eq!(said, "shown\nEAGAIN\n".repeat(6));
    assert_eq!(world.other.text("key"), "6");
}

/// A descriptor that lost its race stays lost: its writes fail with ESTALE, its saves fail with EAGAIN
/// again, and none of its bytes gets into the winner's value.
#[test]
fn w5_a_lost_descriptor_is_lost_and_its_bytes_are_rescued() {
    let world = or_skip!(world());
    let file = lose(&world);
    assert_eq!(errno(file.write_at(b"again", 0)), libc::ESTALE);
    assert_eq!(errno(file.sync_all()), libc::EAGAIN);
    let rescues = world.names(".etagfs/rescue");
    assert_eq!(rescues.len(), 1);
    let kept = fs::read_to_string(world.file(".etagfs/rescue").join(&rescues[0])).unwrap();
    assert_eq!(
        (kept.as_str(), world.other.text("key").as_str()),
        ("mine", "theirs")
    );
}

/// The error reports one version to the process, and the process may then save over exactly that
/// version: open, write and close again. With --after-conflict=reread it must read the file first.
#[test]
fn w5_who_was_told_may_save_once_more() {
    for (mode, second) in [("told", "second"), ("reread", "theirs")] {
        let argument = format!("--after-conflict={mode}");
        let world = or_skip!(world_with(&["--flat", &argument]));
        world.other.put("key", "first");
        assert_eq!(fs::read_to_string(world.file("key")).unwrap(), "first");
        world.other.put("key", "theirs");
        assert_eq!(errno(File::create(world.file("key"))), libc::EAGAIN);
        let again = File::create(world.file("key")).and_then(|mut file| {
            file.write_all(b"second")?;
            file.sync_all()
        });
        assert_eq!(
            (again.is_ok(), world.other.text("key").as_str()),
            (mode == "told", second)
        );
    }
}

/// When the answer to a save is lost, or the save is refused, etagfs finds out whether the save
/// happened. It never reports EAGAIN for a save that did.
#[test]
fn w6_a_save_whose_answer_was_lost_is_no_conflict() {
    let world = or_skip!(world());
    for create in ["create", "update"] {
        world
            .proxy
            .inject(When::op(Op::Put).key("key").once(), Fault::LoseReply);
        let mut file = File::create(world.file("key")).unwrap();
        file.write_all(create.as_bytes()).unwrap();
        file.sync_all().unwrap();
        assert_eq!(world.other.text("key"), create);
    }
    assert_eq!(world.rescues(), 0);
}

/// A refusal proves little: an intermediary may send a PUT twice and pass on the second answer.
#[test]
fn w6_a_save_that_was_sent_twice_is_no_conflict() {
    let world = or_skip!(world());
    world.proxy.inject(When::write(), Fault::ForwardTwice);
    for text in ["create", "update"] {
        fs::write(world.file("key"), text).unwrap();
        assert_eq!(world.other.text("key"), text);
    }
    let mut log = File::options()
        .append(true)
        .open(world.file("key"))
        .unwrap();
    log.write_all(b", append").unwrap();
    log.sync_all().unwrap();
    assert_eq!(world.other.text("key"), "update, append");
    fs::create_dir(world.file("lock")).unwrap();
    fs::remove_dir(world.file("lock")).unwrap();
    fs::remove_file(world.file("key")).unwrap();
    assert_eq!(world.other.keys(), [""; 0]);
    assert_eq!(world.rescues(), 0);
}

/// A descriptor whose save was refused: it wanted "mine", the bucket has "theirs".
fn lose(world: &World) -> File {
    world.other.put("key", "base");
    let file = open_both(&world.file("key")).unwrap();
    world.other.put("key", "theirs");
    file.write_at(b"mine", 0).unwrap();
    assert_eq!(errno(file.sync_all()), libc::EAGAIN);
    file
}
