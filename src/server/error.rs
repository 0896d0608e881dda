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
    #[error("the store in {} cannot be read: {message}", path.display())]
    Corrupt {
        /// The data directory.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
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

impl Error {
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
