//! `etagfs rescue diff` and `etagfs rescue apply`: kept bytes beside the value that won, and in its place.
//!
//! What is applied replaces the version that its writer was told of, and nothing newer: the same rule
//! as for a second save in a mount (W5).

use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use bytes::Bytes;
use clap::Args as ClapArgs;
use rustix::process::Signal;

use super::append::{joined, put_behind};
use super::backoff::Patience;
use super::place::{Answer, Place, Wanted};
use super::said;
use super::session::{self, Reach, Session};
use super::target::{Level, Spot};
use crate::cli::output::{note, say};
use crate::cli::report::Failure;
use crate::model::{Expect, Outcome, StoreId, Version};
use crate::store::Envelope;
use crate::vfs::{Record, Rescue};

/// The options of `rescue diff`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Diff {
    /// Its id, as `ls` shows it.
    id: String,
    #[command(flatten)]
    reach: Reach,
}

/// The options of `rescue apply`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Apply {
    /// Its id, as `ls` shows it.
    id: String,
    /// Replace this version [default: the one that the writer was told of].
    #[arg(long, value_name = "ETAG", value_parser = said::version)]
    if_match: Option<Version>,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    reach: Reach,
}

/// A rescue, and the place that its bytes were to be saved at.
struct Kept {
    record: Record,
    bytes: Bytes,
    place: Place,
}

async fn kept(id: &str, rescue: &Rescue, session: &Session<'_>) -> Result<Kept, Failure> {
    let missing =
        || Failure::new(format!("there is no rescue {id}")).hint("list them: etagfs rescue ls");
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => missing(),
        _ => Failure::new(format!("{id}: {error}")),
    };
    let record = rescue.record(id).map_err(|odd| match odd {
        None => missing(),
        Some(odd) => Failure::new(format!("{id} cannot be read: {}", odd.why))
            .hint(format!("see its bytes: etagfs rescue show {id}")),
    })?;
    let bytes = rescue.read(id).map_err(unreadable)?.into();
    let level = match StoreId::parse(&record.store) {
        Some(store) => Level::Store(store),
        None => Level::Flat,
    };
    let spot = Spot {
        source: session.source(&record.source)?,
        level,
        key: record.key.clone(),
    };
    let place = session.key(&spot, record.address()).await?;
    Ok(Kept {
        record,
        bytes,
        place,
    })
}

/// Shows what would change.
pub(in crate::cli) fn diff(args: &Diff, rescue: &Rescue) -> session::Outcome {
    args.reach.run(async |session| {
        let kept = kept(&args.id, rescue, &session).await?;
        let (label, current) = match kept.place.read(&Wanted::Newest, None).await? {
            Answer::Got(got) => {
                let etag = got.about.version.as_ref().map(Version::etag);
                let label = format!("{} {}", kept.place.label(), etag.unwrap_or_default());
                (label, got.content.into_bytes()?)
            }
            _ => (format!("{} (absent)", kept.place.label()), Bytes::new()),
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
fn compare(old: (&str, &[u8]), new: (&str, &[u8])) -> session::Outcome {
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
pub(in crate::cli) fn apply(args: &Apply, rescue: &Rescue) -> session::Outcome {
    args.reach.run(async |session| {
        let kept = kept(&args.id, rescue, &session).await?;
        if kept.record.appended {
            put_behind(&kept.place, &kept.bytes, args.patience).await?;
        } else {
            let version = replace(args, &kept).await?;
            if let Some(version) = version {
                say(&format!("{}\n", version.etag()))?;
            }
        }
        // A rescue too many does no harm.
        let _ = rescue.forget(&args.id);
        Ok(())
    })
}

async fn replace(args: &Apply, kept: &Kept) -> Result<Option<Version>, Failure> {
    let place = &kept.place;
    let found = place.look().await?;
    let (current, envelope) = match found {
        Some(about) => (Expect::from(about.version), about.envelope),
        None => (Expect::Absent, Envelope::default()),
    };
    let expect = match &args.if_match {
        Some(version) => Expect::Is(version.clone()),
        None => to_replace(&kept.record).unwrap_or(Expect::Absent),
    };
    let outcome = match current == expect {
        true => place.save(kept.bytes.clone(), &envelope, &expect).await?,
        false => Outcome::Refused(None),
    };
    match outcome {
        Outcome::Saved(version) => Ok(version),
        Outcome::Unknown => Err(place.unknown()),
        Outcome::Refused(_) => Err(Failure::conflict(format!(
            "{} is {current} now, which is not what the writer of {} was told of",
            place.label(),
            args.id
        ))
        .hint(format!(
            "compare: etagfs rescue diff {0}; replace it: etagfs rescue apply --if-match {current} {0}",
            args.id
        ))),
    }
}

/// What the bytes may replace: what was found in their place; where nobody looked, what they were based
/// on.
fn to_replace(record: &Record) -> Option<Expect> {
    let told = |text: &str| match text {
        "absent" => Some(Expect::Absent),
        etag if etag.starts_with('"') => Some(Expect::Is(Version::new(etag))),
        _ => None,
    };
    told(&record.found).or_else(|| told(&record.expected))
}
