//! The kernel's table of mounts, as far as it is about ours.
//!
//! It reads `/proc/self/mountinfo` (proc(5)) and asks no filesystem, so that it answers although a mount is
//! dead. `unmount.rs` takes mounts out of the tree.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

/// Whether a mount of this program is at a directory, even if its daemon is gone.
///
/// # Errors
/// When the table of mounts cannot be read.
pub fn is_mount_point(at: &Path) -> io::Result<bool> {
    let at = real(at)?;
    Ok(read()?
        .lines()
        .filter_map(Line::parse)
        .any(|line| line.is_ours() && line.at == at))
}

/// Whether the files of this device are those of a mount of this program.
///
/// # Errors
/// When the table of mounts cannot be read.
pub fn is_device_of_mount(device: u64) -> io::Result<bool> {
    let device = format!("{}:{}", major(device), minor(device));
    Ok(read()?
        .lines()
        .filter_map(Line::parse)
        .any(|line| line.is_ours() && line.device == device))
}

/// The device of what is mounted at this place, as `MAJOR:MINOR`: the newest of several.
pub(super) fn device_at(at: &Path) -> io::Result<Option<String>> {
    let at = real(at)?;
    let table = read()?;
    let mut lines = table.lines().rev().filter_map(Line::parse);
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
        .and_then(Line::parse)
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

/// A line of the table.
struct Line<'a> {
    /// `MAJOR:MINOR`.
    device: &'a str,
    at: PathBuf,
    kind: &'a str,
    source: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (place, filesystem) = line.split_once(" - ")?;
        let mut filesystem = filesystem.split(' ');
        let (kind, source) = (filesystem.next()?, filesystem.next()?);
        let mut place = place.split(' ').skip(2);
        Some(Self {
            device: place.next()?,
            at: unescape(place.nth(1)?).into(),
            kind,
            source,
        })
    }

    /// The type is made of our subtype, by the kernel or by `fusermount3`. Mounts of root by older
    /// versions of this program have no subtype, and are known by the name of their source.
    fn is_ours(&self) -> bool {
        self.kind == "fuse.etagfs" || self.kind == "fuse" && self.source.contains("://")
    }
}

/// Undoes the octal escapes of proc(5) mountinfo.
fn unescape(field: &str) -> String {
    field
        .replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn our_mount(line: &str) -> Option<PathBuf> {
        Line::parse(line).filter(Line::is_ours).map(|line| line.at)
    }

    #[test]
    fn escapes_of_the_table_of_mounts_are_undone() {
        assert_eq!(unescape("/mnt/a\\040b\\134c"), "/mnt/a b\\c");
    }

    #[test]
    fn our_mounts_are_known_however_they_were_made() {
        let by_root = "42 27 0:39 / /a\\040b rw,nosuid - fuse s3://demo rw,user_id=0";
        assert_eq!(our_mount(by_root), Some("/a b".into()));
        let by_helper = "42 27 0:39 / /m rw shared:1 - fuse.etagfs s3://demo rw";
        assert_eq!(our_mount(by_helper), Some("/m".into()));
        for others in [
            "42 27 0:39 / /m rw - fuse.sshfs host:/dir rw",
            "42 27 0:39 / /m rw - fuse /dev/fuse rw",
            "42 27 0:39 / /m rw - ext4 /dev/sda rw",
            "",
        ] {
            assert_eq!(our_mount(others), None);
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
