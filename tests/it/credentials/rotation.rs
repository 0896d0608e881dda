//! Keys change while a mount goes on: a new file, a new answer of a process, an end of their time. Nobody
//! mounts anew, and nobody is asked more often than needed.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Home, after, json, new_keys, own_server, section};
use crate::world::client::Keys;
use crate::world::mounts::{self, Mounted};
use crate::world::proxy::{Fault, Op, Proxy, When};
use crate::world::servers::{Bucket, Server};
use crate::world::wait;

/// Reads, then saves over what was read.
fn edit(file: &Path, text: &str) -> io::Result<()> {
    fs::read(file)?;
    fs::write(file, text)?;
    fs::File::open(file)?.sync_all()
}

/// Opens for writing, writes, and makes sure: the errno of a save.
fn save(file: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::File::create(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

const EACCES: Option<i32> = Some(13);

fn edit_new(file: &Path) {
    fs::write(file, "one").unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), "one");
}

#[test]
fn keys_that_change_in_the_file_are_used_without_a_remount() {
    or_skip!(mounts::possible());
    let mut server = or_skip!(own_server());
    let bucket = server.bucket();
    let home = Home::new();
    home.credentials(&section("default", &bucket.keys));
    let mount = home.mount(&bucket).start();
    edit_new(&mount.file("key"));

    let keys = new_keys();
    server.change_keys(keys.clone());
    // The old ones are no good now, and nobody knows newer ones.
    assert_eq!(
        fs::read(mount.file("key")).unwrap_err().raw_os_error(),
        EACCES
    );
    assert_eq!(
        save(&mount.file("key"), "no").unwrap_err().raw_os_error(),
        EACCES
    );
    let log = mount.log();
    assert!(log.contains("InvalidAccessKeyId"), "{log}");
    assert!(log.contains("profile default of "), "{log}");

    home.credentials(&section("default", &keys));
    wait::until("the new keys are used", wait::SOON, || {
        edit(&mount.file("key"), "two").is_ok()
    });
    let other = crate::world::client::Client::new(&bucket.endpoint, &keys, &bucket.name);
    assert_eq!(other.text("key"), "two");
    mount.unmount();
}

/// Stands for a time three seconds after the process is asked: so the keys are renewed as long as the
/// process has some, however slow the machine is, and end soon after it has none any more.
const SOON: &str = "three-seconds-after-the-question";

/// A server of one's own, and somebody whose keys come from a process.
struct Ground {
    server: Server,
    bucket: Bucket,
    home: Home,
}

impl Ground {
    /// The process prints a file, and notes each of its runs. The file has no keys yet.
    fn new() -> Result<Self, String> {
        mounts::possible()?;
        let server = own_server()?;
        let home = Home::new();
        let script = format!(
            "echo run >> {runs}\nsed \"s/{SOON}/$(date -u -d '+3 seconds' +%FT%TZ)/\" {keys}",
            runs = home.path("runs").display(),
            keys = home.path("keys.json").display()
        );
        home.write("process.sh", &script);
        let process = home.path("process.sh");
        home.config(&format!(
            "[default]\ncredential_process = sh {}\n",
            process.display()
        ));
        Ok(Self {
            bucket: server.bucket(),
            server,
            home,
        })
    }

    /// The process gives these from now on.
    fn give(&self, keys: &Keys, token: Option<&str>, expires: Option<&str>) {
        self.home.write("keys.json", &json(keys, token, expires));
    }

    /// A mount with the bucket's own keys and these arguments, and one file, `key`.
    fn mount(&self, expires: Option<&str>, arguments: &[&str]) -> Mounted {
        self.give(&self.bucket.keys, None, expires);
        let mount = self.home.mount(&self.bucket).args(arguments).start();
        edit_new(&mount.file("key"));
        mount
    }

    /// How often the process was asked.
    fn runs(&self) -> usize {
        let text = fs::read_to_string(self.home.path("runs")).unwrap_or_default();
        text.lines().count()
    }
}

#[test]
fn a_process_is_asked_again_when_its_keys_expire() {
    let mut ground = or_skip!(Ground::new());
    let mount = ground.mount(Some(SOON), &[]);
    let before = ground.runs();
    wait::until("the keys are renewed, unseen", wait::SOON, || {
        edit(&mount.file("key"), "one").unwrap();
        ground.runs() > before
    });

    let keys = new_keys();
    let hour = after(Duration::from_secs(3600));
    ground.give(&keys, None, Some(&hour));
    ground.server.change_keys(keys);
    wait::until("the new keys are used", wait::SOON, || {
        edit(&mount.file("key"), "two").is_ok()
    });
    let before = ground.runs();
    for _ in 0..20 {
        edit(&mount.file("key"), "three").unwrap();
    }
    assert_eq!(
        ground.runs(),
        before,
        "keys of an hour are not asked for again"
    );
    mount.unmount();
}

