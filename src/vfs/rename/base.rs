//! What a rename must find under its new name, and what is said when it does not (W1, W4).

use std::sync::Arc;
use tokio::time::Instant;

use super::super::Context;
use super::super::handles::Fh;
use super::super::loss::{Attempt, Kept};
use super::super::place::Place;
use super::super::rescue::Reason;
use super::super::table::Kind;
use super::super::{Error, Vfs};
use super::{From, Moved, Target};
use crate::model::{Base, Precondition, Rival, backed_up};
use crate::store::{Entry, Metadata};

impl Vfs {
    /// Whether another process opened this handle than the one that asks.
    pub(super) fn is_others(&self, fh: Fh, by: Context) -> bool {
        let handle = self.handle(fh).ok();
        let opener = handle.and_then(|handle| handle.who());
        let pair = opener.zip(*by.who());
        pair.is_some_and(|(opener, by)| opener.process != by.process)
    }

    /// What travels with the moved file, if somebody chose it.
    fn own_metadata(moved: &Moved, target: &Target<'_>) -> Option<Metadata> {
        let (store, key) = match &moved.from {
            From::Key(store, key) => (store, key),
            From::ScratchDir(..) => (&target.store, &target.key),
        };
        let metadata = &moved.value.metadata;
        (!store.is_default(key, metadata)).then(|| metadata.clone())
    }

    /// What the save under the new name must find (W1), and what travels with it: that of the moved
    /// file if it has any of its own, else that of the file whose name it takes (W14).
    pub(super) async fn rename_base(
        &self,
        moved: &Moved,
        target: &Target<'_>,
        by: Context,
    ) -> Result<(Precondition, Metadata), Error> {
        let (store, key) = (&target.store, &target.key);
        let place = (store.name(), key.clone());
        let own = Self::own_metadata(moved, target);
        let departed = self.departed(&place);
        if let Some(base) = departed {
            let callers = moved.callers.iter().copied();
            if let Base::AlreadyLost { shown } = self.departed_base(callers, &place, &base) {
                let current = Precondition::Is(base);
                self.departure_failed(moved, target);
                return Err(self
                    .rename_lost(moved, target, &shown, Some(&current))
                    .await);
            }
            let metadata = match own {
                Some(own) => own,
                None => {
                    let metadata = self.metadata_of(store, key, &base).await?;
                    metadata.of(&moved.value.bytes)
                }
            };
            return Ok((Precondition::Is(base), metadata));
        }
        if self.restores_backup(moved, target, &place) {
            let current = match target.taken {
                Some(ino) => self.current(ino, store, key).await?,
                None => Precondition::Absent,
            };
            return Err(self
                .rename_lost(moved, target, &Precondition::Absent, Some(&current))
                .await);
        }
        let fresh = || self.new_metadata(store, key).of(&moved.value.bytes);
        let (mut current, metadata) = match (target.taken, own) {
            (None, own) => (Precondition::Absent, own.unwrap_or_else(fresh)),
            (Some(ino), own) if self.is_unsaved(ino)? => {
                (Precondition::Absent, own.unwrap_or_else(fresh))
            }
            (Some(ino), None) => {
                let (current, metadata) = self.inspect(ino, store, key, by).await?;
                (current, metadata.of(&moved.value.bytes))
            }
            (Some(ino), Some(own)) => match self.just_asked(ino, by) {
                Some(entry) => (Precondition::Is(entry.version), own),
                None => (self.current(ino, store, key).await?, own),
            },
        };
        let mut base = self.shown_of(moved, &place, &current);
        if let (Base::AlreadyLost { .. }, Some(ino)) = (&base, target.taken)
            && self.table().is_only_listed(ino)
        {
            current = self.current(ino, store, key).await?;
            base = self.shown_of(moved, &place, &current);
        }
        match base {
            Base::Take(expect) => Ok((expect, metadata)),
            Base::AlreadyLost { shown } => Err(self
                .rename_lost(moved, target, &shown, Some(&current))
                .await),
        }
    }

    /// What the moved file may replace, when this is there.
    fn shown_of(&self, moved: &Moved, place: &Place, current: &Precondition) -> Base {
        self.settle_doubts(place);
        if self.replaces_its_original(moved, place, current) {
            return Base::Take(current.clone());
        }
        let asked = moved.callers.iter().copied();
        self.table().base(asked, place, current)
    }

