//! A store of a bucket: keys, versions and values, by requests for its objects.

use std::sync::Arc;

use bytes::Bytes;

use super::konserve::KonserveStore;
use super::layout::Layout;
use super::{
    Child, Dir, Entry, Envelope, Error, Opened, ReadBack, StoreName, Value, tags, too_big,
};
use crate::backend::{
    After, Backend, Body, Fetched, ListQuery, Object, ObjectInfo, ObjectKey, Pin, Span,
};
use crate::model::{BadName, Expect, FileName, Key, Outcome, PutId, StoreId, Version};

/// A key-value store of a bucket.
#[derive(Clone, Debug)]
pub(super) struct InBucket {
    pub(super) name: StoreName,
    /// What the names of its objects begin with.
    pub(super) prefix: String,
    pub(super) layout: Layout,
    pub(super) backend: Arc<dyn Backend>,
}

impl InBucket {
    /// The plain store of this id below a bucket's prefix.
    pub(super) fn plain(id: StoreId, prefix: &str, backend: Arc<dyn Backend>) -> Self {
        Self {
            name: StoreName::Id(id),
            prefix: format!("{prefix}{id}/"),
            layout: Layout::Plain,
            backend,
        }
    }

    /// The objects of a bucket, or of a prefix of it, as one store.
    pub(super) fn flat(prefix: &str, backend: Arc<dyn Backend>) -> Self {
        Self {
            name: StoreName::Flat,
            prefix: prefix.to_owned(),
            layout: Layout::Plain,
            backend,
        }
    }

    /// A live konserve store.
    pub(super) fn konserve(
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
    pub(super) fn has_aliases(&self) -> bool {
        matches!(self.layout, Layout::Konserve(_))
    }

    /// How many objects the present listing has looked at, of how many that were never seen before;
    /// nothing when there is no such listing.
    pub(super) fn progress(&self) -> Option<(u64, u64)> {
        match &self.layout {
            Layout::Plain => None,
            Layout::Konserve(store) => store.progress(),
        }
    }

    /// Whether no bytes at all are a value.
    pub(super) fn takes_empty(&self) -> bool {
        matches!(self.layout, Layout::Plain)
    }

    /// What a reader is shown of bytes that were just saved as this version.
    pub(super) fn read_back(&self, key: &Key, version: &Version) -> ReadBack {
        match &self.layout {
            Layout::Plain => ReadBack::Same,
            Layout::Konserve(store) => match store.read_back(key, version) {
                Some((bytes, envelope)) => ReadBack::Other(bytes, Box::new(envelope)),
                None => ReadBack::Unknown,
            },
        }
    }

    /// Why a value cannot be changed, if it cannot.
    pub(super) fn read_only(&self, key: &Key, envelope: &Envelope) -> Option<&'static str> {
        match &self.layout {
            Layout::Plain => None,
            Layout::Konserve(store) => store.read_only_key(key).or_else(|| envelope.read_only()),
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> StoreName {
        self.name
    }

    /// The largest value it can hold, in bytes.
    pub(super) fn value_limit(&self) -> u64 {
        self.backend.limits().value_bytes
    }

    /// What messages call a key: the address of its object.
    pub(super) fn address(&self, key: &Key) -> String {
        format!("{}/{}", self.backend.name(), self.object(key))
    }

    /// What a key is, whatever it is called here: the server, and the address of its object there, in two
    /// lines. The second may have more than one, as the key.
    pub(super) fn identity(&self, key: &Key) -> String {
        format!("{}\n{}", self.backend.server(), self.address(key))
    }

    /// What a file name in a directory stands for.
    ///
    /// # Errors
    /// [`Error::BadName`].
    pub(super) fn child(&self, dir: &Dir, name: &FileName) -> Result<Child, Error> {
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
    pub(super) fn check_name(&self, after_prefix: &str) -> Result<(), BadName> {
        match self.prefix.len() + after_prefix.len() <= self.backend.limits().key_bytes {
            true => Ok(()),
            false => Err(BadName::TooLong),
        }
    }

    pub(super) fn object(&self, key: &Key) -> ObjectKey {
        match &self.layout {
            Layout::Plain => ObjectKey::new(format!("{}{}", self.prefix, key.as_str())),
            Layout::Konserve(store) => store.object_of(key),
        }
    }

    pub(super) fn entry(&self, key: Key, info: &ObjectInfo) -> Entry {
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
    pub(super) async fn describe(&self, key: &Key) -> Result<Option<Entry>, Error> {
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
    pub(super) async fn inspect(&self, key: &Key) -> Result<Option<(Entry, Envelope)>, Error> {
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
    pub(super) fn fresh_envelope(&self, key: &Key) -> Envelope {
        match &self.layout {
            Layout::Plain => Envelope::fresh(key),
            Layout::Konserve(_) => Envelope::default(),
        }
    }

    /// What travels with a key that is made anew after it was moved away with this.
    pub(super) fn recreated_envelope(&self, key: &Key, moved: &Envelope) -> Envelope {
        match &self.layout {
            Layout::Plain => moved.clone(),
            Layout::Konserve(_) => self.fresh_envelope(key),
        }
    }

    /// Whether nobody chose what travels with a value of this key.
    pub(super) fn is_plain(&self, key: &Key, envelope: &Envelope) -> bool {
        match &self.layout {
            Layout::Plain => envelope.is_plain(key),
            Layout::Konserve(_) => envelope.origin.is_none(),
        }
    }

    /// Reads one version of a key, whole if it has at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::VersionGone`] for a version that is not to be had; any other [`Error`].
    pub(super) async fn open_pinned(
        &self,
        key: &Key,
        pin: &Pin,
        limit: u64,
    ) -> Result<Opened, Error> {
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

    /// The save that wrote the newest version of a key, if its writer told (W6); nothing if there is none.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(super) async fn last_put(&self, key: &Key) -> Result<Option<PutId>, Error> {
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
    pub(super) async fn put_as(
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
    pub(super) async fn delete(&self, key: &Key, version: &Version) -> Result<Outcome<()>, Error> {
        if let Layout::Konserve(store) = &self.layout {
            return store.delete(key, version).await;
        }
        Ok(self.backend.delete(&self.object(key), version).await?)
    }

    pub(super) fn query(&self, below: &str, fold: bool, limit: u16) -> ListQuery {
        ListQuery {
            prefix: format!("{}{below}", self.prefix),
            fold,
            after: After::Start,
            limit,
        }
    }

    /// The name of an object after the store's prefix.
    pub(super) fn relative<'a>(&self, object: &'a ObjectKey) -> Option<&'a str> {
        object.as_str().strip_prefix(&self.prefix)
    }
}
