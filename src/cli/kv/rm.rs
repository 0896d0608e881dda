//! `etagfs rm`: deletes keys, each under the condition that it is what was looked at.

use clap::Args as ClapArgs;

use super::backoff::Patience;
use super::place::Place;
use super::put::settled;
use super::said;
use super::session::{self, Reach, Session};
use super::target::Target;
use crate::cli::report::Failure;
use crate::model::{Expect, Outcome, Version};

/// The options of `rm`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, or a path; one or more.
    #[arg(required = true)]
    targets: Vec<Target>,
    /// Only this version; exit with 75 if the key has another one, or is gone.
    #[arg(long, value_name = "ETAG", value_parser = said::version)]
    if_match: Option<Version>,
    /// A key that does not exist is no failure.
    #[arg(long, short)]
    force: bool,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    reach: Reach,
}

/// Deletes, in order, up to the first failure.
pub(in crate::cli) fn run(args: &Args) -> session::Outcome {
    args.reach.run(async |session| rm(args, session).await)
}

async fn rm(args: &Args, session: Session<'_>) -> session::Outcome {
    if args.if_match.is_some() && args.targets.len() > 1 {
        return Err(Failure::usage("--if-match goes with one key only")
            .hint("several keys with their versions: etagfs mrm"));
    }
    let mut removed = Vec::new();
    for target in &args.targets {
        match remove(args, &session, target).await {
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
async fn remove(args: &Args, session: &Session<'_>, target: &Target) -> Result<bool, Failure> {
    let place = session.place(target).await?;
    let existed = match &args.if_match {
        Some(version) => remove_named(&place, version).await.map(|()| true)?,
        None => remove_any(&place, args.patience).await?,
    };
    match existed || args.force {
        true => Ok(existed),
        false => Err(place.absent()),
    }
}

/// Deletes a version that somebody named. Two requests: a delete that finds nothing is done, whoever did
/// it (W8), so that whether there was anything has to be asked before.
///
/// # Errors
/// A conflict when the key has another one, or is gone.
pub(super) async fn remove_named(place: &Place, version: &Version) -> Result<(), Failure> {
    if let Place::Remote(_) = place {
        let found = place.look().await?.and_then(|about| about.version);
        if found.as_ref() != Some(version) {
            return Err(place.conflict(&Expect::Is(version.clone())));
        }
    }
    remove_if(place, version).await
}

/// Deletes a version that was there a moment ago. One request.
///
/// # Errors
/// A conflict when the key has another one.
pub(super) async fn remove_if(place: &Place, version: &Version) -> Result<(), Failure> {
    let expect = Expect::Is(version.clone());
    settled(place, place.delete(version).await?, &expect)
}

/// Deletes whatever is there; whether there was anything. Two requests, and two more for each time
/// that somebody else saves it in between.
///
/// # Errors
/// A conflict when patience ends.
pub(super) async fn remove_any(place: &Place, patience: Patience) -> Result<bool, Failure> {
    let mut tries = patience.begin();
    loop {
        let outcome = match place {
            Place::Path(path) => path.unlink()?,
            Place::Remote(_) => {
                let asked = std::time::Instant::now();
                let found = place.look().await?;
                tries.measured(asked.elapsed());
                match found.and_then(|about| about.version) {
                    None => Outcome::Saved(false),
                    Some(version) => place.delete(&version).await?.map(|()| true),
                }
            }
        };
        match outcome {
            Outcome::Saved(existed) => return Ok(existed),
            Outcome::Unknown => return Err(place.unknown()),
            Outcome::Refused(_) if tries.another().await => {}
            Outcome::Refused(_) => return Err(place.contended(tries.made())),
        }
    }
}
