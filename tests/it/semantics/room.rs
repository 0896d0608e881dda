//! W9, W16 and A6 where the state directory is full.

use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;

use super::scratch::rescue;
use super::{World, errno, open_both, world};
use crate::world::disk::SmallDisk;
use crate::world::mounts::Mount;

/// They are in the state directory
#[test]
fn w9_a_full_state_directory_says_so_and_harms_no_key() {
    let world = or_skip!(world());
    if !rustix::process::geteuid().is_root() {
        skip!("only root can mount a small disk");
    }
    let disk = SmallDisk::new("64k");
    let mount = mount_on(&disk, &world).start();
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

/// When a part of a value could not be written for lack of room (`ENOSPC`), the partially written value
/// is neither saved nor rescued
#[test]
fn w16_half_a_value_that_had_no_room_replaces_nothing() {
    let world = or_skip!(world());
    if !rustix::process::geteuid().is_root() {
        skip!("only root can mount a small disk");
    }
    let disk = SmallDisk::new("64k");
    let mount = mount_on(&disk, &world).arg("--draft-memory=4K").start();
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

/// While that directory has no room, rescued bytes stay in memory, up to `--rescue-memory` (64 MiB)
#[test]
fn a6_a_refused_save_is_rescued_though_the_disk_is_full() {
    let world = or_skip!(world());
    if !rustix::process::geteuid().is_root() {
        skip!("only root can mount a small disk");
    }
    let disk = SmallDisk::new("64k");
    let mount = mount_on(&disk, &world).start();
    world.other.put("key", "old");
    disk.fill();
    let mut loser = open_both(&mount.file("key")).unwrap();
    loser.write_all(b"mine").unwrap();
    fs::write(mount.file("key"), "theirs").unwrap();
    assert_eq!(errno(loser.sync_all()), libc::EAGAIN);
    drop(loser);
    let shown = fs::read_dir(mount.file(".etagfs/rescue")).unwrap();
    let shown: Vec<_> = shown
        .map(|one| fs::read(one.unwrap().path()).unwrap())
        .collect();
    assert_eq!(shown, [b"mine"]);
    disk.make_room();
    mount.unmount();
    assert!(rescue(&["ls"], disk.path()).contains("/key "));
}

/// Otherwise the mount is refused.
#[test]
fn a6_a_mount_without_room_for_a_rescue_is_refused() {
    let world = or_skip!(world());
    if !rustix::process::geteuid().is_root() {
        skip!("only root can mount a small disk");
    }
    let disk = SmallDisk::new("64k");
    disk.fill();
    let refused = mount_on(&disk, &world).try_start().unwrap_err();
    assert_eq!(refused.status.and_then(|status| status.code()), Some(1));
    assert!(refused.log.contains("--state-dir"), "{}", refused.log);
    disk.make_room();
    mount_on(&disk, &world).start().unmount();
}

/// A mount that keeps there what it keeps on this machine.
fn mount_on(disk: &SmallDisk, world: &World) -> Mount {
    Mount::of(&world.bucket).flat().state_dir(disk.path())
}
