//! Handles: one for each `open(2)`.
//!
//! A reader holds one version to its last byte (R2); a writer holds a draft that is its own alone
//! (W12). What they do is in `io.rs` and `save.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::content::{Content, slice};
use super::items::{Age, DirItem};
use super::place::Place;
use super::scratch::OpenScratch;
use super::unshown::Unshown;
use super::writer::Writer;
use super::{Error, Who};
use crate::model::{Fingerprint, Ino, Tracing, Version};
use crate::store::{Entry, Metadata, Value};
use crate::telemetry::Reading;

/// The number of a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fh(pub u64);

/// One `open(2)`.
#[derive(Debug)]
pub(super) enum Handle {
    /// Of a key, for reading.
    Reader(Box<Reader>),
    /// Of a key, for writing, or for both.
    Writer(Box<Writer>),
    /// Of a scratch file.
    Scratch(OpenScratch),
    /// Of a directory: what it held when it was opened, and when that was.
    Dir(Vec<DirItem>, Age),
    /// Of one of the mount's own files: what it said when it was opened.
    Fixed(Content),
    /// Of the access log: how far its reader is.
    Access(Mutex<Reading>),
}

/// A handle for reading.
#[derive(Debug)]
pub(super) struct Reader {
    ino: Ino,
    who: Who,
    /// The key that it was opened as.
    place: Place,
    unshown: Unshown,
    /// The version that it reads.
    held: Mutex<Arc<ReadFrom>>,
    end: End,
}

impl Reader {
    pub(super) fn new(
        ino: Ino,
        who: Who,
        place: Place,
        source: ReadFrom,
        unshown: Unshown,
    ) -> Self {
        Self {
            ino,
            who,
            place,
            unshown,
            held: Mutex::new(Arc::new(source)),
            end: End::default(),
        }
    }

    /// The file.
    pub(super) fn ino(&self) -> Ino {
        self.ino
    }

    /// Who opened it.
    pub(super) fn who(&self) -> &Who {
        &self.who
    }

    /// The key that it was opened as.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether it stands at the end of its version, and comes back there.
    pub(super) fn end(&self) -> &End {
        &self.end
    }

    /// What its opener was not shown yet, if anything. From now on it counts as shown.
    pub(super) fn take_unshown(&self) -> Option<(Place, Version)> {
        self.unshown.take()
    }

    /// The version that it reads now.
    pub(super) fn source(&self) -> Arc<ReadFrom> {
        Arc::clone(&self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on it reads another version, which begins with all the bytes of the one before.
    pub(super) fn goes_on_in(&self, source: ReadFrom, place: Place) {
        if let Some(version) = source.version() {
            self.unshown.put(place, version.clone());
        }
        self.end.is_there(false);
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(source);
    }
}

/// Whether a reader stands at the end of its version, and comes back there.
#[derive(Debug, Default)]
pub(super) struct End {
    is_there: AtomicBool,
    was_told: AtomicBool,
    is_last: AtomicBool,
}

impl End {
    /// The last reading ended there, or did not.
    pub(super) fn is_there(&self, is_there: bool) {
        self.is_there.store(is_there, Ordering::Relaxed);
    }

    /// Its process asks for more, or how large the file is. Whether it asked before, at the end: most who
    /// read to the end hear of it once, and close.
    pub(super) fn is_asked_again(&self) -> bool {
        self.is_there.load(Ordering::Relaxed)
            && !self.is_last.load(Ordering::Relaxed)
            && self.was_told.swap(true, Ordering::Relaxed)
    }

    /// The newest version does not go on from there: this reader keeps its own for good.
    pub(super) fn is_last(&self) {
        self.is_last.store(true, Ordering::Relaxed);
    }
}

/// Where a reader's bytes come from.
#[derive(Debug)]
pub(super) enum ReadFrom {
    /// Nowhere: the file was created by this mount, and is not saved yet.
    Nothing,
    /// Memory.
    Whole(Arc<Value>),
    /// The store, a block at a time; the last one is kept.
    Pieces(Box<Pieces>),
}

impl ReadFrom {
    /// The version, if there is one.
    pub(super) fn version(&self) -> Option<&Version> {
        match self {
            Self::Nothing => None,
            Self::Whole(value) => Some(&value.version),
            Self::Pieces(pieces) => Some(&pieces.entry.version),
        }
    }

    /// How many bytes there are to be read.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Whole(value) => value.bytes.len() as u64,
            Self::Pieces(pieces) => pieces.size(),
        }
    }
}

