//! `etagfs rescue diff` and `etagfs rescue apply`: kept bytes beside the value that won, and in its place.
//!
//! An applied rescue replaces the version that its writer knew of, and nothing newer: the same rule as for a second
//! save in a mount (W5).

use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use bytes::Bytes;
use clap::Args as ClapArgs;
use rustix::process::Signal;
use sha2::{Digest, Sha256};

use super::metadata_args;
use super::patience::RetryOptions;
use super::put::saved;
use super::reach::{self, Reach};
use crate::cli::output::{note, say};
use crate::cli::quoted::quoted;
use crate::cli::report::Failure;
use crate::client::{
    Client, Error, Location, ReadOutcome, Remote, Spot, UrlLevel, Wanted, conflict, joined,
};
use crate::model::{Outcome, Precondition, PutId, Server, StoreId, Version};
use crate::store::Metadata;
use crate::vfs::{Begun, Claim, Odd, Record, Rescue};

/// The options of `rescue diff`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Diff {
    /// The id, as `ls` shows it.
    id: String,
    #[command(flatten)]
    reach: Reach,
}

/// The options of `rescue apply`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Apply {
    /// The id, as `ls` shows it.
    id: String,
    /// Replace this version [default: the one that the writer knew of].
    #[arg(long, value_name = "ETAG", value_parser = metadata_args::version)]
    if_match: Option<Version>,
    #[command(flatten)]
    patience: RetryOptions,
    #[command(flatten)]
    reach: Reach,
}

/// A rescue, and the place that its bytes were to be saved at.
struct Rescued {
    record: Record,
    bytes: Bytes,
    location: Remote,
}

fn unreadable_record(odd: &Odd) -> Failure {
    let Odd { id, why, .. } = odd;
    Failure::new(format!("{id} cannot be read: {why}"))
        .hint(format!("see its bytes: etagfs rescue show {}", quoted(id)))
}

async fn kept(
    id: &str,
    rescue: &Rescue,
    reach: &Reach,
    client: &Client,
) -> Result<Rescued, Failure> {
    let missing =
        || Failure::new(format!("there is no rescue {id}")).hint("list them: etagfs rescue ls");
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => missing(),
        _ => Failure::new(format!("{id}: {error}")),
    };
    let record = rescue
        .record(id)
        .map_err(|odd| odd.map_or_else(missing, |odd| unreadable_record(&odd)))?;
    let bytes = rescue.read(id).map_err(unreadable)?.into();
    let level = match StoreId::parse(&record.store) {
        Some(store) => UrlLevel::Store(store),
        None => UrlLevel::Flat,
    };
    let spot = Spot {
        source: reach.source(&record.source)?,
        level,
        key: record.key.clone(),
    };
    if let Some(server) = &record.server {
        let asked = client.server(&spot.source).await?;
        if !server.is_same(&asked) {
            return Err(elsewhere(id, server, &asked));
        }
    }
    let location = client.key_at(&spot, record.address()).await?;
    Ok(Rescued {
        record,
        bytes,
        location,
    })
}

/// That a bucket of this name on another server is another bucket.
fn elsewhere(id: &str, server: &Server, asked: &Server) -> Failure {
    Failure::usage(format!(
        "the rescue {id} is of a bucket on {server}, and not on {asked}"
    ))
    .hint(format!(
        "give no endpoint (--endpoint-url, ETAGFS_ENDPOINT_URL, AWS_ENDPOINT_URL); to save its bytes there all \
         the same: etagfs rescue show {} | etagfs put KEY",
        quoted(id)
    ))
}

/// Goes to the server that a rescue is from, if that is known.
fn towards(id: &str, rescue: &Rescue, reach: &mut Reach) {
    // What is wrong with the record is said by whoever needs it.
    if let Ok(Record {
        server: Some(server),
        ..
    }) = rescue.record(id)
    {
        reach.prefer(&server);
    }
}

/// Shows what would change.
pub(in crate::cli) fn diff(mut args: Diff, rescue: &Rescue) -> reach::CommandResult {
    towards(&args.id, rescue, &mut args.reach);
    args.reach.run(async |client| {
        let kept = kept(&args.id, rescue, &args.reach, &client).await?;
        let (label, current) = match kept.location.read(&Wanted::Newest, None).await? {
            ReadOutcome::Got(got) => {
                let etag = got.about.version.as_ref().map(Version::etag);
                let label = format!("{} {}", kept.location.label(), etag.unwrap_or_default());
                (label, got.content.into_bytes()?)
            }
            _ => (format!("{} (absent)", kept.location.label()), Bytes::new()),
        };
        let rescued = match kept.record.appended {
            true => joined(&current, &kept.bytes),
            false => kept.bytes,
        };
        compare(
            (&label, &current),
            (&format!("rescue {}", args.id), &rescued),
        )
    })
}

