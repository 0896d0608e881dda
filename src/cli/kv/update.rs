//! `etagfs update`: a value through a command, and saved if nobody else was faster; else again. The loop is the
//! client's; here is the command.

use std::ffi::OsString;

use clap::Args as ClapArgs;

use super::filter::{Bounds, Cut, Filter, FilterEnd};
use super::metadata_args;
use super::patience::RetryOptions;
use super::put::saved;
use super::reach::{CommandResult, Reach};
use super::stop::{Stage, Stop};
use super::target::Target;
use crate::cli::output::{copy, say_json};
use crate::cli::report::Failure;
use crate::client::{Change, Client, Current, Location, Phase, Updated, update_observed};
use crate::model::Version;

/// The options of `update`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, or a path.
    target: Target,
    /// The command: the old value is its input, its output the new one. A key that does not exist is an
    /// empty input, and is created. If the output is the input, nothing is written. If it fails, the
    /// value stays as it is, and etagfs exits with its code. It runs again each time that somebody else
    /// saves first. In its environment: ETAGFS_KEY, ETAGFS_ETAG.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Print the final value.
    #[arg(long, conflicts_with = "json")]
    print: bool,
    /// Print one JSON object: the ETag, whether anything changed, how many tries it took.
    #[arg(long)]
    json: bool,
    /// The largest output of the command.
    #[arg(
        long,
        env = "ETAGFS_MAX_OUTPUT",
        value_name = "SIZE",
        default_value = "256M",
        value_parser = crate::cli::units::size
    )]
    max_output: u64,
    /// Let the command use the terminal, as an editor does. Ctrl-C and Ctrl-\\ then go to the command, and it may take
    /// as long as it likes, unless --timeout is given: then only the command itself is ended, not what it has started.
    #[arg(long)]
    foreground: bool,
    #[command(flatten)]
    patience: RetryOptions,
    #[command(flatten)]
    reach: Reach,
}

/// Updates.
pub(in crate::cli) fn run(args: &Args) -> CommandResult {
    args.reach.run(async |client| {
        let ended = |signal, step| match step {
            Stage::Saving => {
                let left = format!("it is not known whether {} was written", args.target);
                Stop::failure(signal, &left)
            }
            Stage::Looking | Stage::Running | Stage::Lending => {
                Stop::failure(signal, &format!("{} was left as it was", args.target))
            }
        };
        Stop::guard(ended, async |stop| update(args, client, stop).await).await
    })
}

async fn update(args: &Args, client: Client, stop: &Stop) -> CommandResult {
    let location = client.location(args.target.address()?).await?;
    // Whoever works at a terminal takes the time it takes.
    let retry = match args.foreground {
        true => args.patience.retry_endlessly(),
        false => args.patience.retry(),
    };
    let observe = |phase| {
        stop.enter(match (phase, args.foreground) {
            (Phase::Reading | Phase::Done, _) => Stage::Looking,
            (Phase::Changing, true) => Stage::Lending,
            (Phase::Changing, false) => Stage::Running,
            (Phase::Saving, _) => Stage::Saving,
        });
    };
    let change = async |current| change(args, &*location, current, stop).await;
    let updated = update_observed(&*location, change, retry, observe).await?;
    tell(args, &*location, &updated).await
}

/// What the command makes of a value.
async fn change(
    args: &Args,
    location: &dyn Location,
    current: Current,
    stop: &Stop,
) -> Result<Change, Failure> {
    let filter = Filter::new(&args.command, location.spelling(), current.version());
    let bounds = Bounds {
        time: current.time_left,
        output: args.max_output,
        foreground: args.foreground,
    };
    match filter.pipe(&current.bytes, bounds, stop).await {
        Ok(FilterEnd::Printed(after)) => Ok(Change::Save(after)),
        Ok(FilterEnd::Cut(why)) => Err(cut(why, args, &filter, location)),
        Err(failure) => {
            let hint = format!("{} was left as it was", location.label());
            Err(failure.hint(hint))
        }
    }
}

/// Why the command was ended, and that nothing came of it.
fn cut(why: Cut, args: &Args, filter: &Filter<'_>, location: &dyn Location) -> Failure {
    let (name, left) = (
        filter.name(),
        format!("{} was left as it was", location.label()),
    );
    match why {
        Cut::Late => Failure::conflict(format!("time was up while {name} ran; {left}"))
            .hint("give it more time: --timeout SECONDS"),
        Cut::Much => Failure::new(format!(
            "{name} printed more than {} bytes; {left}",
            args.max_output
        ))
        .hint("let it print more: --max-output SIZE"),
        Cut::Terminal => Failure::new(format!("{name} wants the terminal; {left}"))
            .hint("let it have the terminal: --foreground"),
        Cut::Signal(signal) => Stop::failure(signal, &left),
    }
}

async fn tell(args: &Args, location: &dyn Location, updated: &Updated) -> CommandResult {
    let Updated {
        bytes,
        version,
        changed,
        attempts,
    } = updated;
    let told = if args.print {
        copy(&bytes[..])
    } else if args.json {
        let version = location.version_of(version.clone(), bytes).await;
        let mut map = metadata_args::target(location);
        let etag = version.as_ref().map(Version::etag);
        map.insert("etag".to_owned(), etag.into());
        map.insert("changed".to_owned(), (*changed).into());
        map.insert("tries".to_owned(), (*attempts).into());
        say_json(&map.into())
    } else {
        Ok(())
    };
    told.map_err(|failure| match changed {
        true => failure.after(&saved(location, version.as_ref())),
        false => failure,
    })
}
