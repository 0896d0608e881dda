//! What the server keeps: buckets, objects and uploads, in an ordered, transactional index with
//! the larger bodies beside it.
//!
//! It knows no HTTP and no S3 status: an operation says what it demands, and gets a result or a
//! [`Refusal`]. Everything here blocks, so [`Storage`] runs reads on the blocking pool and writes on
//! one thread of its own. Read [`index`] for what is stored, [`writer`] for why a condition and the
//! commit that it guards cannot be torn apart, and [`blobs`] for how a body outlives its object
//! while somebody reads it.

mod blobs;
mod disk;
mod index;
mod lineage;
mod record;
mod snapshot;
mod sums;
mod writer;

use std::path::Path;
use std::sync::Arc;

pub(super) use blobs::{Lease, NewBlob};
pub(super) use index::Tx;
pub(super) use record::{Attributes, Content, Object, Segment, Upload};
pub(super) use snapshot::Snapshot;
pub(super) use sums::{CHUNK, Sums, sum};

use super::error::Error;
use blobs::Blobs;
use lineage::Keeper;

/// Bodies up to this many bytes live in the index, larger ones in a file of their own.
/// In the index a save is one synced commit; a file costs two more syncs (itself, its directory).
pub(super) const INLINE_LIMIT: usize = 64 * 1024;

/// How much of a power failure an acknowledged write survives.
///
/// Either way it survives the end of the process, however violent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Synced to the disk before it is acknowledged.
    #[default]
    PowerLoss,
    /// Handed to the operating system before it is acknowledged, never synced. For demos and tests.
    ProcessDeath,
}

/// Why an operation did not happen: an answer, not a fault, except for [`Refusal::Broken`].
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Refusal {
    /// There is no such bucket.
    #[error("no such bucket")]
    NoSuchBucket,
    /// There is no such key.
    #[error("no such key")]
    NoSuchKey,
    /// There is no such upload, or it belongs to another key.
    #[error("no such upload")]
    NoSuchUpload,
    /// A precondition of the request does not hold.
    #[error("precondition failed: {0}")]
    PreconditionFailed(&'static str),
    /// The bucket is there already.
    #[error("bucket exists")]
    BucketExists,
    /// The bucket holds objects.
    #[error("bucket is not empty")]
    BucketNotEmpty,
    /// A part that is to be completed was never uploaded or has another ETag.
    #[error("invalid part {0}")]
    InvalidPart(u32),
    /// A part other than the last is smaller than S3 allows.
    #[error("part {0} is too small")]
    PartTooSmall(u32),
    /// Something else in the request does not fit what is stored.
    #[error("{0}")]
    Invalid(&'static str),
    /// The storage failed; nothing of the operation was committed.
    #[error("storage failed: {0}")]
    Broken(String),
}

impl Refusal {
    /// A fault of the storage, with its cause in words.
    pub(super) fn broken(cause: impl std::fmt::Display) -> Self {
        Self::Broken(cause.to_string())
    }
}

impl<E: Into<redb::Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::broken(error.into())
    }
}

/// The end of a storage: comes after the last handle is gone.
pub(super) struct Closed(std::thread::JoinHandle<()>);

impl Closed {
    /// Waits until the data directory is closed and free for another process.
    pub(super) async fn wait(self) {
        let joined = tokio::task::spawn_blocking(|| self.0.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the writer did not end well");
        }
    }
}

/// The handle to a data directory; cheap to clone.
#[derive(Clone)]
pub(super) struct Storage {
    db: Arc<redb::Database>,
    blobs: Arc<Blobs>,
    writer: writer::Writer,
}

impl Storage {
    /// Opens or creates the data directory and removes what a crash left behind. A directory whose
    /// index and bodies do not belong together is refused, and nothing in it changed.
    pub(super) fn open(dir: &Path, durability: Durability) -> Result<(Self, Closed), Error> {
        lineage::check_is_ours(dir, &disk::index(dir), &disk::bodies(dir))?;
        let bodies = disk::prepare(dir)?;
        lineage::check_index_is_there(dir, &disk::index(dir), &bodies)?;
        let db = Arc::new(disk::open_index(dir, durability)?);
        let first_id = index::create_tables(&db).map_err(|e| Error::corrupt(dir, e))?;
        let live = index::live_blobs(&db).map_err(|e| Error::corrupt(dir, e))?;
        let keeper = Keeper::begin(dir, &bodies, &db, &live, durability)?;
        let blobs = Arc::new(Blobs::new(bodies, durability, first_id));
        let left = blobs.clear_up(&live).map_err(|e| Error::io(dir, e))?;
        if left.unfinished > 0 {
            let removed = left.unfinished;
            tracing::info!(removed, "removed unfinished bodies of an earlier run");
        }
        if left.unclaimed > 0 {
            let (moved, to) = (left.unclaimed, blobs.unclaimed());
            tracing::warn!(
                moved, to = %to.display(),
                "the last run did not end in good order: moved bodies away that no object has; \
                 remove them if no object is missing"
            );
        }
        let (writer, thread) = writer::Writer::start(Arc::clone(&db), Arc::clone(&blobs), keeper)
            .map_err(|e| Error::io(dir, e))?;
        Ok((Self { db, blobs, writer }, Closed(thread)))
    }

    /// Runs `op` on the newest committed state, on the blocking pool.
    pub(super) async fn read<T, F>(&self, op: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Snapshot) -> Result<T, Refusal> + Send + 'static,
    {
        let (db, blobs) = (Arc::clone(&self.db), Arc::clone(&self.blobs));
        tokio::task::spawn_blocking(move || {
            // Held until `op` has leased the bodies it wants: see `Blobs::remove`.
            let _gate = blobs.enter();
            op(&Snapshot::begin(&db, &blobs)?)
        })
        .await
        .map_err(Refusal::broken)?
    }

    /// Runs `op` in the next write transaction; returns once that is committed.
    ///
    /// `op` sees every write that was acknowledged before. A refusal must come before the first
    /// change, since operations share a transaction.
    pub(super) async fn write<T, F>(&self, op: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, Refusal> + Send + 'static,
    {
        self.writer.submit(op).await
    }

    /// Starts a file for a body too large for the index.
    pub(super) async fn new_blob(&self) -> std::io::Result<NewBlob> {
        NewBlob::create(&self.blobs).await
    }

    /// Opens a stored body's file for reading. The caller holds a lease on it.
    pub(super) async fn open_blob(&self, id: u64) -> std::io::Result<tokio::fs::File> {
        tokio::fs::File::open(self.blobs.path(id)).await
    }
}
