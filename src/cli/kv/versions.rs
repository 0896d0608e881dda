//! `etagfs versions`: what a versioned bucket keeps of a key.

use clap::Args as ClapArgs;
use serde_json::json;

use super::metadata_args;
use super::reach::{CommandResult, Reach};
use super::target::Target;
use crate::backend::ObjectVersion;
use crate::cli::output::say;
use crate::client::{Client, Error, Location};
use crate::model::Version;

/// The options of `versions`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// s3://BUCKET[/PREFIX]/UUID/KEY.
    target: Target,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Prints them, newest first.
pub(in crate::cli) fn run(args: &Args) -> CommandResult {
    args.reach.run(async |client| versions(args, client).await)
}

async fn versions(args: &Args, client: Client) -> CommandResult {
    let hint = "name the key by its URL: s3://BUCKET/UUID/KEY";
    let location = client.key(&args.target.url(hint)?).await?;
    let kept = location.versions().await?;
    if kept.is_empty() {
        return Err(Error::Absent(location.label()).into());
    }
    let line = |kept: &ObjectVersion| match args.json {
        true => json(&location.label(), kept),
        false => text(kept),
    };
    say(&kept.iter().map(line).collect::<String>())
}

fn text(kept: &ObjectVersion) -> String {
    let time = metadata_args::time(kept.modified);
    let snapshot = &kept.snapshot;
    match &kept.version {
        Some(version) => format!("{snapshot}  {time}  {:>12}  {version}\n", kept.size),
        None => format!("{snapshot}  {time}       deleted\n"),
    }
}

fn json(target: &str, kept: &ObjectVersion) -> String {
    let line = json!({
        "target": target,
        "version_id": kept.snapshot,
        "etag": kept.version.as_ref().map(Version::etag),
        "deleted": kept.version.is_none(),
        "modified": metadata_args::time(kept.modified),
        "size": kept.size,
        "newest": kept.newest,
    });
    format!("{line}\n")
}
