//! `etagfs stores copy`: a whole store, byte for byte.

use clap::Args as ClapArgs;
use serde_json::json;
use uuid::Uuid;

use super::reach::{CommandResult, Reach};
use super::target::Target;
use crate::cli::output::{Progress, say, say_json};
use crate::cli::report::Failure;
use crate::client::{self, Client, Spot, UrlLevel};
use crate::model::StoreId;
use crate::store;

/// The options of `stores copy`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// The store: s3://BUCKET[/PREFIX]/UUID.
    source: Target,
    /// Its copy: s3://BUCKET[/PREFIX], and /UUID or nothing. Without a UUID it has the same one in another
    /// place, and a new one in the same.
    target: Target,
    /// Continue an interrupted copy.
    #[arg(long)]
    resume: bool,
    /// Print one JSON object instead of the URL of the copy.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Copies.
pub(in crate::cli) async fn run(args: &Args) -> CommandResult {
    let client = args.reach.client();
    let source = spot(&client, &args.source)?;
    let target = spot(&client, &args.target)?;
    let UrlLevel::Store(from) = source.level else {
        return Err(Failure::usage(format!("{} names no store", args.source))
            .hint("a store is s3://BUCKET[/PREFIX]/UUID"));
    };
    let to = match target.level {
        UrlLevel::Store(to) => to,
        _ if source.source == target.source => StoreId::new(Uuid::new_v4()),
        _ => from,
    };
    if (from, &source.source) == (to, &target.source) {
        return Err(
            Failure::usage(format!("{} is the store itself", args.target))
                .hint("leave the UUID out to get a new one"),
        );
    }
    let catalogs = (
        client.catalog(&source.source).await?,
        client.catalog(&target.source).await?,
    );
    let mut progress: Option<Progress> = None;
    let step = |total: u64| match &mut progress {
        Some(progress) => progress.step(),
        None => progress = Some(Progress::new("objects copied:", Some(total))),
    };
    let copied = store::copy((&*catalogs.0, from), (&*catalogs.1, to), args.resume, step);
    let copied = copied.await;
    drop(progress);
    let copied = copied.map_err(|error| {
        let is_there = matches!(error, store::Error::Exists(_));
        let failure = Failure::from(error);
        match is_there {
            true => failure.hint("--resume continues an interrupted copy"),
            false => failure,
        }
    })?;
    let url = format!("{}/{to}", target.source.label());
    let told = match args.json {
        true => say_json(&json!({
            "target": url,
            "made": copied.made,
            "same": copied.same,
            "others": copied.others,
        })),
        false => say(&format!("{url}\n")),
    };
    told.map_err(|failure| failure.after(&format!("{} was copied to {url}", args.source)))?;
    match copied.others.first() {
        None => Ok(()),
        // Not the code of a conflict: the others were made.
        Some(first) => Err(Failure::new(format!(
            "{} objects of {url} have another value than in {}, like {first}",
            copied.others.len(),
            args.source
        ))
        .hint("they were left as they are: somebody else saved them")),
    }
}

fn spot(client: &Client, target: &Target) -> Result<Spot, Failure> {
    let Target::At(client::Target::Url(url)) = target else {
        return Err(Failure::usage(format!("{target} is no URL"))
            .hint("a store is s3://BUCKET[/PREFIX]/UUID"));
    };
    let spot = client.spot(url)?;
    match spot.key.is_empty() && spot.level != UrlLevel::Flat {
        true => Ok(spot),
        false => Err(Failure::usage(format!("{target} names no store"))
            .hint("a store is s3://BUCKET[/PREFIX]/UUID")),
    }
}
