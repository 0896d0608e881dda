//! A handle for writing: its own draft (W12), and the bytes of that.
//!
//! `io.rs` and `save.rs` use it.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::MutexGuard;

use super::content::{Content, Missing, Room};
use super::loss::Kept;
use super::place::Place;
use super::unshown::Unshown;
use super::{Life, Who};
use crate::model::saving::{Facts, Saving, Step};
use crate::model::{CaughtUp, Draft, File, Ino, Key, Precondition, SaveReason, Version};
use crate::store::{Metadata, ReadBack, Store};

/// The thread that wrote last through a handle, if it is not the opener's only one.
#[derive(Debug, Default)]
pub(super) struct Hand(AtomicU32);

impl Hand {
    /// Notes the writing thread. Returns whether it may belong to another process than the opener, and
    /// differs from the last one.
    pub(super) fn note(&self, opener: Who, thread: u32) -> bool {
        let is_opener = opener.is_some_and(|who| who.process.id == thread);
        !is_opener && self.0.swap(thread, Ordering::Relaxed) != thread
    }
}

/// A handle for writing.
#[derive(Debug)]
pub(super) struct Writer {
    ino: Ino,
    /// The key that it was opened as, if that is known; a file may be renamed.
    opened_as: Option<(Arc<dyn Store>, Key)>,
    who: Who,
    /// The life of the opener, if it is known.
    opener: Option<Arc<dyn Life>>,
    /// It created the file exclusively.
    is_exclusive: bool,
    hand: Hand,
    unshown: Unshown,
    state: tokio::sync::Mutex<WriterState>,
    /// The base of the save that is under way, and the bytes to keep if the mount ends before it.
    under_way: Mutex<Option<(Precondition, Kept)>>,
    /// What `stat` shows to the writer's own process, readable while a save holds `state`.
    shape: Mutex<Option<Shape>>,
}

/// The size and time of a draft that differs from what is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    size: u64,
    modified: SystemTime,
}

impl Shape {
    pub(super) fn new(size: u64, modified: SystemTime) -> Self {
        Self { size, modified }
    }

    /// How many bytes the draft has.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// When the draft was changed last.
    pub(super) fn modified(&self) -> SystemTime {
        self.modified
    }
}

/// What a writer has so far.
#[derive(Debug)]
pub(super) struct WriterState {
    pub(super) draft: Draft,
    pub(super) content: Content,
    pub(super) metadata: Metadata,
    /// Where the bytes begin that were appended since the last save, if its writer only ever appended: the
    /// length of its base.
    appended_from: usize,
    /// What the last save stored is not these bytes, and is not known: an append must first ask the store
    /// what it follows.
    stands_elsewhere: bool,
    /// What is missing from these bytes, because there was no room for it, or the value would be too large.
    missing: Missing,
    /// What the draft knows of what happened to its file.
    caught_up: CaughtUp,
    /// The rescue that holds these bytes, if a save of them failed.
    rescued: Option<String>,
    /// The bytes of the last write that should have been saved at once and was not, and the rescue that holds
    /// them.
    taken_back: Option<(Bytes, String)>,
}

impl WriterState {
    /// A draft whose bytes are those of its base.
    pub(super) fn new(draft: Draft, bytes: Bytes, metadata: Metadata) -> Self {
        Self::of(draft, Content::Shared(bytes), metadata)
    }

    /// As [`new`](Self::new), with bytes that may be too many for memory.
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

    /// The same, of a writer that knows what became of its file so far.
    pub(super) fn caught_up(self, caught_up: CaughtUp) -> Self {
        Self { caught_up, ..self }
    }

    /// Learns what became of its file since it last looked.
    pub(super) fn catch_up(&mut self, file: &File<Metadata>) {
        if let Some(metadata) = file.catch_up(&mut self.draft, &mut self.caught_up) {
            self.metadata = metadata;
        }
    }

