//! The version of an object that a file's bytes came from.

use std::any::Any;
use std::sync::Arc;

use konserve_codec::file::Stored;

use super::LAYOUT;
use crate::backend::Meta;
use crate::model::Version;
use crate::store::{LayoutName, Metadata, Origin as StoreOrigin};

/// What a save of a file needs to know of the object that was read: [`Stored`] is konserve's part of
/// it, the rest is the backend's.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The object, taken apart.
    pub(super) stored: Stored,
    /// The version that was read.
    pub(super) version: Version,
    /// What travels with it.
    pub(super) meta: Meta,
}

impl Origin {
    /// The one that travels with a value, if it is of this layout.
    pub(super) fn of(metadata: &Metadata) -> Option<Arc<Self>> {
        let origin: Arc<dyn Any + Send + Sync> = metadata.origin.clone()?;
        origin.downcast().ok()
    }
}

impl StoreOrigin for Origin {
    fn layout(&self) -> LayoutName {
        LAYOUT
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        self.stored.attributes()
    }

    fn is_log(&self) -> bool {
        self.stored.is_log()
    }

    fn read_only(&self) -> Option<&'static str> {
        self.stored.read_only()
    }

    /// One version of one object is always the same.
    fn is(&self, other: &dyn StoreOrigin) -> bool {
        let other: &dyn Any = other;
        let other = other.downcast_ref::<Self>();
        other.is_some_and(|other| {
            self.stored.object == other.stored.object && self.version == other.version
        })
    }
}
