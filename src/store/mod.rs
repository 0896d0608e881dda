//! Key-value stores: keys and values of one store, whatever holds them.
//!
//! A [`Store`] makes the requests and knows their budget. Those of the plain layout are here;
//! those of konserve's are in `konserve/`, over the codecs of the crate `konserve_codec`. It knows nothing of
//! files but their names. [`Catalog`] finds the stores of a bucket; the layer above is `vfs`.

mod catalog;
mod copy;
mod direct;
mod directory;
mod error;
mod konserve;
mod layout;
mod lifecycle;
mod listing;
mod lookup;
mod pieces;
pub mod plain;
mod tags;

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use uuid::Uuid;

pub use catalog::{Catalog, Glance, LayoutKind, StoreEntry};
pub use copy::Copied;
pub use direct::{Scanned, Slice};
pub use error::Error;
pub use konserve::{Origin, Settings};
pub use layout::{Envelope, Rejected};
pub use listing::{Listing, Shown};
pub use plain::{Child, Dir};

pub use crate::backend::queue::{Queues, within as in_queues};

use crate::backend::{
    After, Backend, Body, Fetched, ListQuery, Object, ObjectInfo, ObjectKey, Pin, Span,
};
use crate::model::{BadName, Expect, FileName, Key, Outcome, PutId, StoreId, Version};
use konserve::KonserveStore;
use layout::Layout;

/// How many neighbours one look-up asks for: enough to see, in nearly every directory, whether a
/// key is also a directory, and few enough to be cheap.
const LOOKUP_PAGE: u16 = 16;

/// What a listing tells of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// Size of the file in bytes, if it is known without reading the value.
    pub size: Option<u64>,
    /// When this version was written.
    pub modified: SystemTime,
    /// The version.
    pub version: Version,
}

/// Bytes, the version they came with, and what travels with them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The file's bytes.
    pub bytes: Bytes,
    /// The version.
    pub version: Version,
    /// When this version was written.
    pub modified: SystemTime,
    /// What travels with it.
    pub envelope: Envelope,
}

/// What a name in a directory turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing; the backend said so.
    Absent,
    /// A directory.
    Dir(Dir),
    /// A key.
    File(Entry),
    /// A key, and its value, which came with the answer.
    Read(Key, Box<Value>),
}

/// The answer to opening a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// Its newest version is the one the caller has.
    Unchanged,
    /// All of it.
    Whole(Value),
    /// It is larger than the limit: to be read in pieces, see [`Store::read`].
    Large {
        /// What is known of it.
        entry: Entry,
        /// What travels with it.
        envelope: Envelope,
    },
}

/// What a reader is shown of bytes that were just saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadBack {
    /// Those bytes, with what was to travel with them.
    Same,
    /// These: they mean the same, or what they were put behind is before them.
    Other(Bytes, Box<Envelope>),
    /// Only the backend can tell.
    Unknown,
}

/// What a store is called in messages and in the mount: a UUID, or nothing when the objects of the
/// bucket are shown themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoreName {
    /// A store among others.
    Id(StoreId),
    /// The bucket or prefix itself (`--flat`).
    Flat,
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Flat => f.write_str("flat"),
        }
    }
}

/// One key-value store.
#[derive(Clone, Debug)]
pub struct Store {
    name: StoreName,
    /// What the names of its objects begin with.
    prefix: String,
    layout: Layout,
    backend: Arc<dyn Backend>,
}

impl Store {
    /// The plain store of this id below a bucket's prefix.
    pub fn plain(id: StoreId, prefix: &str, backend: Arc<dyn Backend>) -> Self {
        Self {
            name: StoreName::Id(id),
            prefix: format!("{prefix}{id}/"),
            layout: Layout::Plain,
            backend,
        }
    }

    /// The objects of a bucket, or of a prefix of it, as one store.
    pub fn flat(prefix: &str, backend: Arc<dyn Backend>) -> Self {
        Self {
            name: StoreName::Flat,
            prefix: prefix.to_owned(),
            layout: Layout::Plain,
            backend,
        }
    }

    /// A live konserve store.
    fn konserve(
        store: Arc<KonserveStore>,
        id: StoreId,
        prefix: &str,
        backend: Arc<dyn Backend>,
    ) -> Self {
        Self {
            name: StoreName::Id(id),
            prefix: format!("{prefix}{id}_"),
            layout: Layout::Konserve(store),
            backend,
        }
    }

    /// Whether a key has names besides the one that a listing shows.
    pub fn has_aliases(&self) -> bool {
        matches!(self.layout, Layout::Konserve(_))
    }

