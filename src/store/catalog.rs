//! What holds stores: a bucket is one, and whatever else can list, make and remove them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{Error, LayoutName, Store, StoreName};
use crate::backend::Meta;
use crate::model::StoreId;

/// A store, as a catalog found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreEntry {
    /// Its name.
    pub id: StoreId,
    /// Its layout.
    pub layout: LayoutName,
}

/// A part of a store as it lies there, byte for byte: what a copy of the store is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// All of its bytes.
    pub bytes: Bytes,
    /// What travels with them.
    pub meta: Meta,
}

/// What became of a part that was to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// It was made.
    New,
    /// It was there already, the same.
    Same,
    /// Another one was there, which was left as it is: its address.
    Other(String),
}

/// What holds stores.
///
/// A store that was found is remembered with its layout; asking for it costs nothing then.
#[async_trait]
pub trait Catalog: Send + Sync + fmt::Debug {
    /// What messages call it.
    fn address(&self) -> String;

    /// Lists all stores.
    ///
    /// # Errors
    /// Any [`Error`]; never a part of the stores.
    async fn list(&self) -> Result<Vec<StoreEntry>, Error>;

    /// Whether it holds something, and none of it is a store: other programs fill it. One request, but
    /// where the first names tell too little.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn is_foreign(&self) -> Result<bool, Error>;

    /// The layout of a store, if it exists; one request nearly always.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn find(&self, id: StoreId) -> Result<Option<LayoutName>, Error>;

    /// The store of this id, in the layout in which it was last found; before that, in the one that is
    /// likeliest.
    fn store(&self, id: StoreId) -> Arc<dyn Store>;

    /// The store of this id, for a caller that knows its layout. A layout that the catalog does not know is
    /// not taken for another: then this is [`store`](Self::store).
    fn store_as(&self, id: StoreId, layout: LayoutName) -> Arc<dyn Store>;

    /// Which stores are being listed whose values were never seen before: how many were looked at, of how
    /// many.
    fn progress(&self) -> Vec<(StoreName, u64, u64)>;

    /// Creates an empty store in the layout of new ones. At most one of several machines succeeds (W15).
    ///
    /// # Errors
    /// [`Error::Exists`], or any other [`Error`].
    async fn create(&self, id: StoreId) -> Result<(), Error>;

    /// Creates an empty store in this layout.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a layout that it does not know; else as [`create`](Self::create).
    async fn create_as(&self, id: StoreId, layout: LayoutName) -> Result<(), Error>;

    /// Creates an empty store, if there is none of this name in any layout: also where a store has
    /// keys but no marker.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    async fn create_new(&self, id: StoreId) -> Result<(), Error> {
        match self.find(id).await? {
            Some(_) => Err(Error::Exists(format!("the store {id}"))),
            None => self.create(id).await,
        }
    }

    /// Removes an empty store.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::NotFound`], or any other [`Error`].
    async fn remove(&self, id: StoreId) -> Result<(), Error>;

    /// Removes a store with all of its values, and says how many parts that were. Values that are written
    /// meanwhile may stay.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotEmpty`] when somebody went on writing; any other [`Error`].
    async fn remove_all(&self, id: StoreId) -> Result<u64, Error>;

    /// The names of the parts that the values of a store, as it was last found, are made of. A name means
    /// the same in every store of the layout.
    ///
    /// # Errors
    /// Any [`Error`]; never a part of the names.
    async fn parts(&self, id: StoreId) -> Result<Vec<String>, Error>;

    /// A part of a store; nothing if it is gone.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn part(&self, id: StoreId, name: &str) -> Result<Option<Part>, Error>;

    /// Makes a part of a store, if there is none of this name.
    ///
    /// # Errors
    /// Any [`Error`].
    async fn make_part(&self, id: StoreId, name: &str, part: Part) -> Result<Made, Error>;
}
