//! Mounting by mount(2), without `fuser`, on the directories of autofs(5).
//!
//! Such a directory must not even be opened by who is to mount there: the open waits for the mount. `fuser`
//! opens it, to know its mode; the kernel needs only to be told that it is a directory.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::mount::MountFlags;
use rustix::process::{getgid, getuid};

use super::Options;

/// Mounts there; whoever reads from what is returned serves the mount.
///
/// # Errors
/// Any error of mount(2), or of opening `/dev/fuse`.
pub(super) fn mount(at: &Path, options: &Options) -> io::Result<OwnedFd> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/fuse")?;
    let data = data(device.as_raw_fd(), options);
    let data = CString::new(data).map_err(io::Error::other)?;
    let mut flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    if options.read_only {
        flags |= MountFlags::RDONLY;
    }
    if options.no_exec {
        flags |= MountFlags::NOEXEC;
    }
    rustix::mount::mount(&*options.source, at, "fuse", flags, &*data)?;
    Ok(device.into())
}

/// The options of the kernel's fuse (its Documentation/filesystems/fuse.rst).
fn data(device: i32, options: &Options) -> String {
    let mut data = format!(
        "fd={device},rootmode=40000,user_id={},group_id={},default_permissions,subtype=etagfs",
        getuid().as_raw(),
        getgid().as_raw()
    );
    if options.allow_other {
        data.push_str(",allow_other");
    }
    data
}
