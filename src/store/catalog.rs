//! Which stores a bucket holds, and in which layout each lies.
//!
//! Finding them costs requests in proportion to the number of stores, never of objects (V1): plain
//! stores are folded by the backend, and everything else is jumped over: the objects of a konserve
//! store, and names between which no store can lie. The jump is pure; see [`next_possible_store`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::konserve::{AT_ONCE, KonserveStore, Settings};
use super::{Error, InBucket, Store, StoreName};
use crate::backend::{After, Backend, Body, ListQuery, Listed, Meta, ObjectKey, Page, Pages};
use crate::model::{Expect, Outcome, PutId, StoreId};
use konserve_codec::object::{self, Role, role};

/// The length of a store's name in bytes.
const ID_LEN: usize = 36;

/// How a store lies in its backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LayoutKind {
    /// `<uuid>/<key>`.
    #[default]
    Plain,
    /// `<uuid>_<hash>.ksv`, as the library konserve writes them.
    Konserve,
}

/// A store, as the catalog found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreEntry {
    /// Its name.
    pub id: StoreId,
    /// How it lies.
    pub layout: LayoutKind,
}

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
#[derive(Clone, Debug)]
pub struct Catalog {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) prefix: String,
    settings: Settings,
    new_stores: LayoutKind,
    /// The konserve stores that were found; each remembers what it learned.
    konserve: Arc<Mutex<HashMap<StoreId, Arc<KonserveStore>>>>,
    /// The places of those who look at their objects.
    glimpses: Arc<Semaphore>,
}

impl Catalog {
    /// The stores whose objects' names begin with `prefix`: empty, or ending with `/`.
    pub fn new(backend: Arc<dyn Backend>, prefix: impl Into<String>) -> Self {
        Self {
            backend,
            prefix: prefix.into(),
            settings: Settings::default(),
            new_stores: LayoutKind::Plain,
            konserve: Arc::default(),
            glimpses: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// With konserve stores shown and written in this way, and new stores in this layout.
    #[must_use]
    pub fn with(mut self, settings: Settings, new_stores: LayoutKind) -> Self {
        self.settings = settings;
        self.new_stores = new_stores;
        self
    }

    /// With new stores in this layout.
    pub(super) fn in_layout(&self, layout: LayoutKind) -> Self {
        Self {
            new_stores: layout,
            ..self.clone()
        }
    }

    /// What messages call it.
    pub fn address(&self) -> String {
        format!("{}/{}", self.backend.name(), self.prefix)
    }

    /// Lists all stores. Where one name is used by both layouts, the plain one is shown.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn list(&self) -> Result<Vec<StoreEntry>, Error> {
        let mut stores = BTreeMap::new();
        let query = ListQuery {
            prefix: self.prefix.clone(),
            fold: true,
            after: After::Start,
            limit: 1000,
        };
        let mut pages = Pages::new(&*self.backend, query);
        while let Some(page) = pages.next().await? {
            let mut last = String::new();
            for prefix in &page.prefixes {
                let name = &prefix[self.prefix.len().min(prefix.len())..];
                if let Some(id) = name.strip_suffix('/').and_then(StoreId::parse) {
                    stores.insert(id, LayoutKind::Plain);
                }
                // A folded prefix is passed by jumping behind everything below it.
                last = last.max(format!("{}0", name.trim_end_matches('/')));
            }
            for object in &page.objects {
                let name = &object.key.as_str()[self.prefix.len().min(object.key.as_str().len())..];
                if let Some(id) = konserve(name)
                    && belongs(&name[ID_LEN..])
                {
                    stores.entry(id).or_insert(LayoutKind::Konserve);
                }
                last = last.max(name.to_owned());
            }
            match jump_behind(&last) {
                Jump::To(name) => pages.jump(format!("{}{name}", self.prefix)),
                Jump::None => {}
                Jump::End => break,
            }
        }
        for (id, layout) in &stores {
            self.note(*id, *layout);
        }
        Ok(stores
            .into_iter()
            .map(|(id, layout)| StoreEntry { id, layout })
            .collect())
    }

    /// Whether there are objects, and none of them in a store: other programs fill this bucket. One request,
    /// but where the first names tell too little.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn holds_objects_only(&self) -> Result<bool, Error> {
        let query = ListQuery {
            prefix: self.prefix.clone(),
            fold: true,
            after: After::Start,
            limit: super::LOOKUP_PAGE,
        };
        let page = self.backend.list(&query).await?;
        Ok(match self.glance(&page) {
            Glance::Nothing | Glance::Stores => false,
            Glance::Objects if page.next.is_some() => self.list().await?.is_empty(),
            Glance::Objects => true,
        })
    }

