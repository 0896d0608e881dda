//! What a mount remembers to save requests, or because its users expect it: values, listings, absent names,
//! directories that it emptied, and the metadata of keys that were moved away.

use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use super::super::context::Call;
use super::super::place::{Folder, Place};

use super::super::{Error, Who};
use super::Table;
use super::known::Known;
use crate::model::{FileName, Ino, NodeId, Precondition, Room, Version};
use crate::store::{Dir, Entry, Listing, Metadata, StoreName, Value};

/// How much a mount remembers.
pub(in crate::vfs) struct Sizes {
    /// How many inodes.
    pub(in crate::vfs) inodes: usize,
    /// How many open handles.
    pub(in crate::vfs) handles: usize,
    /// How many values, and their bytes.
    pub(in crate::vfs) values: (usize, usize),
    /// How many names of listings.
    pub(in crate::vfs) names: usize,
    /// How many keys that were moved away, and not settled.
    pub(in crate::vfs) moved_away: usize,
    /// What was shown to which process.
    pub(in crate::vfs) shown: Room,
}

/// An inode that the kernel knows.
pub(in crate::vfs) struct ToldOf {
    /// By which numbers.
    pub(in crate::vfs) ids: Vec<NodeId>,
    /// The name that it need not keep.
    pub(in crate::vfs) name: Option<(NodeId, FileName)>,
}

impl Table {
    /// A value that is cached for later readers.
    pub(in crate::vfs) fn value(&mut self, place: &Place) -> Option<Arc<Value>> {
        self.values.get(place)
    }

    /// The metadata of this version of a key, if they are cached.
    pub(in crate::vfs) fn metadata(
        &mut self,
        place: &Place,
        version: &Version,
    ) -> Option<Metadata> {
        self.values.metadata(place, version)
    }

    /// Caches the metadata of a version of a key.
    pub(in crate::vfs) fn keep_metadata(
        &mut self,
        place: Place,
        entry: &Entry,
        metadata: &Metadata,
    ) {
        let version = entry.version.clone();
        self.values.put_metadata(place, version, metadata.clone());
    }

    /// What is kept of a key is old.
    pub(in crate::vfs) fn forget_value(&mut self, place: &Place) {
        self.values.remove(place);
    }

    /// The store gave all of a value when it was asked for this file.
    pub(in crate::vfs) fn learn_value(
        &mut self,
        ino: Ino,
        place: Place,
        value: &Arc<Value>,
        asked: Instant,
        asked_by: Option<Call>,
    ) {
        self.learn(ino, value.entry(place.1.clone()), asked, asked_by);
        self.values.put(place, Arc::clone(value));
    }

    /// The store reported a value that is too large for the cache.
    pub(in crate::vfs) fn learn_large(
        &mut self,
        ino: Ino,
        place: Place,
        (entry, metadata): (&Entry, &Metadata),
        asked: Instant,
    ) {
        self.values.remove(&place);
        self.keep_metadata(place, entry, metadata);
        self.learn(ino, entry.clone(), asked, None);
    }

    /// The store said that there is no such key.
    pub(in crate::vfs) fn learn_no_value(&mut self, ino: Ino, place: &Place, asked: Instant) {
        self.values.remove(place);
        self.learn_absent(ino, asked);
    }

    /// A save of a file was refused: another machine's version is in its place.
    pub(in crate::vfs) fn overtaken(&mut self, ino: Ino, place: &Place) {
        self.values.remove(place);
        self.give_up(ino);
    }

    /// This mount made a key, empty, before anybody has it open.
    pub(in crate::vfs) fn claimed(
        &mut self,
        ino: Ino,
        by: Who,
        place: &Place,
        value: Value,
    ) -> Result<(), Error> {
        self.learn_own(ino, value.entry(place.1.clone()));
        self.seen
            .saved(by, place, &Precondition::Absent, &value.version);
        self.values.put(place.clone(), Arc::new(value));
        self.set_maker(ino, by)
    }

    /// What is known of the newest version of a key, if that was asked for less than `ttl` ago; and its
    /// value, if that is kept.
    pub(in crate::vfs) fn at_hand(
        &mut self,
        ino: Ino,
        place: &Place,
        ttl: Duration,
    ) -> Option<(Version, Option<Arc<Value>>)> {
        let known = self.known(ino).filter(|known| known.is_younger_than(ttl))?;
        let version = known.version().clone();
        let value = self.values.get(place);
        let value = value.filter(|value| value.version == version);
        Some((version, value))
    }

    /// The version of a file that was last told of.
    pub(in crate::vfs) fn known_version(&self, ino: Ino) -> Option<Version> {
        Some(self.known(ino).map(Known::version)?.clone())
    }

    /// A listing that is not too old, and when it was asked for.
    pub(in crate::vfs) fn listing(&mut self, folder: &Folder) -> Option<(Arc<Listing>, Instant)> {
        self.listings.get(folder)
    }

