//! `etagfs mget`, `mput` and `mrm`: any number of keys, several at once, one line of JSON for each, in
//! the order of the input.
//!
//! What `mget` prints `mput` and `mrm` read, so that a change of many values is a pipeline. Nothing here
//! is atomic: each key has its own condition and its own result.

use std::ffi::OsStr;
use std::sync::Arc;

use clap::Args as ClapArgs;
use futures_util::stream::{self, Stream, StreamExt};
use serde_json::{Map, Value};

use super::item::{Given, Item};
use super::lines::{LineFormat, lines};
use super::metadata_args;
use super::patience::RetryOptions;
use super::reach::{CommandResult, Reach};
use super::target::Target;
use crate::cli::output::{Progress, offer};
use crate::cli::report::{CONFLICT, Failure};
use crate::client::{self, Client, Location, ReadOutcome, Wanted, conflict};
use crate::model::Precondition;

/// The options of `mget`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Get {
    #[command(flatten)]
    keys: Keys,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    reach: Reach,
}

/// The options of `mput`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Put {
    /// Save in input order and stop at the first failure; put keys that point to other keys last.
    #[arg(long)]
    ordered: bool,
    /// Only keys that do not exist.
    #[arg(long)]
    create: bool,
    /// Only keys that still have the version that their line says ("etag"), as mget printed it; a line
    /// without one, and an absent key, must not exist.
    #[arg(long, conflicts_with = "create")]
    if_unchanged: bool,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    patience: RetryOptions,
    #[command(flatten)]
    reach: Reach,
}

/// The options of `mrm`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Remove {
    #[command(flatten)]
    keys: Keys,
    /// The input is what mget printed; only keys that still have that version.
    #[arg(long, conflicts_with_all = ["keys", "null"])]
    if_unchanged: bool,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    patience: RetryOptions,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, ClapArgs)]
struct Keys {
    /// Keys: URLs or paths, or with --in the names of keys [default: lines of standard input].
    keys: Vec<String>,
    /// The keys of standard input end with NUL, not with lines, as ls --null prints them.
    #[arg(long, short = '0', conflicts_with = "keys")]
    null: bool,
    /// The lines of standard input are JSON with "key", as ls --json and mget print them.
    #[arg(long, conflicts_with_all = ["keys", "null"])]
    json: bool,
}

#[derive(Debug, ClapArgs)]
struct Work {
    /// The store or directory that the keys are in. A name that leads out of a directory is a failure.
    #[arg(long = "in", value_name = "URL|DIR")]
    base: Option<Target>,
    /// How many keys are worked on at once.
    #[arg(
        long,
        env = "ETAGFS_AT_ONCE",
        value_name = "KEYS",
        default_value = "16",
        value_parser = crate::cli::units::at_once
    )]
    at_once: usize,
}

/// What became of one key.
struct Done {
    line: Map<String, Value>,
    /// The exit code that it asks for.
    code: u8,
}

/// Prints values.
pub(in crate::cli) fn get(args: &Get) -> CommandResult {
    args.reach.run(async |client| {
        let one = async |item: Result<Item, Failure>| {
            report(item, async |item| {
                let location = args.work.location(&client, item).await?;
                match location.read(&Wanted::Newest, None).await? {
                    ReadOutcome::Got(got) => {
                        let mut line = metadata_args::about(&*location, &got.about);
                        let (name, value) = metadata_args::value(&got.content.into_bytes()?);
                        line.insert(name, value);
                        Ok(with("found", line))
                    }
                    _ => Ok(with("absent", Map::new())),
                }
            })
            .await
        };
        let results = args.keys.items().map(one).buffered(args.work.at_once());
        print("values read:", args.keys.count(), false, results).await
    })
}

/// Saves values.
pub(in crate::cli) fn put(args: &Put) -> CommandResult {
    args.reach.run(async |client| {
        let stopped = std::cell::Cell::new(false);
        let one = async |item: Result<Item, Failure>| {
            if stopped.get() {
                return skipped(item);
            }
            let done = report(item, async |item| save(args, &client, item).await).await;
            stopped.set(args.ordered && done.code != 0);
            done
        };
        let at_once = match args.ordered {
            true => 1,
            false => args.work.at_once(),
        };
        let results = lines(LineFormat::Json)
            .map(Item::parse)
            .map(one)
            .buffered(at_once);
        print("values saved:", None, true, results).await
    })
}