    /// What the first names of the bucket are, as far as one page tells.
    pub fn glance(&self, page: &Page) -> Glance {
        let after = |name: &str| name.strip_prefix(&self.prefix).map(str::to_owned);
        let mut prefixes = page.prefixes.iter().filter_map(|prefix| after(prefix));
        let objects = page.objects.iter();
        let objects: Vec<_> = objects
            .filter_map(|object| after(object.key.as_str()))
            .filter(|name| name != object::REGISTRY && !name.is_empty())
            .collect();
        let is_store = |prefix: String| prefix.strip_suffix('/').is_some_and(is_id);
        let is_of_store = |name: &String| konserve(name).is_some();
        match (prefixes.any(is_store), page.prefixes.is_empty()) {
            (true, _) => Glance::Stores,
            _ if objects.iter().any(is_of_store) => Glance::Stores,
            (false, true) if objects.is_empty() => Glance::Nothing,
            (false, _) => Glance::Objects,
        }
    }

    /// How a store lies, if it exists. One request, but where the names of many other objects begin
    /// like the store's.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn find(&self, id: StoreId) -> Result<Option<LayoutKind>, Error> {
        let store = format!("{}{id}", self.prefix);
        let folded = format!("{store}/");
        let is_konserve = |object: &Listed| {
            let after = object.key.as_str().strip_prefix(&store);
            after.is_some_and(belongs)
        };
        let query = ListQuery {
            prefix: store.clone(),
            fold: true,
            after: After::Start,
            limit: super::LOOKUP_PAGE,
        };
        let mut pages = Pages::new(&*self.backend, query);
        let layout = loop {
            let Some(page) = pages.next().await? else {
                break None;
            };
            if page.prefixes.contains(&folded) {
                break Some(LayoutKind::Plain);
            }
            if page.objects.iter().any(is_konserve) {
                break Some(LayoutKind::Konserve);
            }
            pages.widen(1000);
        };
        self.note(id, layout.unwrap_or_default());
        Ok(layout)
    }

    /// The store of this id, in the layout in which it was last found; as a plain one before that.
    pub fn store(&self, id: StoreId) -> Arc<dyn Store> {
        match self.konserve().get(&id) {
            Some(store) => {
                let (prefix, backend) = (&self.prefix, Arc::clone(&self.backend));
                Arc::new(InBucket::konserve(Arc::clone(store), id, prefix, backend))
            }
            None => Arc::new(InBucket::plain(id, &self.prefix, Arc::clone(&self.backend))),
        }
    }

    /// The store of this id, for who knows in which layout it lies.
    pub fn store_as(&self, id: StoreId, layout: LayoutKind) -> Arc<dyn Store> {
        self.note(id, layout);
        self.store(id)
    }

    /// Which stores are being listed whose objects were never seen before: how many objects were
    /// looked at, of how many.
    pub fn progress(&self) -> Vec<(StoreName, u64, u64)> {
        let konserve = self.konserve();
        let under_way = konserve.iter().filter_map(|(id, store)| {
            let (done, total) = store.progress()?;
            Some((StoreName::Id(*id), done, total))
        });
        under_way.collect()
    }

    fn konserve(&self) -> MutexGuard<'_, HashMap<StoreId, Arc<KonserveStore>>> {
        self.konserve.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers in which layout a store lies.
    fn note(&self, id: StoreId, layout: LayoutKind) {
        let mut konserve = self.konserve();
        match layout {
            LayoutKind::Plain => _ = konserve.remove(&id),
            LayoutKind::Konserve => {
                konserve.entry(id).or_insert_with(|| {
                    let backend = Arc::clone(&self.backend);
                    let (settings, places) = (self.settings.clone(), Arc::clone(&self.glimpses));
                    let prefix = &self.prefix;
                    Arc::new(KonserveStore::new(id, prefix, backend, settings, places))
                });
            }
        }
    }

    /// Everything as one store, without a store level.
    pub fn flat(&self) -> Arc<dyn Store> {
        Arc::new(InBucket::flat(&self.prefix, Arc::clone(&self.backend)))
    }

    /// Creates an empty store. At most one of several machines succeeds (W15).
    ///
    /// # Errors
    /// [`Error::Exists`], or any other [`Error`].
    pub async fn create(&self, id: StoreId) -> Result<(), Error> {
        let (at, bytes) = self.marker(id, self.new_stores);
        let body = Body {
            bytes: Bytes::from_static(bytes),
            meta: Meta::default(),
        };
        let put_id = PutId::new(Uuid::new_v4().as_u128());
        match self.backend.put(&at, body, &Expect::Absent, put_id).await? {
            Outcome::Saved(_) => {}
            Outcome::Refused(_) => return Err(Error::Exists(format!("the store {id}"))),
            Outcome::Unknown => return Err(Error::Unknown(format!("the store {id}"))),
        }
        self.note(id, self.new_stores);
        if self.new_stores == LayoutKind::Konserve {
            self.register(id, true).await;
        }
        Ok(())
    }

    /// Creates an empty store, if there is none of this name in any layout: also where a store has
    /// keys but no marker.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_new(&self, id: StoreId) -> Result<(), Error> {
        match self.find(id).await? {
            Some(_) => Err(Error::Exists(format!("the store {id}"))),
            None => self.create(id).await,
        }
    }

    /// Removes an empty store.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::NotFound`], or any other [`Error`].
    pub async fn remove(&self, id: StoreId) -> Result<(), Error> {
        match self.find(id).await? {
            None => Err(Error::NotFound(format!("the store {id}"))),
            Some(LayoutKind::Konserve) => self.remove_konserve(id).await,
            Some(LayoutKind::Plain) => self.store(id).remove_dir(&super::Dir::root()).await,
        }
    }

    /// The object that marks a store, and what it holds.
    fn marker(&self, id: StoreId, layout: LayoutKind) -> (ObjectKey, &'static [u8]) {
        let (after, bytes): (_, &[u8]) = match layout {
            LayoutKind::Plain => ("/", b""),
            LayoutKind::Konserve => (object::MARKER, object::MARKER_BYTES),
        };
        (ObjectKey::new(format!("{}{id}{after}", self.prefix)), bytes)
    }
}