#[test]
fn a_process_whose_keys_are_refused_early_is_asked_again() {
    let mut ground = or_skip!(Ground::new());
    // They never expire, as far as anybody says.
    let mount = ground.mount(None, &[]);
    assert_eq!(ground.runs(), 1);

    let keys = new_keys();
    ground.give(&keys, None, None);
    ground.server.change_keys(keys);
    // The very first operation after it succeeds: what was refused is sent again with the new keys.
    edit(&mount.file("key"), "two").unwrap();
    assert_eq!(ground.runs(), 2);
    mount.unmount();
}

#[test]
fn keys_that_stay_refused_are_not_asked_for_in_a_storm() {
    let mut ground = or_skip!(Ground::new());
    let mount = ground.mount(None, &["--ttl=0"]);
    let before = ground.runs();
    ground.server.change_keys(new_keys());
    let begun = Instant::now();
    for _ in 0..50 {
        let error = fs::read(mount.file("key")).unwrap_err();
        assert_eq!(error.raw_os_error(), EACCES);
    }
    let allowed = 2 + begun.elapsed().as_secs() / 5;
    let asked = (ground.runs() - before) as u64;
    assert!(asked <= allowed, "{asked} runs, {allowed} are allowed");
    mount.unmount();
}

#[test]
fn keys_that_expired_and_are_not_renewed_are_eacces_and_named() {
    let ground = or_skip!(Ground::new());
    let mount = ground.mount(Some(SOON), &["--ttl=0"]);
    ground.home.write("keys.json", "no keys today");
    wait::until("the keys expire", wait::SOON, || {
        fs::read(mount.file("key")).is_err()
    });
    let error = fs::read(mount.file("key")).unwrap_err();
    assert_eq!(error.raw_os_error(), EACCES);
    assert_eq!(
        save(&mount.file("new"), "x").unwrap_err().raw_os_error(),
        EACCES
    );
    let log = mount.log();
    assert!(log.contains("have expired"), "{log}");
    assert!(log.contains("by its process"), "{log}");

    // And when there are some again, the mount goes on.
    let hour = after(Duration::from_secs(3600));
    ground.give(&ground.bucket.keys, None, Some(&hour));
    wait::until("the mount goes on", wait::SOON, || {
        fs::read_to_string(mount.file("key")).is_ok_and(|text| text == "one")
    });
    mount.unmount();
}

#[test]
fn a_token_that_the_store_calls_expired_is_renewed_and_the_request_sent_again() {
    let ground = or_skip!(Ground::new());
    let keys = &ground.bucket.keys;
    let proxy = Proxy::to(&ground.bucket.endpoint);
    ground.give(keys, Some("first"), None);
    let mount = ground.home.mount(&ground.bucket).through(&proxy).start();
    edit_new(&mount.file("key"));
    let expired =
        When::any().and(|request| request.header("x-amz-security-token") == Some("first"));
    let refusals = proxy.inject(expired, Fault::Answer(400, "ExpiredToken"));
    ground.give(keys, Some("second"), None);
    let mark = proxy.mark();
    edit(&mount.file("key"), "two").unwrap();
    assert!(refusals.struck() >= 1);
    let saved = proxy.since(mark).of(Op::Put);
    let last = saved.last().unwrap();
    assert_eq!(last.header("x-amz-security-token"), Some("second"));
    assert_eq!(ground.bucket.client().text("key"), "two");
    mount.unmount();
}

#[test]
fn a_process_that_hangs_is_asked_once_and_nobody_waits_for_ever() {
    let ground = or_skip!(Ground::new());
    let mount = ground.mount(Some(SOON), &["--ttl=0", "--deadline=4"]);
    let (begun, before) = (Instant::now(), ground.runs());
    let runs = ground.home.path("runs");
    let hang = format!("echo run >> {}; exec sleep 20", runs.display());
    ground.home.write("process.sh", &hang);
    wait::until("the keys expire", wait::SOON, || {
        fs::read(mount.file("key")).is_err()
    });
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let file = mount.file("key");
            std::thread::spawn(move || fs::read(file).is_err())
        })
        .collect();
    for reader in readers {
        assert!(reader.join().unwrap(), "there are no keys");
    }
    // One that does not answer is waited for as long as the store would be, and nobody asks another.
    let allowed = 2 + begun.elapsed().as_secs() / 4;
    let asked = (ground.runs() - before) as u64;
    assert!(
        (1..=allowed).contains(&asked),
        "{asked} processes were started, {allowed} are allowed"
    );
    mount.unmount();
}
