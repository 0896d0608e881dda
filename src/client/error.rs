//! What went wrong, as something that a caller can tell apart.
//!
//! A lost race is an error here, unlike in the layers below: whoever calls a verb of this layer wanted it done. What
//! to do next is for the caller to say; the command line has its hints for each variant.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::Version;
use crate::{backend, store};

/// Why something was not done. In brackets: the exit code of the command line.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The key or file does not exist; the store or the kernel said so (66).
    #[error("{0} does not exist")]
    Absent(String),
    /// There is no such store (66).
    #[error("{source_label} has no store {store}")]
    NoStore {
        /// The bucket, with the prefix.
        source_label: String,
        /// The store.
        store: String,
    },
    /// Nothing that is listed begins like this (66).
    #[error("{target} does not exist")]
    NothingBelow {
        /// What was to be listed.
        target: String,
        /// What it would be in; ends with `/`.
        root: String,
    },
    /// There is no such file or directory to list (66).
    #[error("{0} does not exist")]
    NoFile(String),
    /// A versioned bucket keeps no such version of the key (66).
    #[error("{0} has no such version")]
    NoSuchVersion(String),
    /// It was to be created, and exists (75).
    #[error("{0} exists already")]
    Exists(String),
    /// It does not have the version that the precondition names: another writer saved or deleted it (75).
    #[error("{label} does not have the version {version} any more: somebody else was first")]
    Replaced {
        /// The key or file.
        label: String,
        /// The version that was expected.
        version: Version,
    },
    /// Others saved it again and again, until the [`Retry`](super::Retry) policy gave up (75). Nothing was written.
    #[error("{label} was saved by others again and again; gave up after {attempts} tries")]
    Contended {
        /// The key or file.
        label: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// Another update of a file that has no versions works in this directory (75).
    #[error("another update works in {}", .0.display())]
    Locked(PathBuf),
    /// The file was not read in time (75).
    #[error("time was up while {0} was read")]
    Late(String),
    /// A file without versions that was to be moved changed after it was read (75).
    #[error("{0} was changed while it was copied")]
    ChangedMeanwhile(String),
    /// No answer proves whether the write happened (1). It must not be repeated unseen.
    #[error("it is not known whether {0} was written: the answer was lost")]
    Unknown(String),
    /// The source of a copy was deleted after it was read (1).
    #[error("{0} does not exist")]
    Gone(String),
    /// Source and target are one object or file (1).
    #[error("{from} and {to} are the same")]
    Same {
        /// The source.
        from: String,
        /// The target.
        to: String,
    },
    /// Nobody can tell whether source and target are one object (1).
    #[error("{from} and {to} may be the same: {why}")]
    MaybeSame {
        /// The source.
        from: String,
        /// The target.
        to: String,
        /// What they have in common.
        why: String,
    },
    /// After the copy of a move it turned out that both names lead to one object; nothing was deleted (1).
    #[error("{from} and {to} are one object under two names, and nothing was deleted")]
    OneObject {
        /// The source.
        from: String,
        /// The target.
        to: String,
    },
    /// The copy of a move was written, but nobody can tell whether it is the source itself; nothing was deleted (1).
    #[error("{error}; {to} has been written, and nothing was deleted")]
    NotTold {
        /// Why not.
        #[source]
        error: Box<Self>,
        /// The target.
        to: String,
    },
    /// The copy of a move was written, but the source could not be deleted (1).
    #[error("{error}; {to} has been written")]
    NotDeleted {
        /// Why not.
        #[source]
        error: Box<Self>,
        /// The target.
        to: String,
    },
    /// A log of konserve cannot be moved: its elements are not in the file (1).
    #[error("{0}: a log cannot be moved or copied as a file")]
    Log(String),
    /// A file of a mount that would never reach the bucket was to be saved (1).
    #[error("{0} would be a scratch file: it stays in the mount, and never reaches the bucket")]
    Scratch(String),
    /// A pipe or device cannot be moved (1).
    #[error("{0} is not a regular file, and can be neither the source nor the target of a move")]
    NotRegular(String),
    /// It could not be deleted after it was copied, so that it is not copied at all (1).
    #[error("{label} cannot be moved: {error}")]
    NotMovable {
        /// The file.
        label: String,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The daemon of the mount is an older program, which does not report the numbers of saves (1).
    #[error("the mount of {0} does not report which save wrote it: its daemon is an older program")]
    OldMount(String),
    /// An operation on a file failed (1; the errno is that of the error).
    #[error("{label}: {error}")]
    File {
        /// The file.
        label: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
    /// A directory, or the way to a file in it, could not be read (1; the errno is that of the error).
    #[error("{label}: {error}")]
    Directory {
        /// The directory or file.
        label: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
    },
    /// A part of what was to be appended to a file was, and then it failed (1).
    #[error("{label}: {error}")]
    AppendedInPart {
        /// The file.
        label: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
        /// How many bytes were appended.
        written: usize,
        /// Of how many.
        len: usize,
    },
    /// The file was saved, but one of its attributes could not be set (1).
    #[error("{label}: {error}")]
    NotDescribed {
        /// The file.
        label: String,
        /// What the kernel said.
        #[source]
        error: io::Error,
        /// The extended attribute.
        attribute: String,
    },
    /// A name below a directory leads to another place (1).
    #[error("{name:?} leads out of {}: {why}", .base.display())]
    Outside {
        /// The name.
        name: String,
        /// The directory.
        base: PathBuf,
        /// How.
        why: &'static str,
    },
    /// A name below a directory that no file can have (1).
    #[error("{name:?} names no file below {}", .base.display())]
    NoFileBelow {
        /// The name.
        name: String,
        /// The directory.
        base: PathBuf,
    },
    /// An operation on a temporary file, or on this machine otherwise, failed (1).
    #[error("{0}")]
    Local(#[from] io::Error),
    /// A version was named for a file that is in no mount and has none (2).
    #[error("{0} is in no mount of etagfs, so that it has no version")]
    NoVersions(String),
    /// A watch was to begin from a version, and this has none (2).
    #[error("{0} has no version")]
    NoVersion(String),
    /// A watch of many keys was to begin from the version of one (2).
    #[error("the version to begin from is that of one key")]
    VersionOfMany,
    /// A file cannot say that its value is binary, which konserve stores distinguish (2).
    #[error("{0}: a file cannot say that its value is binary")]
    NotBinary(String),
    /// A directory cannot be watched (2).
    #[error("{0} is a directory")]
    IsDirectory(String),
    /// No key can be called this (2).
    #[error("{label}: {error}")]
    BadName {
        /// The key, as it was spelled.
        label: String,
        /// Why not.
        #[source]
        error: store::Error,
    },
    /// A key was to be called like a file whose name no key can have (2).
    #[error("no key can be called like {}", .0.display())]
    NoSuchKey(PathBuf),
    /// The URL has no bucket (2).
    #[error("{0} names no bucket")]
    NoBucket(String),
    /// The URL ends before a store (2).
    #[error("{0} names no store")]
    NamesNoStore(String),
    /// The URL ends before a key (2).
    #[error("{0} names no key")]
    NoKey(String),
    /// The URL has a prefix, and another one was set (2).
    #[error("the prefix is given twice: in {0} and beside it")]
    TwoPrefixes(String),
    /// What a [`Connect`](super::Connect) says.
    #[error(transparent)]
    Connect(Box<dyn std::error::Error + Send + Sync>),
    /// The store failed, or refuses (1; each variant names its errno).
    #[error("{0}")]
    Store(#[from] store::Error),
}

/// What kind of failure an [`enum@Error`] is, for those who do not care about the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It does not exist; the store or the kernel said so. Exit code 66 (`EX_NOINPUT`).
    Absent,
    /// Another writer was first, and nothing was written: read again, and try again. Exit code 75 (`EX_TEMPFAIL`).
    Conflict,
    /// The request makes no sense. Exit code 2.
    Usage,
    /// It failed. Exit code 1.
    Failed,
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Absent(_)
            | Self::NoStore { .. }
            | Self::NothingBelow { .. }
            | Self::NoFile(_)
            | Self::NoSuchVersion(_) => Kind::Absent,
            Self::Exists(_)
            | Self::Replaced { .. }
            | Self::Contended { .. }
            | Self::Locked(_)
            | Self::Late(_)
            | Self::ChangedMeanwhile(_) => Kind::Conflict,
            Self::NoVersions(_)
            | Self::NoVersion(_)
            | Self::VersionOfMany
            | Self::NotBinary(_)
            | Self::IsDirectory(_)
            | Self::BadName { .. }
            | Self::NoSuchKey(_)
            | Self::NoBucket(_)
            | Self::NamesNoStore(_)
            | Self::NoKey(_)
            | Self::TwoPrefixes(_) => Kind::Usage,
            _ => Kind::Failed,
        }
    }
}

impl From<backend::Error> for Error {
    fn from(error: backend::Error) -> Self {
        Self::Store(error.into())
    }
}
