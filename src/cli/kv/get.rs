//! `etagfs get`: one value, whole, and its version with it.

use bytes::Bytes;
use clap::Args as ClapArgs;

use super::metadata_args;
use super::reach::{CommandResult, Reach};
use super::target::Target;
use crate::cli::output::{copy, say, say_json};
use crate::cli::report::{Failure, UNCHANGED};
use crate::client::{Client, Error, Got, Location, Part, ReadOutcome, Wanted, conflict};
use crate::model::{Precondition, Version};

/// The options of `get`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, or a path.
    target: Target,
    /// Print the ETag to standard error when the value is printed.
    #[arg(long)]
    etag: bool,
    /// Print one JSON object: value, ETag, time, metadata. A value that is no text is in base64.
    #[arg(long)]
    json: bool,
    /// Print this if the key does not exist.
    #[arg(long, value_name = "TEXT")]
    default: Option<String>,
    /// Only these bytes, counted from 0, both ends with them; 100- goes on to the end.
    #[arg(long, value_name = "START-END", value_parser = range)]
    range: Option<Part>,
    /// Print only this version; exit with 75 if the key has another one, or is gone.
    #[arg(long, value_name = "ETAG", value_parser = metadata_args::version)]
    if_match: Option<Version>,
    /// Print only a version other than this; exit with 3 if the key still has it.
    #[arg(long, value_name = "ETAG", value_parser = metadata_args::version, conflicts_with = "if_match")]
    if_none_match: Option<Version>,
    /// A version that a versioned bucket keeps: an id that etagfs versions prints.
    #[arg(long, value_name = "ID", conflicts_with_all = ["if_match", "if_none_match"])]
    version: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

fn range(text: &str) -> Result<Part, String> {
    let wrong = || "write it as START-END or START-, like 0-99".to_owned();
    let (start, end) = text.split_once('-').ok_or_else(wrong)?;
    let start: u64 = start.parse().map_err(|_| wrong())?;
    let end: u64 = match end {
        "" => u64::MAX - 1,
        end => end.parse().map_err(|_| wrong())?,
    };
    match end.checked_sub(start) {
        Some(more) => Ok(Part {
            start,
            len: more.saturating_add(1),
        }),
        None => Err("the end is before the start".to_owned()),
    }
}

/// Prints the value.
pub(in crate::cli) fn run(args: &Args) -> CommandResult {
    args.reach.run(async |client| get(args, client).await)
}

async fn get(args: &Args, client: Client) -> CommandResult {
    let location = client.location(args.target.address()?).await?;
    if args.version.is_some() {
        let hint = "old versions are those of a key: s3://BUCKET/UUID/KEY";
        args.target.url(hint)?;
    }
    let wanted = match (&args.if_match, &args.if_none_match, &args.version) {
        (Some(version), ..) => Wanted::Is(version.clone()),
        (None, Some(version), _) => Wanted::Not(version.clone()),
        (None, None, Some(id)) => Wanted::Kept(id.clone()),
        (None, None, None) => Wanted::Newest,
    };
    match (location.read(&wanted, args.range).await?, &args.default) {
        (ReadOutcome::Got(got), _) => print(args, &*location, *got),
        (ReadOutcome::Absent, Some(text)) if args.json => {
            let (name, value) = metadata_args::value(&Bytes::from(text.clone()));
            let mut map = metadata_args::target(&*location);
            map.insert("absent".to_owned(), true.into());
            map.insert(name, value);
            say_json(&map.into())
        }
        (ReadOutcome::Absent, Some(text)) => say(text),
        (ReadOutcome::Absent, None) => Err(Error::Absent(location.label()).into()),
        (ReadOutcome::Unchanged, _) => Err(Failure::told(UNCHANGED)),
        (ReadOutcome::Other, _) if args.version.is_some() => {
            Err(Error::NoSuchVersion(location.label()).into())
        }
        (ReadOutcome::Other, _) => {
            let expect = Precondition::from(args.if_match.clone());
            Err(conflict(location.label(), &expect).into())
        }
    }
}

fn print(args: &Args, location: &dyn Location, got: Got) -> CommandResult {
    if args.json {
        let mut map = metadata_args::about(location, &got.about);
        let (name, value) = metadata_args::value(&got.content.into_bytes()?);
        map.insert(name, value);
        return say_json(&map.into());
    }
    copy(got.content.reader()?)?;
    if args.etag {
        match got.about.version {
            Some(version) => crate::cli::output::note(version.etag()),
            None => return Err(Failure::new(format!("{} has no ETag", location.label()))),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_both_ends_with_it() {
        for (text, start, len) in [("0-0", 0, 1), ("0-99", 0, 100), ("5-", 5, u64::MAX - 5)] {
            assert_eq!(range(text), Ok(Part { start, len }), "{text}");
        }
        for bad in ["", "5", "-5", "a-b", "2-1"] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }
}
