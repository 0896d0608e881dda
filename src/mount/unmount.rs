//! Taking a mount out of the tree, as root or as its owner.
//!
//! Used by the daemon that ends and by `etagfs umount`. Only root may call umount(2);
//! `fusermount3` does it for the owner of a mount.

use std::io;
use std::path::Path;
use std::process::Command;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mount_point_is_not_unmounted() {
        let dir = tempfile::tempdir().expect("a directory");
        assert!(unmount(dir.path(), Busy::Refuse).is_err());
    }
}
