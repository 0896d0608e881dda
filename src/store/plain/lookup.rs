//! Looking a name up: what it is, in one request nearly always.
//!
//! A LIST tells key, directory or absence, with size, time and version; HEAD could not tell that a
//! name is a directory. What a name means is in `store/dir.rs`.

use super::PlainStore;
use crate::backend::Listed;
use crate::model::{FileName, Key};
use crate::store::{Child, Dir, Entry, Error, Found, Store as _};

/// How many neighbours one look-up asks for: enough to see, in nearly every directory, whether a
/// key is also a directory, and few enough to be cheap.
pub(super) const NEIGHBOURS: u16 = 16;

impl PlainStore {
    /// Finds out what a name in a directory is, in one request nearly always.
    ///
    /// # Errors
    /// Any [`Error`]; a name that no key can have is [`Error::BadName`].
    pub(super) async fn look_up(&self, dir: &Dir, name: &FileName) -> Result<Found, Error> {
        match self.child(dir, name)? {
            Child::Dir(below) => {
                let query = self.query(below.prefix(), false, 1000);
                let page = self.backend.list(&query).await?;
                let inside = |object: &Listed| {
                    self.relative(&object.key)
                        .and_then(|object| dir.name_of(object))
                        .is_some_and(|named| named.is_dir && named.name == *name)
                };
                Ok(match page.objects.iter().any(inside) {
                    true => Found::Dir(below),
                    false => Found::Absent,
                })
            }
            Child::Either(key, below) => match self.look_around(&key, &below).await? {
                (_, true) => Ok(Found::Dir(below)),
                (Some(listed), false) => self.found(key, listed).await,
                (None, false) => Ok(Found::Absent),
            },
            Child::Shadowed(key, below) => match self.look_around(&key, &below).await? {
                (Some(listed), true) => self.found(key, listed).await,
                _ => Ok(Found::Absent),
            },
            Child::Key(_) => Ok(Found::Absent),
        }
    }

    /// Whether there is an object of this key, and whether there are objects below it.
    async fn look_around(&self, key: &Key, below: &Dir) -> Result<(Option<Listed>, bool), Error> {
        let at = self.object(key);
        let mut query = self.query(key.as_str(), true, NEIGHBOURS);
        let page = self.backend.list(&query).await?;
        let folded = format!("{}{}", self.prefix, below.prefix());
        let mut is_dir = page.prefixes.contains(&folded);
        let saw_enough = page.next.is_none()
            || page
                .objects
                .iter()
                .any(|object| object.key.as_str() > &*folded)
            || page.prefixes.iter().any(|prefix| *prefix >= folded);
        let object = page.objects.into_iter().find(|object| object.key == at);
        // There is no directory of a name that leaves no room for anything in it.
        if !is_dir && !saw_enough && self.check_name(below.prefix()).is_ok() {
            query.prefix = folded;
            query.limit = 1;
            let page = self.backend.list(&query).await?;
            is_dir = !(page.objects.is_empty() && page.prefixes.is_empty());
        }
        Ok((object, is_dir))
    }

    /// What was found under a key.
    async fn found(&self, key: Key, listed: Listed) -> Result<Found, Error> {
        let entry = self.entry_listed(key, listed).await?;
        Ok(entry.map_or(Found::Absent, Found::File))
    }

    /// What a listing tells of a key, with its version even where listings leave it out: then one
    /// request, and nothing if it was deleted meanwhile.
    pub(super) async fn entry_listed(
        &self,
        key: Key,
        listed: Listed,
    ) -> Result<Option<Entry>, Error> {
        let Some(version) = listed.version else {
            return self.describe(&key).await;
        };
        Ok(Some(Entry {
            size: Some(listed.size),
            key,
            modified: listed.modified,
            version,
        }))
    }
}
