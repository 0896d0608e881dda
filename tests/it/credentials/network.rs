//! How requests get to the server: TLS under an authority of one's own, by way of a proxy, and to which
//! of AWS's host names.

use super::{Home, is_in};
use crate::world::mounts;
use crate::world::servers::{self, Bucket, Kind};
use crate::world::tls::Tls;
use crate::world::tunnel::Tunnel;

fn bucket() -> Result<Bucket, String> {
    Ok(servers::shared(Kind::Embedded)?.bucket())
}

/// Somebody who has the bucket's keys.
fn home(bucket: &Bucket) -> Home {
    Home::new()
        .with("AWS_ACCESS_KEY_ID", &bucket.keys.id)
        .with("AWS_SECRET_ACCESS_KEY", &bucket.keys.secret)
}

fn path(tls: &Tls) -> String {
    tls.authority().to_str().unwrap().to_owned()
}

#[test]
fn a_server_under_an_authority_of_ones_own_is_reached_by_its_bundle() {
    let bucket = or_skip!(bucket());
    let tls = Tls::before(&bucket.endpoint, &["127.0.0.1"]);
    let said = home(&bucket).ls(&bucket, &tls.url(), &[]).unwrap_err();
    assert!(said.to_lowercase().contains("certificate"), "{said}");
    home(&bucket)
        .ls(&bucket, &tls.url(), &["--ca-bundle", &path(&tls)])
        .unwrap();
    home(&bucket)
        .with("AWS_CA_BUNDLE", path(&tls))
        .ls(&bucket, &tls.url(), &[])
        .unwrap();
    // The bundle takes the place of the system's authorities, and of others.
    let another = Tls::before(&bucket.endpoint, &["127.0.0.1"]);
    let said = home(&bucket)
        .ls(&bucket, &tls.url(), &["--ca-bundle", &path(&another)])
        .unwrap_err();
    assert!(said.to_lowercase().contains("certificate"), "{said}");
}

#[test]
fn a_bundle_that_cannot_be_used_is_named() {
    let bucket = or_skip!(bucket());
    let home = home(&bucket);
    home.write("ca.pem", "nothing");
    let file = home.path("ca.pem");
    let said = home
        .ls(
            &bucket,
            "https://127.0.0.1:1",
            &["--ca-bundle", file.to_str().unwrap()],
        )
        .unwrap_err();
    assert!(
        is_in(&said, &file) && said.contains("no certificate"),
        "{said}"
    );
}

#[test]
fn a_mount_works_by_tls() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(bucket());
    let tls = Tls::before(&bucket.endpoint, &["127.0.0.1"]);
    let mount = home(&bucket)
        .mount(&bucket)
        .at_url(&tls.url())
        .env("AWS_CA_BUNDLE", path(&tls))
        .start();
    std::fs::write(mount.file("key"), "value").unwrap();
    assert_eq!(bucket.client().text("key"), "value");
    mount.unmount();
}

/// `stores ls` at AWS as far as it can tell, by way of a proxy; which hosts it wanted.
fn hosts(bucket: &Bucket, more: &[&str], expect: bool) -> Vec<String> {
    let names = [
        "*.eu-west-1.amazonaws.com",
        "*.dualstack.eu-west-1.amazonaws.com",
        "*.s3-accelerate.amazonaws.com",
    ];
    let tls = Tls::before(&bucket.endpoint, &names);
    let proxy = Tunnel::to(tls.address());
    let home = home(bucket)
        .with("HTTPS_PROXY", proxy.url())
        .with("AWS_CA_BUNDLE", path(&tls));
    let source = format!("s3://{}", bucket.name);
    let mut arguments = vec!["stores", "ls", &source, "--region", "eu-west-1"];
    arguments.extend(more);
    let out = home.etagfs(&arguments);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.success(), expect, "{said}");
    let mut hosts: Vec<_> = proxy.asked().into_iter().map(|wish| wish.target).collect();
    hosts.dedup();
    hosts
}

