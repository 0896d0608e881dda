//! `etagfs mget`, `mput` and `mrm`: any number of keys, several at once, one line of JSON for each, in
//! the order of the input.
//!
//! What `mget` prints `mput` and `mrm` read, so that a change of many values is a pipeline. Nothing here
//! is atomic: each key has its own condition and its own result.

use std::ffi::OsStr;
use std::io::BufRead;

use clap::Args as ClapArgs;
use futures_util::stream::{self, Stream, StreamExt};
use serde_json::{Map, Value, json};
use tokio::sync::mpsc;

use super::backoff::Patience;
use super::item::{Given, Item};
use super::place::{Answer, Wanted};
use super::put::{put_if, put_over};
use super::rm::{remove_any, remove_if};
use super::said;
use super::session::{Outcome, Reach, Session};
use super::target::Target;
use crate::cli::output::{Progress, offer};
use crate::cli::report::{CONFLICT, Failure};
use crate::model::Expect;

/// So many lines of input wait to be worked on.
const WAITING: usize = 64;

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
    /// One after the other, in the order of the input, and none after the first that fails: what
    /// points to other keys comes last.
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
    patience: Patience,
    #[command(flatten)]
    reach: Reach,
}

/// The options of `mrm`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Remove {
    #[command(flatten)]
    keys: Keys,
    /// The input is what mget printed; only keys that still have that version.
    #[arg(long, conflicts_with = "keys")]
    if_unchanged: bool,
    #[command(flatten)]
    work: Work,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    reach: Reach,
}

#[derive(Debug, ClapArgs)]
struct Keys {
    /// Keys: URLs or paths, or with --in the names of keys [default: lines of standard input].
    keys: Vec<String>,
}