    /// Whether a file that is moved over a key began as a copy of what that key is now. Then whoever
    /// moves it knows what it replaces, as if it had read it.
    fn replaces_its_original(&self, moved: &Moved, place: &Place, current: &Precondition) -> bool {
        let is_intact = match moved.from {
            From::Key(..) => self.is_own(moved.ino, &moved.value.version),
            From::ScratchDir(..) => true,
        };
        let is_it = is_intact && self.is_copy_of(moved.ino, place, current);
        if is_it {
            self.note_reading_of_copy(moved.ino, moved.callers.first().copied());
        }
        is_it
    }

    /// Whether a process that was refused a moment ago moves a backup over its original (`NAME~` over
    /// `NAME`, or what it copied aside): it undoes its own failed save, and must not undo the winner's.
    fn restores_backup(&self, moved: &Moved, target: &Target<'_>, place: &Place) -> bool {
        let (now, by) = (self.now(), moved.callers.first().map(|who| who.process));
        let table = self.table();
        let from = table.name(moved.ino);
        let original = from.and_then(|(dir, name)| Some((dir, backed_up(name)?)));
        let is_backup = original.is_some_and(|(dir, name)| (dir, &name) == target.at)
            || table.is_copy_of(moved.ino, place);
        is_backup && table.is_cleaning_up(place, by, now)
    }

    pub(super) async fn rename_refused(
        &self,
        moved: &Moved,
        target: &Target<'_>,
        expect: &Precondition,
        rival: Option<(Rival, Instant)>,
    ) -> Error {
        let (rival, asked) = match rival {
            Some(found) => found,
            None => {
                let asked = Instant::now();
                match target.store.describe(&target.key).await {
                    Ok(entry) => (entry.map_or(Rival::NOTHING, rival_of), asked),
                    Err(error) => {
                        // Who won is not known; what was known before is not so any more.
                        self.table().forget_name(target.at.0, target.at.1);
                        let (op, store, key) = ("rename", target.store.name(), &target.key);
                        tracing::debug!(op, %store, %key, %error, "who saved first cannot be seen");
                        return self.rename_lost(moved, target, expect, None).await;
                    }
                }
            }
        };
        {
            let (mut table, (parent, name)) = (self.table(), target.at);
            let kind = Kind::File(Arc::clone(&target.store), target.key.clone());
            let taken = table.insert(parent, name, kind);
            table.learn_rival(taken, &target.key, &rival, asked);
            table.sweep(taken);
        }
        self.rename_lost(moved, target, expect, Some(&rival.version))
            .await
    }

    /// Somebody else saved first; `found` is what the key is now, if that could be asked. The temporary file
    /// stays, but programs tend to delete it when its rename fails: its bytes are kept.
    async fn rename_lost(
        &self,
        moved: &Moved,
        target: &Target<'_>,
        expected: &Precondition,
        found: Option<&Precondition>,
    ) -> Error {
        let attempt = attempt(moved, target, expected);
        let kept = Kept::whole(moved.value.bytes.clone());
        self.conflict_over(&attempt, found, kept).await.error
    }

    /// The rename failed, or its fate is unknown. The bytes of a temporary file are kept, as after a
    /// conflict; a key still has its own.
    pub(super) async fn rename_failed(
        &self,
        moved: &Moved,
        target: &Target<'_>,
        expected: &Precondition,
        reason: Reason,
        error: Error,
    ) -> Error {
        let attempt = attempt(moved, target, expected);
        let kept = match moved.from {
            From::ScratchDir(..) => Some(Kept::whole(moved.value.bytes.clone())),
            From::Key(..) => None,
        };
        self.not_done(&attempt, reason, "unknown", kept, error)
            .await
            .error
    }

    /// The version of the target that those who move a file over it were shown, when what it is now cannot
    /// be asked.
    pub(super) fn shown_before(&self, moved: &Moved, target: &Target<'_>) -> Precondition {
        let place = (target.store.name(), target.key.clone());
        let asked = moved.callers.iter().copied();
        match self.table().base(asked, &place, &Precondition::Absent) {
            Base::Take(expect) | Base::AlreadyLost { shown: expect } => expect,
        }
    }
}

fn attempt<'a>(
    moved: &'a Moved,
    target: &'a Target<'_>,
    expected: &'a Precondition,
) -> Attempt<'a> {
    Attempt {
        op: "rename",
        ino: target.taken.unwrap_or(moved.ino),
        store: &target.store,
        key: &target.key,
        callers: &moved.callers,
        expected,
    }
}

fn rival_of(entry: Entry) -> Rival {
    Rival {
        version: Precondition::Is(entry.version),
        size: entry.size,
        modified: Some(entry.modified),
    }
}
