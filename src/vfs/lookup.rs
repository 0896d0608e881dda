//! Looking names up.
//!
//! A look-up asks the store unless the answer is younger than the TTL. It notes the system call in which it
//! asked, so that the open in the same call need not ask again; an open in a later call always asks (R1).

use std::ffi::OsStr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

use super::attr::{Attr, FileKind};
use super::control::Control;
use super::items::Age;
use super::numbers::Told;

use super::table::{Kind, Node};
use super::{Context, Error, Source, Vfs};
use crate::model::{BadName, FileName, Ino, NodeId, StoreId};
use crate::store::{Catalog, Child, Dir, Entry, Found, Listing, Shown, Store};
use crate::telemetry::Cache;

/// The longest time between a look-up and the open of the same system call.
const SAME_CALL: Duration = Duration::from_secs(1);

impl Vfs {
    /// Finds a name in a directory and reports it to the kernel.
    ///
    /// # Errors
    /// [`Error::NotFound`] only if the store said so, or no key can have the name.
    pub async fn lookup(&self, parent: Ino, name: &OsStr, by: Context) -> Result<Told, Error> {
        let known_name = FileName::new(name);
        {
            let mut table = self.table();
            table.end_miss(by.thread());
            if let Ok(name) = &known_name {
                table.begin_call(parent, name);
            }
        }
        loop {
            let attr = match (self.find(parent, name, by).await, &known_name) {
                (Err(error @ Error::NotFound(_)), Ok(name)) => {
                    self.note_miss(parent, name, by);
                    return Err(error);
                }
                (found, _) => found?,
            };
            // The kernel may have forgotten the inode since it was found; then it is found again.
            let told = self.table().remember(attr.ino);
            if let Some(numbers) = told {
                let attr = self.for_anybody(attr);
                return Ok(Told { attr, numbers });
            }
        }
    }

    /// The kernel forgot this many of its lookups of this number.
    pub fn forget(&self, id: NodeId, times: u64) {
        self.table().kernel_forgot(id, times);
    }

    /// Finds a name for a system call that has already looked it up, or is about to.
    pub(super) async fn find(&self, parent: Ino, name: &OsStr, by: Context) -> Result<Attr, Error> {
        let not_found = || Error::NotFound(name.display().to_string());
        let name = match FileName::new(name) {
            Ok(name) => name,
            Err(BadName::TooLong) => return Err(Error::NameTooLong),
            Err(BadName::Illegal | BadName::Unspelled(_)) => return Err(not_found()),
        };
        let kind = self.kind(parent)?;
        if let Some(control) = self.find_control(&kind, parent == Ino::ROOT, &name)? {
            return Ok(self.found_control(parent, &name, control));
        }
        match (kind, &self.source) {
            (Kind::Stores, Source::Bucket(catalog)) => match StoreId::parse(name.as_str()) {
                Some(id) => self.find_store(&**catalog, &name, id).await,
                None => Err(not_found()),
            },
            (Kind::Dir(store, dir), _) => self.find_in(parent, &store, &dir, &name, by).await,
            (Kind::File(_, key), _) => Err(Error::NotDir(key.to_string())),
            (Kind::Scratch(_), _) => Err(Error::NotDir(name.to_string())),
            (Kind::Stores | Kind::Control(_), _) => Err(not_found()),
        }
    }

    async fn find_store(
        &self,
        catalog: &dyn Catalog,
        name: &FileName,
        id: StoreId,
    ) -> Result<Attr, Error> {
        let ttl = self.options.ttl;
        {
            let table = self.table();
            if let Some((ino, node)) = table.child(Ino::ROOT, name)
                && node.is_fresh_dir(ttl)
            {
                return Ok(self.fixed_attr(ino, FileKind::Dir, node.since()));
            }
        }
        let kept = |store: &Arc<dyn Store>| self.table().keeps_dir(store.name(), &Dir::root());
        let found = catalog.find(id).await?;
        let store = catalog.store(id);
        match found {
            None if !kept(&store) => Err(Error::NotFound(format!("the store {id}"))),
            _ => Ok(self.found_dir(Ino::ROOT, name, store, Dir::root())),
        }
    }

