//! What a service manager is told, with a socket in the place of systemd's.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::world::mounts::{self, Mount, Mounted, is_mount_point};
use crate::world::proxy::{Fault, Gate, Op, Proxy, When};
use crate::world::servers::{self, Kind};
use crate::world::wait;

/// The socket of a service manager, and what arrived there.
struct Manager {
    directory: tempfile::TempDir,
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            directory,
            socket,
            heard: Vec::new(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("notify")
    }

    /// Everything that arrived so far, line by line.
    fn heard(&mut self) -> &[String] {
        let mut message = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut message) {
            let text = String::from_utf8(message[..length].to_vec()).unwrap();
            self.heard.extend(text.lines().map(str::to_owned));
        }
        &self.heard
    }

    fn count(&mut self, line: &str) -> usize {
        self.heard().iter().filter(|heard| *heard == line).count()
    }

    /// Waits until something like this arrives.
    #[track_caller]
    fn hears(&mut self, words: &str) {
        wait::until(words, wait::SOON, || {
            self.heard().iter().any(|line| line.contains(words))
        });
    }

    fn supervise(&self, mount: Mount) -> Mount {
        mount.flat().env("NOTIFY_SOCKET", self.path())
    }
}

/// Told often enough for a test.
const WATCHDOG: &str = "3000000";

fn supervised(manager: &Manager) -> Result<Mounted, String> {
    mounts::possible()?;
    let bucket = servers::shared(Kind::Ministack)?.bucket();
    let mount = manager.supervise(Mount::of(&bucket));
    Ok(mount.env("WATCHDOG_USEC", WATCHDOG).start())
}

#[test]
fn ready_is_told_when_the_mount_answers_and_not_before() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    let gate = Gate::new();
    proxy.inject(When::op(Op::List).once(), Fault::HoldRequest(gate.clone()));
    let mut manager = Manager::new();
    let point = tempfile::tempdir().unwrap();
    let at = point.path().canonicalize().unwrap();
    let mount = manager.supervise(Mount::of(&bucket).through(&proxy).at(&at));
    let mount = std::thread::scope(|scope| {
        let starting = scope.spawn(|| mount.start());
        gate.wait_for(1);
        assert_eq!(manager.heard(), [""; 0]);
        gate.open();
        manager.hears("READY=1");
        assert!(is_mount_point(&at), "ready, and nothing is mounted");
        starting.join().unwrap()
    });
    let label = format!("STATUS=s3://{} at {}: saves 0", bucket.name, at.display());
    manager.hears(&label);
    mount.terminate();
    assert_eq!(manager.count("READY=1"), 1);
    // There was no watchdog to be told.
    assert_eq!(manager.count("WATCHDOG=1"), 0);
}

#[test]
fn nothing_is_ready_that_cannot_be_mounted() {
    or_skip!(mounts::possible());
    let mut bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    "nosuchbucket".clone_into(&mut bucket.name);
    let mut manager = Manager::new();
    manager
        .supervise(Mount::of(&bucket))
        .try_start()
        .unwrap_err();
    assert_eq!(manager.heard(), [""; 0]);
}

#[test]
fn the_watchdog_is_told_as_long_as_the_mount_answers_and_the_status_goes_on() {
    let mut manager = Manager::new();
    let mount = or_skip!(supervised(&manager));
    fs::write(mount.file("key"), "value").unwrap();
    manager.hears("saves 1, conflicts 0");
    let before = manager.count("WATCHDOG=1");
    wait::until("more signs of life", wait::SOON, || {
        manager.count("WATCHDOG=1") > before + 2
    });
    mount.terminate();
    assert_eq!(manager.count("STOPPING=1"), 1);
    assert_eq!(
        manager.heard().last().unwrap(),
        "STATUS=saving or rescuing what is left"
    );
}

#[test]
fn a_store_that_is_away_does_not_stop_the_watchdog() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    let mut manager = Manager::new();
    let mount = manager
        .supervise(Mount::of(&bucket).through(&proxy))
        .env("WATCHDOG_USEC", WATCHDOG)
        .start();
    manager.hears("WATCHDOG=1");
    proxy.down();
    let before = manager.count("WATCHDOG=1");
    wait::until("more signs of life", wait::SOON, || {
        manager.count("WATCHDOG=1") > before + 2
    });
    proxy.up();
    mount.terminate();
}

#[test]
fn a_mount_that_was_taken_from_its_place_with_files_open_is_no_dead_mount() {
    let mut manager = Manager::new();
    let mut mount = or_skip!(supervised(&manager));
    // It asks its own mount before it is ready.
    manager.hears("READY=1");
    fs::write(mount.file("key"), "value").unwrap();
    let open = fs::File::open(mount.file("key")).unwrap();
    rustix::mount::unmount(mount.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
    manager.hears("it ends with the last open file");
    let before = manager.count("WATCHDOG=1");
    wait::until("more signs of life", wait::SOON, || {
        manager.count("WATCHDOG=1") > before + 1
    });
    drop(open);
    wait::until("the daemon ends", wait::SOON, || mount.ended().is_some());
    assert!(mount.ended().unwrap().success());
}

#[test]
fn a_watchdog_of_another_process_is_left_alone() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let mut manager = Manager::new();
    let mount = manager
        .supervise(Mount::of(&bucket))
        .env("WATCHDOG_USEC", WATCHDOG)
        .env("WATCHDOG_PID", "1")
        .start();
    manager.hears("READY=1");
    mount.terminate();
    assert_eq!(manager.count("WATCHDOG=1"), 0);
}

#[test]
fn a_manager_that_is_gone_ends_no_mount() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Ministack)).bucket();
    let nobody = Path::new("/nonexistent/notify");
    let mount = Mount::of(&bucket)
        .flat()
        .env("NOTIFY_SOCKET", nobody)
        .start();
    fs::write(mount.file("key"), "value").unwrap();
    let log = mount.terminate();
    assert!(log.contains("could not be told"), "{log}");
}
