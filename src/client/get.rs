//! Reading a value.

use super::Error;
use super::place::Place;
use super::value::{About, Answer, Got, Wanted};

/// The newest value, whole. One request, but for large values, which come in pieces of one version.
/// [`Place::read`] reads parts of a value, and other versions.
///
/// # Errors
/// [`Error::Absent`], and when it cannot be read.
pub async fn get(place: &dyn Place) -> Result<Got, Error> {
    match place.read(&Wanted::Newest, None).await? {
        Answer::Got(got) => Ok(*got),
        Answer::Absent | Answer::Other | Answer::Unchanged => Err(Error::Absent(place.label())),
    }
}

/// What is known of the newest value, without its bytes. One request.
///
/// # Errors
/// [`Error::Absent`], and when that cannot be found out.
pub async fn stat(place: &dyn Place) -> Result<About, Error> {
    let found = place.look().await?;
    found.ok_or_else(|| Error::Absent(place.label()))
}
