//! Keys that were moved to a scratch name are moved in the store too, once that was meant (W8).

use std::sync::Arc;

use bytes::Bytes;

use super::super::place::Folder;
use super::super::place::Place;
use super::super::publish::Put;
use super::super::scratch::{Scratch, ScratchId};
use super::super::{Error, Vfs};
use super::{Departures, key_of};
use crate::model::departing::{End, Step};
use crate::model::{Departing, Due, FileName, Key, OldName, Outcome, Precondition, Version};
use crate::store::{Error as StoreError, Metadata, Store, Value};

/// What is put under the name of a scratch file.
struct NewName {
    scratch: Arc<Scratch>,
    at: (Folder, FileName),
    store: Arc<dyn Store>,
    key: Key,
    bytes: Bytes,
    metadata: Metadata,
    /// [`Scratch::changes`] when its bytes were read.
    changes: u64,
}

impl Vfs {
    /// Whether departures wait whose time is over, and nobody settles them now. To ask again and again for
    /// them to be settled would make a queue when the store does not answer.
    pub fn has_departures_due(&self) -> bool {
        let now = self.now();
        let is_due = {
            let mut table = self.table();
            table.pending().forget_failed_recreates(now);
            !table.due(Some(now)).is_empty()
        };
        is_due && self.moving.try_lock().is_ok()
    }

    /// Carries out in the store what was meant.
    ///
    /// # Errors
    /// Any [`Error`] of one of them: it is tried again after a while, and nothing is lost.
    pub async fn settle_departures(&self, which: Departures) -> Result<(), Error> {
        let _moving = self.moving.lock().await;
        let due = {
            let table = self.table();
            match which {
                Departures::Due => table.due(Some(self.now())),
                Departures::All => table.due(None),
                Departures::From(ino) => {
                    let mut due = table.due(None);
                    // Above the stores, everything is below.
                    if let Ok((store, dir)) = table.dir(ino) {
                        due.retain(|due| {
                            let (of, key) = &due.key;
                            *of == store.name() && key.as_str().starts_with(dir.prefix())
                        });
                    }
                    due
                }
            }
        };
        let mut result = Ok(());
        for due in due {
            let now = self.now();
            self.table().pending().postpone(&due.key, now);
            if let Err(error) = self.settle_departure(&due).await {
                let (store, key) = &due.key;
                tracing::warn!(op = "rename", %store, %key, %error, "moved away here, not yet in the store");
                result = Err(error);
            }
        }
        result
    }

    /// Carries out what [`Departing`] says.
    async fn settle_departure(&self, due: &Due<Place, ScratchId>) -> Result<(), Error> {
        let Some(new) = self.new_name(due).await? else {
            self.dissolve(&due.key);
            return Ok(());
        };
        let mover = new.scratch.creator();
        let mut failed = Ok(());
        let (mut departing, mut step) = Departing::begin(due.base.clone());
        loop {
            step = match step {
                Step::Create => match self.create_new_name(due, &new).await? {
                    Some(outcome) => departing.sent(outcome),
                    None => departing.is_impossible(),
                },
                Step::Delete(version) => {
                    let deleted = self
                        .delete_departed_or_fail(&due.key, &version, mover)
                        .await;
                    departing.deleted(deleted.unwrap_or_else(|error| {
                        failed = Err(error);
                        OldName::Left
                    }))
                }
                Step::TakeBack(version) => {
                    let (now, by) = (self.now(), mover.map(|who| who.process));
                    self.table().pending().refused(&due.key, by, now);
                    drop(new.store.delete(&new.key, &version).await);
                    departing.taken_back()
                }
                Step::Publish(version) => {
                    self.dissolve(&due.key);
                    self.publish_new_name(due, &new, version).await?;
                    departing.published()
                }
                Step::End(End::NotMoved) => {
                    self.dissolve(&due.key);
                    return Ok(());
                }
                Step::End(End::Unknown) => {
                    return Err(Error::Unknown(new.store.address(&new.key)));
                }
                Step::End(End::TakenBack) => return Ok(()),
                Step::End(End::Moved(_)) => return failed,
            };
        }
    }

    /// What is to be put under the new name, unless the scratch file is gone or no key can have its name.
    async fn new_name(&self, due: &Due<Place, ScratchId>) -> Result<Option<NewName>, Error> {
        let Some((folder, name, scratch)) = self.scratch_dir().find(due.alias) else {
            return Ok(None);
        };
        let store = self.store(folder.0)?;
        let Some(key) = key_of(&store, &folder.1, &name) else {
            return Ok(None);
        };
        let changes = scratch.changes();
        let bytes = scratch.read_all(store.value_limit())?;
        let metadata = store.with_tags(scratch.metadata_of(&bytes)).await?;
        Ok(Some(NewName {
            scratch,
            at: (folder, name),
            store,
            key,
            bytes,
            metadata,
            changes,
        }))
    }

    /// Puts the bytes under the new name, if nothing has it. `None` if the store will never have such a key.
    async fn create_new_name(
        &self,
        due: &Due<Place, ScratchId>,
        new: &NewName,
    ) -> Result<Option<Outcome>, Error> {
        let (store, bytes) = (&new.store, new.bytes.clone());
        let created = store.put(&new.key, bytes, &new.metadata, &Precondition::Absent);
        let outcome = match created.await {
            Err(StoreError::ReadOnly(why)) => {
                // A log of konserve stays where it is.
                tracing::warn!(op = "rename", store = %due.key.0, key = %due.key.1, to = %new.key, why, "the key stays, and the moved bytes are scratch");
                let mut table = self.table();
                table.pending().dissolve(&due.key);
                table.forget_listings(store.name());
                return Ok(None);
            }
            outcome => outcome?,
        };
        match &outcome {
            Outcome::Committed(_) => {}
            Outcome::Refused(_) => {
                tracing::warn!(op = "rename", store = %due.key.0, key = %due.key.1, to = %new.key, "somebody else made the new name: both keys stay, and the moved bytes are scratch");
            }
            Outcome::Unknown => self.table().forget_listings(store.name()),
        }
        Ok(Some(outcome))
    }

    /// The scratch file becomes the key that its bytes were put to.
    async fn publish_new_name(
        &self,
        due: &Due<Place, ScratchId>,
        new: &NewName,
        version: Version,
    ) -> Result<(), Error> {
        self.moved_away(due.key.clone(), new.metadata.clone());
        let value = Value {
            bytes: new.bytes.clone(),
            modified: self.saved_now(&(new.store.name(), new.key.clone()), &version),
            version,
            metadata: new.metadata.clone(),
        };
        self.journal.saved();
        let (folder, name) = &new.at;
        let put = Put {
            scratch: &new.scratch,
            at: (folder, name),
            store: &new.store,
            key: &new.key,
            value,
            changes: new.changes,
        };
        self.publish(put).await
    }
}
