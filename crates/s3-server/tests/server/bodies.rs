//! Bodies and what travels with them: sizes, ranges, metadata, checksums, framing.

use std::collections::HashMap;

use aws_sdk_s3::primitives::{ByteStream, DateTime, SdkBody};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use hyper::Method;

use super::world::{BUCKET, Checks, Running};

/// Bytes that tell where they are.
pub(super) fn pattern(size: usize) -> Vec<u8> {
    (0..size)
        .map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_all_sizes_come_back_whole_and_in_ranges() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    // On both sides of what is kept in the index, and of what is read at once.
    for size in [0, 1, 65_535, 65_536, 65_537, 262_144, 262_145, 3_000_000] {
        let body = pattern(size);
        let etag = server.put("k", body.clone()).await;
        checks.holds("the ETag is an MD5", etag.len() == 34);
        let got = server
            .s3
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .send()
            .await
            .unwrap();
        checks.equal(
            "length",
            got.content_length(),
            Some(i64::try_from(size).unwrap()),
        );
        checks.equal("ETag", got.e_tag(), Some(etag.as_str()));
        checks.holds("bytes", got.body.collect().await.unwrap().to_vec() == body);
        let ranges = [
            ("bytes=0-0", 0, 1),
            ("bytes=1-70000", 1, 70_001),
            ("bytes=5-", 5, size),
        ];
        let ranges = ranges
            .into_iter()
            .chain([("bytes=-3", size.saturating_sub(3), size)]);
        for (range, start, end) in ranges {
            let get = server
                .s3
                .get_object()
                .bucket(BUCKET)
                .key("k")
                .range(range)
                .send()
                .await;
            let (start, end) = (start, end.min(size));
            if start >= end {
                checks.answers(range, &get, (416, "InvalidRange"));
                continue;
            }
            let got = get.unwrap();
            let told = format!("bytes {start}-{}/{size}", end - 1);
            checks.equal("content-range", got.content_range(), Some(told.as_str()));
            let bytes = got.body.collect().await.unwrap().to_vec();
            checks.holds("bytes of the range", bytes == body[start..end]);
        }
    }
    checks.done("bodies and ranges");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_and_content_headers_come_back() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let expires = DateTime::from_secs(2_000_000_000);
    let put = server.s3.put_object().bucket(BUCKET).key("k");
    put.content_type("text/plain; charset=utf-8")
        .content_encoding("gzip")
        .content_language("de")
        .content_disposition("attachment; filename=\"x y\"")
        .cache_control("max-age=7")
        .expires(expires)
        .metadata("put-id", "0123")
        .metadata("note", "with spaces, and = signs")
        .send()
        .await
        .unwrap();
    let head = server
        .s3
        .head_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    checks.equal(
        "type",
        head.content_type(),
        Some("text/plain; charset=utf-8"),
    );
    checks.equal("encoding", head.content_encoding(), Some("gzip"));
    checks.equal("language", head.content_language(), Some("de"));
    let disposition = Some("attachment; filename=\"x y\"");
    checks.equal("disposition", head.content_disposition(), disposition);
    checks.equal("cache control", head.cache_control(), Some("max-age=7"));
    checks.equal(
        "expires",
        head.expires_string(),
        Some("Wed, 18 May 2033 03:33:20 GMT"),
    );
    let metadata = HashMap::from([
        ("put-id".to_owned(), "0123".to_owned()),
        ("note".to_owned(), "with spaces, and = signs".to_owned()),
    ]);
    checks.equal("metadata", head.metadata(), Some(&metadata));
    let got = server
        .s3
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    checks.equal(
        "GET tells the same type",
        got.content_type(),
        head.content_type(),
    );
    checks.equal(
        "GET tells the same metadata",
        got.metadata(),
        head.metadata(),
    );

    let other = server.s3.get_object().bucket(BUCKET).key("k");
    let other = other
        .response_content_type("image/png")
        .send()
        .await
        .unwrap();
    checks.equal(
        "an overridden type",
        other.content_type(),
        Some("image/png"),
    );

    server.raw(Method::PUT, "/bucket/plain", &[], "x").await;
    let plain = server
        .s3
        .head_object()
        .bucket(BUCKET)
        .key("plain")
        .send()
        .await
        .unwrap();
    checks.equal(
        "the type of nothing said",
        plain.content_type(),
        Some("binary/octet-stream"),
    );
    checks.equal("no metadata", plain.metadata().map_or(0, HashMap::len), 0);
    checks.done("metadata");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_checksum_is_refused_and_nothing_is_stored() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let sha = "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";
    for (header, value, code) in [
        ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", "BadDigest"),
        ("content-md5", "nonsense", "InvalidDigest"),
        ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-crc32c", "AAAAAA==", "BadDigest"),
        ("x-amz-checksum-crc64nvme", "AAAAAAAAAAA=", "BadDigest"),
        (
            "x-amz-checksum-sha1",
            "2jmj7l5rSw0yVb/vlWAYkK/YBwo=",
            "BadDigest",
        ),
        ("x-amz-checksum-sha256", "AAAA", "BadDigest"),
    ] {
        let headers = [(header, value)];
        let (status, _, body) = server.raw(Method::PUT, "/bucket/k", &headers, "abc").await;
        checks.equal(header, status.as_u16(), 400);
        checks.holds(&format!("{header}: {code} in {body}"), body.contains(code));
    }
    let gone = server.s3.get_object().bucket(BUCKET).key("k").send().await;
    checks.answers("nothing was stored", &gone, (404, "NoSuchKey"));
    let headers = [
        ("x-amz-checksum-sha256", sha),
        ("content-md5", "kAFQmDzST7DWlj99KOF/cg=="),
    ];
    let (status, ..) = server.raw(Method::PUT, "/bucket/k", &headers, "abc").await;
    checks.equal("true ones", status.as_u16(), 200);
    let get = server.s3.get_object().bucket(BUCKET).key("k");
    let get = get
        .checksum_mode(ChecksumMode::Enabled)
        .send()
        .await
        .unwrap();
    checks.equal("and they come back", get.checksum_sha256(), Some(sha));
    for algorithm in [
        ChecksumAlgorithm::Crc32,
        ChecksumAlgorithm::Crc32C,
        ChecksumAlgorithm::Crc64Nvme,
        ChecksumAlgorithm::Sha1,
        ChecksumAlgorithm::Sha256,
    ] {
        let put = server
            .s3
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .body(ByteStream::from_static(b"x"));
        let put = put.checksum_algorithm(algorithm.clone()).send().await;
        checks.answers(algorithm.as_str(), &put, (200, ""));
        checks.equal(
            "the client checks it too",
            server.get("k").await,
            b"x".to_vec(),
        );
    }
    let batch = "<Delete><Object><Key>k</Key></Object></Delete>";
    let headers = [("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")];
    let (status, _, body) = server
        .raw(Method::POST, "/bucket?delete", &headers, batch)
        .await;
    checks.equal("a batch delete", status.as_u16(), 400);
    checks.holds("a batch delete", body.contains("BadDigest"));
    checks.equal("it deleted nothing", server.get("k").await, b"x".to_vec());
    let (status, ..) = server.raw(Method::POST, "/bucket?delete", &[], batch).await;
    checks.equal("a batch delete without claims", status.as_u16(), 200);
    checks.done("checksums");
}

