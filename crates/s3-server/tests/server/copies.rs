//! Copies, with conditions on both sides.

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, MetadataDirective};
use hyper::Method;

use super::bodies::pattern;
use super::world::{BUCKET, Checks, Running, eventually};

const WRONG: &str = "\"00000000000000000000000000000000\"";
const FAILED: (u16, &str) = (412, "PreconditionFailed");

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_another_object_with_the_same_bytes() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    for size in [10, 200_000] {
        let put = server.s3.put_object().bucket(BUCKET).key("from/a b+c%");
        let put = put
            .metadata("a", "1")
            .content_type("text/a")
            .body(pattern(size).into());
        let etag = put.send().await.unwrap().e_tag.unwrap();
        let copy = server.s3.copy_object().bucket(BUCKET).key("to");
        let copy = copy.copy_source("bucket/from/a%20b%2Bc%25");
        let copied = copy.clone().send().await.unwrap();
        let result = copied.copy_object_result().unwrap();
        checks.equal("its ETag", result.e_tag(), Some(etag.as_str()));
        server
            .s3
            .delete_object()
            .bucket(BUCKET)
            .key("from/a b+c%")
            .send()
            .await
            .unwrap();
        let got = server
            .s3
            .get_object()
            .bucket(BUCKET)
            .key("to")
            .send()
            .await
            .unwrap();
        checks.equal("its metadata", got.metadata().unwrap()["a"].as_str(), "1");
        checks.equal("its type", got.content_type(), Some("text/a"));
        let bytes = got.body.collect().await.unwrap().to_vec();
        checks.holds("it outlives its source", bytes == pattern(size));
        let gone = copy.send().await;
        checks.answers("a missing source", &gone, (404, "NoSuchKey"));

        let onto = server
            .s3
            .copy_object()
            .bucket(BUCKET)
            .key("to")
            .copy_source("bucket/to");
        let same = onto.clone().send().await;
        checks.answers("onto itself", &same, (400, "InvalidRequest"));
        let replace = onto
            .metadata_directive(MetadataDirective::Replace)
            .metadata("b", "2");
        replace.send().await.unwrap();
        let head = server
            .s3
            .head_object()
            .bucket(BUCKET)
            .key("to")
            .send()
            .await
            .unwrap();
        checks.equal("new metadata", head.metadata().unwrap()["b"].as_str(), "2");
        checks.equal("the old is gone", head.metadata().unwrap().get("a"), None);
        checks.holds("the bytes are not", server.get("to").await == pattern(size));
        server
            .s3
            .delete_object()
            .bucket(BUCKET)
            .key("to")
            .send()
            .await
            .unwrap();
        let dir = server.dir.path().join("blobs");
        eventually("no bytes are left behind", async || {
            (std::fs::read_dir(&dir).unwrap().count() == 0).then_some(())
        })
        .await;
    }
    checks.done("copies");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_depends_on_its_source_and_on_its_destination() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let from = server.put("from", "source").await;
    let copy = |key: &str| {
        server
            .s3
            .copy_object()
            .bucket(BUCKET)
            .key(key)
            .copy_source("bucket/from")
    };
    let got = copy("x").copy_source_if_match(WRONG).send().await;
    checks.answers("source If-Match, wrong", &got, FAILED);
    let got = copy("x").copy_source_if_none_match(&from).send().await;
    checks.answers("source If-None-Match, the same", &got, FAILED);
    let got = copy("x").copy_source_if_match(&from).send().await;
    checks.answers("source If-Match, right", &got, (200, ""));
    let got = copy("x").copy_source_if_none_match(WRONG).send().await;
    checks.answers("source If-None-Match, other", &got, (200, ""));

    let to = server.put("to", "in the way").await;
    let source = ("x-amz-copy-source", "/bucket/from");
    for (what, key, condition, status) in [
        ("If-None-Match, existing", "to", ("if-none-match", "*"), 412),
        ("If-Match, wrong", "to", ("if-match", WRONG), 412),
        ("If-Match, missing", "nope", ("if-match", WRONG), 404),
        (
            "If-None-Match with an ETag",
            "to",
            ("if-none-match", WRONG),
            501,
        ),
        ("If-Match, right", "to", ("if-match", to.as_str()), 200),
        ("If-None-Match, missing", "new", ("if-none-match", "*"), 200),
    ] {
        let before = if status == 200 {
            "source"
        } else {
            "in the way"
        };
        let path = format!("/bucket/{key}");
        let (got, _, body) = server
            .raw(Method::PUT, &path, &[source, condition], "")
            .await;
        checks.equal(&format!("destination {what}: {body}"), got.as_u16(), status);
        if key == "to" {
            checks.equal(what, server.get("to").await, before.as_bytes().to_vec());
        }
    }
    let nope = server
        .s3
        .head_object()
        .bucket(BUCKET)
        .key("nope")
        .send()
        .await;
    checks.holds("nothing was created", nope.is_err());
    checks.done("copy conditions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_can_be_a_range_of_an_object() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let body = pattern(6 * 1024 * 1024);
    let etag = server.put("from", body.clone()).await;
    let upload = server
        .s3
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("to")
        .send()
        .await
        .unwrap();
    let id = upload.upload_id().unwrap();
    let copy = |number: i32, range: &str| {
        let copy = server
            .s3
            .upload_part_copy()
            .bucket(BUCKET)
            .key("to")
            .upload_id(id);
        copy.part_number(number)
            .copy_source("bucket/from")
            .copy_source_range(range)
    };
    let mut parts = Vec::new();
    for (number, range) in [(1, "bytes=0-5242879"), (2, "bytes=5242880-6291455")] {
        let part = copy(number, range)
            .copy_source_if_match(&etag)
            .send()
            .await
            .unwrap();
        let etag = part.copy_part_result().unwrap().e_tag().unwrap().to_owned();
        parts.push(
            CompletedPart::builder()
                .part_number(number)
                .e_tag(etag)
                .build(),
        );
    }
    let wrong = copy(3, "bytes=0-1")
        .copy_source_if_match(WRONG)
        .send()
        .await;
    checks.answers("source If-Match, wrong", &wrong, FAILED);
    let beyond = copy(3, "bytes=0-99999999").send().await;
    checks.answers("beyond the end", &beyond, (400, "InvalidRequest"));
    let done = server
        .s3
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("to")
        .upload_id(id);
    let done = done.multipart_upload(
        CompletedMultipartUpload::builder()
            .set_parts(Some(parts))
            .build(),
    );
    checks.answers("complete", &done.send().await, (200, ""));
    checks.holds("the bytes", server.get("to").await == body);
    checks.done("parts by copy");
}
