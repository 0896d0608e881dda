//! The registry of stores: konserve-s3 0.1.23 to 0.1.30 found stores by one object that named them all.
//! Where a bucket still has it, it is kept in step.

use bytes::Bytes;
use uuid::Uuid;

use crate::backend::{Body, ByteRange, Fetched, ObjectKey, ReadCondition};
use crate::model::{Outcome, Precondition, PutId, StoreId};
use crate::store::Error;
use crate::store::site::Site;
use konserve_codec::object::{self, REGISTRY};

/// How often the registry is written again when somebody else wrote it, as konserve-s3 does.
const TRIES: usize = 5;
/// A larger registry is left alone, in bytes.
const LARGEST: u64 = 8 << 20;

/// Keeps the registry in step, if there is one. A failure is logged: newer ones of konserve-s3 do not read it.
pub(super) async fn register(site: &Site, id: StoreId, there: bool) {
    match try_register(site, id, there).await {
        Ok(true) => {}
        Ok(false) => tracing::warn!(store = %id, "the registry of stores could not be updated"),
        Err(error) => {
            tracing::warn!(store = %id, %error, "the registry of stores could not be updated");
        }
    }
}

async fn try_register(site: &Site, id: StoreId, there: bool) -> Result<bool, Error> {
    let at = ObjectKey::new(format!("{}{REGISTRY}", site.prefix));
    let Ok(id) = id.to_string().parse::<Uuid>() else {
        return Ok(false);
    };
    for _ in 0..TRIES {
        let registry = match site
            .backend
            .get(&at, &ReadCondition::Newest, ByteRange::UpTo(LARGEST))
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
        let expect = Precondition::Is(registry.info.version);
        match site.backend.put(&at, body, &expect, put_id).await? {
            Outcome::Committed(_) => return Ok(true),
            Outcome::Refused(_) => {}
            Outcome::Unknown => return Ok(false),
        }
    }
    Ok(false)
}
