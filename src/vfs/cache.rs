//! What is kept for readers to come: the newest value of a key, and listings.
//!
//! A cached value is never trusted, only compared: an open asks the store whether it is still the
//! newest. Both caches are bounded, the one in bytes, the other in names. What travels with a value is
//! remembered for longer than its bytes.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use lru::LruCache;

use super::place::{Folder, Place};
use crate::model::{FileName, Version};
use crate::store::{Entry, Listing, Metadata, Shown, StoreName, Value};

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
    metadata: LruCache<Place, (Version, Metadata)>,
}

/// How many metadata are remembered: with the largest metadata of S3, some 8 MiB.
const METADATA_KEPT: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");

impl ValueCache {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            values: LruCache::unbounded(),
            bytes: 0,
            limit,
            metadata: LruCache::new(METADATA_KEPT),
        }
    }

    pub(super) fn get(&mut self, place: &Place) -> Option<Arc<Value>> {
        self.values.get(place).cloned()
    }

    /// What travels with this version, if that is known.
    pub(super) fn metadata(&mut self, place: &Place, version: &Version) -> Option<Metadata> {
        let (known, metadata) = self.metadata.get(place)?;
        (known == version).then(|| metadata.clone())
    }

    pub(super) fn put_metadata(&mut self, place: Place, version: Version, metadata: Metadata) {
        self.metadata.put(place, (version, metadata));
    }

    pub(super) fn put(&mut self, place: Place, value: Arc<Value>) {
        let (version, metadata) = (value.version.clone(), value.metadata.clone());
        self.put_metadata(place.clone(), version, metadata);
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

/// How many names listings may hold together.
const MAX_NAMES: usize = 100_000;

/// A listing that was read.
#[derive(Debug)]
struct Remembered {
    listing: Arc<Listing>,
    /// When it was asked for.
    asked: Instant,
    /// When that was asked which corrected a name since: an answer to an older question cannot
    /// contradict it.
    corrected: HashMap<FileName, Instant>,
}

impl Remembered {
    /// How many names it takes the room of.
    fn names(&self) -> usize {
        self.listing.len() + self.corrected.len()
    }
}

/// Listings that were read, each as it was answered and as later answers corrected it.
#[derive(Debug)]
pub(super) struct ListingCache {
    /// For how long they are believed.
    ttl: Duration,
    listings: LruCache<Folder, Remembered>,
    names: usize,
    /// How often this mount changed a name, in any directory.
    changes: u64,
}

impl ListingCache {
    pub(super) fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            listings: LruCache::unbounded(),
            names: 0,
            changes: 0,
        }
    }

    /// A listing that can still be believed, and its time.
    pub(super) fn get(&mut self, folder: &Folder) -> Option<(Arc<Listing>, Instant)> {
        let known = self.listings.get(folder)?;
        (known.asked.elapsed() < self.ttl).then(|| (Arc::clone(&known.listing), known.asked))
    }

    /// Remembers a listing that was asked for at this time, unless a younger one is remembered.
    pub(super) fn put(&mut self, folder: Folder, listing: Arc<Listing>, asked: Instant) {
        let known = self.listings.peek(&folder);
        if known.is_some_and(|known| known.asked > asked) {
            return;
        }
        self.remove(&folder);
        let remembered = Remembered {
            listing,
            asked,
            corrected: HashMap::new(),
        };
        self.names += remembered.names();
        self.listings.put(folder, remembered);
        self.make_room();
    }

    /// Forgets what was used longest ago, until the rest has room.
    fn make_room(&mut self) {
        while self.names > MAX_NAMES {
            let Some((_, oldest)) = self.listings.pop_lru() else {
                return;
            };
            self.names -= oldest.names();
        }
    }

    pub(super) fn remove(&mut self, folder: &Folder) {
        if let Some(known) = self.listings.pop(folder) {
            self.names -= known.names();
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
        let known = self.listings.peek(folder);
        known.is_some_and(|known| known.listing.contains_key(name))
    }

    /// Notes what an answer said of one name that was asked about at this time. If that contradicts
    /// what was asked for later, it is not known which of them is newer, and the listing is forgotten, as is
    /// one that nobody believes any more.
    pub(super) fn correct(
        &mut self,
        folder: &Folder,
        name: &FileName,
        entry: Option<&Entry>,
        asked: Instant,
    ) {
        let Some(known) = self.listings.get_mut(folder) else {
            return;
        };
        if known.asked.elapsed() >= self.ttl {
            return self.remove(folder);
        }
        let contradicts = known.listing.contains_key(name) != entry.is_some();
        let since = known.corrected.get(name).unwrap_or(&known.asked);
        if asked < *since {
            if contradicts {
                self.remove(folder);
            }
            return;
        }
        self.names -= known.names();
        known.corrected.insert(name.clone(), asked);
        let names = Arc::make_mut(&mut known.listing);
        match entry {
            Some(entry) => names.insert(name.clone(), Shown::File(entry.clone())),
            None => names.remove(name),
        };
        self.names += known.names();
        self.make_room();
    }
}

/// How many deletes are remembered. What was asked before the last one that is not remembered any more may be
/// older news of any key.
const DELETES: NonZeroUsize = NonZeroUsize::new(4096).expect("it is not zero");

/// When this mount deleted which keys: what was asked about one of them before is older news.
#[derive(Debug)]
pub(super) struct Deletes {
    at: LruCache<Place, Instant>,
    forgotten: Option<Instant>,
}

impl Default for Deletes {
    fn default() -> Self {
        Self {
            at: LruCache::new(DELETES),
            forgotten: None,
        }
    }
}