/// A large value that is read in pieces.
#[derive(Debug)]
pub(super) struct Pieces {
    entry: Entry,
    metadata: Metadata,
    block: tokio::sync::Mutex<Block>,
    /// Whether the bytes are to be traced that are read.
    is_traced: AtomicBool,
}

impl Pieces {
    pub(super) fn new(entry: Entry, metadata: Metadata) -> Self {
        Self {
            entry,
            metadata,
            block: tokio::sync::Mutex::default(),
            is_traced: AtomicBool::new(false),
        }
    }

    /// What the store said of the value.
    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// What travels with it.
    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The piece that was read last, once nobody else reads.
    pub(super) async fn block(&self) -> tokio::sync::MutexGuard<'_, Block> {
        self.block.lock().await
    }

    /// How many bytes there are; as many as can be when that is not known.
    pub(super) fn size(&self) -> u64 {
        self.entry.size.unwrap_or(u64::MAX)
    }

    /// From now on, or no more: the bytes are to be traced.
    pub(super) fn trace(&self, is_traced: bool) {
        self.is_traced.store(is_traced, Ordering::Relaxed);
    }

    /// These bytes were read. All of them, when that was the last piece of them.
    pub(super) fn traced(
        &self,
        block: &mut Block,
        start: u64,
        bytes: &[u8],
    ) -> Option<Fingerprint> {
        if !self.is_traced.load(Ordering::Relaxed) || start != block.tracing.len() {
            return None;
        }
        block.tracing.add(bytes);
        (block.tracing.len() == self.size()).then(|| std::mem::take(&mut block.tracing).done())
    }
}

/// A piece of a large value.
#[derive(Debug, Default)]
pub(super) struct Block {
    start: u64,
    bytes: Bytes,
    /// Of the bytes from the first one to where they were read without a gap.
    tracing: Tracing,
}

impl Block {
    /// Whether the byte at this offset is in it.
    pub(super) fn holds(&self, at: u64) -> bool {
        (self.start..self.start + self.bytes.len() as u64).contains(&at)
    }

    /// Holds these bytes instead, which begin at this offset.
    pub(super) fn hold(&mut self, start: u64, bytes: Bytes) {
        (self.start, self.bytes) = (start, bytes);
    }

    /// The bytes from an offset that it holds on, at most `len`.
    pub(super) fn read(&self, at: u64, len: usize) -> Bytes {
        slice(&self.bytes, at - self.start, len)
    }
}

impl Handle {
    pub(super) fn as_writer(&self) -> Result<&Writer, Error> {
        match self {
            Self::Writer(writer) => Ok(writer),
            _ => Err(Error::BadHandle),
        }
    }

    /// Its opener knows what this key is, whatever the handle reads of it from now on.
    pub(super) fn knows(&self, place: &Place) {
        match self {
            Self::Reader(reader) => reader.unshown.take_of(place),
            Self::Writer(writer) => writer.knows(place),
            Self::Scratch(_) | Self::Dir(..) | Self::Fixed(_) | Self::Access(_) => {}
        }
    }

    /// If its opener has yet to be shown `replaced`, that will show it `version`, which has the same bytes and
    /// perhaps more, which the opener put behind them.
    pub(super) fn will_know(&self, place: &Place, replaced: &Version, version: &Version) {
        match self {
            Self::Reader(reader) => reader.unshown.goes_on(place, replaced, version),
            Self::Writer(writer) => writer.will_know(place, replaced, version),
            Self::Scratch(_) | Self::Dir(..) | Self::Fixed(_) | Self::Access(_) => {}
        }
    }

    /// The opener of a handle, if it is of a key or a scratch file.
    pub(super) fn who(&self) -> Who {
        match self {
            Self::Reader(reader) => reader.who,
            Self::Writer(writer) => *writer.who(),
            Self::Scratch(open) => open.who(),
            Self::Dir(..) | Self::Fixed(_) | Self::Access(_) => None,
        }
    }
}
