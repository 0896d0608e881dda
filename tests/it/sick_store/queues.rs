//! Callers that queue in the kernel (A1, V4): it lets one at a time look a name up for a creation in a
//! directory, make one or remove one. Behind a store that does not answer each of them ends in its own
//! time, however many stand before it, and the mount's own files answer all the while.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::Deserialize;

use super::{DEADLINE, World};
use crate::world::attempts::attempt;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::{Running, Script};
use crate::world::proxy::{Fault, Gate, Op, Proxy, When};
use crate::world::servers::{self, Kind};
use crate::world::{report, wait};

/// The longest that any caller may wait: its own deadline, that of a name on its way, the probe, and what
/// a hundred threads of Python need on two busy processors. Eight callers that waited for each other would
/// take 24 s, a hundred of them five minutes.
const IN_TIME: Duration = Duration::from_secs(2 * DEADLINE.as_secs() + 4);

/// What the mount's own files may take: they ask nobody.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Makes all calls at once, each in a thread, `LINES` of Python that define `calls`.
const AT_ONCE_ALL: &str = r#"
said = []
def tell(call):
    begun = time.monotonic()
    try:
        call()
        word = "ok"
    except OSError as error:
        word = errno.errorcode[error.errno]
    said.append([word, time.monotonic() - begun])
threads = [threading.Thread(target=tell, args=(call,), daemon=True) for call in calls]
for thread in threads: thread.start()
print("begun", flush=True)
for thread in threads: thread.join(300)
print(json.dumps(said), flush=True)
os._exit(0)
"#;

/// What a call came to, and the seconds it took.
#[derive(Clone, Debug, Deserialize)]
struct Said(String, f64);

/// Starts all calls at once.
fn start(at: &Path, calls: &str) -> Running {
    let text = format!(
        "import errno, json, os, sys, threading, time, uuid\nos.chdir({at:?})
threading.stack_size(256 * 1024)\n{calls}\n{AT_ONCE_ALL}"
    );
    let script = Script::python(&text).start();
    wait::until("the calls have begun", wait::SOON, || {
        script.ended() || script.stdout_so_far().contains("begun")
    });
    script
}

/// What all calls came to: each of them an error of the store's, and in time.
#[track_caller]
fn all_end_in_time(what: &str, script: Running, count: usize) {
    let out = script.finish().ok();
    let said: Vec<Said> = serde_json::from_str(out.stdout.lines().last().unwrap()).unwrap();
    let longest = said.iter().map(|said| said.1).fold(0.0, f64::max);
    let line = format!(
        "{what}: {} calls, the last after {longest:.1} s",
        said.len()
    );
    println!("{line}");
    report::append_line("queues-in-an-outage", &line);
    assert_eq!(said.len(), count, "some hang");
    for Said(word, took) in said {
        assert!(["EIO", "ETIMEDOUT"].contains(&&*word), "{what}: {word}");
        assert!(took < IN_TIME.as_secs_f64(), "{what}: {took} s");
    }
}

/// The mount's own files answer.
#[track_caller]
fn own_files_answer(at: &Path) {
    // In another process: a thread of ours that hangs could not be ended.
    let text = format!(
        "import time\nbegun = time.monotonic()
for file in ('status', 'stats'): assert len(open(f'{}/.etagfs/{{file}}').read()) > 100
print(time.monotonic() - begun)",
        at.display()
    );
    let took = Script::python(&text).run().ok().stdout;
    let took: f64 = took.trim().parse().unwrap();
    println!("status and stats answered after {took:.3} s");
    assert!(took < AT_ONCE.as_secs_f64(), "{took} s");
}

/// Creations, deletions, look-ups and reads in one directory.
fn mixed(count: usize) -> String {
    format!(
        "def create(n): return lambda: os.close(os.open(f'dir/new{{n}}', os.O_WRONLY | os.O_CREAT))
def stat(n): return lambda: os.stat(f'dir/missing{{n}}')
def read(n): return lambda: open('dir/key').read()
def unlink(n): return lambda: os.unlink(f'dir/old{{n}}')
calls = [f(n) for n in range({count}) for f in (create, stat, read, unlink)]"
    )
}

/// A store that is sick by `sicken`, with so many of each kind of call in one directory.
#[track_caller]
fn calls_in_a_directory(
    what: &str,
    count: usize,
    sicken: impl FnOnce(&World),
) -> Result<(), String> {
    let world = World::new()?;
    world.other.put("dir/key", "value");
    assert_eq!(attempt(world.mount.path(), "os.stat('dir/key')"), "ok");
    sicken(&world);
    let script = start(world.mount.path(), &mixed(count));
    own_files_answer(world.mount.path());
    all_end_in_time(what, script, 4 * count);
    own_files_answer(world.mount.path());
    Ok(())
}

#[test]
fn of_eight_in_a_directory_of_a_store_that_hangs_each_ends_in_its_own_time() {
    let gate = Gate::new();
    or_skip!(calls_in_a_directory("8 of each, hanging", 8, |world| {
        let hole = Fault::BlackHole(gate.clone());
        world.proxy.inject(When::any(), hole);
    }));
    gate.open();
}

