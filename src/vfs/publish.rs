//! A scratch file becomes a key (W8, W9), with all that is written to it meanwhile.
//!
//! Its bytes were read before they were put, and programs may write to it at any time. So it is looked
//! at once more while nobody can: what came in between is put too, and only then its inode and its
//! open handles go on with the key. Whoever wants to write to it after that is sent there: see
//! `Scratch::write`. Its bytes are put for the first time in `rename/moving.rs` and `pending_renames/settle.rs`.

use std::sync::Arc;

use super::commit::{Change, Commit, Kept};
use super::handles::{Handle, ReadFrom, Reader};
use super::place::{Folder, Place};
use super::unshown::Unshown;

use super::scratch::{OpenScratch, Scratch};
use super::writer::{Writer, WriterState};
use super::{Error, Vfs};
use crate::model::{CaughtUp, Draft, FileName, Ino, Key, Outcome, Precondition};
use crate::store::{Metadata, ReadBack, Store, Value};

/// How often it is put again because somebody goes on writing to it.
const ROUNDS: u32 = 10;

/// A scratch file that was put into a store.
pub(super) struct Put<'a> {
    pub(super) scratch: &'a Scratch,
    /// Where it is in the directory.
    pub(super) at: (&'a Folder, &'a FileName),
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) key: &'a Key,
    /// What the store has of it.
    pub(super) value: Value,
    /// [`Scratch::changes`] when its bytes were read.
    pub(super) changes: u64,
}

impl Vfs {
    /// Makes a key of a scratch file. No request, unless it was written to since its bytes were read.
    ///
    /// # Errors
    /// Any [`Error`] of putting what was written since: the file stays in the directory.
    pub(super) async fn publish(&self, mut put: Put<'_>) -> Result<(), Error> {
        let mut rounds = 0;
        while !self.publish_unchanged(&put) {
            rounds += 1;
            let Put {
                scratch,
                store,
                key,
                ..
            } = put;
            if rounds > ROUNDS {
                return Err(not_all(
                    &store.address(key),
                    "it was written to all the time",
                ));
            }
            let changes = scratch.changes();
            let bytes = scratch.read_all(store.value_limit())?;
            let metadata = put.value.metadata.of(&bytes);
            let replaced = Precondition::Is(put.value.version.clone());
            let version = match store.put(key, bytes.clone(), &metadata, &replaced).await? {
                Outcome::Committed(version) => version,
                Outcome::Unknown => return Err(Error::Unknown(store.address(key))),
                Outcome::Refused(_) => {
                    return Err(not_all(&store.address(key), "somebody else saved it"));
                }
            };
            let place = (store.name(), key.clone());
            self.table()
                .saved_by(scratch.maker(), &place, &replaced, &version);
            self.journal.saved();
            let (bytes, metadata) = match store.read_back(key, &version) {
                ReadBack::Same => (bytes, metadata),
                ReadBack::Other(bytes, metadata) => (bytes, *metadata),
                ReadBack::Unknown => (bytes, Metadata::default()),
            };
            put.changes = changes;
            put.value = Value {
                bytes,
                modified: self.saved_now(&place, &version),
                version,
                metadata,
            };
        }
        Ok(())
    }

    /// Makes a key of a scratch file, if that has not changed since; whether it did.
    fn publish_unchanged(&self, put: &Put<'_>) -> bool {
        let mut is_key = put.scratch.is_key_for_writing();
        if put.scratch.changes() != put.changes {
            return false;
        }
        *is_key = true;
        let (folder, name) = put.at;
        if let Err(error) = self.scratch_dir().remove(folder, name) {
            let key = format!("{}{name}", folder.1.prefix());
            tracing::warn!(op = "rename", store = %folder.0, key, %error, "a scratch file could not be removed");
        }
        let value = Arc::new(put.value.clone());
        let commit = Commit {
            ino: put.scratch.ino(),
            place: (put.store.name(), put.key.clone()),
            replaced: Precondition::Absent,
            entry: value.entry(put.key.clone()),
            kept: Kept::Whole(Arc::clone(&value)),
            // Whoever put it has learned that already.
            by: Vec::new(),
            change: Change::Value(None),
        };
        let file = (put.store, put.key);
        self.table().publish(put.scratch, file, &value, commit);
        true
    }
}

impl OpenScratch {
    /// The same handle when its file has become this version of a key.
    pub(super) fn of_key(
        &self,
        (ino, place): (Ino, Place),
        value: &Arc<Value>,
        caught_up: CaughtUp,
    ) -> Handle {
        if !self.is_for_writing() {
            let source = ReadFrom::Whole(Arc::clone(value));
            let reader = Reader::new(ino, self.who(), place, source, Unshown::default());
            return Handle::Reader(Box::new(reader));
        }
        let draft = Draft::editing(value.version.clone());
        let state = WriterState::new(draft, value.bytes.clone(), value.metadata.clone());
        let state = state.caught_up(caught_up);
        let writer = Writer::new(ino, self.who(), None, state);
        Handle::Writer(Box::new(writer))
    }
}

/// What was written last is not in the store, and stays scratch.
fn not_all(key: &str, why: &str) -> Error {
    Error::failed(format!(
        "{key}: {why} while a scratch file was moved there, which stays"
    ))
}
