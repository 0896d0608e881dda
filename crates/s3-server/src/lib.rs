//! The embedded S3-compatible server: makes the first minute work with no account and no network,
//! and is the fastest server to test against.
//!
//! It knows nothing of mounts, stores or keys' meaning; nothing above it knows s3s. Its conditional
//! semantics are complete and atomic: a condition is evaluated in the transaction that commits the
//! change it guards. Read `storage` for that, `s3` for the operations, `conditions` and
//! `listing` for the rules, `run` for connections.
//!
//! What it does not have, it refuses with `NotImplemented` rather than ignore: versions, tags,
//! encryption, locks, upload forms, reading by part number, conditions that S3 itself does not
//! implement, and the checksum of a whole object when a multipart upload completes. A copy keeps
//! the ETag of its source.
//!
//! ```no_run
//! # async fn f() -> Result<(), etagfs_s3_server::Error> {
//! use etagfs_s3_server::{Config, Server};
//!
//! let server = Server::bind(Config::new("/var/lib/etagfs-demo")).await?;
//! println!("http://{}", server.local_addr());
//! server.run(std::future::pending()).await;
//! # Ok(()) }
//! ```

mod auth;
mod chunked;
mod claims;
mod conditions;
mod error;
mod front;
mod listing;
mod open;
mod pace;
mod range;
mod receive;
mod run;
mod s3;
mod storage;
pub mod web;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use error::{Error, Mismatch};
pub use run::Server;
pub use storage::Durability;

/// How a server is set up.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The directory that holds everything; created if it is missing.
    pub data_dir: PathBuf,
    /// Where to listen; port 0 takes a free one. The default is port 0 on 127.0.0.1.
    pub listen: SocketAddr,
    /// The one key pair that requests must be signed with. Without one the server is *open*: it
    /// takes every request, and does not look at signatures.
    pub credentials: Option<Credentials>,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// How long a silent client keeps its connection: one that sends no request, nothing more of a
    /// head or a body, or takes nothing of an answer. A body must also bring 1 KiB a second on average.
    pub patience: Duration,
}

impl Config {
    /// An open server on a free port of 127.0.0.1, whose writes survive a power failure, and which
    /// waits 30 seconds for a silent client.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            credentials: None,
            durability: Durability::default(),
            patience: Duration::from_secs(30),
        }
    }
}

/// A key pair.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// The examples of the README are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