#[test]
fn of_a_hundred_in_a_directory_of_a_store_that_hangs_each_ends_in_its_own_time() {
    let gate = Gate::new();
    or_skip!(calls_in_a_directory("100 of each, hanging", 100, |world| {
        let hole = Fault::BlackHole(gate.clone());
        world.proxy.inject(When::any(), hole);
    }));
    gate.open();
}

#[test]
fn of_a_hundred_in_a_directory_of_a_store_that_refuses_each_ends_in_its_own_time() {
    or_skip!(calls_in_a_directory("100 of each, refused", 100, |world| {
        world.proxy.down();
    }));
}

#[test]
fn of_a_hundred_in_a_directory_of_a_store_that_throttles_each_ends_in_its_own_time() {
    or_skip!(calls_in_a_directory(
        "100 of each, throttled",
        100,
        |world| {
            world.proxy.inject(When::any(), Fault::slow_down());
        }
    ));
}

/// Only one directory is throttled; others go on as if nothing were.
#[test]
fn a_directory_that_is_sick_alone_is_in_no_others_way() {
    let world = or_skip!(World::new());
    world.other.put("dir/key", "value");
    world.other.put("well/key", "value");
    assert_eq!(attempt(world.mount.path(), "os.stat('dir/key')"), "ok");
    let gate = Gate::new();
    let sick = When::any().and(|request| {
        let prefix = request.parameter("prefix").unwrap_or_default();
        request.key.starts_with("dir/") || (prefix.starts_with("dir/") && prefix.len() > 4)
    });
    world.proxy.inject(sick, Fault::BlackHole(gate.clone()));
    let creations =
        "def create(n): return lambda: os.close(os.open(f'dir/new{n}', os.O_WRONLY | os.O_CREAT))
calls = [create(n) for n in range(50)]";
    let script = start(world.mount.path(), creations);
    gate.wait_for(1);
    for n in 0..10 {
        let create = format!("os.close(os.open('well/{n}', os.O_WRONLY | os.O_CREAT))");
        assert_eq!(attempt(world.mount.path(), &create), "ok");
    }
    all_end_in_time("50 creations in the sick directory", script, 50);
    gate.open();
}

/// How often the mount's own directory was looked up; the first time is before the mount is ready.
fn own_look_ups(mount: &Mounted) -> usize {
    let count = || {
        let log = mount.log();
        let of_it = |line: &&str| line.contains("op=\"lookup\" key=\".etagfs\" ");
        log.lines().filter(of_it).count()
    };
    wait::until("the mount is ready", wait::SOON, || count() > 0);
    count()
}

/// In the root of a bucket only stores can be made, and the mount's own directory is a name in it.
#[track_caller]
fn calls_in_the_root(what: &str, count: usize, sicken: impl FnOnce(&Proxy)) -> Result<(), String> {
    mounts::possible()?;
    let bucket = servers::shared(Kind::Embedded)?.bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    let mount = Mount::of(&bucket)
        .through(&proxy)
        .arg(format!("--deadline={}", DEADLINE.as_secs()))
        .arg("--ttl=0")
        .log_level("trace")
        .start();
    let at = mount.path();
    own_look_ups(&mount);
    sicken(&proxy);
    let calls = format!(
        "def make(n): return lambda: os.mkdir(str(uuid.uuid4()))
def stat(n): return lambda: os.stat(str(uuid.uuid4()))
calls = [f(n) for n in range({count}) for f in (make, stat)]"
    );
    let script = start(at, &calls);
    // Never looked up before by any of us.
    own_files_answer(at);
    all_end_in_time(what, script, 2 * count);
    own_files_answer(at);
    proxy.heal();
    if std::net::TcpStream::connect(proxy.endpoint().trim_start_matches("http://")).is_err() {
        proxy.up();
    }
    let make = "import uuid\nos.mkdir(str(uuid.uuid4()))";
    wait::until("stores can be made again", wait::SOON, || {
        attempt(at, make) == "ok"
    });
    Ok(())
}

#[test]
fn of_a_hundred_that_make_stores_while_the_store_hangs_each_ends_in_its_own_time() {
    let gate = Gate::new();
    or_skip!(calls_in_the_root(
        "100 mkdir and stat, hanging",
        100,
        |proxy| {
            proxy.inject(When::any(), Fault::BlackHole(gate.clone()));
        }
    ));
    gate.open();
}

#[test]
fn of_a_hundred_that_make_stores_while_the_store_refuses_each_ends_in_its_own_time() {
    or_skip!(calls_in_the_root(
        "100 mkdir and stat, refused",
        100,
        Proxy::down
    ));
}