async fn save(args: &Put, client: &Client, item: &Item) -> Result<Map<String, Value>, Failure> {
    let location = args.work.location(client, item).await?;
    let bytes = item.bytes()?;
    let metadata = item.metadata()?;
    let expect = match (item.given()?, args.create, args.if_unchanged) {
        (_, true, _) | (Given::Absent, _, _) => Some(Precondition::Absent),
        (Given::Version(version), ..) => Some(Precondition::Is(version)),
        (Given::Nothing, _, true) => Some(Precondition::from(item.etag()?)),
        (Given::Nothing, _, false) => None,
    };
    let version = match expect {
        Some(expect) => client::put_if(&*location, bytes.clone(), &metadata, &expect).await?,
        None => client::put(&*location, bytes.clone(), &metadata, args.patience.retry()).await?,
    };
    let version = location.version_of(version, &bytes).await;
    let mut line = metadata_args::target(&*location);
    if let Some(version) = version {
        line.insert("etag".to_owned(), version.etag().into());
    }
    Ok(with("saved", line))
}

/// Deletes keys.
pub(in crate::cli) fn remove(args: &Remove) -> CommandResult {
    args.reach.run(async |client| {
        let one = async |item: Result<Item, Failure>| {
            report(item, async |item| {
                let location = args.work.location(&client, item).await?;
                let version = match args.if_unchanged {
                    true => item.etag()?,
                    false => None,
                };
                let existed = match version {
                    Some(version) => {
                        client::delete_if(&*location, &version).await?;
                        true
                    }
                    None if args.if_unchanged => match location.look().await? {
                        None => false,
                        Some(_) => {
                            return Err(conflict(location.label(), &Precondition::Absent).into());
                        }
                    },
                    None => client::delete(&*location, args.patience.retry()).await?,
                };
                let status = if existed { "removed" } else { "absent" };
                Ok(with(status, metadata_args::target(&*location)))
            })
            .await
        };
        let at_once = args.work.at_once();
        match args.if_unchanged {
            true => {
                let results = lines(LineFormat::Json)
                    .map(Item::parse)
                    .map(one)
                    .buffered(at_once);
                print("keys deleted:", None, true, results).await
            }
            false => {
                let results = args.keys.items().map(one).buffered(at_once);
                print("keys deleted:", args.keys.count(), true, results).await
            }
        }
    })
}

impl Work {
    async fn location(&self, client: &Client, item: &Item) -> Result<Arc<dyn Location>, Failure> {
        let name = item.key();
        Ok(match &self.base {
            Some(Target::At(client::Target::Path(base))) => client.below(base, name)?,
            Some(base) => client.location(base.address()?.join(name)).await?,
            None => {
                // What mget printed says where it was, which the key alone does not.
                let name = item.target().unwrap_or(name);
                let target = Target::from(OsStr::new(name));
                client.location(target.address()?).await?
            }
        })
    }

    fn at_once(&self) -> usize {
        self.at_once
    }
}

impl Keys {
    fn count(&self) -> Option<u64> {
        (!self.keys.is_empty()).then_some(self.keys.len() as u64)
    }

    /// The keys of the command line, or of standard input.
    fn items(&self) -> impl Stream<Item = Result<Item, Failure>> {
        let form = match (self.null, self.json) {
            (true, _) => LineFormat::Null,
            (false, true) => LineFormat::Json,
            (false, false) => LineFormat::Keys,
        };
        let given = stream::iter(self.keys.clone()).map(Ok);
        let asked = match self.keys.is_empty() {
            true => lines(form).left_stream(),
            false => stream::empty().right_stream(),
        };
        given
            .chain(asked)
            .map(move |text: Result<String, Failure>| match form {
                LineFormat::Json => Item::parse(text),
                LineFormat::Keys | LineFormat::Null => text.map(Item::named),
            })
    }
}

