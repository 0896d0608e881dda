//! The life of konserve stores, as konserve-s3 sees it: markers, the old registry, and removing.
//!
//! A store is made by its marker (`catalog.rs`). konserve-s3 0.1.23 to 0.1.30 found stores by one
//! object that named them all; where a bucket still has it, it is kept in step. It knows nothing of
//! values.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::{Catalog, Error, LayoutKind};
use crate::backend::{After, Body, Fetched, ListQuery, Listed, ObjectKey, Pages, Pin, Span};
use crate::model::{Expect, Outcome, PutId, StoreId};
use konserve_codec::object::{self, REGISTRY, Role, role};

/// How often the registry is written again when somebody else wrote it, as konserve-s3 does.
const TRIES: usize = 5;
/// A larger registry is left alone, in bytes.
const LARGEST: u64 = 8 << 20;
/// How many objects are deleted at once.
const AT_ONCE: usize = 16;

impl Catalog {
    /// Removes a konserve store that holds no value: what crashes left of values, then the marker.
    pub(super) async fn remove_konserve(&self, id: StoreId) -> Result<(), Error> {
        let store = format!("{}{id}", self.prefix);
        let objects = self.objects(&format!("{store}_"), 1000).await?;
        let role_of = |object: &Listed| object.key.as_str().strip_prefix(&store).and_then(role);
        if objects
            .iter()
            .any(|object| matches!(role_of(object), Some(Role::Value(_))))
        {
            return Err(Error::NotEmpty(format!("the store {id}")));
        }
        let (markers, rest): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .filter(|object| role_of(object).is_some())
            .partition(|object| role_of(object) == Some(Role::Marker));
        for object in rest.into_iter().chain(markers) {
            self.delete_object(object, id).await?;
        }
        self.register(id, false).await;
        Ok(())
    }

    /// Removes a store with all of its values. Values that are written meanwhile may stay.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::NotEmpty`] when somebody went on writing; any other [`Error`].
    pub async fn remove_all(&self, id: StoreId) -> Result<u64, Error> {
        let Some(layout) = self.find(id).await? else {
            return Err(Error::NotFound(format!("the store {id}")));
        };
        let store = format!("{}{id}", self.prefix);
        let below = match layout {
            LayoutKind::Plain => format!("{store}/"),
            LayoutKind::Konserve => format!("{store}_"),
        };
        let mut objects = self.objects(&below, usize::MAX).await?;
        if layout == LayoutKind::Konserve {
            objects.retain(|object| {
                let after = object.key.as_str().strip_prefix(&store);
                matches!(after.and_then(role), Some(Role::Value(_) | Role::Leftover))
            });
        } else {
            objects.retain(|object| object.key.as_str() != below);
        }
        let count = objects.len() as u64;
        let delete = |object: Listed| self.delete_object(object, id);
        stream::iter(objects.into_iter().map(delete))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        match self.remove(id).await {
            // No marker kept it.
            Err(Error::NotFound(_)) => Ok(count),
            result => result.map(|()| count),
        }
    }

    /// The objects whose names begin like this, at least `most` of them if there are as many.
    pub(super) async fn objects(&self, prefix: &str, most: usize) -> Result<Vec<Listed>, Error> {
        let query = ListQuery {
            prefix: prefix.to_owned(),
            fold: false,
            after: After::Start,
            limit: 1000,
        };
        let mut objects = Vec::new();
        let mut pages = Pages::new(&*self.backend, query);
        while objects.len() < most
            && let Some(page) = pages.next().await?
        {
            objects.extend(page.objects);
        }
        Ok(objects)
    }

    async fn delete_object(&self, object: Listed, store: StoreId) -> Result<(), Error> {
        let version = match object.version {
            Some(version) => version,
            None => match self.backend.head(&object.key).await {
                Ok(info) => info.version,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error.into()),
            },
        };
        match self.backend.delete(&object.key, &version).await? {
            Outcome::Saved(()) => Ok(()),
            Outcome::Unknown => Err(Error::Unknown(object.key.to_string())),
            Outcome::Refused(Some(_)) => Err(Error::NotEmpty(format!("the store {store}"))),
            Outcome::Refused(None) => match self.backend.head(&object.key).await {
                Err(error) if error.is_not_found() => Ok(()),
                Err(error) => Err(error.into()),
                Ok(_) => Err(Error::NotEmpty(format!("the store {store}"))),
            },
        }
    }

    /// Keeps the registry of older konserve-s3 in step, if there is one. A failure is logged: newer
    /// ones do not read it.
    pub(super) async fn register(&self, id: StoreId, there: bool) {
        match self.try_register(id, there).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(store = %id, "the registry of stores was not kept in step"),
            Err(error) => {
                tracing::warn!(store = %id, %error, "the registry of stores was not kept in step");
            }
        }
    }

    async fn try_register(&self, id: StoreId, there: bool) -> Result<bool, Error> {
        let at = ObjectKey::new(format!("{}{REGISTRY}", self.prefix));
        let Ok(id) = id.to_string().parse::<Uuid>() else {
            return Ok(false);
        };
        for _ in 0..TRIES {
            let registry = match self
                .backend
                .get(&at, &Pin::Newest, Span::UpTo(LARGEST))
                .await
            {
                Ok(Fetched::Object(registry)) => *registry,
                Ok(Fetched::Unchanged) => return Ok(false),
                Err(error) if error.is_not_found() => return Ok(true),
                Err(error) => return Err(error.into()),
            };
            let text = std::str::from_utf8(&registry.bytes).unwrap_or_default();
            let Some(mut stores) = object::read_registry(text) else {
                return Ok(false);
            };
            if stores.contains(&id) == there {
                return Ok(true);
            }
            match there {
                true => stores.push(id),
                false => stores.retain(|store| *store != id),
            }
            let body = Body {
                bytes: Bytes::from(object::write_registry(&stores)),
                meta: registry.info.meta,
            };
            let put_id = PutId::new(Uuid::new_v4().as_u128());
            let expect = Expect::Is(registry.info.version);
            match self.backend.put(&at, body, &expect, put_id).await? {
                Outcome::Saved(_) => return Ok(true),
                Outcome::Refused(_) => {}
                Outcome::Unknown => return Ok(false),
            }
        }
        Ok(false)
    }
}
