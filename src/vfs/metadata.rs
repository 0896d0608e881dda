//! The metadata of a value, which survive an edit of its bytes (W14).
//!
//! An edit in place keeps the metadata of the value that it opened. This module decides which metadata a save
//! from nothing inherits: of a file that is emptied, created again, or replaced by another file. The layout
//! of the store defines their content; `cache.rs` remembers them.
//!
//! Many programs move the old value aside and then create the name again (`sed -i.bak`, `perl -i.bak`, `patch
//! -b`). If the other name is scratch, the key never left the store, see `pending_renames.rs`. Otherwise the
//! key is gone, and the other name is a new key; the metadata of the old one are remembered for a while.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use super::Vfs;
use super::place::Place;
use super::{Context, Error};
use crate::model::{Ino, Key, Precondition, Version};
use crate::store::{Entry, Metadata, Store};

/// How many keys that were moved away are remembered.
pub(super) const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("it is not zero");

/// How long after its key was moved away a name still counts as created again, and not as new.
const ANEW: Duration = Duration::from_secs(60);

impl Vfs {
    /// A key was moved to another name, with its metadata.
    pub(super) fn moved_away(&self, place: Place, metadata: Metadata) {
        self.table().moved_away(place, metadata);
    }

    /// The metadata of a key that is created and is not in the store.
    pub(super) fn new_metadata(&self, store: &Arc<dyn Store>, key: &Key) -> Metadata {
        let moved = self
            .table()
            .moved_lately(&(store.name(), key.clone()), ANEW);
        match moved {
            Some(metadata) => store.recreated_metadata(key, &metadata),
            None => store.fresh_metadata(key),
        }
    }

    /// The newest version of a key and its metadata. No request if this system call already asked for the
    /// version and the metadata are cached, otherwise one.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(super) async fn inspect(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
        by: Context,
    ) -> Result<(Precondition, Metadata), Error> {
        if let Some(entry) = self.just_asked(ino, by)
            && let Some(metadata) = self.metadata_at_hand(store, key, &entry.version)
        {
            return Ok((Precondition::Is(entry.version), metadata));
        }
        let asked = Instant::now();
        let found = self.ask(store, key).await?;
        let mut table = self.table();
        let Some((entry, metadata)) = found else {
            table.learn_absent(ino, asked);
            drop(table);
            return Ok((Precondition::Absent, self.new_metadata(store, key)));
        };
        let expect = Precondition::Is(entry.version.clone());
        table.learn(ino, entry, asked, None);
        Ok((expect, metadata))
    }

    /// The newest version of a key and its metadata, which are then remembered; one request.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(super) async fn ask(
        &self,
        store: &Arc<dyn Store>,
        key: &Key,
    ) -> Result<Option<(Entry, Metadata)>, Error> {
        let found = store.inspect(key).await?;
        if let Some((entry, metadata)) = &found {
            let place = (store.name(), key.clone());
            self.table().keep_metadata(place, entry, metadata);
        }
        Ok(found)
    }

    /// The metadata of this version of a key: no request if they are cached, otherwise one. If the key has
    /// another version by now, a save over this one will be refused anyway.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(super) async fn metadata_of(
        &self,
        store: &Arc<dyn Store>,
        key: &Key,
        version: &Version,
    ) -> Result<Metadata, Error> {
        if let Some(metadata) = self.metadata_at_hand(store, key, version) {
            return Ok(metadata);
        }
        Ok(match self.ask(store, key).await? {
            Some((_, metadata)) => metadata,
            None => self.new_metadata(store, key),
        })
    }

    fn metadata_at_hand(
        &self,
        store: &Arc<dyn Store>,
        key: &Key,
        version: &Version,
    ) -> Option<Metadata> {
        let place = (store.name(), key.clone());
        self.table().metadata(&place, version)
    }
}
