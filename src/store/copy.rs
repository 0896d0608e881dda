//! Copying a whole store: its parts, byte for byte, under another store's name.
//!
//! Nothing in a part says which store it is in, so that a copy of the bytes is a copy of the store,
//! whatever the layout: logs, encrypted and binary values included. Each part is made under the
//! condition that it does not exist. It knows no values.

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::{Catalog, Error, Made};
use crate::model::StoreId;

/// How many parts are copied at once; each is in memory meanwhile.
const AT_ONCE: usize = 8;

/// What a copy of a store came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// How many parts were made.
    pub made: u64,
    /// How many were there already, the same.
    pub same: u64,
    /// The addresses of those that were there already and are others. They were left as they are.
    pub others: Vec<String>,
}

/// Copies a store. `to` is the place of the copy, which must not exist, unless a copy that was broken off is to be
/// resumed. `step` is called for each part, and first with their number. What is written to the store meanwhile may
/// be missing.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Exists`] when the copy exists; any other [`Error`].
pub async fn copy(
    (source, from): (&dyn Catalog, StoreId),
    (target, to): (&dyn Catalog, StoreId),
    resume: bool,
    mut step: impl FnMut(u64),
) -> Result<Copied, Error> {
    let missing = || Error::NotFound(format!("the store {from}"));
    let layout = source.find(from).await?.ok_or_else(missing)?;
    match target.find(to).await? {
        Some(there) if resume && there == layout => {}
        Some(_) => return Err(Error::Exists(format!("the store {to}"))),
        None => target.create_as(to, layout).await?,
    }
    let parts = source.parts(from).await?;
    step(parts.len() as u64);
    let copy = |name: String| async move {
        match source.part(from, &name).await? {
            Some(part) => Ok::<_, Error>(Some(target.make_part(to, &name, part).await?)),
            // It was deleted meanwhile.
            None => Ok(None),
        }
    };
    let mut copied = Copied::default();
    let mut results = stream::iter(parts.into_iter().map(copy)).buffer_unordered(AT_ONCE);
    while let Some(made) = results.try_next().await? {
        match made {
            Some(Made::New) => copied.made += 1,
            Some(Made::Same) => copied.same += 1,
            Some(Made::Other(address)) => copied.others.push(address),
            None => {}
        }
        step(0);
    }
    Ok(copied)
}
