//! Mounts of the real binary: `etagfs mount` in the foreground, each with a mount point, a state
//! directory and a log of its own. It knows the command line and the kernel's mount table, nothing of
//! what a mount does. A mount never outlives its test: see the `Drop` and [`super::tied`].
//!
//! ```ignore
//! or_skip!(mounts::possible());                             // no /dev/fuse
//! let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
//! let mount = Mount::of(&bucket).flat().start();            // panics with the log if it fails
//! fs::write(mount.file("key"), "value").unwrap();
//! assert_eq!(bucket.client().text("key"), "value");
//! mount.unmount();                                          // panics unless it ends cleanly
//!
//! let ours = Mount::of(&bucket).through(&proxy).store(uuid).arg("--ttl=0").start();
//! let theirs = Mount::of(&bucket).read_only().env("ETAGFS_X", "y").start();
//! let refused = Mount::of(&on_s3rver).try_start().unwrap_err(); // refused.status, refused.log
//!
//! let state = tempfile::tempdir().unwrap();                 // a crash and what is left of it:
//! let mut mount = Mount::of(&bucket).state_dir(state.path()).start();
//! mount.kill(); drop(mount);
//! let again = Mount::of(&bucket).state_dir(state.path()).start();
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::mount::UnmountFlags;
use rustix::process::Signal;
use tempfile::TempDir;

use super::client::{Keys, REGION};
use super::proxy::Proxy;
use super::proxy::policy::is_world;
use super::servers::Bucket;
use super::tied::{self, OnOurDeath, Tied};
use super::wait::{self, SOON};

const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

/// How long a mount may take to settle its drafts when its test is over, one way or the other.
const LAST_GRACE: Duration = Duration::from_secs(5);

/// Tells why nothing can be mounted here.
pub(crate) fn possible() -> Result<(), String> {
    if Path::new("/dev/fuse").exists() {
        Ok(())
    } else {
        Err("there is no /dev/fuse".to_owned())
    }
}

/// Whether something is mounted at this very directory, by the kernel's table: asking the directory
/// itself could block.
pub(crate) fn is_mount_point(directory: &Path) -> bool {
    // proc(5): the fifth field is the mount point, blanks and backslashes in octal; ours have none.
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    table.lines().any(|line| {
        line.split(' ')
            .nth(4)
            .is_some_and(|at| Path::new(at) == directory)
    })
}

thread_local! {
    /// In a run under a policy: the proxies of this test, by server and state directory.
    static WAYS: RefCell<HashMap<(String, PathBuf), Arc<Proxy>>> = RefCell::default();
}

/// A mount to be made.
#[derive(Debug)]
pub(crate) struct Mount {
    program: PathBuf,
    bucket: String,
    prefix: Option<String>,
    endpoint: String,
    /// None: whoever the environment says.
    keys: Option<Keys>,
    state_dir: Option<PathBuf>,
    point: Option<PathBuf>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    level: String,
    is_proxied: bool,
}

impl Mount {
    /// A mount of this bucket, straight from its server.
    pub(crate) fn of(bucket: &Bucket) -> Self {
        Self {
            program: PathBuf::from(ETAGFS),
            bucket: bucket.name.clone(),
            prefix: None,
            endpoint: bucket.endpoint.clone(),
            keys: Some(bucket.keys.clone()),
            state_dir: None,
            point: None,
            arguments: Vec::new(),
            environment: Vec::new(),
            level: "debug".to_owned(),
            is_proxied: false,
        }
    }

    /// With another level of its log than `debug`.
    pub(crate) fn log_level(mut self, level: &str) -> Self {
        level.clone_into(&mut self.level);
        self
    }

    /// Another program with the same command line.
    pub(crate) fn by(mut self, program: &Path) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    /// By way of this proxy.
    pub(crate) fn through(mut self, proxy: &Proxy) -> Self {
        self.endpoint = proxy.endpoint();
        self.is_proxied = true;
        self
    }

    /// At this URL of the server.
    pub(crate) fn at_url(mut self, url: &str) -> Self {
        url.clone_into(&mut self.endpoint);
        self
    }

    /// Without keys in the environment: it has to find some elsewhere.
    pub(crate) fn without_keys(mut self) -> Self {
        self.keys = None;
        self
    }

