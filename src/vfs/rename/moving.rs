//! Carries out what the machine [`Moving`] says of a rename over the name of a key, step by step, and decides
//! nothing.

use std::sync::Arc;
use tokio::time::Instant;

use super::super::place::Place;
use super::super::rescue::Reason;
use super::super::{Error, Vfs};
use super::moved::{From, Rename};
use crate::model::moving::{End, Step};
use crate::model::{Base, Key, Moving, OldName, Outcome, Precondition, Version};
use crate::store::{Metadata, Store};

impl Vfs {
    /// Saves the bytes under the new name, and removes the old one. If that fails, whatever is `held` for it is
    /// let go before the bytes are kept: nobody else shall wait for the disk.
    pub(super) async fn rename_key<H>(&self, rename: &Rename<'_>, held: H) -> Result<(), Error> {
        let save_lock = match rename.target.taken {
            Some(ino) => Some(self.save_lock(ino).await?),
            None => None,
        };
        let ended = self.move_over(rename).await;
        let held = (held, save_lock);
        match ended {
            Ok(End::Moved) => Ok(()),
            Ok(End::Lost { expected, found }) => {
                let lost = self.rename_lost(rename, &expected, found.as_ref(), held);
                Err(lost.await)
            }
            Ok(End::Unknown { expected }) => {
                let target = &rename.target;
                self.table().forget_name(target.at.0, target.at.1);
                drop(held);
                let error = Error::Unknown(target.store.address(&target.key));
                let failed = self.rename_failed(rename, &expected, Reason::Unknown, error);
                Err(failed.await)
            }
            Err((expected, error)) => {
                drop(held);
                let failed = self.rename_failed(rename, &expected, Reason::Failed, error);
                Err(failed.await)
            }
        }
    }

    /// Carries out what [`Moving`] says; how it ended.
    ///
    /// # Errors
    /// Any of a step, and what the rename was to replace: the file certainly does not have its new name.
    async fn move_over(&self, rename: &Rename<'_>) -> Result<End, (Precondition, Error)> {
        let facts = self.facts_of_rename(rename);
        let facts = facts.map_err(|error| (self.shown_before(rename), error))?;
        let place = rename.target.place();
        let mut metadata = Self::own_metadata(rename);
        let mut departed = None;
        let mut sent = Instant::now();
        let (mut moving, mut step) = Moving::begin(facts);
        loop {
            let next = match step {
                Step::JudgeDeparted(version) => {
                    let base = self.departed_base(rename.callers(), &place, &version);
                    if let Base::AlreadyLost { .. } = base {
                        self.departure_failed(rename);
                    }
                    Ok(moving.judged(base, false))
                }
                Step::Learn => {
                    let learned = self.learn_target(rename, &mut metadata).await;
                    learned.map(|current| moving.found(current))
                }
                Step::Ask => {
                    let asked = self.ask_target(rename).await;
                    asked.map(|current| moving.found(current))
                }
                Step::Compare(current) => {
                    let is_copy = self.replaces_its_original(rename, &place, &current);
                    Ok(moving.compared(is_copy))
                }
                Step::Judge(current) => {
                    let (base, is_only_listed) = self.base_of_rename(rename, &place, &current);
                    Ok(moving.judged(base, is_only_listed))
                }
                Step::Inherit(version) => {
                    let inherited = self.inherit(rename, &version, &mut metadata).await;
                    inherited.map(|()| moving.inherited())
                }
                Step::Put(expect) => {
                    let metadata = metadata.get_or_insert_with(|| self.fresh_metadata(rename));
                    sent = Instant::now();
                    let outcome = self.put_moved(rename, metadata, &expect).await;
                    outcome.map(|outcome| moving.sent(outcome))
                }
                Step::Look(rival) => {
                    let found = self.winner_of_rename(rename, (rival, sent)).await;
                    Ok(moving.looked(found))
                }
                Step::Delete(version) => {
                    sent = Instant::now();
                    let old = departed.as_ref();
                    Ok(moving.deleted(self.delete_old_name(rename, old, &version).await))
                }
                Step::Publish {
                    replaced,
                    version,
                    old_name,
                } => {
                    let metadata = metadata.take().unwrap_or_default();
                    let old_name = old_name.map(|old_name| (old_name, sent));
                    let saved = (replaced, version);
                    let was = self.renamed(rename, saved, metadata, old_name).await;
                    let (old, version) = was.unzip();
                    departed = old;
                    Ok(moving.published(version))
                }
                Step::End(end) => return Ok(end),
            };
            step = match (next, moving.failed()) {
                (Ok(step), _) => step,
                (Err(error), Some(expected)) => return Err((expected.clone(), error)),
                (Err(error), None) => return Err((self.shown_before(rename), error)),
            };
        }
    }

    /// Puts the bytes under the new name.
    async fn put_moved(
        &self,
        rename: &Rename<'_>,
        metadata: &Metadata,
        expect: &Precondition,
    ) -> Result<Outcome, Error> {
        let (target, bytes) = (&rename.target, rename.moved.value.bytes.clone());
        let put = target.store.put(&target.key, bytes, metadata, expect);
        let outcome = put.await;
        if !matches!(outcome, Ok(Outcome::Committed(_))) {
            self.departure_failed(rename);
        }
        Ok(outcome?)
    }

    /// Deletes the old name of bytes that have the new one; what became of it. `departed` is the key that the
    /// file was moved away from, if it moved in two steps.
    async fn delete_old_name(
        &self,
        rename: &Rename<'_>,
        departed: Option<&Place>,
        version: &Version,
    ) -> OldName {
        match (&rename.moved.from, departed) {
            (From::Key(store, key), _) => {
                delete_moved((store, key), version, &rename.target.key).await
            }
            (From::ScratchDir(.., scratch, _), Some(old)) => {
                let deleted = self
                    .delete_departed_or_fail(old, version, scratch.creator())
                    .await;
                deleted.unwrap_or_else(|error| {
                    tracing::warn!(op = "rename", store = %old.0, key = %old.1, %error, "the old name stays");
                    OldName::Left
                })
            }
            (From::ScratchDir(..), None) => OldName::Left,
        }
    }
}

/// Deletes a key whose bytes have another name by now.
async fn delete_moved(
    (store, key): (&Arc<dyn Store>, &Key),
    version: &Version,
    to: &Key,
) -> OldName {
    let (old_name, why) = match store.delete(key, version).await {
        Ok(Outcome::Committed(())) => return OldName::Gone,
        Ok(Outcome::Refused(_)) => (
            OldName::Changed,
            "somebody else saved it meanwhile".to_owned(),
        ),
        Ok(Outcome::Unknown) => (
            OldName::Left,
            "it is not known whether it was deleted".to_owned(),
        ),
        Err(error) => (OldName::Left, error.to_string()),
    };
    tracing::warn!(op = "rename", store = %store.name(), %key, %to, why, "the old name stays");
    old_name
}
