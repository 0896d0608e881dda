//! Handles: one for each `open(2)`.
//!
//! A reader holds one version to its last byte (R2); a writer holds a draft that is its own alone
//! (W12). What they do is in `io.rs` and `save.rs`.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;

use super::content::{Content, Missing, Room};
use super::dir::{Age, DirItem};
use super::loss::Kept;
use super::scratch::OpenScratch;
use super::table::Place;
use super::{Error, Life, Who};
use crate::model::{CaughtUp, Draft, Fingerprint, Ino, Key, Precondition, Tracing, Version};
use crate::store::{Entry, Metadata, Store, Value};
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
    pub(super) ino: Ino,
    pub(super) who: Who,
    /// The key that it was opened as.
    pub(super) place: Place,
    pub(super) unshown: Unshown,
    /// The version that it reads.
    held: Mutex<Arc<ReadFrom>>,
    pub(super) end: End,
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

/// The version of a key that a handle was opened on, until its opener is shown it by the first reading.
#[derive(Debug, Default)]
pub(super) struct Unshown(Mutex<Option<(Place, Version)>>);

impl Unshown {
    pub(super) fn new(place: Place, version: Version) -> Self {
        Self(Mutex::new(Some((place, version))))
    }

    /// It, if it was not shown yet. From now on it counts as shown.
    pub(super) fn take(&self) -> Option<(Place, Version)> {
        let unshown = self.0.lock();
        unshown.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// It counts no more, if it is of this key.
    pub(super) fn take_of(&self, place: &Place) {
        let mut unshown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unshown.take_if(|(of, _)| of == place);
    }

    /// The handle reads another version now.
    fn put(&self, place: Place, version: Version) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((place, version));
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
    pub(super) entry: Entry,
    pub(super) metadata: Metadata,
    pub(super) block: tokio::sync::Mutex<Block>,
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
    pub(super) start: u64,
    pub(super) bytes: Bytes,
    /// Of the bytes from the first one to where they were read without a gap.
    tracing: Tracing,
}

/// The thread that wrote last through a handle, if it is not the opener's only one.
#[derive(Debug, Default)]
pub(super) struct Hand(AtomicU32);

impl Hand {
    /// Notes who writes; whether it is perhaps somebody else than the opener, and who wrote last.
    pub(super) fn is_new(&self, opener: Who, thread: u32) -> bool {
        let is_opener = opener.is_some_and(|who| who.process.id == thread);
        !is_opener && self.0.swap(thread, Ordering::Relaxed) != thread
    }
}

/// A handle for writing.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) ino: Ino,
    /// The key that it was opened as, if that is known; a file may be renamed.
    pub(super) opened_as: Option<(Arc<dyn Store>, Key)>,
    pub(super) who: Who,
    /// The life of the opener, if it is known.
    pub(super) opener: Option<Arc<dyn Life>>,
    /// It created the file, and demanded that nobody else had.
    pub(super) is_exclusive: bool,
    pub(super) hand: Hand,
    pub(super) unshown: Unshown,
    pub(super) state: tokio::sync::Mutex<WriterState>,
    /// The base of the save that is under way, and what is to be kept of it, for a mount that ends
    /// before it does.
    under_way: Mutex<Option<(Precondition, Kept)>>,
    /// What `stat` shows to the writer's own process, readable while a save holds `state`.
    shape: Mutex<Option<Shape>>,
}

/// The size and time of a draft that differs from what is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) size: u64,
    pub(super) modified: SystemTime,
}

/// What a writer has so far.
#[derive(Debug)]
pub(super) struct WriterState {
    pub(super) draft: Draft,
    pub(super) content: Content,
    pub(super) metadata: Metadata,
    /// Where the bytes begin that were appended since the last save, if all that was ever done is
    /// appending: the length of what it is based on.
    pub(super) appended_from: usize,
    /// What is stored since the last save is not these bytes, and not known: an append has to ask
    /// first what it comes behind.
    pub(super) stands_elsewhere: bool,
    /// What is not among these bytes: there was no room for it, or the value would be too large.
    pub(super) missing: Missing,
    /// What the draft knows of what became of its file.
    pub(super) caught_up: CaughtUp,
    /// The rescue that holds these bytes, if a save of them failed.
    pub(super) rescued: Option<String>,
    /// The bytes of the last write that was to be saved at once and was not, and the rescue that holds them.
    pub(super) taken_back: Option<(Bytes, String)>,
}

