//! Values of options that cannot be meant: each is refused at once and in words, whatever the store does.

use std::time::{Duration, Instant};

use super::{Desk, fails};
use crate::world::attempts::attempt;
use crate::world::mounts::{self, Mount};

/// A request is tried for much longer.
const AT_ONCE: Duration = Duration::from_secs(20);

#[test]
fn what_no_header_can_hold_is_wrong_usage() {
    let desk = or_skip!(Desk::new());
    for option in [
        "--acl",
        "--storage-class",
        "--sse-kms-key-id",
        "--expected-bucket-owner",
    ] {
        for value in [r"$'a\nb'", r"$'\e'", "é", "''"] {
            let started = Instant::now();
            let out = desk.run(&format!("echo 1 | etagfs put {option} {value} $S/key"));
            assert_eq!(out.code, Some(2), "{option} {value}: {out:#?}");
            assert!(started.elapsed() < AT_ONCE, "{option} {value}");
        }
    }
    assert_eq!(desk.other.get(&desk.object("key")), None);
}

#[test]
fn what_cannot_be_written_into_a_request_is_not_tried_again() {
    let desk = or_skip!(Desk::new());
    for script in [
        r"ETAGFS_SESSION_TOKEN=$'a\nb' ETAGFS_ACCESS_KEY_ID=a ETAGFS_SECRET_ACCESS_KEY=b etagfs get $S/key",
        r"AWS_SESSION_TOKEN=$'a\nb' etagfs get $S/key",
    ] {
        let started = Instant::now();
        let out = desk.run(script);
        assert_eq!(out.code, Some(1), "{script}: {out:#?}");
        assert!(started.elapsed() < AT_ONCE, "{script}: {out:#?}");
    }
}

#[test]
fn a_proxy_whose_port_does_not_exist_is_wrong_usage() {
    let desk = or_skip!(Desk::new());
    for url in [
        "http://h:99999",
        "http://h:0",
        "http://user:secret@h:x",
        "h",
    ] {
        let started = Instant::now();
        let out = desk.run(&format!("etagfs get --proxy {url} $S/key"));
        assert_eq!(out.code, Some(2), "{url}: {out:#?}");
        assert!(
            out.stderr.contains("the proxy is no URL"),
            "{url}: {out:#?}"
        );
        assert!(!out.stderr.contains("secret"), "{url}: {out:#?}");
        assert!(started.elapsed() < AT_ONCE, "{url}");
    }
}

#[test]
fn a_file_of_settings_without_an_end_is_refused() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    for script in [
        "etagfs get --konserve-key-file /dev/zero $S/key",
        "mkdir -p m; etagfs mount --env-file /dev/zero $B m",
        "mkdir -p m; etagfs mount --konserve-key-file /dev/zero $B m",
        "AWS_CONFIG_FILE=/dev/zero etagfs get $S/key",
    ] {
        let limited = format!("ulimit -v 4000000; {script}");
        let out = desk.script(&limited).within(dir.path()).run();
        assert_eq!(out.code, Some(1), "{script}: {out:#?}");
        let says = |word: &str| out.stderr.contains(word);
        assert!(says("longer than") || says("no end"), "{script}: {out:#?}");
    }
}

#[test]
fn more_memory_than_there_is_is_wrong_usage() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    for size in ["18446744073709551615", "9000000000000000000", "65G"] {
        let mount = format!("mkdir -p m; etagfs mount --shown-memory {size} $B m");
        let out = desk.script(&mount).within(dir.path()).run();
        assert_eq!(out.code, Some(2), "{size}: {out:#?}");
        assert!(out.stderr.contains("at most 64G"), "{size}: {out:#?}");
    }
}

#[test]
fn a_bound_above_everything_is_no_bound() {
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::new());
    let largest = "18446744073709551615";
    let mount = [
        "--inline-limit",
        "--cache-size",
        "--draft-memory",
        "--rescue-memory",
        "--rescue-size",
    ]
    .iter()
    .fold(
        Mount::of(&desk.bucket).store(&desk.store),
        |mount, option| mount.arg(format!("{option}={largest}")),
    )
    .arg("--shown-memory=64G")
    .start();
    for script in [
        "open('key', 'w').write('value')",
        "assert open('key').read() == 'value'",
        "open('key', 'a').write('more')",
        "os.stat('key')",
    ] {
        assert_eq!(attempt(mount.path(), script), "ok", "{script}");
    }
    mount.unmount();
    for script in [
        "etagfs get --range 0-18446744073709551615 $S/key",
        "etagfs update --max-output 18446744073709551615 $S/key -- cat",
    ] {
        let out = desk.run(script);
        assert_eq!(out.code, Some(0), "{script}: {out:#?}");
    }
    fails(
        &desk.run("etagfs update --max-output 0 $S/key -- cat"),
        1,
        &["more than 0 bytes"],
    );
}
