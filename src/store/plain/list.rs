//! The listing of a directory: every name, once.
//!
//! One LIST for every thousand objects and nothing else: size, time and version come with it.
//! Where a key and a directory want the same name, the directory has it and the key is shown under
//! its other name (V3).

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::PlainStore;
use crate::backend::{Listed, Pages};
use crate::model::{FileName, Key};
use crate::store::{Dir, Error, Listing, Shown, Store as _};

/// How many objects are asked at once for what a listing leaves out.
pub(super) const AT_ONCE: usize = 32;

impl PlainStore {
    /// Lists a directory.
    ///
    /// # Errors
    /// Any [`Error`]; never a part of a listing.
    pub(super) async fn list_dir(&self, dir: &Dir) -> Result<Listing, Error> {
        let mut listing = Listing::new();
        let mut files = Vec::new();
        let query = self.query(dir.prefix(), true, 1000);
        let mut pages = Pages::new(&*self.backend, query);
        while let Some(page) = pages.next().await? {
            for prefix in &page.prefixes {
                let name = prefix
                    .strip_prefix(&self.prefix)
                    .and_then(|path| dir.name_of(path));
                if let Some(named) = name {
                    listing.insert(named.name, Shown::Dir);
                }
            }
            for object in page.objects {
                let Some(path) = object.key.as_str().strip_prefix(&self.prefix) else {
                    continue;
                };
                let is_marker = path == dir.prefix() && object.size == 0;
                match dir.name_of(path) {
                    Some(named) if named.is_dir => {
                        listing.insert(named.name, Shown::Dir);
                    }
                    Some(named) if !is_marker => files.push((named.name, object)),
                    _ => {}
                }
            }
        }
        let dirs = listing;
        let mut listing = Listing::new();
        let shown = files.into_iter().filter_map(|(name, object)| {
            let (name, key) = self.shown_as(&dirs, dir, name, &object)?;
            Some(async move {
                let entry = self.entry_listed(key, object).await?;
                Ok::<_, Error>(entry.map(|entry| (name, Shown::File(entry))))
            })
        });
        // Each of them is a request where listings tell no versions.
        let mut shown = stream::iter(shown).buffered(AT_ONCE);
        while let Some(file) = shown.try_next().await? {
            listing.extend(file);
        }
        drop(shown);
        listing.extend(dirs);
        Ok(listing)
    }

    /// The name under which a key is shown among these directories, and the key.
    fn shown_as(
        &self,
        dirs: &Listing,
        dir: &Dir,
        name: FileName,
        object: &Listed,
    ) -> Option<(FileName, Key)> {
        let path = self.relative(&object.key).unwrap_or_default();
        let key = Key::new(path).ok()?;
        let name = match dirs.get(&name) {
            Some(Shown::Dir) => match dir.shadowed_name_of(path) {
                Some(other) => other,
                None => {
                    tracing::warn!(
                        store = %self.name(),
                        %key,
                        "not shown: a directory has its name, and the name that would distinguish it is too long"
                    );
                    return None;
                }
            },
            _ => name,
        };
        Some((name, key))
    }
}
