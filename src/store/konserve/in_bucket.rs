//! How konserve stores lie in a bucket: `<uuid>_<hash>.ksv`, as the library konserve-s3 writes them.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::learning::AT_ONCE;
use super::registry::register;
use super::{KonserveStore, LAYOUT, Settings};
use crate::model::StoreId;
use crate::store::layout::{Layout, Role, remove_empty};
use crate::store::site::Site;
use crate::store::{Error, LayoutName, Store};
use konserve_codec::object::{self, role};

/// The layout, and how its stores are shown and written.
#[derive(Debug)]
pub struct Konserve {
    settings: Settings,
    /// The places of those who look at objects, of all stores.
    glimpses: Arc<Semaphore>,
}

impl Konserve {
    /// With stores shown and written in this way.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            glimpses: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

#[async_trait]
impl Layout for Konserve {
    fn name(&self) -> LayoutName {
        LAYOUT
    }

    fn separator(&self) -> char {
        '_'
    }

    fn role(&self, after_store: &str) -> Option<Role> {
        Some(match role(after_store)? {
            object::Role::Marker => Role::Marker,
            object::Role::Value(_) => Role::Value,
            object::Role::Leftover => Role::Leftover,
        })
    }

    fn marker(&self) -> (&'static str, &'static [u8]) {
        (object::MARKER, object::MARKER_BYTES)
    }

    fn open(&self, id: StoreId, site: &Site) -> Arc<dyn Store> {
        let (backend, places) = (Arc::clone(&site.backend), Arc::clone(&self.glimpses));
        KonserveStore::new(id, &site.prefix, backend, self.settings.clone(), places)
    }

    fn is_bookkeeping(&self, name: &str) -> bool {
        name == object::REGISTRY
    }

    async fn made(&self, id: StoreId, site: &Site) {
        register(site, id, true).await;
    }

    async fn remove(&self, id: StoreId, site: &Site) -> Result<(), Error> {
        remove_empty(self, id, site).await?;
        register(site, id, false).await;
        Ok(())
    }
}
