//! Where a mount is to be: what must be true of a directory, and why mounting there failed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::hints::Trouble;
use super::report::Failure;
use crate::mount::{MountError, is_mount_point, mount_above};

/// Whether a bucket can be mounted there.
///
/// # Errors
/// A failure that says what to do.
pub(super) fn check(dir: &Path) -> Result<(), Failure> {
    let shown = dir.display();
    if is_mount_point(dir)? {
        return Err(
            Failure::new(format!("something is mounted at {shown} already"))
                .because(&Trouble::Mounted(shown.to_string())),
        );
    }
    check_directory(dir)?;
    if !Path::new("/dev/fuse").exists() {
        return Err(Failure::new("there is no /dev/fuse").because(&Trouble::NoFuse));
    }
    if !rustix::process::geteuid().is_root() && !has_helper() {
        return Err(Failure::new("you are not root, and fusermount3 is missing")
            .because(&Trouble::NoHelper));
    }
    Ok(())
}

/// Whether a mount at `dir` can still reach what it keeps in `state`: not where the mount itself hides it, nor in
/// another mount of a bucket.
///
/// # Errors
/// A failure that says what to do.
pub(super) fn check_apart(dir: &Path, state: &Path) -> Result<(), Failure> {
    let (at, kept) = (real(dir), real(state));
    let refused = |why: String| {
        Failure::new(format!(
            "{} cannot keep rescued bytes: {why}",
            state.display()
        ))
        .hint(
            "give a directory of a local disk, outside of every mount of etagfs, with --state-dir",
        )
    };
    if kept.starts_with(&at) {
        let shown = dir.display();
        return Err(refused(format!("the mount at {shown} would hide it")));
    }
    match mount_above(&kept)? {
        Some(above) => Err(refused(format!(
            "it is in the mount at {}",
            above.display()
        ))),
        None => Ok(()),
    }
}

/// A path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let found = path.ancestors().find_map(|above| {
        let real = above.canonicalize().ok()?;
        // What it begins with.
        Some(real.join(path.strip_prefix(above).ok()?))
    });
    found.unwrap_or_else(|| path.to_owned())
}

/// A directory that is there, and empty.
fn check_directory(dir: &Path) -> Result<(), Failure> {
    let shown = dir.display();
    let mut entries = std::fs::read_dir(dir).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::new(format!("{shown} does not exist"))
            .because(&Trouble::NoDirectory(shown.to_string())),
        ErrorKind::NotADirectory => {
            Failure::new(format!("{shown} is not a directory")).because(&Trouble::NotADirectory)
        }
        ErrorKind::NotConnected => Failure::new(format!("{shown} belongs to a mount that died"))
            .because(&Trouble::DeadMount(shown.to_string())),
        _ => Failure::new(format!("{shown} cannot be read: {error}")).because(&Trouble::Unreadable),
    })?;
    if entries.next().is_some() {
        return Err(Failure::new(format!("{shown} is not empty")).because(&Trouble::NotEmpty));
    }
    Ok(())
}

/// `fusermount3`, which mounts for those who are not root.
fn has_helper() -> bool {
    // Below mount(8) there is no PATH; execvp(3) looks in these places then.
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path).any(|dir| dir.join("fusermount3").exists())
}

/// Why mounting failed, and what to do about it.
pub(super) fn failure(dir: &Path, error: &MountError) -> Failure {
    let shown = dir.display();
    let message = match error {
        MountError::ForOthers => format!(
            "{shown} could not be mounted for other users: /etc/fuse.conf does not allow it"
        ),
        error => format!("{shown} could not be mounted: {error}"),
    };
    Failure::new(message).because(&Trouble::Mounting(error.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_hint() {
        let dir = Path::new("/mnt");
        let why = || "because".to_owned();
        for (error, hint) in [
            (MountError::ForOthers, "without --allow-other"),
            (MountError::NoCapability, "--cap-add SYS_ADMIN"),
            (MountError::NoAccess(why()), "directory of yours"),
            (MountError::Denied(why()), "/dev/fuse"),
            (MountError::Failed(why()), "journalctl"),
        ] {
            let failure = failure(dir, &error);
            let shown = format!("{failure:?}");
            assert!(shown.contains(hint) && shown.contains("/mnt"), "{shown}");
        }
    }
}
