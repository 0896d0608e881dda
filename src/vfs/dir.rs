//! Directories: opening and reading them, making and removing them.
//!
//! A handle holds the names that existed when it was opened; a directory that changes while it is read never
//! shows a name twice, and never skips one that stayed.

use std::ffi::OsStr;
use std::sync::Arc;

use super::attr::Attr;
use super::handles::{Fh, Handle};
use super::items::{Age, DirItem, Item};
use super::numbers::Told;
use super::place::folder;
use super::table::Kind;
use super::{Context, Error, Source, Vfs};
use crate::model::{FileName, Ino, StoreId};
use crate::store::{Child, Dir, Entry, Shown, Store};

impl Vfs {
    /// Opens a directory: reads all its names.
    ///
    /// # Errors
    /// Any [`Error`]; an outage is never an empty directory (R3).
    pub async fn open_dir(&self, ino: Ino) -> Result<Fh, Error> {
        let kind = self.kind(ino)?;
        let mut age = Age::now();
        let items = match (kind, &self.source) {
            (Kind::Stores, Source::Bucket(catalog)) => {
                let names = catalog.list().await?;
                names
                    .iter()
                    .filter_map(|store| FileName::new(OsStr::new(&store.id.to_string())).ok())
                    .map(|name| DirItem {
                        name,
                        item: Item::Dir,
                    })
                    .collect()
            }
            (Kind::Stores, Source::Store(_)) => Vec::new(),
            (Kind::Dir(store, dir), _) => {
                let (listing, of_listing) = self.listing(&store, &dir).await?;
                age = of_listing;
                self.items(ino, &store, &dir, &listing)
            }
            (Kind::Control(control), _) => self.control_items(&control),
            (Kind::File(_, key), _) => return Err(Error::NotDir(key.to_string())),
            (Kind::Scratch(_), _) => return Err(Error::NotDir("the scratch file".to_owned())),
        };
        Ok(self.open_handle(ino, Handle::Dir(items, age)))
    }

    /// The names of a listing, and those that only this mount knows.
    fn items(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        dir: &Dir,
        listing: &crate::store::Listing,
    ) -> Vec<DirItem> {
        let mut items: Vec<_> = listing
            .iter()
            .filter(|(name, _)| !self.is_away(store, dir, name))
            .map(|(name, shown)| DirItem {
                name: name.clone(),
                item: match shown {
                    Shown::Dir => Item::Dir,
                    Shown::File(entry) => Item::File(entry.clone()),
                },
            })
            .collect();
        items.extend(
            self.scratch_dir()
                .in_folder(&folder(store, dir))
                .filter(|(name, _)| !listing.contains_key(*name))
                .map(|(name, scratch)| DirItem {
                    name: name.clone(),
                    item: Item::Scratch(Arc::clone(scratch)),
                }),
        );
        let table = self.table();
        let unsaved = table.unsaved_in(ino);
        let unsaved = unsaved.filter(|name| !listing.contains_key(*name));
        items.extend(unsaved.map(|name| DirItem {
            name: name.clone(),
            item: Item::Unsaved,
        }));
        for below in table.kept_dirs(store.name()) {
            let path = below.prefix().strip_suffix('/').unwrap_or_default();
            if let Some(named) = dir.name_of(path)
                && !named.is_dir
                && !below.is_root()
                && below != dir
                && !listing.contains_key(&named.name)
            {
                items.push(DirItem {
                    name: named.name,
                    item: Item::Dir,
                });
            }
        }
        items
    }

    /// The names of an open directory, and how old they are.
    ///
    /// # Errors
    /// [`Error::BadHandle`].
    pub fn read_dir<T>(&self, fh: Fh, read: impl FnOnce(&[DirItem], Age) -> T) -> Result<T, Error> {
        let handle = self.handle(fh)?;
        match &*handle {
            Handle::Dir(items, age) => Ok(read(items, *age)),
            _ => Err(Error::BadHandle),
        }
    }

