//! Why a file operation failed, named after what the caller can do about it.
//!
//! Errnos are chosen in `mount/errno.rs`, in one exhaustive match. Each error says what happened and to which
//! key; that text goes to the log, because the kernel passes on only a number.

use std::error::Error as StdError;
use std::{fmt, io};

use thiserror::Error;

use crate::model::{BadName, Lost, SaveError};
use crate::store;

/// What happened, in words, and the error below it: the store's or the disk's.
#[derive(Debug)]
pub struct Message {
    words: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Message {
    fn over(words: impl Into<String>, error: impl StdError + Send + Sync + 'static) -> Self {
        Self {
            words: words.into(),
            source: Some(Box::new(error)),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl StdError for Message {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.source.as_deref()?;
        Some(source)
    }
}

impl From<String> for Message {
    fn from(words: String) -> Self {
        Self {
            words,
            source: None,
        }
    }
}

/// Why a file operation failed.
#[derive(Debug, Error)]
pub enum Error {
    /// It does not exist: the store said so (ENOENT).
    #[error("{0} does not exist")]
    NotFound(String),
    /// It exists already (EEXIST).
    #[error("{0} exists")]
    Exists(String),
    /// Another process or machine saved first (EAGAIN).
    #[error("{key}: somebody else saved first; expected {expected}, found {found}")]
    Conflict {
        /// The key's address.
        key: String,
        /// The version that the save was to replace.
        expected: String,
        /// What the key is now.
        found: String,
    },
    /// The handle lost a race earlier, or the version it reads is gone (ESTALE).
    #[error("{0}: this handle lost its version; open the file again")]
    Stale(String),
    /// It is not known whether the save happened (EIO).
    #[error("{0}: it is not known whether the save happened; read it before saving again")]
    Unknown(String),
    /// The store failed, could not be reached, or holds something damaged (EIO).
    #[error(transparent)]
    Failed(Message),
    /// No answer in time (ETIMEDOUT).
    #[error(transparent)]
    Deadline(Message),
    /// The store denies it (EACCES).
    #[error(transparent)]
    Denied(Message),
    /// The mount is read-only, or the file is (EROFS).
    #[error("{0} is read-only")]
    ReadOnly(String),
    /// The state directory has no room for a scratch file or a large draft (ENOSPC).
    #[error(transparent)]
    NoSpace(Message),
    /// The value is larger than the store holds (EFBIG).
    #[error("{0}")]
    TooBig(String),
    /// No key can have this name, or the bytes are not a value of this store (EINVAL).
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
            store::Error::Denied(_) => Self::Denied(Message::over(message, error)),
            store::Error::TooBig(_) => Self::TooBig(message),
            store::Error::Deadline(_) => Self::Deadline(Message::over(message, error)),
            store::Error::Unknown(what) => Self::Unknown(what),
            store::Error::Damaged { .. } | store::Error::Failed(_) => {
                Self::Failed(Message::over(message, error))
            }
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
    /// It failed for the reason in these words.
    pub(super) fn failed(words: String) -> Self {
        Self::Failed(words.into())
    }

    /// The local disk, which holds scratch files and large drafts, failed.
    pub(super) fn of_disk(error: io::Error) -> Self {
        let message = format!("the state directory: {error}");
        match error.kind() {
            io::ErrorKind::OutOfMemory => Self::NoSpace(Message::over(
                "the machine has not enough memory for the value",
                error,
            )),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace(Message::over(message, error))
            }
            _ => Self::Failed(Message::over(message, error)),
        }
    }

    /// The error for a writer that saves again with a lost handle.
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

    /// The error for a writer that writes again with a lost handle.
    pub(super) fn of_write(lost: Lost, key: &str) -> Self {
        match lost {
            Lost::Conflict => Self::Stale(key.to_owned()),
            Lost::Unknown => Self::Unknown(key.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The errors below one.
    fn below<'a>(error: &'a (dyn StdError + 'static)) -> Vec<&'a (dyn StdError + 'static)> {
        std::iter::successors(error.source(), |&error| error.source()).collect()
    }

    #[test]
    fn a_full_disk_is_at_the_bottom_of_its_error() {
        let full = std::fs::write("/dev/full", "x").expect_err("it is full");
        let error = Error::of_disk(full);
        assert!(matches!(error, Error::NoSpace(_)), "{error}");
        let chain = below(&error);
        let disk = chain.first().and_then(|error| error.downcast_ref());
        let kind = disk.map(io::Error::kind);
        assert_eq!(kind, Some(io::ErrorKind::StorageFull), "{chain:?}");
    }

    #[test]
    fn what_the_store_said_is_below_what_the_file_says() {
        let error = Error::from(store::Error::Failed("no".into()));
        assert!(below(&error)[0].is::<store::Error>(), "{error:?}");
    }
}
