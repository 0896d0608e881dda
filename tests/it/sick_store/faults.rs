//! Every kind of sickness against every kind of call: the calls run at once, each in a thread, and
//! tell what they came to and how long they took.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{DEADLINE, INLINE, World};
use crate::world::attempts::{attempt, save};
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Injected, Op, When};
use crate::world::{report, rescues, wait};

/// A call is one or more operations of the store, each with its deadline; a save in doubt has 5 s for
/// its last look; and Python shares two processors with other tests. The mount's own limit is the
/// deadline and 10 s.
const IN_TIME: Duration = Duration::from_secs(DEADLINE.as_secs() + 12);

/// What the key in a directory holds at first.
fn old(directory: &str) -> String {
    format!("the old value of {directory}")
}

/// Directories with an object `key`, one for each call but those that need something else.
const DIRECTORIES: [&str; 13] = [
    "absent",
    "another",
    "append",
    "created",
    "from",
    "fsync",
    "listed",
    "making",
    "open",
    "over",
    "save",
    "stat",
    "truncated",
];

/// Opens what must be open before, waits until the store is sick, and makes all calls at once. Each has
/// a directory of its own: the kernel locks a directory while a name in it is looked up, made or
/// removed, so that calls in one directory wait for each other.
const CALLS: &str = r#"
import errno, json, os, sys, threading, time
os.chdir(sys.argv[1])
def draft(key, flags):
    f = os.open(key, flags)
    os.write(f, ("the new value of " + key.split("/")[0]).encode())
    return f
def whole(f):
    found = b""
    while piece := os.read(f, 1 << 20):
        found += piece
    return found.decode()
