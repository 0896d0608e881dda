//! What a mount remembers of a rename when the bytes have the new name.

use std::sync::Arc;
use tokio::time::Instant;

use super::super::Vfs;
use super::super::commit::{Change, Commit, Kept};

use super::super::place::Place;
use super::super::publish::Put;
use super::super::table::Kind;
use super::moved::{From, Rename};
use crate::model::{OldName, Precondition, Successor, Version};
use crate::store::{Metadata, ReadBack, Value};

impl Vfs {
    /// Moves the inode to its new name, with everything that is remembered of it. If the file was the value
    /// of yet another key, which moved here in two steps: which key that is, and its version.
    pub(super) async fn renamed(
        &self,
        rename: &Rename<'_>,
        (replaced, version): (Precondition, Version),
        metadata: Metadata,
        old_name: Option<(OldName, Instant)>,
    ) -> Option<(Place, Version)> {
        let (moved, target) = (&rename.moved, &rename.target);
        let value = Arc::new(self.stored_by_rename(rename, version, metadata));
        let mut commit = Commit {
            ino: moved.ino,
            place: target.place(),
            replaced,
            entry: value.entry(target.key.clone()),
            kept: Kept::Whole(Arc::clone(&value)),
            by: moved.callers.clone(),
            change: Change::Value(None),
        };
        self.takes_name(rename, &commit, old_name);
        match &moved.from {
            From::Key(store, key) => {
                let was = moved.value.version.clone();
                commit.change = Change::Value(Some(Successor {
                    from: Precondition::Is(was.clone()),
                    to: value.version.clone(),
                    metadata: Some(value.metadata.clone()),
                }));
                let kind = Kind::File(Arc::clone(&target.store), target.key.clone());
                self.table().becomes(moved.ino, kind);
                self.committed(commit);
                let old = (store.name(), key.clone());
                self.table().deleted_by(rename.callers(), &old, &was);
                self.moved_away(old, moved.value.metadata.clone());
                None
            }
            From::ScratchDir(folder, name, scratch, changes) => {
                self.table().advance(&commit);
                self.journal.saved();
                let put = Put {
                    scratch,
                    at: (folder, name),
                    store: &target.store,
                    key: &target.key,
                    value: Value::clone(&value),
                    changes: *changes,
                };
                if let Err(error) = self.publish(put).await {
                    tracing::warn!(op = "rename", store = %folder.0, key = %target.key, %error, "what was written while it was moved is scratch");
                }
                let departed = self.table().alias_removed(scratch);
                if let Some((old, _)) = &departed {
                    self.moved_away(old.clone(), moved.value.metadata.clone());
                }
                departed
            }
        }
    }

    /// What the store has under the new name.
    fn stored_by_rename(&self, rename: &Rename<'_>, version: Version, metadata: Metadata) -> Value {
        let target = &rename.target;
        let (bytes, metadata) = match target.store.read_back(&target.key, &version) {
            ReadBack::Same => (rename.moved.value.bytes.clone(), metadata),
            ReadBack::Other(bytes, metadata) => (bytes, *metadata),
            ReadBack::Unknown => (rename.moved.value.bytes.clone(), Metadata::default()),
        };
        Value {
            modified: self.saved_now(&target.place(), &version),
            version,
            metadata,
            bytes,
        }
    }

    /// The moved file has its new name, and what had it is replaced.
    fn takes_name(
        &self,
        rename: &Rename<'_>,
        commit: &Commit,
        old_name: Option<(OldName, Instant)>,
    ) {
        let (moved, target) = (&rename.moved, &rename.target);
        let mut table = self.table();
        let mover = rename.callers().next();
        if let From::Key(store, key) = &moved.from {
            match old_name {
                Some((OldName::Gone, sent)) => table.learn_moved(moved.ino, sent, mover),
                Some((OldName::Changed | OldName::Left, _)) | None => table.forget(moved.ino),
            }
            if let Ok((store, dir)) = table.dir(rename.parent) {
                table.keep_dir(&store, &dir);
            }
            table.forget_value(&(store.name(), key.clone()));
        }
        let kind = Kind::File(Arc::clone(&target.store), target.key.clone());
        let replaced = table.rename(moved.ino, target.at, &kind, mover);
        if let Some(replaced) = replaced {
            // Its writers lost the race to this rename, and shall hear of it (W12).
            table.is_moved_over(replaced, commit);
        }
        if let Some(taken) = target.taken {
            table.changed_by(taken, mover);
        }
    }
}
