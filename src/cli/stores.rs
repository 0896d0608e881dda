//! `etagfs stores`: the stores of a bucket, without a mount.

use clap::{Args as ClapArgs, Subcommand};
use uuid::Uuid;

use super::konserve::Layout;
use super::kv;
use super::output::{note, say};
use super::quoted::quoted;
use super::report::Failure;
use super::source::{Connection, Source};
use super::{log, runtime};
use crate::model::StoreId;
use crate::store::{Bucket, Catalog as _, Error};

/// The options of `stores`.
#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all stores, one a line.
    Ls(Ls),
    /// Create an empty store and print its name. If several try at once, exactly one succeeds; the
    /// others exit with 75.
    Create(CreateStore),
    /// Succeed if the store exists; exit with 66 if it does not.
    Exists(OneStore),
    /// Remove a store, if it is empty.
    Rm(Rm),
    /// Copy a store, with logs and encrypted values, byte for byte.
    Copy(Box<kv::CopyStore>),
}

#[derive(Debug, ClapArgs)]
struct Ls {
    /// s3://BUCKET[/PREFIX].
    source: String,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, ClapArgs)]
struct CreateStore {
    /// s3://BUCKET[/PREFIX].
    source: String,
    /// Its name [default: a new one].
    uuid: Option<String>,
    /// Its layout.
    #[arg(long, env = "ETAGFS_LAYOUT", value_enum, default_value = "plain")]
    layout: Layout,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, ClapArgs)]
struct OneStore {
    /// s3://BUCKET[/PREFIX], or the store itself: s3://BUCKET[/PREFIX]/UUID.
    source: String,
    /// Its name, unless SOURCE has it.
    uuid: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, ClapArgs)]
struct Rm {
    /// With all of its values, for good.
    #[arg(long)]
    recursive: bool,
    #[command(flatten)]
    store: OneStore,
}

/// The store that is named by itself, by its source, or by both in the same way; none if by neither.
fn named(
    source: &str,
    uuid: Option<&str>,
    connection: &Connection,
) -> Result<(Source, Option<StoreId>), Failure> {
    let id = uuid.map(parse).transpose()?;
    let (source, store) = Source::with_store(source, connection, false)?;
    match (id, store) {
        (Some(one), Some(other)) if one != other => Err(Failure::usage(
            "two stores are named: one in SOURCE and one in --store",
        )),
        (id, store) => Ok((source, id.or(store))),
    }
}

impl OneStore {
    fn named(&self) -> Result<(Source, StoreId), Failure> {
        let (source, id) = named(&self.source, self.uuid.as_deref(), &self.connection)?;
        let id = id.ok_or_else(|| {
            Failure::usage(format!("{} names no store", self.source))
                .hint("give its UUID too; list them: etagfs stores ls")
        })?;
        Ok((source, id))
    }
}

/// Does what was asked.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    log::start("error", log::Destination::Stderr).map_err(Failure::usage)?;
    runtime()?.block_on(async {
        match args.command {
            Command::Copy(args) => kv::copy_store(&args).await,
            Command::Ls(args) => ls(args).await,
            Command::Create(args) => {
                let (source, id) = named(&args.source, args.uuid.as_deref(), &args.connection)?;
                let id = id.unwrap_or_else(|| StoreId::new(Uuid::new_v4()));
                catalog(&source, &args.connection)
                    .await?
                    .creating(args.layout.into())
                    .create_new(id)
                    .await
                    .map_err(|error| match error {
                        Error::Exists(_) => Failure::conflict(error.to_string()),
                        error => error.into(),
                    })?;
                say(&format!("{id}\n"))
                    .map_err(|failure| failure.after(&format!("the store {id} was made")))
            }
            Command::Exists(args) => {
                let (source, id) = args.named()?;
                let catalog = catalog(&source, &args.connection).await?;
                match catalog.find(id).await? {
                    Some(_) => Ok(()),
                    None => Err(missing(&source, id)),
                }
            }
            Command::Rm(args) => {
                let (source, id) = args.store.named()?;
                let catalog = catalog(&source, &args.store.connection).await?;
                let removed = match args.recursive {
                    true => catalog.remove_all(id).await.map(|_| ()),
                    false => catalog.remove(id).await,
                };
                let label = source.label();
                match removed {
                    // The bucket itself may be missing.
                    Err(Error::NotFound(_)) if catalog.find(id).await?.is_none() => {
                        Err(missing(&source, id))
                    }
                    Err(Error::NotEmpty(what)) => Err(Failure::new(format!("{what} is not empty"))
                        .hint(format!(
                            "see what is in it: etagfs ls -R {1}; with all of it: etagfs stores rm \
                             --recursive {0} {id}",
                            quoted(&label),
                            quoted(format_args!("{label}/{id}"))
                        ))),
                    removed => Ok(removed?),
                }
            }
        }
    })
}

async fn ls(args: Ls) -> Result<(), Failure> {
    let (source, store) = Source::with_store(&args.source, &args.connection, false)?;
    if store.is_some() {
        return Err(
            Failure::usage(format!("{} is a store", args.source)).hint(format!(
                "its keys: etagfs ls {}; the stores: etagfs stores ls {}",
                quoted(&args.source),
                quoted(source.label())
            )),
        );
    }
    let catalog = catalog(&source, &args.connection).await?;
    let mut text = String::new();
    let stores = catalog.list().await?;
    if stores.is_empty() && catalog.is_foreign().await? {
        note(&format!("etagfs: {}", no_stores(&source.label())));
    }
    for store in stores {
        let layout = store.layout.as_str();
        let line = match args.json {
            true => {
                serde_json::json!({ "store": store.id.to_string(), "layout": layout }).to_string()
            }
            false => format!("{}  {layout}", store.id),
        };
        text.push_str(&line);
        text.push('\n');
    }
    say(&text)
}

/// The message about a bucket that other programs fill.
pub(super) fn no_stores(label: &str) -> String {
    format!("{label} holds objects, but no store; use --flat to mount the objects themselves")
}

async fn catalog(source: &Source, connection: &Connection) -> Result<Bucket, Failure> {
    let backend = connection.connect(source).await?;
    Ok(Bucket::new(backend, source.prefix.clone()))
}

fn missing(source: &Source, id: StoreId) -> Failure {
    let label = source.label();
    let failure = Failure::absent(format!("{label} has no store {id}"));
    failure.hint(format!("list them: etagfs stores ls {}", quoted(label)))
}

fn parse(text: &str) -> Result<StoreId, Failure> {
    StoreId::parse(text).ok_or_else(|| {
        Failure::usage(format!("{text:?} is no store"))
            .hint("stores are named by UUIDs in lower case, with hyphens")
    })
}
