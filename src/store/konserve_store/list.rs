//! The listing of a store: LISTs, and one ranged GET for each object never seen before.
//!
//! The second listing makes LISTs only. What a listing learned stays learned when it fails or is
//! given up half-way, so that the next one goes on where it ended.

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::KonserveStore;
use super::read::Looked;
use crate::backend::{After, ListQuery, Listed};
use crate::store::konserve::object::{Role, role};
use crate::store::{Entry, Error, Listing, Shown};

/// How many objects are looked at at once; less than the backend allows, so that others come in.
const AT_ONCE: usize = 32;

/// How often an object is looked at that somebody writes meanwhile.
const GLIMPSES: usize = 5;

/// How far the present listing is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// How many objects were looked at, of how many; nothing when none is being looked at.
    fn get(&self) -> Option<(u64, u64)> {
        let total = self.total.load(Ordering::Relaxed);
        (total > 0).then(|| (self.done.load(Ordering::Relaxed), total))
    }

    fn begin(&self, total: usize) -> Running<'_> {
        self.done.store(0, Ordering::Relaxed);
        self.total.store(total as u64, Ordering::Relaxed);
        Running(self)
    }
}

/// A listing that looks at objects; over when it is dropped.
struct Running<'a>(&'a Progress);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.total.store(0, Ordering::Relaxed);
    }
}

impl KonserveStore {
    /// How far the present listing is.
    pub(in crate::store) fn progress(&self) -> Option<(u64, u64)> {
        self.progress.get()
    }

    /// Lists all keys.
    ///
    /// # Errors
    /// Any [`Error`]; never a part of a listing.
    pub(in crate::store) async fn list(&self) -> Result<Listing, Error> {
        self.names.load(self.settings.spelling).await;
        let objects = self.objects().await?;
        let mut listing = Listing::new();
        let mut unknown = Vec::new();
        for (object, listed) in objects {
            if !self.show(&mut listing, object, &listed) {
                unknown.push((object, listed));
            }
        }
        if unknown.is_empty() {
            return Ok(listing);
        }
        let learned = self.learn(&unknown).await;
        self.names.store().await;
        let learned = learned?;
        for ((object, listed), version) in unknown.into_iter().zip(learned) {
            // Nothing is shown of what was deleted meanwhile.
            if let Some(version) = version {
                let listed = Listed {
                    version: Some(version),
                    ..listed
                };
                self.show(&mut listing, object, &listed);
            }
        }
        Ok(listing)
    }

    /// All objects that hold values.
    async fn objects(&self) -> Result<Vec<(Uuid, Listed)>, Error> {
        let store = format!("{}{}", self.prefix, self.id);
        let mut query = ListQuery {
            prefix: format!("{store}_"),
            fold: false,
            after: After::Start,
            limit: 1000,
        };
        let mut objects = Vec::new();
        loop {
            let page = self.backend.list(&query).await?;
            for listed in page.objects {
                let name = listed.key.as_str().strip_prefix(&store);
                if let Some(Role::Value(object)) = name.and_then(role) {
                    objects.push((object, listed));
                }
            }
            match page.next {
                Some(cursor) => query.after = After::Page(cursor),
                None => return Ok(objects),
            }
        }
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

    /// Looks at objects, several at once; the versions they have, in order.
    async fn learn(
        &self,
        objects: &[(Uuid, Listed)],
    ) -> Result<Vec<Option<crate::model::Version>>, Error> {
        let _only = self.learning.lock().await;
        let running = self.progress.begin(objects.len());
        let look = |(object, listed): &(Uuid, Listed)| {
            let (object, listed) = (*object, listed.version.clone());
            let progress = running.0;
            async move {
                let known = listed.is_some() && self.names.show(object, listed.as_ref()).is_some();
                let version = match known {
                    // Another listing was faster.
                    true => Ok(listed),
                    false => match self.glimpse_at_last(object).await {
                        Ok(looked) => {
                            self.names.learn(object, &looked, self.settings.spelling);
                            Ok(Some(looked.info.version))
                        }
                        Err(Error::NotFound(_)) => Ok(None),
                        Err(error) => Err(error),
                    },
                };
                progress.done.fetch_add(1, Ordering::Relaxed);
                version
            }
        };
        stream::iter(objects.iter().map(look))
            .buffered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Looks at an object whose beginning takes two requests, until nobody writes it in between.
    async fn glimpse_at_last(&self, object: Uuid) -> Result<Looked, Error> {
        for _ in 1..GLIMPSES {
            match self.glimpse(object).await {
                Err(Error::VersionGone(_)) => {}
                looked => return looked,
            }
        }
        self.glimpse(object).await
    }
}
