//! Taking a mount out of the tree, as root or as its owner.
//!
//! Used by the daemon that ends and by `etagfs umount`. Only root may call umount(2);
//! `fusermount3` does it for the owner of a mount.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{major, minor};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;

/// What to do about a mount that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Busy {
    /// Leave it.
    Refuse,
    /// Take it out of the tree at once; it ends with its last user.
    Detach,
}

/// Unmounts a directory.
///
/// # Errors
/// When it is in use (unless it may be detached), is no mount point, or belongs to somebody else.
pub fn unmount(at: &Path, busy: Busy) -> io::Result<()> {
    let flags = match busy {
        Busy::Refuse => UnmountFlags::empty(),
        Busy::Detach => UnmountFlags::DETACH,
    };
    match rustix::mount::unmount(at, flags) {
        Ok(()) => Ok(()),
        Err(Errno::PERM) => by_helper(at, busy),
        Err(errno) => Err(errno.into()),
    }
}

fn by_helper(at: &Path, busy: Busy) -> io::Result<()> {
    let mut command = Command::new("fusermount3");
    command.arg("-u");
    if busy == Busy::Detach {
        command.arg("-z");
    }
    let output = command.arg("--").arg(at).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        )),
    }
}

/// Whether a mount of this program is at a directory, even if its daemon is gone.
///
/// # Errors
/// When the table of mounts cannot be read.
pub fn is_mount_point(at: &Path) -> io::Result<bool> {
    // The table holds real paths. A dead mount answers nothing, but its path can be resolved: the
    // kernel knows that its root is no link.
    let at = at.canonicalize().or_else(|_| std::path::absolute(at))?;
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    Ok(table.lines().filter_map(our_mount).any(|point| point == at))
}

/// Whether a file that exists lies in a mount of this program.
///
/// # Errors
/// When the file cannot be looked at, or the table of mounts not be read.
pub fn is_in_mount(file: &Path) -> io::Result<bool> {
    let device = std::fs::metadata(file)?.dev();
    let device = format!("{}:{}", major(device), minor(device));
    let table = std::fs::read_to_string("/proc/self/mountinfo")?;
    let is_on = |line: &&str| line.split(' ').nth(2) == Some(&device);
    Ok(table
        .lines()
        .filter(is_on)
        .any(|line| our_mount(line).is_some()))
}

/// The mount point in a line of proc(5) mountinfo, if the mount is one of ours.
///
/// `fusermount3` makes the type of our subtype; root mounts without its help, and then `fuser` says
/// no more than `fuse`, so that the name of the source has to tell.
fn our_mount(line: &str) -> Option<PathBuf> {
    let (place, filesystem) = line.split_once(" - ")?;
    let mut filesystem = filesystem.split(' ');
    let (kind, source) = (filesystem.next()?, filesystem.next()?);
    let ours = kind == "fuse.etagfs" || kind == "fuse" && source.contains("://");
    ours.then(|| place.split(' ').nth(4).map(|point| unescape(point).into()))?
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
    fn a_directory_that_is_no_mount_point_is_none() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(!is_mount_point(dir.path()).expect("readable"));
        assert!(unmount(dir.path(), Busy::Refuse).is_err());
    }
}
