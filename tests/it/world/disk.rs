//! A small disk: a tmpfs that is soon full. Only root can mount one.
//!
//! ```ignore
//! let disk = or_skip_optional!(SmallDisk::new("64k"));
//! disk.fill(); disk.make_room();
//! ```

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::procs::Script;

/// A disk, until it is dropped.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// One of this size, in the words of mount(8).
    pub(crate) fn new(size: &str) -> Self {
        let at = tempfile::tempdir().unwrap();
        let mount = format!("mount -t tmpfs -o size={size} tmpfs .");
        Script::dash(&mount).within(at.path()).run().ok();
        Self(at)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Takes all room that there is.
    pub(crate) fn fill(&self) {
        let mut file = File::create(self.filler()).unwrap();
        while file.write_all(&[b'x'; 1024]).is_ok() {}
    }

    /// Gives it back.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler.log")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .args(["--lazy".as_ref(), self.path()])
            .status();
    }
}