    /// A save of it begins.
    pub(super) fn begin_save(
        &mut self,
        file: &File<Metadata>,
        reason: SaveReason,
    ) -> (Saving, Step) {
        let facts = Facts {
            reason,
            stands_elsewhere: self.stands_elsewhere,
        };
        Saving::begin(file, &mut self.draft, &self.caught_up, facts)
    }

    /// What was appended stands behind this now: what the save does next.
    pub(super) fn rebased(
        &mut self,
        file: &mut File<Metadata>,
        saving: &mut Saving,
        newest: Precondition,
    ) -> Step {
        saving.rebased(file, &mut self.draft, &mut self.caught_up, newest)
    }

    /// It was saved, which does not overtake it.
    pub(super) fn saved(&mut self, file: &File<Metadata>) {
        file.saved_by(&mut self.caught_up);
    }

    /// The store has its bytes, perhaps as others: it goes on from those.
    pub(super) fn goes_on_from(&mut self, stored: &ReadBack) {
        self.appended_from = self.content.len();
        match stored {
            ReadBack::Same => {}
            ReadBack::Other(bytes, metadata) => {
                self.metadata = Metadata::clone(metadata);
                if self.draft.only_appends() {
                    // What is appended next comes behind what is stored now.
                    self.appended_from = bytes.len();
                    self.content = Content::Shared(bytes.clone());
                }
            }
            ReadBack::Unknown => {
                self.metadata = Metadata::default();
                self.stands_elsewhere = true;
            }
        }
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// Any error of the local disk; they are missing then.
    pub(super) fn write(&mut self, start: usize, data: &[u8], room: &Room) -> io::Result<()> {
        let bytes = start as u64..(start + data.len()) as u64;
        let written = self.content.write(start, data, room);
        match &written {
            Ok(()) => self.missing.written(bytes),
            Err(_) => self.missing.lost(bytes),
        }
        written
    }

    /// These bytes were to be written, and were not.
    pub(super) fn lacks(&mut self, bytes: Range<u64>) {
        self.missing.lost(bytes);
    }

    /// Sets the size.
    ///
    /// # Errors
    /// Any error of the local disk; then all of it is missing, since nobody knows what was meant to stay.
    pub(super) fn set_len(&mut self, len: usize, room: &Room) -> io::Result<()> {
        let resized = self.content.set_len(len, room);
        match &resized {
            Ok(()) => self.missing.ends_at(len as u64),
            Err(_) => self.missing.lost(0..u64::MAX),
        }
        resized
    }

    /// What was appended last could not be saved at once: a program that writes it again appends it once. Nothing
    /// that the draft saves or rescues later stands for it, but the same bytes.
    ///
    /// # Errors
    /// Any error of the local disk.
    pub(super) fn take_back(&mut self, data: &[u8], room: &Room) -> io::Result<()> {
        self.content
            .set_len(self.content.len() - data.len(), room)?;
        let bytes = Bytes::copy_from_slice(data);
        self.taken_back = self.rescued.take().map(|rescue| (bytes, rescue));
        Ok(())
    }

    /// A program wrote this: if that is what was taken back, the rescue of it stands for the draft again.
    pub(super) fn note_write(&mut self, data: &[u8]) {
        if let Some((_, rescue)) = self.taken_back.take_if(|(bytes, _)| bytes == data) {
            self.rescued = Some(rescue);
        }
    }

    /// A save of it failed, and this rescue holds its bytes; if there is none, an earlier one still does.
    pub(super) fn note_rescue(&mut self, rescue: Option<String>) {
        self.rescued = rescue.or(self.rescued.take());
    }

    /// The rescue that held its bytes, which are saved now.
    pub(super) fn take_rescue(&mut self) -> Option<String> {
        self.rescued.take()
    }

    /// The bytes to be sent, and what must not be lost of them.
    ///
    /// # Errors
    /// Any error of the local disk.
    pub(super) fn share(&mut self) -> io::Result<(Bytes, Kept)> {
        let bytes = self.content.share()?;
        let kept = match self.draft.only_appends() {
            true => Kept::appended(bytes.slice(self.appended_from.min(bytes.len())..)),
            false => Kept::whole(bytes.clone()),
        };
        Ok((bytes, kept))
    }

    /// Whether the bytes are only a part of what was written, so that saving them would lose data. A part of
    /// an append is still useful.
    pub(super) fn is_half(&self) -> bool {
        self.missing.is_something() && self.draft.is_dirty() && !self.draft.only_appends()
    }

    /// Appends the appended bytes to other ones.
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

    /// The bytes that must not be lost: if the writer only appended, those that it appended since its last
    /// save.
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

    /// Its opener may read too: its first reading shows it this.
    pub(super) fn not_shown_yet(mut self, place: Place, version: Version) -> Self {
        self.unshown = Unshown::new(place, version);
        self
    }

    /// The file.
    pub(super) fn ino(&self) -> Ino {
        self.ino
    }

    /// Its opener.
    pub(super) fn who(&self) -> &Who {
        &self.who
    }

    /// The key that it was opened as, if that is known.
    pub(super) fn opened_as(&self) -> Option<(&Arc<dyn Store>, &Key)> {
        let (store, key) = self.opened_as.as_ref()?;
        Some((store, key))
    }

    /// Whether its opener is still alive, as far as that is known.
    pub(super) fn opener_goes_on(&self) -> bool {
        self.opener.as_ref().is_some_and(|opener| opener.goes_on())
    }

    /// Whether it created the file exclusively.
    pub(super) fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }

