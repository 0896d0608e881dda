//! Where the stores of a bucket lie, and what is done with their objects whatever the layout.

use std::sync::Arc;

use super::Error;
use crate::backend::{After, Backend, ListQuery, Listed, Pages};
use crate::model::{Outcome, StoreId};

/// A bucket, below a prefix.
#[derive(Clone, Debug)]
pub struct Site {
    /// The bucket.
    pub backend: Arc<dyn Backend>,
    /// What the names of all objects begin with: empty, or ending with `/`.
    pub prefix: String,
}

impl Site {
    /// What the names of a store's objects begin with.
    pub fn store(&self, id: StoreId) -> String {
        format!("{}{id}", self.prefix)
    }

    /// The objects whose names begin like this, at least `most` of them if there are as many.
    pub(super) async fn objects(&self, prefix: &str, most: usize) -> Result<Vec<Listed>, Error> {
        let query = ListQuery {
            prefix: prefix.to_owned(),
            fold: false,
            after: After::Start,
            limit: 1000,
        };
        let mut objects = Vec::new();
        let mut pages = Pages::new(&*self.backend, query);
        while objects.len() < most
            && let Some(page) = pages.next().await?
        {
            objects.extend(page.objects);
        }
        Ok(objects)
    }

    /// Deletes an object of a store, unless somebody wrote it since it was listed.
    pub(super) async fn delete(&self, object: Listed, store: StoreId) -> Result<(), Error> {
        let version = match object.version {
            Some(version) => version,
            None => match self.backend.head(&object.key).await {
                Ok(info) => info.version,
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) => return Err(error.into()),
            },
        };
        match self.backend.delete(&object.key, &version).await? {
            Outcome::Committed(()) => Ok(()),
            Outcome::Unknown => Err(Error::Unknown(object.key.to_string())),
            Outcome::Refused(Some(_)) => Err(Error::NotEmpty(format!("the store {store}"))),
            Outcome::Refused(None) => match self.backend.head(&object.key).await {
                Err(error) if error.is_not_found() => Ok(()),
                Err(error) => Err(error.into()),
                Ok(_) => Err(Error::NotEmpty(format!("the store {store}"))),
            },
        }
    }
}
