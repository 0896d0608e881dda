//! Why a store could not do what it was asked.
//!
//! Variants are what a caller can do about it. Errnos are chosen in `mount/errno.rs` alone.

use thiserror::Error;

use crate::backend::{self, Cause, Why};
use crate::model::BadName;

/// Why a layout cannot store or show a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Rejected(pub String);

/// Why a store could not do what it was asked. A refused save is no error, see
/// [`crate::model::Outcome`].
#[derive(Clone, Debug, Error)]
pub enum Error {
    /// The key, store or bucket does not exist: the backend said so (ENOENT).
    #[error("{0} does not exist")]
    NotFound(String),
    /// It exists already (EEXIST).
    #[error("{0} exists")]
    Exists(String),
    /// The directory or store holds keys (ENOTEMPTY).
    #[error("{0} is not empty")]
    NotEmpty(String),
    /// No key can have this name (EINVAL or ENAMETOOLONG).
    #[error(transparent)]
    BadName(#[from] BadName),
    /// The bytes are no value of this store's layout (EINVAL).
    #[error(transparent)]
    Rejected(#[from] Rejected),
    /// The value cannot be changed (EROFS).
    #[error("{0} cannot be changed")]
    ReadOnly(String),
    /// The pinned version is gone (ESTALE).
    #[error("{0}")]
    VersionGone(String),
    /// The store says no (EACCES).
    #[error(transparent)]
    Denied(Why),
    /// The value or its name is too large for the store, or a listing for this machine
    /// (EFBIG).
    #[error("{0}")]
    TooBig(String),
    /// No answer in time (ETIMEDOUT).
    #[error(transparent)]
    Deadline(Why),
    /// It is not known whether the write happened (EIO).
    #[error("it is not known whether {0} was written")]
    Unknown(String),
    /// What is stored, or what was answered, is damaged (EIO).
    #[error("{what} is damaged: {why}")]
    Damaged {
        /// The key's address.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// The store could not be reached, or failed (EIO).
    #[error(transparent)]
    Failed(Why),
    /// This store's layout cannot do it (ENOTSUP).
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    /// Whether the store does not take a value that was to travel with the bytes.
    pub fn is_of_argument(&self) -> bool {
        matches!(self, Self::Failed(why) if why.cause() == Some(&Cause::Argument))
    }
}

impl From<backend::Error> for Error {
    fn from(error: backend::Error) -> Self {
        let message = error.to_string();
        let why = |error: backend::Error| {
            Why::because(error.cause().cloned(), error.to_string()).over(error)
        };
        match error {
            backend::Error::NotFound(what) => Self::NotFound(what),
            backend::Error::VersionGone(_) => Self::VersionGone(message),
            backend::Error::Denied { .. } => Self::Denied(why(error)),
            backend::Error::Deadline { .. } => Self::Deadline(why(error)),
            backend::Error::Corrupt { what, why } => Self::Damaged { what, why },
            backend::Error::Unsupported { .. } => Self::Unsupported(message),
            backend::Error::TooBig { .. } => Self::TooBig(message),
            backend::Error::Unreachable { .. }
            | backend::Error::Collided { .. }
            | backend::Error::Failed { .. } => Self::Failed(why(error)),
        }
    }
}
