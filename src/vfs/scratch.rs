//! Scratch files: what editors and tools make besides the keys they save (W9).
//!
//! They are files as on any disk, kept in the [scratch directory](super::scratch_dir), without versions,
//! drafts or a store. `crates/model/src/scratch.rs` says which names are scratch; `pending_renames.rs` and `rename.rs`
//! say what it means to move a key to such a name, or one of these files over a key.

mod handle;
mod names;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

use bytes::Bytes;

use super::attr::FileKind;
use super::content::zeros;
use super::{Error, Who};
use crate::model::Ino;
use crate::store::Metadata;
pub(super) use handle::OpenScratch;

/// Identifies a scratch file among those of its mount.
pub(super) type ScratchId = u64;

/// A file that lives only in this mount.
#[derive(Debug)]
pub(super) struct Scratch {
    id: ScratchId,
    /// The process that made it, if that is known.
    creator: Who,
    /// The process that made its content: its creator, or the last process that opened it for writing.
    maker: Mutex<Who>,
    body: Body,
    /// Whether nothing was written to it since it was filled with the value of a key.
    pristine: AtomicBool,
    /// The metadata of that value.
    metadata: Mutex<Metadata>,
    /// The inode that it was last shown as.
    ino: AtomicU64,
    /// When the store last said that it has no key of this name.
    absent_at: Mutex<Option<Instant>>,
    /// How often it was written to.
    changes: AtomicU64,
    /// Whether its bytes have become a key. Held while it is written to.
    is_key: RwLock<bool>,
}

/// The content of a scratch file.
#[derive(Debug)]
pub(super) enum Body {
    /// Bytes.
    File(File),
    /// The path that a symbolic link points to.
    Link(String),
}

impl Scratch {
    pub(super) fn new(id: ScratchId, creator: Who, body: Body) -> Arc<Self> {
        Arc::new(Self {
            id,
            creator,
            maker: Mutex::new(creator),
            body,
            pristine: AtomicBool::new(false),
            metadata: Mutex::default(),
            ino: AtomicU64::new(0),
            absent_at: Mutex::new(None),
            changes: AtomicU64::new(0),
            is_key: RwLock::new(false),
        })
    }

    /// Its number among those of its mount.
    pub(super) fn id(&self) -> ScratchId {
        self.id
    }

    /// The process that made it, if that is known.
    pub(super) fn creator(&self) -> Who {
        self.creator
    }

    /// Its target, if it is a symbolic link.
    pub(super) fn link(&self) -> Option<&str> {
        match &self.body {
            Body::Link(target) => Some(target),
            Body::File(_) => None,
        }
    }

    /// The process that made its content, if that is known.
    pub(super) fn maker(&self) -> Who {
        *self.maker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who makes its content from now on.
    pub(super) fn set_maker(&self, who: Who) {
        *self.maker.lock().unwrap_or_else(PoisonError::into_inner) = who;
    }

    /// A file, or a symbolic link.
    pub(super) fn kind(&self) -> FileKind {
        match self.body {
            Body::File(_) => FileKind::File,
            Body::Link(_) => FileKind::Symlink,
        }
    }

    /// The inode that it was last shown as, if any.
    pub(super) fn ino(&self) -> Ino {
        Ino(self.ino.load(Ordering::Relaxed))
    }

    /// The store said just now that it has no key of this name.
    pub(super) fn note_absence(&self) {
        *self.absent_at() = Some(Instant::now());
    }

    /// Whether the store said less than `ttl` ago that it has no key of this name.
    pub(super) fn was_no_key(&self, ttl: Duration) -> bool {
        self.absent_at().is_some_and(|at| at.elapsed() < ttl)
    }

    fn absent_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.absent_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing was written to it since it was filled with the value of a key.
    pub(super) fn is_pristine(&self) -> bool {
        self.pristine.load(Ordering::Relaxed)
    }

    /// It holds the value of a key now, with its metadata.
    pub(super) fn holds_value(&self, metadata: Metadata) {
        self.pristine.store(true, Ordering::Relaxed);
        *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = metadata;
    }

    /// The metadata of its bytes (these) when they are saved under a key.
    pub(super) fn metadata_of(&self, bytes: &[u8]) -> Metadata {
        let metadata = self.metadata.lock();
        let metadata = metadata.unwrap_or_else(PoisonError::into_inner);
        match self.is_pristine() {
            true => metadata.clone(),
            false => metadata.of(bytes),
        }
    }

    fn file(&self) -> io::Result<&File> {
        match &self.body {
            Body::File(file) => Ok(file),
            Body::Link(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Its size and the time of its last change.
    pub(super) fn shape(&self) -> io::Result<(u64, SystemTime)> {
        match &self.body {
            Body::File(file) => {
                let data = file.metadata()?;
                Ok((data.len(), data.modified()?))
            }
            Body::Link(target) => Ok((target.len() as u64, SystemTime::UNIX_EPOCH)),
        }
    }

    /// At most `len` bytes from `start`; fewer only at the end.
    pub(super) fn read(&self, start: u64, len: usize) -> io::Result<Bytes> {
        let file = self.file()?;
        let left = file.metadata()?.len().saturating_sub(start);
        let mut bytes = zeros(len.min(usize::try_from(left).unwrap_or(usize::MAX)))?;
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], start + filled as u64) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes.into())
    }

    /// All its bytes, if there are at most `limit`.
    ///
    /// # Errors
    /// [`Error::TooBig`]; those of the local disk.
    pub(super) fn read_all(&self, limit: u64) -> Result<Bytes, Error> {
        let (size, _) = self.shape().map_err(Error::of_disk)?;
        if size > limit {
            return Err(Error::TooBig(format!(
                "a value of {size} bytes is too large: the store holds values of at most {limit}"
            )));
        }
        self.read(0, usize::try_from(limit).unwrap_or(usize::MAX))
            .map_err(Error::of_disk)
    }

    /// How often it was written to. If this is the same before and after its bytes are read, they are one
    /// state.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Blocks all writes. Returns whether its bytes have become a key.
    pub(super) fn is_key_for_writing(&self) -> RwLockWriteGuard<'_, bool> {
        self.is_key.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes its bytes, unless they have become a key. Returns whether it did.
    fn change(&self, change: impl FnOnce(&File) -> io::Result<()>) -> io::Result<bool> {
        let is_key = self.is_key.read().unwrap_or_else(PoisonError::into_inner);
        if *is_key {
            return Ok(false);
        }
        self.pristine.store(false, Ordering::Relaxed);
        let changed = change(self.file()?);
        self.changes.fetch_add(1, Ordering::SeqCst);
        changed.map(|()| true)
    }

    /// Writes at an offset, or at the end. Not if it has become a key: then the handle has, too.
    pub(super) fn write(&self, start: Option<u64>, data: &[u8]) -> io::Result<bool> {
        self.change(|file| {
            let start = match start {
                Some(start) => start,
                None => file.metadata()?.len(),
            };
            file.write_all_at(data, start)
        })
    }

    /// Sets the size; not if it has become a key, as [`write`](Self::write).
    pub(super) fn set_len(&self, len: u64) -> io::Result<bool> {
        self.change(|file| file.set_len(len))
    }

    /// Makes the bytes durable, if it has any.
    pub(super) fn sync(&self) -> io::Result<()> {
        match &self.body {
            Body::File(file) => file.sync_data(),
            Body::Link(_) => Ok(()),
        }
    }
}
