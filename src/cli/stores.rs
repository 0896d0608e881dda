//! `etagfs stores`: the stores of a bucket, without a mount.

use clap::{Args as ClapArgs, Subcommand};
use uuid::Uuid;

use super::konserve::Layout;
use super::kv;
use super::output::{note, say};
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
    /// Create an empty store and print its name. Exactly one of several that try succeeds; the others
    /// exit with 75.
    Create(Create),
    /// Succeed if the store exists; exit with 66 if it does not.
    Exists(One),
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
struct Create {
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
struct One {
    /// s3://BUCKET[/PREFIX].
    source: String,
    /// Its name.
    uuid: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, ClapArgs)]
struct Rm {
    #[command(flatten)]
    store: One,
    /// With all of its values, for good.
    #[arg(long)]
    recursive: bool,
}

/// Does what was asked.
pub(super) fn run(args: Args) -> Result<(), Failure> {
    log::start("error", log::Target::Stderr).map_err(Failure::usage)?;
    runtime()?.block_on(async {
        match args.command {
            Command::Copy(args) => kv::copy_store(&args).await,
            Command::Ls(args) => ls(args).await,
            Command::Create(args) => {
                let id = match &args.uuid {
                    Some(text) => parse(text)?,
                    None => StoreId::new(Uuid::new_v4()),
                };
                catalog(&args.source, &args.connection)
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
                let id = parse(&args.uuid)?;
                let catalog = catalog(&args.source, &args.connection).await?;
                match catalog.find(id).await? {
                    Some(_) => Ok(()),
                    None => Err(Failure::absent(format!(
                        "{} has no store {id}",
                        args.source
                    ))),
                }
            }
            Command::Rm(args) => {
                let id = parse(&args.store.uuid)?;
                let catalog = catalog(&args.store.source, &args.store.connection).await?;
                match args.recursive {
                    true => _ = catalog.remove_all(id).await?,
                    false => catalog.remove(id).await?,
                }
                Ok(())
            }
        }
    })
}

async fn ls(args: Ls) -> Result<(), Failure> {
    let source = Source::parse(&args.source, &args.connection)?;
    let catalog = catalog(&args.source, &args.connection).await?;
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

/// What is told of a bucket that other programs fill.
pub(super) fn no_stores(label: &str) -> String {
    format!("{label} holds objects, but no store; to mount the objects themselves: --flat")
}

async fn catalog(source: &str, connection: &Connection) -> Result<Bucket, Failure> {
    let source = Source::parse(source, connection)?;
    let backend = connection.connect(&source).await?;
    Ok(Bucket::new(backend, source.prefix))
}

fn parse(text: &str) -> Result<StoreId, Failure> {
    StoreId::parse(text).ok_or_else(|| {
        Failure::usage(format!("{text:?} is no store"))
            .hint("stores are named by UUIDs in lower case, with hyphens")
    })
}
