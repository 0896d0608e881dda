//! Saving a value: under a precondition, as a new key, or over whatever is there.

use bytes::Bytes;

use super::Error;
use super::place::{Place, conflict, new_id, settled};
use super::retry::Retry;
use super::value::MetadataChoice;
use crate::model::{Precondition, PutId, Version};
use crate::store::Metadata;

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
    choice: &MetadataChoice,
    retry: Retry,
) -> Result<Option<Version>, Error> {
    let mut tries = retry.begin();
    loop {
        let outcome = place.overwrite(bytes.clone(), choice, &mut tries).await?;
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
    choice: &MetadataChoice,
    expect: &Precondition,
) -> Result<Option<Version>, Error> {
    put_if_as(place, bytes, choice, expect, new_id()).await
}

/// Saves a value under a key that does not exist yet; exactly one of several writers succeeds. One request, and one
/// more if the layout of the store is in doubt.
///
/// # Errors
/// [`Error::Exists`], [`Error::Unknown`] when the answer was lost.
pub async fn create(
    place: &dyn Place,
    bytes: Bytes,
    choice: &MetadataChoice,
) -> Result<Option<Version>, Error> {
    put_if(place, bytes, choice, &Precondition::Absent).await
}

/// As [`put_if`], under a number that the caller knows again.
///
/// # Errors
/// As [`put_if`].
pub(super) async fn put_if_as(
    place: &dyn Place,
    bytes: Bytes,
    choice: &MetadataChoice,
    expect: &Precondition,
    id: PutId,
) -> Result<Option<Version>, Error> {
    let replaced = match expect {
        Precondition::Is(version) if *choice == MetadataChoice::Inherited => {
            let found = place.metadata_of(version).await?;
            found.ok_or_else(|| conflict(place.label(), expect))?
        }
        _ => Metadata::default(),
    };
    let metadata = choice.over(replaced, &bytes);
    let outcome = place.save_as(bytes, &metadata, expect, id).await?;
    settled(place.label(), outcome, expect)
}