    /// The attributes of a name in an open directory, which is now reported to the kernel. `None` if it is
    /// gone meanwhile.
    pub fn tell(&self, parent: Ino, item: &DirItem, age: Age) -> Option<Told> {
        loop {
            let attr = self.found(parent, item, age)?;
            // The kernel may have forgotten the inode since it was found; then it is found again.
            let told = self.table().remember_listed(attr.ino);
            if let Some(numbers) = told {
                let attr = self.for_anybody(attr);
                return Some(Told { attr, numbers });
            }
        }
    }

    fn found(&self, parent: Ino, item: &DirItem, age: Age) -> Option<Attr> {
        match &item.item {
            Item::File(entry) => self.tell_file(parent, &item.name, entry, age),
            Item::Dir => self.tell_dir(parent, &item.name),
            Item::Unsaved => {
                let table = self.table();
                let (ino, node) = table.child(parent, &item.name)?;
                Some(self.unsaved_attr(ino, node))
            }
            Item::Scratch(_) => self.tell_scratch(parent, &item.name),
            Item::Control => {
                let kind = self.kind(parent).ok()?;
                let control = self
                    .find_control(&kind, parent == Ino::ROOT, &item.name)
                    .ok()??;
                Some(self.found_control(parent, &item.name, control))
            }
        }
    }

    fn tell_file(&self, parent: Ino, name: &FileName, entry: &Entry, age: Age) -> Option<Attr> {
        let mut table = self.table();
        let (store, _) = table.dir(parent).ok()?;
        let place = (store.name(), entry.key.clone());
        let (is_gone, is_old) = table.deleted_since(&place, age.corrected);
        let ino = match is_gone || table.is_away(&place) {
            // It may have been created again since.
            true => table.find(parent, name)?,
            false => table.insert(parent, name, Kind::File(store, entry.key.clone())),
        };
        let node = table.get(ino)?;
        if node.is_unsaved() {
            return Some(self.unsaved_attr(ino, node));
        }
        table.tell_listed(ino, entry, age.asked, is_old);
        Some(self.noted_attr(&table, place.0, ino, entry))
    }

    /// A scratch file, or what has its name now: it may be gone, or have become a key.
    fn tell_scratch(&self, parent: Ino, name: &FileName) -> Option<Attr> {
        let (store, dir) = self.dir(parent).ok()?;
        if let Some(scratch) = self.scratch_at(&store, &dir, name) {
            return Some(self.found_scratch(parent, name, &scratch));
        }
        let table = self.table();
        let (ino, node) = table.child(parent, name)?;
        match node.known_key() {
            Some((store, known)) if !node.is_unsaved() => Some(self.known_attr(store, ino, known)),
            _ => node.is_key().then(|| self.unsaved_attr(ino, node)),
        }
    }

    fn tell_dir(&self, parent: Ino, name: &FileName) -> Option<Attr> {
        let kind = self.kind(parent).ok()?;
        match (kind, &self.source) {
            (Kind::Stores, Source::Bucket(catalog)) => {
                let store = catalog.store(StoreId::parse(name.as_str())?);
                Some(self.found_dir(parent, name, store, Dir::root()))
            }
            (Kind::Dir(store, dir), _) => {
                let below = self.below(&store, &dir, name)?;
                Some(self.found_dir(parent, name, Arc::clone(&store), below))
            }
            (Kind::Control(control), _) => {
                let control = self.control_child(&control, name)?;
                Some(self.found_control(parent, name, control))
            }
            _ => None,
        }
    }

    /// Closes a directory.
    pub fn close_dir(&self, fh: Fh) {
        self.table().close(fh);
    }

