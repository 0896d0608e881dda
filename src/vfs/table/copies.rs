//! Which process was shown what, and which process only copied it (W1).
//!
//! A reading that replaces an older one is in doubt ([`Seen`](crate::model::Seen) says why) until the same
//! process has written the same bytes into another file, whatever its name and kind. So the bytes of a
//! written file are checked when one of its descriptors is closed, and, while some are still open, when a
//! save needs its base; but only if there is a doubt, and their number fits. The original of a copy is
//! remembered: a process that reads the copy has read the original, and a process that moves the copy over
//! the original replaces exactly that version.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;

use super::super::access::At;
use super::super::content::Content;
use super::super::gone::is_caller_gone;
use super::super::handles::{Handle, ReadFrom, Reader};
use super::super::place::Place;
use super::super::scratch::{OpenScratch, Scratch};
use super::super::writer::{Writer, WriterState};
use super::super::{Error, Vfs, Who};
use crate::model::{Base, Caller, Fingerprint, Ino, Precondition, Process, Tracing, Version};

/// The files that began as copies of a key.
#[derive(Debug)]
pub(in crate::vfs) struct Copies(LruCache<Ino, Copy>);

/// A version of a key whose bytes a file began with.
#[derive(Clone, Debug)]
pub(in crate::vfs) struct Copy {
    pub(in crate::vfs) of: Place,
    pub(in crate::vfs) version: Version,
}

/// How many copies are remembered.
const COPIES: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// How many bytes are checked at once.
const PIECE: usize = 1 << 20;

impl Copies {
    pub(in crate::vfs) fn new() -> Self {
        Self(LruCache::new(COPIES))
    }

    /// The file was written. A copy stays a copy if bytes are appended, and only then.
    pub(in crate::vfs) fn written(&mut self, ino: Ino, at: At) {
        if at != At::End {
            self.forget(ino);
        }
    }

    /// Whether a file began as a copy of a key.
    pub(in crate::vfs) fn is_of(&self, ino: Ino, place: &Place) -> bool {
        self.0.peek(&ino).is_some_and(|copy| copy.of == *place)
    }

    /// The file holds something else now.
    pub(in crate::vfs) fn forget(&mut self, ino: Ino) {
        if !self.0.is_empty() {
            self.0.pop(&ino);
        }
    }
}

impl Vfs {
    /// What a save of a key that starts from nothing replaces, when the key is `current` now (W1).
    pub(in crate::vfs) fn base(
        &self,
        callers: impl IntoIterator<Item = Caller>,
        place: &Place,
        current: &Precondition,
    ) -> Base {
        self.settle_doubts(place);
        self.table().base(callers, place, current)
    }

    /// As [`base`](Self::base), of a delete, or of a key that is moved away.
    pub(in crate::vfs) fn base_of_delete(
        &self,
        by: Who,
        place: &Place,
        current: &Precondition,
    ) -> Base {
        self.settle_doubts(place);
        self.table().base_of_delete(by, place, current)
    }

    /// The opener of this handle is now shown what it reads (W1). An open alone shows nothing: vis opens a
    /// file to check its attributes just before it replaces it, `flock` to lock it.
    pub(in crate::vfs) fn note_reading(&self, reader: &Reader) {
        if is_caller_gone() {
            return;
        }
        let (Some((place, version)), Some(caller)) = (reader.take_unshown(), reader.who()) else {
            return;
        };
        let is_doubtful = self.show(caller, &place, &version);
        match &*reader.source() {
            ReadFrom::Whole(value) if is_doubtful => {
                let bytes = Fingerprint::of(&value.bytes);
                self.read_bytes(caller, &place, bytes);
            }
            ReadFrom::Whole(_) | ReadFrom::Nothing => {}
            ReadFrom::Pieces(pieces) => pieces.trace(is_doubtful),
        }
        if self.is_own(reader.ino(), &version) {
            self.note_reading_of_copy(reader.ino(), *reader.who());
        }
    }

    /// Remembers that a process was given a version. Returns whether that is in doubt.
    pub(in crate::vfs) fn show(&self, caller: &Caller, place: &Place, version: &Version) -> bool {
        if is_caller_gone() {
            return false;
        }
        let mut table = self.table();
        let before = table.seen.room().forgotten;
        let is_doubtful = table.show(caller, place, version);
        let room = table.seen.room();
        drop(table);
        // The first one, and from then on each time that they are twice as many.
        if room.forgotten.checked_ilog2() != before.checked_ilog2() {
            tracing::warn!(
                forgotten = room.forgotten,
                remembered = room.readings,
                "there is no room to remember which process was shown which version: a process that is forgotten replaces what is there; see --shown-memory"
            );
        }
        is_doubtful
    }

    /// Whether this version of a file is the last one that this mount made of it.
    pub(in crate::vfs) fn is_own(&self, ino: Ino, version: &Version) -> bool {
        let table = self.table();
        let node = table.tree.get(ino);
        node.is_some_and(|node| node.file.was_saved_as(version))
    }

    /// A process was shown a version in doubt, and these are its bytes.
    pub(in crate::vfs) fn read_bytes(&self, caller: &Caller, place: &Place, bytes: Fingerprint) {
        if bytes.len > 0 {
            let mut table = self.table();
            table.seen.note_bytes(caller.process, place, bytes);
        }
    }