/// The client streams a body that it cannot rewind as `aws-chunked` with a trailing checksum.
#[tokio::test(flavor = "multi_thread")]
async fn an_aws_chunked_body_is_unwrapped() {
    let (access, secret) = ("access", "secret");
    for closed in [false, true] {
        let server = Running::start_with(|config| {
            config.credentials = closed.then(|| etagfs_s3_server::Credentials {
                access_key: access.to_owned(),
                secret_key: secret.to_owned(),
            });
        })
        .await;
        let s3 = super::world::client(&server.url, Some((access, secret)));
        s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let mut checks = Checks::default();
        for size in [0, 5, 200_000] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), pattern(size)).unwrap();
            let body = ByteStream::from_path(file.path()).await.unwrap();
            let put = s3
                .put_object()
                .bucket(BUCKET)
                .key("k")
                .content_encoding("gzip");
            let put = put.body(body).send().await;
            checks.answers("PUT of a file", &put, (200, ""));
            let got = s3
                .get_object()
                .bucket(BUCKET)
                .key("k")
                .send()
                .await
                .unwrap();
            checks.equal("its encoding", got.content_encoding(), Some("gzip"));
            checks.holds(
                "its bytes",
                got.body.collect().await.unwrap().to_vec() == pattern(size),
            );
        }
        checks.done(&format!("aws-chunked, signature checked: {closed}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_aws_chunked_is_understood_by_an_open_server() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let crc = "x-amz-checksum-crc32:NhCmhg==\r\n";
    for (what, kind, body, trailer, status) in [
        (
            "signed",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
            "5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\n\r\n",
            false,
            200,
        ),
        (
            "unsigned with trailer",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "2\r\nhe\r\n3\r\nllo\r\n0\r\nCRC\r\n",
            true,
            200,
        ),
        (
            "signed with trailer",
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
            "5;chunk-signature=0\r\nhello\r\n0;chunk-signature=0\r\nCRCx-amz-trailer-signature:0\r\n\r\n",
            true,
            200,
        ),
        (
            "a false trailer",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "5\r\nhellO\r\n0\r\nCRC\r\n",
            true,
            400,
        ),
        (
            "a missing trailer",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "5\r\nhello\r\n0\r\n\r\n",
            true,
            400,
        ),
        (
            "cut short",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "5\r\nhel",
            true,
            400,
        ),
        (
            "another length than told",
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
            "4\r\nhell\r\n0\r\n\r\n",
            false,
            400,
        ),
    ] {
        let mut headers = vec![
            ("x-amz-content-sha256", kind),
            ("x-amz-decoded-content-length", "5"),
            ("content-encoding", "aws-chunked"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=who/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0",
            ),
        ];
        if trailer {
            headers.push(("x-amz-trailer", "x-amz-checksum-crc32"));
        }
        let before = server.put("k", "before").await;
        let body = body.replace("CRC", crc);
        let (got, _, answer) = server.raw(Method::PUT, "/bucket/k", &headers, body).await;
        checks.equal(&format!("{what}: {answer}"), got.as_u16(), status);
        let now = server
            .s3
            .get_object()
            .bucket(BUCKET)
            .key("k")
            .send()
            .await
            .unwrap();
        checks.equal(
            "no aws-chunked in the encoding",
            now.content_encoding(),
            None,
        );
        let is_before = now.e_tag() == Some(&before);
        checks.equal("stored or not", is_before, status != 200);
        if status == 200 {
            let bytes = now.body.collect().await.unwrap().to_vec();
            checks.equal("the content", bytes, b"hello".to_vec());
        }
    }
    checks.done("aws-chunked, raw");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_changes_nothing() {
    let server = Running::start().await;
    server.put("k", "before").await;
    let (sender, body) = {
        let (sender, receiver) = tokio::sync::mpsc::channel::<
            Result<hyper::body::Frame<bytes::Bytes>, std::io::Error>,
        >(4);
        let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|frame| (frame, receiver))
        });
        (sender, http_body_util::StreamBody::new(stream))
    };
    let s3 = server.s3.clone();
    let put = tokio::spawn(async move {
        let body = ByteStream::new(SdkBody::from_body_1_x(body));
        let put = s3
            .put_object()
            .bucket(BUCKET)
            .key("k")
            .content_length(300_000);
        put.body(body)
            .customize()
            .disable_payload_signing()
            .send()
            .await
            .is_ok()
    });
    for _ in 0..2 {
        let frame = hyper::body::Frame::data(bytes::Bytes::from(vec![1; 100_000]));
        sender.send(Ok(frame)).await.unwrap();
    }
    sender
        .send(Err(std::io::Error::other("cut")))
        .await
        .unwrap();
    assert!(!put.await.unwrap(), "a cut body was acknowledged");
    assert_eq!(server.get("k").await, b"before");
    let blobs = server.dir.path().join("blobs");
    super::world::eventually("the unfinished body to go", async || {
        (std::fs::read_dir(&blobs).unwrap().count() == 0).then_some(())
    })
    .await;
}
