//! Listings: the stores of a bucket, the keys of a store, the files of a directory.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{Access, access};
use rustix::io::Errno;

use super::Error;
use super::address::{Spot, Target, Url, UrlLevel};
use super::file::LocalFile;
use super::session::Client;
use crate::model::Version;
use crate::store::{Catalog as _, Entry, LayoutName, Scanned, StoreEntry};

/// What a listing has in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// All keys below, not only the next level.
    pub recursive: bool,
    /// Versions, times and sizes too, as [`get`](super::get()) and [`stat`](super::stat) would report them; of a file
    /// it takes opening it.
    pub whole: bool,
}

/// Something in a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its URL or path.
    pub target: OsString,
    /// Its name in what is listed.
    pub name: OsString,
    /// What it is.
    pub kind: ListedKind,
    /// The version of a key, if it is known.
    pub version: Option<Version>,
    /// When that was written.
    pub modified: Option<SystemTime>,
    /// The size of a key in bytes, if it is known.
    pub size: Option<u64>,
}

/// What something in a listing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedKind {
    /// A store of this layout.
    Store(LayoutName),
    /// Keys that begin alike up to a `/`, or a directory.
    Prefix,
    /// A key, or a file.
    Key,
}

impl Listed {
    /// Something of which no more is known.
    fn named(kind: ListedKind, target: impl Into<OsString>, name: impl Into<OsString>) -> Self {
        Self {
            target: target.into(),
            name: name.into(),
            kind,
            version: None,
            modified: None,
            size: None,
        }
    }

    fn of_key(target: String, name: String, entry: Entry) -> Self {
        Self {
            version: Some(entry.version),
            modified: Some(entry.modified),
            size: entry.size,
            ..Self::named(ListedKind::Key, target, name)
        }
    }

    /// A file; with all that is known of it, which takes looking at it, or by its name alone.
    fn of_file(path: &Path, name: OsString, whole: bool) -> Result<Self, Error> {
        let item = Self::named(ListedKind::Key, path, name);
        if !whole {
            return Ok(item);
        }
        let file = LocalFile::new(path.to_owned());
        let found = match fs::metadata(path) {
            Ok(found) if found.is_file() => found,
            // A socket cannot be opened; a link may lead to a directory, or nowhere.
            Ok(_) => return Ok(item),
            Err(error) if leads_nowhere(&error) => return Ok(item),
            Err(error) => return Err(file.failed(error)),
        };
        Ok(match file.look() {
            Err(_) if access(path, Access::READ_OK) == Err(Errno::ACCESS) => Self {
                modified: found.modified().ok(),
                size: Some(found.len()),
                ..item
            },
            Err(error) => return Err(error),
            Ok(None) => item,
            Ok(Some(about)) => Self {
                version: about.version,
                modified: Some(about.modified),
                size: about.size,
                ..item
            },
        })
    }
}

fn leads_nowhere(error: &std::io::Error) -> bool {
    let is_loop = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    is_loop || error.kind() == ErrorKind::NotFound
}

impl Client {
    /// Lists the stores of a bucket, the keys of a store or of a directory in it, or files. One request for each
    /// thousand keys, and one or two more to find out what the URL names.
    ///
    /// # Errors
    /// [`Error::NothingBelow`], [`Error::NoFile`], and when it cannot be listed.
    pub async fn list(&self, target: &Target, list: List) -> Result<Vec<Listed>, Error> {
        match target {
            Target::Path(path) => {
                let path = path.clone();
                let listing =
                    tokio::task::spawn_blocking(move || files(list, &path, OsStr::new("")));
                listing
                    .await
                    .unwrap_or_else(|error| Err(Error::Local(error.into())))
            }
            Target::Url(url) => {
                let spot = self.spot(url)?;
                match spot.level {
                    UrlLevel::Stores => self.list_stores(url, &spot).await,
                    UrlLevel::Store(_) | UrlLevel::Flat => self.list_keys(url, &spot, list).await,
                }
            }
        }
    }

    async fn list_stores(&self, url: &Url, spot: &Spot) -> Result<Vec<Listed>, Error> {
        let stores = self.catalog(&spot.source).await?.list().await?;
        let base = Target::Url(url.clone());
        let item = |store: StoreEntry| {
            let name = store.id.to_string();
            let target = base.join(&name).to_string();
            Listed::named(ListedKind::Store(store.layout), target, name)
        };
        Ok(stores.into_iter().map(item).collect())
    }

    async fn list_keys(&self, url: &Url, spot: &Spot, list: List) -> Result<Vec<Listed>, Error> {
        let store = self.home(spot).await?.certain().await?;
        let root = url.root_of(spot);
        let item = |scanned: Scanned, below: usize| {
            let target = format!("{root}{}", scanned.text());
            let name = scanned.text()[below..].to_owned();
            match scanned {
                Scanned::Prefix(_) => {
                    let name = name.trim_end_matches('/').to_owned();
                    Listed::named(ListedKind::Prefix, target, name)
                }
                Scanned::Key(_, entry) => Listed::of_key(target, name, entry),
            }
        };
        let mut beginning = spot.key.clone();
        if !beginning.is_empty() && !beginning.ends_with('/') {
            let around = store.scan(&beginning, true).await?;
            let below = beginning.rfind('/').map_or(0, |slash| slash + 1);
            let itself = around.iter().find(|found| found.text() == beginning);
            if let Some(found) = itself {
                return Ok(vec![item(found.clone(), below)]);
            }
            beginning.push('/');
        }
        let fold = !list.recursive;
        let found = match list.whole {
            // They may be compared with what reads report.
            true => store.scan_versions(&beginning, fold).await?,
            false => store.scan(&beginning, fold).await?,
        };
        if found.is_empty() && !beginning.is_empty() {
            // A marker alone makes an empty directory.
            let marker = store.key_at(&beginning)?;
            if store.describe(&marker).await?.is_none() {
                return Err(Error::NothingBelow {
                    target: url.to_string(),
                    root,
                });
            }
        }
        let below = beginning.len();
        Ok(found.into_iter().map(|found| item(found, below)).collect())
    }
}

/// Files in a directory, or one file.
fn files(list: List, path: &Path, before: &OsStr) -> Result<Vec<Listed>, Error> {
    let failed = |error: std::io::Error| {
        let label = path.display().to_string();
        match error.kind() {
            ErrorKind::NotFound => Error::NoFile(label),
            _ => Error::Directory { label, error },
        }
    };
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        let name = path.file_name().unwrap_or_default();
        return Ok(vec![Listed::of_file(path, name.to_owned(), list.whole)?]);
    }
    let entries: Result<Vec<_>, _> = fs::read_dir(path).map_err(failed)?.collect();
    let mut entries = entries.map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut items = Vec::new();
    for entry in entries {
        let mut name = before.to_owned();
        name.push(entry.file_name());
        let path = entry.path();
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true if list.recursive => {
                name.push("/");
                items.extend(files(list, &path, &name)?);
            }
            true => items.push(Listed::named(ListedKind::Prefix, path, name)),
            false => items.push(Listed::of_file(&path, name, list.whole)?),
        }
    }
    Ok(items)
}
