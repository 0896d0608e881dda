//! Deleting: a version that somebody named, or whatever is there.

use super::Error;
use super::location::{Location, settled};
use super::retry::Retry;
use crate::model::{Precondition, Version};

/// Deletes whatever is there; whether there was anything. Two requests, and two more for each time that another
/// writer saves it in between.
///
/// # Errors
/// [`Error::Contended`] when the policy gives up, [`Error::Unknown`] when the answer was lost.
pub async fn delete(location: &dyn Location, retry: Retry) -> Result<bool, Error> {
    let mut tries = retry.begin();
    loop {
        let outcome = location.delete_any(&mut tries).await?;
        if let Some(existed) = tries.settle(|| location.label(), outcome).await? {
            return Ok(existed);
        }
    }
}

/// Deletes a version that somebody named. Two requests: a delete that finds nothing is done, whoever did it (W8), so
/// that whether there is anything has to be asked before.
///
/// # Errors
/// [`Error::Replaced`] when the key has another version, or is gone; [`Error::Unknown`] when the answer was lost.
pub async fn delete_if(location: &dyn Location, version: &Version) -> Result<(), Error> {
    let outcome = location.delete_existing(version).await?;
    settled(
        location.label(),
        outcome,
        &Precondition::Is(version.clone()),
    )
}

/// Deletes a version that was there a moment ago. One request.
///
/// # Errors
/// [`Error::Replaced`] when the key has another one, [`Error::Unknown`] when the answer was lost.
pub(super) async fn delete_read(location: &dyn Location, version: &Version) -> Result<(), Error> {
    let outcome = location.delete(version).await?;
    settled(
        location.label(),
        outcome,
        &Precondition::Is(version.clone()),
    )
}
