//! Why a server could not start.
//!
//! It knows nothing of requests: what a client is told is in [`super::s3`].

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A server that could not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another process has the data directory open.
    #[error("{} is in use by another server; stop that one, or use another directory", .0.display())]
    InUse(PathBuf),
    /// The data directory cannot be used.
    #[error("cannot use {} as a data directory: {source}", path.display())]
    Io {
        /// The data directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The data directory holds something that is not, or no longer, a store.
    #[error(
        "the index of {} is damaged: {message}. Nothing was removed; bring index.redb and blobs/ back \
         from one backup, or use another directory",
        path.display()
    )]
    Corrupt {
        /// The data directory.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The directory holds other things, and no data of a server.
    #[error(
        "{} holds no data of a server, and other things ({found}): give an empty directory, or a new one",
        path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One of the other things.
        found: String,
    },
    /// The index of the data directory and the bodies beside it do not belong together.
    #[error(
        "{}: {why}. Nothing was removed; bring index.redb and blobs/ back from one backup, or use \
         another directory",
        path.display()
    )]
    Mismatch {
        /// The data directory.
        path: PathBuf,
        /// What does not fit.
        why: Mismatch,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
}

/// How an index and the bodies beside it can fail to belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// There is no index, but a server was here.
    #[error("the index (index.redb) is missing or empty, but a server has kept its data here")]
    NoIndex,
    /// The index is a copy from an earlier time.
    #[error("the index (index.redb) is older than the bodies (blobs/)")]
    OldIndex,
    /// The index is that of another store.
    #[error("the index (index.redb) is that of another store than the bodies (blobs/)")]
    OtherIndex,
    /// Bodies are missing that the index counts, so many.
    #[error("{0} bodies are missing in blobs/ that the index (index.redb) names")]
    NoBodies(usize),
}

impl Error {
    pub(super) fn mismatch(path: &Path, why: Mismatch) -> Self {
        Self::Mismatch {
            path: path.to_owned(),
            why,
        }
    }

    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn corrupt(path: &Path, error: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            message: error.to_string(),
        }
    }
}
