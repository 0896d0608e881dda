//! The read-modify-write loop that every user of compare-and-swap writes, done once: the new value replaces exactly
//! the version that the change was made from; if another writer was first, it is made again from the newer one.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Error;
use super::location::{Location, Lock};
use super::retry::{Retry, Tries};
use super::value::{About, MetadataChoice, ReadOutcome};
use crate::model::{Outcome, Precondition, Version};
use crate::store::Metadata;

/// A value that is to be changed.
#[derive(Clone, Debug)]
pub struct Current {
    /// Its bytes; none if it does not exist.
    pub bytes: Bytes,
    /// What is known of it; nothing if it does not exist.
    pub about: Option<About>,
    /// Which try this is, from 1.
    pub attempt: u32,
    /// How much time the policy leaves.
    pub time_left: Duration,
}

impl Current {
    /// The version, if it exists and has one.
    pub fn version(&self) -> Option<&Version> {
        self.about.as_ref()?.version.as_ref()
    }

    fn expect(&self) -> Precondition {
        Precondition::from(self.version().cloned())
    }

    /// Whether it exists and has no version: a file in no mount, or one that lives in a mount alone.
    fn has_no_version(&self) -> bool {
        self.about.is_some() && self.version().is_none()
    }

    fn metadata(&self) -> Metadata {
        let about = self.about.as_ref();
        about
            .map(|about| about.metadata.clone())
            .unwrap_or_default()
    }
}

/// What is to become of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This is the new value. The very bytes that are there are not written, nor is a key created to hold nothing.
    Save(Bytes),
    /// It stays as it is.
    Leave,
}

/// What an update came to.
#[derive(Clone, Debug)]
pub struct Updated {
    /// The value that is there in the end.
    pub bytes: Bytes,
    /// Its version, where the save itself tells it: see [`Location::version_of`].
    pub version: Option<Version>,
    /// Whether anything was written.
    pub changed: bool,
    /// How often it was tried.
    pub attempts: u32,
}

/// How far an update is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It reads, or waits for the next try: nothing was changed.
    Reading,
    /// The change is being made.
    Changing,
    /// It is being saved: nobody knows whether it was written until that ends.
    Saving,
    /// It was written, or left as it is.
    Done,
}

/// Changes a value, again and again until no other writer is first. `change` gets the current value, and says what is
/// to become of it; it is called once for each try. A key that does not exist is created. The metadata stays.
///
/// Two requests, and two more for each time that another writer is first; one if nothing changes. A file without
/// versions is changed under a lock of its directory, which other updates respect.
///
/// # Errors
/// [`Error::Contended`] when the policy gives up; [`Error::Unknown`] when the answer was lost; those of `change`,
/// which leave the value as it is.
pub async fn update<F, Changing, E>(
    location: &dyn Location,
    change: F,
    retry: Retry,
) -> Result<Updated, E>
where
    F: FnMut(Current) -> Changing,
    Changing: Future<Output = Result<Change, E>>,
    E: From<Error>,
{
    update_observed(location, change, retry, |_| ()).await
}

/// As [`update`]; `observe` is called with its progress.
///
/// # Errors
/// As [`update`].
pub async fn update_observed<F, Changing, E>(
    location: &dyn Location,
    mut change: F,
    retry: Retry,
    observe: impl Fn(Phase),
) -> Result<Updated, E>
where
    F: FnMut(Current) -> Changing,
    Changing: Future<Output = Result<Change, E>>,
    E: From<Error>,
{
    let mut tries = retry.begin();
    // Held to the end.
    let mut locked: Option<Lock> = None;
    loop {
        observe(Phase::Reading);
        let current = read(location, &mut tries).await?;
        if current.has_no_version() && locked.is_none() {
            locked = Some(location.lock(&mut tries).await?);
            continue;
        }
        observe(Phase::Changing);
        let after = match change(current.clone()).await? {
            Change::Save(bytes) if bytes != current.bytes => bytes,
            Change::Save(_) | Change::Leave => {
                observe(Phase::Done);
                return Ok(Updated {
                    version: current.version().cloned(),
                    bytes: current.bytes,
                    changed: false,
                    attempts: tries.made(),
                });
            }
        };
        observe(Phase::Saving);
        let outcome = save(location, &current, after.clone(), &mut tries).await?;
        observe(match outcome {
            Outcome::Refused(_) => Phase::Reading,
            Outcome::Committed(_) | Outcome::Unknown => Phase::Done,
        });
        if let Some(version) = tries.settle(|| location.label(), outcome).await? {
            return Ok(Updated {
                bytes: after,
                version,
                changed: true,
                attempts: tries.made(),
            });
        }
    }
}

