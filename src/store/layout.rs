//! How a bucket knows the stores of a layout, and makes and removes them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::site::Site;
use super::{Error, LayoutName, Store};
use crate::backend::Listed;
use crate::model::StoreId;

/// What an object is to its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It says that the store exists.
    Marker,
    /// It holds a value, or a part of one.
    Value,
    /// A crash left it.
    Leftover,
}

/// How the stores of a layout lie in a bucket. The names of a store's objects begin with the bucket's prefix
/// and the store's name; the rest is the layout's.
#[async_trait]
pub trait Layout: Send + Sync + fmt::Debug {
    /// What it is called.
    fn name(&self) -> LayoutName;

    /// What comes right after the store's name, in the name of every object.
    fn separator(&self) -> char;

    /// What an object is, by its name after the store's; nothing if it is not the store's. Of a layout
    /// whose separator is `/`, the separator alone stands for everything below it.
    fn role(&self, after_store: &str) -> Option<Role>;

    /// The object that marks a store, by its name after the store's, and its bytes.
    fn marker(&self) -> (&'static str, &'static [u8]);

    /// Opens a store. Sends nothing.
    fn open(&self, id: StoreId, site: &Site) -> Arc<dyn Store>;

    /// Whether the layout keeps an object of this name in a bucket that belongs to no store.
    fn is_bookkeeping(&self, name: &str) -> bool {
        let _ = name;
        false
    }

    /// Hears that a store was made.
    async fn made(&self, id: StoreId, site: &Site) {
        let _ = (id, site);
    }

    /// Removes a store that holds no value.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], or any other [`Error`].
    async fn remove(&self, id: StoreId, site: &Site) -> Result<(), Error> {
        remove_empty(self, id, site).await
    }
}

/// Removes the objects of a store that holds no value: what crashes left of values, then the marker.
pub async fn remove_empty<L: Layout + ?Sized>(
    layout: &L,
    id: StoreId,
    site: &Site,
) -> Result<(), Error> {
    let store = site.store(id);
    let below = format!("{store}{}", layout.separator());
    let role_of = |object: &Listed| {
        let after = object.key.as_str().strip_prefix(&store)?;
        layout.role(after)
    };
    let objects = site.objects(&below, 1000).await?;
    let is_value = |object: &Listed| role_of(object) == Some(Role::Value);
    if objects.iter().any(is_value) {
        return Err(Error::NotEmpty(format!("the store {id}")));
    }
    let (markers, rest): (Vec<_>, Vec<_>) = objects
        .into_iter()
        .filter(|object| role_of(object).is_some())
        .partition(|object| role_of(object) == Some(Role::Marker));
    for object in rest.into_iter().chain(markers) {
        site.delete(object, id).await?;
    }
    Ok(())
}