    /// Only what is under this prefix of the bucket.
    pub(crate) fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.to_owned());
        self
    }

    /// With this store at the root.
    pub(crate) fn store(self, uuid: &str) -> Self {
        self.arg("--store").arg(uuid)
    }

    /// With the bucket's objects at the root.
    pub(crate) fn flat(self) -> Self {
        self.arg("--flat")
    }

    /// Read-only.
    pub(crate) fn read_only(self) -> Self {
        self.arg("--read-only")
    }

    /// With a further argument.
    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With further arguments.
    pub(crate) fn args(self, arguments: &[&str]) -> Self {
        arguments
            .iter()
            .fold(self, |mount, argument| mount.arg(*argument))
    }

    /// With a variable in the environment.
    pub(crate) fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// With a state directory that outlives the mount; else it gets one of its own.
    pub(crate) fn state_dir(mut self, directory: &Path) -> Self {
        self.state_dir = Some(directory.to_owned());
        self
    }

    /// At this empty directory, whose path in the mount table is the same; else at one of its own.
    pub(crate) fn at(mut self, directory: &Path) -> Self {
        self.point = Some(directory.to_owned());
        self
    }

    /// Mounts it.
    ///
    /// # Panics
    /// When it does not come up; the message has its log.
    #[track_caller]
    pub(crate) fn start(self) -> Mounted {
        match self.try_start() {
            Ok(mounted) => mounted,
            Err(failed) => panic!("the mount failed with {:?}:\n{}", failed.status, failed.log),
        }
    }

    /// Mounts it.
    ///
    /// # Errors
    /// The process ended before the mount was there (then there is a status), or neither happened in
    /// time.
    pub(crate) fn try_start(mut self) -> Result<Mounted, Failed> {
        let policed = self.by_a_policed_way();
        let own = tempfile::Builder::new()
            .prefix("etagfs-it-")
            .tempdir()
            .unwrap();
        // The mount table has the real path.
        let base = own.path().canonicalize().unwrap();
        let log = base.join("log.txt");
        let point = self.point.clone().unwrap_or_else(|| base.join("mnt"));
        fs::create_dir_all(&point).unwrap();
        let state = self.state_dir.clone().unwrap_or_else(|| base.join("state"));
        fs::create_dir_all(&state).unwrap();

        let process = tied::spawn(self.command(&point, &state, &log));
        let mut mounted = Mounted {
            process,
            point,
            state,
            log,
            settled: false,
            _own: own,
            _policed: policed,
        };
        let mut status = None;
        let decided = wait::eventually(SOON, || {
            // In this order: a process that ended cannot mount any more.
            status = mounted.process.ended();
            status.is_some() || is_mount_point(&mounted.point)
        });
        if decided && status.is_none() {
            return Ok(mounted);
        }
        let log = mounted.log();
        mounted.settled = true;
        Err(Failed { status, log })
    }

    /// In a run under a policy there is a proxy before every server, see [`super::proxy::policy`].
    fn by_a_policed_way(&mut self) -> Option<Arc<Proxy>> {
        let has_way = self.is_proxied || !self.endpoint.starts_with("http://127.0.0.1:");
        if has_way || !is_world() {
            return None;
        }
        let proxy = match &self.state_dir {
            // A mount that goes on with a state directory has to find its server there.
            Some(state) => WAYS.with_borrow_mut(|ways| {
                let way = (self.endpoint.clone(), state.clone());
                let begin = || Arc::new(Proxy::to(&self.endpoint));
                Arc::clone(ways.entry(way).or_insert_with(begin))
            }),
            None => Arc::new(Proxy::to(&self.endpoint)),
        };
        self.endpoint = proxy.endpoint();
        Some(proxy)
    }

    fn command(&self, point: &Path, state: &Path, log: &Path) -> Command {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let source = match &self.prefix {
            Some(prefix) => format!("s3://{}/{prefix}", self.bucket),
            None => format!("s3://{}", self.bucket),
        };
        let mut command = tied::command(&self.program, OnOurDeath::Terminate);
        command
            .arg("mount")
            .arg(source)
            .arg(point)
            .args(["--endpoint-url", &self.endpoint, "--path-style"])
            .arg("--state-dir")
            .arg(state)
            .args(&self.arguments)
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env("AWS_REGION", REGION)
            // Nothing of the person who runs the tests.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_ENDPOINT_URL")
            .env_remove("AWS_CA_BUNDLE")
            .env_remove("RUST_LOG")
            .env("ETAGFS_LOG", &self.level);
        if let Some(keys) = &self.keys {
            command
                .env("AWS_ACCESS_KEY_ID", &keys.id)
                .env("AWS_SECRET_ACCESS_KEY", &keys.secret);
        }
        command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        command
    }
}