/// Whether an object makes a store, by its name after the store's: its marker, or a value.
fn belongs(after_store: &str) -> bool {
    matches!(role(after_store), Some(Role::Marker | Role::Value(_)))
}

fn is_id(name: &str) -> bool {
    StoreId::parse(name).is_some()
}

/// The store whose objects' names begin as this one does.
fn konserve(name: &str) -> Option<StoreId> {
    let id = name.get(..ID_LEN)?;
    name[ID_LEN..].starts_with('_').then_some(())?;
    StoreId::parse(id)
}

/// Where to go on after a page that ended with `last`.
#[derive(Debug, PartialEq, Eq)]
enum Jump {
    /// Right after it: a store may come next.
    None,
    /// After this name; no store lies between.
    To(String),
    /// No store can follow.
    End,
}

fn jump_behind(last: &str) -> Jump {
    let target = match konserve(last) {
        Some(id) => format!("{id}_~"),
        None => match next_possible_store(last) {
            None => return Jump::End,
            Some(next) if last.starts_with(&next) => return Jump::None,
            Some(next) => just_before(&next),
        },
    };
    // Names beyond ASCII may lie behind the target; they are listed like any other.
    match *target > *last {
        true => Jump::To(target),
        false => Jump::None,
    }
}

/// The least text, not less than `name`, that a store's name could begin with; none after the
/// last. A store's name is 8, 4, 4, 4 and 12 digits `0-9a-f` with hyphens between.
fn next_possible_store(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let mut next = String::new();
    for at in 0..ID_LEN {
        let Some(&byte) = bytes.get(at) else {
            return Some(next);
        };
        let allowed: &[u8] = match at {
            8 | 13 | 18 | 23 => b"-",
            _ => b"0123456789abcdef",
        };
        match allowed.iter().find(|allowed| **allowed >= byte) {
            Some(&same) if same == byte => next.push(char::from(byte)),
            Some(&greater) => {
                next.push(char::from(greater));
                return Some(next);
            }
            None => return increment(&next),
        }
    }
    Some(next)
}

/// The least text greater than every text that begins with `prefix`, of the same alphabet.
fn increment(prefix: &str) -> Option<String> {
    let mut digits = prefix.as_bytes().to_vec();
    while let Some(last) = digits.pop() {
        let greater = match last {
            b'-' | b'f' => continue,
            b'9' => b'a',
            digit => digit + 1,
        };
        digits.push(greater);
        return String::from_utf8(digits).ok();
    }
    None
}

/// A text less than `next` behind which `next` is the first that a store's name could begin with.
fn just_before(next: &str) -> String {
    let (head, last) = next.split_at(next.len().saturating_sub(1));
    let before = last.bytes().next().map(|byte| char::from(byte - 1));
    format!("{head}{}~", before.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_next_possible_store_skips_names_that_are_none() {
        for (name, next) in [
            ("", Some("")),
            ("2024-01-01.log", Some("20240")),
            ("abc", Some("abc")),
            ("logs", None),
            ("a-foo", Some("a0")),
            ("ag", Some("b")),
            ("ffg", None),
            ("99g", Some("9a")),
            ("README", Some("a")),
            ("0123456789", Some("01234568")),
            ("01234567-zz", Some("01234568")),
        ] {
            assert_eq!(next_possible_store(name).as_deref(), next, "{name}");
        }
    }

    #[test]
    fn a_konserve_is_jumped_over_and_a_plain_one_is_not() {
        let id = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";
        let object = format!("{id}_0f5b.ksv");
        assert_eq!(jump_behind(&object), Jump::To(format!("{id}_~")));
        assert_eq!(jump_behind(&format!("{id}0")), Jump::None);
    }

    proptest! {
        #[test]
        fn no_jump_skips_a_store(last in "[0-9a-g._~-]{0,12}", id in any::<u128>()) {
            let store = StoreId::new(Uuid::from_u128(id)).to_string();
            if *store > *last {
                match jump_behind(&last) {
                    Jump::None => {}
                    Jump::To(name) => prop_assert!(name < store && name > last),
                    Jump::End => prop_assert!(false, "{last} is not behind {store}"),
                }
            }
        }
    }
}
