//! W9 and W16 where the state directory is full.

use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use super::scratch::rescue;
use super::{World, errno, world};
use crate::world::mounts::Mount;
use crate::world::procs::Script;

/// They lie in the state directory
#[test]
fn w9_a_full_state_directory_says_so_and_harms_no_key() {
    let world = or_skip!(world());
    if !rustix::process::geteuid().is_root() {
        skip!("only root can mount a small disk");
    }
    let disk = SmallDisk::new();
    let mount = disk.mount_of(&world).start();
    world.other.put("key", "v".repeat(200_000));
    let moved = fs::rename(mount.file("key"), mount.file("key~"));
    let written = fs::write(mount.file("notes~"), "v".repeat(200_000));
    let (moved, written) = (errno(moved), errno(written));
    let shown = fs::read(mount.file("key")).map(|value| value.len());
    mount.unmount();
    assert_eq!((moved, written), (libc::ENOSPC, libc::ENOSPC));
    assert_eq!(shown.unwrap(), 200_000);
    assert_eq!(world.other.keys(), ["key"]);
}

/// When a part of a value could not be written for want of room (`ENOSPC`), what there is of it is
/// neither saved nor rescued
#[test]
fn w16_half_a_value_that_had_no_room_replaces_nothing() {
    let world = or_skip!(world());
    if !rustix::process::geteuid().is_root() {
        skip!("only root can mount a small disk");
    }
    let disk = SmallDisk::new();
    let mount = disk.mount_of(&world).arg("--draft-memory=4K").start();
    world.other.put("key", "old");
    let large = "v".repeat(2_000_000);
    let mut file = File::create(mount.file("key")).unwrap();
    let written = file.write_all(large.as_bytes());
    let saved = file.sync_all();
    drop(file);
    let made = fs::write(mount.file("new"), &large);
    assert_eq!((errno(written), errno(saved)), (libc::ENOSPC, libc::ENOSPC));
    assert_eq!(errno(made), libc::ENOSPC);
    // Emptied, it begins anew; and lines that had room are lines.
    let mut file = File::create(mount.file("again")).unwrap();
    assert!(file.write_all(large.as_bytes()).is_err());
    file.set_len(0).unwrap();
    file.rewind().unwrap();
    file.write_all(b"small").unwrap();
    file.sync_all().unwrap();
    // So does what is cut off where the room ended.
    let mut cut = File::create(mount.file("cut")).unwrap();
    cut.write_all(&[b'c'; 5000]).unwrap();
    let room = cut.metadata().unwrap().len();
    assert!(cut.write_all_at(large.as_bytes(), room).is_err());
    assert_eq!(errno(cut.sync_all()), libc::ENOSPC);
    cut.set_len(room).unwrap();
    cut.sync_all().unwrap();
    drop(cut);
    let mut log = File::options();
    let mut log = log
        .create(true)
        .append(true)
        .open(mount.file("log"))
        .unwrap();
    log.write_all(b"line\n").unwrap();
    assert!(log.write_all(large.as_bytes()).is_err());
    log.sync_all().unwrap();
    drop((file, log));
    mount.unmount();
    assert_eq!(world.other.text("key"), "old");
    assert_eq!(world.other.text("again"), "small");
    assert_eq!(world.other.text("cut"), "c".repeat(5000));
    assert_eq!(rescue(&["ls"], disk.path()), "");
    let log = world.other.text("log");
    assert!(log.starts_with("line\n") && !log.contains('\0'), "{log:?}");
    assert_eq!(world.other.keys(), ["again", "cut", "key", "log"]);
}

/// A disk of 64 KiB, until it is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Self {
        let at = tempfile::tempdir().unwrap();
        let mount = "mount -t tmpfs -o size=64k tmpfs .";
        Script::dash(mount).within(at.path()).run().ok();
        Self(at)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// A mount that keeps there what it keeps on this machine.
    fn mount_of(&self, world: &World) -> Mount {
        Mount::of(&world.bucket).flat().state_dir(self.path())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .args(["--lazy".as_ref(), self.path()])
            .status();
    }
}
