//! Why a file operation failed, named after what the caller can do about it.
//!
//! Errnos are chosen in `mount/errno.rs`, in one exhaustive match. Each error says what happened
//! and to which key; that text goes to the log, since the kernel passes on only a number.

use std::io;

use thiserror::Error;

use crate::model::{BadName, Lost, SaveError};
use crate::store;

/// Why a file operation failed.
#[derive(Debug, Error)]
pub enum Error {
    /// It does not exist: the store said so (ENOENT).
    #[error("{0} does not exist")]
    NotFound(String),
    /// It exists already (EEXIST).
    #[error("{0} exists")]
    Exists(String),
    /// Somebody else saved first (EAGAIN).
    #[error("{key}: somebody else saved first; expected {expected}, found {found}")]
    Conflict {
        /// The key's address.
        key: String,
        /// The version that the save was to replace.
        expected: String,
        /// What is there now.
        found: String,
    },
    /// The handle lost a race earlier, or the version it reads is gone (ESTALE).
    #[error("{0}: this handle lost its version; open the file again")]
    Stale(String),
    /// It is not known whether the save happened (EIO).
    #[error("{0}: it is not known whether the save happened; read it before saving again")]
    Unknown(String),
    /// The store failed, could not be reached, or holds something damaged (EIO).
    #[error("{0}")]
    Failed(String),
    /// No answer in time (ETIMEDOUT).
    #[error("{0}")]
    Deadline(String),
    /// The store says no (EACCES).
    #[error("{0}")]
    Denied(String),
    /// The mount is read-only, or the file is (EROFS).
    #[error("{0} is read-only")]
    ReadOnly(String),
    /// The state directory has no room for a scratch file or a large draft (ENOSPC).
    #[error("{0}")]
    NoSpace(String),
    /// The value is larger than the store holds (EFBIG).
    #[error("{0}")]
    TooBig(String),
    /// No key can have this name, or the bytes are no value of this store (EINVAL).
    #[error("{0}")]
    Invalid(String),
    /// The name is too long (ENAMETOOLONG).
    #[error("the name is too long")]
    NameTooLong,
    /// It is a directory (EISDIR).
    #[error("{0} is a directory")]
    IsDir(String),
    /// It is not a directory (ENOTDIR).
    #[error("{0} is not a directory")]
    NotDir(String),
    /// The directory holds keys (ENOTEMPTY).
    #[error("{0} is not empty")]
    NotEmpty(String),
    /// A directory cannot be renamed (EXDEV: `mv` then copies).
    #[error("{0} cannot be renamed in one step")]
    CrossDevice(String),
    /// Cannot be done here at all (EPERM).
    #[error("{0}")]
    NotPermitted(String),
    /// Cannot be done by this kind of store (ENOTSUP).
    #[error("{0}")]
    Unsupported(String),
    /// There is no such attribute (ENODATA).
    #[error("no such attribute")]
    NoAttribute,
    /// The mount does not know this inode or handle (EBADF).
    #[error("unknown handle")]
    BadHandle,
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        let message = error.to_string();
        match error {
            store::Error::NotFound(what) => Self::NotFound(what),
            store::Error::Exists(what) => Self::Exists(what),
            store::Error::NotEmpty(what) => Self::NotEmpty(what),
            store::Error::BadName(bad) => bad.into(),
            store::Error::Rejected(_) => Self::Invalid(message),
            store::Error::ReadOnly(what) => Self::ReadOnly(what),
            store::Error::VersionGone(what) => Self::Stale(what),
            store::Error::Denied(_) => Self::Denied(message),
            store::Error::TooBig(_) => Self::TooBig(message),
            store::Error::Deadline(_) => Self::Deadline(message),
            store::Error::Unknown(what) => Self::Unknown(what),
            store::Error::Damaged { .. } | store::Error::Failed(_) => Self::Failed(message),
            store::Error::Unsupported(_) => Self::Unsupported(message),
        }
    }
}

impl From<BadName> for Error {
    fn from(bad: BadName) -> Self {
        match bad {
            BadName::TooLong => Self::NameTooLong,
            BadName::Illegal | BadName::Unspelled(_) => Self::Invalid(bad.to_string()),
        }
    }
}

impl Error {
    /// The local disk failed, on which scratch files and large drafts lie.
    pub(super) fn of_disk(error: io::Error) -> Self {
        let message = format!("the state directory: {error}");
        match error.kind() {
            io::ErrorKind::OutOfMemory => {
                Self::NoSpace("the machine has not enough memory for the value".to_owned())
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace(message),
            _ => Self::Failed(message),
        }
    }

    /// What a writer hears whose handle is lost, when it wants to save again.
    pub(super) fn of_save(error: SaveError, key: &str, expected: &str) -> Self {
        match error {
            SaveError::Conflict => Self::Conflict {
                key: key.to_owned(),
                expected: expected.to_owned(),
                found: "another version".to_owned(),
            },
            SaveError::Unknown => Self::Unknown(key.to_owned()),
        }
    }

    /// What a writer hears whose handle is lost, when it wants to write on.
    pub(super) fn of_write(lost: Lost, key: &str) -> Self {
        match lost {
            Lost::Conflict => Self::Stale(key.to_owned()),
            Lost::Unknown => Self::Unknown(key.to_owned()),
        }
    }
}
