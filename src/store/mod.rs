//! Key-value stores: keys and values of one store, whatever holds them.
//!
//! [`Store`] is what the layers above know of a store, [`Catalog`] what they know of a thing that holds
//! stores. A layout has a folder of its own: `plain/`, and `konserve/` over the codecs of the crate
//! `konserve_codec`. `bucket/` finds, makes and removes the stores of a bucket, whatever their layouts. It
//! knows nothing of files but their names; the layer above is `vfs`.

mod answer;
mod bucket;
mod catalog;
mod copy;
mod dir;
mod error;
pub mod konserve;
mod layout;
mod metadata;
mod name;
mod object;
pub mod plain;
mod site;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

pub use answer::{Entry, Found, Listing, Opened, ReadBack, Scanned, Shown, Slice, Value};
pub use bucket::{Bucket, Glance, Layouts};
pub use catalog::{Catalog, Made, Part, StoreEntry};
pub use copy::{Copied, copy};
pub use dir::{Child, Dir};
pub use error::{Error, Rejected};
pub use layout::{Layout, Role, remove_empty};
pub use metadata::{Attributes, Metadata, Origin};
pub use name::{LayoutName, StoreName};
pub use site::Site;

pub use crate::backend::queue::{Queues, within as in_queues};

use crate::backend::{Grant, ObjectVersion, ReadCondition, Signed};
use crate::model::{FileName, Key, Outcome, Precondition, PutId, Version};

