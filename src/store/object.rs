//! What layouts share whose values lie in objects: what travels with an object, and what its answers must agree on.

use super::{Error, Scanned, Store};
use crate::backend::{Backend, Meta, Tags};

/// What travels with an object, with the tags themselves, which have to be read before they can be laid on
/// another object: a request if there are any. Those of an object that was deleted meanwhile are none.
pub(super) async fn tagged(backend: &dyn Backend, meta: Meta) -> Result<Meta, Error> {
    let Tags::Of(at) = &meta.tags else {
        return Ok(meta);
    };
    let tags = match backend.tags(at).await {
        Ok(query) if query.is_empty() => Tags::None,
        Ok(query) => Tags::Are(query),
        Err(error) if error.is_not_found() => Tags::None,
        Err(error) => return Err(error.into()),
    };
    Ok(Meta { tags, ..meta })
}

/// Makes sure that two answers about one version tell the same length.
pub(super) fn check_size(
    told: u64,
    before: Option<u64>,
    what: impl FnOnce() -> String,
) -> Result<(), Error> {
    match before {
        Some(before) if before != told => Err(Error::Damaged {
            what: what(),
            why: format!("its length was given as {before} bytes, and then as {told}"),
        }),
        _ => Ok(()),
    }
}

/// An unconditional read was answered as if it had a condition.
pub(super) fn not_asked(what: String) -> Error {
    Error::Damaged {
        what,
        why: "an unconditional read was answered with \"unchanged\"".to_owned(),
    }
}

/// A value that the backend cannot hold.
pub(super) fn too_big(what: &str, limit: u64) -> Error {
    Error::TooBig(format!("{what} cannot hold more than {limit} bytes"))
}

/// Scans for somebody who compares the versions with those of the values, see [`Store::scan_versions`].
pub(super) async fn scan_versions(
    store: &dyn Store,
    backend: &dyn Backend,
    beginning: &str,
    fold: bool,
) -> Result<Vec<Scanned>, Error> {
    let found = store.scan(beginning, fold).await?;
    let habits = backend.habits();
    let Some(habits) = habits.filter(|habits| habits.lists_versions().is_none()) else {
        return Ok(found);
    };
    let first = |found: &[Scanned]| {
        found.iter().find_map(|one| match one {
            Scanned::Key(_, entry) => Some((entry.key.clone(), entry.version.clone())),
            Scanned::Prefix(_) => None,
        })
    };
    let Some((key, listed)) = first(&found) else {
        return Ok(found);
    };
    let look = async || {
        let entry = store.describe(&key).await?;
        Ok::<_, Error>(entry.map(|entry| entry.version))
    };
    let before = look().await?;
    if before.as_ref() == Some(&listed) {
        habits.learn_listings(true);
        return Ok(found);
    }
    // Somebody may have saved it in between: only what is the same before and after is a proof.
    let again = store.scan(beginning, fold).await?;
    let listed = first(&again).filter(|(same, _)| *same == key);
    let is_same = before.is_some() && look().await? == before;
    if !is_same || listed.is_none_or(|(_, listed)| Some(listed) == before) {
        return Ok(again);
    }
    habits.learn_listings(false);
    store.scan(beginning, fold).await
}
