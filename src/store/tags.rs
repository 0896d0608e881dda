//! Tags travel with a value as its metadata do, but have to be read first: where there are some, that is a
//! request before a save, a rename or a copy, and none before a read.

use super::{Envelope, Error, InBucket};
use crate::backend::{Backend, Meta, Tags};

impl InBucket {
    /// What travels with a value, with the tags themselves, to be laid on another key. A request if there
    /// are any that were not read yet.
    ///
    /// # Errors
    /// Any [`Error`].
    pub(super) async fn with_tags(&self, envelope: Envelope) -> Result<Envelope, Error> {
        Ok(Envelope {
            meta: tagged(&*self.backend, envelope.meta).await?,
            ..envelope
        })
    }
}

/// The same with the tags themselves. Those of an object that was deleted meanwhile are none.
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