/// The look-up is answered, and the write hangs, while the kernel holds the directory.
#[test]
fn of_many_whose_writes_hang_each_ends_in_its_own_time() {
    let world = or_skip!(World::new());
    for n in 0..20 {
        world.other.put(&format!("dir/old{n}"), "old");
    }
    assert_eq!(attempt(world.mount.path(), "os.stat('dir/old1')"), "ok");
    let gate = Gate::new();
    let writes = When::any().and(|request| matches!(request.op, Op::Put | Op::Delete));
    world.proxy.inject(writes, Fault::BlackHole(gate.clone()));
    let calls = "def make(n): return lambda: os.mkdir(f'dir/new{n}')
def unlink(n): return lambda: os.unlink(f'dir/old{n}')
calls = [f(n) for n in range(20) for f in (make, unlink)]";
    let script = start(world.mount.path(), calls);
    own_files_answer(world.mount.path());
    // A write in doubt has 5 s for its last look.
    let out = script.finish().ok();
    let said: Vec<Said> = serde_json::from_str(out.stdout.lines().last().unwrap()).unwrap();
    let longest = said.iter().map(|said| said.1).fold(0.0, f64::max);
    let line = format!("20 mkdir and 20 unlink, writes hang: the last after {longest:.1} s");
    println!("{line}");
    report::append_line("queues-in-an-outage", &line);
    assert_eq!(said.len(), 40);
    for Said(word, took) in said {
        assert!(["EIO", "ETIMEDOUT"].contains(&&*word), "{word}");
        assert!(
            took < (IN_TIME + Duration::from_secs(5)).as_secs_f64(),
            "{took} s"
        );
    }
    gate.open();
}

/// Only a name that the kernel does not know has to wait for the lock of the root. It forgets names when it
/// needs their memory.
#[test]
fn the_mounts_own_directory_is_looked_up_again_when_the_kernel_has_forgotten_it() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let mount = Mount::of(&bucket).flat().log_level("trace").start();
    let before = own_look_ups(&mount);
    // Names and nodes that nobody uses; needs root. A name that was just used is spared the first time.
    let drop = || std::fs::write("/proc/sys/vm/drop_caches", "2");
    or_skip!(drop().map_err(|error| format!("the kernel cannot be made to forget: {error}")));
    let is_back = || own_look_ups(&mount) > before;
    // Everybody on the machine pays for it: no more often than it takes.
    let mut tries = (0..10).filter(|_| {
        let _ = drop();
        wait::eventually(Duration::from_secs(5), is_back)
    });
    assert!(tries.next().is_some(), "it is not looked up again");
}

/// No call fails after the store is back for longer than about a second, however many kept asking.
#[test]
fn when_the_store_is_back_creations_succeed_within_about_a_second() {
    let world = or_skip!(World::new());
    world.other.put("dir/key", "value");
    let gate = Gate::new();
    world
        .proxy
        .inject(When::any(), Fault::BlackHole(gate.clone()));
    let at = world.mount.path();
    let create = "os.close(os.open('dir/new', os.O_WRONLY | os.O_CREAT))";
    assert_eq!(attempt(at, create), "ETIMEDOUT");
    assert_ne!(attempt(at, create), "ok");
    // Requests that hang stay where they are; only new ones are answered.
    world.proxy.heal();
    let back = Instant::now();
    wait::until("a creation succeeds", wait::SOON, || {
        attempt(at, create) == "ok"
    });
    let took = back.elapsed();
    let line = format!("the first creation after {} ms", took.as_millis());
    println!("{line}");
    report::append_line("queues-in-an-outage", &line);
    // Two names are on the way, each with its probe, and Python starts anew each time.
    assert!(took < Duration::from_secs(5), "{took:?}");
    gate.open();
}

/// The kernel lets whoever waits for the lock of a directory hear no signal: it is gone when the one
/// before it was answered, which is at once as soon as the store is known to be silent.
#[test]
fn who_waits_behind_others_in_an_outage_is_gone_soon_after_it_is_killed() {
    let world = or_skip!(World::new());
    world.other.put("dir/key", "value");
    assert_eq!(attempt(world.mount.path(), "os.stat('dir/key')"), "ok");
    let gate = Gate::new();
    world
        .proxy
        .inject(When::any(), Fault::BlackHole(gate.clone()));
    let looping = "def create(n):
    def call():
        while True:
            try: os.close(os.open(f'dir/new{n}', os.O_WRONLY | os.O_CREAT))
            except OSError: pass
    return call
calls = [create(n) for n in range(20)]";
    let script = start(world.mount.path(), looping);
    let create = "os.close(os.open('dir/other', os.O_WRONLY | os.O_CREAT))";
    assert_ne!(attempt(world.mount.path(), create), "ok");
    let begun = Instant::now();
    script.signal(Signal::KILL);
    wait::until("all of them are gone", wait::SOON, || script.ended());
    let took = begun.elapsed();
    let line = format!(
        "SIGKILL of 20 that queue in an outage: {} ms",
        took.as_millis()
    );
    println!("{line}");
    report::append_line("kill-latencies", &line);
    assert!(took < DEADLINE, "{took:?}");
    gate.open();
}
