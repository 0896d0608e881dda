//! `etagfs watch`: changes of a key, or of all keys that begin alike, as they are noticed.
//!
//! It asks again and again: of one key under the condition that it has changed, of several by listing
//! them. Of changes that follow each other faster than it asks, it notices the last. An outage is told
//! and waited out.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args as ClapArgs;
use serde_json::{Map, Value};

use super::filter::{Cut, Filter};
use super::place::{About, Answer, Part, Place, Wanted, blocking};
use super::said;
use super::session::{Outcome, Reach, Session};
use super::stop::{Step, Stop};
use super::target::Target;
use crate::cli::output::{note, offer};
use crate::cli::report::Failure;
use crate::model::Version;
use crate::store::{Scanned, Store};

/// As little as can be asked for.
const LITTLE: Part = Part { start: 0, len: 1 };

/// The options of `watch`.
#[derive(Debug, ClapArgs)]
pub(in crate::cli) struct Args {
    /// A key: s3://BUCKET[/PREFIX]/UUID/KEY, or a path; or all keys of a store, or that begin alike up to
    /// a slash: a URL that ends with /.
    target: Target,
    /// A command to run for each change, instead of a line of JSON. In its environment: ETAGFS_KEY,
    /// ETAGFS_ETAG (empty when the key was deleted, or is a file that has none), ETAGFS_EVENT.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// How long to wait before asking again, in seconds.
    #[arg(
        long,
        env = "ETAGFS_INTERVAL",
        value_name = "SECONDS",
        default_value = "2",
        value_parser = crate::cli::units::seconds
    )]
    interval: Duration,
    /// End after so many changes.
    #[arg(long, value_name = "CHANGES")]
    count: Option<u64>,
    /// Tell of what is there at the beginning too.
    #[arg(long)]
    initial: bool,
    /// The version of the key that is known already: any other one is a change.
    #[arg(long, value_name = "ETAG", value_parser = said::version, conflicts_with = "initial")]
    since: Option<Version>,
    #[command(flatten)]
    reach: Reach,
}

/// What there is, by target.
type Snapshot = BTreeMap<OsString, State>;

/// How a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// It has this version.
    Version(Version),
    /// A file that has no version: its time and size have to do.
    Stamp(SystemTime, u64),
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    target: OsString,
    event: &'static str,
    /// None when it was deleted, or has none.
    version: Option<Version>,
}

impl State {
    fn version(&self) -> Option<&Version> {
        match self {
            Self::Version(version) => Some(version),
            Self::Stamp(..) => None,
        }
    }
}

/// What is different, in the order of the targets.
fn changes(before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    let gone = before.keys().filter(|target| !after.contains_key(*target));
    let gone = gone.map(|target| Change {
        target: target.clone(),
        event: "deleted",
        version: None,
    });
    let here = after.iter().filter_map(|(target, state)| {
        let event = match before.get(target) {
            None => "created",
            Some(before) if before != state => "changed",
            Some(_) => return None,
        };
        Some(Change {
            target: target.clone(),
            event,
            version: state.version().cloned(),
        })
    });
    let mut all: Vec<_> = gone.chain(here).collect();
    all.sort_by(|one, other| one.target.cmp(&other.target));
    all
}

/// What is watched.
enum Watched {
    One(Place),
    Many {
        store: Arc<dyn Store>,
        beginning: String,
        root: String,
    },
}

impl Watched {
    async fn of(target: &Target, session: &Session<'_>) -> Result<Self, Failure> {
        if let Target::Url(url) = target {
            let spot = session.spot(url)?;
            if spot.key.is_empty() || spot.key.ends_with('/') {
                return Ok(Self::Many {
                    store: session.home(&spot).await?.certain().await?,
                    root: url.root_of(&spot),
                    beginning: spot.key,
                });
            }
        }
        let place = session.place(target).await?;
        match &place {
            Place::Path(path) if blocking(path, |path| Ok(path.path().is_dir())).await? => {
                Err(Failure::usage(format!("{target} is a directory"))
                    .hint("watch its files, or what it shows: s3://BUCKET/UUID/DIR/"))
            }
            _ => Ok(Self::One(place)),
        }
    }

    async fn look(&self, before: &Snapshot) -> Result<Snapshot, Failure> {
        match self {
            Self::One(place) => {
                let spelling = place.spelling().to_owned();
                let known = before.get(&spelling);
                let state = match place {
                    Place::Path(_) => place.look().await?.map(of_file),
                    Place::Remote(_) => {
                        let version = known.and_then(State::version).cloned();
                        let wanted = version.map_or(Wanted::Newest, Wanted::Not);
                        match place.read(&wanted, Some(LITTLE)).await? {
                            Answer::Unchanged => known.cloned(),
                            Answer::Got(got) => got.about.version.map(State::Version),
                            Answer::Absent | Answer::Other => None,
                        }
                    }
                };
                Ok(state.map(|state| (spelling, state)).into_iter().collect())
            }
            Self::Many {
                store,
                beginning,
                root,
            } => {
                let found = store.scan(beginning, false).await?.into_iter();
                Ok(found
                    .filter_map(|found| match found {
                        Scanned::Key(text, entry) => {
                            let target = format!("{root}{text}").into();
                            Some((target, State::Version(entry.version)))
                        }
                        Scanned::Prefix(_) => None,
                    })
                    .collect())
            }
        }
    }
}

