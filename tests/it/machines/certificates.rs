//! A machine without the certificates of authorities, as small container images are: http needs none, and
//! https says so. The certificates of this machine are hidden by variables, and from root's eyes too.

use std::time::{Duration, Instant};

use super::refused;
use crate::world::cli;
use crate::world::mounts::{self, Mount};
use crate::world::namespace::ALONE;
use crate::world::procs::{Output, Script};
use crate::world::servers::{self, Bucket, Kind};
use crate::world::tls::Tls;

/// A machine that has none.
const BARE: [(&str, &str); 2] = [
    ("SSL_CERT_FILE", "/nonexistent/file"),
    ("SSL_CERT_DIR", "/nonexistent/directory"),
];

/// Runs a script there; it is as long as there is nothing to wait for.
fn run(bucket: &Bucket, script: &str, more: &[(&str, &str)]) -> Output {
    let state = tempfile::tempdir().unwrap();
    let script = cli::script(bucket, state.path(), script);
    let variables = BARE.iter().chain(more);
    let script = variables.fold(script, |script, (name, value)| script.env(*name, *value));
    script.env("B", format!("s3://{}", bucket.name)).run()
}

#[test]
fn a_server_that_is_reached_by_http_needs_no_certificates() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let script =
        "etagfs stores ls $B && echo 1 | etagfs put --flat $B/key && etagfs get --flat $B/key";
    let out = run(&bucket, script, &[]).ok();
    assert!(out.stdout.ends_with("1\n"), "{out:#?}");
    assert_eq!(out.stderr, "");
    // Nor does a collector of traces that is.
    let bare = |mount: Mount, (name, value)| mount.env(name, value);
    let mount = Mount::of(&bucket).flat().arg("--otlp=http://127.0.0.1:1");
    let mount = BARE.into_iter().fold(mount, bare).start();
    std::fs::write(mount.file("other"), "2").unwrap();
    let log = mount.unmount();
    assert!(
        !log.contains("panicked") && !log.contains("certificate"),
        "{log}"
    );
    assert_eq!(bucket.client().text("other"), "2");
}

#[test]
fn https_without_certificates_is_one_line_with_its_remedy_and_at_once() {
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let begun = Instant::now();
    let token = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/etc/hostname"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"),
    ];
    let container = [
        ("AWS_ACCESS_KEY_ID", ""),
        ("AWS_SECRET_ACCESS_KEY", ""),
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "https://127.0.0.1:1/keys",
        ),
    ];
    let aws = "unset ETAGFS_ENDPOINT_URL;";
    let tls = "--endpoint-url https://127.0.0.1:1";
    for (what, script, variables) in [
        ("a server", format!("etagfs stores ls $B {tls}"), &[][..]),
        ("AWS", format!("{aws} etagfs stores ls $B"), &[]),
        ("a save", format!("echo 1 | etagfs put --flat $B/key {tls}"), &[]),
        ("a bucket", format!("etagfs bucket create $B {tls}"), &[]),
        ("a probe", format!("etagfs probe $B {tls}"), &[]),
        ("a mount", format!("mkdir -m 700 $ETAGFS_STATE_DIR/m $ETAGFS_STATE_DIR/state && etagfs mount $B $ETAGFS_STATE_DIR/m --state-dir $ETAGFS_STATE_DIR/state {tls}"), &[]),
        ("STS", "etagfs stores ls $B".to_owned(), &token),
        ("a container's keys", "etagfs stores ls $B".to_owned(), &container),
        ("a proxy", "etagfs stores ls $B --proxy https://127.0.0.1:1".to_owned(), &[]),
        (
            "a proxy of the environment",
            "etagfs stores ls $B --endpoint-url http://store.example".to_owned(),
            &[("HTTP_PROXY", "https://127.0.0.1:1")],
        ),
        (
            "a collector",
            "mkdir -m 700 $ETAGFS_STATE_DIR/m $ETAGFS_STATE_DIR/state && etagfs mount $B $ETAGFS_STATE_DIR/m --state-dir $ETAGFS_STATE_DIR/state --otlp https://127.0.0.1:1".to_owned(),
            &[],
        ),
    ] {
        let out = run(&bucket, &script, variables);
        let words = ["no certificate of an authority", "/nonexistent/file", "ca-certificates"];
        refused(what, &out, &words);
    }
    // None waits for its deadline.
    assert!(begun.elapsed() < Duration::from_secs(11 * 30));
}