    /// Makes a directory: at the root of a bucket a store, elsewhere a marker object. At most one of several
    /// machines succeeds (W15). Reports it to the kernel.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::Invalid`] for a store whose name is no UUID; any other.
    pub async fn make_dir(&self, parent: Ino, name: &OsStr, by: Context) -> Result<Told, Error> {
        self.goes_on_to_make(parent, name, by);
        self.check_writable(&name.display().to_string())?;
        let name = FileName::new(name)?;
        let kind = self.kind(parent)?;
        let (store, below) = match (kind, &self.source) {
            (Kind::Stores, Source::Bucket(catalog)) => {
                let id = StoreId::parse(name.as_str()).ok_or_else(|| {
                    Error::Invalid(format!(
                        "{name} is no store's name: stores are named by UUIDs in lower case"
                    ))
                })?;
                catalog.create(id).await?;
                (catalog.store(id), Dir::root())
            }
            (Kind::Dir(store, dir), _) => {
                let below = match store.child(&dir, &name)? {
                    Child::Either(_, below) => below,
                    Child::Dir(below) if below.marker().is_some() => below,
                    Child::Dir(_) | Child::Shadowed(..) => {
                        return Err(Error::Invalid(format!("{name} cannot be made")));
                    }
                    Child::Key(key) => {
                        let what = format!("{key}: a {} store has no directories", store.layout());
                        return Err(Error::NotPermitted(what));
                    }
                };
                store.make_dir(&below).await?;
                self.table().relisted(&(store.name(), dir));
                (store, below)
            }
            (Kind::Control(control), _) => {
                return Err(Error::NotPermitted(format!("{control} is the mount's own")));
            }
            (Kind::File(..) | Kind::Scratch(_) | Kind::Stores, _) => {
                return Err(Error::NotDir(name.to_string()));
            }
        };
        Ok(self.tell_found(|| self.found_dir(parent, &name, store.clone(), below.clone())))
    }

    /// Fails if a directory holds scratch files.
    fn check_scratch(&self, store: &Arc<dyn Store>, dir: &Dir) -> Result<(), Error> {
        match self.scratch_dir().is_in_use(&folder(store, dir)) {
            true => Err(Error::NotEmpty(format!("{}{}", store.name(), dir.prefix()))),
            false => Ok(()),
        }
    }

    /// Removes an empty directory or store.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], or any other.
    pub async fn remove_dir(&self, parent: Ino, name: &OsStr) -> Result<(), Error> {
        self.check_writable(&name.display().to_string())?;
        let name = FileName::new(name)?;
        let kind = self.kind(parent)?;
        let (store, below) = match (kind, &self.source) {
            (Kind::Stores, Source::Bucket(catalog)) => {
                let id = StoreId::parse(name.as_str())
                    .ok_or_else(|| Error::NotFound(name.to_string()))?;
                let store = catalog.store(id);
                self.check_scratch(&store, &Dir::root())?;
                self.check_unused(&store, &Dir::root())?;
                match catalog.remove(id).await {
                    // This mount emptied it, and no marker ever kept it in the bucket.
                    Err(crate::store::Error::NotFound(_))
                        if self.table().keeps_dir(store.name(), &Dir::root()) => {}
                    result => result?,
                }
                (store, Dir::root())
            }
            (Kind::Dir(store, dir), _) => {
                let below = self
                    .below(&store, &dir, &name)
                    .ok_or_else(|| Error::NotDir(name.to_string()))?;
                self.check_scratch(&store, &below)?;
                self.check_unused(&store, &below)?;
                store.remove_dir(&below).await?;
                let mut table = self.table();
                table.forget_listing(&(store.name(), dir.clone()));
                table.keep_dir(&store, &dir);
                drop(table);
                (store, below)
            }
            (Kind::Control(control), _) => {
                return Err(Error::NotPermitted(format!("{control} is the mount's own")));
            }
            (Kind::File(..) | Kind::Scratch(_) | Kind::Stores, _) => {
                return Err(Error::NotDir(name.to_string()));
            }
        };
        self.table()
            .removed_dir((parent, &name), store.name(), below);
        Ok(())
    }
}
