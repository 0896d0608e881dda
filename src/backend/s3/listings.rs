//! Whether listings tell the versions that the answers about an object tell.
//!
//! Servers have been seen that list another ETag than a GET tells, or none. The probe finds that out
//! before a mount that can write. For everybody else it shows by itself: **two answers about an object
//! that both are later than the second in which it was written tell one version, or listings do not tell it.**
//! Once they are known not to, they carry none, and whoever needs a version asks for it. It sends nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::backend::habits::Habits;
use crate::backend::{Listed, ObjectKey, ObjectMeta};
use crate::model::Version;

/// How many objects are remembered, of those that were asked for last.
const REMEMBERED: usize = 256;

/// How long after its time an object is the one that was written then, and no second one of the same
/// second; clocks differ a little.
const SETTLED: Duration = Duration::from_secs(5);

/// What answers about objects told.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<HashMap<ObjectKey, (Version, SystemTime, u64)>>);

impl Told {
    /// An answer about an object, to a question that was asked at `asked`.
    pub(super) fn note(&self, at: &ObjectKey, info: &ObjectMeta, asked: SystemTime) {
        if !is_settled(info.modified, asked) {
            return;
        }
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= REMEMBERED && !told.contains_key(at) {
            told.clear();
        }
        let known = (info.version.clone(), info.modified, info.size);
        told.insert(at.clone(), known);
    }

    /// Compares a listing with what the objects' own answers said, and removes wrong versions from it.
    pub(super) fn compare(&self, listed: &mut [Listed], asked: SystemTime, habits: &Habits) {
        if habits.lists_versions() != Some(false) {
            let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let verdicts = listed.iter().filter_map(|one| {
                let (version, modified, size) = told.get(&one.key)?;
                let is_same = one.modified == *modified && one.size == *size;
                (is_same && is_settled(one.modified, asked))
                    .then_some(one.version.as_ref()? == version)
            });
            let verdict = verdicts.fold(None, |all, one| Some(all.unwrap_or(true) && one));
            match verdict {
                Some(false) => {
                    tracing::warn!(
                        "this server's listings report other versions than its objects do: each object is checked"
                    );
                    habits.learn_listings(false);
                }
                Some(true) if habits.lists_versions().is_none() => habits.learn_listings(true),
                _ => {}
            }
        }
        if habits.lists_versions() == Some(false) {
            for one in listed {
                one.version = None;
            }
        }
    }
}

fn is_settled(modified: SystemTime, asked: SystemTime) -> bool {
    asked
        .duration_since(modified)
        .is_ok_and(|age| age > SETTLED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Meta;

    const WRITTEN: u64 = 1_000;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    fn listed(key: &str, etag: &str) -> Listed {
        Listed {
            key: ObjectKey::new(key),
            size: 1,
            modified: at(WRITTEN),
            version: Version::told(etag),
        }
    }

    fn told(key: &str, etag: &str, asked: u64) -> Told {
        let told = Told::default();
        let info = ObjectMeta {
            size: 1,
            version: Version::told(etag).unwrap(),
            modified: at(WRITTEN),
            meta: Meta::default(),
            put_id: None,
        };
        told.note(&ObjectKey::new(key), &info, at(asked));
        told
    }

    fn verdict(told: &Told, page: &mut [Listed], asked: u64) -> Option<bool> {
        let habits = Habits::default();
        told.compare(page, at(asked), &habits);
        habits.lists_versions()
    }

    #[test]
    fn a_listing_that_tells_another_version_of_an_old_object_carries_none() {
        let told = told("a", "x", WRITTEN + 60);
        let mut page = [listed("a", "other"), listed("b", "y")];
        assert_eq!(verdict(&told, &mut page, WRITTEN + 61), Some(false));
        assert!(page.iter().all(|one| one.version.is_none()));
    }

    #[test]
    fn a_listing_that_tells_the_same_in_another_spelling_is_believed() {
        let told = told("a", "\"x\"", WRITTEN + 60);
        let mut page = [listed("a", "W/\"x\"")];
        assert_eq!(verdict(&told, &mut page, WRITTEN + 61), Some(true));
        assert!(page[0].version.is_some());
    }

    #[test]
    fn what_somebody_else_may_have_saved_meanwhile_proves_nothing() {
        // The listing was asked, or the object, when a second save of that second was possible.
        let late = told("a", "x", WRITTEN + 60);
        let mut young = [listed("a", "other")];
        assert_eq!(verdict(&late, &mut young, WRITTEN + 1), None);
        let early = told("a", "x", WRITTEN + 1);
        assert_eq!(verdict(&early, &mut young, WRITTEN + 60), None);
        let mut saved = [listed("a", "other")];
        saved[0].modified = at(WRITTEN + 30);
        assert_eq!(verdict(&late, &mut saved, WRITTEN + 60), None);
        assert!(saved[0].version.is_some());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let told = told("a", "x", WRITTEN + 60);
        for n in 0..10 * REMEMBERED {
            let info = ObjectMeta {
                size: 1,
                version: Version::new("\"x\""),
                modified: at(WRITTEN),
                meta: Meta::default(),
                put_id: None,
            };
            told.note(&ObjectKey::new(n.to_string()), &info, at(WRITTEN + 60));
        }
        assert!(told.0.lock().unwrap().len() <= REMEMBERED);
    }
}
