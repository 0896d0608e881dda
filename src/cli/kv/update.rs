//! `etagfs update`: a value through a command, and saved if nobody else was faster; else again.
//!
//! This is the read-modify-write loop that every user of compare-and-swap writes, done once: the new
//! value replaces exactly the version that the command was shown.

use std::ffi::OsString;
use std::fs::File;
use std::time::Instant;

use bytes::Bytes;
use clap::Args as ClapArgs;
use rustix::fs::{FlockOperation, flock};

use super::backoff::{Patience, Tries};
use super::filter::{Bounds, Cut, Ended, Filter};
use super::path::PathKey;
use super::place::{Answer, Place, Wanted};
use super::put::saved;
use super::said;
use super::session::{self, Reach, Session};
use super::stop::Stop;
use super::target::Target;
use crate::cli::output::{copy, say_json};
use crate::cli::report::Failure;
use crate::model::{Expect, Outcome, Version};
use crate::store::Envelope;

/// The options of `update`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// s3://BUCKET[/PREFIX]/UUID/KEY, or a path.
    target: Target,
    /// The command: the old value is its input, its output the new one. A key that does not exist is an
    /// empty input, and is created. If the output is the input, nothing is written. If it fails, the
    /// value stays as it is, and its exit code is ours. It runs again each time that somebody else was
    /// faster. In its environment: ETAGFS_KEY, ETAGFS_ETAG.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Print the value that is there in the end.
    #[arg(long, conflicts_with = "json")]
    print: bool,
    /// Print one JSON object: the ETag, whether anything changed, how many tries it took.
    #[arg(long)]
    json: bool,
    /// The most that the command may print.
    #[arg(
        long,
        env = "ETAGFS_MAX_OUTPUT",
        value_name = "SIZE",
        default_value = "256M",
        value_parser = crate::cli::units::size
    )]
    max_output: u64,
    /// Let the command use the terminal, like an editor does. When the time is up, it is ended itself, and not
    /// what it has started.
    #[arg(long)]
    foreground: bool,
    #[command(flatten)]
    patience: Patience,
    #[command(flatten)]
    reach: Reach,
}

/// A value before the command.
struct Before {
    bytes: Bytes,
    expect: Expect,
    envelope: Envelope,
    /// It exists and has none: a file in no mount, or one that lives in a mount alone.
    has_no_version: bool,
}

/// What is to be done with what a command printed.
#[derive(Debug, PartialEq, Eq)]
enum Decision {
    /// Nothing.
    Leave,
    /// Save it.
    Save,
}

/// A value that does not change is not written; nor is a key created to hold nothing.
fn decide(before: &Bytes, after: &Bytes) -> Decision {
    match before == after {
        true => Decision::Leave,
        false => Decision::Save,
    }
}

/// Updates.
pub(in crate::cli) fn run(args: &Args) -> session::Outcome {
    args.reach.run(async |session| {
        let target = args.target.to_string();
        Stop::guard(&target, async |stop| update(args, session, stop).await).await
    })
}