    /// How many objects the present listing has looked at, of how many that were never seen before;
    /// nothing when there is no such listing.
    pub fn progress(&self) -> Option<(u64, u64)> {
        match &self.layout {
            Layout::Plain => None,
            Layout::Konserve(store) => store.progress(),
        }
    }

    /// Whether no bytes at all are a value.
    pub fn takes_empty(&self) -> bool {
        matches!(self.layout, Layout::Plain)
    }

    /// What a reader is shown of bytes that were just saved as this version.
    pub fn read_back(&self, key: &Key, version: &Version) -> ReadBack {
        match &self.layout {
            Layout::Plain => ReadBack::Same,
            Layout::Konserve(store) => match store.read_back(key, version) {
                Some((bytes, envelope)) => ReadBack::Other(bytes, Box::new(envelope)),
                None => ReadBack::Unknown,
            },
        }
    }

    /// Why a value cannot be changed, if it cannot.
    pub fn read_only(&self, key: &Key, envelope: &Envelope) -> Option<&'static str> {
        match &self.layout {
            Layout::Plain => None,
            Layout::Konserve(store) => store.read_only_key(key).or_else(|| envelope.read_only()),
        }
    }

    /// What it is called.
    pub fn name(&self) -> StoreName {
        self.name
    }

    /// The largest value it can hold, in bytes.
    pub fn value_limit(&self) -> u64 {
        self.backend.limits().value_bytes
    }

    /// What messages call a key: the address of its object.
    pub fn address(&self, key: &Key) -> String {
        format!("{}/{}", self.backend.name(), self.object(key))
    }

    /// What a key is, whatever it is called here: the server, and the address of its object there, in two
    /// lines. The second may have more than one, as the key.
    pub fn identity(&self, key: &Key) -> String {
        format!("{}\n{}", self.backend.server(), self.address(key))
    }

    /// What a file name in a directory stands for.
    ///
    /// # Errors
    /// [`Error::BadName`].
    pub fn child(&self, dir: &Dir, name: &FileName) -> Result<Child, Error> {
        let child = match &self.layout {
            Layout::Plain => dir.child(name)?,
            Layout::Konserve(store) => return store.child(name),
        };
        match &child {
            Child::Either(key, _) | Child::Shadowed(key, _) | Child::Key(key) => {
                self.check_name(key.as_str())?;
            }
            Child::Dir(below) => self.check_name(below.prefix())?,
        }
        Ok(child)
    }

    /// Makes sure that an object can have this name. The store's own part of it counts.
    fn check_name(&self, after_prefix: &str) -> Result<(), BadName> {
        match self.prefix.len() + after_prefix.len() <= self.backend.limits().key_bytes {
            true => Ok(()),
            false => Err(BadName::TooLong),
        }
    }

    fn object(&self, key: &Key) -> ObjectKey {
        match &self.layout {
            Layout::Plain => ObjectKey::new(format!("{}{}", self.prefix, key.as_str())),
            Layout::Konserve(store) => store.object_of(key),
        }
    }

    fn entry(&self, key: Key, info: &ObjectInfo) -> Entry {
        Entry {
            key,
            size: Some(info.size),
            modified: info.modified,
            version: info.version.clone(),
        }
    }

    /// What is known of a key; `None` when the backend says that it does not exist.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn describe(&self, key: &Key) -> Result<Option<Entry>, Error> {
        if let Layout::Konserve(store) = &self.layout {
            return store.describe(key).await;
        }
        match self.backend.head(&self.object(key)).await {
            Ok(info) => Ok(Some(self.entry(key.clone(), &info))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The newest version of a key, and what travels with it, without its bytes; one request. `None`
    /// when the backend says that it does not exist.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn inspect(&self, key: &Key) -> Result<Option<(Entry, Envelope)>, Error> {
        if let Layout::Konserve(store) = &self.layout {
            return store.inspect(key).await;
        }
        let info = match self.backend.head(&self.object(key)).await {
            Ok(info) => info,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let entry = self.entry(key.clone(), &info);
        let envelope = Envelope {
            meta: info.meta,
            ..Envelope::default()
        };
        Ok(Some((entry, envelope)))
    }

    /// What travels with a new value of this key.
    pub fn fresh_envelope(&self, key: &Key) -> Envelope {
        match &self.layout {
            Layout::Plain => Envelope::fresh(key),
            Layout::Konserve(_) => Envelope::default(),
        }
    }

    /// What travels with a key that is made anew after it was moved away with this.
    pub fn recreated_envelope(&self, key: &Key, moved: &Envelope) -> Envelope {
        match &self.layout {
            Layout::Plain => moved.clone(),
            Layout::Konserve(_) => self.fresh_envelope(key),
        }
    }

    /// Whether nobody chose what travels with a value of this key.
    pub fn is_plain(&self, key: &Key, envelope: &Envelope) -> bool {
        match &self.layout {
            Layout::Plain => envelope.is_plain(key),
            Layout::Konserve(_) => envelope.origin.is_none(),
        }
    }

    /// Reads the newest version of a key, whole if it has at most `limit` bytes.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn open(
        &self,
        key: &Key,
        have: Option<&Version>,
        limit: u64,
    ) -> Result<Opened, Error> {
        let pin = have.map_or(Pin::Newest, |version| Pin::Not(version.clone()));
        self.open_pinned(key, &pin, limit).await
    }

    /// Reads one version of a key, whole if it has at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::VersionGone`] for a version that is not to be had; any other [`Error`].
    pub async fn open_pinned(&self, key: &Key, pin: &Pin, limit: u64) -> Result<Opened, Error> {
        if let Layout::Konserve(store) = &self.layout {
            return store.open(key, pin, limit).await;
        }
        let fetched = self
            .backend
            .get(&self.object(key), pin, Span::UpTo(limit))
            .await?;
        let Fetched::Object(object) = fetched else {
            return Ok(Opened::Unchanged);
        };
        let Object { info, bytes } = *object;
        let entry = self.entry(key.clone(), &info);
        let large = info.size > limit;
        let envelope = Envelope {
            meta: info.meta,
            ..Envelope::default()
        };
        Ok(match large {
            true => Opened::Large { entry, envelope },
            false => Opened::Whole(Value {
                bytes,
                version: entry.version,
                modified: entry.modified,
                envelope,
            }),
        })
    }

    /// Saves a value if the key is what `expect` says.
    ///
    /// # Errors
    /// Any [`Error`]; the value then certainly was not saved.
    pub async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        envelope: &Envelope,
        expect: &Expect,
    ) -> Result<Outcome, Error> {
        let id = PutId::new(Uuid::new_v4().as_u128());
        self.put_as(key, bytes, envelope, expect, id).await
    }

    /// The save that wrote the newest version of a key, if its writer told (W6); nothing if there is none.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn last_put(&self, key: &Key) -> Result<Option<PutId>, Error> {
        match self.backend.head(&self.object(key)).await {
            Ok(info) => Ok(info.put_id),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// As [`put`](Self::put), under a number that its caller knows again; a log of konserve does not keep it.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    pub async fn put_as(
        &self,
        key: &Key,
        bytes: Bytes,
        envelope: &Envelope,
        expect: &Expect,
        id: PutId,
    ) -> Result<Outcome, Error> {
        if let Layout::Konserve(store) = &self.layout {
            return store.put(key, bytes, envelope, expect, id).await;
        }
        let limit = self.value_limit();
        if bytes.len() as u64 > limit {
            return Err(too_big(&self.address(key), limit));
        }
        let meta = tags::tagged(&*self.backend, envelope.typed(key)).await?;
        let body = Body { bytes, meta };
        Ok(self
            .backend
            .put(&self.object(key), body, expect, id)
            .await?)
    }

    /// Deletes a key if it has this version.
    ///
    /// # Errors
    /// Any [`Error`]; the key then certainly was not deleted.
    pub async fn delete(&self, key: &Key, version: &Version) -> Result<Outcome<()>, Error> {
        if let Layout::Konserve(store) = &self.layout {
            return store.delete(key, version).await;
        }
        Ok(self.backend.delete(&self.object(key), version).await?)
    }

    fn query(&self, below: &str, fold: bool, limit: u16) -> ListQuery {
        ListQuery {
            prefix: format!("{}{below}", self.prefix),
            fold,
            after: After::Start,
            limit,
        }
    }

    /// The name of an object after the store's prefix.
    fn relative<'a>(&self, object: &'a ObjectKey) -> Option<&'a str> {
        object.as_str().strip_prefix(&self.prefix)
    }
}

/// A value that the store cannot hold.
fn too_big(what: &str, limit: u64) -> Error {
    Error::TooBig(format!("{what} cannot hold more than {limit} bytes"))
}

#[cfg(test)]
impl Store {
    /// An empty store that nobody else has.
    pub(crate) fn in_memory() -> Arc<Self> {
        let backend = crate::backend::Memory::new();
        Arc::new(Self::flat("", Arc::new(backend)))
    }
}