    /// Notes the writing thread. Returns whether it may belong to another process than the opener, and
    /// differs from the last one.
    pub(super) fn note_hand(&self, thread: u32) -> bool {
        self.hand.note(self.who, thread)
    }

    /// Takes what its opener was not shown yet, if anything. From now on it counts as shown.
    pub(super) fn take_unshown(&self) -> Option<(Place, Version)> {
        self.unshown.take()
    }

    /// Its opener knows what this key is.
    pub(super) fn knows(&self, place: &Place) {
        self.unshown.take_of(place);
    }

    /// What its opener will be shown has another version now, if it was `replaced`.
    pub(super) fn will_know(&self, place: &Place, replaced: &Version, version: &Version) {
        self.unshown.goes_on(place, replaced, version);
    }

    /// What it appended follows this version now, which its opener is shown if it reads what it has.
    pub(super) fn reads_behind(&self, place: &Place, newest: &Precondition) {
        self.unshown.follows(place, newest);
    }

    /// Locks what it has so far; held during a save.
    pub(super) async fn lock(&self) -> MutexGuard<'_, WriterState> {
        self.state.lock().await
    }

    /// As [`lock`](Self::lock), if it is free now.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, WriterState>> {
        self.state.try_lock().ok()
    }

    /// It is about to be opened: what it is called, if that is known, and where it stands among the writers of
    /// its file.
    pub(super) fn opens(&mut self, as_key: Option<(Arc<dyn Store>, Key)>, caught_up: CaughtUp) {
        self.opened_as = as_key;
        self.state.get_mut().caught_up = caught_up;
    }

    /// Notes that a save over this base is under way, or that it ended.
    pub(super) fn set_under_way(&self, save: Option<(Precondition, Kept)>) {
        *self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = save;
    }

    /// The base of the save that is under way, and the bytes to keep of it.
    pub(super) fn under_way(&self) -> Option<(Precondition, Kept)> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The size and time of the draft; `None` while it equals what is stored.
    pub(super) fn shape(&self) -> Option<Shape> {
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes the size and time after a change, or after a save (`None`).
    pub(super) fn reshape(&self, shape: Option<Shape>) {
        *self.shape.lock().unwrap_or_else(PoisonError::into_inner) = shape;
    }
}
