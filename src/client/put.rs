//! Saving a value: under a precondition, as a new key, or over whatever is there.

use bytes::Bytes;

use super::Error;
use super::place::{Place, conflict, new_id, settled};
use super::retry::Retry;
use super::value::Metadata;
use crate::model::{Expect, PutId, Version};
use crate::store::Envelope;

/// Saves a value over whatever is there: the version that is there now is replaced, and no newer one unseen. The
/// version that this made, where the save itself tells it: see [`Place::version_of`].
///
/// Two requests, and two more for each time that another writer is first.
///
/// # Errors
/// [`Error::Contended`] when the policy gives up, [`Error::Unknown`] when the answer was lost.
pub async fn put(
    place: &dyn Place,
    bytes: Bytes,
    metadata: &Metadata,
    retry: Retry,
) -> Result<Option<Version>, Error> {
    let mut tries = retry.begin();
    loop {
        let outcome = place.overwrite(bytes.clone(), metadata, &mut tries).await?;
        if let Some(version) = tries.settle(|| place.label(), outcome).await? {
            return Ok(version);
        }
    }
}

/// Saves a value under a precondition, once. One request; two if it replaces a version and inherits its metadata.
///
/// # Errors
/// [`Error::Exists`] or [`Error::Replaced`] when the precondition does not hold, [`Error::Unknown`] when the answer
/// was lost.
pub async fn put_if(
    place: &dyn Place,
    bytes: Bytes,
    metadata: &Metadata,
    expect: &Expect,
) -> Result<Option<Version>, Error> {
    put_if_as(place, bytes, metadata, expect, new_id()).await
}

/// Saves a value under a key that does not exist yet; exactly one of several writers succeeds. One request, and one
/// more if the layout of the store is in doubt.
///
/// # Errors
/// [`Error::Exists`], [`Error::Unknown`] when the answer was lost.
pub async fn create(
    place: &dyn Place,
    bytes: Bytes,
    metadata: &Metadata,
) -> Result<Option<Version>, Error> {
    put_if(place, bytes, metadata, &Expect::Absent).await
}

/// As [`put_if`], under a number that the caller knows again.
///
/// # Errors
/// As [`put_if`].
pub(super) async fn put_if_as(
    place: &dyn Place,
    bytes: Bytes,
    metadata: &Metadata,
    expect: &Expect,
    id: PutId,
) -> Result<Option<Version>, Error> {
    let replaced = match expect {
        Expect::Is(version) if *metadata == Metadata::Inherited => {
            let found = place.metadata_of(version).await?;
            found.ok_or_else(|| conflict(place.label(), expect))?
        }
        _ => Envelope::default(),
    };
    let envelope = metadata.over(replaced, &bytes);
    let outcome = place.save_as(bytes, &envelope, expect, id).await?;
    settled(place.label(), outcome, expect)
}
