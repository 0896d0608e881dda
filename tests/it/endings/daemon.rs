//! `--daemon`: the command returns when the mount is ready, and the mount goes on until it is unmounted.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::mount::UnmountFlags;

use super::{command, says, umount_when_unused};
use crate::world::mounts::{self, is_mount_point};
use crate::world::servers::{self, Kind};
use crate::world::wait;

/// A mount point that is cleared at the end.
struct Point(tempfile::TempDir);

impl Point {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["mnt", "state"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self(dir)
    }

    fn at(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap().join("mnt")
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }
}

impl Drop for Point {
    fn drop(&mut self) {
        if is_mount_point(&self.at()) {
            // Not by the command that is tested here.
            let _ = rustix::mount::unmount(self.at(), UnmountFlags::DETACH);
        }
    }
}

fn log_of(state: &Path) -> String {
    let entries = fs::read_dir(state)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut logs = entries.filter(|path| path.extension().is_some_and(|ending| ending == "log"));
    fs::read_to_string(logs.next().expect("a log")).unwrap()
}

#[test]
fn a_daemon_is_ready_when_the_command_returns_and_ends_by_umount() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    bucket.client().put("key", "value");
    let point = Point::new();
    let at = point.at();
    let state = point.state().join("new");
    let arguments = format!(
        "mount --daemon --flat 's3://{}' '{}'",
        bucket.name,
        at.display()
    );
    let out = command(&bucket, &state, &arguments).run().ok();
    assert_eq!((&*out.stdout, &*out.stderr), ("", ""));
    assert!(is_mount_point(&at), "it is not ready");
    assert_eq!(fs::read_to_string(at.join("key")).unwrap(), "value");
    fs::write(at.join("key"), "saved").unwrap();
    assert_eq!(bucket.client().text("key"), "saved");
    let log = log_of(&state);
    assert!(log.contains("mounted") && !log.contains('\x1b'), "{log}");

    // What is kept of values, and of their names, is nobody else's.
    let mode = fs::metadata(&state).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);

    let status = fs::read_to_string(at.join(".etagfs/status")).unwrap();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let process = Path::new("/proc").join(status["pid"].to_string());
    assert_eq!(fs::read_link(process.join("cwd")).unwrap(), Path::new("/"));
    umount_when_unused(&at).ok();
    wait::until("the daemon ends", wait::SOON, || !process.exists());
    assert!(!is_mount_point(&at));
    assert!(log_of(&state).contains("unmounted"));
}

#[test]
fn a_daemon_that_cannot_begin_says_so_once() {
    or_skip!(mounts::possible());
    let mut bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    bucket.name = "nosuchbucket".to_owned();
    let point = Point::new();
    let arguments = format!(
        "mount --daemon s3://nosuchbucket '{}'",
        point.at().display()
    );
    let out = command(&bucket, &point.state(), &arguments).run();
    says(&out, 1, &["nosuchbucket does not exist", "endpoint"]);
    assert!(!is_mount_point(&point.at()));
}
