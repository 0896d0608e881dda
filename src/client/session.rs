//! The client: from addresses to keys and files, with the connections and stores in between.
//!
//! Keys of one bucket share a connection, and keys of one store what is known of it. What is then done with a key is
//! in `remote.rs`, with a file in `path.rs`, and with either in the verbs.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::Error;
use super::address::{Source, Spot, Target, Url, UrlLevel};
use super::connect::Connect;
use super::home::Home;
use super::location::Location;
use super::path::PathKey;
use super::remote::Remote;
use crate::backend::Backend;
use crate::model::Server;
use crate::store::{Bucket, LayoutName};

/// Connections and stores. Use one for all keys of a program: keys of one bucket share a connection.
pub struct Client {
    connect: Box<dyn Connect>,
    prefix: String,
    flat: bool,
    layout: Option<LayoutName>,
    backends: Mutex<HashMap<String, Arc<dyn Backend>>>,
    catalogs: Mutex<HashMap<Source, Arc<Bucket>>>,
    homes: Mutex<HashMap<(Source, UrlLevel), Arc<Home>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("prefix", &self.prefix)
            .field("flat", &self.flat)
            .field("layout", &self.layout)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client of buckets that are reached like this. Nothing is sent yet.
    pub fn new(connect: impl Connect + 'static) -> Self {
        Self {
            connect: Box::new(connect),
            prefix: String::new(),
            flat: false,
            layout: None,
            backends: Mutex::default(),
            catalogs: Mutex::default(),
            homes: Mutex::default(),
        }
    }

    /// The same, in which `s3://BUCKET/KEY` is an object of the bucket: there is no level of stores. Otherwise the
    /// first part of a URL that is a UUID names the store, and what comes behind it is the key.
    #[must_use]
    pub fn flat(self, flat: bool) -> Self {
        Self { flat, ..self }
    }

    /// The same, in which this comes before the stores of a bucket: empty, or ending with `/`.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            ..self
        }
    }

    /// The same, for stores of this layout; else it is found out, with one request more when it is in doubt.
    #[must_use]
    pub fn layout(self, layout: Option<LayoutName>) -> Self {
        Self { layout, ..self }
    }

    /// The key or file at an address: a URL, or a path. Sends nothing.
    ///
    /// # Errors
    /// [`Kind::Usage`](super::Kind::Usage) when it names none; [`Error::Connect`] and [`Error::Store`] when the
    /// configuration makes no sense.
    pub async fn location(&self, target: impl Into<Target>) -> Result<Arc<dyn Location>, Error> {
        Ok(match target.into() {
            Target::Path(path) => Arc::new(PathKey::new(path)),
            Target::Url(url) => Arc::new(self.key(&url).await?),
        })
    }

    /// The key that a URL names.
    ///
    /// # Errors
    /// As [`location`](Self::location).
    pub async fn key(&self, url: &Url) -> Result<Remote, Error> {
        let spot = self.spot(url)?;
        let home = self.home(&spot).await?;
        match spot.key.is_empty() {
            true => Err(Error::NoKey(url.to_string())),
            false => Ok(Remote::new(home, spot.key, url.to_string())),
        }
    }

    /// The key at a spot; messages call it `label`.
    ///
    /// # Errors
    /// As [`location`](Self::location).
    pub async fn key_at(&self, spot: &Spot, label: String) -> Result<Remote, Error> {
        let home = self.home(spot).await?;
        Ok(Remote::new(home, spot.key.clone(), label))
    }

    /// The file of this name below a directory. The name may come from anybody: one that leads out of the directory,
    /// also over a link, is refused. The file need not exist. In a mount the name is that of a key, whose file may be
    /// called otherwise.
    ///
    /// # Errors
    /// [`Error::Outside`], [`Error::NoFileBelow`], [`Error::Directory`].
    pub fn below(&self, base: &Path, name: &str) -> Result<Arc<dyn Location>, Error> {
        Ok(Arc::new(PathKey::below(base, name)?))
    }

    /// The file at a path.
    pub fn file(&self, path: impl Into<PathBuf>) -> Arc<dyn Location> {
        Arc::new(PathKey::new(path.into()))
    }

    /// What a URL means.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn spot(&self, url: &Url) -> Result<Spot, Error> {
        url.spot(&self.prefix, self.flat)
    }

    /// The store that a URL leads into.
    ///
    /// # Errors
    /// [`Error::NamesNoStore`], and when the configuration makes no sense.
    pub(super) async fn home(&self, spot: &Spot) -> Result<Arc<Home>, Error> {
        if spot.level == UrlLevel::Stores {
            return Err(Error::NamesNoStore(spot.source.label()));
        }
        let catalog = self.catalog(&spot.source).await?;
        let mut homes = self.homes.lock().await;
        let home = homes
            .entry((spot.source.clone(), spot.level))
            .or_insert_with(|| {
                let source = spot.source.clone();
                Arc::new(Home::new(source, spot.level, catalog, self.layout))
            });
        Ok(Arc::clone(home))
    }

    /// The stores of a bucket, or of a prefix of it.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub async fn catalog(&self, source: &Source) -> Result<Arc<Bucket>, Error> {
        let mut catalogs = self.catalogs.lock().await;
        if let Some(catalog) = catalogs.get(source) {
            return Ok(Arc::clone(catalog));
        }
        let backend = self.backend(source).await?;
        let layouts = self.connect.layouts()?;
        let catalog = Arc::new(Bucket::with(backend, &*source.prefix, layouts));
        catalogs.insert(source.clone(), Arc::clone(&catalog));
        Ok(catalog)
    }

    /// The server that a bucket is on.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub async fn server(&self, source: &Source) -> Result<Server, Error> {
        Ok(self.backend(source).await?.server().clone())
    }

    async fn backend(&self, source: &Source) -> Result<Arc<dyn Backend>, Error> {
        let mut backends = self.backends.lock().await;
        if let Some(backend) = backends.get(&source.bucket) {
            return Ok(Arc::clone(backend));
        }
        let backend = self.connect.connect(source).await?;
        backends.insert(source.bucket.clone(), Arc::clone(&backend));
        Ok(backend)
    }
}