    async fn find_in(
        &self,
        parent: Ino,
        store: &Arc<dyn Store>,
        dir: &Dir,
        name: &FileName,
        by: Context,
    ) -> Result<Attr, Error> {
        let known = self.table().find(parent, name);
        if let Some(ino) = known {
            self.closed(ino).await;
        }
        if self.is_away(store, dir, name) {
            self.table().note_absent(parent, name, by.call());
            return Err(Error::NotFound(name.to_string()));
        }
        let Some(scratch) = self.scratch_at(store, dir, name) else {
            return self.find_in_store(parent, store, dir, name, by).await;
        };
        if self.is_surely_scratch(parent, name, &scratch) {
            return Ok(self.found_scratch(parent, name, &scratch));
        }
        match self.find_in_store(parent, store, dir, name, by).await {
            Ok(attr) => {
                self.give_way(store, dir, name, &scratch).await;
                Ok(attr)
            }
            Err(error) => {
                // Even if the store does not answer: the file exists here, whatever the store has.
                if let Error::NotFound(_) = error {
                    scratch.note_absence();
                }
                Ok(self.found_scratch(parent, name, &scratch))
            }
        }
    }

    async fn find_in_store(
        &self,
        parent: Ino,
        store: &Arc<dyn Store>,
        dir: &Dir,
        name: &FileName,
        by: Context,
    ) -> Result<Attr, Error> {
        let known = self.find_locally(parent, store, dir, name, by);
        self.looked_up(Cache::Attributes, !matches!(known, Ok(None)));
        if let Some(attr) = known? {
            return Ok(attr);
        }
        if self.table().is_just_absent(parent, name, by.call()) {
            return Err(Error::NotFound(name.to_string()));
        }
        let asked = Instant::now();
        let found = match store.lookup(dir, name).await {
            Ok(found) => found,
            Err(crate::store::Error::BadName(BadName::Illegal | BadName::Unspelled(_))) => {
                Found::Absent
            }
            Err(error) => return Err(error.into()),
        };
        match found {
            Found::File(entry) => {
                let kind = Kind::File(Arc::clone(store), entry.key.clone());
                let mut table = self.table();
                let ino = table.insert(parent, name, kind);
                table.learn_found(ino, entry.clone(), asked, by.call());
                Ok(self.noted_attr(&table, store.name(), ino, &entry))
            }
            Found::Read(key, value) => {
                let entry = value.entry(key.clone());
                let kind = Kind::File(Arc::clone(store), key.clone());
                let value = Arc::from(value);
                let mut table = self.table();
                let ino = table.insert(parent, name, kind);
                let place = (store.name(), key);
                table.learn_value(ino, place, &value, asked, Some(by.call()));
                Ok(self.noted_attr(&table, store.name(), ino, &entry))
            }
            Found::Dir(below) => Ok(self.found_dir(parent, name, Arc::clone(store), below)),
            Found::Absent => {
                let below = self.below(store, dir, name);
                let mut table = self.table();
                if let Some(below) = below
                    && table.keeps_dir(store.name(), &below)
                {
                    drop(table);
                    return Ok(self.found_dir(parent, name, Arc::clone(store), below));
                }
                if let Some(ino) = table.find(parent, name) {
                    table.learn_absent(ino, asked);
                }
                table.note_absent(parent, name, by.call());
                Err(Error::NotFound(name.to_string()))
            }
        }
    }

