//! The scratch file goes that a key was moved to, and the key with it (W8).

use std::sync::Arc;

use super::super::place::Folder;
use super::super::place::Place;
use super::super::scratch::Scratch;
use super::super::{Error, Source, Vfs, Who};
use crate::model::{FileName, Ino, OldName, Outcome, Version};
use crate::store::{Store, StoreName};

impl Vfs {
    /// Deletes a scratch file, and the key that was moved there if that was not created anew.
    ///
    /// # Errors
    /// Any [`Error`]; then nothing has changed.
    pub(in crate::vfs) async fn remove_scratch(
        &self,
        parent: Ino,
        name: &FileName,
        scratch: &Scratch,
    ) -> Result<(), Error> {
        let (store, dir) = self.dir(parent)?;
        let _moving = self.moving.lock().await;
        self.drop_scratch(&(store.name(), dir), name, scratch)
            .await?;
        self.table().unlink_name(parent, name);
        Ok(())
    }

    /// As [`remove_scratch`](Self::remove_scratch), for callers that hold `moving`.
    pub(in crate::vfs) async fn drop_scratch(
        &self,
        folder: &Folder,
        name: &FileName,
        scratch: &Scratch,
    ) -> Result<(), Error> {
        self.give_up(scratch).await?;
        self.scratch_dir()
            .remove(folder, name)
            .map_err(Error::of_disk)?;
        Ok(())
    }

    /// A scratch file is about to go: so does the key that was moved there, if that was not created anew.
    /// For callers that hold `moving`.
    ///
    /// # Errors
    /// Any [`Error`]; then nothing has changed.
    pub(in crate::vfs) async fn give_up(&self, scratch: &Scratch) -> Result<(), Error> {
        let gone = self.table().alias_removed(scratch);
        if let Some((place, base)) = gone {
            let result = self
                .delete_departed_or_fail(&place, &base, scratch.creator())
                .await;
            if let Err(error) = result {
                let now = self.now();
                self.table()
                    .pending()
                    .depart(place, base, scratch.id(), now);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Deletes a key that was moved away, if it still is what was moved, and remembers what came of it.
    pub(in crate::vfs) async fn delete_departed(
        &self,
        place: &Place,
        base: &Version,
        who: Who,
    ) -> Result<Outcome<()>, Error> {
        let (store, key) = place;
        let outcome = self.store(*store)?.delete(key, base).await?;
        match outcome {
            Outcome::Committed(()) => self.table().departed_is_deleted(who, place, base),
            Outcome::Refused(_) => {
                tracing::warn!(%store, %key, "it was moved away here and saved elsewhere: it stays");
            }
            Outcome::Unknown => self.table().forget_listings(*store),
        }
        Ok(outcome)
    }

    /// As [`delete_departed`](Self::delete_departed), but it is an error if nobody knows whether it was deleted.
    pub(in crate::vfs) async fn delete_departed_or_fail(
        &self,
        place: &Place,
        base: &Version,
        who: Who,
    ) -> Result<OldName, Error> {
        match self.delete_departed(place, base, who).await? {
            Outcome::Committed(()) => Ok(OldName::Gone),
            Outcome::Refused(_) => Ok(OldName::Changed),
            Outcome::Unknown => Err(Error::Unknown(self.store(place.0)?.address(&place.1))),
        }
    }

    /// The store of a name.
    pub(in crate::vfs) fn store(&self, name: StoreName) -> Result<Arc<dyn Store>, Error> {
        match (&self.source, name) {
            (Source::Store(store), _) => Ok(Arc::clone(store)),
            (Source::Bucket(catalog), StoreName::Id(id)) => Ok(catalog.store(id)),
            (Source::Bucket(_), StoreName::Flat) => Err(Error::BadHandle),
        }
    }
}
