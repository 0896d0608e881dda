//! Reading and writing through handles.
//!
//! All bytes that a reader gets belong to one version (R2); a writer reads back its own draft. Writes touch
//! only memory: `save.rs` sends them to the store.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};

use super::Context;
use super::access::{Access, At, Durable};
use super::content::{Content, slice};
use super::handles::{Block, Fh, Handle, ReadFrom, Reader};
use super::loss::Attempt;
use super::table::Kind;
use super::writer::{Shape, Writer, WriterState};
use super::{Attr, Error, Vfs};
use crate::model::{Base, Ino, Key, SaveReason};
use crate::store::{Entry, Metadata, Store, Value};

/// How much of a large value one request reads.
const BLOCK: u64 = 8 * 1024 * 1024;

impl Vfs {
    /// Reads at most `len` bytes from `start`; fewer only at the end.
    ///
    /// # Errors
    /// [`Error::Stale`] when the version of the handle no longer exists; any other.
    pub async fn read(&self, fh: Fh, start: u64, len: usize) -> Result<Bytes, Error> {
        let handle = self.handle(fh)?;
        match &*handle {
            Handle::Fixed(text) => text.read(start, len).map_err(Error::of_disk),
            Handle::Access(reading) => {
                let mut reading = reading.lock().unwrap_or_else(PoisonError::into_inner);
                let log = &self.telemetry.access;
                Ok(log.read(&mut reading, start, len).into())
            }
            Handle::Dir(..) => Err(Error::IsDir("the directory".to_owned())),
            // A failed read shows nothing, so what was shown is noted after each read.
            Handle::Scratch(open) => {
                let found = open.scratch().read(start, len).map_err(Error::of_disk)?;
                if open.note_reading() {
                    self.note_reading_of_copy(open.scratch().ino(), open.who());
                }
                Ok(found)
            }
            Handle::Writer(writer) => {
                let state = writer.lock().await;
                let found = state.content.read(start, len).map_err(Error::of_disk)?;
                self.note_reading_of_writer(writer, &state)?;
                Ok(found)
            }
            Handle::Reader(reader) => {
                if start >= reader.source().size() {
                    reader.end().is_there(true);
                    self.go_on(reader).await;
                }
                let source = reader.source();
                let found = self.read_from(reader, &source, start, len).await?;
                let end = start.saturating_add(found.len() as u64);
                reader.end().is_there(end >= source.size());
                Ok(found)
            }
        }
    }

    async fn read_from(
        &self,
        reader: &Reader,
        source: &ReadFrom,
        start: u64,
        len: usize,
    ) -> Result<Bytes, Error> {
        let pieces = match source {
            ReadFrom::Pieces(pieces) => pieces,
            ReadFrom::Whole(_) | ReadFrom::Nothing => {
                self.note_reading(reader);
                return Ok(match source {
                    ReadFrom::Whole(value) => slice(&value.bytes, start, len),
                    _ => Bytes::new(),
                });
            }
        };
        let mut block = pieces.block().await;
        let found = self
            .read_pieces(reader.ino(), pieces.entry(), &mut block, start, len)
            .await?;
        self.note_reading(reader);
        let all = pieces.traced(&mut block, start, &found);
        if let (Some(all), Some(caller)) = (all, reader.who()) {
            let (store, key) = self.file(reader.ino())?;
            self.read_bytes(caller, &(store.name(), key), all);
        }
        Ok(found)
    }

    async fn read_pieces(
        &self,
        ino: Ino,
        entry: &Entry,
        block: &mut Block,
        start: u64,
        len: usize,
    ) -> Result<Bytes, Error> {
        let (store, key) = self.file(ino)?;
        let size = entry.size.unwrap_or(u64::MAX);
        let end = start.saturating_add(len as u64).min(size);
        let mut found = BytesMut::new();
        let mut at = start;
        while at < end {
            if !block.holds(at) {
                block.hold(at, store.read(&key, entry, at, BLOCK).await?);
                if !block.holds(at) {
                    break;
                }
            }
            let want = usize::try_from(end - at).unwrap_or(usize::MAX);
            let piece = block.read(at, want);
            if found.is_empty() && piece.len() as u64 == end - at {
                return Ok(piece);
            }
            at += piece.len() as u64;
            found.extend_from_slice(&piece);
        }
        Ok(found.freeze())
    }

