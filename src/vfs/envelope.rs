//! What travels with a value and survives an edit of its bytes (W14).
//!
//! An edit in place has it from the value it opened. Here is whose it is for a save that starts from
//! nothing: a file that is emptied, created anew, or whose name another file takes. What it is made
//! of says the layout of the store; it is remembered in `cache.rs`.

use std::time::Instant;

use super::Vfs;
use super::{Error, open::Opening};
use crate::model::{Expect, Ino, Key, Version};
use crate::store::{Entry, Envelope, Store};

impl Vfs {
    /// The newest version of a key and what travels with it. No request if this system call asked
    /// for the version already and the envelope is at hand, otherwise one.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(super) async fn inspect(
        &self,
        ino: Ino,
        store: &Store,
        key: &Key,
        by: Opening,
    ) -> Result<(Expect, Envelope), Error> {
        if let Some(entry) = self.just_asked(ino, by.thread)
            && let Some(envelope) = self.envelope_at_hand(store, key, &entry.version)
        {
            return Ok((Expect::Is(entry.version), envelope));
        }
        let asked = Instant::now();
        let found = self.ask(store, key).await?;
        let mut table = self.table();
        let Some((entry, envelope)) = found else {
            table.learn_absent(ino, asked);
            return Ok((Expect::Absent, store.fresh_envelope(key)));
        };
        let expect = Expect::Is(entry.version.clone());
        table.learn(ino, entry, asked, None);
        Ok((expect, envelope))
    }

    /// The newest version of a key and what travels with it, which is remembered; one request.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(super) async fn ask(
        &self,
        store: &Store,
        key: &Key,
    ) -> Result<Option<(Entry, Envelope)>, Error> {
        let found = store.inspect(key).await?;
        if let Some((entry, envelope)) = &found {
            let place = (store.name(), key.clone());
            let version = entry.version.clone();
            let mut table = self.table();
            table.values.put_envelope(place, version, envelope.clone());
        }
        Ok(found)
    }

    /// What travels with this version of a key: no request if it is at hand, otherwise one. If there
    /// is another version by now, a save over this one will be refused whatever travels with it.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(super) async fn envelope_of(
        &self,
        store: &Store,
        key: &Key,
        version: &Version,
    ) -> Result<Envelope, Error> {
        if let Some(envelope) = self.envelope_at_hand(store, key, version) {
            return Ok(envelope);
        }
        Ok(match self.ask(store, key).await? {
            Some((_, envelope)) => envelope,
            None => store.fresh_envelope(key),
        })
    }

    fn envelope_at_hand(&self, store: &Store, key: &Key, version: &Version) -> Option<Envelope> {
        let place = (store.name(), key.clone());
        self.table().values.envelope(&place, version)
    }
}
