//! Large values, read in pieces: each has to be of one version, and to tell the same length.
//!
//! That it is of one version is the backend's to see (`Pin::Is`). How much is read at once is the
//! caller's business.

use bytes::Bytes;

use super::layout::Layout;
use super::{Entry, Error, InBucket};
use crate::backend::{Fetched, Pin, Span};
use crate::model::Key;

impl InBucket {
    /// Reads a piece of one version of a large value: `len` bytes from `start`, fewer at its end. Each piece
    /// tells how long the whole is; an entry that says otherwise would cut it short. The key may have
    /// another name by now than the entry says.
    ///
    /// # Errors
    /// [`Error::VersionGone`] when that version is not to be had any more; any other [`Error`].
    pub(super) async fn read(
        &self,
        key: &Key,
        entry: &Entry,
        start: u64,
        len: u64,
    ) -> Result<Bytes, Error> {
        if let Layout::Konserve(store) = &self.layout {
            return store.read(key, entry, start, len).await;
        }
        let pin = Pin::Is(entry.version.clone());
        let at = self.object(key);
        match self
            .backend
            .get(&at, &pin, Span::Range { start, len })
            .await?
        {
            Fetched::Object(object) => {
                check_size(object.info.size, entry.size, || self.address(key))?;
                Ok(object.bytes)
            }
            Fetched::Unchanged => Err(Error::Damaged {
                what: self.address(key),
                why: "an unconditional read was answered with \"unchanged\"".to_owned(),
            }),
        }
    }
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
            why: format!("it was said to have {before} bytes, and then {told}"),
        }),
        _ => Ok(()),
    }
}
