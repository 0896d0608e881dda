//! `etagfs update`: a value through a command, and saved if nobody else was faster; else again.
//!
//! This is the read-modify-write loop that every user of compare-and-swap writes, done once: the new
//! value replaces exactly the version that the command was shown.

use std::ffi::OsString;
use std::fs::File;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use clap::Args as ClapArgs;
use rustix::fs::{FlockOperation, flock};
use tokio::time::timeout;

use super::backoff::{Patience, Tries};
use super::filter::{Bounds, Cut, Ended, FOR_EVER, Filter};
use super::path::PathKey;
use super::place::{Answer, Place, Wanted, blocking};
use super::put::saved;
use super::said;
use super::session::{self, Reach, Session};
use super::stop::{Step, Stop};
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
    /// Let the command use the terminal, like an editor does. Ctrl-C and Ctrl-\\ are its business then, and it has
    /// all the time it takes, unless --timeout is given: then it is ended itself, and not what it has started.
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
        let ended = |signal, step| match step {
            Step::Saving => {
                let left = format!("it is not known whether {} was written", args.target);
                Stop::failure(signal, &left)
            }
            Step::Looking | Step::Running | Step::Lending => {
                Stop::failure(signal, &format!("{} was left as it was", args.target))
            }
        };
        Stop::guard(ended, async |stop| update(args, session, stop).await).await
    })
}

async fn update(args: &Args, session: Session<'_>, stop: &Stop) -> session::Outcome {
    let place = match &args.target {
        Target::Path(path) => Place::Path(PathKey::new(path.clone()).regular().into()),
        target => session.place(target).await?,
    };
    // Whoever works at a terminal takes the time it takes.
    let mut tries = match args.foreground {
        true => args.patience.or_endless().begin(),
        false => args.patience.begin(),
    };
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
        let step = match args.foreground {
            true => Step::Lending,
            false => Step::Running,
        };
        let ran = filter.pipe(&before.bytes, bounds, stop);
        let ran = stop.during(step, ran).await;
        let after = match ran {
            Ok(Ended::Printed(after)) => after,
            Ok(Ended::Cut(why)) => return Err(cut(why, args, &filter, &place)),
            Err(failure) => {
                let hint = format!("{} was left as it was", place.label());
                return Err(failure.hint(hint));
            }
        };
        let decision = decide(&before.bytes, &after);
        let outcome = match decision {
            Decision::Leave => Outcome::Saved(version.cloned()),
            Decision::Save => {
                let saved = save(&place, &before, after.clone());
                stop.during(Step::Saving, saved).await?
            }
        };
        match outcome {
            Outcome::Saved(version) => {
                let changed = after != before.bytes;
                return tell(args, &place, &after, version, changed, tries.made()).await;
            }
            Outcome::Unknown => return Err(place.unknown()),
            Outcome::Refused(_) if tries.another().await => {}
            Outcome::Refused(_) => return Err(place.contended(tries.made())),
        }
    }
}

async fn save(
    place: &Place,
    before: &Before,
    after: Bytes,
) -> Result<Outcome<Option<Version>>, Failure> {
    match place {
        Place::Path(path) if before.has_no_version => {
            let meta = before.envelope.meta.clone();
            let saved = blocking(path, move |path| path.overwrite(&after, &meta)).await?;
            Ok(saved.map(|()| None))
        }
        _ => {
            let envelope = before.envelope.of(&after);
            place.save(after, &envelope, &before.expect).await
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

async fn tell(
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
        let version = place.version_of(version.clone(), after).await;
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

fn late(place: &Place) -> Failure {
    Failure::conflict(format!("time was up while {} was read", place.label()))
        .hint("it was left as it was; give it more time: --timeout SECONDS")
}

async fn read(place: &Place, tries: &mut Tries) -> Result<Before, Failure> {
    let asked = Instant::now();
    let reading = place.read(&Wanted::Newest, None);
    let answer = match place {
        Place::Remote(_) => reading.await?,
        // How long that may take is its filesystem's business, and may be for ever.
        Place::Path(_) => timeout(tries.time_left().min(FOR_EVER), reading)
            .await
            .map_err(|_| late(place))??,
    };
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
async fn lock(path: &Arc<PathKey>, tries: &mut Tries) -> Result<File, Failure> {
    let (directory, file) = blocking(path, |path| {
        let directory = path.directory();
        let opened = File::open(&directory).map_err(|error| path.failed(&error));
        opened.map(|file| (directory, file))
    })
    .await?;
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