fn with(status: &str, mut line: Map<String, Value>) -> Map<String, Value> {
    line.insert("status".to_owned(), status.into());
    line
}

/// Does something with a key, and says what came of it.
async fn report(
    item: Result<Item, Failure>,
    work: impl AsyncFnOnce(&Item) -> Result<Map<String, Value>, Failure>,
) -> Done {
    let (key, result) = match item {
        Ok(item) => (Some(item.key().to_owned()), work(&item).await),
        Err(failure) => (None, Err(failure)),
    };
    let (mut line, code) = match result {
        Ok(line) => (line, 0),
        Err(failure) => {
            let status = match failure.exit_code() {
                CONFLICT => "conflict",
                _ => "failed",
            };
            let mut line = with(status, Map::new());
            line.insert("message".to_owned(), failure.message().into());
            (line, failure.exit_code())
        }
    };
    if let Some(key) = key {
        line.insert("key".to_owned(), key.into());
    }
    Done { line, code }
}

fn skipped(item: Result<Item, Failure>) -> Done {
    let mut line = with("skipped", Map::new());
    if let Ok(item) = item {
        line.insert("key".to_owned(), item.key().into());
    }
    Done { line, code: 0 }
}

/// Prints results as they come, in order. What changes something goes on when nobody reads any more, or they
/// cannot be printed.
async fn print(
    what: &'static str,
    total: Option<u64>,
    changes: bool,
    results: impl Stream<Item = Done>,
) -> CommandResult {
    let mut progress = Progress::new(what, total);
    let mut counts = Totals::default();
    let mut is_read = true;
    let mut unprinted: Option<(u64, Failure)> = None;
    let mut results = std::pin::pin!(results);
    while let Some(done) = results.next().await {
        counts.add(&done);
        match (&mut unprinted, is_read) {
            (Some((lines, _)), _) => *lines += 1,
            (None, true) => match offer(&format!("{}\n", Value::from(done.line))) {
                Ok(goes_on) => is_read = goes_on,
                Err(failure) => unprinted = Some((1, failure)),
            },
            (None, false) => {}
        }
        if !changes && (!is_read || unprinted.is_some()) {
            break;
        }
        progress.step();
    }
    drop(progress);
    match (unprinted, counts.outcome(changes)) {
        (None, outcome) => outcome,
        (Some((_, failure)), _) if !changes => Err(failure),
        (Some((lines, failure)), outcome) => {
            let done = match outcome {
                Ok(()) => format!("{} keys are done", counts.done + counts.absent),
                Err(failure) => failure.message().to_owned(),
            };
            Err(failure.after(&format!("{done}, {lines} of them untold")))
        }
    }
}

/// How many keys fared how.
#[derive(Debug, Default)]
struct Totals {
    done: u64,
    absent: u64,
    conflicts: u64,
    failed: u64,
}

impl Totals {
    fn add(&mut self, done: &Done) {
        let status = done.line.get("status").and_then(Value::as_str);
        match (done.code, status) {
            (0, Some("skipped")) => {}
            // Nothing was there, and nothing was done.
            (0, Some("absent")) => self.absent += 1,
            (0, _) => self.done += 1,
            (CONFLICT, _) => self.conflicts += 1,
            _ => self.failed += 1,
        }
    }

    fn outcome(&self, changes: bool) -> CommandResult {
        let hint = "the lines with the status \"conflict\" say which; read those again";
        match (self.failed, self.conflicts) {
            (0, 0) => Ok(()),
            (0, conflicts) => {
                let failure =
                    Failure::conflict(format!("somebody else was first at {conflicts} keys"));
                let failure = match self.done {
                    // Not the code of a conflict: something was changed.
                    done if changes && done > 0 => failure.after(&format!("{done} keys are done")),
                    _ => failure,
                };
                Err(failure.hint(hint))
            }
            (failed, _) => Err(Failure::new(format!("{failed} keys failed"))
                .hint("the lines with the status \"failed\" say which, and why")),
        }
    }
}
