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

/// The mount of this program that a place is in, if it is in one. The path has no links.
///
/// # Errors
/// When the table of mounts cannot be read.
pub fn mount_above(place: &Path) -> io::Result<Option<PathBuf>> {
    Ok(above(&read()?, place))
}

fn above(table: &str, place: &Path) -> Option<PathBuf> {
    // Of those that are mounted over each other the last one counts.
    let lines = table.lines().filter_map(MountLine::parse);
    let holding = lines.filter(|line| place.starts_with(&line.at));
    let innermost = holding.max_by_key(|line| line.at.components().count())?;
    innermost.is_ours().then_some(innermost.at)
}

/// Where the mounts of this program are.
///
/// # Errors
/// When the table of mounts cannot be read.
pub fn mount_points() -> io::Result<Vec<PathBuf>> {
    let table = read()?;
    let lines = table.lines().filter_map(MountLine::parse);
    Ok(lines
        .filter(MountLine::is_ours)
        .map(|line| line.at)
        .collect())
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
    fn a_place_is_in_the_innermost_mount() {
        let table = "24 1 0:22 / / rw - ext4 /dev/sda rw
42 24 0:39 / /m rw - fuse.etagfs s3://b rw
43 42 0:40 / /m/in rw - tmpfs tmpfs rw
44 24 0:41 / /over rw - fuse.etagfs s3://b rw
45 44 0:42 / /over rw - tmpfs tmpfs rw
";
        for (place, expected) in [
            ("/m", Some("/m")),
            ("/m/state", Some("/m")),
            ("/m/in/state", None),
            ("/mm", None),
            ("/", None),
            ("/over/state", None),
        ] {
            let found = above(table, Path::new(place));
            assert_eq!(found.as_deref(), expected.map(Path::new), "{place}");
        }
    }

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
