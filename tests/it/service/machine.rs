//! A small Debian with a real systemd as PID 1, in a container that shares the network of this machine,
//! so that servers of the tests can be reached. Its root is made by `tests/setup` and never written to: an
//! overlay in memory takes what is. The package of this very build is installed in it. There are two: one has
//! no certificates of authorities, as it was made, and the other one has some.
//!
//! `--register=no --keep-unit` and nsenter(1) instead of machinectl(1): here PID 1 need not be systemd.
//! It ends with the tests, and all of it with it: told to, since a container whose systemd-nspawn is killed
//! goes on without it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::Signal;

use super::package;
use crate::world::client::REGION;
use crate::world::namespace::ALONE;
use crate::world::procs::{Output, Script};
use crate::world::servers::Bucket;
use crate::world::tied::{self, OnOurDeath, Tied};
use crate::world::{installed, mounts, tls, wait};

/// Long enough for a boot.
const BOOT: Duration = Duration::from_secs(600);

/// What is on the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// No certificates of authorities.
    Bare,
    /// With those of [`CERTIFICATES`], which are nobody's.
    Certified,
}

/// Where Debian's package ca-certificates puts them.
pub(super) const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A module of tests for each kind of root: all these.
macro_rules! on_both_roots {
    ($($test:ident)*) => {
        mod bare {
            $(#[test] fn $test() { super::$test(crate::service::machine::Root::Bare) })*
        }
        mod certified {
            $(#[test] fn $test() { super::$test(crate::service::machine::Root::Certified) })*
        }
    };
}

/// The machine. One of each kind for all tests: each uses names of its own.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) kind: Root,
    /// PID 1 of the container, as seen from here.
    init: String,
    shared: PathBuf,
    _container: Tied,
    _directory: tempfile::TempDir,
}

/// The machine, booted at the first call.
///
/// # Errors
/// Why there can be none here.
pub(super) fn machine(kind: Root) -> Result<&'static Machine, String> {
    static MACHINES: [OnceLock<Result<Machine, String>>; 2] = [OnceLock::new(), OnceLock::new()];
    let machine = MACHINES[kind as usize].get_or_init(|| {
        let root = root()?;
        let package = package::built()?;
        Ok(Machine::boot(kind, &root, &package))
    });
    machine.as_ref().map_err(Clone::clone)
}

fn root() -> Result<PathBuf, String> {
    mounts::possible()?;
    if !rustix::process::geteuid().is_root() {
        return Err("only root can boot a container".to_owned());
    }
    if Script::bash("command -v systemd-nspawn").run().code != Some(0) {
        return Err("systemd-nspawn (Debian: systemd-container) is not installed".to_owned());
    }
    let root = installed::directory()?.join(installed::setting("systemd_root"));
    match root.join("etc/debian_version").exists() {
        true => Ok(root),
        false => Err(format!(
            "{} is missing; tests/setup makes it",
            root.display()
        )),
    }
}

impl Machine {
    fn boot(kind: Root, root: &Path, package: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let shared = directory.path().join("host");
        fs::create_dir(&shared).unwrap();
        fs::copy(package, shared.join("etagfs.deb")).unwrap();
        // With the mode that udev gives it, whatever it has on this machine.
        let fuse = directory.path().join("fuse");
        Script::bash(&format!("mknod -m 666 '{}' c 10 229", fuse.display()))
            .run()
            .ok();
        let log = directory.path().join("console");
        let mut booted = None;
        wait::until("a container with systemd boots", BOOT, || {
            booted = start(kind, root, directory.path(), &log);
            booted.is_some()
        });
        let (container, init) = booted.unwrap();
        let machine = Self {
            kind,
            init,
            shared,
            _container: container,
            _directory: directory,
        };
        machine
            .run("dpkg -i /host/etagfs.deb && command -v etagfs")
            .ok();
        machine.run(&format!("test ! -e {CERTIFICATES}")).ok();
        if kind == Root::Certified {
            machine.trust(&tls::authority());
        }
        machine
    }

    /// Runs a script of bash inside.
    pub(super) fn run(&self, script: &str) -> Output {
        self.script(script).run()
    }

    /// A script of bash that runs inside, as `script` in the environment, so that nothing is quoted twice.
    pub(super) fn script(&self, script: &str) -> Script {
        let command = format!(
            "exec nsenter -t {} -a -- /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin LC_ALL=C /bin/bash -c \"$INSIDE\"",
            self.init
        );
        Script::bash(&command).env("INSIDE", script)
    }

