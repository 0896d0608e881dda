//! Keys change while a mount goes on: a new file, a new answer of a process, an end of their time. Nobody
//! mounts anew, and nobody is asked more often than needed.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::{Home, json, new_keys, own_server, section};
use crate::world::mounts;
use crate::world::proxy::{Fault, Op, Proxy, When};
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

fn edit_new(file: &Path) {
    fs::write(file, "one").unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), "one");
}

/// A home whose process prints a file, and notes each of its runs.
fn with_process(home: &Home) {
    let script = format!(
        "echo run >> {runs}; cat {keys}",
        runs = home.path("runs").display(),
        keys = home.path("keys.json").display()
    );
    home.write("process.sh", &script);
    let process = home.path("process.sh");
    home.config(&format!(
        "[default]\ncredential_process = sh {}\n",
        process.display()
    ));
}

fn runs(home: &Home) -> usize {
    let text = fs::read_to_string(home.path("runs")).unwrap_or_default();
    text.lines().count()
}

#[test]
fn a_process_is_asked_again_when_its_keys_expire() {
    or_skip!(mounts::possible());
    let mut server = or_skip!(own_server());
    let bucket = server.bucket();
    let home = Home::new();
    with_process(&home);
    let soon = Duration::from_secs(4);
    home.write("keys.json", &json(&bucket.keys, None, Some(soon)));
    let mount = home.mount(&bucket).start();
    edit_new(&mount.file("key"));

    let keys = new_keys();
    let long = Duration::from_secs(3600);
    home.write("keys.json", &json(&keys, None, Some(long)));
    server.change_keys(keys);
    wait::until("the new keys are used", wait::SOON, || {
        edit(&mount.file("key"), "two").is_ok()
    });
    let before = runs(&home);
    for _ in 0..20 {
        edit(&mount.file("key"), "three").unwrap();
    }
    assert_eq!(
        runs(&home),
        before,
        "keys of an hour are not asked for again"
    );
    mount.unmount();
}

#[test]
fn a_process_whose_keys_are_refused_early_is_asked_again() {
    or_skip!(mounts::possible());
    let mut server = or_skip!(own_server());
    let bucket = server.bucket();
    let home = Home::new();
    with_process(&home);
    // They never expire, as far as anybody says.
    home.write("keys.json", &json(&bucket.keys, None, None));
    let mount = home.mount(&bucket).start();
    edit_new(&mount.file("key"));
    assert_eq!(runs(&home), 1);

    let keys = new_keys();
    home.write("keys.json", &json(&keys, None, None));
    server.change_keys(keys);
    // The very first operation after it succeeds: what was refused is sent again with the new keys.
    edit(&mount.file("key"), "two").unwrap();
    assert_eq!(runs(&home), 2);
    mount.unmount();
}

#[test]
fn keys_that_stay_refused_are_not_asked_for_in_a_storm() {
    or_skip!(mounts::possible());
    let mut server = or_skip!(own_server());
    let bucket = server.bucket();
    let home = Home::new();
    with_process(&home);
    home.write("keys.json", &json(&bucket.keys, None, None));
    let mount = home.mount(&bucket).arg("--ttl=0").start();
    edit_new(&mount.file("key"));

    server.change_keys(new_keys());
    let begun = std::time::Instant::now();
    for _ in 0..50 {
        let error = fs::read(mount.file("key")).unwrap_err();
        assert_eq!(error.raw_os_error(), EACCES);
    }
    let allowed = 2 + begun.elapsed().as_secs() / 5;
    let asked = runs(&home) as u64 - 1;
    assert!(asked <= allowed, "{asked} runs, {allowed} are allowed");
    mount.unmount();
}

#[test]
fn keys_that_expired_and_are_not_renewed_are_eacces_and_named() {
    or_skip!(mounts::possible());
    let server = or_skip!(own_server());
    let bucket = server.bucket();
    let home = Home::new();
    with_process(&home);
    let soon = Duration::from_secs(3);
    home.write("keys.json", &json(&bucket.keys, None, Some(soon)));
    let mount = home.mount(&bucket).arg("--ttl=0").start();
    edit_new(&mount.file("key"));
    home.write("keys.json", "no keys today");
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
    let long = Duration::from_secs(3600);
    home.write("keys.json", &json(&bucket.keys, None, Some(long)));
    wait::until("the mount goes on", wait::SOON, || {
        fs::read_to_string(mount.file("key")).is_ok_and(|text| text == "one")
    });
    mount.unmount();
}

#[test]
fn a_token_that_the_store_calls_expired_is_renewed_and_the_request_sent_again() {
    or_skip!(mounts::possible());
    let server = or_skip!(own_server());
    let bucket = server.bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    let home = Home::new();
    with_process(&home);
    home.write("keys.json", &json(&bucket.keys, Some("first"), None));
    let mount = home.mount(&bucket).through(&proxy).start();
    edit_new(&mount.file("key"));
    let expired =
        When::any().and(|request| request.header("x-amz-security-token") == Some("first"));
    let refusals = proxy.inject(expired, Fault::Answer(400, "ExpiredToken"));
    home.write("keys.json", &json(&bucket.keys, Some("second"), None));
    let mark = proxy.mark();
    edit(&mount.file("key"), "two").unwrap();
    assert!(refusals.struck() >= 1);
    let saved = proxy.since(mark).of(Op::Put);
    let last = saved.last().unwrap();
    assert_eq!(last.header("x-amz-security-token"), Some("second"));
    assert_eq!(bucket.client().text("key"), "two");
    mount.unmount();
}

#[test]
fn a_process_that_hangs_is_asked_once_and_nobody_waits_for_ever() {
    or_skip!(mounts::possible());
    let server = or_skip!(own_server());
    let bucket = server.bucket();
    let home = Home::new();
    with_process(&home);
    let soon = Duration::from_secs(3);
    home.write("keys.json", &json(&bucket.keys, None, Some(soon)));
    let mount = home
        .mount(&bucket)
        .args(&["--ttl=0", "--deadline=4"])
        .start();
    edit_new(&mount.file("key"));
    let before = runs(&home);
    let hang = format!("echo run >> {}; exec sleep 20", home.path("runs").display());
    home.write("process.sh", &hang);
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
    let asked = runs(&home) - before;
    assert!((1..=6).contains(&asked), "{asked} processes were started");
    mount.unmount();
}
