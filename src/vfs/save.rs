//! The save, top to bottom.
//!
//! [`Vfs::save`] is what close, fsync and the last release come to. It asks the draft what to send,
//! sends it under its condition, and lets the draft decide what the answer means. A save that did
//! not happen leaves its bytes in a rescue before anybody hears of it (W5).

use std::sync::Arc;
use tokio::time::Instant;

use super::content::Content;
use super::handles::{Fh, Handle, Writer, WriterState};
use super::loss::{Attempt, Kept};
use super::rescue::Reason;
use super::table::Renewal;
use super::{Error, Vfs};
use crate::model::{Expect, Key, Outcome, SaveError, Trigger, Version};
use crate::store::{Entry, Envelope, ReadBack, Store, Value};

/// What the kernel calls what made a save happen.
fn op(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Flush | Trigger::Close => "flush",
        Trigger::Fsync => "fsync",
        Trigger::Write => "write",
        Trigger::Release => "release",
    }
}

impl Vfs {
    /// A descriptor of a handle was closed by the thread `closer`. Saves what was written, unless the
    /// closer merely inherited the descriptor and its opener goes on (W2).
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn flush(&self, fh: Fh, closer: u32) -> Result<(), Error> {
        let handle = self.table().handle(fh)?;
        let writer = match &*handle {
            Handle::Writer(writer) => writer,
            Handle::Scratch(open) => {
                self.note_written_scratch(open);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let by_opener = writer
            .who
            .and_then(|who| self.processes.has_thread(who.process, closer));
        if let (Some(opener), Some(false)) = (&writer.opener, by_opener)
            && opener.goes_on()
        {
            return Ok(());
        }
        let trigger = self.flush_or_close(writer, closer, by_opener).await;
        self.save(fh, trigger).await
    }

    /// What the close of a descriptor means. Shells put `> f` in its place with dup(2) and close(2),
    /// before anything is written: of a file that is still empty, only the last close is a save.
    async fn flush_or_close(
        &self,
        writer: &Writer,
        closer: u32,
        by_opener: Option<bool>,
    ) -> Trigger {
        // Not held while others are looked at.
        if !writer.state.lock().await.draft.waits_empty() {
            return Trigger::Flush;
        }
        let can_write = match self.numbers_in_proc(writer.ino) {
            Some(numbers) => self.processes.can_write(closer, numbers).await,
            None => None,
        };
        match (can_write, writer.is_exclusive, by_opener) {
            (Some(false), true, _) | (Some(false), _, Some(true)) => Trigger::Close,
            // It cannot be seen, and of several creators only one may hear of a success (W15).
            (None, true, _) => Trigger::Close,
            // A closer that inherited it may have siblings that are nobody's children by now.
            (Some(_) | None, ..) => Trigger::Flush,
        }
    }

    /// Saves a writer's draft, if it is due.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else saved first, now or earlier; any other. The bytes
    /// are then in a rescue.
    pub async fn save(&self, fh: Fh, trigger: Trigger) -> Result<(), Error> {
        let handle = self.table().handle(fh)?;
        let writer = match &*handle {
            Handle::Writer(writer) => writer,
            Handle::Scratch(open) if trigger == Trigger::Fsync => {
                return self.sync_scratch(vec![Arc::clone(&open.scratch)]).await;
            }
            _ => return Ok(()),
        };
        let mut state = writer.state.lock().await;
        self.note_written(writer, &state.content);
        self.save_draft(writer, &mut state, trigger).await?;
        if trigger == Trigger::Flush && state.draft.is_dirty() {
            self.closes_perhaps(writer.ino, fh);
        }
        Ok(())
    }

    /// Saves the draft of a writer that is locked, if it is due.
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub(super) async fn save_draft(
        &self,
        writer: &Writer,
        state: &mut WriterState,
        trigger: Trigger,
    ) -> Result<(), Error> {
        let turn = self
            .table()
            .node(writer.ino)
            .map(|node| Arc::clone(&node.turn));
        let Ok(turn) = turn else {
            return self.save_unknown(writer, state, trigger);
        };
        let _turn = turn.lock().await;
        // Only now: while this save waited for its turn, the file may have been renamed.
        let (store, key) = self.table().file(writer.ino)?;
        self.catch_up(writer, state);

        let mut begun = SaveBegun {
            writer,
            store: &store,
            key: &key,
            op: op(trigger),
            base: state.draft.base().clone(),
        };
        if state.is_half() {
            let address = store.address(&key);
            let error = Error::NoSpace(format!(
                "{address} is not saved: there was no room for all of it"
            ));
            return Err(self.failed(&begun, state, Reason::Failed, error));
        }
        let mut winner = self.overtaken(writer, state);
        if !state.draft.only_appends() {
            let place = (store.name(), key.clone());
            winner = winner.or_else(|| self.restored_backup(writer, state, &place));
            if winner.is_some() {
                state.draft.overtaken(&begun.base);
            }
        } else if (winner.is_some() || state.stands_elsewhere) && state.draft.is_dirty() {
            let rebased = self.rebase(&mut begun, state, winner.as_ref()).await;
            if let Err(error) = rebased {
                state.draft.abandon_save();
                return Err(self.failed(&begun, state, Reason::Failed, error));
            }
        }
        let was_lost = state.draft.lost().is_some();
        let save = match state.draft.begin_save(trigger) {
            Ok(None) => return Ok(()),
            Ok(Some(save)) => save,
            Err(SaveError::Conflict) if !was_lost => {
                let current = match winner {
                    Some(version) => Some(Expect::Is(version)),
                    None => self.current(writer.ino, &store, &key).await.ok(),
                };
                return Err(self.refused(&begun, state, current.as_ref()));
            }
            Err(error) => {
                let expected = begun.base.to_string();
                return Err(Error::of_save(error, &store.address(&key), &expected));
            }
        };
        let sent = Instant::now();
        let outcome = match self.send(&mut begun, state, save, trigger).await {
            Ok(Some(outcome)) => outcome,
            Ok(None) => return Ok(()),
            Err(error) => {
                state.draft.abandon_save();
                return Err(self.failed(&begun, state, Reason::Failed, error));
            }
        };
        let ended = state.draft.end_save(outcome.clone());
        match (ended, outcome) {
            (Ok(()), Outcome::Saved(version)) => {
                self.saved(&begun, state, version);
                Ok(())
            }
            (_, Outcome::Refused(rival)) => {
                let current = self.rival(writer.ino, &store, &key, (rival, sent)).await;
                Err(self.refused(&begun, state, current.ok().as_ref()))
            }
            (_, Outcome::Saved(_) | Outcome::Unknown) => {
                let error = Error::Unknown(store.address(&key));
                Err(self.failed(&begun, state, Reason::Unknown, error))
            }
        }
    }

    /// Nobody knows the file of a writer any more, which is a bug: what it wrote is kept.
    fn save_unknown(
        &self,
        writer: &Writer,
        state: &mut WriterState,
        trigger: Trigger,
    ) -> Result<(), Error> {
        let Some((store, key)) = writer.opened_as.as_ref().filter(|_| state.draft.is_dirty())
        else {
            return Ok(());
        };
        let begun = SaveBegun {
            writer,
            store,
            key,
            op: op(trigger),
            base: state.draft.base().clone(),
        };
        let error = Error::Failed(format!(
            "{}: its file is not known any more",
            store.address(key)
        ));
        Err(self.failed(&begun, state, Reason::Failed, error))
    }

    /// Learns what became of the file since the draft last looked. Who renames, deletes or describes a
    /// file notes it in the table; so nobody ever waits for a writer while holding the file's turn.
    pub(super) fn catch_up(&self, writer: &Writer, state: &mut WriterState) {
        let table = self.table();
        let Some(node) = table.tree.get(writer.ino) else {
            return;
        };
        for renewal in node.renewals.iter().skip(state.renewals_seen) {
            if *state.draft.base() == renewal.from {
                state.draft.moved(&renewal.from, renewal.to.clone());
                if let Some(envelope) = &renewal.envelope {
                    state.envelope = envelope.clone();
                }
            }
        }
        state.renewals_seen = node.renewals.len();
        if node.removed {
            state.draft.drop_unlinked();
        }
    }

    /// The version that this mount itself saved over the draft's base, if it did: then the save is
    /// lost without asking the store (W12).
    fn overtaken(&self, writer: &Writer, state: &WriterState) -> Option<Version> {
        let table = self.table();
        let node = table.tree.get(writer.ino)?;
        let last = node.last_saved.clone()?;
        let newer = node.saves > state.saves_seen;
        (newer && state.draft.base().version() != Some(&last)).then_some(last)
    }

    fn saved(&self, save: &SaveBegun<'_>, state: &mut WriterState, version: Version) {
        let (writer, store, key) = (save.writer, save.store, save.key);
        let len = state.content.len();
        // What is too large for memory is not read for readers to come.
        let own = match state.content.is_large() {
            true => None,
            false => state.content.share().ok(),
        };
        state.appended_from = len;
        let (bytes, size) = match store.read_back(key, &version) {
            ReadBack::Same => (own, Some(len as u64)),
            ReadBack::Other(bytes, envelope) => {
                state.envelope = *envelope;
                if state.draft.only_appends() {
                    // What is appended next comes behind what is stored now.
                    state.appended_from = bytes.len();
                    state.content = Content::Shared(bytes.clone());
                }
                let size = bytes.len() as u64;
                (Some(bytes), Some(size))
            }
            ReadBack::Unknown => {
                state.envelope = Envelope::default();
                state.stands_elsewhere = true;
                (None, None)
            }
        };
        let envelope = state.envelope.clone();
        let place = (store.name(), key.clone());
        let modified = self.saved_now(&place, &version);
        let entry = Entry {
            key: key.clone(),
            size,
            modified,
            version: version.clone(),
        };
        writer.reshape(None);
        if let Some(id) = state.rescued.take() {
            // They are in the bucket now; a rescue that cannot be removed does no harm.
            let _ = self.keeper.forget(&id);
        }
        let mut table = self.table();
        table.learn_own(writer.ino, entry);
        if save.base == Expect::Absent && len == 0 {
            // Who joined the new file was shown just this: nothing in it.
            let renewal = Renewal {
                from: Expect::Absent,
                to: version.clone(),
                envelope: None,
            };
            table.renew(writer.ino, renewal);
        }
        if let Some(node) = table.tree.get_mut(writer.ino) {
            node.unsaved = false;
            // What changed nothing overtakes nobody: it may not even have been sent.
            if save.base.version() != Some(&version) {
                node.saves += 1;
                node.last_saved = Some(version.clone());
            }
            state.saves_seen = node.saves;
        }
        table.seen.saved(writer.who, &place, &save.base, &version);
        table.changed_by(writer.ino, writer.who);
        table.away.saved(&place);
        match bytes {
            Some(bytes) => {
                let value = Value {
                    bytes,
                    version: version.clone(),
                    modified,
                    envelope,
                };
                table.values.put(place, Arc::new(value));
            }
            None => {
                table.values.remove(&place);
                if size.is_some() {
                    table.values.put_envelope(place, version.clone(), envelope);
                }
            }
        }
        drop(table);
        self.journal.saved();
        tracing::debug!(op = save.op, store = %store.name(), key = %key, %version, "saved");
    }

    /// Somebody else saved first, and the key is `current` now, if that could be asked: keeps the
    /// bytes, tells the process once, and makes the kernel forget what it showed.
    fn refused(
        &self,
        save: &SaveBegun<'_>,
        state: &mut WriterState,
        current: Option<&Expect>,
    ) -> Error {
        let (ino, store, key) = (save.writer.ino, save.store, save.key);
        {
            let mut table = self.table();
            table.values.remove(&(store.name(), key.clone()));
            if let Some(node) = table.tree.get_mut(ino) {
                node.unsaved = false;
            }
        }
        self.not_recreated(save.writer, &(store.name(), key.clone()));
        let kept = self.kept(save, state);
        let lost = self.conflict_over(&save.attempt(), current, kept.as_ref());
        state.rescued = lost.rescue.or(state.rescued.take());
        lost.error
    }

    /// A save failed, or its fate is unknown.
    fn failed(
        &self,
        save: &SaveBegun<'_>,
        state: &mut WriterState,
        reason: Reason,
        error: Error,
    ) -> Error {
        let place = (save.store.name(), save.key.clone());
        self.not_recreated(save.writer, &place);
        if reason == Reason::Unknown {
            self.table().forget(save.writer.ino);
        }
        let kept = self.kept(save, state);
        let lost = self.not_done(&save.attempt(), reason, "unknown", kept.as_ref(), error);
        state.rescued = lost.rescue.or(state.rescued.take());
        lost.error
    }

    /// The bytes of a draft that must be rescued, in the place of those that were rescued before, which
    /// stay until these are kept.
    fn kept(&self, save: &SaveBegun<'_>, state: &mut WriterState) -> Option<Kept> {
        let is_nothing = save.base == Expect::Absent && state.content.len() == 0;
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

/// A save that was sent.
pub(super) struct SaveBegun<'a> {
    pub(super) writer: &'a Writer,
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) key: &'a Key,
    pub(super) op: &'static str,
    /// What the save expected to replace.
    pub(super) base: Expect,
}

impl SaveBegun<'_> {
    fn attempt(&self) -> Attempt<'_> {
        Attempt {
            op: self.op,
            ino: self.writer.ino,
            store: self.store,
            key: self.key,
            callers: self.writer.who.as_slice(),
            expected: &self.base,
        }
    }
}
