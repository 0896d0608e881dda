//! SIGTERM and SIGINT (A2): what is being saved is saved, what is half written is kept, and the end is
//! orderly.

use rustix::process::Signal;

use super::{command, holder};
use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::proxy::{Fault, Gate, Op, Proxy, When};
use crate::world::rescues;
use crate::world::servers::{self, Kind};

struct World {
    state: tempfile::TempDir,
    other: Client,
    proxy: Proxy,
    mount: Mounted,
}

impl World {
    fn new() -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(Kind::Ministack)?.bucket();
        let proxy = Proxy::to(&bucket.endpoint);
        let state = tempfile::tempdir().unwrap();
        let mount = Mount::of(&bucket)
            .through(&proxy)
            .flat()
            .state_dir(state.path())
            .start();
        bucket.client().put("key", "old");
        Ok(Self {
            state,
            other: bucket.client(),
            proxy,
            mount,
        })
    }
}

const WRITE: &str = "f = os.open('key', os.O_RDWR); os.write(f, b'new')";

#[test]
fn sigterm_ends_an_idle_mount() {
    let world = or_skip!(World::new());
    let log = world.mount.terminate();
    assert!(log.contains("unmounted"), "{log}");
}

#[test]
fn sigint_ends_an_idle_mount() {
    let mut world = or_skip!(World::new());
    world.mount.signal(Signal::INT);
    // The second signal changes nothing.
    world.mount.terminate();
}

#[test]
fn a_mount_that_waits_for_its_store_ends_when_it_is_told_to() {
    or_skip!(mounts::possible());
    let mut bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    bucket.endpoint = proxy.endpoint();
    for signal in [Signal::INT, Signal::TERM] {
        let (dir, state) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let hole = Gate::new();
        let fault = proxy.inject(When::any(), Fault::BlackHole(hole.clone()));
        let at = dir.path().display();
        let mounting = command(
            &bucket,
            state.path(),
            &format!("mount s3://{} '{at}' --deadline 3600", bucket.name),
        );
        let mounting = mounting.start();
        hole.wait_for(1);
        mounting.signal(signal);
        let out = mounting.finish();
        // As a shell counts them, and in one line: nothing is mounted.
        assert_eq!(out.code, Some(128 + signal.as_raw()), "{out:#?}");
        assert_eq!(out.stderr.lines().count(), 1, "{out:#?}");
        assert!(out.stderr.contains("nothing is mounted at"), "{out:#?}");
        fault.remove();
    }
}

#[test]
fn sigterm_waits_for_a_save_that_is_under_way() {
    let mut world = or_skip!(World::new());
    let gate = Gate::new();
    let put = When::op(Op::Put).key("key");
    world.proxy.inject(put, Fault::HoldRequest(gate.clone()));
    let go = world.state.path().join("go");
    let writer = holder(world.mount.path(), WRITE, &go, "os.close(f)");
    std::fs::write(&go, "").unwrap();
    gate.wait_for(1);
    world.mount.signal(Signal::TERM);
    gate.open();
    assert!(writer.finish().ok().stdout.contains("done"));
    world.mount.terminate();
    assert_eq!(world.other.text("key"), "new");
    assert!(rescues::of(world.state.path()).is_empty());
}

#[test]
fn sigterm_rescues_a_save_that_does_not_end_within_the_grace_time() {
    let world = or_skip!(World::new());
    let gate = Gate::new();
    let put = When::op(Op::Put).key("key");
    world.proxy.inject(put, Fault::BlackHole(gate.clone()));
    let go = world.state.path().join("go");
    let writer = holder(world.mount.path(), WRITE, &go, "os.close(f)");
    std::fs::write(&go, "").unwrap();
    gate.wait_for(1);
    let log = world.mount.terminate();
    assert!(log.contains("the grace time is over"), "{log}");
    let rescued = rescues::of(world.state.path());
    assert_eq!(rescued.len(), 1, "{rescued:?}");
    assert_eq!((&*rescued[0].key, &*rescued[0].bytes), ("key", "new"));
    assert_eq!(rescued[0].reason, "unmounted");
    // Its close does not claim success.
    assert_ne!(writer.finish().code, Some(0));
    assert_eq!(world.other.text("key"), "old");
    gate.open();
}

#[test]
fn sigterm_rescues_what_is_half_written_and_does_not_save_it() {
    let world = or_skip!(World::new());
    let go = world.state.path().join("go");
    let writer = holder(world.mount.path(), WRITE, &go, "os.close(f)");
    let mark = world.proxy.mark();
    world.mount.terminate();
    let rescued = rescues::of(world.state.path());
    assert_eq!(rescued.len(), 1, "{rescued:?}");
    assert_eq!((&*rescued[0].key, &*rescued[0].bytes), ("key", "new"));
    assert_eq!(rescued[0].reason, "unmounted");
    std::fs::write(&go, "").unwrap();
    assert_ne!(writer.finish().code, Some(0), "its close claims success");
    assert_eq!(world.proxy.since(mark).of(Op::Put).len(), 0);
    assert_eq!(world.other.text("key"), "old");
}

#[test]
fn sigterm_does_not_wait_for_readers() {
    let world = or_skip!(World::new());
    let go = world.state.path().join("go");
    let open = "f = os.open('key', os.O_RDONLY)";
    let reader = holder(world.mount.path(), open, &go, "");
    world.mount.terminate();
    assert!(rescues::of(world.state.path()).is_empty());
    reader.kill();
}
