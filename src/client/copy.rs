//! Copying a value from one place to another with its metadata, and moving it.

use std::time::Instant;

use bytes::Bytes;

use super::Error;
use super::delete::delete_read;
use super::get::get;
use super::identity::Identity;
use super::location::{Location, new_id};
use super::put::put_if_as;
use super::retry::Retry;
use super::value::{Got, MetadataChoice};
use crate::model::{Precondition, PutId, Version};
use crate::store::Metadata;

/// What a copy may replace, and how it tries.
#[derive(Clone, Debug, Default)]
pub struct Replace {
    /// The precondition of the target; without one, whatever is there is replaced, and nothing newer.
    pub expect: Option<Precondition>,
    /// How often it tries when another writer saves the target, without a precondition.
    pub retry: Retry,
}

/// A value that is to be copied, with its metadata and tags. Two requests at most.
///
/// # Errors
/// [`Error::Absent`], and when it cannot be read.
pub async fn read_to_copy(from: &dyn Location) -> Result<Got, Error> {
    let mut got = get(from).await?;
    got.about.metadata = from.with_tags(got.about.metadata).await?;
    Ok(got)
}

/// Copies a value: its bytes and its metadata, or other metadata if that is given. The version that this made, where
/// the save itself tells it.
///
/// # Errors
/// [`Error::Absent`]; those of [`put`](super::put()) or [`put_if`](super::put_if); [`Error::Same`] and
/// [`Error::MaybeSame`], since a copy onto itself would replace what was saved after the source was read.
pub async fn copy(
    from: &dyn Location,
    to: &dyn Location,
    choice: &MetadataChoice,
    replace: &Replace,
) -> Result<Option<Version>, Error> {
    let got = read_to_copy(from).await?;
    let choice = match choice {
        MetadataChoice::Inherited => copied(got.about.metadata),
        given => given.clone(),
    };
    let bytes = got.content.into_bytes()?;
    save(Some(from), to, bytes, &choice, replace, new_id()).await
}

/// Saves bytes as a copy does: with no metadata of the target but what is given or inherited.
///
/// # Errors
/// Those of [`put`](super::put()) or [`put_if`](super::put_if).
pub async fn copy_bytes(
    bytes: Bytes,
    to: &dyn Location,
    choice: &MetadataChoice,
    replace: &Replace,
) -> Result<Option<Version>, Error> {
    save(None, to, bytes, choice, replace, new_id()).await
}

/// Moves a value: copies it, then deletes what was copied, if it still is that.
///
/// # Errors
/// Those of [`copy`]; when it cannot be moved, before anything is written; [`Error::NotDeleted`],
/// [`Error::OneObject`] and [`Error::NotTold`] after the copy was written: both may exist then, and nothing is lost.
pub async fn rename(
    from: &dyn Location,
    to: &dyn Location,
    replace: &Replace,
) -> Result<(), Error> {
    from.check_movable().await?;
    to.check_movable().await?;
    from.check_deletable().await?;
    let got = read_to_copy(from).await?;
    if from.is_log(&got.about) {
        return Err(Error::Log(from.label()));
    }
    let read = got.about.version;
    let choice = copied(got.about.metadata);
    let (bytes, id) = (got.content.into_bytes()?, new_id());
    let saved = save(Some(from), to, bytes, &choice, replace, id).await?;
    if let Some(version) = &read {
        remain_two(from, version, to, saved, id).await?;
    }
    let gone = match &read {
        Some(version) => delete_read(from, version).await,
        None => from.delete_as_read().await,
    };
    gone.map_err(|error| Error::NotDeleted {
        error: error.into(),
        to: to.label(),
    })
}

/// Saves the value over the version of the target that it was compared with, which is not that of the source under
/// another name; again, if another writer is first.
async fn save(
    from: Option<&dyn Location>,
    to: &dyn Location,
    bytes: Bytes,
    choice: &MetadataChoice,
    replace: &Replace,
    id: PutId,
) -> Result<Option<Version>, Error> {
    if let Some(expect) = &replace.expect {
        be_two(from, to).await?;
        return put_if_as(to, bytes, choice, expect, id).await;
    }
    let mut tries = replace.retry.begin();
    loop {
        let asked = Instant::now();
        let found = to.look().await?;
        tries.measured(asked.elapsed());
        be_two(from, to).await?;
        let outcome = to.save_over(found, bytes.clone(), choice, id).await?;
        if let Some(version) = tries.settle(|| to.label(), outcome).await? {
            return Ok(version);
        }
    }
}

/// That the two are not one under two names: a copy would replace what was saved since the source was read, and
/// a move would delete it.
async fn be_two(from: Option<&dyn Location>, to: &dyn Location) -> Result<(), Error> {
    let Some(from) = from else {
        return Ok(());
    };
    let (one, other) = (from.identity().await?, to.identity().await?);
    // It was read: that it is not there now says nothing of what it was.
    if one == Identity::Nothing {
        return Err(Error::Gone(from.label()));
    }
    one.is_not(&other, from.label(), to.label())
}

/// That a move deletes no object that it has just written. A bucket can have two names that nobody tells apart (an
/// alias, an access point, a proxy that renames), and if the copy has the ETag of the source, its condition would
/// hold. Two objects with one value have one ETag too, but never the number of one save. Asks nobody unless the
/// ETags are equal.
async fn remain_two(
    from: &dyn Location,
    read: &Version,
    to: &dyn Location,
    saved: Option<Version>,
    id: PutId,
) -> Result<(), Error> {
    let is_one = async {
        let saved = match saved {
            None => to.look().await?.and_then(|about| about.version),
            saved => saved,
        };
        if saved.as_ref() != Some(read) {
            return Ok(false);
        }
        let ours = to.put_id(id).await?;
        Ok::<_, Error>(ours.is_some() && from.last_put().await? == ours)
    };
    match is_one.await {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::OneObject {
            from: from.label(),
            to: to.label(),
        }),
        Err(error) => Err(Error::NotTold {
            error: error.into(),
            to: to.label(),
        }),
    }
}

/// The metadata of a copy; a type that says nothing leaves it to the name of the copy.
fn copied(metadata: Metadata) -> MetadataChoice {
    let mut rest = metadata.clone();
    rest.meta.content_type = rest
        .meta
        .content_type
        .filter(|kind| !kind.ends_with("/octet-stream"));
    match rest == Metadata::default() {
        true => MetadataChoice::Inherited,
        false => MetadataChoice::Copied(metadata),
    }
}
