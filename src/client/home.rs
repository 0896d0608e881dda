//! A store that keys are in, and what is known of its layout.
//!
//! The layout of a store is asked for only when it is in doubt: a key that is found where a store of the likeliest
//! layout has it proves that layout.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::Error;
use super::address::{Source, UrlLevel};
use crate::store::{Bucket, Catalog, LayoutName, Store};

/// A store that keys are in.
#[derive(Debug)]
pub(super) struct Home {
    source: Source,
    level: UrlLevel,
    catalog: Arc<Bucket>,
    layout: OnceCell<LayoutName>,
}

impl Home {
    /// A store, of this layout if that was said.
    pub(super) fn new(
        source: Source,
        level: UrlLevel,
        catalog: Arc<Bucket>,
        layout: Option<LayoutName>,
    ) -> Self {
        Self {
            source,
            level,
            catalog,
            layout: OnceCell::new_with(layout),
        }
    }

    /// Whether there is no doubt about the layout.
    pub(super) fn is_certain(&self) -> bool {
        self.level == UrlLevel::Flat || self.layout.initialized()
    }

    /// Learns the layout: a key was found where a store of this one has it.
    pub(super) fn proved(&self, layout: LayoutName) {
        // It was known already, otherwise.
        let _ = self.layout.set(layout);
    }

    /// The store; in the likeliest layout while that is in doubt.
    pub(super) fn assumed(&self) -> Arc<dyn Store> {
        match self.level {
            UrlLevel::Store(id) => match self.layout.get() {
                Some(layout) => self.catalog.store_as(id, *layout),
                None => self.catalog.store(id),
            },
            UrlLevel::Flat | UrlLevel::Stores => self.catalog.flat(),
        }
    }

    /// The store, without doubt; at most one request.
    ///
    /// # Errors
    /// [`Error::NoStore`], and when the catalog cannot be asked.
    pub(super) async fn certain(&self) -> Result<Arc<dyn Store>, Error> {
        let UrlLevel::Store(id) = self.level else {
            return Ok(self.catalog.flat());
        };
        let find = async || match self.catalog.find(id).await? {
            Some(layout) => Ok(layout),
            None => Err(Error::NoStore {
                source_label: self.source.label(),
                store: id.to_string(),
            }),
        };
        self.layout.get_or_try_init(find).await?;
        Ok(self.assumed())
    }
}
