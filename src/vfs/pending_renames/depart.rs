//! A key is moved to a scratch name: only this mount knows (W8).

use std::sync::Arc;

use super::super::Context;
use super::super::loss::Attempt;
use super::super::open::Version as Opened;
use super::super::scratch::Scratch;
use super::super::table::Kind;
use super::super::{Error, Vfs};
use crate::model::{Caller, FileName, Ino, Key, Precondition, Version, departing_as};
use crate::store::Store;

impl Vfs {
    /// Moves a key to a scratch name. At most one request, for the bytes.
    ///
    /// # Errors
    /// Any [`Error`]; then nothing has changed.
    pub(in crate::vfs) async fn depart(
        &self,
        ino: Ino,
        to: (Ino, &FileName),
        by: Context,
    ) -> Result<(), Error> {
        let (store, key) = self.file(ino)?;
        let (to_store, to_dir) = self.dir(to.0)?;
        let folder = (to_store.name(), to_dir.clone());
        let _moving = self.moving.lock().await;
        let newest = self.newest(ino, &store, &key, by).await?;
        self.check_not_absent(ino, &store, &key, &newest, by)?;
        let alias = self
            .scratch_dir()
            .make_aside(*by.who())
            .map_err(Error::of_disk)?;
        let filled = self.fill(&alias, &store, &key, newest).await;
        let ready = match (filled, self.scratch_at(&to_store, &to_dir, to.1)) {
            (Ok(version), Some(old)) => self.give_up(&old).await.map(|()| version),
            (filled, _) => filled,
        };
        let current = match ready {
            Ok(version) => version,
            Err(error) => {
                // It holds a part of the value; the key, and what has the name, are where they were.
                self.scratch_dir().discard(&alias);
                return Err(error);
            }
        };
        self.scratch_dir()
            .put(&folder, to.1, Arc::clone(&alias))
            .map_err(Error::of_disk)?;
        alias.note_absence();
        let place = (store.name(), key);
        self.settle_doubts(&place);
        let now = self.now();
        let mut table = self.table();
        let shown = by.who().and_then(|who| table.shown_to(&who, &place));
        let base = departing_as(current, shown);
        table.pending().depart(place, base, alias.id(), now);
        table.changed_by(ino, *by.who());
        // The kernel may believe a name, and moves that: it finds the key's inode by the new one then.
        table.may_be_mistaken(ino, to, &Kind::Scratch(alias));
        drop(table);
        self.forget_in_kernel(ino);
        Ok(())
    }

    /// A process that was shown that a key is absent, and moves it away, is about to create what somebody else
    /// has created meanwhile (emacs and its backup): that is a conflict.
    fn check_not_absent(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
        newest: &Opened,
        by: Context,
    ) -> Result<(), Error> {
        let place = (store.name(), key.clone());
        self.settle_doubts(&place);
        let knows_absence = |who: &Caller| self.table().knows_absence(who, &place);
        if !by.who().as_ref().is_some_and(knows_absence) {
            return Ok(());
        }
        let current = match newest {
            Opened::Whole(value) => value.version.clone(),
            Opened::Large(large) => large.0.version.clone(),
        };
        let attempt = Attempt {
            op: "rename",
            ino,
            store,
            key,
            callers: by.callers(),
            expected: &Precondition::Absent,
        };
        Err(self.conflict(&attempt, Some(&Precondition::Is(current))))
    }

    /// Fills a scratch file with a version of a key; which one that is.
    async fn fill(
        &self,
        alias: &Scratch,
        store: &Arc<dyn Store>,
        key: &Key,
        newest: Opened,
    ) -> Result<Version, Error> {
        let (version, metadata) = match newest {
            Opened::Whole(value) => {
                let written = alias.write(Some(0), &value.bytes);
                written.map_err(Error::of_disk)?;
                (value.version.clone(), value.metadata.clone())
            }
            Opened::Large(large) => {
                let (entry, metadata) = *large;
                self.each_block(store, key, &entry, |at, block| {
                    let written = alias.write(Some(at), block);
                    written.map(drop).map_err(Error::of_disk)
                })
                .await?;
                (entry.version, metadata)
            }
        };
        alias.holds_value(metadata);
        Ok(version)
    }
}
