//! Programs that are ended while they wait for a store that hangs (A1): they are gone at once, and
//! others are served all the time.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{INLINE, World};
use crate::world::attempts::{attempt, save};
use crate::world::procs::{Running, Script};
use crate::world::proxy::{Fault, Gate, Op, Record, When};
use crate::world::{report, rescues, wait};

/// Generous: the watchdog looks every 200 ms at those who have waited for 300 ms, and this machine may
/// be busy. The goal is 1 s; the report tells what it was.
const GONE: Duration = Duration::from_secs(5);

/// A mount on which nothing about the key `stuck` is ever answered, once the script is `ready`.
fn stuck(world: &World, fits: impl Fn(&Record) -> bool + Send + Sync + 'static) -> Gate {
    let gate = Gate::new();
    let stuck = When::any()
        .and(|request| {
            request.key == "stuck"
                || request
                    .parameter("prefix")
                    .is_some_and(|prefix| prefix == "stuck")
        })
        .and(fits);
    world.proxy.inject(stuck, Fault::BlackHole(gate.clone()));
    gate
}

/// Starts a script on the mount; `before` is done before the store hangs for the key `stuck`, `then`
/// while it does. Returns when a request hangs.
fn blocked(
    world: &World,
    before: &str,
    then: &str,
    fits: impl Fn(&Record) -> bool + Send + Sync + 'static,
) -> (Running, Gate) {
    let go = world.mount.state_dir().join("go");
    let _ = std::fs::remove_file(&go);
    let at = world.mount.path();
    let script = format!(
        "import os, time\nos.chdir({at:?})\n{before}\nprint('ready', flush=True)
while not os.path.exists({go:?}): time.sleep(0.01)\n{then}\nprint('unblocked', flush=True)"
    );
    let script = Script::python(&script).start();
    wait::until("the script is ready", wait::SOON, || {
        script.ended() || script.stdout_so_far().contains("ready")
    });
    let gate = stuck(world, fits);
    std::fs::write(&go, "").unwrap();
    gate.wait_for(1);
    (script, gate)
}

/// Ends the script by a signal to all of its group, and tells how long that took.
#[track_caller]
fn ends(what: &str, script: &Running, signal: Signal) {
    let begun = Instant::now();
    script.signal(signal);
    wait::until(&format!("{what} ends"), wait::SOON, || script.ended());
    let took = begun.elapsed();
    println!("{what}: gone after {} ms", took.as_millis());
    report::append_line(
        "kill-latencies",
        &format!("{what}: {} ms", took.as_millis()),
    );
    assert!(!script.stdout_so_far().contains("unblocked"));
    assert!(took < GONE, "{what} took {took:?}");
}

/// Whether the mount serves others.
#[track_caller]
fn serves_others(world: &World) {
    world.other.put("healthy", "old");
    let at = world.mount.path();
    let begun = Instant::now();
    assert_eq!(attempt(at, "assert open('healthy').read() == 'old'"), "ok");
    assert_eq!(attempt(at, &save("healthy", "new")), "ok");
    assert_eq!(attempt(at, "assert 'healthy' in os.listdir('.')"), "ok");
    println!("others were served in {:?}", begun.elapsed());
    assert_eq!(world.other.text("healthy"), "new");
}

#[test]
fn a_reader_killed_in_open_is_gone_at_once() {
    let world = or_skip!(World::new());
    world.other.put("stuck", "value");
    let (script, gate) = blocked(&world, "", "os.open('stuck', os.O_RDONLY)", |request| {
        request.op == Op::Get
    });
    serves_others(&world);
    ends("SIGKILL in open", &script, Signal::KILL);
    // Nothing of it is in the way of the next reader.
    world.proxy.heal();
    let read = "assert open('stuck').read() == 'value'";
    assert_eq!(attempt(world.mount.path(), read), "ok");
    gate.open();
}

#[test]
fn a_reader_killed_in_lookup_is_gone_at_once() {
    let world = or_skip!(World::new());
    world.other.put("stuck", "value");
    let (script, gate) = blocked(&world, "", "os.stat('stuck')", |_| true);
    serves_others(&world);
    ends("SIGKILL in stat", &script, Signal::KILL);
    world.proxy.heal();
    assert_eq!(attempt(world.mount.path(), "os.stat('stuck')"), "ok");
    gate.open();
}

