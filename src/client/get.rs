//! Reading a value.

use super::Error;
use super::location::Location;
use super::value::{About, Got, ReadOutcome, Wanted};

/// The newest value, whole. One request, but for large values, which come in pieces of one version.
/// [`Location::read`] reads parts of a value, and other versions.
///
/// # Errors
/// [`Error::Absent`], and when it cannot be read.
pub async fn get(location: &dyn Location) -> Result<Got, Error> {
    match location.read(&Wanted::Newest, None).await? {
        ReadOutcome::Got(got) => Ok(*got),
        ReadOutcome::Absent | ReadOutcome::Other | ReadOutcome::Unchanged => {
            Err(Error::Absent(location.label()))
        }
    }
}

/// What is known of the newest value, without its bytes. One request.
///
/// # Errors
/// [`Error::Absent`], and when that cannot be found out.
pub async fn stat(location: &dyn Location) -> Result<About, Error> {
    let found = location.look().await?;
    found.ok_or_else(|| Error::Absent(location.label()))
}