    /// Reads one version of a large value, block by block, and passes each with its offset to `take`.
    pub(super) async fn each_block(
        &self,
        store: &Arc<dyn Store>,
        key: &Key,
        entry: &Entry,
        mut take: impl FnMut(u64, &[u8]) -> Result<(), Error> + Send,
    ) -> Result<(), Error> {
        let size = entry.size.unwrap_or(u64::MAX);
        let mut at = 0;
        while at < size {
            let block = store.read(key, entry, at, BLOCK).await?;
            if block.is_empty() {
                break;
            }
            take(at, &block)?;
            at += block.len() as u64;
        }
        Ok(())
    }

    /// Reads one version of a large value whole, to edit it.
    pub(super) async fn read_all(
        &self,
        store: &Arc<dyn Store>,
        key: &Key,
        entry: &Entry,
    ) -> Result<Bytes, Error> {
        let mut bytes = BytesMut::new();
        self.each_block(store, key, entry, |_, block| {
            bytes.extend_from_slice(block);
            Ok(())
        })
        .await?;
        Ok(bytes.freeze())
    }

    /// Reads one version of a large value, to edit it: into a file if it is too large for memory.
    pub(super) async fn read_to_edit(
        &self,
        store: &Arc<dyn Store>,
        key: &Key,
        entry: &Entry,
    ) -> Result<Content, Error> {
        if entry.size.is_some_and(|size| self.room.holds(size)) {
            return Ok(Content::Shared(self.read_all(store, key, entry).await?));
        }
        let mut content = self.room.file().map_err(Error::of_disk)?;
        self.each_block(store, key, entry, |_, block| {
            let end = content.len();
            content
                .write(end, block, &self.room)
                .map_err(Error::of_disk)
        })
        .await?;
        Ok(content)
    }

    /// As [`read_all`](Self::read_all), with what travels with the value.
    pub(super) async fn read_whole(
        &self,
        store: &Arc<dyn Store>,
        key: &Key,
        (entry, metadata): (Entry, Metadata),
    ) -> Result<Arc<Value>, Error> {
        Ok(Arc::new(Value {
            bytes: self.read_all(store, key, &entry).await?,
            version: entry.version,
            modified: entry.modified,
            metadata,
        }))
    }

    /// Writes to the draft of a handle, and saves it if the bytes must be durable at once (W13). Most files
    /// are written by the thread that opened them; but dash, fish and ksh open `> f` themselves and let a
    /// command write.
    ///
    /// # Errors
    /// [`Error::Stale`] when the handle lost a race, now or earlier: none of its bytes may mix with the
    /// winner's. Never [`Error::Conflict`]: a program that gets EAGAIN from a write waits forever, or writes
    /// again (W4).
    pub async fn write(
        &self,
        fh: Fh,
        at: At,
        data: &[u8],
        durable: Durable,
        by: Context,
    ) -> Result<(), Error> {
        let mut handle = self.handle(fh)?;
        if let Handle::Scratch(open) = &*handle {
            if open.note_hand(by.thread())
                && let Some(hand) = self.processes.caller(by.thread())
            {
                open.scratch().set_maker(Some(hand));
            }
            if open.write(at, data)? {
                self.table().written(open.scratch().ino(), at);
                return match durable {
                    Durable::AtSave => Ok(()),
                    Durable::AtOnce => self.save(fh, SaveReason::Fsync).await,
                };
            }
            handle = self.handle(fh)?;
        }
        let writer = handle.as_writer()?;
        if writer.note_hand(by.thread())
            && let Some(hand) = self.processes.caller(by.thread())
        {
            self.table().set_maker(writer.ino(), Some(hand))?;
        }
        let mut state = writer.lock().await;
        self.table().written(writer.ino(), at);
        let start = match at {
            At::End => state.content.len() as u64,
            At::Offset(start) => start,
        };
        let (store, key) = self.file(writer.ino())?;
        let bytes = start..start.saturating_add(data.len() as u64);
        let end = self.check_size(&store, &key, bytes.end);
        // The caller's offset refers to content that has since been replaced.
        if end.is_err() && start <= state.content.len() as u64 {
            state.lacks(bytes);
        }
        let end = end?;
        match at {
            At::End => state.draft.append(),
            At::Offset(_) => state.draft.edit(),
        }
        .map_err(|lost| Error::of_write(lost, &store.address(&key)))?;
        let written = state.write(end - data.len(), data, &self.room);
        written.map_err(Error::of_disk)?;
        let size = state.content.len() as u64;
        writer.reshape(Some(Shape::new(size, SystemTime::now())));
        if durable == Durable::AtSave {
            return Ok(());
        }
        state.note_write(data);
        let saved = self.save_draft(writer, &mut state, SaveReason::Write).await;
        if saved.is_err() && at == At::End && state.draft.lost().is_none() {
            let taken_back = state.take_back(data, &self.room);
            taken_back.map_err(Error::of_disk)?;
        }
        match saved {
            Err(Error::Conflict { key, .. }) => Err(Error::Stale(key)),
            saved => saved,
        }
    }

