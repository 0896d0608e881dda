//! `etagfs rm`: deletes keys, each under the condition that it is what was looked at.

use clap::Args as ClapArgs;

use super::metadata_args;
use super::patience::RetryOptions;
use super::reach::{CommandResult, Reach};
use super::target::Target;
use crate::cli::report::Failure;
use crate::client::{self, Client, Error};
use crate::model::Version;

/// The options of `rm`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, or a path; one or more.
    #[arg(required = true)]
    targets: Vec<Target>,
    /// Delete only this version; exit with 75 if the key has another one, or is gone.
    #[arg(long, value_name = "ETAG", value_parser = metadata_args::version)]
    if_match: Option<Version>,
    /// Succeed if a key does not exist.
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    patience: RetryOptions,
    #[command(flatten)]
    reach: Reach,
}

/// Deletes, in order, up to the first failure.
pub(in crate::cli) fn run(args: &Args) -> CommandResult {
    args.reach.run(async |client| rm(args, client).await)
}

async fn rm(args: &Args, client: Client) -> CommandResult {
    if args.if_match.is_some() && args.targets.len() > 1 {
        return Err(Failure::usage("--if-match goes with one key only")
            .hint("several keys with their versions: etagfs mrm"));
    }
    let mut removed = Vec::new();
    for target in &args.targets {
        match remove(args, &client, target).await {
            Ok(true) => removed.push(target.to_string()),
            Ok(false) => {}
            Err(failure) if removed.is_empty() => return Err(failure),
            Err(failure) => {
                return Err(failure.after(&format!("{} was deleted", removed.join(", "))));
            }
        }
    }
    Ok(())
}

/// Whether it existed.
async fn remove(args: &Args, client: &Client, target: &Target) -> Result<bool, Failure> {
    let location = client.location(target.address()?).await?;
    let existed = match &args.if_match {
        Some(version) => client::delete_if(&*location, version)
            .await
            .map(|()| true)?,
        None => client::delete(&*location, args.patience.retry()).await?,
    };
    match existed || args.force {
        true => Ok(existed),
        false => Err(Error::Absent(location.label()).into()),
    }
}