/// What diff(1) prints.
fn compare(old: (&str, &[u8]), new: (&str, &[u8])) -> reach::CommandResult {
    if old.1 == new.1 {
        note("they are the same");
        return Ok(());
    }
    let mut command = Command::new("diff");
    command.args(["-u", "--label", old.0, "--label", new.0]);
    let mut files = Vec::new();
    for bytes in [old.1, new.1] {
        let mut file = tempfile::NamedTempFile::new()?;
        file.write_all(bytes)?;
        command.arg(file.path());
        files.push(file);
    }
    let trouble = |why: String| {
        Failure::new(format!("diff: {why}")).hint("see the bytes: etagfs rescue show ID")
    };
    match command.status() {
        // 1 is "they differ".
        Ok(status) if matches!(status.code(), Some(0 | 1)) => Ok(()),
        // Whoever reads has read enough.
        Ok(status) if status.signal() == Some(Signal::PIPE.as_raw()) => Ok(()),
        Ok(status) => Err(trouble(status.to_string())),
        Err(error) => Err(trouble(error.to_string())),
    }
}

/// Saves the bytes after all, prints the ETag, and forgets the rescue.
pub(in crate::cli) fn apply(mut args: Apply, rescue: &Rescue, dir: &Path) -> reach::CommandResult {
    towards(&args.id, rescue, &mut args.reach);
    let args = &args;
    args.reach.run(async |client| {
        let id = &args.id;
        let claim = claim(id, rescue, dir)?;
        let kept = kept(id, rescue, &args.reach, &client).await?;
        let begun = claim.begun().map_err(|error| unnoted(id, dir, &error))?;
        // Saved before, by one that was killed before it forgot the rescue, or could not?
        let is_done = begun == Begun::Done || kept.location.last_put().await? == Some(put_id(id));
        let version = match is_done {
            true => kept.location.look().await?.and_then(|about| about.version),
            false if kept.record.appended => append(args, &kept, (&claim, begun), dir).await?,
            false => replace(args, &kept).await?,
        };
        if let Err(error) = rescue.forget(id) {
            // Where even that cannot be noted, the note of the attempt stays.
            let _ = claim.done();
            let done = saved(&kept.location, version.as_ref());
            return Err(Failure::new(format!(
                "{done}, but the rescue {id} cannot be forgotten: {error}"
            ))
            .hint(format!(
                "it will not be saved twice; once {} is writable: etagfs rescue drop {}",
                dir.display(),
                quoted(id)
            )));
        }
        let told = match &version {
            Some(version) if !kept.record.appended => say(&format!("{}\n", version.etag())),
            _ => Ok(()),
        };
        told.map_err(|failure| failure.after(&saved(&kept.location, version.as_ref())))
    })
}