impl Deletes {
    /// A key was just deleted.
    pub(super) fn note(&mut self, place: Place, now: Instant) {
        if let Some((evicted, at)) = self.at.push(place.clone(), now)
            && evicted != place
        {
            self.forgotten = self.forgotten.max(Some(at));
        }
    }

    /// A key that was deleted is there again.
    pub(super) fn undone(&mut self, place: &Place) {
        self.at.pop(place);
    }

    /// Whether a key was certainly deleted after this time.
    pub(super) fn surely_since(&self, place: &Place, asked: Instant) -> bool {
        self.at.peek(place).is_some_and(|at| *at > asked)
    }

    /// Whether a key was deleted after this time, or may have been: what was asked then is not to be believed.
    pub(super) fn since(&self, place: &Place, asked: Instant) -> bool {
        self.surely_since(place, asked) || self.forgotten.is_some_and(|at| at > asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Key;
    use crate::store::Dir;
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
            metadata: Metadata::default(),
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
    fn what_was_asked_before_a_delete_is_older_also_when_that_is_forgotten() {
        let mut deletes = Deletes::default();
        let before = Instant::now();
        let at = |n: u32| before + Duration::from_millis(n.into());
        deletes.note(place("a"), at(2));
        assert!(deletes.surely_since(&place("a"), at(1)));
        assert!(deletes.since(&place("a"), at(1)) && !deletes.since(&place("b"), at(1)));
        assert!(!deletes.since(&place("a"), at(2)));
        let many = u32::try_from(DELETES.get()).expect("a small number");
        for n in 0..many {
            deletes.note(place(&format!("other {n}")), at(3 + n));
        }
        for key in ["a", "never deleted"].map(place) {
            assert!(deletes.since(&key, at(1)) && !deletes.since(&key, at(2)));
            assert!(!deletes.surely_since(&key, at(1)));
        }
        assert!(deletes.surely_since(&place("other 0"), at(1)));
    }

    /// An answer corrects what was asked for earlier, and cannot contradict what was asked for later.
    #[test]
    fn of_two_answers_that_contradict_each_other_the_older_strikes_nothing() {
        let now = Instant::now();
        let at = |n: u64| now + Duration::from_secs(n);
        let folder = || (StoreName::Flat, Dir::root());
        let name = |text: &str| FileName::new(text.as_ref()).expect("a name");
        let entry = |text: &str| Entry {
            key: Key::new(text).expect("a key"),
            size: Some(1),
            modified: SystemTime::UNIX_EPOCH,
            version: Version::new("1"),
        };
        let mut cache = ListingCache::new(Duration::MAX);
        let has = |cache: &ListingCache, text: &str| cache.has(&folder(), &name(text));
        cache.put(folder(), Arc::default(), at(10));
        cache.correct(&folder(), &name("saved"), Some(&entry("saved")), at(12));
        cache.correct(&folder(), &name("other"), Some(&entry("other")), at(11));
        assert!(has(&cache, "saved") && has(&cache, "other"));
        // As old as the listing: it has nothing to contradict.
        cache.correct(&folder(), &name("third"), None, at(9));
        assert!(has(&cache, "saved"));
        cache.correct(&folder(), &name("other"), None, at(12));
        assert!(has(&cache, "saved") && !has(&cache, "other"));
        assert_eq!(cache.names(), 1 + 2);
        // From before it was saved: the whole listing is in doubt.
        cache.correct(&folder(), &name("saved"), None, at(11));
        assert!(cache.get(&folder()).is_none());
        assert_eq!(cache.names(), 0);
        cache.put(folder(), Arc::default(), at(20));
        cache.put(folder(), Arc::default(), at(19));
        let (_, asked) = cache.get(&folder()).expect("a listing");
        assert_eq!(asked, at(20));
    }

    /// A job that makes a file and deletes it, again and again, corrects the listing with each.
    #[test]
    fn corrections_of_a_listing_stay_within_its_names_and_do_not_outlive_it() {
        let folder = || (StoreName::Flat, Dir::root());
        let made_and_deleted = |cache: &mut ListingCache, times: usize| {
            for n in 0..times {
                let name = FileName::new(format!("{n}").as_ref()).expect("a name");
                let key = Key::new(format!("{n}")).expect("a key");
                let entry = Entry {
                    key,
                    size: Some(1),
                    modified: SystemTime::UNIX_EPOCH,
                    version: Version::new("1"),
                };
                cache.correct(&folder(), &name, Some(&entry), Instant::now());
                cache.correct(&folder(), &name, None, Instant::now());
                assert!(cache.names() <= MAX_NAMES);
            }
        };
        let mut cache = ListingCache::new(Duration::MAX);
        cache.put(folder(), Arc::default(), Instant::now());
        made_and_deleted(&mut cache, 1000);
        assert_eq!(cache.names(), 1000);
        made_and_deleted(&mut cache, MAX_NAMES + 1);
        assert!(cache.get(&folder()).is_none());
        assert_eq!(cache.names(), 0);
        let mut cache = ListingCache::new(Duration::ZERO);
        cache.put(folder(), Arc::default(), Instant::now());
        made_and_deleted(&mut cache, 1);
        assert_eq!(cache.names(), 0);
    }

    #[test]
    fn what_travels_with_a_version_is_known_without_its_bytes_and_for_that_version_only() {
        let mut cache = ValueCache::new(0);
        let value = value(40);
        cache.put(place("a"), Arc::clone(&value));
        assert!(cache.get(&place("a")).is_none());
        let known = cache.metadata(&place("a"), &value.version);
        assert_eq!(known.as_ref(), Some(&value.metadata));
        assert_eq!(cache.metadata(&place("a"), &Version::new("\"2\"")), None);
    }
}
