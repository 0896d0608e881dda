//! How plain stores lie in a bucket: `<uuid>/<key>`.

use std::sync::Arc;

use async_trait::async_trait;

use super::{LAYOUT, PlainStore};
use crate::model::StoreId;
use crate::store::layout::{Layout, Role};
use crate::store::site::Site;
use crate::store::{Dir, Error, LayoutName, Store, StoreName};

/// The layout.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Plain {
    fn store(id: StoreId, site: &Site) -> PlainStore {
        let prefix = format!("{}/", site.store(id));
        PlainStore::new(StoreName::Id(id), prefix, Arc::clone(&site.backend))
    }
}

#[async_trait]
impl Layout for Plain {
    fn name(&self) -> LayoutName {
        LAYOUT
    }

    fn separator(&self) -> char {
        '/'
    }

    fn role(&self, after_store: &str) -> Option<Role> {
        Some(match after_store.strip_prefix('/')? {
            "" => Role::Marker,
            _ => Role::Value,
        })
    }

    fn marker(&self) -> (&'static str, &'static [u8]) {
        ("/", b"")
    }

    fn open(&self, id: StoreId, site: &Site) -> Arc<dyn Store> {
        Arc::new(Self::store(id, site))
    }

    /// Its marker is that of the top directory.
    async fn remove(&self, id: StoreId, site: &Site) -> Result<(), Error> {
        Self::store(id, site).remove_dir(&Dir::root()).await
    }
}
