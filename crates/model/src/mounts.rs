//! How a mount of this program looks from outside: its line in the kernel's table, and the mount's own names.
//! The code that serves a mount and the code that uses one share them here.

use std::path::PathBuf;

/// The directory at its root that describes the mount itself (V4).
pub const OWN_DIRECTORY: &str = ".etagfs";

/// The extended attribute of a file that holds its version (V5).
pub const ETAG_ATTRIBUTE: &str = "user.etag";
/// The prefix of the extended attributes for metadata; the name of a header follows.
pub const HEADER_ATTRIBUTES: &str = "user.";
/// The prefix of the extended attributes for user metadata; the name follows.
pub const META_ATTRIBUTES: &str = "user.meta.";
/// The extended attribute that names the object of the file: the server and the address, in two lines. It is
/// not listed, because programs that copy attributes would copy it.
pub const OBJECT_ATTRIBUTE: &str = "user.etagfs.object";
/// The extended attribute with the number of the save that wrote the newest version of the file; empty if its
/// writer gave none. The store is asked each time. It is not listed either.
pub const PUT_ATTRIBUTE: &str = "user.etagfs.put";

/// The extended attribute, on every file of the mount, with the patterns of scratch names (W9), separated by
/// commas. It is not listed either.
pub const SCRATCH_ATTRIBUTE: &str = "user.etagfs.scratch";

/// A line of the kernel's table of mounts, `/proc/self/mountinfo` (proc(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountLine<'a> {
    /// The device of its files, as `MAJOR:MINOR`.
    pub device: &'a str,
    /// Where it is mounted.
    pub at: PathBuf,
    kind: &'a str,
    source: &'a str,
}

impl<'a> MountLine<'a> {
    /// Reads a line; `None` if it is not one.
    pub fn parse(line: &'a str) -> Option<Self> {
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

    /// Whether it is a mount of this program. The type is made of our subtype, by the kernel or by `fusermount3`. Mounts of root by older
    /// versions of this program have no subtype, and are known by the name of their source.
    pub fn is_ours(&self) -> bool {
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
        MountLine::parse(line)
            .filter(MountLine::is_ours)
            .map(|line| line.at)
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
}
