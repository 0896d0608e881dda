//! The objects of one store, byte for byte, whatever its layout: to copy a store, and to remove all of it.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use uuid::Uuid;

use super::Bucket;
use crate::backend::{Body, ByteRange, Fetched, Listed, Object, ObjectKey, ReadCondition};
use crate::model::{Outcome, Precondition, PutId, StoreId};
use crate::store::layout::Role;
use crate::store::object::{not_asked, tagged};
use crate::store::{Error, Made, Part};

/// How many objects are deleted at once.
const AT_ONCE: usize = 16;

const WHOLE: ByteRange = ByteRange::UpTo(u64::MAX);

impl Bucket {
    /// The objects of a store, as it was last found, in one of these roles; each with its name after the store's.
    pub(super) async fn objects_of(
        &self,
        id: StoreId,
        wanted: impl Fn(Role) -> bool,
    ) -> Result<Vec<(String, Listed)>, Error> {
        let (store, layout) = (self.site.store(id), self.layout_of(id));
        let below = format!("{store}{}", layout.separator());
        let objects = self.site.objects(&below, usize::MAX).await?;
        let wanted = |object: Listed| {
            let after = object.key.as_str().strip_prefix(&store)?.to_owned();
            layout
                .role(&after)
                .is_some_and(&wanted)
                .then_some((after, object))
        };
        Ok(objects.into_iter().filter_map(wanted).collect())
    }

    /// Deletes everything of a store but its marker.
    pub(super) async fn delete_all(&self, id: StoreId) -> Result<u64, Error> {
        let objects = self.objects_of(id, |role| role != Role::Marker).await?;
        let count = objects.len() as u64;
        let delete = |(_, object)| self.site.delete(object, id);
        stream::iter(objects.into_iter().map(delete))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(count)
    }

    fn part_at(&self, id: StoreId, name: &str) -> (ObjectKey, String) {
        let at = ObjectKey::new(format!("{}{name}", self.site.store(id)));
        let address = format!("{}/{at}", self.site.backend.name());
        (at, address)
    }

    pub(super) async fn read_part(&self, id: StoreId, name: &str) -> Result<Option<Part>, Error> {
        let (at, address) = self.part_at(id, name);
        let backend = &*self.site.backend;
        let object = match backend.get(&at, &ReadCondition::Newest, WHOLE).await {
            Ok(Fetched::Object(object)) => *object,
            Ok(Fetched::Unchanged) => return Err(not_asked(address)),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Object { info, bytes } = object;
        let meta = tagged(backend, info.meta).await?;
        Ok(Some(Part { bytes, meta }))
    }

    pub(super) async fn write_part(
        &self,
        id: StoreId,
        name: &str,
        part: Part,
    ) -> Result<Made, Error> {
        let (at, address) = self.part_at(id, name);
        let backend = &*self.site.backend;
        let body = Body {
            bytes: part.bytes.clone(),
            meta: part.meta,
        };
        let put_id = PutId::new(Uuid::new_v4().as_u128());
        match backend
            .put(&at, body, &Precondition::Absent, put_id)
            .await?
        {
            Outcome::Committed(_) => Ok(Made::New),
            Outcome::Unknown => Err(Error::Unknown(address)),
            Outcome::Refused(_) => {
                let there = backend.get(&at, &ReadCondition::Newest, WHOLE).await?;
                let is_same = matches!(there, Fetched::Object(there) if there.bytes == part.bytes);
                Ok(match is_same {
                    true => Made::Same,
                    false => Made::Other(address),
                })
            }
        }
    }
}
