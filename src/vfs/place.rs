//! Where something is in a mount: the name of a key, and of a directory.

use std::sync::Arc;

use crate::model::{FileName, Key};
use crate::store::{Child, Dir, Store, StoreName};

/// A key of the mount: the name under which it is remembered who was shown what.
pub(super) type Place = (StoreName, Key);

/// A directory of the mount.
pub(super) type Folder = (StoreName, Dir);

/// The directory of a store.
pub(super) fn folder(store: &Arc<dyn Store>, dir: &Dir) -> Folder {
    (store.name(), dir.clone())
}

/// The key that a name in a directory stands for.
pub(super) fn key_of(store: &Arc<dyn Store>, dir: &Dir, name: &FileName) -> Option<Key> {
    match store.child(dir, name).ok()? {
        Child::Either(key, _) | Child::Key(key) | Child::Shadowed(key, _) => Some(key),
        Child::Dir(_) => None,
    }
}
