//! Why mounting failed, as something that a caller can tell apart.
//!
//! `fuser` tries mount(2), which is for root with all capabilities, and if that is not permitted `fusermount3`, of which
//! it passes on what that wrote to standard error. What can be found out otherwise is not read out of those words.

use std::io::{Error, ErrorKind};
use std::path::Path;

use rustix::fs::{Access, access};

/// Why mounting failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MountError {
    /// `/etc/fuse.conf` does not let users mount for other users.
    #[error("/etc/fuse.conf does not allow users to mount for others")]
    ForOthers,
    /// Root without the capability to mount, as in most containers.
    #[error("this root may not mount (it has no CAP_SYS_ADMIN)")]
    NoCapability,
    /// Somebody else's directory, in these words.
    #[error("{0}")]
    NoAccess(String),
    /// `/dev/fuse` or the directory is closed to this user, in these words.
    #[error("{0}")]
    Denied(String),
    /// Anything else, in these words.
    #[error("{0}")]
    Failed(String),
}

/// What is known of an attempt to mount.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    /// Others were to use it too.
    allow_other: bool,
    is_root: bool,
    /// The directory exists.
    has_directory: bool,
    /// Whoever mounts may write into it, which `fusermount3` demands.
    may_write: bool,
}

impl Attempt {
    /// What is known of it.
    pub(super) fn of(at: &Path, allow_other: bool) -> Self {
        Self {
            allow_other,
            is_root: rustix::process::geteuid().is_root(),
            has_directory: at.is_dir(),
            may_write: access(at, Access::WRITE_OK).is_ok(),
        }
    }

    /// Why it failed with this error of `fuser`.
    pub(super) fn failure(self, error: &Error) -> MountError {
        let text = error.to_string();
        // Else it is an answer of the kernel.
        let is_of_helper = error.raw_os_error().is_none();
        match error.kind() {
            // That is the one refusal of the helper for which fuser has a kind.
            ErrorKind::PermissionDenied if is_of_helper && self.allow_other => {
                return MountError::ForOthers;
            }
            // The helper, which is only tried when mount(2) was not permitted.
            ErrorKind::NotFound if self.is_root && self.has_directory => {
                return MountError::NoCapability;
            }
            // EPERM, of which fuser and the helper pass on the words alone.
            _ if self.is_root && text.contains("Operation not permitted") => {
                return MountError::NoCapability;
            }
            _ => {}
        }
        let why = text
            .trim()
            .trim_start_matches("fusermount3: ")
            .replace('\n', "; ");
        match error.kind() {
            ErrorKind::PermissionDenied => MountError::Denied(why),
            _ if is_of_helper && !self.is_root && !self.may_write => MountError::NoAccess(why),
            _ => MountError::Failed(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Attempt = Attempt {
        allow_other: false,
        is_root: false,
        has_directory: true,
        may_write: true,
    };
    const ROOT: Attempt = Attempt {
        is_root: true,
        ..USER
    };

    #[test]
    fn each_refusal_has_its_cause() {
        let for_others = Attempt {
            allow_other: true,
            ..USER
        };
        let elsewhere = Attempt {
            may_write: false,
            ..USER
        };
        let conf = "fusermount3: option allow_other only allowed if 'user_allow_other' is set in /etc/fuse.conf\n";
        let failed = for_others.failure(&Error::new(ErrorKind::PermissionDenied, conf));
        assert_eq!(failed, MountError::ForOthers);
        let theirs = "fusermount3: user has no write access to mountpoint /mnt\n";
        let failed = elsewhere.failure(&Error::other(theirs));
        let why = "user has no write access to mountpoint /mnt".to_owned();
        assert_eq!(failed, MountError::NoAccess(why));
        // Of the kernel, also if others were to use it.
        for attempt in [USER, for_others, elsewhere] {
            let failed = attempt.failure(&Error::from_raw_os_error(13));
            assert!(matches!(failed, MountError::Denied(_)), "{failed:?}");
        }
        for error in [
            Error::other("fusermount3: mount failed: Operation not permitted\n"),
            Error::from_raw_os_error(2),
        ] {
            assert_eq!(ROOT.failure(&error), MountError::NoCapability);
            let failed = USER.failure(&error);
            assert!(matches!(failed, MountError::Failed(_)), "{failed:?}");
        }
        let failed = ROOT.failure(&Error::other("Error calling mount(): EINVAL"));
        let why = "Error calling mount(): EINVAL".to_owned();
        assert_eq!(failed, MountError::Failed(why));
    }
}
