//! The keys of a store as they are spelled, without directories: the command line's view.

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::PlainStore;
use super::list::AT_ONCE;
use crate::backend::Pages;
use crate::model::Key;
use crate::store::{Error, Scanned};

impl PlainStore {
    /// All keys that are spelled with this beginning, in order; with `fold` only up to the next `/`.
    /// One LIST for every thousand objects, without the markers of empty directories.
    ///
    /// # Errors
    /// Any [`Error`]; never a part of the keys.
    pub(super) async fn scan_objects(
        &self,
        beginning: &str,
        fold: bool,
    ) -> Result<Vec<Scanned>, Error> {
        let mut found = Vec::new();
        let query = self.query(beginning, fold, 1000);
        let mut pages = Pages::new(&*self.backend, query);
        while let Some(page) = pages.next().await? {
            for prefix in &page.prefixes {
                if let Some(text) = prefix.strip_prefix(&self.prefix) {
                    found.push(Scanned::Prefix(text.to_owned()));
                }
            }
            let keys = page.objects.into_iter().filter_map(|listed| {
                let text = self.relative(&listed.key)?.to_owned();
                let is_marker = listed.size == 0 && text.ends_with('/');
                let key = Key::new(&*text).ok().filter(|_| !is_marker)?;
                Some(async move {
                    let entry = self.entry_listed(key, listed).await?;
                    Ok::<_, Error>(entry.map(|entry| Scanned::Key(text, entry)))
                })
            });
            let mut keys = stream::iter(keys).buffered(AT_ONCE);
            while let Some(key) = keys.try_next().await? {
                found.extend(key);
            }
            drop(keys);
        }
        found.sort_by(|one, other| one.text().cmp(other.text()));
        Ok(found)
    }
}
