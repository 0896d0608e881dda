//! The keys that requests are signed with: kept, and renewed while the mount goes on.
//!
//! The SDK asks for keys before every request and gets those at hand. They are looked for anew when
//! they expire, when a profile file changes, and when the store does not take them; then the chain is
//! built anew, since the SDK's providers read a file once and for ever. Each of these happens at most
//! once in a while, by one task, however many requests wait; for keys that are renewed before they
//! expire nobody waits. It knows no request and no source; `sources.rs` does.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use tokio::time::timeout;

use super::sources::{Chain, FoundKeys, NoKeys};

/// So long before they expire keys are renewed; if nobody has newer ones, they are used to the end.
const EARLY: Duration = Duration::from_secs(60);
/// So often at most keys are asked for anew while there are some.
const PACE: Duration = Duration::from_secs(5);
/// So often at most they are asked for when there are none.
const PACE_OF_NEED: Duration = Duration::from_secs(1);
/// So often at most profile files are looked at.
const GLANCE: Duration = Duration::from_millis(500);

/// Makes the chain anew.
type Make = Box<dyn Fn() -> Chain + Send + Sync>;

/// The keys at hand. Clones are the same.
#[derive(Clone)]
pub(super) struct Keys(Arc<Inner>);

struct Inner {
    make: Make,
    /// What a change of means other keys.
    files: Vec<PathBuf>,
    /// How long a source may take to answer.
    patience: Duration,
    held: Mutex<CurrentKeys>,
    /// Held while somebody asks; what there is to ask.
    asking: tokio::sync::Mutex<Option<Chain>>,
}

#[derive(Default)]
struct CurrentKeys {
    found: Option<FoundKeys>,
    /// How often other keys were found.
    generation: u64,
    /// The last question that found none.
    failed: Option<NoKeys>,
    asked: Option<Instant>,
    doubted: Option<Instant>,
    stamps: Vec<Stamp>,
    glanced: Option<Instant>,
}

/// What tells that a file was changed.
type Stamp = Option<(SystemTime, u64, u64)>;

/// What is to be done for somebody who wants keys.
enum Now {
    Use(Box<Credentials>),
    /// They are to be used, and to be renewed beside that.
    Renew(Box<Credentials>),
    Fail(NoKeys),
    Ask,
}

fn is_older(at: Option<Instant>, age: Duration) -> bool {
    at.is_none_or(|at| at.elapsed() >= age)
}

impl CurrentKeys {
    fn now(&self) -> Now {
        let left = self.found.as_ref().map(|found| {
            let until = found.keys.expiry();
            until.map(|until| until.duration_since(SystemTime::now()).unwrap_or_default())
        });
        match (&self.found, left) {
            (Some(found), Some(None)) => Now::Use(Box::new(found.keys.clone())),
            (Some(found), Some(Some(left))) if !left.is_zero() => {
                let keys = Box::new(found.keys.clone());
                match left < EARLY && is_older(self.asked, PACE) {
                    true => Now::Renew(keys),
                    false => Now::Use(keys),
                }
            }
            // None, or expired.
            _ if is_older(self.asked, PACE_OF_NEED) => Now::Ask,
            (found, _) => match (&self.failed, found) {
                (Some(why), _) => Now::Fail(why.clone()),
                // So they came, or a clock is wrong: the store has the last word.
                (None, Some(found)) => Now::Use(Box::new(found.keys.clone())),
                (None, None) => Now::Ask,
            },
        }
    }
}

