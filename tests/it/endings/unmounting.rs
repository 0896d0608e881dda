//! Unmounting by the user: `etagfs umount`, `fusermount3 -u`.

use std::fs;

use super::{holder, says, umount, umount_when_unused, when_unused};
use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted, is_mount_point};
use crate::world::procs::Script;
use crate::world::servers::{self, Kind};
use crate::world::wait;

fn mounted() -> Result<(Client, Mounted), String> {
    mounts::possible()?;
    let bucket = servers::shared(Kind::Ministack)?.bucket();
    bucket.client().put("key", "old");
    let mount = Mount::of(&bucket).flat().start();
    Ok((bucket.client(), mount))
}

#[track_caller]
fn ends(mount: &mut Mounted) {
    wait::until("the daemon ends", wait::SOON, || mount.ended().is_some());
    assert!(mount.ended().unwrap().success());
    assert!(!is_mount_point(mount.path()));
}

#[test]
fn umount_ends_the_mount_and_its_daemon() {
    let (_, mut mount) = or_skip!(mounted());
    let out = umount_when_unused(mount.path()).ok();
    assert_eq!((&*out.stdout, &*out.stderr), ("", ""));
    ends(&mut mount);
}

#[test]
fn umount_knows_the_mount_by_all_its_names() {
    for name in ["mnt", "./mnt/", "state/../mnt", "link", "link/"] {
        let (_, mut mount) = or_skip!(mounted());
        let base = mount.path().parent().unwrap().to_owned();
        std::os::unix::fs::symlink("mnt", base.join("link")).unwrap();
        let command = format!("exec '{}' umount {name}", super::ETAGFS);
        when_unused(|| Script::bash(&command).within(&base).run()).ok();
        ends(&mut mount);
    }
}

#[test]
fn fusermount_ends_the_mount_and_its_daemon() {
    let (_, mut mount) = or_skip!(mounted());
    let command = format!("fusermount3 -u '{}'", mount.path().display());
    when_unused(|| Script::bash(&command).run()).ok();
    ends(&mut mount);
}

#[test]
fn umount_of_a_busy_mount_is_refused_and_says_what_to_do() {
    let (other, mut mount) = or_skip!(mounted());
    let go = mount.state_dir().join("go");
    let write = "f = os.open('key', os.O_RDWR); os.write(f, b'new')";
    let writer = holder(mount.path(), write, &go, "os.close(f)");
    let shown = mount.path().display().to_string();
    let out = umount("", mount.path());
    says(&out, 1, &[&shown, "busy", "--lazy", "fuser -vm"]);
    // It is as it was.
    assert!(is_mount_point(mount.path()));
    assert_eq!(fs::read_to_string(mount.file("key")).unwrap(), "old");

    umount("--lazy", mount.path()).ok();
    assert!(!is_mount_point(mount.path()));
    assert!(mount.ended().is_none(), "it goes on for its last user");
    fs::write(&go, "").unwrap();
    writer.finish().ok();
    assert_eq!(other.text("key"), "new");
    ends(&mut mount);
}

#[test]
fn umount_of_what_is_no_mount_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let shown = dir.path().display().to_string();
    says(&umount("", dir.path()), 1, &[&shown, "findmnt"]);
    let missing = dir.path().join("missing");
    says(&umount("", &missing), 1, &["missing", "findmnt"]);
    // What is mounted there is not ours.
    says(&umount("", "/proc".as_ref()), 1, &["/proc", "findmnt"]);
}

#[test]
fn the_end_of_a_mount_takes_nothing_else_from_its_place() {
    or_skip!(mounts::possible());
    if !rustix::process::geteuid().is_root() {
        skip!("only root can mount something below");
    }
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let base = tempfile::tempdir().unwrap();
    let at = base.path().canonicalize().unwrap().join("mnt");
    fs::create_dir(&at).unwrap();
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("below", &at, "tmpfs", flags, None).unwrap();
    let mut mount = Mount::of(&bucket).flat().at(&at).start();
    wait::until("the bucket is mounted", wait::SOON, || {
        fs::read(at.join(".etagfs/status")).is_ok()
    });
    umount_when_unused(&at).ok();
    wait::until("the daemon ends", wait::SOON, || mount.ended().is_some());
    assert!(mount.ended().unwrap().success());
    assert!(is_mount_point(&at), "what was there before is gone");
}