#[derive(Debug, ClapArgs)]
struct Work {
    /// The store or directory that the keys are in.
    #[arg(long = "in", value_name = "URL|DIR")]
    base: Option<Target>,
    /// How many keys are worked on at once.
    #[arg(
        long,
        env = "ETAGFS_AT_ONCE",
        value_name = "KEYS",
        default_value_t = 16
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
pub(in crate::cli) fn get(args: &Get) -> Outcome {
    args.reach.run(async |session| {
        let one = async |item: Result<Item, Failure>| {
            report(item, async |item| {
                let place = session.place(&args.work.target(item)).await?;
                match place.read(&Wanted::Newest, None).await? {
                    Answer::Got(got) => {
                        let mut line = said::about(&place.label(), &got.about);
                        let (name, value) = said::value(&got.content.into_bytes()?);
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
pub(in crate::cli) fn put(args: &Put) -> Outcome {
    args.reach.run(async |session| {
        let stopped = std::cell::Cell::new(false);
        let one = async |item: Result<Item, Failure>| {
            if stopped.get() {
                return skipped(item);
            }
            let done = report(item, async |item| save(args, &session, item).await).await;
            stopped.set(args.ordered && done.code != 0);
            done
        };
        let at_once = match args.ordered {
            true => 1,
            false => args.work.at_once(),
        };
        let results = lines().map(Item::parse).map(one).buffered(at_once);
        print("values saved:", None, true, results).await
    })
}

async fn save(
    args: &Put,
    session: &Session<'_>,
    item: &Item,
) -> Result<Map<String, Value>, Failure> {
    let place = session.place(&args.work.target(item)).await?;
    let bytes = item.bytes()?;
    let travels = item.travels()?;
    let expect = match (item.given()?, args.create, args.if_unchanged) {
        (_, true, _) | (Given::Absent, _, _) => Some(Expect::Absent),
        (Given::Version(version), ..) => Some(Expect::Is(version)),
        (Given::Nothing, _, true) => Some(Expect::from(item.etag()?)),
        (Given::Nothing, _, false) => None,
    };
    let version = match expect {
        Some(expect) => put_if(&place, bytes.clone(), &travels, &expect).await?,
        None => put_over(&place, bytes.clone(), &travels, args.patience).await?,
    };
    let version = place.version_of(version, &bytes);
    let mut line = Map::new();
    line.insert("target".to_owned(), place.label().into());
    if let Some(version) = version {
        line.insert("etag".to_owned(), version.etag().into());
    }
    Ok(with("saved", line))
}

/// Deletes keys.
pub(in crate::cli) fn remove(args: &Remove) -> Outcome {
    args.reach.run(async |session| {
        let one = async |item: Result<Item, Failure>| {
            report(item, async |item| {
                let place = session.place(&args.work.target(item)).await?;
                let version = match args.if_unchanged {
                    true => item.etag()?,
                    false => None,
                };
                let existed = match version {
                    Some(version) => remove_if(&place, &version).await.map(|()| true)?,
                    None if args.if_unchanged => match place.look().await? {
                        None => false,
                        Some(_) => return Err(place.conflict(&Expect::Absent)),
                    },
                    None => remove_any(&place, args.patience).await?,
                };
                let status = if existed { "removed" } else { "absent" };
                let target = json!({ "target": place.label() });
                Ok(with(
                    status,
                    target.as_object().cloned().unwrap_or_default(),
                ))
            })
            .await
        };
        let at_once = args.work.at_once();
        match args.if_unchanged {
            true => {
                let results = lines().map(Item::parse).map(one).buffered(at_once);
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
    fn target(&self, item: &Item) -> Target {
        match &self.base {
            Some(base) => base.join(item.key()),
            None => Target::from(OsStr::new(item.key())),
        }
    }

    fn at_once(&self) -> usize {
        self.at_once.max(1)
    }
}

impl Keys {
    fn count(&self) -> Option<u64> {
        (!self.keys.is_empty()).then_some(self.keys.len() as u64)
    }

    /// The keys of the command line, or of standard input.
    fn items(&self) -> impl Stream<Item = Result<Item, Failure>> {
        let given = stream::iter(self.keys.clone()).map(Ok);
        let asked = match self.keys.is_empty() {
            true => lines().left_stream(),
            false => stream::empty().right_stream(),
        };
        given
            .chain(asked)
            .map(|key: Result<String, Failure>| key.map(Item::named))
    }
}

/// The lines of standard input. A thread waits for them, so that nothing else does.
fn lines() -> impl Stream<Item = Result<String, Failure>> {
    let (send, receive) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        // Not `lines()`: a key may end with a carriage return.
        for line in std::io::stdin().lock().split(b'\n') {
            let text = |line| String::from_utf8(line).map_err(std::io::Error::other);
            let line = line
                .and_then(text)
                .map_err(|error| Failure::new(format!("standard input: {error}")));
            let is_last = line.is_err();
            if line.as_ref().is_ok_and(String::is_empty) {
                continue;
            }
            if send.blocking_send(line).is_err() || is_last {
                break;
            }
        }
    });
    stream::unfold(receive, async |mut receive| {
        let line = receive.recv().await?;
        Some((line, receive))
    })
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

/// Prints results as they come, in order. What changes something goes on when nobody reads any more.
async fn print(
    what: &'static str,
    total: Option<u64>,
    changes: bool,
    results: impl Stream<Item = Done>,
) -> Outcome {
    let mut progress = Progress::new(what, total);
    let (mut failed, mut conflicts) = (0_u64, 0_u64);
    let mut is_read = true;
    let mut results = std::pin::pin!(results);
    while let Some(done) = results.next().await {
        match done.code {
            0 => {}
            CONFLICT => conflicts += 1,
            _ => failed += 1,
        }
        is_read = is_read && offer(&format!("{}\n", Value::from(done.line)))?;
        if !is_read && !changes {
            break;
        }
        progress.step();
    }
    drop(progress);
    match (failed, conflicts) {
        (0, 0) => Ok(()),
        (0, conflicts) => Err(Failure::conflict(format!(
            "somebody else was first at {conflicts} keys"
        ))
        .hint("the lines with the status \"conflict\" say which; read those again")),
        (failed, _) => Err(Failure::new(format!("{failed} keys failed"))
            .hint("the lines with the status \"failed\" say which, and why")),
    }
}