/// A mount that did not come up.
#[derive(Debug)]
pub(crate) struct Failed {
    /// How the process ended; `None` when it did not.
    pub(crate) status: Option<ExitStatus>,
    /// Its standard output and error.
    pub(crate) log: String,
}

/// A mount. On drop it is unmounted, its process ended; its log is printed if the test failed.
#[derive(Debug)]
pub(crate) struct Mounted {
    process: Tied,
    point: PathBuf,
    state: PathBuf,
    log: PathBuf,
    /// Ended in order, or told about: nothing to print.
    settled: bool,
    _own: TempDir,
    /// The way to the server, in a run under a policy.
    _policed: Option<Arc<Proxy>>,
}

impl Mounted {
    /// The mount point.
    pub(crate) fn path(&self) -> &Path {
        &self.point
    }

    /// A path below the mount point.
    pub(crate) fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.point.join(name)
    }

    /// The state directory.
    pub(crate) fn state_dir(&self) -> &Path {
        &self.state
    }

    /// The daemon's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What the daemon has written to its standard output and error.
    pub(crate) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How the daemon ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Sends a signal to the daemon.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Unmounts as a user does, as soon as nobody uses it.
    ///
    /// A test that starts a process forks this one, and until the child has become its program it has all
    /// files open that this process had at that moment, also those of other tests' mounts.
    ///
    /// # Panics
    /// When that fails, or the daemon does not end with status 0.
    #[track_caller]
    pub(crate) fn unmount(mut self) -> String {
        let mut result = Ok(());
        let _ = wait::eventually(SOON, || {
            result = unmount_as_user(&self.point);
            !matches!(&result, Err(why) if why.contains("busy"))
        });
        result.unwrap_or_else(|why| panic!("cannot unmount: {why}"));
        self.ends_in_order()
    }

    /// Ends the daemon with SIGTERM, as systemd does; its whole log.
    ///
    /// # Panics
    /// When the daemon does not end with status 0, or leaves the mount behind.
    #[track_caller]
    pub(crate) fn terminate(mut self) -> String {
        self.process.signal(Signal::TERM);
        self.ends_in_order()
    }

    #[track_caller]
    fn ends_in_order(&mut self) -> String {
        let status = self.process.wait(SOON);
        assert!(
            status.is_some_and(|status| status.success()),
            "the daemon did not end cleanly: {status:?}"
        );
        assert!(
            !is_mount_point(&self.point),
            "the daemon left its mount behind"
        );
        self.settled = true;
        self.log()
    }

    /// Kills the daemon with SIGKILL: a crash. The dead mount stays until the drop, or
    /// [`Mounted::clear`].
    pub(crate) fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        assert!(self.process.wait(SOON).is_some(), "a killed daemon ends");
    }

    /// Takes a dead mount away.
    pub(crate) fn clear(&mut self) {
        detach(&self.point);
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.process.ended().is_none() {
            self.process.signal(Signal::TERM);
            if self.process.wait(LAST_GRACE).is_none() {
                self.process.signal(Signal::KILL);
                let _ = self.process.wait(SOON);
            }
        }
        if is_mount_point(&self.point) {
            detach(&self.point);
        }
        if std::thread::panicking() && !self.settled {
            eprintln!(
                "--- log of the mount at {} ---\n{}",
                self.point.display(),
                self.log()
            );
        }
    }
}

/// `fusermount3 -u`, or `umount` for root, who may.
fn unmount_as_user(point: &Path) -> Result<(), String> {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("umount")
    } else {
        let mut command = Command::new("fusermount3");
        command.arg("-u");
        command
    };
    let out = command
        .arg(point)
        .output()
        .map_err(|error| error.to_string())?;
    if out.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&out.stderr).into_owned())
    }
}

/// Takes a mount away whoever still uses it.
fn detach(point: &Path) {
    if rustix::mount::unmount(point, UnmountFlags::DETACH).is_ok() {
        return;
    }
    let lazily = Command::new("fusermount3").arg("-uz").arg(point).output();
    if is_mount_point(point) {
        eprintln!("cannot unmount {}: {lazily:?}", point.display());
    }
}