#[test]
fn a_bundle_that_holds_no_certificate_is_named_with_what_to_do() {
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(place.path().join(name), text).unwrap();
    };
    file("empty", "");
    file("text", "nothing of this kind\n");
    file("cut", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    file(
        "rubbish",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    for (name, why) in [
        ("empty", "holds no certificate"),
        ("text", "holds no certificate"),
        ("cut", "is damaged"),
        ("rubbish", "bad certificate"),
        ("missing", "No such file"),
        (".", "directory"),
    ] {
        let bundle = place.path().join(name).display().to_string();
        let script = "etagfs stores ls $B --endpoint-url https://127.0.0.1:1";
        let named = run(&bucket, script, &[("AWS_CA_BUNDLE", &bundle)]);
        refused(name, &named, &[&bundle, why, "--ca-bundle"]);
        let script = format!("{script} --ca-bundle '{bundle}'");
        refused(
            name,
            &run(&bucket, &script, &[]),
            &[&bundle, why, "--ca-bundle"],
        );
        // The file that the system is said to have: no better than none.
        let script = "etagfs stores ls $B --endpoint-url https://127.0.0.1:1";
        let out = run(&bucket, script, &[("SSL_CERT_FILE", &bundle)]);
        refused(name, &out, &[&bundle, "ca-certificates"]);
        // For http it does not matter.
        let out = run(
            &bucket,
            "etagfs stores ls $B",
            &[("AWS_CA_BUNDLE", &bundle)],
        );
        assert_eq!(out.ok().stderr, "");
    }
}

#[test]
fn a_bundle_takes_the_place_of_certificates_that_the_machine_lacks() {
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let tls = Tls::before(&bucket.endpoint, &["127.0.0.1"]);
    let authority = tls.authority().to_str().unwrap();
    let script = format!("etagfs stores ls $B --endpoint-url {}", tls.url());
    run(&bucket, &script, &[("AWS_CA_BUNDLE", authority)]).ok();
    run(&bucket, &script, &[("ETAGFS_CA_BUNDLE", authority)]).ok();
    // As the system's own.
    run(&bucket, &script, &[("SSL_CERT_FILE", authority)]).ok();
}

/// Without a variable: /etc/ssl is empty, as in debian:stable-slim.
#[test]
fn a_machine_whose_directory_of_certificates_is_empty_is_told_what_to_install() {
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    if !rustix::process::geteuid().is_root() {
        skip!("only root can make a machine look otherwise");
    }
    let state = tempfile::tempdir().unwrap();
    let run = |command: &str| {
        let hidden = "for at in /etc/ssl /usr/share/ca-certificates /usr/local/share/certs /etc/pki; do test ! -d $at || mount -t tmpfs none $at; done";
        let script = format!("{ALONE}\n{hidden}\nexec {command}");
        let bare = |script: Script, (name, _)| script.env(name, "");
        let outer = "unset SSL_CERT_FILE SSL_CERT_DIR; exec unshare --mount --propagation private bash -c \"$SCRIPT\"";
        let outer = cli::script(&bucket, state.path(), outer);
        let outer = BARE.into_iter().fold(outer, bare).env("SCRIPT", script);
        outer.env("B", format!("s3://{}", bucket.name)).run()
    };
    assert_eq!(run("etagfs stores ls $B").ok().stderr, "");
    let out = run("etagfs stores ls $B --endpoint-url https://127.0.0.1:1");
    refused(
        "https",
        &out,
        &[
            "no certificate of an authority was found on this machine",
            "ca-certificates",
        ],
    );
}
