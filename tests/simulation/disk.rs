//! The disk of the state directories: a small one that can be filled, where one may be mounted.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A disk, until it is dropped.
pub(crate) struct Disk {
    at: tempfile::TempDir,
    is_small: bool,
}

impl Disk {
    /// A small one if that can be had, else a directory in memory if there is one.
    pub(crate) fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let at = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let at = at.unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(at.path())
            .output();
        Self {
            is_small: mounted.is_ok_and(|done| done.status.success()),
            at,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.at.path()
    }

    /// Whether it can be filled.
    pub(crate) fn is_small(&self) -> bool {
        self.is_small
    }

    /// Takes all room that there is.
    pub(crate) fn fill(&self) {
        if !self.is_small {
            return;
        }
        let mut file = File::create(self.ballast()).unwrap();
        while file.write_all(&[b'x'; 65536]).is_ok() {}
        while file.write_all(b"x").is_ok() {}
    }

    /// Gives it back.
    pub(crate) fn make_room(&self) {
        let _ = fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.is_small {
            let _ = Command::new("umount")
                .arg("--lazy")
                .arg(self.path())
                .status();
        }
    }
}
