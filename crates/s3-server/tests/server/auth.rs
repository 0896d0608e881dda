//! Signatures: checked when there is a key pair, not looked at when there is none.

use std::time::Duration;

use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use etagfs_s3_server::Credentials;
use hyper::Method;

use super::world::{BUCKET, Checks, Running, client};

async fn closed() -> Running {
    Running::start_with(|config| {
        config.credentials = Some(Credentials {
            access_key: "access".to_owned(),
            secret_key: "secret".to_owned(),
        });
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_key_pair_takes_only_its_signature() {
    let server = closed().await;
    let mut checks = Checks::default();
    let right = client(&server.url, Some(("access", "secret")));
    let wrong = client(&server.url, Some(("access", "guess")));
    let unknown = client(&server.url, Some(("who", "secret")));
    let anonymous = client(&server.url, None);
    let created = right.create_bucket().bucket(BUCKET).send().await;
    checks.answers("right", &created, (200, ""));
    let put = |s3: &aws_sdk_s3::Client, key: &str| {
        let body = ByteStream::from_static(b"x");
        s3.put_object().bucket(BUCKET).key(key).body(body).send()
    };
    for key in [
        "k", "a//b", "/a", "a b+c", "a%2Fb", "\u{e9}", "a/../b", "*'()!~",
    ] {
        checks.answers(key, &put(&right, key).await, (200, ""));
        let got = right.get_object().bucket(BUCKET).key(key).send().await;
        checks.answers(key, &got, (200, ""));
    }
    let refused = put(&wrong, "k").await;
    checks.answers("wrong secret", &refused, (403, "SignatureDoesNotMatch"));
    checks.answers(
        "unknown key",
        &put(&unknown, "k").await,
        (403, "InvalidAccessKeyId"),
    );
    checks.answers(
        "no signature",
        &put(&anonymous, "k").await,
        (403, "AccessDenied"),
    );
    let read = anonymous.get_object().bucket(BUCKET).key("k").send().await;
    checks.answers("an anonymous read", &read, (403, "AccessDenied"));
    let list = anonymous.list_objects_v2().bucket(BUCKET).send().await;
    checks.answers("an anonymous listing", &list, (403, "AccessDenied"));
    checks.done("signatures");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_url_works_and_a_forged_one_does_not() {
    for server in [closed().await, Running::start_with(|_| {}).await] {
        let mut checks = Checks::default();
        let s3 = client(&server.url, Some(("access", "secret")));
        s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let body = ByteStream::from_static(b"hello");
        s3.put_object()
            .bucket(BUCKET)
            .key("a b\u{e9}")
            .body(body)
            .send()
            .await
            .unwrap();
        let hour = PresigningConfig::expires_in(Duration::from_secs(3600)).unwrap();
        let get = s3
            .get_object()
            .bucket(BUCKET)
            .key("a b\u{e9}")
            .presigned(hour)
            .await
            .unwrap();
        let path = get.uri().strip_prefix(&server.url).unwrap().to_owned();
        let (status, _, body) = server.raw(Method::GET, &path, &[], "").await;
        checks.equal(
            "presigned",
            (status.as_u16(), body.as_str()),
            (200, "hello"),
        );
        let open = anonymous_allowed(&server).await;
        let (before, signature) = path.split_once("X-Amz-Signature=").unwrap();
        let other = if signature.starts_with('0') { "1" } else { "0" };
        let forged = format!("{before}X-Amz-Signature={other}{}", &signature[1..]);
        let (status, ..) = server.raw(Method::GET, &forged, &[], "").await;
        checks.equal("forged", status.as_u16(), if open { 200 } else { 403 });
        checks.done("presigned");
    }
}

async fn anonymous_allowed(server: &Running) -> bool {
    let anonymous = client(&server.url, None);
    anonymous.head_bucket().bucket(BUCKET).send().await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_server_takes_any_signature_and_none() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    for key_pair in [None, Some(("who", "ever")), Some(("some", "one"))] {
        let s3 = client(&server.url, key_pair);
        let body = ByteStream::from_static(b"x");
        let put = s3
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .body(body)
            .send()
            .await;
        checks.answers("PUT", &put, (200, ""));
        let got = s3.get_object().bucket(BUCKET).key("k").send().await;
        checks.answers("GET", &got, (200, ""));
    }
    checks.done("open server");
}
