//! One command's way to its targets: options, connections, and which layout a store has.
//!
//! Targets of one bucket share a connection, and keys of one store what is known of it. The layout of
//! a store is asked for only when it is in doubt: a key that is found where a plain store has it proves
//! the store plain. What is then done with a key is in `remote.rs` and `path.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as ClapArgs;
use tokio::sync::{Mutex, OnceCell};

use super::path::PathKey;
use super::place::Place;
use super::remote::Remote;
use super::target::{HOW_KEYS_ARE_NAMED, Level, Spot, Target, Url};
use crate::backend::Backend;
use crate::cli::konserve::{Layout, Shown};
use crate::cli::report::Failure;
use crate::cli::source::{Connection, Source, State};
use crate::cli::{log, runtime};
use crate::store::{Bucket, Catalog, LayoutName, Store};

/// How long is waited for what a command has left to other threads, when it has ended.
const LEFTOVER: Duration = Duration::from_secs(1);

/// The options that say how targets are reached; those of every key-value command.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Reach {
    #[command(flatten)]
    connection: Connection,
    #[command(flatten)]
    stores: Stores,
    #[command(flatten)]
    konserve: Shown,
    #[command(flatten)]
    state: State,
}

#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Stores")]
struct Stores {
    /// Take s3://BUCKET/KEY for an object of the bucket, without a level of stores.
    #[arg(long, env = "ETAGFS_FLAT", conflicts_with = "store_layout")]
    flat: bool,
    /// The layout of the store [default: found out, with one request more when it is in doubt].
    #[arg(long, env = "ETAGFS_STORE_LAYOUT", value_enum, value_name = "LAYOUT")]
    store_layout: Option<Layout>,
}

impl Reach {
    /// Runs a command.
    ///
    /// # Errors
    /// Its own, and when there is no way to run anything.
    pub(in crate::cli) fn run<'a, F>(&'a self, command: impl FnOnce(Session<'a>) -> F) -> Outcome
    where
        F: Future<Output = Outcome> + 'a,
    {
        log::start("error", log::Target::Stderr).map_err(Failure::usage)?;
        let runtime = runtime()?;
        let outcome = runtime.block_on(command(self.session()));
        // A call of a filesystem that does not answer is nobody's any more.
        runtime.shutdown_timeout(LEFTOVER);
        outcome
    }

    /// The way to the targets of one command.
    pub(in crate::cli) fn session(&self) -> Session<'_> {
        Session::new(self)
    }
}

/// What a command comes to.
pub(in crate::cli) type Outcome = Result<(), Failure>;

/// A running command's connections and stores.
pub(in crate::cli) struct Session<'a> {
    reach: &'a Reach,
    backends: Mutex<HashMap<String, Arc<dyn Backend>>>,
    catalogs: Mutex<HashMap<Source, Arc<Bucket>>>,
    homes: Mutex<HashMap<(Source, Level), Arc<Home>>>,
}

impl<'a> Session<'a> {
    fn new(reach: &'a Reach) -> Self {
        Self {
            reach,
            backends: Mutex::default(),
            catalogs: Mutex::default(),
            homes: Mutex::default(),
        }
    }

    /// The key or file that a target names.
    ///
    /// # Errors
    /// When it names none.
    pub(in crate::cli) async fn place(&self, target: &Target) -> Result<Place, Failure> {
        match target {
            Target::Stream => Err(Failure::usage("- names no key").hint(HOW_KEYS_ARE_NAMED)),
            Target::Path(path) => Ok(Place::Path(PathKey::new(path.clone()).into())),
            Target::Url(url) => {
                let spot = self.spot(url)?;
                let home = self.home(&spot).await?;
                if spot.key.is_empty() {
                    return Err(
                        Failure::usage(format!("{url} names no key")).hint(HOW_KEYS_ARE_NAMED)
                    );
                }
                Ok(Place::Remote(Remote::new(home, spot.key, url.to_string())))
            }
        }
    }

    /// The key at a spot; messages call it `label`.
    ///
    /// # Errors
    /// When there is no such store.
    pub(super) async fn key(&self, spot: &Spot, label: String) -> Result<Place, Failure> {
        let home = self.home(spot).await?;
        Ok(Place::Remote(Remote::new(home, spot.key.clone(), label)))
    }