#[test]
fn a_reader_killed_in_read_is_gone_at_once() {
    let world = or_skip!(World::new());
    world.other.put("stuck", vec![b'x'; 3 * INLINE]);
    let open = "f = os.open('stuck', os.O_RDONLY)";
    let (script, gate) = blocked(&world, open, "os.read(f, 100)", |_| true);
    serves_others(&world);
    ends("SIGKILL in read", &script, Signal::KILL);
    world.proxy.heal();
    let read = "assert len(open('stuck').read()) == 3 * 64 * 1024";
    assert_eq!(attempt(world.mount.path(), read), "ok");
    gate.open();
}

#[test]
fn a_lister_killed_in_ls_is_gone_at_once() {
    let world = or_skip!(World::new());
    world.other.put("dir/inner", "value");
    let gate = Gate::new();
    let listing = When::op(Op::List).and(|list| list.parameter("prefix") == Some("dir/"));
    let script = format!(
        "import os\nos.chdir({:?})\nos.listdir('dir')\nprint('unblocked', flush=True)",
        world.mount.path()
    );
    world.proxy.inject(listing, Fault::BlackHole(gate.clone()));
    let script = Script::python(&script).start();
    gate.wait_for(1);
    serves_others(&world);
    ends("SIGKILL in ls", &script, Signal::KILL);
    world.proxy.heal();
    let list = "assert os.listdir('dir') == ['inner']";
    assert_eq!(attempt(world.mount.path(), list), "ok");
    gate.open();
}

#[test]
fn a_reader_interrupted_in_open_is_gone_at_once() {
    let world = or_skip!(World::new());
    world.other.put("stuck", "value");
    // Python handles SIGINT of its own accord; this is the default action.
    let default = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)";
    let open = "os.open('stuck', os.O_RDONLY)";
    let (script, gate) = blocked(&world, default, open, |request| request.op == Op::Get);
    ends("SIGINT (default) in open", &script, Signal::INT);
    assert_eq!(script.finish().signal, Some(2));
    gate.open();
}

#[test]
fn a_reader_that_handles_the_interrupt_hears_of_it_at_once() {
    let world = or_skip!(World::new());
    world.other.put("stuck", "value");
    let open = "os.open('stuck', os.O_RDONLY)";
    let (script, gate) = blocked(&world, "", open, |request| request.op == Op::Get);
    ends("SIGINT (handled) in open", &script, Signal::INT);
    assert!(script.finish().stderr.contains("KeyboardInterrupt"));
    gate.open();
}

#[test]
fn a_writer_killed_in_close_is_gone_at_once_and_its_bytes_are_kept() {
    let world = or_skip!(World::new());
    world.other.put("stuck", "old");
    let write = "f = os.open('stuck', os.O_RDWR); os.write(f, b'new')";
    let (script, gate) = blocked(&world, write, "os.close(f)", |request| {
        request.op == Op::Put
    });
    serves_others(&world);
    // A save under way is not in the way of readers of the same key.
    let read = "assert open('stuck').read() == 'old'";
    assert_eq!(attempt(world.mount.path(), read), "ok");
    ends("SIGKILL in close", &script, Signal::KILL);
    wait::until("the bytes are in a rescue", wait::SOON, || {
        rescues::of_key(world.mount.state_dir(), "stuck") == ["new"]
    });
    world.proxy.heal();
    assert_eq!(attempt(world.mount.path(), &save("stuck", "next")), "ok");
    assert_eq!(world.other.text("stuck"), "next");
    gate.open();
}

#[test]
fn a_writer_interrupted_in_close_is_gone_at_once_and_its_save_goes_on() {
    let world = or_skip!(World::new());
    world.other.put("stuck", "old");
    let write = "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)
f = os.open('stuck', os.O_RDWR); os.write(f, b'new')";
    let gate = Gate::new();
    let held = When::op(Op::Put).key("stuck");
    world.proxy.inject(held, Fault::HoldRequest(gate.clone()));
    let script = format!(
        "import os\nos.chdir({:?})\n{write}\nos.close(f)\nprint('unblocked', flush=True)",
        world.mount.path()
    );
    let script = Script::python(&script).start();
    gate.wait_for(1);
    ends("SIGINT (default) in close", &script, Signal::INT);
    gate.open();
    wait::until("the save has landed", wait::SOON, || {
        world.other.text("stuck") == "new"
    });
}

