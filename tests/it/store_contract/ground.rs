//! Where a check stands: a catalog with one new store in it, and short words for the usual calls.

use std::sync::Arc;

use bytes::Bytes;
use etagfs::backend::fault::{Faulty, Op};
use etagfs::backend::{Backend, ReadCondition};
use etagfs::model::{FileName, Key, Outcome, Precondition, StoreId, Version};
use etagfs::store::{
    Bucket, Catalog, Child, Dir, Error, Found, LayoutName, Metadata, Opened, ReadBack, Shown,
    Store, Value,
};
use uuid::Uuid;

use super::subjects::{Subject, layouts};

/// More than any value here.
pub(super) const ALL: u64 = 64 << 20;

#[derive(Clone)]
pub(super) struct Ground {
    pub(super) layout: LayoutName,
    pub(super) faults: Arc<Faulty>,
    pub(super) prefix: String,
    pub(super) catalog: Arc<dyn Catalog>,
    pub(super) id: StoreId,
    pub(super) store: Arc<dyn Store>,
}

impl Ground {
    pub(super) async fn new(subject: &Subject) -> Self {
        let (backend, prefix) = subject.connect().await;
        let faults = Arc::new(Faulty::new(backend));
        let catalog = catalog(Arc::clone(&faults) as _, &prefix, subject.layout);
        let id = new_store();
        catalog.create(id).await.unwrap();
        Self {
            layout: subject.layout,
            store: catalog.store(id),
            faults,
            prefix,
            catalog,
            id,
        }
    }

    /// The same stores, seen by a machine that has just come.
    pub(super) fn another_machine(&self) -> Arc<dyn Catalog> {
        catalog(Arc::clone(&self.faults) as _, &self.prefix, self.layout)
    }

    /// The key that is spelled like this.
    pub(super) fn key(&self, text: &str) -> Key {
        self.store.key_at(text).unwrap()
    }

    pub(super) async fn put(&self, text: &str, bytes: Bytes, expect: &Precondition) -> Outcome {
        let key = self.key(text);
        let metadata = self.store.fresh_metadata(&key);
        let put = self.store.put(&key, bytes, &metadata, expect);
        put.await.unwrap()
    }

    /// Creates a key that nobody else creates.
    pub(super) async fn create(&self, text: &str, n: u32) -> Version {
        saved(self.put(text, value(n), &Precondition::Absent).await)
    }

    /// Replaces a value that nobody else replaces.
    pub(super) async fn update(&self, text: &str, n: u32, base: &Version) -> Version {
        saved(
            self.put(text, value(n), &Precondition::Is(base.clone()))
                .await,
        )
    }

    pub(super) async fn delete(&self, text: &str, version: &Version) -> Outcome<()> {
        self.store.delete(&self.key(text), version).await.unwrap()
    }

    /// The newest version, whole.
    pub(super) async fn get(&self, text: &str) -> Value {
        whole(&*self.store, &self.key(text)).await.unwrap()
    }

    pub(super) async fn is_missing(&self, text: &str) -> bool {
        self.store.inspect(&self.key(text)).await.unwrap().is_none()
    }

    /// What a reader is shown of a value by what its save said, if it said anything.
    pub(super) fn promised(&self, text: &str, bytes: Bytes, version: &Version) -> Option<Bytes> {
        match self.store.read_back(&self.key(text), version) {
            ReadBack::Same => Some(bytes),
            ReadBack::Other(shown, _) => Some(shown),
            ReadBack::Unknown => None,
        }
    }

    /// The names of the top directory, and the keys under them.
    pub(super) async fn listed(&self) -> Vec<(FileName, Key, Version)> {
        let listing = self.store.list(&Dir::root()).await.unwrap();
        let files = listing.into_iter().filter_map(|(name, shown)| match shown {
            Shown::File(entry) => Some((name, entry.key, entry.version)),
            Shown::Dir => None,
        });
        files.collect()
    }

    /// What a name in the top directory is.
    pub(super) async fn lookup(&self, name: &FileName) -> Option<(Key, Version)> {
        match self.store.lookup(&Dir::root(), name).await.unwrap() {
            Found::File(entry) => Some((entry.key, entry.version)),
            Found::Read(key, value) => Some((key, value.version)),
            Found::Absent => None,
            Found::Dir(_) => panic!("{name} is a directory"),
        }
    }

    /// The directory that a name would be, if the store has directories.
    pub(super) fn directory(&self, name: &str) -> Option<Dir> {
        let name = FileName::new(name.as_ref()).unwrap();
        match self.store.child(&Dir::root(), &name).unwrap() {
            Child::Either(_, below) | Child::Dir(below) => Some(below),
            Child::Shadowed(..) => panic!("{name} is no plain name"),
            Child::Key(_) => None,
        }
    }

    /// How many requests there were so far.
    pub(super) fn requests(&self) -> usize {
        let all = [Op::Get, Op::Head, Op::Put, Op::Delete, Op::List];
        all.iter().map(|op| self.faults.calls(*op)).sum()
    }
}

fn catalog(backend: Arc<dyn Backend>, prefix: &str, layout: LayoutName) -> Arc<dyn Catalog> {
    Arc::new(Bucket::with(backend, prefix, layouts()).creating(layout))
}

pub(super) fn new_store() -> StoreId {
    StoreId::new(Uuid::new_v4())
}

/// Bytes that are a value in every layout.
pub(super) fn value(n: u32) -> Bytes {
    Bytes::from(format!("{{:n {n}}}\n"))
}

/// A version that no value has.
pub(super) fn no_version() -> Version {
    Version::new("\"00000000000000000000000000000000\"")
}

pub(super) fn saved<T>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Committed(saved) => saved,
        Outcome::Refused(_) => panic!("it was refused"),
        Outcome::Unknown => panic!("it is not known whether it happened"),
    }
}

/// The newest version of a key, whole.
pub(super) async fn whole(store: &dyn Store, key: &Key) -> Result<Value, Error> {
    match store.open_pinned(key, &ReadCondition::Newest, ALL).await? {
        Opened::Whole(value) => Ok(value),
        other => panic!("{other:?}"),
    }
}

/// What nobody chose, but for a title.
pub(super) fn titled(mut metadata: Metadata, title: &str) -> Metadata {
    metadata
        .meta
        .user
        .insert("title".to_owned(), title.to_owned());
    metadata
}