#[test]
fn the_variants_of_awss_endpoints_are_used() {
    let bucket = or_skip!(bucket());
    for (options, host) in [
        (&[][..], "s3.eu-west-1.amazonaws.com:443"),
        (
            &["--dual-stack"],
            "s3.dualstack.eu-west-1.amazonaws.com:443",
        ),
        (&["--fips"], "s3-fips.eu-west-1.amazonaws.com:443"),
        (
            &["--fips", "--dual-stack"],
            "s3-fips.dualstack.eu-west-1.amazonaws.com:443",
        ),
    ] {
        let mut options = options.to_vec();
        // The server behind it knows buckets by their paths only.
        options.push("--path-style");
        assert_eq!(hosts(&bucket, &options, true), [host], "{options:?}");
    }
    let accelerated = hosts(&bucket, &["--accelerate"], false);
    let host = format!("{}.s3-accelerate.amazonaws.com:443", bucket.name);
    assert_eq!(accelerated, [host]);
    let styled = hosts(&bucket, &[], false);
    let host = format!("{}.s3.eu-west-1.amazonaws.com:443", bucket.name);
    assert_eq!(styled, [host]);
}

#[test]
fn endpoints_of_aws_and_of_others_exclude_each_other() {
    let bucket = or_skip!(bucket());
    for option in ["--fips", "--dual-stack", "--accelerate"] {
        let said = home(&bucket)
            .ls(&bucket, &bucket.endpoint, &[option])
            .unwrap_err();
        assert!(said.starts_with("Some(2)"), "{said}");
    }
}

/// A proxy of a company, whatever name it is asked for.
fn proxy_to(bucket: &Bucket) -> Tunnel {
    let upstream = bucket.endpoint.trim_start_matches("http://");
    Tunnel::to(upstream.parse().unwrap())
}

#[test]
fn a_proxy_is_asked_for_plain_http_too_but_not_for_this_machine() {
    let bucket = or_skip!(bucket());
    let proxy = proxy_to(&bucket);
    let away = "http://store.example:8333";

    home(&bucket)
        .with("HTTP_PROXY", proxy.url())
        .ls(&bucket, away, &[])
        .unwrap();
    assert!(
        proxy.asked()[0].target.starts_with(away),
        "{:?}",
        proxy.asked()
    );

    let before = proxy.asked().len();
    home(&bucket)
        .with("HTTP_PROXY", proxy.url())
        .ls(&bucket, &bucket.endpoint, &[])
        .unwrap();
    assert_eq!(
        proxy.asked().len(),
        before,
        "a loopback address needs no proxy"
    );

    // An option is meant.
    home(&bucket)
        .ls(&bucket, &bucket.endpoint, &["--proxy", &proxy.url()])
        .unwrap();
    assert!(proxy.asked().len() > before);

    let before = proxy.asked().len();
    home(&bucket)
        .with("NO_PROXY", "127.0.0.1")
        .ls(&bucket, &bucket.endpoint, &["--proxy", &proxy.url()])
        .unwrap();
    assert_eq!(
        proxy.asked().len(),
        before,
        "NO_PROXY holds for the option too"
    );
}

#[test]
fn a_proxy_gets_its_password_and_nobody_else_does() {
    let bucket = or_skip!(bucket());
    let proxy = proxy_to(&bucket);
    let url = format!("http://me:geheim@{}", proxy.address());
    home(&bucket)
        .ls(&bucket, "http://store.example", &["--proxy", &url])
        .unwrap();
    let head = proxy.asked()[0].head.to_lowercase();
    assert!(
        head.contains("proxy-authorization: basic bwu6z2vozwlt"),
        "{head}"
    );
    // One that cannot be reached.
    let url = "http://me:geheim@127.0.0.1:1";
    let said = home(&bucket)
        .ls(&bucket, "http://store.example", &["--proxy", url])
        .unwrap_err();
    assert!(!said.contains("geheim"), "{said}");
}
