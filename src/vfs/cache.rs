//! What is kept for readers to come: the newest value of a key, and listings.
//!
//! A cached value is never trusted, only compared: an open asks the store whether it is still the
//! newest. Both caches are bounded, the one in bytes, the other in names. What travels with a value is
//! remembered for longer than its bytes.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;

use super::table::Place;
use crate::model::{FileName, Version};
use crate::store::{Dir, Entry, Envelope, Listing, Shown, StoreName, Value};

/// What a value costs besides its bytes.
const OVERHEAD: usize = 512;

fn cost(value: &Value) -> usize {
    value.bytes.len() + OVERHEAD
}

/// The newest values that were read or saved, up to a number of bytes.
#[derive(Debug)]
pub(super) struct ValueCache {
    values: LruCache<Place, Arc<Value>>,
    bytes: usize,
    limit: usize,
    /// What travels with versions that were read or saved, whether their bytes are kept or not.
    envelopes: LruCache<Place, (Version, Envelope)>,
}

/// How many envelopes are remembered: with the largest metadata of S3, some 8 MiB.
const ENVELOPES: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");

impl ValueCache {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            values: LruCache::unbounded(),
            bytes: 0,
            limit,
            envelopes: LruCache::new(ENVELOPES),
        }
    }

    pub(super) fn get(&mut self, place: &Place) -> Option<Arc<Value>> {
        self.values.get(place).cloned()
    }

    /// What travels with this version, if that is known.
    pub(super) fn envelope(&mut self, place: &Place, version: &Version) -> Option<Envelope> {
        let (known, envelope) = self.envelopes.get(place)?;
        (known == version).then(|| envelope.clone())
    }

    pub(super) fn put_envelope(&mut self, place: Place, version: Version, envelope: Envelope) {
        self.envelopes.put(place, (version, envelope));
    }

    pub(super) fn put(&mut self, place: Place, value: Arc<Value>) {
        let (version, envelope) = (value.version.clone(), value.envelope.clone());
        self.put_envelope(place.clone(), version, envelope);
        self.remove(&place);
        if cost(&value) > self.limit {
            return;
        }
        self.bytes += cost(&value);
        self.values.put(place, value);
        while self.bytes > self.limit {
            let Some((_, oldest)) = self.values.pop_lru() else {
                return;
            };
            self.bytes -= cost(&oldest);
        }
    }

    pub(super) fn remove(&mut self, place: &Place) {
        if let Some(value) = self.values.pop(place) {
            self.bytes -= cost(&value);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// How many values are kept.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// How many bytes are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A directory of the mount.
pub(super) type Folder = (StoreName, Dir);

/// How many names listings may hold together.
const MAX_NAMES: usize = 100_000;

/// Listings that were read, with the time of their reading.
#[derive(Debug)]
pub(super) struct ListingCache {
    listings: LruCache<Folder, (Arc<Listing>, Instant)>,
    names: usize,
    /// How often this mount changed a name, in any directory.
    changes: u64,
}

impl Default for ListingCache {
    fn default() -> Self {
        Self {
            listings: LruCache::unbounded(),
            names: 0,
            changes: 0,
        }
    }
}

impl ListingCache {
    /// A listing that is not older than `ttl`, and its time.
    pub(super) fn get(
        &mut self,
        folder: &Folder,
        ttl: Duration,
    ) -> Option<(Arc<Listing>, Instant)> {
        let (listing, at) = self.listings.get(folder)?;
        (at.elapsed() < ttl).then(|| (Arc::clone(listing), *at))
    }

    pub(super) fn put(&mut self, folder: Folder, listing: Arc<Listing>, at: Instant) {
        self.remove(&folder);
        self.names += listing.len();
        self.listings.put(folder, (listing, at));
        while self.names > MAX_NAMES {
            let Some((_, (oldest, _))) = self.listings.pop_lru() else {
                return;
            };
            self.names -= oldest.len();
        }
    }

    pub(super) fn remove(&mut self, folder: &Folder) {
        if let Some((listing, _)) = self.listings.pop(folder) {
            self.names -= listing.len();
        }
    }

    /// Forgets everything, also what is being asked for now.
    pub(super) fn clear(&mut self) {
        self.listings.clear();
        self.names = 0;
        self.outdate();
    }

    /// How many names are kept.
    pub(super) fn names(&self) -> usize {
        self.names
    }

    /// Forgets the listings of a store: a name changed, in a directory that is not at hand.
    pub(super) fn remove_store(&mut self, store: StoreName) {
        let folders = self.listings.iter().map(|(folder, _)| folder);
        let stale: Vec<_> = folders
            .filter(|(name, _)| *name == store)
            .cloned()
            .collect();
        for folder in stale {
            self.remove(&folder);
        }
        self.outdate();
    }

    /// How often this mount has changed a name: a listing that was asked for before a change may
    /// lack it, and must not be remembered after it.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Notes that this mount changed a name.
    pub(super) fn outdate(&mut self) {
        self.changes += 1;
    }

    /// Whether a remembered listing has this name.
    pub(super) fn has(&self, folder: &Folder, name: &FileName) -> bool {
        let listing = self.listings.peek(folder);
        listing.is_some_and(|(listing, _)| listing.contains_key(name))
    }

    /// Notes what became of one name.
    pub(super) fn correct(&mut self, folder: &Folder, name: &FileName, entry: Option<&Entry>) {
        let Some((listing, _)) = self.listings.get_mut(folder) else {
            return;
        };
        self.names -= listing.len();
        let names = Arc::make_mut(listing);
        match entry {
            Some(entry) => names.insert(name.clone(), Shown::File(entry.clone())),
            None => names.remove(name),
        };
        self.names += names.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Key;
    use bytes::Bytes;
    use std::time::SystemTime;

    fn place(name: &str) -> Place {
        (StoreName::Flat, Key::new(name).expect("a key"))
    }

    fn value(size: usize) -> Arc<Value> {
        Arc::new(Value {
            bytes: Bytes::from(vec![0; size]),
            version: Version::new("\"1\""),
            modified: SystemTime::UNIX_EPOCH,
            envelope: Envelope::default(),
        })
    }

    #[test]
    fn the_value_cache_stays_within_its_bytes() {
        let mut cache = ValueCache::new(100 + 2 * OVERHEAD);
        for name in ["a", "b", "c"] {
            cache.put(place(name), value(40));
        }
        assert_eq!(cache.bytes(), 80 + 2 * OVERHEAD);
        assert!(cache.get(&place("a")).is_none());
        cache.put(place("b"), value(10));
        assert_eq!(cache.bytes(), 50 + 2 * OVERHEAD);
        cache.put(place("huge"), value(10_000));
        assert!(cache.get(&place("huge")).is_none());
        assert_eq!(cache.bytes(), 50 + 2 * OVERHEAD);
    }

    #[test]
    fn what_travels_with_a_version_is_known_without_its_bytes_and_for_that_version_only() {
        let mut cache = ValueCache::new(0);
        let value = value(40);
        cache.put(place("a"), Arc::clone(&value));
        assert!(cache.get(&place("a")).is_none());
        let known = cache.envelope(&place("a"), &value.version);
        assert_eq!(known.as_ref(), Some(&value.envelope));
        assert_eq!(cache.envelope(&place("a"), &Version::new("\"2\"")), None);
    }
}