    /// A process reads a file, and so the version of another one that it began with (except a process that
    /// was just refused: it restores its backup).
    pub(in crate::vfs) fn note_reading_of_copy(&self, ino: Ino, who: Who) {
        let now = self.now();
        let mut table = self.table();
        let Some(copy) = table.copies.0.get(&ino).cloned() else {
            return;
        };
        let Some(caller) = who else { return };
        let process = Some(caller.process);
        if !table.pending_renames.is_cleaning_up(&copy.of, process, now) {
            table.seen.read_copy(&caller, &copy.of, &copy.version);
        }
    }

    /// Whether a file began as a copy of this version of this key.
    pub(in crate::vfs) fn is_copy_of(
        &self,
        ino: Ino,
        place: &Place,
        version: &Precondition,
    ) -> bool {
        let table = self.table();
        let copy = table.copies.0.peek(&ino);
        copy.is_some_and(|copy| copy.of == *place && version.version() == Some(&copy.version))
    }

    /// A file was written: if it is a copy of what one of these processes last read of another key, that
    /// reading does not count as shown.
    fn note_copy(
        &self,
        ino: Ino,
        hands: [Option<Process>; 2],
        len: u64,
        bytes: impl FnOnce() -> io::Result<Fingerprint>,
    ) {
        let into = {
            let table = self.table();
            let into = table.file(ino).ok();
            let into = into.map(|(store, key)| (store.name(), key));
            let may_copy = |by: &Process| table.seen.may_copy(*by, into.as_ref(), len);
            if !hands.iter().flatten().any(may_copy) || table.copies.0.contains(&ino) {
                return;
            }
            into
        };
        let bytes = match bytes() {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::warn!(%error, "what was written could not be compared with what was read");
                return;
            }
        };
        let mut table = self.table();
        for process in hands.into_iter().flatten() {
            for (of, version) in table.seen.copied(process, into.as_ref(), &bytes) {
                tracing::debug!(pid = process.id, store = %of.0, key = %of.1, %version, "read to be copied: that shows nothing");
                table.copies.0.put(ino, Copy { of, version });
            }
        }
    }

    /// As [`note_copy`](Self::note_copy), for the bytes that a writer has so far.
    pub(in crate::vfs) fn note_written(&self, writer: &Writer, content: &Content) {
        let creator = {
            let table = self.table();
            table.tree.get(writer.ino()).and_then(|node| node.creator)
        };
        let hands = [*writer.who(), creator].map(|who| who.map(|who| who.process));
        let len = content.len() as u64;
        self.note_copy(writer.ino(), hands, len, || {
            fingerprint(|start| content.read(start, PIECE))
        });
    }

    /// As [`note_copy`](Self::note_copy), for the bytes of a scratch file.
    pub(in crate::vfs) fn note_written_scratch(&self, open: &OpenScratch) {
        let scratch: &Scratch = open.scratch();
        if !open.is_for_writing() || !self.table().seen.is_anybody_in_doubt() {
            return;
        }
        let hands = [open.who(), scratch.maker()].map(|who| who.map(|who| who.process));
        let Ok((len, _)) = scratch.shape() else {
            return;
        };
        self.note_copy(scratch.ino(), hands, len, || {
            fingerprint(|start| scratch.read(start, PIECE))
        });
    }

    /// Before the base of a save of a key is decided: notes the processes that missed it, and checks the
    /// files that are still being written by processes whose reading of the key is in doubt.
    pub(in crate::vfs) fn settle_doubts(&self, place: &Place) {
        let open: Vec<_> = {
            let mut table = self.table();
            table.settle_misses(place);
            let doubters = table.seen.in_doubt(place);
            if doubters.is_empty() {
                return;
            }
            let is_doubter = |who: Who| who.is_some_and(|who| doubters.contains(&who.process));
            let handles = table.handles.values().map(|open| &open.handle);
            let handles = handles.filter(|handle| match &***handle {
                Handle::Writer(writer) => {
                    let node = table.tree.get(writer.ino());
                    is_doubter(*writer.who()) || is_doubter(node.and_then(|node| node.creator))
                }
                Handle::Scratch(open) => {
                    is_doubter(open.who()) || is_doubter(open.scratch().maker())
                }
                _ => false,
            });
            handles.map(Arc::clone).collect()
        };
        for handle in open {
            match &*handle {
                // It is locked by the process that asks, or by one that is saving it and has checked.
                Handle::Writer(writer) => {
                    if let Some(state) = writer.try_lock() {
                        self.note_written(writer, &state.content);
                    }
                }
                Handle::Scratch(open) => self.note_written_scratch(open),
                _ => {}
            }
        }
    }

    /// The opener of this handle, which reads and writes, reads: it is shown what it opened.
    pub(in crate::vfs) fn note_reading_of_writer(
        &self,
        writer: &Writer,
        state: &WriterState,
    ) -> Result<(), Error> {
        if is_caller_gone() {
            return Ok(());
        }
        let (Some((place, version)), Some(caller)) = (writer.take_unshown(), writer.who()) else {
            return Ok(());
        };
        if self.show(caller, &place, &version) && !state.draft.is_dirty() {
            let bytes = fingerprint(|start| state.content.read(start, PIECE));
            self.read_bytes(caller, &place, bytes.map_err(Error::of_disk)?);
        }
        if self.is_own(writer.ino(), &version) {
            self.note_reading_of_copy(writer.ino(), *writer.who());
        }
        Ok(())
    }
}

/// The fingerprint of bytes that are read piece by piece.
fn fingerprint(read: impl Fn(u64) -> io::Result<bytes::Bytes>) -> io::Result<Fingerprint> {
    let mut tracing = Tracing::default();
    loop {
        let piece = read(tracing.len())?;
        if piece.is_empty() {
            return Ok(tracing.done());
        }
        tracing.add(&piece);
    }
}
