//! How a bucket knows the stores of a layout, and makes and removes them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::Site;
use crate::backend::Listed;
use crate::model::StoreId;
use crate::store::konserve::{self, Konserve};
use crate::store::plain::Plain;
use crate::store::{Error, LayoutName, Store};

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

/// The layouts that a bucket's stores may have.
#[derive(Clone, Debug)]
pub struct Layouts {
    /// What a store is taken for before it is found. Its stores are opened each time, so that it must be
    /// cheap.
    first: Arc<dyn Layout>,
    others: Vec<Arc<dyn Layout>>,
}

impl Layouts {
    /// All of them, a line for each. Where two layouts use one name, the store is in the one that is
    /// earlier here.
    pub fn new(konserve: konserve::Settings) -> Self {
        Self {
            first: Arc::new(Plain),
            others: vec![Arc::new(Konserve::new(konserve))],
        }
    }

    /// And this one.
    #[must_use]
    pub fn and(mut self, layout: Arc<dyn Layout>) -> Self {
        self.others.push(layout);
        self
    }

    pub(super) fn first(&self) -> &Arc<dyn Layout> {
        &self.first
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<dyn Layout>> {
        [&self.first].into_iter().chain(&self.others)
    }

    pub(super) fn of(&self, name: LayoutName) -> Option<&Arc<dyn Layout>> {
        self.iter().find(|layout| layout.name() == name)
    }

    /// The layout of a store, by the name of one of its objects after the store's, and its place among the
    /// layouts. What a crash left makes no store.
    pub(super) fn recognise(&self, after_store: &str) -> Option<(usize, LayoutName)> {
        let layouts = self.iter().map(|layout| &**layout).enumerate();
        let mut makes_it = layouts.filter(|(_, layout)| {
            let role = layout.role(after_store);
            matches!(role, Some(Role::Marker | Role::Value))
        });
        makes_it.next().map(|(at, layout)| (at, layout.name()))
    }
}

impl Default for Layouts {
    fn default() -> Self {
        Self::new(konserve::Settings::default())
    }
}