    /// A bucket, or the part of it below a prefix.
    ///
    /// # Errors
    /// When the text names none.
    pub(super) fn source(&self, text: &str) -> Result<Source, Failure> {
        Source::parse(text, &self.reach.connection)
    }

    /// What a URL means.
    ///
    /// # Errors
    /// When it makes no sense.
    pub(in crate::cli) fn spot(&self, url: &Url) -> Result<Spot, Failure> {
        url.spot(&self.reach.connection.prefix(), self.reach.stores.flat)
    }

    /// The store that a URL leads into.
    ///
    /// # Errors
    /// When it leads into none.
    pub(in crate::cli) async fn home(&self, spot: &Spot) -> Result<Arc<Home>, Failure> {
        if spot.level == Level::Stores {
            return Err(
                Failure::usage(format!("{} names no store", spot.source.label()))
                    .hint(HOW_KEYS_ARE_NAMED),
            );
        }
        let catalog = self.catalog(&spot.source).await?;
        let mut homes = self.homes.lock().await;
        let home = homes
            .entry((spot.source.clone(), spot.level))
            .or_insert_with(|| {
                let told = self.reach.stores.store_layout.map(LayoutName::from);
                Arc::new(Home {
                    source: spot.source.clone(),
                    level: spot.level,
                    catalog,
                    layout: OnceCell::new_with(told),
                })
            });
        Ok(Arc::clone(home))
    }

    /// The stores of a bucket, or of a prefix of it.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub(in crate::cli) async fn catalog(&self, source: &Source) -> Result<Arc<Bucket>, Failure> {
        let mut catalogs = self.catalogs.lock().await;
        if let Some(catalog) = catalogs.get(source) {
            return Ok(Arc::clone(catalog));
        }
        let backend = self.backend(source).await?;
        // Without a directory the names of keys are not kept, and learned again the next time.
        let state = self.reach.state.for_names();
        let layouts = self.reach.konserve.layouts(state.as_deref())?;
        let catalog = Arc::new(Bucket::with(backend, &*source.prefix, layouts));
        catalogs.insert(source.clone(), Arc::clone(&catalog));
        Ok(catalog)
    }

    async fn backend(&self, source: &Source) -> Result<Arc<dyn Backend>, Failure> {
        let mut backends = self.backends.lock().await;
        if let Some(backend) = backends.get(&source.bucket) {
            return Ok(Arc::clone(backend));
        }
        let backend = self.reach.connection.connect(source).await?;
        backends.insert(source.bucket.clone(), Arc::clone(&backend));
        Ok(backend)
    }
}

/// A store that keys are in, and what is known of its layout.
#[derive(Debug)]
pub(in crate::cli) struct Home {
    source: Source,
    level: Level,
    catalog: Arc<Bucket>,
    layout: OnceCell<LayoutName>,
}

impl Home {
    /// Whether there is no doubt about the layout.
    pub(super) fn is_certain(&self) -> bool {
        self.level == Level::Flat || self.layout.initialized()
    }

    /// A key was found where a store of this layout has it.
    pub(super) fn proved(&self, layout: LayoutName) {
        // It was known already, otherwise.
        let _ = self.layout.set(layout);
    }

    /// The store; in the likeliest layout while that is in doubt.
    pub(super) fn assumed(&self) -> Arc<dyn Store> {
        match self.level {
            Level::Store(id) => match self.layout.get() {
                Some(layout) => self.catalog.store_as(id, *layout),
                None => self.catalog.store(id),
            },
            Level::Flat | Level::Stores => self.catalog.flat(),
        }
    }

    /// The store, without doubt; at most one request.
    ///
    /// # Errors
    /// When there is no such store.
    pub(in crate::cli) async fn certain(&self) -> Result<Arc<dyn Store>, Failure> {
        let Level::Store(id) = self.level else {
            return Ok(self.catalog.flat());
        };
        let find = async || {
            match self.catalog.find(id).await? {
            Some(layout) => Ok(layout),
            None => Err(Failure::absent(format!(
                "{} has no store {id}",
                self.source.label()
            ))
            .hint(format!(
                "see which it has: etagfs stores ls {0}; make it: etagfs stores create {0} {id}",
                self.source.label()
            ))),
        }
        };
        self.layout.get_or_try_init(find).await?;
        Ok(self.assumed())
    }
}