existing = draft("save/key", os.O_RDWR)
created = draft("created/key", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
synced = draft("fsync/key", os.O_RDWR)
large = os.open("large/key", os.O_RDONLY)
def append():
    f = os.open("append/key", os.O_WRONLY | os.O_APPEND)
    os.write(f, b"+")
    os.close(f)
def create():
    f = os.open("another/key", os.O_WRONLY | os.O_CREAT)
    os.close(f)
calls = {
    "open and read": lambda: whole(os.open("open/key", os.O_RDONLY)),
    "read a large value": lambda: whole(large),
    "append": append,
    "stat": lambda: str(os.stat("stat/key").st_size),
    "stat of a missing name": lambda: os.stat("absent/missing"),
    "ls": lambda: " ".join(sorted(os.listdir("listed"))),
    "ls of the root": lambda: " ".join(sorted(os.listdir("."))),
    "close": lambda: os.close(existing),
    "close of a new file": lambda: os.close(created),
    "fsync": lambda: os.fsync(synced),
    "truncate": lambda: os.truncate("truncated/key", 3),
    "create": create,
    "rename": lambda: os.rename("from/key", "from/to"),
    "rename over": lambda: os.rename("over/key", "over/target"),
    "unlink": lambda: os.unlink("unlink/key"),
    "mkdir": lambda: os.mkdir("making/made"),
    "rmdir": lambda: os.rmdir("removing/empty"),
}
said = {}
def tell(name, call):
    begun = time.monotonic()
    try:
        result = ["ok", call()]
    except OSError as error:
        result = [errno.errorcode[error.errno], None]
    said[name] = result + [time.monotonic() - begun]
for directory in os.listdir("."):
    os.stat(directory)
print("ready", flush=True)
while not os.path.exists(sys.argv[2]):
    time.sleep(0.01)
threads = [threading.Thread(target=tell, args=item, daemon=True) for item in calls.items()]
for thread in threads: thread.start()
for thread in threads: thread.join(45)
said |= {name: ["HANGS", None, 45] for name in calls if name not in said}
print(json.dumps(said), flush=True)
os._exit(0)
"#;

/// What a call came to: `ok` or an errno, its result, the seconds it took.
#[derive(Clone, Debug, Deserialize)]
struct Said(String, Option<String>, f64);

/// All calls on a store that is sick by `sicken`.
fn all_calls(world: &World, sicken: impl FnOnce()) -> BTreeMap<String, Said> {
    for directory in DIRECTORIES {
        let key = match directory {
            "created" | "another" => "other",
            _ => "key",
        };
        world
            .other
            .put(&format!("{directory}/{key}"), old(directory));
    }
    world.other.put("large/key", vec![b'x'; 3 * INLINE]);
    world.other.put("over/target", old("target"));
    world.other.put("removing/empty/", "");
    world.other.put("unlink/key", old("unlink"));
    let go = world.mount.state_dir().join("go");
    let (at, file) = (world.mount.path().display(), go.display());
    let argv = format!("import sys; sys.argv = ['', '{at}', '{file}']\n{CALLS}");
    let script = Script::python(&argv).start();
    wait::until("the files are open", wait::SOON, || {
        script.ended() || script.stdout_so_far().contains("ready")
    });
    sicken();
    std::fs::write(&go, "").unwrap();
    let out = script.finish().ok();
    let json = out.stdout.lines().last().unwrap();
    serde_json::from_str(json).unwrap()
}

/// Judges what holds for every sickness: no call hangs, none says that something is absent or that
/// there was a conflict, what is said to be read is right.
#[track_caller]
fn judge(name: &str, said: &BTreeMap<String, Said>, errnos: &[&str]) {
    let mut lines = format!("{name}\n");
    for (call, Said(word, _, took)) in said {
        lines.push_str(&format!("  {call:<24}{word:<10}{took:>6.1} s\n"));
    }
    println!("{lines}");
    report::write(&format!("sick-store-{}", name.replace(' ', "-")), &lines);
    for (call, Said(word, result, took)) in said {
        assert!(*took < IN_TIME.as_secs_f64(), "{call} took {took} s");
        if call == "stat of a missing name" && word == "ENOENT" {
            // The store said so, if it can be believed at all.
            assert!(errnos.contains(&"ok"), "absent, in an outage");
            continue;
        }
        assert!(errnos.contains(&word.as_str()), "{call}: {word}");
        if word != "ok" {
            continue;
        }
        let result = result.as_deref().unwrap_or_default();
        match call.as_str() {
            "open and read" => assert_eq!(result, old("open")),
            "read a large value" => assert!(result == "x".repeat(3 * INLINE)),
            "ls" => assert_eq!(result, "key"),
            "ls of the root" => assert!(result.contains("append"), "{result}"),
            _ => {}
        }
    }
}

/// Every save is in the bucket or in a rescue, as it was reported; nothing else has changed.
#[track_caller]
fn no_byte_is_lost(world: &World, said: &BTreeMap<String, Said>) {
    for (call, directory) in [
        ("close", "save"),
        ("close of a new file", "created"),
        ("fsync", "fsync"),
    ] {
        let new = format!("the new value of {directory}");
        let key = format!("{directory}/key");
        let there = world.other.get(&key).map(|object| object.text().to_owned());
        let rescued = rescues::of_key(world.mount.state_dir(), &key);
        if said[call].0 == "ok" {
            assert!(there.is_some_and(|there| there.starts_with(&new)), "{key}");
            assert!(rescued.is_empty(), "{rescued:?}");
        } else {
            assert!(
                rescued.iter().any(|bytes| bytes.starts_with(&new)),
                "{key}: {rescued:?}"
            );
        }
    }
    let gone = |key: &str| world.other.get(key).is_none();
    assert!(
        !(gone("from/key") && gone("from/to")),
        "a rename lost its file"
    );
    assert!(!gone("over/target"), "a rename over a key lost it");
    assert!(!gone("unlink/key") || matches!(&*said["unlink"].0, "ok" | "EIO"));
    assert!(!gone("append/key") && !gone("truncated/key") && !gone("open/key"));
}

/// The store is healthy again: so is the mount.
#[track_caller]
fn the_mount_recovers(world: &mut World) {
    assert!(world.mount.ended().is_none(), "the daemon died");
    let at = world.mount.path().to_owned();
    let read = format!("assert open('open/key').read() == {:?}", old("open"));
    // The SDK may still hold back retries after so many failures; one call later it may not.
    wait::until("the mount has recovered", wait::SOON, || {
        attempt(&at, &read) == "ok"
    });
    world.other.put("fresh", "fresh");
    assert_eq!(attempt(&at, &save("fresh", "saved")), "ok");
    assert_eq!(world.other.text("fresh"), "saved");
    assert_eq!(attempt(&at, "os.stat('missing')"), "ENOENT");
    assert_eq!(attempt(&at, "os.mkdir('later')\nos.rmdir('later')"), "ok");
    assert_eq!(attempt(&at, "os.rename('fresh', 'moved')"), "ok");
    assert_eq!(attempt(&at, "assert 'moved' in os.listdir('.')"), "ok");
    assert_eq!(attempt(&at, "os.unlink('moved')"), "ok");
    assert_eq!(world.other.get("moved"), None);
    assert_eq!(world.other.get("fresh"), None);
}

/// All of a sickness: struck by it, all calls say one of `errnos`.
#[track_caller]
fn suffer(name: &str, errnos: &[&str], sicken: impl FnOnce(&World)) -> Result<(), String> {
    let mut world = World::new()?;
    let said = all_calls(&world, || sicken(&world));
    judge(name, &said, errnos);
    world.proxy.heal();
    the_mount_recovers(&mut world);
    no_byte_is_lost(&world, &said);
    Ok(())
}

fn all(world: &World, fault: Fault) -> Injected {
    world.proxy.inject(When::any(), fault)
}

/// The sickness begins when a write arrives, and only writes have it.
fn writes(world: &World, fault: Fault) -> Injected {
    let writes = When::any().and(|request| matches!(request.op, Op::Put | Op::Delete));
    world.proxy.inject(writes, fault)
}

#[test]
fn a_failing_store_is_an_input_output_error() {
    or_skip!(suffer("500", &["EIO", "ETIMEDOUT"], |world| {
        all(world, Fault::internal_error());
    }));
}

#[test]
fn a_store_that_fails_to_write_is_an_input_output_error() {
    or_skip!(suffer(
        "500 for writes",
        &["ok", "EIO", "ETIMEDOUT"],
        |world| {
            writes(world, Fault::internal_error());
        }
    ));
}

#[test]
fn a_store_that_always_throttles_is_an_input_output_error() {
    or_skip!(suffer("503", &["EIO", "ETIMEDOUT"], |world| {
        all(world, Fault::slow_down());
    }));
}

#[test]
fn a_store_that_always_throttles_writes_is_an_input_output_error() {
    let errnos = ["ok", "EIO", "ETIMEDOUT"];
    or_skip!(suffer("503 for writes", &errnos, |world| {
        writes(world, Fault::slow_down());
    }));
}

#[test]
fn a_store_that_denies_is_permission_denied() {
    or_skip!(suffer("403", &["EACCES"], |world| {
        all(world, Fault::access_denied());
    }));
}

#[test]
fn a_store_that_denies_writes_is_permission_denied() {
    or_skip!(suffer("403 for writes", &["ok", "EACCES"], |world| {
        writes(world, Fault::access_denied());
    }));
}

#[test]
fn a_store_that_hangs_is_a_time_out() {
    let gate = Gate::new();
    or_skip!(suffer("black hole", &["EIO", "ETIMEDOUT"], |world| {
        all(world, Fault::BlackHole(gate.clone()));
    }));
    gate.open();
}

#[test]
fn a_store_that_hangs_at_writes_is_an_error() {
    let gate = Gate::new();
    let errnos = ["ok", "EIO", "ETIMEDOUT"];
    or_skip!(suffer("black hole for writes", &errnos, |world| {
        writes(world, Fault::BlackHole(gate.clone()));
    }));
    gate.open();
}

#[test]
fn connections_that_break_are_an_input_output_error() {
    or_skip!(suffer(
        "broken connections",
        &["EIO", "ETIMEDOUT"],
        |world| {
            all(world, Fault::Refuse);
        }
    ));
}

#[test]
fn answers_that_are_no_http_are_an_input_output_error() {
    or_skip!(suffer("no HTTP", &["EIO", "ETIMEDOUT"], |world| {
        all(world, Fault::garbage());
    }));
}

// From here on an answer may be true in spite of all: a put has no body that could be damaged.

#[test]
fn bodies_that_break_off_are_never_believed() {
    or_skip!(suffer("cut bodies", &["ok", "EIO", "ETIMEDOUT"], |world| {
        all(world, Fault::CutBody);
    }));
}

#[test]
fn bodies_longer_than_announced_are_never_believed() {
    or_skip!(suffer(
        "too short a length",
        &["ok", "EIO", "ETIMEDOUT"],
        |world| {
            all(world, Fault::WrongLength(-3));
        }
    ));
}

#[test]
fn bodies_shorter_than_announced_are_never_believed() {
    or_skip!(suffer(
        "too long a length",
        &["ok", "EIO", "ETIMEDOUT"],
        |world| {
            all(world, Fault::WrongLength(5));
        }
    ));
}

#[test]
fn damaged_bodies_are_never_believed() {
    or_skip!(suffer(
        "garbage bodies",
        &["ok", "EIO", "ETIMEDOUT"],
        |world| {
            all(world, Fault::GarbageBody);
        }
    ));
}

#[test]
fn listings_of_nothing_but_garbage_are_never_empty_directories() {
    or_skip!(suffer(
        "garbage listings",
        &["ok", "EIO", "ETIMEDOUT"],
        |world| {
            let nonsense = Fault::edit(|_, body| *body = "<html>welcome</html>".into());
            world.proxy.inject(When::op(Op::List), nonsense);
        }
    ));
}

#[test]
fn a_refused_connection_is_an_input_output_error() {
    let mut world = or_skip!(World::new());
    let said = all_calls(&world, || world.proxy.down());
    judge("refused connection", &said, &["EIO", "ETIMEDOUT"]);
    world.proxy.up();
    the_mount_recovers(&mut world);
    no_byte_is_lost(&world, &said);
}

#[test]
fn a_store_that_throttles_for_a_moment_is_only_slow() {
    let world = or_skip!(World::new());
    let slow = [Op::List, Op::Get, Op::Put, Op::Delete].map(|op| {
        let once = When::op(op).once();
        world.proxy.inject(once, Fault::slow_down())
    });
    world.other.put("key", "old");
    let at = world.mount.path();
    assert_eq!(attempt(at, "assert open('key').read() == 'old'"), "ok");
    assert_eq!(attempt(at, &save("key", "new")), "ok");
    assert_eq!(world.other.text("key"), "new");
    assert_eq!(attempt(at, "os.unlink('key')"), "ok");
    assert_eq!(world.other.get("key"), None);
    assert_eq!(slow.map(|rule| rule.struck()), [1, 1, 1, 1]);
    assert!(rescues::of(world.mount.state_dir()).is_empty());
}
