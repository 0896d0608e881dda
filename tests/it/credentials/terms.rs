//! What requests say beyond their matter: seen on the wire, on an independent server that takes it.

use std::fs;

use crate::world::mounts::{self, Mount};
use crate::world::proxy::{Op, Proxy, Record};
use crate::world::servers::{self, Bucket, Kind};

fn bucket() -> Result<Bucket, String> {
    Ok(servers::shared(Kind::Ministack)?.bucket())
}

/// What a mount with these options sends: a listing, reads, saves, a delete.
fn sent(bucket: &Bucket, options: &[&str]) -> Vec<Record> {
    let proxy = Proxy::to(&bucket.endpoint);
    let other = bucket.client();
    other.put_with("old", "one", "text/x-old", &[("owner", "ann")]);
    let mount = options
        .iter()
        .fold(Mount::of(bucket).through(&proxy).flat(), |mount, option| {
            mount.arg(*option)
        })
        .start();
    fs::write(mount.file("new"), "new").unwrap();
    // A truncation of what nobody has read: a HEAD asks what travels with it.
    fs::write(mount.file("old"), "two").unwrap();
    assert_eq!(fs::read_to_string(mount.file("old")).unwrap(), "two");
    fs::remove_file(mount.file("new")).unwrap();
    assert_eq!(fs::read_dir(mount.path()).unwrap().count(), 1);
    mount.unmount();
    let log = proxy.log().0;
    for op in [Op::List, Op::Get, Op::Head, Op::Put, Op::Delete] {
        assert!(
            log.iter().any(|request| request.op == op),
            "no {op} was sent"
        );
    }
    log
}

/// Each of these headers goes with these requests and no others.
#[track_caller]
fn check(log: &[Record], name: &str, value: &str, goes_with: impl Fn(Op) -> bool) {
    for request in log {
        let expected = goes_with(request.op).then_some(value);
        assert_eq!(request.header(name), expected, "{name} of {request}");
    }
}

#[test]
fn nothing_is_said_that_was_not_asked_for() {
    or_skip!(mounts::possible());
    let log = sent(&or_skip!(bucket()), &[]);
    for name in [
        "x-amz-request-payer",
        "x-amz-expected-bucket-owner",
        "x-amz-storage-class",
        "x-amz-server-side-encryption",
        "x-amz-acl",
    ] {
        check(&log, name, "", |_| false);
    }
}

#[test]
fn payer_and_owner_go_with_every_request_and_are_signed() {
    or_skip!(mounts::possible());
    let options = ["--requester-pays", "--expected-bucket-owner=000000000000"];
    let log = sent(&or_skip!(bucket()), &options);
    check(&log, "x-amz-request-payer", "requester", |_| true);
    check(&log, "x-amz-expected-bucket-owner", "000000000000", |_| {
        true
    });
    for request in &log {
        let signed = request.header("authorization").unwrap();
        assert!(signed.contains("x-amz-expected-bucket-owner"), "{signed}");
    }
}

#[test]
fn class_acl_and_encryption_go_with_every_put() {
    or_skip!(mounts::possible());
    let options = [
        "--storage-class=standard_ia",
        "--acl=bucket-owner-full-control",
        "--sse=s3",
    ];
    let bucket = or_skip!(bucket());
    let log = sent(&bucket, &options);
    let is_put = |op| op == Op::Put;
    check(&log, "x-amz-storage-class", "STANDARD_IA", is_put);
    check(&log, "x-amz-acl", "bucket-owner-full-control", is_put);
    check(&log, "x-amz-server-side-encryption", "AES256", is_put);
    // The saved object has them, and keeps what travelled with the old one (W14).
    let other = bucket.client();
    let head = other.block_on(
        other
            .sdk()
            .head_object()
            .bucket(&bucket.name)
            .key("old")
            .send(),
    );
    let class = head.unwrap().storage_class.unwrap();
    assert_eq!(class.as_str(), "STANDARD_IA");
    let object = other.get("old").unwrap();
    assert_eq!(object.text(), "two");
    assert_eq!(object.content_type.as_deref(), Some("text/x-old"));
    assert_eq!(object.metadata["owner"], "ann");
}

#[test]
fn keys_of_kms_are_named_in_every_put() {
    or_skip!(mounts::possible());
    let key = "arn:aws:kms:us-east-1:000000000000:key/1234";
    let log = sent(
        &or_skip!(bucket()),
        &[&format!("--sse-kms-key-id={key}"), "--sse-bucket-key"],
    );
    let is_put = |op| op == Op::Put;
    check(&log, "x-amz-server-side-encryption", "aws:kms", is_put);
    check(
        &log,
        "x-amz-server-side-encryption-aws-kms-key-id",
        key,
        is_put,
    );
    check(
        &log,
        "x-amz-server-side-encryption-bucket-key-enabled",
        "true",
        is_put,
    );
}

#[test]
fn options_of_the_fstab_and_variables_say_the_same() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(bucket());
    let log = sent(
        &bucket,
        &["-ostorage_class=STANDARD_IA,requester_pays,sse=s3"],
    );
    let is_put = |op| op == Op::Put;
    check(&log, "x-amz-storage-class", "STANDARD_IA", is_put);
    check(&log, "x-amz-server-side-encryption", "AES256", is_put);
    check(&log, "x-amz-request-payer", "requester", |_| true);
}