impl WriterState {
    /// A draft whose bytes are those of its base.
    pub(super) fn new(draft: Draft, bytes: Bytes, metadata: Metadata) -> Self {
        Self::of(draft, Content::Shared(bytes), metadata)
    }

    /// As [`new`](Self::new), of bytes that may be too many for memory.
    pub(super) fn of(draft: Draft, content: Content, metadata: Metadata) -> Self {
        Self {
            draft,
            appended_from: content.len(),
            content,
            metadata,
            stands_elsewhere: false,
            missing: Missing::default(),
            caught_up: CaughtUp::default(),
            rescued: None,
            taken_back: None,
        }
    }

    /// Whether these bytes are a part of what was written, and worth nothing alone. Lines that were
    /// appended are.
    pub(super) fn is_half(&self) -> bool {
        self.missing.is_something() && self.draft.is_dirty() && !self.draft.only_appends()
    }

    /// Puts what was appended behind other bytes.
    ///
    /// # Errors
    /// Any error of the local disk; then nothing has changed.
    pub(super) fn put_behind(
        &mut self,
        bytes: Bytes,
        appended: &[u8],
        room: &Room,
    ) -> io::Result<()> {
        let end = bytes.len();
        let mut content = Content::Shared(bytes);
        if !appended.is_empty() {
            content.write(end, appended, room)?;
        }
        self.appended_from = end;
        self.stands_elsewhere = false;
        self.content = content;
        Ok(())
    }

    /// What was appended since the last save.
    ///
    /// # Errors
    /// Any error of the local disk.
    pub(super) fn appended(&self) -> io::Result<Bytes> {
        self.content.read(self.appended_from as u64, usize::MAX)
    }

    /// The bytes that must not be lost: of who only appended, what it appended since its last save.
    ///
    /// # Errors
    /// Any error of the local disk.
    pub(super) fn kept(&mut self) -> io::Result<Kept> {
        let kept = match self.draft.only_appends() {
            true => Kept::appended(self.appended()?),
            false => Kept::whole(self.content.share()?),
        };
        Ok(kept.instead_of(self.rescued.clone()))
    }
}

impl Writer {
    pub(super) fn new(
        ino: Ino,
        who: Who,
        opener: Option<Arc<dyn Life>>,
        state: WriterState,
    ) -> Self {
        let shape = state.draft.is_dirty().then(|| Shape {
            size: state.content.len() as u64,
            modified: SystemTime::now(),
        });
        Self {
            ino,
            opened_as: None,
            who,
            opener,
            is_exclusive: false,
            hand: Hand::default(),
            unshown: Unshown::default(),
            state: tokio::sync::Mutex::new(state),
            under_way: Mutex::new(None),
            shape: Mutex::new(shape),
        }
    }

    /// The same writer, of a file that it created exclusively (O_EXCL).
    pub(super) fn exclusive(self, is_exclusive: bool) -> Self {
        Self {
            is_exclusive,
            ..self
        }
    }

    /// Its opener, who may read too, is shown this by its first reading.
    pub(super) fn not_shown_yet(mut self, place: Place, version: Version) -> Self {
        self.unshown = Unshown::new(place, version);
        self
    }

    /// Notes that a save over this base is under way, or that it ended.
    pub(super) fn set_under_way(&self, save: Option<(Precondition, Kept)>) {
        *self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = save;
    }

    /// The base of the save that is under way, and what is to be kept of it.
    pub(super) fn under_way(&self) -> Option<(Precondition, Kept)> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The size and time of the draft; `None` while it is what is stored.
    pub(super) fn shape(&self) -> Option<Shape> {
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the size and time after a change, or after a save (`None`).
    pub(super) fn reshape(&self, shape: Option<Shape>) {
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner) = shape;
    }
}

impl Handle {
    pub(super) fn as_writer(&self) -> Result<&Writer, Error> {
        match self {
            Self::Writer(writer) => Ok(writer),
            _ => Err(Error::BadHandle),
        }
    }

    /// The opener of a handle, if it is of a key or a scratch file.
    pub(super) fn who(&self) -> Who {
        match self {
            Self::Reader(reader) => reader.who,
            Self::Writer(writer) => writer.who,
            Self::Scratch(open) => open.who,
            Self::Dir(..) | Self::Fixed(_) | Self::Access(_) => None,
        }
    }
}
