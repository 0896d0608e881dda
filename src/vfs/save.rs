//! The save, top to bottom.
//!
//! Close, fsync and the last release all call [`Vfs::save`]. It carries out the steps of the machine
//! [`Saving`](crate::model::Saving), and decides nothing. The bytes of a save that did not happen are rescued before its failure is
//! reported (W5).

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::commit::{self, Change, Commit};
use super::handles::{Fh, Handle};
use super::loss::{Attempt, Kept};
use super::rescue::Reason;
use super::tries::AppendTries;
use super::writer::{Writer, WriterState};
use super::{Context, Error, Vfs};
use crate::model::saving::{End, Step};
use crate::model::{Key, Outcome, Precondition, SaveReason, Successor, Version};
use crate::store::{Entry, ReadBack, Store, Value};

/// The kernel's name of the operation that caused a save.
fn op(reason: SaveReason) -> &'static str {
    match reason {
        SaveReason::Flush | SaveReason::Close => "flush",
        SaveReason::Fsync => "fsync",
        SaveReason::Write => "write",
        SaveReason::Release => "release",
    }
}

impl Vfs {
    /// A descriptor of a handle was closed. Saves what was written, unless the closer only inherited the
    /// descriptor and its opener is still alive (W2).
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn flush(&self, fh: Fh, by: Context) -> Result<(), Error> {
        let handle = self.handle(fh)?;
        let writer = match &*handle {
            Handle::Writer(writer) => writer,
            Handle::Scratch(open) => {
                self.note_written_scratch(open);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let by_opener = writer
            .who()
            .and_then(|who| self.processes.has_thread(who.process, by.thread()));
        if by_opener == Some(false) && writer.opener_goes_on() {
            return Ok(());
        }
        let reason = self.flush_or_close(writer, by, by_opener).await;
        self.save(fh, reason).await
    }

    /// The meaning of a close. Shells move `> f` to its descriptor with dup(2) and close(2), before anything
    /// is written: while a file is still empty, only the last close is a save.
    async fn flush_or_close(
        &self,
        writer: &Writer,
        closer: Context,
        by_opener: Option<bool>,
    ) -> SaveReason {
        // Not locked while other processes are checked.
        if !writer.lock().await.draft.waits_empty() {
            return SaveReason::Flush;
        }
        let can_write = match self.numbers_in_proc(writer.ino()) {
            Some(numbers) => self.processes.can_write(closer.thread(), numbers).await,
            None => None,
        };
        match (can_write, writer.is_exclusive(), by_opener) {
            (Some(false), true, _) | (Some(false), _, Some(true)) => SaveReason::Close,
            // It is unknown, and only one of several creators may be told that it succeeded (W15).
            (None, true, _) => SaveReason::Close,
            // A closer that inherited it may have siblings whose parent has ended.
            (Some(_) | None, ..) => SaveReason::Flush,
        }
    }

    /// Saves a writer's draft, if it is due.
    ///
    /// # Errors
    /// [`Error::Conflict`] when another writer saved first, now or earlier; any other. The bytes are then in
    /// a rescue.
    pub async fn save(&self, fh: Fh, reason: SaveReason) -> Result<(), Error> {
        let handle = self.handle(fh)?;
        let writer = match &*handle {
            Handle::Writer(writer) => writer,
            Handle::Scratch(open) if reason == SaveReason::Fsync => {
                return self.sync_scratch(vec![Arc::clone(open.scratch())]).await;
            }
            _ => return Ok(()),
        };
        let mut state = writer.lock().await;
        self.note_written(writer, &state.content);
        self.save_draft(writer, &mut state, reason).await?;
        if reason == SaveReason::Flush && state.draft.is_dirty() {
            self.note_flush(writer.ino(), fh);
        }
        Ok(())
    }

    /// Saves the draft of a writer that is locked, if it is due: carries out what [`Saving`](crate::model::Saving) says.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub(super) async fn save_draft(
        &self,
        writer: &Writer,
        state: &mut WriterState,
        reason: SaveReason,
    ) -> Result<(), Error> {
        let Ok(save_lock) = self.save_lock(writer.ino()).await else {
            return self.save_unknown(writer, state, reason).await;
        };
        // Not earlier: while this save waited for the save lock, the file may have been renamed.
        let (store, key) = self.file(writer.ino())?;
        self.catch_up(writer, state);
        let begun = SaveBegun {
            writer,
            store: &store,
            key: &key,
            op: op(reason),
        };
        let save_lock = Some(save_lock);
        if state.is_half() {
            let address = store.address(&key);
            let words = format!("{address} is not saved: there was no room for all of it");
            let error = Error::NoSpace(words.into());
            let base = state.draft.base().clone();
            let failed = (&base, Reason::Failed, error);
            return Err(self.failed(&begun, state, save_lock, failed).await);
        }
        let mut alone = None;
        let mut tries = AppendTries::new(self.options.append_retries);
        let mut sent = Instant::now();
        let (mut saving, mut step) = {
            let table = self.table();
            state.begin_save(table.node(writer.ino())?.shared(), reason)
        };
        let end = loop {
            let next = match step {
                Step::Compare => {
                    let restores =
                        self.restores_a_backup(writer, state, &(store.name(), key.clone()));
                    Ok(saving.compared(&mut state.draft, restores))
                }
                Step::Rebase(own) => {
                    let rebased = self.rebase(&begun, state, own.as_ref()).await;
                    rebased.and_then(|newest| self.rebased(&begun, state, &mut saving, newest))
                }
                Step::Send(expect) => {
                    if state.content.is_large() && alone.is_none() {
                        // Only one large draft is in memory at a time.
                        alone = Some(self.large_save.lock().await);
                    }
                    sent = Instant::now();
                    let outcome = self.send(&begun, state, &expect).await;
                    outcome.map(|outcome| saving.sent(&mut state.draft, outcome))
                }
                Step::Wait => Ok(saving.waited(&mut state.draft, tries.another().await)),
                Step::Look(rival) => {
                    let found = self.rival(writer.ino(), &store, &key, (rival, sent)).await;
                    Ok(saving.found(found.ok()))
                }
                Step::End(end) => break end,
            };
            step = match next {
                Ok(step) => step,
                Err(error) => {
                    let base = saving.failed(&mut state.draft);
                    let failed = (&base, Reason::Failed, error);
                    return Err(self.failed(&begun, state, save_lock, failed).await);
                }
            };
        };
        match end {
            End::Nothing => Ok(()),
            End::Saved { replaced, version } => {
                self.saved(&begun, state, replaced, version);
                drop(save_lock);
                if let Some(id) = state.take_rescue() {
                    // Its bytes are in the bucket now; a rescue that cannot be removed does no harm.
                    let _ = self.keeper.forget(&id);
                }
                Ok(())
            }
            End::Refused { expected, found } => Err(self
                .refused(&begun, state, save_lock, (&expected, found.as_ref()))
                .await),
            End::Unknown { expected } => {
                let error = Error::Unknown(store.address(&key));
                let failed = (&expected, Reason::Unknown, error);
                Err(self.failed(&begun, state, save_lock, failed).await)
            }
            End::LostBefore(error) => {
                let expected = saving.base().to_string();
                Err(Error::of_save(error, &store.address(&key), &expected))
            }
        }
    }

    /// Sends the bytes of a draft, once.
    ///
    /// # Errors
    /// Any [`Error`]; the bytes then certainly were not saved.
    async fn send(
        &self,
        begun: &SaveBegun<'_>,
        state: &mut WriterState,
        expect: &Precondition,
    ) -> Result<Outcome, Error> {
        let (bytes, kept) = state.share().map_err(Error::of_disk)?;
        let writer = begun.writer;
        writer.set_under_way(Some((expect.clone(), kept)));
        state.metadata = state.metadata.of(&bytes);
        let sent = begun
            .store
            .put(begun.key, bytes, &state.metadata, expect)
            .await;
        writer.set_under_way(None);
        Ok(sent?)
    }

    /// The file of a writer is unknown, which is a bug: what it wrote is kept.
    async fn save_unknown(
        &self,
        writer: &Writer,
        state: &mut WriterState,
        reason: SaveReason,
    ) -> Result<(), Error> {
        let Some((store, key)) = writer.opened_as().filter(|_| state.draft.is_dirty()) else {
            return Ok(());
        };
        let begun = SaveBegun {
            writer,
            store,
            key,
            op: op(reason),
        };
        let error = Error::failed(format!(
            "{}: its file is not known any more",
            store.address(key)
        ));
        let base = state.draft.base().clone();
        let failed = (&base, Reason::Failed, error);
        Err(self.failed(&begun, state, None, failed).await)
    }

    /// Applies what happened to the file since the draft last caught up.
    pub(super) fn catch_up(&self, writer: &Writer, state: &mut WriterState) {
        let table = self.table();
        if let Some(node) = table.get(writer.ino()) {
            state.catch_up(node.shared());
        }
    }

    fn saved(
        &self,
        save: &SaveBegun<'_>,
        state: &mut WriterState,
        replaced: Precondition,
        version: Version,
    ) {
        let (writer, store, key) = (save.writer, save.store, save.key);
        let is_empty = state.content.len() == 0;
        let (bytes, size) = self.stored_now(save, state, &version);
        let place = (store.name(), key.clone());
        let modified = self.saved_now(&place, &version);
        writer.reshape(None);
        let metadata = state.metadata.clone();
        let kept = match bytes {
            Some(bytes) => commit::Kept::Whole(Arc::new(Value {
                bytes,
                version: version.clone(),
                modified,
                metadata,
            })),
            None if size.is_some() => commit::Kept::Metadata(Box::new(metadata)),
            None => commit::Kept::Nothing,
        };
        let change = match (&replaced, is_empty) {
            // Other writers that joined the new file were shown exactly this: an empty file.
            (Precondition::Absent, true) => Change::Value(Some(Successor {
                from: Precondition::Absent,
                to: version.clone(),
                metadata: None,
            })),
            (Precondition::Is(_), _) if state.draft.only_appends() => Change::Appended,
            _ => Change::Value(None),
        };
        self.committed(Commit {
            ino: writer.ino(),
            place,
            replaced,
            entry: Entry {
                key: key.clone(),
                size,
                modified,
                version: version.clone(),
            },
            kept,
            by: writer.who().iter().copied().collect(),
            change,
        });
        if let Some(node) = self.table().get(writer.ino()) {
            state.saved(node.shared());
        }
        tracing::debug!(op = save.op, store = %store.name(), key = %key, %version, "saved");
    }

    /// The bytes that the store has after a save, if they are in memory, and their number, if it is known.
    /// The draft continues from them.
    fn stored_now(
        &self,
        save: &SaveBegun<'_>,
        state: &mut WriterState,
        version: &Version,
    ) -> (Option<Bytes>, Option<u64>) {
        let len = state.content.len();
        // A value that is too large for memory is not read for the cache.
        let own = match state.content.is_large() {
            true => None,
            false => state.content.share().ok(),
        };
        let stored = save.store.read_back(save.key, version);
        state.goes_on_from(&stored);
        match stored {
            ReadBack::Same => (own, Some(len as u64)),
            ReadBack::Other(bytes, _) => {
                let size = bytes.len() as u64;
                (Some(bytes), Some(size))
            }
            ReadBack::Unknown => (None, None),
        }
    }

    /// Another writer saved first, and the key is `current` now, if that could be found out. Keeps the bytes,
    /// reports the conflict once, and makes the kernel forget what it showed.
    async fn refused(
        &self,
        save: &SaveBegun<'_>,
        state: &mut WriterState,
        save_lock: Option<OwnedMutexGuard<()>>,
        (expected, current): (&Precondition, Option<&Precondition>),
    ) -> Error {
        let (ino, store, key) = (save.writer.ino(), save.store, save.key);
        self.table().overtaken(ino, &(store.name(), key.clone()));
        self.not_recreated(save.writer, &(store.name(), key.clone()));
        let attempt = save.attempt(expected);
        let error = self.outdone(&attempt, current);
        // No other request should wait for the disk of the rescue.
        drop(save_lock);
        let kept = self.kept(save, state, expected);
        let lost = self.lost(&attempt, current, kept, error).await;
        state.note_rescue(lost.rescue);
        lost.error
    }

    /// A save failed, or it is not known whether it happened.
    async fn failed(
        &self,
        save: &SaveBegun<'_>,
        state: &mut WriterState,
        save_lock: Option<OwnedMutexGuard<()>>,
        (expected, reason, error): (&Precondition, Reason, Error),
    ) -> Error {
        let place = (save.store.name(), save.key.clone());
        self.not_recreated(save.writer, &place);
        if reason == Reason::Unknown {
            self.table().forget(save.writer.ino());
        }
        drop(save_lock);
        let kept = self.kept(save, state, expected);
        let attempt = save.attempt(expected);
        let lost = self
            .not_done(&attempt, reason, "unknown", kept, error)
            .await;
        state.note_rescue(lost.rescue);
        lost.error
    }

    /// The bytes of a draft that must be rescued. They replace those that were rescued before, which stay
    /// until these are kept.
    fn kept(
        &self,
        save: &SaveBegun<'_>,
        state: &mut WriterState,
        expected: &Precondition,
    ) -> Option<Kept> {
        let is_nothing = *expected == Precondition::Absent && state.content.len() == 0;
        if state.is_half() || is_nothing {
            return None;
        }
        let kept = state.kept();
        if let Err(error) = &kept {
            let (op, store, key) = (save.op, save.store.name(), save.key);
            tracing::error!(op, %store, %key, %error, "the bytes of a save that did not happen could not be read");
        }
        kept.ok()
    }
}

/// A save that is being made.
pub(super) struct SaveBegun<'a> {
    pub(super) writer: &'a Writer,
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) key: &'a Key,
    pub(super) op: &'static str,
}

impl SaveBegun<'_> {
    fn attempt<'a>(&'a self, expected: &'a Precondition) -> Attempt<'a> {
        Attempt {
            op: self.op,
            ino: self.writer.ino(),
            store: self.store,
            key: self.key,
            callers: self.writer.who().as_slice(),
            expected,
        }
    }
}