    /// What is known of a name without asking the store: files that only this mount has, and
    /// answers younger than the TTL or of this very system call.
    fn find_locally(
        &self,
        parent: Ino,
        store: &Arc<dyn Store>,
        dir: &Dir,
        name: &FileName,
        by: Context,
    ) -> Result<Option<Attr>, Error> {
        let ttl = self.options.ttl;
        let mut table = self.table();
        if let Some(ino) = table.find(parent, name) {
            let node = table.node(ino)?;
            if node.is_fresh_dir(ttl) {
                return Ok(Some(self.fixed_attr(ino, FileKind::Dir, node.since())));
            }
            if node.is_unsaved() {
                return Ok(Some(self.unsaved_attr(ino, node)));
            }
            if let Some(known) = node.known() {
                if known.asked_by() == Some(by.call()) {
                    return Ok(Some(self.known_attr(store.name(), ino, known)));
                }
                if known.is_own() {
                    return Ok(None);
                }
                if !known.time_left(ttl).is_zero() {
                    return Ok(Some(self.known_attr(store.name(), ino, known)));
                }
            }
        }
        let folder = (store.name(), dir.clone());
        let Some((listing, at)) = table.listing(&folder) else {
            return Ok(None);
        };
        match listing.get(name) {
            Some(Shown::File(entry)) => {
                let kind = Kind::File(Arc::clone(store), entry.key.clone());
                let ino = table.insert(parent, name, kind);
                let known = table.learn_listed(ino, entry, at)?;
                Ok(Some(self.known_attr(store.name(), ino, known)))
            }
            Some(Shown::Dir) => match self.below(store, dir, name) {
                Some(below) => {
                    drop(table);
                    Ok(Some(self.found_dir(parent, name, Arc::clone(store), below)))
                }
                None => Ok(None),
            },
            // It may be another name of a listed key.
            None if store.has_unlisted_names() => Ok(None),
            None => match self.below(store, dir, name) {
                Some(below) if table.keeps_dir(store.name(), &below) => {
                    drop(table);
                    Ok(Some(self.found_dir(parent, name, Arc::clone(store), below)))
                }
                _ => Err(Error::NotFound(name.to_string())),
            },
        }
    }

    /// The directory that a name would have.
    pub(super) fn below(&self, store: &Arc<dyn Store>, dir: &Dir, name: &FileName) -> Option<Dir> {
        match store.child(dir, name).ok()? {
            Child::Either(_, below) | Child::Dir(below) => Some(below),
            Child::Shadowed(..) | Child::Key(_) => None,
        }
    }

    pub(super) fn found_dir(
        &self,
        parent: Ino,
        name: &FileName,
        store: Arc<dyn Store>,
        dir: Dir,
    ) -> Attr {
        let mut table = self.table();
        let ino = table.insert(parent, name, Kind::Dir(store, dir));
        let since = table.found_dir(ino);
        self.fixed_attr(ino, FileKind::Dir, since.unwrap_or(std::time::UNIX_EPOCH))
    }

    pub(super) fn found_control(&self, parent: Ino, name: &FileName, control: Control) -> Attr {
        let mut table = self.table();
        let ino = table.insert(parent, name, Kind::Control(control.clone()));
        let since = table.get(ino).map(Node::since);
        drop(table);
        self.control_attr(ino, &control, since.unwrap_or(std::time::UNIX_EPOCH))
    }

    /// A listing of a directory that is not older than the TTL, and how old it is. One request for
    /// every thousand objects, or none.
    pub(super) async fn listing(
        &self,
        store: &Arc<dyn Store>,
        dir: &Dir,
    ) -> Result<(Arc<Listing>, Age), Error> {
        let folder = (store.name(), dir.clone());
        let corrected = Instant::now();
        let known = self.table().listing(&folder);
        self.looked_up(Cache::Listings, known.is_some());
        if let Some((listing, asked)) = known {
            return Ok((listing, Age { asked, corrected }));
        }
        let mut asked = Instant::now();
        let mut changes = self.table().listing_changes();
        let mut listing = store.list(dir).await?;
        if store.learns_names()
            && !self.options.ttl.is_zero()
            && asked.elapsed() >= self.options.ttl
        {
            // Learning the names took time. With a listing that is already outdated, `ls -l` would ask for
            // each of them again.
            (asked, changes) = (Instant::now(), self.table().listing_changes());
            listing = store.list(dir).await?;
        }
        let listing = Arc::new(listing);
        self.table().keep_listing(folder, &listing, asked, changes);
        let corrected = asked;
        Ok((listing, Age { asked, corrected }))
    }

    /// What the store last said of a file, if it said so in the present system call.
    pub(super) fn just_asked(&self, ino: Ino, by: Context) -> Option<Entry> {
        self.table().take_just_asked(ino, by.call(), SAME_CALL)
    }
}
