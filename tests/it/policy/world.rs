//! A bucket policy that demands conditions (403 for any PUT without If-Match or If-None-Match, and any
//! DELETE without If-Match) as the world of whole modules of tests: they run in a process of their own,
//! unchanged, and every mount of theirs goes by a proxy that enforces it.

use std::process::Command;

use aws_sdk_s3::config::{AppName, Builder};

use crate::world::client::{Client, Put};
use crate::world::mounts;
use crate::world::proxy::Proxy;
use crate::world::proxy::policy::{Noted, is_world, setting};
use crate::world::report;
use crate::world::servers::{self, Bucket, Kind};

/// Modules that run under the policy at every run of the tests; the others do by hand:
/// `ETAGFS_TEST_POLICY=/tmp/noted cargo test --test it -- races:: budget::`.
const MODULES: [&str; 3] = ["semantics::", "posix::", "flush_traps::"];

/// So many of each at least, else the modules did not go by the proxies.
const AT_LEAST: usize = 100;

#[test]
fn whole_modules_pass_where_only_conditional_writes_are_let_in() {
    or_skip!(mounts::possible());
    or_skip!(servers::shared(Kind::Embedded));
    if is_world() {
        skip!("this is the run under the policy");
    }
    let notes = tempfile::NamedTempFile::new().unwrap();
    let (variable, file) = setting(notes.path());
    let out = Command::new(std::env::current_exe().unwrap())
        .args(MODULES)
        .arg("policy::world::control")
        // About documents, not about mounts.
        .args(["--skip", "semantics::numbers"])
        .args(["--test-threads", "3"])
        .env(variable, file)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{told}");
    assert!(told.contains("policy::world::control"), "{told}");
    let noted = Noted::sum(&std::fs::read_to_string(notes.path()).unwrap());
    let summary = told.lines().find(|line| line.starts_with("test result"));
    report::write(
        "policy",
        &format!(
            "{}, under a policy that demands conditions: {}\n\
             {} PUTs and {} DELETEs of mounts passed {} proxies, all conditional; {} refused, those of \
             the control",
            MODULES.join(" "),
            summary.unwrap_or_default(),
            noted.puts,
            noted.deletes,
            noted.proxies,
            noted.refused
        ),
    );
    assert!(noted.puts >= AT_LEAST, "{noted:?}");
    assert!(noted.deletes >= AT_LEAST, "{noted:?}");
    assert_eq!(noted.refused, CONTROLS, "{noted:?}");
}

/// What the control below has refused.
const CONTROLS: usize = 2;

/// Unconditional requests in the name of etagfs are refused in such a world, and conditional ones are
/// not. Outside of it there is nothing to see.
#[test]
fn control_unconditional_writes_are_refused() {
    if !is_world() {
        skip!("this is no run under a policy");
    }
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    let ours = in_our_name(&bucket, &proxy);
    let said = ours.try_put("key", "blind").unwrap_err();
    assert!(said.contains("AccessDenied"), "{said}");
    let etag = ours.put_if_absent("key", "1").saved();
    let Put::Saved(_) = ours.put_if_match("key", "2", &etag) else {
        panic!("a conditional put is refused");
    };
    let delete = ours.sdk().delete_object().bucket(&bucket.name).key("key");
    let refused = ours.block_on(delete.send()).unwrap_err();
    assert_eq!(refused.raw_response().unwrap().status().as_u16(), 403);
    assert_eq!(bucket.client().text("key"), "2");
    // The other machine does as it likes.
    bucket.client_at(&proxy.endpoint()).put("key", "3");
}

fn in_our_name(bucket: &Bucket, proxy: &Proxy) -> Client {
    let name = AppName::new("etagfs").unwrap();
    let change = |config: Builder| config.app_name(name);
    Client::with(&proxy.endpoint(), &bucket.keys, &bucket.name, change)
}

#[test]
fn a_plain_put_and_a_plain_delete_are_refused_by_the_policy() {
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    let policy = proxy.require_conditions();
    let client = bucket.client_at(&proxy.endpoint());
    let said = client.try_put("key", "blind").unwrap_err();
    assert!(said.contains("AccessDenied"), "{said}");
    let etag = client.put_if_absent("key", "1").saved();
    client.put_if_match("key", "2", &etag).saved();
    let delete = client.sdk().delete_object().bucket(&bucket.name).key("key");
    assert!(client.block_on(delete.clone().send()).is_err());
    assert_eq!(policy.struck(), 2);
    let etag = client.head("key").unwrap().etag;
    client.block_on(delete.if_match(etag).send()).unwrap();
    assert!(client.keys().is_empty());
}