impl Keys {
    /// Keys of the chain that `make` makes; `files` are the profile files it reads.
    pub(super) fn new(
        make: impl Fn() -> Chain + Send + Sync + 'static,
        files: Vec<PathBuf>,
        patience: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            make: Box::new(make),
            files,
            patience,
            held: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }))
    }

    /// How often other keys were found; to be told to [`Keys::are_others`].
    pub(super) fn generation(&self) -> u64 {
        self.held().generation
    }

    /// Where the keys at hand come from, for messages.
    pub(super) fn whence(&self) -> Option<String> {
        let held = self.held();
        let found = held.found.as_ref()?;
        let mut words = format!("{}, key {}", found.whence, found.keys.access_key_id());
        if let Some(until) = found.keys.expiry()
            && until <= SystemTime::now()
        {
            words.push_str(", expired");
        }
        Some(words)
    }

    /// The store did not take the keys of this generation: whether there are others now.
    pub(super) async fn are_others(&self, refused: u64) -> bool {
        let keys = self.clone();
        // A generation before the first was none: the request has found the first itself.
        let asked = tokio::spawn(async move { keys.look_for_others(refused.max(1)).await });
        asked.await.unwrap_or(false)
    }

    async fn look_for_others(&self, refused: u64) -> bool {
        let mut asking = self.0.asking.lock().await;
        {
            let mut held = self.held();
            if held.generation != refused {
                return true;
            }
            if !is_older(held.doubted, PACE) {
                return false;
            }
            held.doubted = Some(Instant::now());
        }
        *asking = None;
        let _ = self.ask(&mut asking).await;
        self.generation() != refused
    }

    fn held(&self) -> std::sync::MutexGuard<'_, CurrentKeys> {
        // What a panic leaves behind are keys all the same.
        self.0
            .held
            .lock()
            .unwrap_or_else(|poison| poison.into_inner())
    }

    async fn provide(&self) -> Result<Credentials, NoKeys> {
        let is_changed = self.are_files_changed();
        if !is_changed {
            let now = self.held().now();
            match now {
                Now::Use(keys) => return Ok(*keys),
                Now::Renew(keys) => {
                    self.renew();
                    return Ok(*keys);
                }
                Now::Fail(why) => return Err(why),
                Now::Ask => {}
            }
        }
        let keys = self.clone();
        // A task of its own: a request that is given up must not leave a process half asked, and
        // start another with the next.
        let asked = tokio::spawn(async move { keys.renewed(is_changed).await });
        asked.await.unwrap_or_else(|error| {
            Err(NoKeys {
                why: format!("loading the credentials failed: {error}").into(),
                is_passing: false,
            })
        })
    }

    /// Asks beside the requests that go on with the keys at hand. A failure is logged.
    fn renew(&self) {
        self.held().asked = Some(Instant::now());
        let keys = self.clone();
        tokio::spawn(async move {
            // The task that holds the lock is asking.
            if let Ok(mut asking) = keys.0.asking.try_lock() {
                let _ = keys.ask(&mut asking).await;
            }
        });
    }

    async fn renewed(&self, is_changed: bool) -> Result<Credentials, NoKeys> {
        let mut asking = self.0.asking.lock().await;
        if is_changed {
            tracing::info!("the credentials are read again: their files have changed");
            *asking = None;
        } else {
            // Somebody else may have asked meanwhile.
            match self.held().now() {
                Now::Use(keys) | Now::Renew(keys) => return Ok(*keys),
                Now::Fail(why) => return Err(why),
                Now::Ask => {}
            }
        }
        self.ask(&mut asking).await
    }

    /// Asks the chain, with a new one after a failure.
    async fn ask(&self, asking: &mut Option<Chain>) -> Result<Credentials, NoKeys> {
        let chain = asking.get_or_insert_with(|| (self.0.make)());
        let answer = match timeout(self.0.patience, chain.load()).await {
            Ok(answer) => answer,
            Err(_) => Err(NoKeys {
                why: format!("no credentials within {} s", self.0.patience.as_secs_f32()).into(),
                is_passing: true,
            }),
        };
        let mut held = self.held();
        held.asked = Some(Instant::now());
        match answer {
            Ok(found) => {
                held.failed = None;
                let is_other = held
                    .found
                    .as_ref()
                    .is_none_or(|before| differ(before, &found));
                if is_other {
                    held.generation += 1;
                    let access_key_id = found.keys.access_key_id();
                    tracing::info!(source = %found.whence, access_key_id, "credentials");
                }
                let keys = found.keys.clone();
                held.found = Some(found);
                Ok(keys)
            }
            Err(why) => {
                *asking = None;
                let still = held.found.as_ref().filter(|found| {
                    found
                        .keys
                        .expiry()
                        .is_none_or(|until| until > SystemTime::now())
                });
                if let Some(found) = still {
                    tracing::warn!(%why, "the credentials could not be renewed; still using the old ones");
                    return Ok(found.keys.clone());
                }
                let why = match &held.found {
                    Some(found) => NoKeys {
                        why: why.why.of(format_args!(
                            "the credentials of {} have expired",
                            found.whence
                        )),
                        is_passing: why.is_passing,
                    },
                    None => why,
                };
                held.failed = Some(why.clone());
                Err(why)
            }
        }
    }

    /// Whether a file is another one than when it was last looked at. Answers yes once.
    fn are_files_changed(&self) -> bool {
        let mut held = self.held();
        if self.0.files.is_empty() || !is_older(held.glanced, GLANCE) {
            return false;
        }
        let is_first = held.glanced.is_none();
        held.glanced = Some(Instant::now());
        let stamps: Vec<Stamp> = self.0.files.iter().map(stamp).collect();
        let is_changed = !is_first && stamps != held.stamps;
        held.stamps = stamps;
        is_changed
    }
}

