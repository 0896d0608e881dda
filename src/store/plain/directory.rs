//! Directories of a plain store: made and removed by their marker objects.
//!
//! A directory is there when a key is below it, or its marker. Listing one is in `list.rs`.

use bytes::Bytes;

use super::PlainStore;
use crate::model::{BadName, Outcome, Precondition};
use crate::store::{Dir, Error, Metadata, Store as _};

impl PlainStore {
    /// Makes an empty directory, if there is none: the portable lock (W15).
    ///
    /// # Errors
    /// [`Error::Exists`], or any other [`Error`].
    pub(super) async fn make_marker(&self, dir: &Dir) -> Result<(), Error> {
        let marker = dir.marker().ok_or(BadName::Illegal)?;
        self.check_name(marker.as_str())?;
        let made = self
            .put(
                &marker,
                Bytes::new(),
                &Metadata::default(),
                &Precondition::Absent,
            )
            .await?;
        match made {
            Outcome::Committed(_) => Ok(()),
            Outcome::Refused(_) => Err(Error::Exists(self.address(&marker))),
            Outcome::Unknown => Err(Error::Unknown(self.address(&marker))),
        }
    }

    /// Removes a directory that holds nothing but its marker.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], or any other [`Error`].
    pub(super) async fn remove_marker(&self, dir: &Dir) -> Result<(), Error> {
        let query = self.query(dir.prefix(), false, 2);
        let page = self.backend.list(&query).await?;
        let Some(marker) = page.objects.first() else {
            return Ok(());
        };
        let own = format!("{}{}", self.prefix, dir.prefix());
        if page.objects.len() > 1 || marker.key.as_str() != own || marker.size > 0 {
            return Err(Error::NotEmpty(own));
        }
        let version = match &marker.version {
            Some(version) => version.clone(),
            None => self.backend.head(&marker.key).await?.version,
        };
        match self.backend.delete(&marker.key, &version).await? {
            Outcome::Committed(()) => Ok(()),
            // Somebody removed it, or put something into it: either way not ours to decide.
            Outcome::Refused(_) => Err(Error::NotEmpty(own)),
            Outcome::Unknown => Err(Error::Unknown(own)),
        }
    }
}