async fn update(args: &Args, session: Session<'_>, stop: &Stop) -> session::Outcome {
    let place = session.place(&args.target).await?;
    let mut tries = args.patience.begin();
    // Held to the end.
    let mut locked = None;
    loop {
        let before = read(&place, &mut tries).await?;
        if let (Place::Path(path), true, None) = (&place, before.has_no_version, &locked) {
            locked = Some(lock(path, &mut tries).await?);
            continue;
        }
        let version = before.expect.version();
        let filter = Filter::new(&args.command, place.spelling(), version);
        let bounds = Bounds {
            time: tries.time_left(),
            output: args.max_output,
            foreground: args.foreground,
        };
        let ran = stop.during(filter.pipe(&before.bytes, bounds, stop)).await;
        let after = match ran {
            Ok(Ended::Printed(after)) => after,
            Ok(Ended::Cut(why)) => return Err(cut(why, args, &filter, &place)),
            Err(failure) => {
                let hint = format!("{} was left as it was", place.label());
                return Err(failure.hint(hint));
            }
        };
        let decision = decide(&before.bytes, &after);
        let outcome = match (decision, &place) {
            (Decision::Leave, _) => Outcome::Saved(version.cloned()),
            (Decision::Save, Place::Path(path)) if before.has_no_version => {
                let meta = &before.envelope.meta;
                path.overwrite(&after, meta)?.map(|()| None)
            }
            (Decision::Save, _) => {
                let (envelope, expect) = (before.envelope.of(&after), &before.expect);
                place.save(after.clone(), &envelope, expect).await?
            }
        };
        match outcome {
            Outcome::Saved(version) => {
                let changed = after != before.bytes;
                return tell(args, &place, &after, version, changed, tries.made());
            }
            Outcome::Unknown => return Err(place.unknown()),
            Outcome::Refused(_) if tries.another().await => {}
            Outcome::Refused(_) => return Err(place.contended(tries.made())),
        }
    }
}

/// Why the command was ended, and that nothing came of it.
fn cut(why: Cut, args: &Args, filter: &Filter<'_>, place: &Place) -> Failure {
    let (name, left) = (
        filter.name(),
        format!("{} was left as it was", place.label()),
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

fn tell(
    args: &Args,
    place: &Place,
    after: &Bytes,
    version: Option<Version>,
    changed: bool,
    tries: u32,
) -> session::Outcome {
    let told = if args.print {
        copy(&after[..])
    } else if args.json {
        let version = place.version_of(version.clone(), after);
        let mut map = said::target(place);
        let etag = version.as_ref().map(Version::etag);
        map.insert("etag".to_owned(), etag.into());
        map.insert("changed".to_owned(), changed.into());
        map.insert("tries".to_owned(), tries.into());
        say_json(&map.into())
    } else {
        Ok(())
    };
    told.map_err(|failure| match changed {
        true => failure.after(&saved(place, version.as_ref())),
        false => failure,
    })
}

async fn read(place: &Place, tries: &mut Tries) -> Result<Before, Failure> {
    let asked = Instant::now();
    let answer = place.read(&Wanted::Newest, None).await?;
    tries.measured(asked.elapsed());
    Ok(match answer {
        Answer::Got(got) => Before {
            bytes: got.content.into_bytes()?,
            has_no_version: got.about.version.is_none(),
            expect: Expect::from(got.about.version),
            envelope: got.about.envelope,
        },
        Answer::Absent | Answer::Other | Answer::Unchanged => Before {
            bytes: Bytes::new(),
            expect: Expect::Absent,
            envelope: Envelope::default(),
            has_no_version: false,
        },
    })
}

/// Keeps every other update out of the directory of a file that has no version. The file itself will
/// not do: it gives its place to another one.
async fn lock(path: &PathKey, tries: &mut Tries) -> Result<File, Failure> {
    let directory = path.directory();
    let file = File::open(&directory).map_err(|error| path.failed(&error))?;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(errno) => {
                let error = std::io::Error::from(errno);
                if error.kind() != std::io::ErrorKind::WouldBlock {
                    return Err(path.failed(&error));
                }
            }
        }
        if !tries.another().await {
            return Err(Failure::conflict(format!(
                "another update works in {}",
                directory.display()
            ))
            .hint("nothing was changed; give it more time: --timeout SECONDS"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_command_did_not_change_is_not_written() {
        let bytes = Bytes::from_static;
        assert_eq!(decide(&bytes(b"a"), &bytes(b"a")), Decision::Leave);
        assert_eq!(decide(&bytes(b""), &bytes(b"")), Decision::Leave);
        assert_eq!(decide(&bytes(b"a"), &bytes(b"")), Decision::Save);
        assert_eq!(decide(&bytes(b"a"), &bytes(b"a\n")), Decision::Save);
    }
}
