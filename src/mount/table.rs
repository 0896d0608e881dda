//! The kernel's table of mounts, as far as it is about ours.
//!
//! It reads `/proc/self/mountinfo` (proc(5)) and asks no filesystem, so that it answers although a mount is
//! dead. `unmount.rs` takes mounts out of the tree.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::MountLine;

/// Whether a mount of this program is at a directory, even if its daemon is gone.
///
/// # Errors
/// When the table of mounts cannot be read.
pub fn is_mount_point(at: &Path) -> io::Result<bool> {
    let at = real(at)?;
    Ok(read()?
        .lines()
        .filter_map(MountLine::parse)
        .any(|line| line.is_ours() && line.at == at))
}

/// The device of what is mounted at this place, as `MAJOR:MINOR`: the newest of several.
pub(super) fn device_at(at: &Path) -> io::Result<Option<String>> {
    let at = real(at)?;
    let table = read()?;
    let mut lines = table.lines().rev().filter_map(MountLine::parse);
    Ok(lines
        .find(|line| line.at == at)
        .map(|line| line.device.to_owned()))
}

/// The device of the mount with this number, in a table of mounts.
pub(super) fn device_of(table: &str, number: u64) -> Option<&str> {
    let is_it = |line: &&str| line.split(' ').next() == Some(&*number.to_string());
    table
        .lines()
        .find(is_it)
        .and_then(MountLine::parse)
        .map(|line| line.device)
}

fn read() -> io::Result<String> {
    std::fs::read_to_string("/proc/self/mountinfo")
}

/// The table holds real paths. A dead mount answers nothing, but its path can be resolved: the kernel
/// knows that its root is no link.
fn real(at: &Path) -> io::Result<PathBuf> {
    at.canonicalize().or_else(|_| std::path::absolute(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_by_its_number() {
        let table =
            "24 1 0:22 / /proc rw - proc proc rw\n4 1 0:39 / /m rw - fuse.etagfs s3://b rw\n";
        assert_eq!(device_of(table, 4), Some("0:39"));
        assert_eq!(device_of(table, 2), None);
    }

    #[test]
    fn a_directory_that_is_no_mount_point_is_none() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(!is_mount_point(dir.path()).expect("readable"));
    }
}
