//! Saving a value: under a precondition, as a new key, or over whatever is there.

use bytes::Bytes;

use super::Error;
use super::location::{Location, conflict, new_id, settled};
use super::retry::Retry;
use super::value::MetadataChoice;
use crate::model::{Precondition, PutId, Version};
use crate::store::Metadata;

/// Saves a value over whatever is there: the version that is there now is replaced, and no newer one unseen. The
/// version that this made, where the save itself tells it: see [`Location::version_of`].
///
/// Two requests, and two more for each time that another writer is first.
///
/// # Errors
/// [`Error::Contended`] when the policy gives up, [`Error::Unknown`] when the answer was lost.
pub async fn put(
    location: &dyn Location,
    bytes: Bytes,
    choice: &MetadataChoice,
    retry: Retry,
) -> Result<Option<Version>, Error> {
    let mut tries = retry.begin();
    loop {
        let outcome = location
            .overwrite(bytes.clone(), choice, &mut tries)
            .await?;
        if let Some(version) = tries.settle(|| location.label(), outcome).await? {
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
    location: &dyn Location,
    bytes: Bytes,
    choice: &MetadataChoice,
    expect: &Precondition,
) -> Result<Option<Version>, Error> {
    put_if_as(location, bytes, choice, expect, new_id()).await
}

/// Saves a value under a key that does not exist yet; exactly one of several writers succeeds. One request, and one
/// more if the layout of the store is in doubt.
///
/// # Errors
/// [`Error::Exists`], [`Error::Unknown`] when the answer was lost.
pub async fn create(
    location: &dyn Location,
    bytes: Bytes,
    choice: &MetadataChoice,
) -> Result<Option<Version>, Error> {
    put_if(location, bytes, choice, &Precondition::Absent).await
}

/// As [`put_if`], under a number that the caller knows again.
///
/// # Errors
/// As [`put_if`].
pub(super) async fn put_if_as(
    location: &dyn Location,
    bytes: Bytes,
    choice: &MetadataChoice,
    expect: &Precondition,
    id: PutId,
) -> Result<Option<Version>, Error> {
    let replaced = match expect {
        Precondition::Is(version) if *choice == MetadataChoice::Inherited => {
            let found = location.metadata_of(version).await?;
            found.ok_or_else(|| conflict(location.label(), expect))?
        }
        _ => Metadata::default(),
    };
    let metadata = choice.over(replaced, &bytes);
    let outcome = location.save_as(bytes, &metadata, expect, id).await?;
    settled(location.label(), outcome, expect)
}