    /// How often the listings were changed here.
    pub(in crate::vfs) fn listing_changes(&self) -> u64 {
        self.listings.changes()
    }

    /// Keeps a listing, unless this mount changed one since `changes` were counted.
    pub(in crate::vfs) fn keep_listing(
        &mut self,
        folder: Folder,
        listing: &Arc<Listing>,
        asked: Instant,
        changes: u64,
    ) {
        if self.listings.changes() == changes {
            self.listings.put(folder, Arc::clone(listing), asked);
        }
    }

    /// What was listed of a directory is too old.
    pub(in crate::vfs) fn forget_listing(&mut self, folder: &Folder) {
        self.listings.remove(folder);
    }

    /// A name was made or removed in a directory.
    pub(in crate::vfs) fn relisted(&mut self, folder: &Folder) {
        self.listings.remove(folder);
        self.listings.outdate();
    }

    /// What was listed of a store is too old.
    pub(in crate::vfs) fn forget_listings(&mut self, store: StoreName) {
        self.listings.remove_store(store);
    }

    /// The store has no such name, as it said in this system call.
    pub(in crate::vfs) fn note_absent(&mut self, parent: Ino, name: &FileName, call: Call) {
        self.just_absent = Some((parent, name.clone(), call));
    }

    /// Whether this mount emptied a directory that no object keeps.
    pub(in crate::vfs) fn keeps_dir(&self, store: StoreName, dir: &Dir) -> bool {
        self.kept.contains(&(store, dir.clone()))
    }

    /// The directories of a store that this mount emptied, and that no object keeps.
    pub(in crate::vfs) fn kept_dirs(&self, store: StoreName) -> impl Iterator<Item = &Dir> {
        let kept = self.kept.iter();
        kept.filter_map(move |(of, dir)| (*of == store).then_some(dir))
    }

    /// A directory was removed, and the name that it had.
    pub(in crate::vfs) fn removed_dir(&mut self, at: (Ino, &FileName), store: StoreName, dir: Dir) {
        self.kept.remove(&(store, dir));
        self.unlink_name(at.0, at.1);
    }

    /// Whether this mount certainly deleted a key after the names were taken that it is among; and whether
    /// it may have.
    pub(in crate::vfs) fn deleted_since(&self, place: &Place, names: Instant) -> (bool, bool) {
        let surely = self.deletes.surely_since(place, names);
        (surely, self.deletes.since(place, names))
    }

    /// A key was moved to another name, with its metadata.
    pub(in crate::vfs) fn moved_away(&mut self, place: Place, metadata: Metadata) {
        self.moved.put(place, (metadata, Instant::now()));
    }

    /// The metadata of a key that was moved away less than `most` ago.
    pub(in crate::vfs) fn moved_lately(
        &mut self,
        place: &Place,
        most: Duration,
    ) -> Option<Metadata> {
        let (metadata, at) = self.moved.get(place)?;
        (at.elapsed() < most).then(|| metadata.clone())
    }

    /// Drops what is kept only to save requests. Returns what the kernel knows.
    pub(in crate::vfs) fn drop_caches(&mut self) -> Vec<ToldOf> {
        self.values.clear();
        self.listings.clear();
        self.just_absent = None;
        self.tree.each(|node| {
            node.known = None;
            node.there = None;
        });
        self.told_to_kernel()
    }

    /// The inodes that the kernel may know, and their names, where it need not keep those: the name of
    /// a directory may be somebody's working directory, and the name of an open file is shown in `/proc`.
    fn told_to_kernel(&self) -> Vec<ToldOf> {
        let name = |ino| {
            let (parent, name) = self.tree.name(ino)?;
            Some((self.tree.numbers(parent)?.node, name.clone()))
        };
        self.tree
            .iter()
            .map(|(ino, node)| ToldOf {
                ids: self.tree.ids(ino).collect(),
                name: name(ino).filter(|_| node.is_key() && !self.is_held(ino)),
            })
            .collect()
    }

    /// How much is remembered.
    pub(in crate::vfs) fn sizes(&self) -> Sizes {
        Sizes {
            inodes: self.tree.len(),
            handles: self.handles.len(),
            values: (self.values.len(), self.values.bytes()),
            names: self.listings.names(),
            moved_away: self.pending_renames.due(None).len(),
            shown: self.seen.room(),
        }
    }

    /// A name was removed: what is cached of its key is dropped, and later writes to it are lost.
    pub(in crate::vfs) fn removed(&mut self, ino: Ino) {
        self.leaves_behind(ino);
        self.tree.unlink(ino);
        if let Ok((store, key)) = self.file(ino) {
            let place = (store.name(), key);
            self.values.remove(&place);
            self.moved.pop(&place);
        }
        if let Some(node) = self.tree.get_mut(ino) {
            node.file.remove();
        }
    }
}
