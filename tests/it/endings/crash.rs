//! A daemon that was killed: what its mount point says, how it is cleared, what is left.

use std::fs;
use std::path::Path;

use super::{command, says, umount_when_unused};
use crate::world::attempts::{attempt, save};
use crate::world::mounts::{self, Mount, is_mount_point};
use crate::world::procs::Script;
use crate::world::proxy::{Fault, Gate, Op, Proxy, When};
use crate::world::rescues;
use crate::world::servers::{self, Kind};

#[test]
fn a_crash_leaves_a_dead_mount_that_umount_clears_and_complete_rescues() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let other = bucket.client();
    let state = tempfile::tempdir().unwrap();
    let mut mount = Mount::of(&bucket).flat().state_dir(state.path()).start();
    let large = "x".repeat(3 << 20);
    other.put("key", "old");
    // A lost race, with bytes that take their time.
    let lose = format!(
        "import subprocess
f = os.open('key', os.O_RDWR)
os.write(f, b'x' * {})
t = os.open('key', os.O_WRONLY | os.O_TRUNC); os.fsync(t); os.close(t)
os.close(f)",
        large.len()
    );
    assert_eq!(attempt(mount.path(), &lose), "EAGAIN");
    mount.kill();

    assert_eq!(attempt_at(mount.path(), "os.listdir('.')"), "ENOTCONN");
    assert!(is_mount_point(mount.path()));
    let arguments = format!("mount 's3://{}' '{}'", bucket.name, mount.path().display());
    let out = command(&bucket, state.path(), &arguments).run();
    says(&out, 1, &["mounted at", "etagfs umount"]);
    umount_when_unused(mount.path()).ok();
    assert!(!is_mount_point(mount.path()));
    drop(mount);

    assert_eq!(rescues::of_key(state.path(), "key"), [large.as_str()]);
    let again = Mount::of(&bucket).flat().state_dir(state.path()).start();
    assert_eq!(attempt(again.path(), &save("key", "next")), "ok");
    assert_eq!(other.text("key"), "next");
    let id = &rescues::of(state.path())[0].id;
    let kept = again.file(".etagfs/rescue").join(id);
    assert_eq!(fs::read_to_string(kept).unwrap(), large);
    again.unmount();
}

/// As `attempt`, on a directory that cannot even be entered.
fn attempt_at(at: &Path, statement: &str) -> String {
    let script = format!(
        "import errno, os\ntry:\n  os.chdir({at:?}); {statement}; print('ok')
except OSError as error: print(errno.errorcode[error.errno])"
    );
    Script::python(&script).run().ok().stdout.trim().to_owned()
}

#[test]
fn a_crash_during_a_save_leaves_no_half_of_it() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let other = bucket.client();
    let proxy = Proxy::to(&bucket.endpoint);
    let mut mount = Mount::of(&bucket).through(&proxy).flat().start();
    other.put("key", "old");
    let gate = Gate::new();
    let put = When::op(Op::Put).key("key");
    proxy.inject(put, Fault::BlackHole(gate.clone()));
    let path = mount.path().to_owned();
    let said = std::thread::scope(|scope| {
        let saving = scope.spawn(|| attempt(&path, &save("key", "new")));
        gate.wait_for(1);
        mount.kill();
        saving.join().unwrap()
    });
    assert!(
        ["ECONNABORTED", "ENOTCONN", "EIO"].contains(&&*said),
        "{said}"
    );
    assert_eq!(other.text("key"), "old");
    assert!(rescues::of(mount.state_dir()).is_empty());
    gate.open();
}
