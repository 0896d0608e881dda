//! The listing of a store: LISTs, and one ranged GET for each object never seen before.
//!
//! The second listing makes LISTs only. What reads objects, and continues when no caller waits any more, is
//! `learning.rs`.

use uuid::Uuid;

use super::KonserveStore;
use super::learning::Learned;
use super::names::AT_MOST_UNWRITTEN;
use crate::backend::{After, ListQuery, Listed, Pages};
use crate::store::{Entry, Error, Listing, Shown};
use konserve_codec::object::{Role, role};

impl KonserveStore {
    /// Lists all keys.
    ///
    /// # Errors
    /// Any [`Error`]; never a part of a listing.
    pub(super) async fn list_keys(&self) -> Result<Listing, Error> {
        self.names.load(self.settings.spelling).await;
        let objects = self.objects().await?;
        let mut listing = Listing::new();
        let mut unknown = Vec::new();
        for (object, listed) in objects {
            if !self.show(&mut listing, object, &listed) {
                unknown.push((object, listed));
            }
        }
        while !unknown.is_empty() {
            let learned = self.learned(&unknown).await?;
            unknown.retain(|(object, listed)| {
                !self.show_learned(&mut listing, *object, listed, &learned)
            });
        }
        // Sizes of what was looked at since.
        self.names.store(AT_MOST_UNWRITTEN).await;
        Ok(listing)
    }

    /// Puts an object into a listing that was unknown before; whether it is known by now.
    fn show_learned(
        &self,
        listing: &mut Listing,
        object: Uuid,
        listed: &Listed,
        learned: &Learned,
    ) -> bool {
        let version = match learned.get(&object) {
            // It was deleted meanwhile: nothing is shown of it.
            Some(None) => return true,
            Some(Some(version)) => Some(version.clone()),
            // A task that others began did not look at it.
            None => listed.version.clone(),
        };
        let listed = Listed {
            version,
            ..listed.clone()
        };
        self.show(listing, object, &listed)
    }

    /// All objects that hold values.
    async fn objects(&self) -> Result<Vec<(Uuid, Listed)>, Error> {
        let store = format!("{}{}", self.prefix, self.id);
        let query = ListQuery {
            prefix: format!("{store}_"),
            fold: false,
            after: After::Start,
            limit: 1000,
        };
        let mut objects = Vec::new();
        let mut pages = Pages::new(&*self.backend, query);
        while let Some(page) = pages.next().await? {
            for listed in page.objects {
                let name = listed.key.as_str().strip_prefix(&store);
                if let Some(Role::Value(object)) = name.and_then(role) {
                    objects.push((object, listed));
                }
            }
        }
        Ok(objects)
    }

    /// Puts an object into a listing, if what it is is known (a hidden one is not put).
    fn show(&self, listing: &mut Listing, object: Uuid, listed: &Listed) -> bool {
        let Some(version) = &listed.version else {
            // A server that lists no versions; they are learned one by one.
            return false;
        };
        let Some(shown) = self.names.show(object, Some(version)) else {
            return false;
        };
        if let Some(shown) = shown {
            let entry = Entry {
                key: shown.key,
                size: shown.size,
                modified: listed.modified,
                version: version.clone(),
            };
            listing.insert(shown.name, Shown::File(entry));
        }
        true
    }
}