/// How a file is.
fn of_file(about: About) -> State {
    match about.version {
        Some(version) => State::Version(version),
        None => State::Stamp(about.modified, about.size.unwrap_or_default()),
    }
}

/// Watches until it is ended, or has seen enough.
pub(in crate::cli) fn run(args: &Args) -> Outcome {
    args.reach
        .run(async |session| match args.command.is_empty() {
            true => watch(args, session, None).await,
            false => {
                let ended = |signal, _| Failure::told(Stop::code(signal));
                Stop::guard(ended, async |stop| watch(args, session, Some(stop)).await).await
            }
        })
}

async fn watch(args: &Args, session: Session<'_>, stop: Option<&Stop>) -> Outcome {
    let interval = args.interval;
    let watched = Watched::of(&args.target, &session).await?;
    let mut known = Snapshot::new();
    match (&args.since, &watched) {
        (Some(version), Watched::One(place)) => {
            let since = State::Version(version.clone());
            known.insert(place.spelling().to_owned(), since);
        }
        (Some(_), Watched::Many { .. }) => {
            return Err(Failure::usage("--since is the version of one key"));
        }
        (None, _) => {}
    }
    // What is there at first is what everything else is compared with. That it cannot be looked at is
    // no outage: it may never have been possible.
    let mut now = watched.look(&known).await?;
    if args.since.is_none() && !args.initial {
        known.clone_from(&now);
    }
    if args.since.is_some() && now.values().any(|state| state.version().is_none()) {
        return Err(Failure::usage(format!("{} has no version", args.target))
            .hint("leave --since out, or name the key by its URL: s3://BUCKET/UUID/KEY"));
    }
    let mut told = 0;
    let mut is_out = false;
    loop {
        for change in changes(&known, &now) {
            if !tell(args, &change, stop).await? {
                return Ok(());
            }
            told += 1;
            if args.count.is_some_and(|count| told >= count) {
                return Ok(());
            }
        }
        known = now;
        tokio::time::sleep(interval).await;
        now = match watched.look(&known).await {
            Ok(now) => {
                is_out = false;
                now
            }
            Err(failure) => {
                // Once for each outage: no two messages are the same, for the ids in them.
                if !is_out {
                    note(&format!("etagfs: {}; going on", failure.message()));
                }
                is_out = true;
                known.clone()
            }
        };
    }
}

/// Whether anybody listens.
async fn tell(args: &Args, change: &Change, stop: Option<&Stop>) -> Result<bool, Failure> {
    let Some(stop) = stop else {
        let mut line = Map::new();
        said::text_or_bytes(&mut line, "target", change.target.as_bytes());
        line.insert("event".to_owned(), change.event.into());
        let etag = change.version.as_ref().map(Version::etag);
        line.insert("etag".to_owned(), etag.into());
        return offer(&format!("{}\n", Value::from(line)));
    };
    let filter = Filter::new(
        &args.command,
        change.target.clone(),
        change.version.as_ref(),
    );
    let filter = filter.event(change.event);
    let target = change.target.display();
    match stop.during(Step::Running, filter.run(stop)).await {
        Ok(Some(Cut::Signal(signal))) => return Err(Failure::told(Stop::code(signal))),
        Ok(Some(_)) => note(&format!(
            "etagfs: {target}: {} wants the terminal, and was ended",
            filter.name()
        )),
        Ok(None) => {}
        Err(failure) => note(&format!("etagfs: {target}: {}", failure.message())),
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(pairs: &[(&str, &str)]) -> Snapshot {
        let owned =
            |(target, etag): &(&str, &str)| ((*target).into(), State::Version(Version::new(*etag)));
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn changes_are_what_came_went_and_became_another() {
        let before = snapshot(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let after = snapshot(&[("b", "1"), ("c", "2"), ("d", "1")]);
        let found: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|change| (change.target, change.event, change.version.is_some()))
            .collect();
        let expected = [
            ("a", "deleted", false),
            ("c", "changed", true),
            ("d", "created", true),
        ];
        let expected = expected.map(|(target, event, here)| (OsString::from(target), event, here));
        assert_eq!(found, expected);
        assert!(changes(&after, &after).is_empty());
    }
}
