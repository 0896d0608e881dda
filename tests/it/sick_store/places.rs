//! Requests that hang take no place of those of another kind: a hundred hung saves hold up no reader,
//! and a hundred hung readers no save.

use std::path::Path;
use std::time::{Duration, Instant};

use super::INLINE;
use crate::world::attempts::{attempt, save};
use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::{Running, Script};
use crate::world::proxy::{Fault, Gate, Op, Proxy, When};
use crate::world::servers::{self, Kind};
use crate::world::wait;

/// How many calls hang: more than there are places of one kind.
const HUNG: usize = 100;

/// What others may take, with the start of Python. The requests that hang end after a minute.
const PROMPT: Duration = Duration::from_secs(10);

struct World {
    other: Client,
    proxy: Proxy,
    mount: Mounted,
}

fn world() -> Result<World, String> {
    mounts::possible()?;
    let bucket = servers::shared(Kind::Embedded)?.bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    let mount = Mount::of(&bucket)
        .through(&proxy)
        .flat()
        .arg("--deadline=60")
        .arg("--ttl=0")
        .arg(format!("--inline-limit={INLINE}"))
        .start();
    let other = bucket.client();
    for n in 0..HUNG {
        other.put(&format!("slow/{n}"), "old");
    }
    other.put("well/key", "old");
    other.put("well/large", vec![b'x'; 2 * INLINE]);
    Ok(World {
        other,
        proxy,
        mount,
    })
}

/// Makes the call in so many threads; tells how many came to `ok`.
fn hung(at: &Path, call: &str) -> Running {
    let text = format!(
        "import errno, os, threading\nos.chdir({at:?})\nthreading.stack_size(256 * 1024)\nsaid = []
def run(n):
    {call}
    said.append(n)
threads = [threading.Thread(target=run, args=(n,)) for n in range({HUNG})]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(said))"
    );
    Script::python(&text).start()
}

/// How many requests of this kind wait for a place, as `status` tells.
fn waiting(mount: &Mounted, kind: &str) -> u64 {
    let status = std::fs::read_to_string(mount.file(".etagfs/status")).unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    status["waiting_for_a_place"][kind].as_u64().unwrap()
}

#[track_caller]
fn promptly(at: &Path, what: &str, call: &str) {
    let begun = Instant::now();
    assert_eq!(attempt(at, call), "ok", "{what}");
    let took = begun.elapsed();
    println!("{what}: {took:?}");
    assert!(took < PROMPT, "{what}: {took:?}");
}

#[test]
fn a_hundred_hung_saves_hold_up_no_reader() {
    let world = or_skip!(world());
    let at = world.mount.path();
    let gate = Gate::new();
    world
        .proxy
        .inject(When::op(Op::Put), Fault::HoldRequest(gate.clone()));
    let save = "f = os.open(f'slow/{n}', os.O_RDWR); os.write(f, b'new'); os.close(f)";
    let script = hung(at, save);
    gate.wait_for(64);
    wait::until("the others wait for a place", wait::SOON, || {
        waiting(&world.mount, "saves") == HUNG as u64 - 64
    });
    assert_eq!(gate.arrived(), 64);
    promptly(at, "cat", "assert open('well/key').read() == 'old'");
    promptly(
        at,
        "cat of what is being saved",
        "assert open('slow/1').read() == 'old'",
    );
    promptly(
        at,
        "a large value",
        "assert len(open('well/large').read()) == 2 * 65536",
    );
    promptly(
        at,
        "ls",
        "assert sorted(os.listdir('well')) == ['key', 'large']",
    );
    promptly(
        at,
        "ls of the root",
        "assert sorted(os.listdir('.')) == ['slow', 'well']",
    );
    promptly(at, "stat", "os.stat('well/key')");
    let missing = "try: os.stat('well/missing')\nexcept FileNotFoundError: pass";
    promptly(at, "a missing name", missing);
    assert_eq!(
        (
            waiting(&world.mount, "names"),
            waiting(&world.mount, "values")
        ),
        (0, 0)
    );
    gate.open();
    assert_eq!(script.finish().ok().stdout.trim(), HUNG.to_string());
    for n in 0..HUNG {
        assert_eq!(world.other.text(&format!("slow/{n}")), "new");
    }
}

#[test]
fn a_hundred_hung_readers_hold_up_no_save_and_no_look_up() {
    let world = or_skip!(world());
    let at = world.mount.path();
    let gate = Gate::new();
    let slow = When::op(Op::Get).and(|get| get.key.starts_with("slow/"));
    world.proxy.inject(slow, Fault::HoldRequest(gate.clone()));
    // On a slow machine some are tried so often that their time is up.
    let read = "try: assert open(f'slow/{n}').read() == 'old'
    except OSError as error: assert error.errno in (errno.EIO, errno.ETIMEDOUT)";
    let script = hung(at, read);
    gate.wait_for(64);
    wait::until("the others wait for a place", wait::SOON, || {
        waiting(&world.mount, "values") == HUNG as u64 - 64
    });
    let create =
        "f = os.open('well/new', os.O_WRONLY | os.O_CREAT); os.write(f, b'new'); os.close(f)";
    promptly(at, "a new key", create);
    assert_eq!(world.other.text("well/new"), "new");
    promptly(at, "ls", "assert 'new' in os.listdir('well')");
    promptly(at, "rm", "os.unlink('well/new')");
    promptly(at, "mkdir", "os.mkdir('well/dir')");
    gate.open();
    assert_eq!(script.finish().ok().stdout.trim(), HUNG.to_string());
}

#[test]
fn look_ups_that_hang_hold_up_no_open_file() {
    let world = or_skip!(world());
    let at = world.mount.path();
    let go = world.mount.state_dir().join("go");
    // Opened before the look-ups hang.
    let text = format!(
        "import os, time\nos.chdir({at:?})
f = os.open('well/key', os.O_RDWR); large = os.open('well/large', os.O_RDONLY)
print('ready', flush=True)
while not os.path.exists({go:?}): time.sleep(0.01)
begun = time.monotonic()
os.write(f, b'new'); os.fsync(f); assert len(os.read(large, 1 << 20)) > 0
print(time.monotonic() - begun, flush=True)"
    );
    let open = Script::python(&text).start();
    wait::until("the files are open", wait::SOON, || {
        open.ended() || open.stdout_so_far().contains("ready")
    });
    let gate = Gate::new();
    world
        .proxy
        .inject(When::op(Op::List), Fault::HoldRequest(gate.clone()));
    let missing = "try: os.stat(f'missing{n}')
    except FileNotFoundError: pass";
    let script = hung(at, missing);
    gate.wait_for(32);
    wait::until("the others wait for a place", wait::SOON, || {
        waiting(&world.mount, "names") == HUNG as u64 - 32
    });
    std::fs::write(&go, "").unwrap();
    let took = open.finish().ok().stdout;
    let took: f64 = took.lines().last().unwrap().parse().unwrap();
    println!("a save and a read: {took:.2} s");
    assert!(took < PROMPT.as_secs_f64(), "{took} s");
    assert_eq!(world.other.text("well/key"), "new");
    gate.open();
    script.finish().ok();
    let at = world.mount.path();
    assert_eq!(attempt(at, &save("well/key", "more")), "ok");
}
