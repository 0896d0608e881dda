//! The stores of a bucket, in whatever layouts.
//!
//! Finding them costs requests in proportion to the number of stores, never of objects (V1): stores whose
//! objects are named like files in a directory are folded by the backend, and everything else is jumped
//! over: the objects of other stores, and names between which no store can lie, see `jump.rs`. What the
//! objects of a layout are called is in its own folder, see [`Layout`]. It is the only part of `store` that
//! knows all layouts.

mod jump;
mod layouts;
mod parts;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use super::layout::{Layout, Role};
use super::plain::PlainStore;
use super::site::Site;
use super::{Catalog, Error, LayoutName, Made, Part, Store, StoreEntry, StoreName};
use crate::backend::{After, Backend, Body, ListQuery, Meta, ObjectKey, Page, Pages};
use crate::model::{Outcome, Precondition, PutId, StoreId};
use jump::{Jump, jump_behind, split};
pub use layouts::Layouts;

/// How many names are asked for to see what the first of them are.
const FIRST: u16 = 16;

/// What some names of a bucket are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glance {
    /// There are none.
    Nothing,
    /// Some are those of a store.
    Stores,
    /// Those of other objects.
    Objects,
}

/// The stores of a bucket, or of a prefix of it.
#[derive(Debug)]
pub struct Bucket {
    site: Site,
    layouts: Layouts,
    new_stores: LayoutName,
    /// The stores that were found, of all layouts but the first; each remembers what it learned.
    found: Mutex<HashMap<StoreId, Arc<dyn Store>>>,
}

impl Bucket {
    /// The stores whose objects' names begin with `prefix`: empty, or ending with `/`.
    pub fn new(backend: Arc<dyn Backend>, prefix: impl Into<String>) -> Self {
        Self::with(backend, prefix, Layouts::default())
    }

    /// The same, in these layouts; new ones in the first.
    pub fn with(backend: Arc<dyn Backend>, prefix: impl Into<String>, layouts: Layouts) -> Self {
        let prefix = prefix.into();
        Self {
            site: Site { backend, prefix },
            new_stores: layouts.first().name(),
            layouts,
            found: Mutex::default(),
        }
    }

    /// With new stores in this layout.
    #[must_use]
    pub fn creating(self, new_stores: LayoutName) -> Self {
        Self { new_stores, ..self }
    }

    /// Everything as one store, without a store level.
    pub fn flat(&self) -> Arc<dyn Store> {
        let backend = Arc::clone(&self.site.backend);
        let prefix = self.site.prefix.clone();
        Arc::new(PlainStore::new(StoreName::Flat, prefix, backend))
    }

    /// What the first names of the bucket are, as far as one page tells.
    pub fn glance(&self, page: &Page) -> Glance {
        let after = |name| self.after_prefix(name);
        let objects = page.objects.iter();
        let objects: Vec<_> = objects
            .filter_map(|object| after(object.key.as_str()))
            .filter(|name| !name.is_empty())
            .filter(|name| {
                !self
                    .layouts
                    .iter()
                    .any(|layout| layout.is_bookkeeping(name))
            })
            .collect();
        let is_store = |prefix| {
            let store = split(prefix);
            store.is_some_and(|(_, after)| self.layouts.recognise(after).is_some())
        };
        let separators = self.separators();
        let is_of_store =
            |name| split(name).is_some_and(|(_, after)| after.starts_with(&separators[..]));
        let mut prefixes = page.prefixes.iter().filter_map(|prefix| after(prefix));
        if prefixes.any(is_store) || objects.iter().copied().any(is_of_store) {
            return Glance::Stores;
        }
        match page.prefixes.is_empty() && objects.is_empty() {
            true => Glance::Nothing,
            false => Glance::Objects,
        }
    }

    fn after_prefix<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&self.site.prefix)
    }

    /// What comes after a store's name, of every layout.
    fn separators(&self) -> Vec<char> {
        self.layouts
            .iter()
            .map(|layout| layout.separator())
            .collect()
    }

    fn names(&self, prefix: String, limit: u16) -> Pages<'_> {
        let query = ListQuery {
            prefix,
            fold: true,
            after: After::Start,
            limit,
        };
        Pages::new(&*self.site.backend, query)
    }

    fn found(&self) -> MutexGuard<'_, HashMap<StoreId, Arc<dyn Store>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers in which layout a store lies.
    fn note(&self, id: StoreId, layout: Option<&Arc<dyn Layout>>) {
        let mut found = self.found();
        let is_same =
            |store: &Arc<dyn Store>, layout: &Arc<dyn Layout>| store.layout() == layout.name();
        match layout.filter(|layout| layout.name() != self.layouts.first().name()) {
            Some(layout) if found.get(&id).is_some_and(|store| is_same(store, layout)) => {}
            Some(layout) => _ = found.insert(id, layout.open(id, &self.site)),
            None => _ = found.remove(&id),
        }
    }

    /// The layout in which a store was last found.
    fn layout_of(&self, id: StoreId) -> &Arc<dyn Layout> {
        let name = self.found().get(&id).map(|store| store.layout());
        let layout = name.and_then(|name| self.layouts.of(name));
        layout.unwrap_or(self.layouts.first())
    }
}

#[async_trait]
impl Catalog for Bucket {
    fn address(&self) -> String {
        format!("{}/{}", self.site.backend.name(), self.site.prefix)
    }