    /// The size as a number of bytes in memory, if the store can hold it.
    fn check_size(&self, store: &Arc<dyn Store>, key: &Key, size: u64) -> Result<usize, Error> {
        match usize::try_from(size) {
            Ok(fits) if size <= store.value_limit() => Ok(fits),
            _ => Err(Error::TooBig(format!(
                "{} cannot hold {size} bytes",
                store.address(key)
            ))),
        }
    }

    /// Sets the size of a file through a handle that writes it.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a writer that empties the file has already lost its race;
    /// [`Error::Stale`] after it lost one; any other.
    pub async fn truncate(&self, ino: Ino, fh: Fh, size: u64, by: Context) -> Result<Attr, Error> {
        let mut handle = self.handle(fh)?;
        self.table().forget_copy(ino);
        if let Handle::Scratch(open) = &*handle {
            if open.scratch().set_len(size).map_err(Error::of_disk)? {
                return self.attr(ino, by).await;
            }
            handle = self.handle(fh)?;
        }
        let writer = handle.as_writer()?;
        let (store, key) = self.file(ino)?;
        let mut state = writer.lock().await;
        let len = self.check_size(&store, &key, size)?;
        if size == 0 {
            // From now on it reads its own draft.
            writer.take_unshown();
        }
        if size == 0 && !state.draft.is_dirty() && state.draft.lost().is_none() {
            self.check_shown(writer, &mut state, &store, &key, by)?;
        }
        state
            .draft
            .edit()
            .map_err(|lost| Error::of_write(lost, &store.address(&key)))?;
        let resized = state.set_len(len, &self.room);
        resized.map_err(Error::of_disk)?;
        let modified = SystemTime::now();
        writer.reshape(Some(Shape::new(size, modified)));
        Ok(Attr {
            size,
            modified,
            ..self.unsaved_attr(ino, self.table().node(ino)?)
        })
    }

    /// A writer that empties the file through its handle starts from nothing, like a truncating
    /// open: it replaces what it was shown (W1), which may be older than what it opened.
    fn check_shown(
        &self,
        writer: &Writer,
        state: &mut WriterState,
        store: &Arc<dyn Store>,
        key: &Key,
        by: Context,
    ) -> Result<(), Error> {
        let place = (store.name(), key.clone());
        let base = state.draft.base().clone();
        match self.base(*by.who(), &place, &base) {
            Base::Take(_) => Ok(()),
            Base::AlreadyLost { shown } => {
                // What it writes from now on is based on that version: its save is refused.
                state.draft.outdated(shown.clone());
                let attempt = Attempt {
                    op: "truncate",
                    ino: writer.ino(),
                    store,
                    key,
                    callers: by.callers(),
                    expected: &shown,
                };
                Err(self.conflict(&attempt, Some(&base)))
            }
        }
    }

    /// Sets the size of a file that the caller has not opened: opens, changes and saves it.
    ///
    /// # Errors
    /// [`Error::Conflict`], or any other.
    pub async fn truncate_closed(&self, ino: Ino, size: u64, by: Context) -> Result<Attr, Error> {
        self.table().forget_copy(ino);
        if let Some(scratch) = self.scratch_of(ino)
            && scratch.set_len(size).map_err(Error::of_disk)?
        {
            return self.attr(ino, by).await;
        }
        let access = Access {
            read: false,
            write: true,
            truncate: size == 0,
            append: false,
            durable: Durable::AtSave,
        };
        let fh = self.open(ino, access, by).await?;
        let result = async {
            self.truncate(ino, fh, size, by).await?;
            self.save(fh, SaveReason::Fsync).await
        }
        .await;
        self.table().close(fh);
        result?;
        self.attr(ino, Context::OWN).await
    }

    /// Checks, without a request, that an inode is a file that can be written.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], [`Error::IsDir`] or [`Error::NotPermitted`]; [`Error::Stale`] when it lost its
    /// name and is not open.
    pub fn check_changeable(&self, ino: Ino) -> Result<(), Error> {
        self.check_reached(ino)?;
        let kind = self.kind(ino)?;
        match kind {
            Kind::File(store, key) => self.check_writable(&store.address(&key)),
            Kind::Scratch(_) => self.check_writable("the scratch file"),
            Kind::Stores | Kind::Dir(..) => self.check_writable("the directory"),
            Kind::Control(control) => {
                Err(Error::NotPermitted(format!("{control} is the mount's own")))
            }
        }
    }
}