/// One key-value store, whatever its layout.
///
/// Every call ends within the deadline of what holds the store. An answer is the store's own word:
/// [`Error::NotFound`] and `None` mean that it said so.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// What it is called.
    fn name(&self) -> StoreName;

    /// How its values lie in what holds them.
    fn layout(&self) -> LayoutName;

    /// The largest value it can hold, in bytes.
    fn value_limit(&self) -> u64;

    /// Whether no bytes at all are a value.
    fn takes_empty(&self) -> bool;

    /// Whether a key can be reached by names besides the one that a listing shows.
    fn has_unlisted_names(&self) -> bool;

    /// Whether a listing has to learn names, which takes its time, and the next one knows them.
    fn learns_names(&self) -> bool {
        false
    }

    /// How many values the present listing has looked at, of how many that were never seen before;
    /// nothing when there is no such listing.
    fn progress(&self) -> Option<(u64, u64)> {
        None
    }

    /// What messages call a key: its address.
    fn address(&self, key: &Key) -> String;

    /// What a key is, whatever it is called here: the server, and the address of the key there, in two
    /// lines. The second may have more than one, as the key.
    fn identity(&self, key: &Key) -> String;

    /// What a file name in a directory stands for.
    ///
    /// # Errors
    /// [`Error::BadName`].
    fn child(&self, dir: &Dir, name: &FileName) -> Result<Child, Error>;

    /// The key that is spelled like this.
    ///
    /// # Errors
    /// [`Error::BadName`].
    fn key_at(&self, text: &str) -> Result<Key, Error>;

    /// What a reader is shown of bytes that were just saved as this version.
    fn read_back(&self, key: &Key, version: &Version) -> ReadBack;

    /// Why a value cannot be changed, if it cannot.
    fn read_only(&self, key: &Key, metadata: &Metadata) -> Option<&'static str>;

    /// What travels with a new value of this key.
    fn fresh_metadata(&self, key: &Key) -> Metadata;

    /// What travels with a key that is made anew after it was moved away with this.
    fn recreated_metadata(&self, key: &Key, moved: &Metadata) -> Metadata;

    /// Whether nobody chose what travels with a value of this key.
    fn is_default(&self, key: &Key, metadata: &Metadata) -> bool;

    /// Finds out what a name in a directory is, in one request nearly always.
    ///
    /// # Errors
    /// Any [`Error`]; a name that no key can have is [`Error::BadName`].
    async fn lookup(&self, dir: &Dir, name: &FileName) -> Result<Found, Error>;

    /// Lists a directory.
    ///
    /// # Errors
    /// Any [`Error`]; never a part of a listing.
    async fn list(&self, dir: &Dir) -> Result<Listing, Error>;

    /// All keys that are spelled with this beginning, in order; with `fold` only up to the next `/`.
    ///
    /// # Errors
    /// Any [`Error`]; never a part of the keys.
    async fn scan(&self, beginning: &str, fold: bool) -> Result<Vec<Scanned>, Error>;

    /// As [`scan`](Self::scan), for somebody who compares the versions with those of the values. Unless it is
    /// known whether listings tell them, one more request asks that of the first key; two more, and another
    /// listing or two, if it seems that they do not.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    async fn scan_versions(&self, beginning: &str, fold: bool) -> Result<Vec<Scanned>, Error> {
        self.scan(beginning, fold).await
    }

    /// What is known of a key; `None` when the store says that it does not exist.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn describe(&self, key: &Key) -> Result<Option<Entry>, Error> {
        let found = self.inspect(key).await?;
        Ok(found.map(|(entry, _)| entry))
    }

    /// The newest version of a key, and what travels with it, without its bytes; one request. `None`
    /// when the store says that it does not exist.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn inspect(&self, key: &Key) -> Result<Option<(Entry, Metadata)>, Error>;

    /// Reads the newest version of a key, whole if it has at most `limit` bytes.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn open(&self, key: &Key, have: Option<&Version>, limit: u64) -> Result<Opened, Error> {
        let pin = have.map_or(ReadCondition::Newest, |version| {
            ReadCondition::Not(version.clone())
        });
        self.open_pinned(key, &pin, limit).await
    }

    /// Reads one version of a key, whole if it has at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::VersionGone`] for a version that is not to be had; any other [`Error`].
    async fn open_pinned(
        &self,
        key: &Key,
        pin: &ReadCondition,
        limit: u64,
    ) -> Result<Opened, Error>;

    /// Reads a piece of one version of a large value: `len` bytes from `start`, fewer at its end. Each piece
    /// tells how long the whole is; an entry that says otherwise would cut it short. The key may have
    /// another name by now than the entry says.
    ///
    /// # Errors
    /// [`Error::VersionGone`] when that version is not to be had any more; any other [`Error`].
    async fn read(&self, key: &Key, entry: &Entry, start: u64, len: u64) -> Result<Bytes, Error>;

    /// Reads a part of one version of a key: `len` bytes from `start`, fewer at its end. Nothing if
    /// it is the version that [`ReadCondition::Not`] names. One request, unless the layout has to read a value whole.
    ///
    /// # Errors
    /// [`Error::VersionGone`] for a version that is not to be had; any other [`Error`].
    async fn slice(
        &self,
        key: &Key,
        pin: &ReadCondition,
        start: u64,
        len: u64,
    ) -> Result<Option<Slice>, Error> {
        slice_of_whole(self, key, pin, start, len).await
    }

    /// Saves a value if the key is what `expect` says.
    ///
    /// # Errors
    /// Any [`Error`]; the value then certainly was not saved.
    async fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        metadata: &Metadata,
        expect: &Precondition,
    ) -> Result<Outcome, Error> {
        let id = PutId::new(Uuid::new_v4().as_u128());
        self.put_as(key, bytes, metadata, expect, id).await
    }

    /// As [`put`](Self::put), under a number that its caller knows again, see [`last_put`](Self::last_put). A log need not
    /// keep it.
    ///
    /// # Errors
    /// As [`put`](Self::put).
    async fn put_as(
        &self,
        key: &Key,
        bytes: Bytes,
        metadata: &Metadata,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error>;

    /// The save that wrote the newest version of a key, if its writer told (W6); nothing if there is none.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn last_put(&self, key: &Key) -> Result<Option<PutId>, Error>;

    /// Makes a value of lines, under a key that does not exist: one of the layout's own logs, if it has such.
    ///
    /// # Errors
    /// Any [`Error`]; the key then certainly was not made.
    async fn create_log(&self, key: &Key, lines: Bytes) -> Result<Outcome, Error> {
        let metadata = Metadata::default();
        self.put(key, lines, &metadata, &Precondition::Absent).await
    }

    /// Deletes a key if it has this version.
    ///
    /// # Errors
    /// Any [`Error`]; the key then certainly was not deleted.
    async fn delete(&self, key: &Key, version: &Version) -> Result<Outcome<()>, Error>;

    /// Makes an empty directory, if there is none: the portable lock (W15).
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Unsupported`] in a layout without directories; any other [`Error`].
    async fn make_dir(&self, dir: &Dir) -> Result<(), Error> {
        let _ = dir;
        Err(no_directories(self.layout()))
    }

    /// Removes a directory that holds nothing but its marker.
    ///
    /// # Errors
    /// [`Error::NotEmpty`]; [`Error::Unsupported`] in a layout without directories; any other [`Error`].
    async fn remove_dir(&self, dir: &Dir) -> Result<(), Error> {
        let _ = dir;
        Err(no_directories(self.layout()))
    }

    /// What travels with a value, with the tags themselves, to be laid on another key. A request if there
    /// are any that were not read yet.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn with_tags(&self, metadata: Metadata) -> Result<Metadata, Error> {
        Ok(metadata)
    }

    /// The versions that are kept of a key, newest first.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where none are; any other [`Error`].
    async fn versions(&self, key: &Key) -> Result<Vec<ObjectVersion>, Error> {
        let what = self.address(key);
        Err(Error::Unsupported(format!("{what}: no versions are kept")))
    }

    /// An address that allows something with a key to whoever has it, for so long. Sends nothing.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where no address leads to a value alone; any other [`Error`].
    async fn presign(&self, key: &Key, grant: &Grant, expires: Duration) -> Result<Signed, Error> {
        let (what, _) = (self.address(key), (grant, expires));
        Err(Error::Unsupported(format!(
            "{what}: no address leads to its value alone"
        )))
    }
}

fn no_directories(layout: LayoutName) -> Error {
    Error::Unsupported(format!("a {layout} store has no directories"))
}

/// A part of a value that has to be read whole.
async fn slice_of_whole<S: Store + ?Sized>(
    store: &S,
    key: &Key,
    pin: &ReadCondition,
    start: u64,
    len: u64,
) -> Result<Option<Slice>, Error> {
    Ok(match store.open_pinned(key, pin, u64::MAX).await? {
        Opened::Unchanged => None,
        Opened::Whole(value) => Some(Slice::of(key, value, start, len)),
        Opened::Large { entry, metadata } => {
            let bytes = store.read(key, &entry, start, len).await?;
            Some(Slice {
                entry,
                metadata,
                bytes,
            })
        }
    })
}

/// An empty store that nobody else has.
#[cfg(test)]
pub(crate) fn in_memory() -> std::sync::Arc<dyn Store> {
    let backend = crate::backend::Memory::new();
    let (name, prefix) = (StoreName::Flat, String::new());
    std::sync::Arc::new(plain::PlainStore::new(
        name,
        prefix,
        std::sync::Arc::new(backend),
    ))
}
