//! `etagfs watch`: changes of a key, or of all keys that begin alike, as they are noticed; printed, or told to a
//! command.

use std::cell::Cell;
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use clap::Args as ClapArgs;
use serde_json::{Map, Value};

use super::filter::{Cut, Filter};
use super::metadata_args;
use super::reach::{CommandResult, Reach};
use super::stop::{Stage, Stop};
use super::target::Target;
use crate::cli::output::{note, offer};
use crate::cli::report::Failure;
use crate::client::{Changed, Client, Noticed, Watch};
use crate::model::Version;

/// The options of `watch`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// A key: s3://BUCKET[/PREFIX]/UUID/KEY, or a path; or all keys of a store, or all keys below a
    /// prefix: a URL that ends with /.
    target: Target,
    /// A command to run for each change, instead of a line of JSON. In its environment: ETAGFS_KEY,
    /// ETAGFS_ETAG (empty when the key was deleted, or is a file that has none), ETAGFS_EVENT.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// How long to wait between two requests, in seconds.
    #[arg(
        long,
        env = "ETAGFS_INTERVAL",
        value_name = "SECONDS",
        default_value = "2",
        value_parser = crate::cli::units::seconds
    )]
    interval: Duration,
    /// End after this many changes.
    #[arg(long, value_name = "CHANGES")]
    count: Option<u64>,
    /// Report the keys that exist at the beginning too.
    #[arg(long)]
    initial: bool,
    /// The version of the key that you know already: any other one is a change.
    #[arg(long, value_name = "ETAG", value_parser = metadata_args::version, conflicts_with = "initial")]
    since: Option<Version>,
    #[command(flatten)]
    reach: Reach,
}

/// Watches until it is ended, or has seen enough.
pub(in crate::cli) fn run(args: &Args) -> CommandResult {
    args.reach
        .run(async |client| match args.command.is_empty() {
            true => watch(args, client, None).await,
            false => {
                let ended = |signal, _| Failure::told(Stop::code(signal));
                Stop::guard(ended, async |stop| watch(args, client, Some(stop)).await).await
            }
        })
}

async fn watch(args: &Args, client: Client, stop: Option<&Stop>) -> CommandResult {
    let watch = Watch {
        interval: args.interval,
        initial: args.initial,
        since: args.since.clone(),
    };
    let told = Cell::new(0);
    let notice = async |noticed| {
        match noticed {
            Noticed::Outage(error) => {
                let failure = Failure::from(error);
                note(&format!("etagfs: {}; going on", failure.message()));
            }
            Noticed::Change(change) => {
                let is_heard = tell(args, &change, stop).await?;
                told.set(told.get() + 1);
                if !is_heard || args.count.is_some_and(|count| told.get() >= count) {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok::<_, Failure>(ControlFlow::Continue(()))
    };
    client.watch(&args.target.address()?, &watch, notice).await
}

/// Whether anybody listens.
async fn tell(args: &Args, change: &Changed, stop: Option<&Stop>) -> Result<bool, Failure> {
    let Some(stop) = stop else {
        let mut line = Map::new();
        metadata_args::text_or_bytes(&mut line, "target", change.target.as_bytes());
        line.insert("event".to_owned(), change.event.name().into());
        let etag = change.version.as_ref().map(Version::etag);
        line.insert("etag".to_owned(), etag.into());
        return offer(&format!("{}\n", Value::from(line)));
    };
    let filter = Filter::new(
        &args.command,
        change.target.clone(),
        change.version.as_ref(),
    );
    let filter = filter.event(change.event.name());
    let target = change.target.display();
    match stop.during(Stage::Running, filter.run(stop)).await {
        Ok(Some(Cut::Signal(signal))) => return Err(Failure::told(Stop::code(signal))),
        Ok(Some(_)) => note(&format!(
            "etagfs: {target}: {} wants the terminal, and was ended",
            filter.name()
        )),
        Ok(None) => {}
        Err(failure) => note(&format!("etagfs: {target}: {}", failure.message())),
    }
    Ok(true)
}