/// Keeps every other process from saving the same rescue.
fn claim(id: &str, rescue: &Rescue, dir: &Path) -> Result<Claim, Failure> {
    match Claim::take(dir, id) {
        Ok(Some(claim)) => Ok(claim),
        Ok(None) => Err(
            Failure::conflict(format!("another process is saving the rescue {id}"))
                .hint("check whether it still exists: etagfs rescue ls"),
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(match rescue.record(id) {
            Err(Some(odd)) => unreadable_record(&odd),
            _ => {
                Failure::new(format!("there is no rescue {id}")).hint("list them: etagfs rescue ls")
            }
        }),
        Err(error) => Err(Failure::new(format!("{id}: {error}"))),
    }
}

/// That it cannot be noted, or read, what is tried: without that, lines could be there twice.
fn unnoted(id: &str, dir: &Path, error: &io::Error) -> Failure {
    Failure::new(format!(
        "{id} is not saved, because the attempt cannot be recorded in {}: {error}",
        dir.join("rescue").display()
    ))
    .hint(format!(
        "make room there, or save its bytes by hand: etagfs rescue show {} | etagfs append KEY",
        quoted(id)
    ))
}

/// The number of the save of a rescue: the same, however often it is tried, so that it is known again.
fn put_id(id: &str) -> PutId {
    let digest: [u8; 32] = Sha256::digest(id.as_bytes()).into();
    let half = digest.iter().take(16);
    PutId::new(half.fold(0, |number, byte| (number << 8) | u128::from(*byte)))
}

/// Puts the bytes behind what is there, once.
async fn append(
    args: &Apply,
    kept: &Rescued,
    (claim, begun): (&Claim, Begun),
    dir: &Path,
) -> Result<Option<Version>, Failure> {
    let (id, location) = (&args.id, &kept.location);
    // An attempt of unknown fate: did it happen before what is there now was saved?
    let mut begun = match begun {
        Begun::Replacing(base) => Some(base),
        Begun::No | Begun::Done => None,
    };
    let mut tries = args.patience.retry().begin();
    loop {
        let asked = Instant::now();
        let answer = location.read(&Wanted::Newest, None).await?;
        tries.measured(asked.elapsed());
        let (version, before, metadata) = match answer {
            ReadOutcome::Got(got) => {
                let about = got.about;
                (about.version, got.content.into_bytes()?, about.metadata)
            }
            _ => (None, Bytes::new(), Metadata::default()),
        };
        let expect = Precondition::from(version);
        match (&args.if_match, begun.take()) {
            (Some(version), _) if expect.version() != Some(version) => {
                return Err(conflict(location.label(), &Precondition::Is(version.clone())).into());
            }
            (None, Some(base)) if base != expect.to_string() => {
                return Err(Failure::new(format!(
                    "the rescue {id} was being saved when that was broken off, and {} was saved since: \
                     its lines may be there",
                    location.label()
                ))
                .hint(format!(
                    "check: etagfs get {}; if it has them: etagfs rescue drop {id}; if not: \
                     etagfs rescue apply --if-match ETAG {id}",
                    quoted(location.label()),
                    id = quoted(id)
                )));
            }
            _ => {}
        }
        claim
            .begin(&expect.to_string())
            .map_err(|error| unnoted(id, dir, &error))?;
        let outcome = match &expect {
            Precondition::Absent => location.create_log(kept.bytes.clone()).await?.map(Some),
            Precondition::Is(_) => {
                let after = joined(&before, &kept.bytes);
                location
                    .save_as(after.clone(), &metadata.of(&after), &expect, put_id(id))
                    .await?
            }
        };
        match tries.settle(|| location.label(), outcome).await {
            Ok(None) => {}
            Ok(Some(version)) => return Ok(version),
            Err(error) => {
                if matches!(error, Error::Contended { .. }) {
                    claim.settle();
                }
                return Err(error.into());
            }
        }
    }
}

async fn replace(args: &Apply, kept: &Rescued) -> Result<Option<Version>, Failure> {
    let location = &kept.location;
    let found = location.look().await?;
    let (current, metadata) = match found {
        Some(about) => (Precondition::from(about.version), about.metadata),
        None => (Precondition::Absent, Metadata::default()),
    };
    let expect = match &args.if_match {
        Some(version) => Precondition::Is(version.clone()),
        None => to_replace(&kept.record).unwrap_or(Precondition::Absent),
    };
    let outcome = match current == expect {
        true => {
            let bytes = kept.bytes.clone();
            location
                .save_as(
                    bytes.clone(),
                    &metadata.of(&bytes),
                    &expect,
                    put_id(&args.id),
                )
                .await?
        }
        false => Outcome::Refused(None),
    };
    match outcome {
        Outcome::Committed(version) => Ok(version),
        Outcome::Unknown => Err(Error::Unknown(location.label()).into()),
        Outcome::Refused(_) => Err(Failure::conflict(format!(
            "{} is {current} now, which is not the version that the writer of {} knew of",
            location.label(),
            args.id
        ))
        .hint(what_then(&args.id, &location.label(), &current))),
    }
}

/// What to do with a rescue whose key is this now, and not what its bytes may replace.
fn what_then(id: &str, label: &str, current: &Precondition) -> String {
    let (id, label) = (quoted(id), quoted(label));
    match current {
        Precondition::Is(version) => format!(
            "compare: etagfs rescue diff {id}; replace it: etagfs rescue apply --if-match {} {id}",
            quoted(version)
        ),
        Precondition::Absent => format!(
            "create it again: etagfs rescue show {id} | etagfs create {label}; then: etagfs rescue drop {id}"
        ),
    }
}

/// What the bytes may replace: what was found in their place; where nobody looked, what they were based
/// on.
fn to_replace(record: &Record) -> Option<Precondition> {
    let told = |text: &str| match text {
        "absent" => Some(Precondition::Absent),
        etag if etag.starts_with('"') => Version::told(etag).map(Precondition::Is),
        _ => None,
    };
    told(&record.found).or_else(|| told(&record.expected))
}