#[test]
fn a_writer_that_handles_the_interrupt_hears_how_its_save_ended() {
    let world = or_skip!(World::new());
    world.other.put("stuck", "old");
    let gate = Gate::new();
    let held = When::op(Op::Put).key("stuck");
    world.proxy.inject(held, Fault::HoldRequest(gate.clone()));
    let script = format!(
        "import os, signal\nsignal.signal(signal.SIGINT, lambda *_: None)\nos.chdir({:?})
f = os.open('stuck', os.O_RDWR); os.write(f, b'new')
os.close(f)\nprint('saved', flush=True)",
        world.mount.path()
    );
    let script = Script::python(&script).start();
    gate.wait_for(1);
    script.signal(Signal::INT);
    // Longer than the watchdog would take; "interrupted" could be taken for "saved", so it waits.
    assert!(!wait::eventually(Duration::from_secs(1), || script.ended()));
    gate.open();
    assert!(script.finish().ok().stdout.contains("saved"));
    assert_eq!(world.other.text("stuck"), "new");
}

/// The kernel closes its files while it exits.
#[test]
fn a_writer_killed_before_its_close_is_gone_at_once_and_its_bytes_are_kept() {
    let world = or_skip!(World::new());
    world.other.put("stuck", "old");
    let gate = Gate::new();
    let put = When::op(Op::Put).key("stuck");
    world.proxy.inject(put, Fault::BlackHole(gate.clone()));
    let script = format!(
        "import os, time\nos.chdir({:?})\nf = os.open('stuck', os.O_RDWR); os.write(f, b'new')
print('ready', flush=True)\ntime.sleep(1000)",
        world.mount.path()
    );
    let script = Script::python(&script).start();
    wait::until("the file is written", wait::SOON, || {
        script.stdout_so_far().contains("ready")
    });
    ends("SIGKILL with a dirty file", &script, Signal::KILL);
    gate.wait_for(1);
    serves_others(&world);
    wait::until("the bytes are in a rescue", wait::SOON, || {
        rescues::of_key(world.mount.state_dir(), "stuck") == ["new"]
    });
    gate.open();
}

/// The kernel locks a directory over an unlink, and makes others wait for the lock without hearing
/// signals. No filesystem in user space can change that; the deadline bounds it.
#[test]
fn who_waits_in_the_kernel_behind_a_hung_unlink_is_gone_when_that_has_ended() {
    let world = or_skip!(World::new());
    world.other.put("dir/stuck", "old");
    world.other.put("dir/healthy", "old");
    let gate = Gate::new();
    let delete = When::op(Op::Delete).key("dir/stuck");
    world.proxy.inject(delete, Fault::BlackHole(gate.clone()));
    let script = |call: &str| {
        let at = world.mount.path();
        let text = format!("import os\nos.chdir({at:?})\nprint('ready', flush=True)\n{call}");
        Script::python(&text).start()
    };
    let remover = script("os.unlink('dir/stuck')");
    gate.wait_for(1);
    let waiter = script("os.stat('dir/healthy')");
    let stat = format!("/proc/{}/stat", waiter.pid());
    wait::until("it waits", wait::SOON, || {
        let stat = std::fs::read_to_string(&stat).unwrap_or_default();
        waiter.ended() || stat.contains(" D ")
    });
    let begun = Instant::now();
    waiter.kill();
    wait::until("the waiter ends", wait::SOON, || waiter.ended());
    let line = format!(
        "SIGKILL behind a hung unlink: {} ms",
        begun.elapsed().as_millis()
    );
    println!("{line}");
    report::append_line("kill-latencies", &line);
    let out = remover.finish();
    assert!(out.stderr.contains("Input/output error"), "{out:#?}");
    serves_others(&world);
    gate.open();
}
