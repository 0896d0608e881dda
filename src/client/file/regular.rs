//! Opening a file by a name that somebody else chose, if it is a regular one.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file: no link, pipe, device or directory. It need not exist, if it is to be made.
///
/// # Errors
/// Any of the filesystem, and that it is something else.
pub(super) fn open_regular(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    // Opening a device can have effects, so that it is looked at first; and again, since it may be another one by then.
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => check_regular(&found?)?,
    }
    let flags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits();
    let file = how
        .custom_flags(i32::try_from(flags).unwrap_or_default())
        .open(path)?;
    check_regular(&file.metadata()?)?;
    Ok(file)
}

/// That it is a regular file.
///
/// # Errors
/// When it is something else.
pub(super) fn check_regular(found: &Metadata) -> io::Result<()> {
    match found.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("it is no regular file")),
    }
}