async fn read(location: &dyn Location, tries: &mut Tries) -> Result<Current, Error> {
    let asked = Instant::now();
    let answer = location.read_to_change(tries.time_left()).await?;
    tries.measured(asked.elapsed());
    let (bytes, about) = match answer {
        ReadOutcome::Got(got) => (got.content.into_bytes()?, Some(got.about)),
        ReadOutcome::Absent | ReadOutcome::Other | ReadOutcome::Unchanged => (Bytes::new(), None),
    };
    Ok(Current {
        bytes,
        about,
        attempt: tries.made(),
        time_left: tries.time_left(),
    })
}

async fn save(
    location: &dyn Location,
    current: &Current,
    after: Bytes,
    tries: &mut Tries,
) -> Result<Outcome<Option<Version>>, Error> {
    let metadata = current.metadata();
    match current.has_no_version() {
        true => {
            let choice = MetadataChoice::Given(metadata.meta);
            location.overwrite(after, &choice, tries).await
        }
        false => {
            let metadata = metadata.of(&after);
            location
                .save_as(
                    after,
                    &metadata,
                    &current.expect(),
                    super::location::new_id(),
                )
                .await
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::address::Source;
    use super::super::{Client, Connect, get};
    use super::*;
    use crate::backend::{Backend, Memory};

    /// Buckets in memory.
    struct InMemory(Arc<Memory>);

    #[async_trait::async_trait]
    impl Connect for InMemory {
        async fn connect(&self, _source: &Source) -> Result<Arc<dyn Backend>, Error> {
            Ok(Arc::<Memory>::clone(&self.0))
        }
    }

    async fn location(name: &str) -> Arc<dyn Location> {
        let client = Client::new(InMemory(Memory::new().into())).flat(true);
        client.location(name).await.expect("a place")
    }

    fn save(text: impl Into<Bytes>) -> Result<Change, Error> {
        Ok(Change::Save(text.into()))
    }

    #[tokio::test]
    async fn what_is_not_changed_is_not_written() {
        let key = location("s3://b/key").await;
        let retry = Retry::default();
        let nothing = update(&*key, async |_| save(""), retry).await;
        assert!(!nothing.expect("no failure").changed);
        assert!(matches!(get(&*key).await, Err(Error::Absent(_))));
        for (text, changed) in [("a", true), ("a", false), ("", true), ("a\n", true)] {
            let updated = update(&*key, async |_| save(text), retry).await;
            let updated = updated.expect("updated");
            assert_eq!(
                (updated.changed, &updated.bytes[..]),
                (changed, text.as_bytes())
            );
            let found = get(&*key).await.expect("a value");
            assert_eq!(found.about.version, updated.version);
        }
        let left = update(&*key, async |_| Ok::<_, Error>(Change::Leave), retry).await;
        assert!(!left.expect("left").changed);
    }

    /// In tasks of a runtime, as other programs have them.
    #[tokio::test]
    async fn no_increment_of_many_tasks_is_lost() {
        let key = location("s3://b/counter").await;
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let key = Arc::clone(&key);
                tokio::spawn(async move {
                    let increment = |current: Current| async move {
                        let number = current.bytes.len() + 1;
                        save("x".repeat(number))
                    };
                    for _ in 0..10 {
                        update(&*key, increment, Retry::default()).await?;
                    }
                    Ok::<_, Error>(())
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("ended").expect("saved");
        }
        let found = get(&*key).await.expect("a value");
        assert_eq!(found.about.size, Some(80));
    }

    #[tokio::test]
    async fn an_error_of_the_change_leaves_the_value() {
        let key = location("s3://b/key").await;
        let failed = async |_| Err::<Change, _>(Error::VersionOfMany);
        let failed = update(&*key, failed, Retry::default()).await;
        assert!(matches!(failed, Err(Error::VersionOfMany)));
        assert!(matches!(get(&*key).await, Err(Error::Absent(_))));
    }

    #[tokio::test]
    async fn who_is_never_first_gives_up() {
        let key = location("s3://b/key").await;
        let retry = Retry {
            retries: Some(2),
            ..Retry::default()
        };
        let meddle = async |current: Current| {
            let other = format!("other {}", current.attempt);
            let choice = MetadataChoice::Inherited;
            super::super::put(&*key, other.into(), &choice, Retry::default()).await?;
            save("ours")
        };
        let given_up = update(&*key, meddle, retry).await;
        assert!(matches!(
            given_up,
            Err(Error::Contended { attempts: 3, .. })
        ));
        let found = get(&*key).await.expect("a value").content;
        assert_eq!(found.into_bytes().expect("read"), "other 3");
    }
}
