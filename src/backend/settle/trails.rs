//! Trails of the versions that passed by, so that whoever replaces one can say what it came after (W6).
//!
//! A trail lies in the user metadata beside the put-id, under a name that nobody above sees. It is
//! read off every answer that has one, and remembered for a bounded number of versions; what is not
//! remembered makes a trail shorter, and nothing wrong. What a trail proves is in `crates/model/src/trail.rs`.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};

use lru::LruCache;

use crate::backend::{Meta, ObjectKey, ObjectMeta};
use crate::model::{Precondition, PutId, Trail, Version};

/// The name of the user metadata (`x-amz-meta-etagfs-after` on the wire).
const AFTER: &str = "etagfs-after";

/// What S3 allows for all user metadata of an object, names and values, in bytes.
const METADATA: usize = 2048;

/// What the put-id takes of that: its name and its 32 digits, and some room for what calls the name
/// longer.
const PUT_ID: usize = 64;

/// How many versions are remembered; each takes some 600 bytes.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4095);

/// The trails of the writers that replace a version.
#[derive(Debug)]
pub(super) struct Trails(Mutex<LruCache<(ObjectKey, Version), Trail>>);

impl Default for Trails {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

/// The trail of a version, removed from the metadata that callers see.
pub(super) fn take(info: &mut ObjectMeta) -> Trail {
    let text = info.meta.user.remove(AFTER);
    text.map_or_else(Trail::default, |text| Trail::parse(&text))
}

impl Trails {
    /// Learns what an answer tells of a version, and takes it out of the answer.
    pub(super) fn learn(&self, at: &ObjectKey, info: &mut ObjectMeta) {
        let before = take(info);
        if let Some(id) = info.put_id {
            self.saved(at, id, &info.version, &before);
        }
    }

    /// Notes that a save with this trail made a version.
    pub(super) fn saved(&self, at: &ObjectKey, id: PutId, version: &Version, before: &Trail) {
        let trail = Trail::after(id, version, before);
        let mut trails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trails.put((at.clone(), version.clone()), trail);
    }

    /// The trail of whoever replaces this.
    pub(super) fn of(&self, at: &ObjectKey, expect: &Precondition) -> Trail {
        let Precondition::Is(version) = expect else {
            return Trail::default();
        };
        let mut trails = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = trails.get(&(at.clone(), version.clone()));
        known.cloned().unwrap_or_default()
    }
}

/// Lays a trail into the metadata, as much of it as there is room for.
pub(super) fn lay(trail: &Trail, meta: &mut Meta) {
    meta.user.remove(AFTER);
    let taken = PUT_ID + AFTER.len() + size(&meta.user);
    let text = trail.to_text(METADATA.saturating_sub(taken));
    if !text.is_empty() {
        meta.user.insert(AFTER.to_owned(), text);
    }
}

fn size(user: &BTreeMap<String, String>) -> usize {
    user.iter()
        .map(|(name, text)| name.len() + text.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trail_leaves_room_for_the_metadata_of_the_value() {
        let version = Version::new("\"d41d8cd98f00b204e9800998ecf8427e\"");
        let trail = (0..8).fold(Trail::default(), |before, n| {
            Trail::after(PutId::new(n), &version, &before)
        });
        for own in 0..METADATA {
            let mut meta = Meta::default();
            meta.user.insert("k".to_owned(), "v".repeat(own));
            lay(&trail, &mut meta);
            let total = size(&meta.user) + PUT_ID;
            assert!(total <= METADATA.max(own + 1 + PUT_ID), "{own}: {total}");
            let one = PutId::new(0).to_string().len() + 1 + version.etag().len();
            let has_room = 1 + own + AFTER.len() + one + PUT_ID <= METADATA;
            assert_eq!(meta.user.contains_key(AFTER), has_room, "{own}");
        }
    }
}
