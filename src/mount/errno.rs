//! What the kernel is answered: every error of the filesystem as an errno, in one exhaustive match.
//!
//! Below it are the errnos of what never reaches the filesystem. No other file names one.

use std::ffi::OsStr;

use fuser::Errno;

use crate::vfs::Error;

/// The errno of an error. EAGAIN means a conflict and nothing else (W11); ESTALE never comes from
/// a rename or link, which the kernel would silently repeat.
pub(super) fn errno(error: &Error) -> Errno {
    match error {
        Error::NotFound(_) => Errno::ENOENT,
        Error::Exists(_) => Errno::EEXIST,
        Error::Conflict { .. } => Errno::EAGAIN,
        Error::Stale(_) => Errno::ESTALE,
        Error::Unknown(_) | Error::Failed(_) => Errno::EIO,
        Error::Deadline(_) => Errno::ETIMEDOUT,
        Error::Denied(_) => Errno::EACCES,
        Error::ReadOnly(_) => Errno::EROFS,
        Error::NoSpace(_) => Errno::ENOSPC,
        Error::TooBig(_) => Errno::EFBIG,
        Error::Invalid(_) => Errno::EINVAL,
        Error::NameTooLong => Errno::ENAMETOOLONG,
        Error::IsDir(_) => Errno::EISDIR,
        Error::NotDir(_) => Errno::ENOTDIR,
        Error::NotEmpty(_) => Errno::ENOTEMPTY,
        Error::CrossDevice(_) => Errno::EXDEV,
        Error::NotPermitted(_) => Errno::EPERM,
        Error::Unsupported(_) => Errno::ENOTSUP,
        Error::NoAttribute => Errno::ENODATA,
        Error::BadHandle => Errno::EBADF,
    }
}

/// The name of an errno that is answered here, for logs and counters.
pub(super) fn name(errno: Errno) -> &'static str {
    const NAMES: [(Errno, &str); 22] = [
        (Errno::ENOENT, "ENOENT"),
        (Errno::EEXIST, "EEXIST"),
        (Errno::EAGAIN, "EAGAIN"),
        (Errno::ESTALE, "ESTALE"),
        (Errno::EIO, "EIO"),
        (Errno::ETIMEDOUT, "ETIMEDOUT"),
        (Errno::EACCES, "EACCES"),
        (Errno::EROFS, "EROFS"),
        (Errno::ENOSPC, "ENOSPC"),
        (Errno::EFBIG, "EFBIG"),
        (Errno::EINVAL, "EINVAL"),
        (Errno::ENAMETOOLONG, "ENAMETOOLONG"),
        (Errno::EISDIR, "EISDIR"),
        (Errno::ENOTDIR, "ENOTDIR"),
        (Errno::ENOTEMPTY, "ENOTEMPTY"),
        (Errno::EXDEV, "EXDEV"),
        (Errno::EPERM, "EPERM"),
        (Errno::ENOTSUP, "ENOTSUP"),
        (Errno::ENODATA, "ENODATA"),
        (Errno::EBADF, "EBADF"),
        (Errno::ERANGE, "ERANGE"),
        (Errno::EINTR, "EINTR"),
    ];
    let named = NAMES.iter().find(|(known, _)| *known == errno);
    named.map_or("other", |(_, name)| name)
}

/// Whether an error is part of everyday life: names that are not there, attributes nobody set, and
/// conflicts, which are logged where they happen.
pub(super) fn is_ordinary(error: &Error) -> bool {
    matches!(
        error,
        Error::NotFound(_)
            | Error::NameTooLong
            | Error::NoAttribute
            | Error::Conflict { .. }
            | Error::Exists(_)
            | Error::NotEmpty(_)
            | Error::CrossDevice(_)
            | Error::Unsupported(_)
    )
}

/// Hard and symbolic links, device files: there is nothing to store them in.
pub(super) const NOT_BUILT: Errno = Errno::EPERM;
/// A flag with an unknown meaning.
pub(super) const UNKNOWN_FLAGS: Errno = Errno::EINVAL;
/// A number that stands for no open file.
pub(super) const UNKNOWN_HANDLE: Errno = Errno::EBADF;
/// The answer about an attribute of a kind that values do not have; `None` for their own, `user.*`.
///
/// To say that a file has no access control list (`system.posix_acl_*`) would mean that it could have one: vis
/// then tries to copy it to its temporary file, cannot, and gives up its safe way to save.
pub(super) fn of_foreign_attribute(name: &OsStr) -> Option<Errno> {
    match name.as_encoded_bytes() {
        name if name.starts_with(b"user.") => None,
        name if name.starts_with(b"system.") => Some(Errno::ENOTSUP),
        _ => Some(Errno::ENODATA),
    }
}
/// The caller's buffer is too small for an attribute.
pub(super) const NO_ROOM: Errno = Errno::ERANGE;
/// The watchdog: no answer in time.
pub(super) const TIMED_OUT: Errno = Errno::ETIMEDOUT;
/// The watchdog: the caller was signalled.
pub(super) const INTERRUPTED: Errno = Errno::EINTR;
/// A request whose task panicked: a dropped reply says the same (A5).
pub(super) const BUG: Errno = Errno::EIO;