    async fn list(&self) -> Result<Vec<StoreEntry>, Error> {
        let mut stores = BTreeMap::new();
        let separators = self.separators();
        let mut pages = self.names(self.site.prefix.clone(), 1000);
        while let Some(page) = pages.next().await? {
            let mut last = String::new();
            let folded = page.prefixes.iter().map(|prefix| (&**prefix, true));
            let objects = page
                .objects
                .iter()
                .map(|object| (object.key.as_str(), false));
            for (name, is_folded) in folded.chain(objects) {
                let Some(name) = self.after_prefix(name) else {
                    continue;
                };
                if let Some((id, after)) = split(name)
                    && let Some(layout) = self.layouts.recognise(after)
                {
                    let best = stores.entry(id).or_insert(layout);
                    *best = layout.min(*best);
                }
                last = last.max(match is_folded {
                    // A folded prefix is passed by jumping behind everything below it.
                    true => format!("{}0", name.trim_end_matches('/')),
                    false => name.to_owned(),
                });
            }
            match jump_behind(&last, &separators) {
                Jump::To(name) => pages.jump(format!("{}{name}", self.site.prefix)),
                Jump::None => {}
                Jump::End => break,
            }
        }
        let stores = stores.into_iter().map(|(id, (_, layout))| {
            self.note(id, self.layouts.of(layout));
            StoreEntry { id, layout }
        });
        Ok(stores.collect())
    }

    async fn is_foreign(&self) -> Result<bool, Error> {
        let query = ListQuery {
            prefix: self.site.prefix.clone(),
            fold: true,
            after: After::Start,
            limit: FIRST,
        };
        let page = self.site.backend.list(&query).await?;
        Ok(match self.glance(&page) {
            Glance::Nothing | Glance::Stores => false,
            Glance::Objects if page.next.is_some() => self.list().await?.is_empty(),
            Glance::Objects => true,
        })
    }

    /// One request, but where the names of many other objects begin like the store's.
    async fn find(&self, id: StoreId) -> Result<Option<LayoutName>, Error> {
        let store = self.site.store(id);
        let mut pages = self.names(store.clone(), FIRST);
        let layout = loop {
            let Some(page) = pages.next().await? else {
                break None;
            };
            let folded = page.prefixes.iter().map(|prefix| &**prefix);
            let names = folded.chain(page.objects.iter().map(|object| object.key.as_str()));
            let after = names.filter_map(|name| name.strip_prefix(&store));
            if let Some((_, layout)) = after
                .filter_map(|after| self.layouts.recognise(after))
                .min()
            {
                break Some(layout);
            }
            pages.widen(1000);
        };
        self.note(id, layout.and_then(|name| self.layouts.of(name)));
        Ok(layout)
    }

    fn store(&self, id: StoreId) -> Arc<dyn Store> {
        let found = self.found().get(&id).map(Arc::clone);
        found.unwrap_or_else(|| self.layouts.first().open(id, &self.site))
    }

    fn store_as(&self, id: StoreId, layout: LayoutName) -> Arc<dyn Store> {
        if let Some(layout) = self.layouts.of(layout) {
            self.note(id, Some(layout));
        }
        self.store(id)
    }

    fn progress(&self) -> Vec<(StoreName, u64, u64)> {
        let found = self.found();
        let under_way = found.iter().filter_map(|(id, store)| {
            let (done, total) = store.progress()?;
            Some((StoreName::Id(*id), done, total))
        });
        under_way.collect()
    }

    async fn create(&self, id: StoreId) -> Result<(), Error> {
        self.create_as(id, self.new_stores).await
    }

    async fn create_as(&self, id: StoreId, layout: LayoutName) -> Result<(), Error> {
        let Some(layout) = self.layouts.of(layout) else {
            let address = self.address();
            return Err(Error::Unsupported(format!(
                "{address} holds no {layout} stores"
            )));
        };
        let (after_store, bytes) = layout.marker();
        let at = ObjectKey::new(format!("{}{after_store}", self.site.store(id)));
        let body = Body {
            bytes: Bytes::from_static(bytes),
            meta: Meta::default(),
        };
        let put_id = PutId::new(Uuid::new_v4().as_u128());
        let made = self
            .site
            .backend
            .put(&at, body, &Precondition::Absent, put_id);
        match made.await? {
            Outcome::Committed(_) => {}
            Outcome::Refused(_) => return Err(Error::Exists(format!("the store {id}"))),
            Outcome::Unknown => return Err(Error::Unknown(format!("the store {id}"))),
        }
        self.note(id, Some(layout));
        layout.made(id, &self.site).await;
        Ok(())
    }

    async fn remove(&self, id: StoreId) -> Result<(), Error> {
        match self.find(id).await? {
            None => Err(Error::NotFound(format!("the store {id}"))),
            Some(_) => self.layout_of(id).remove(id, &self.site).await,
        }
    }

    async fn remove_all(&self, id: StoreId) -> Result<u64, Error> {
        if self.find(id).await?.is_none() {
            return Err(Error::NotFound(format!("the store {id}")));
        }
        let count = self.delete_all(id).await?;
        match self.remove(id).await {
            // No marker kept it.
            Err(Error::NotFound(_)) => Ok(count),
            result => result.map(|()| count),
        }
    }

    async fn parts(&self, id: StoreId) -> Result<Vec<String>, Error> {
        let objects = self.objects_of(id, |role| role == Role::Value).await?;
        Ok(objects.into_iter().map(|(name, _)| name).collect())
    }

    async fn part(&self, id: StoreId, name: &str) -> Result<Option<Part>, Error> {
        self.read_part(id, name).await
    }

    async fn make_part(&self, id: StoreId, name: &str, part: Part) -> Result<Made, Error> {
        self.write_part(id, name, part).await
    }
}