fn stamp(file: &PathBuf) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len(), meta.ino()))
}

fn differ(one: &FoundKeys, other: &FoundKeys) -> bool {
    let of = |found: &FoundKeys| {
        let keys = &found.keys;
        let token = keys.session_token().map(str::to_owned);
        (
            keys.access_key_id().to_owned(),
            keys.secret_access_key().to_owned(),
            token,
        )
    };
    of(one) != of(other)
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({:?})", self.whence())
    }
}

impl ProvideCredentials for Keys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let answer: provider::Result = self.provide().await.map_err(|why| {
                if why.is_passing {
                    CredentialsError::provider_error(why)
                } else {
                    CredentialsError::not_loaded(why)
                }
            });
            answer
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    /// A slow source whose keys expire in this many seconds (or have expired).
    #[derive(Clone, Debug)]
    struct Slow(Arc<Answers>);

    #[derive(Debug)]
    struct Answers {
        expire_in: i64,
        asked: AtomicUsize,
        /// Each answer but the first waits for this.
        go: Notify,
    }

    impl Slow {
        fn new(expire_in: i64) -> Self {
            Self(Arc::new(Answers {
                expire_in,
                asked: AtomicUsize::new(0),
                go: Notify::new(),
            }))
        }

        fn asked(&self) -> usize {
            self.0.asked.load(Ordering::SeqCst)
        }

        async fn answer(&self) -> provider::Result {
            let number = self.0.asked.fetch_add(1, Ordering::SeqCst);
            if number > 0 {
                self.0.go.notified().await;
            }
            let seconds = Duration::from_secs(self.0.expire_in.unsigned_abs());
            let now = SystemTime::now();
            let until = match self.0.expire_in < 0 {
                true => now - seconds,
                false => now + seconds,
            };
            let id = format!("key-{number}");
            Ok(Credentials::new(id, "secret", None, Some(until), "test"))
        }
    }

    impl ProvideCredentials for Slow {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(self.answer())
        }
    }

    fn keys_of(source: &Slow) -> Keys {
        let source = source.clone();
        let make = move || Chain::of(source.clone());
        Keys::new(make, Vec::new(), Duration::from_secs(60))
    }

    async fn id_at_hand(keys: &Keys) -> String {
        let soon = Duration::from_secs(10);
        let provided = timeout(soon, keys.provide()).await.expect("nobody waits");
        provided.expect("keys").access_key_id().to_owned()
    }

    #[tokio::test]
    async fn requests_go_on_with_the_keys_at_hand_while_those_are_renewed() {
        let source = Slow::new(30);
        let keys = keys_of(&source);
        assert_eq!(id_at_hand(&keys).await, "key-0");
        // As if that had been a while ago.
        keys.held().asked = None;
        while source.asked() < 2 {
            assert_eq!(id_at_hand(&keys).await, "key-0");
            tokio::task::yield_now().await;
        }
        keys.held().asked = None;
        assert_eq!(id_at_hand(&keys).await, "key-0");
        source.0.go.notify_one();
        while id_at_hand(&keys).await != "key-1" {
            tokio::task::yield_now().await;
        }
        assert_eq!(source.asked(), 2, "one asks at a time");
    }

    #[tokio::test]
    async fn keys_that_come_expired_are_used_and_not_asked_for_by_every_request() {
        let source = Slow::new(-30);
        let keys = keys_of(&source);
        for _ in 0..100 {
            assert_eq!(id_at_hand(&keys).await, "key-0");
        }
        assert_eq!(source.asked(), 1);
    }
}
