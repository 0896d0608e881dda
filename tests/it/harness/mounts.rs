//! The mounting, with a stand-in for etagfs: a script with its command line that mounts a tmpfs.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::world::client::Keys;
use crate::world::mounts::{Mount, is_mount_point};
use crate::world::procs::{Script, write_program};
use crate::world::servers::Bucket;
use crate::world::wait;

/// Mounts, says so, and waits for its end: by SIGTERM or because somebody else unmounted.
const STAND_IN: &str = r#"#!/bin/sh
echo "called with: $*"
echo "key $AWS_ACCESS_KEY_ID, X=$X"
trap 'umount "$3"; echo bye; exit 0' TERM
mount -t tmpfs stand-in "$3" || exit 1
while grep -q " $3 " /proc/self/mountinfo; do sleep 0.05; done
"#;

const FAILING: &str = "#!/bin/sh\necho 'no such bucket' >&2\nexit 7\n";

fn program(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    write_program(&path, text);
    (directory, path)
}

fn bucket() -> Bucket {
    let keys = Keys {
        id: "id".to_owned(),
        secret: "secret".to_owned(),
    };
    Bucket {
        name: "b".to_owned(),
        endpoint: "http://127.0.0.1:1".to_owned(),
        keys,
    }
}

/// A tmpfs can be mounted by root only (and not even by every container's).
fn tmpfs() -> Result<(), String> {
    let tried = tempfile::tempdir().unwrap();
    let out = Script::dash("mount -t tmpfs t . && umount -l .")
        .within(tried.path())
        .run();
    if out.code == Some(0) {
        Ok(())
    } else {
        Err(format!("no tmpfs here: {}", out.stderr.trim()))
    }
}

#[test]
fn a_mount_is_there_when_started_and_gone_when_unmounted() {
    or_skip!(tmpfs());
    let (_kept, stand_in) = program(STAND_IN);
    let mount = Mount::of(&bucket())
        .by(&stand_in)
        .prefix("p")
        .flat()
        .env("X", "y")
        .start();
    assert!(is_mount_point(mount.path()));
    fs::write(mount.file("key"), "value").unwrap();
    let (point, state) = (mount.path().to_owned(), mount.state_dir().to_owned());
    let log = mount.unmount();
    assert!(!is_mount_point(&point));
    let called = format!(
        "called with: mount s3://b/p {} --endpoint-url http://127.0.0.1:1 --path-style \
         --state-dir {} --flat\nkey id, X=y\n",
        point.display(),
        state.display()
    );
    assert!(log.starts_with(&called), "{log}");
}

#[test]
fn a_terminated_mount_unmounts_itself() {
    or_skip!(tmpfs());
    let (_kept, stand_in) = program(STAND_IN);
    let log = Mount::of(&bucket()).by(&stand_in).start().terminate();
    assert!(log.ends_with("bye\n"), "{log}");
}

#[test]
fn a_mount_that_fails_tells_its_status_and_what_it_said() {
    let (_kept, failing) = program(FAILING);
    let failed = Mount::of(&bucket()).by(&failing).try_start().unwrap_err();
    assert_eq!(failed.status.and_then(|status| status.code()), Some(7));
    assert_eq!(failed.log, "no such bucket\n");
}

#[test]
fn a_killed_mount_is_taken_away() {
    or_skip!(tmpfs());
    let (_kept, stand_in) = program(STAND_IN);
    let mut mount = Mount::of(&bucket()).by(&stand_in).start();
    let point = mount.path().to_owned();
    mount.kill();
    assert!(is_mount_point(&point));
    mount.clear();
    assert!(!is_mount_point(&point));
}

#[test]
fn a_failing_test_leaves_no_mount_and_no_process() {
    or_skip!(tmpfs());
    let (_kept, stand_in) = program(STAND_IN);
    let mut seen = None;
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
        let mount = Mount::of(&bucket()).by(&stand_in).start();
        // Busy, as a test that fails may leave it.
        let busy = Script::dash("exec sleep 1000").within(mount.path()).start();
        seen = Some((mount.path().to_owned(), mount.pid()));
        let _held = (mount, busy);
        panic!("expected in the output of a passing test");
    }));
    assert!(outcome.is_err());
    let (point, pid) = seen.unwrap();
    assert!(!is_mount_point(&point));
    wait::until("the daemon is gone", wait::SOON, || {
        !Path::new(&format!("/proc/{pid}/exe")).exists()
    });
}

#[test]
fn two_mounts_of_a_bucket_share_nothing_but_the_bucket() {
    or_skip!(tmpfs());
    let (_kept, stand_in) = program(STAND_IN);
    let state = tempfile::tempdir().unwrap();
    let one = Mount::of(&bucket()).by(&stand_in).start();
    let two = Mount::of(&bucket())
        .by(&stand_in)
        .state_dir(state.path())
        .read_only()
        .start();
    assert_ne!(one.path(), two.path());
    assert_ne!(one.state_dir(), two.state_dir());
    assert_eq!(two.state_dir(), state.path());
    assert!(two.log().contains("--read-only"));
    one.unmount();
    assert!(is_mount_point(two.path()));
    two.unmount();
}
