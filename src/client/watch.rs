//! Changes of a key, or of all keys that begin alike, as they are noticed.
//!
//! It asks again and again: of one key under the condition that it has changed, of several by listing them. Of
//! changes that follow each other faster than it asks, it notices the last. An outage is reported and waited out.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::address::Target;
use super::location::{Location, Revision};
use super::session::Client;
use crate::model::Version;
use crate::store::{Scanned, Store};

/// How keys are watched.
#[derive(Clone, Debug)]
pub struct Watch {
    /// How long to wait before asking again.
    pub interval: Duration,
    /// Whether what is there at the beginning is reported as created.
    pub initial: bool,
    /// The version of the key that is known already: any other one is a change. Only for one key.
    pub since: Option<Version>,
}

/// Every two seconds, from now on.
impl Default for Watch {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(2),
            initial: false,
            since: None,
        }
    }
}

/// What a watch noticed.
#[derive(Debug)]
pub enum Noticed {
    /// A key is not what it was.
    Change(Changed),
    /// The store or filesystem does not answer. Once for each outage.
    Outage(Error),
}

/// What happened to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Which: its URL or path.
    pub target: OsString,
    /// What happened.
    pub event: Event,
    /// The version that it has now; none when it was deleted, or is a file that has none.
    pub version: Option<Version>,
}

/// What can happen to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It did not exist before.
    Created,
    /// It has another version, or, as a file without versions, another time or size.
    Changed,
    /// It does not exist any more.
    Deleted,
}

impl Event {
    /// Its name: `created`, `changed` or `deleted`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

impl Client {
    /// Watches a key, a file, or with a URL that ends with `/` all keys that begin like it, and calls `notice` with
    /// each change until it breaks. One request each [`interval`](Watch::interval), and for many keys one for each
    /// thousand.
    ///
    /// # Errors
    /// [`Kind::Usage`](super::Kind::Usage) when there is nothing to watch there; any other error of the first look, as
    /// it may never be possible; those of `notice`.
    pub async fn watch<F, Noticing, E>(
        &self,
        target: &Target,
        watch: &Watch,
        mut notice: F,
    ) -> Result<(), E>
    where
        F: FnMut(Noticed) -> Noticing,
        Noticing: Future<Output = Result<ControlFlow<()>, E>>,
        E: From<Error>,
    {
        let watched = Watched::of(target, self).await?;
        let mut known = Snapshot::new();
        match (&watch.since, &watched) {
            (Some(version), Watched::One(location)) => {
                let since = Revision::Version(version.clone());
                known.insert(location.spelling().to_owned(), since);
            }
            (Some(_), Watched::Many { .. }) => return Err(Error::VersionOfMany.into()),
            (None, _) => {}
        }
        // What is there at first is what everything else is compared with. That it cannot be looked at is
        // no outage: it may never have been possible.
        let mut now = watched.look(&known).await?;
        if watch.since.is_none() && !watch.initial {
            known.clone_from(&now);
        }
        if watch.since.is_some() && now.values().any(|state| state.version().is_none()) {
            return Err(Error::NoVersion(target.to_string()).into());
        }
        let mut is_out = false;
        loop {
            for change in changes(&known, &now) {
                if notice(Noticed::Change(change)).await?.is_break() {
                    return Ok(());
                }
            }
            known = now;
            tokio::time::sleep(watch.interval).await;
            now = match watched.look(&known).await {
                Ok(now) => {
                    is_out = false;
                    now
                }
                Err(error) => {
                    // Once for each outage: no two messages are the same, for the ids in them.
                    if !is_out && notice(Noticed::Outage(error)).await?.is_break() {
                        return Ok(());
                    }
                    is_out = true;
                    known.clone()
                }
            };
        }
    }
}

/// What there is, by target.
type Snapshot = BTreeMap<OsString, Revision>;

/// What is different, in the order of the targets.
fn changes(before: &Snapshot, after: &Snapshot) -> Vec<Changed> {
    let gone = before.keys().filter(|target| !after.contains_key(*target));
    let gone = gone.map(|target| Changed {
        target: target.clone(),
        event: Event::Deleted,
        version: None,
    });
    let here = after.iter().filter_map(|(target, state)| {
        let event = match before.get(target) {
            None => Event::Created,
            Some(before) if before != state => Event::Changed,
            Some(_) => return None,
        };
        Some(Changed {
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
    One(Arc<dyn Location>),
    Many {
        store: Arc<dyn Store>,
        beginning: String,
        root: String,
    },
}

impl Watched {
    async fn of(target: &Target, client: &Client) -> Result<Self, Error> {
        if let Target::Url(url) = target {
            let spot = client.spot(url)?;
            if spot.key.is_empty() || spot.key.ends_with('/') {
                return Ok(Self::Many {
                    store: client.home(&spot).await?.certain().await?,
                    root: url.root_of(&spot),
                    beginning: spot.key,
                });
            }
        }
        let location = client.location(target.clone()).await?;
        match location.is_directory().await? {
            true => Err(Error::IsDirectory(location.label())),
            false => Ok(Self::One(location)),
        }
    }

    async fn look(&self, before: &Snapshot) -> Result<Snapshot, Error> {
        match self {
            Self::One(location) => {
                let spelling = location.spelling().to_owned();
                let state = location.observe(before.get(&spelling)).await?;
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
                            Some((target, Revision::Version(entry.version)))
                        }
                        Scanned::Prefix(_) => None,
                    })
                    .collect())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(pairs: &[(&str, &str)]) -> Snapshot {
        let owned = |(target, etag): &(&str, &str)| {
            ((*target).into(), Revision::Version(Version::new(*etag)))
        };
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn changes_are_what_came_went_and_became_another() {
        let before = snapshot(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let after = snapshot(&[("b", "1"), ("c", "2"), ("d", "1")]);
        let found: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|change| (change.target, change.event.name(), change.version.is_some()))
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