    /// What a script says, without its last line feed.
    #[track_caller]
    pub(super) fn says(&self, script: &str) -> String {
        self.run(script).ok().stdout.trim_end().to_owned()
    }

    /// A property of a unit.
    #[track_caller]
    pub(super) fn show(&self, unit: &str, property: &str) -> String {
        self.says(&format!("systemctl show --value -p {property} '{unit}'"))
    }

    /// Waits until a property of a unit is so.
    #[track_caller]
    pub(super) fn until(&self, unit: &str, property: &str, value: &str) {
        let is_so = wait::eventually(wait::SOON, || self.show(unit, property) == value);
        assert!(
            is_so,
            "{unit}: {property} is not {value}\n{}",
            self.journal(unit)
        );
    }

    /// Adds a certificate (PEM) to those of the machine.
    pub(super) fn trust(&self, certificate: &str) {
        let all = self.run(&format!("cat {CERTIFICATES}")).stdout + certificate;
        self.write(CERTIFICATES, &all);
    }

    /// The log of a unit.
    pub(super) fn journal(&self, unit: &str) -> String {
        self.run(&format!(
            "systemctl status --no-pager -n0 '{unit}'; journalctl --no-pager -u '{unit}'"
        ))
        .stdout
    }

    /// Writes /etc/etagfs/NAME.env for a bucket, with further lines.
    pub(super) fn configure(&self, name: &str, bucket: &Bucket, lines: &str) {
        let text = format!(
            "AWS_ACCESS_KEY_ID={}\nAWS_SECRET_ACCESS_KEY={}\nAWS_REGION={REGION}\nETAGFS_ENDPOINT_URL={}\n{lines}\n",
            bucket.keys.id, bucket.keys.secret, bucket.endpoint
        );
        fs::write(self.shared.join(name), text).unwrap();
        self.run(&format!(
            "install -D -m 600 '/host/{name}' '/etc/etagfs/{name}.env'"
        ))
        .ok();
    }

    /// Writes a file inside.
    pub(super) fn write(&self, path: &str, text: &str) {
        let name = path.replace('/', "-");
        fs::write(self.shared.join(&name), text).unwrap();
        self.run(&format!("install -D -m 644 '/host/{name}' '{path}'"))
            .ok();
    }
}

/// The overlay, in a mount namespace of the container's own: systemd-nspawn locks a root that it makes one of
/// by itself, and there is only one root.
const OVERLAY: &str = "set -e
mount -t tmpfs none $0
mkdir $0/upper $0/work $0/root
mount -t overlay -o lowerdir=$1,upperdir=$0/upper,workdir=$0/work none $0/root
root=$0/root
shift
exec \"$@\" --directory=$root";

/// Starts the container; the process and its PID 1, if it came up.
fn start(kind: Root, root: &Path, place: &Path, log: &Path) -> Option<(Tied, String)> {
    let overlay = place.join("overlay");
    fs::create_dir_all(&overlay).unwrap();
    let console = fs::File::create(log).unwrap();
    let mut command = tied::command("unshare", OnOurDeath::Terminate);
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!("{ALONE}\n{OVERLAY}"))
        .arg(overlay)
        .arg(root)
        .arg("systemd-nspawn")
        .args(["--boot", "--register=no", "--keep-unit", "--console=pipe"])
        .arg(format!(
            "--machine=etagfs-{}-{}",
            std::process::id(),
            kind as usize
        ))
        .arg("--bind=/dev/autofs")
        .arg(format!("--bind={}:/dev/fuse", place.join("fuse").display()))
        .arg(format!("--bind={}:/host", place.join("host").display()))
        // Where the host has the control groups of old as well, the container would take those.
        .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
        .stdin(Stdio::null())
        .stdout(console.try_clone().unwrap())
        .stderr(console);
    let mut container = tied::spawn(command);
    let parent = container.pid();
    let mut init = String::new();
    let is_up = wait::eventually(wait::SOON, || {
        if container.ended().is_some() {
            return true;
        }
        init = Script::bash(&format!("pgrep -P {parent} | head -1"))
            .run()
            .stdout
            .trim()
            .to_owned();
        let asked = format!("nsenter -t {init} -a -- systemctl is-system-running");
        !init.is_empty()
            && ["running\n", "degraded\n"].contains(&&*Script::bash(&asked).run().stdout)
    });
    let is_up = is_up && container.ended().is_none();
    if !is_up {
        println!("{}", fs::read_to_string(log).unwrap_or_default());
        container.signal(Signal::TERM);
        let _ = container.wait(wait::SOON);
    }
    is_up.then_some((container, init))
}
