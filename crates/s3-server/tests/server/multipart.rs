//! Multipart uploads.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::bodies::pattern;
use super::world::{BUCKET, Checks, Running, eventually};

const FIVE_MIB: usize = 5 * 1024 * 1024;

async fn begin(server: &Running, key: &str) -> String {
    let upload = server.s3.create_multipart_upload().bucket(BUCKET).key(key);
    let upload = upload
        .content_type("text/x-parts")
        .metadata("a", "b")
        .send()
        .await;
    upload.unwrap().upload_id.unwrap()
}

async fn part(server: &Running, key: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let part = server
        .s3
        .upload_part()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id);
    let part = part
        .part_number(number)
        .body(ByteStream::from(body))
        .send()
        .await
        .unwrap();
    named(number, part.e_tag().unwrap())
}

fn named(number: i32, etag: &str) -> CompletedPart {
    CompletedPart::builder()
        .part_number(number)
        .e_tag(etag)
        .build()
}

fn of(parts: &[CompletedPart]) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder()
        .set_parts(Some(parts.to_vec()))
        .build()
}

/// Waits until so many body files are left: they go after the answer.
async fn files_are(server: &Running, expected: usize) {
    let dir = server.dir.path().join("blobs");
    eventually(&format!("{expected} files"), async || {
        (std::fs::read_dir(&dir).unwrap().count() == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_become_one_object() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let id = begin(&server, "big").await;
    let (first, last) = (pattern(FIVE_MIB), pattern(1000));
    let unused = part(&server, "big", &id, 3, pattern(70_000)).await;
    let replaced = part(&server, "big", &id, 1, vec![0; FIVE_MIB]).await;
    let one = part(&server, "big", &id, 1, first.clone()).await;
    let two = part(&server, "big", &id, 2, last.clone()).await;

    let parts = server
        .s3
        .list_parts()
        .bucket(BUCKET)
        .key("big")
        .upload_id(&id);
    let listed = parts.clone().max_parts(2).send().await.unwrap();
    let numbers: Vec<_> = listed
        .parts()
        .iter()
        .filter_map(|p| p.part_number())
        .collect();
    checks.equal("the first two parts", numbers, vec![1, 2]);
    checks.equal("more to come", listed.is_truncated(), Some(true));
    let marker = listed.next_part_number_marker().unwrap().to_owned();
    let listed = parts.part_number_marker(marker).send().await.unwrap();
    checks.equal("the third", listed.parts()[0].e_tag(), unused.e_tag());
    checks.equal("its size", listed.parts()[0].size(), Some(70_000));
    let uploads = server
        .s3
        .list_multipart_uploads()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    checks.equal("one upload", uploads.uploads().len(), 1);
    let unborn = server
        .s3
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    checks.equal("no object yet", unborn.contents().len(), 0);

    let complete = |parts: &[CompletedPart]| {
        let complete = server
            .s3
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key("big");
        complete.upload_id(&id).multipart_upload(of(parts)).send()
    };
    let wrong = complete(&[replaced, two.clone()]).await;
    checks.answers("a part that was replaced", &wrong, (400, "InvalidPart"));
    let wrong = complete(&[one.clone(), named(9, "\"x\"")]).await;
    checks.answers("a part that never was", &wrong, (400, "InvalidPart"));
    let wrong = complete(&[two.clone(), one.clone()]).await;
    checks.answers("the wrong order", &wrong, (400, "InvalidPartOrder"));
    let wrong = complete(&[one.clone(), two.clone(), unused]).await;
    checks.answers(
        "a small part in the middle",
        &wrong,
        (400, "EntityTooSmall"),
    );
    let wrong = complete(&[]).await;
    checks.answers("no part", &wrong, (400, "MalformedXML"));

    let done = complete(&[one.clone(), two.clone()]).await.unwrap();
    let etag = done.e_tag().unwrap();
    checks.holds(
        "the ETag counts the parts",
        etag.ends_with("-2\"") && etag.len() == 36,
    );
    let got = server
        .s3
        .get_object()
        .bucket(BUCKET)
        .key("big")
        .send()
        .await
        .unwrap();
    checks.equal("its ETag", got.e_tag(), Some(etag));
    checks.equal("its type", got.content_type(), Some("text/x-parts"));
    checks.equal("its metadata", got.metadata().unwrap()["a"].as_str(), "b");
    let whole = [first, last].concat();
    checks.holds(
        "its bytes",
        got.body.collect().await.unwrap().to_vec() == whole,
    );
    let range = format!("bytes={}-{}", FIVE_MIB - 10, FIVE_MIB + 9);
    let got = server
        .s3
        .get_object()
        .bucket(BUCKET)
        .key("big")
        .range(range)
        .send()
        .await
        .unwrap();
    let bytes = got.body.collect().await.unwrap().to_vec();
    checks.holds(
        "a range across parts",
        bytes == whole[FIVE_MIB - 10..FIVE_MIB + 10],
    );
    let again = complete(&[one, two]).await;
    checks.answers("the upload is over", &again, (404, "NoSuchUpload"));
    files_are(&server, 1).await;
    server
        .s3
        .delete_object()
        .bucket(BUCKET)
        .key("big")
        .send()
        .await
        .unwrap();
    files_are(&server, 0).await;
    checks.done("multipart");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_upload_leaves_nothing() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let id = begin(&server, "k").await;
    part(&server, "k", &id, 1, pattern(100_000)).await;
    files_are(&server, 1).await;
    let elsewhere = server
        .s3
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("other")
        .upload_id(&id);
    checks.answers(
        "another key",
        &elsewhere.send().await,
        (404, "NoSuchUpload"),
    );
    let abort = server
        .s3
        .abort_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .upload_id(&id);
    checks.answers("abort", &abort.send().await, (200, ""));
    files_are(&server, 0).await;
    let late = server
        .s3
        .upload_part()
        .bucket(BUCKET)
        .key("k")
        .upload_id(&id)
        .part_number(1);
    checks.answers("a late part", &late.send().await, (404, "NoSuchUpload"));
    let object = server.s3.get_object().bucket(BUCKET).key("k").send().await;
    checks.answers("no object", &object, (404, "NoSuchKey"));
    checks.done("multipart abort");
}

#[tokio::test(flavor = "multi_thread")]
async fn completing_is_conditional_and_a_refusal_keeps_the_upload() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let id = begin(&server, "k").await;
    let one = part(&server, "k", &id, 1, b"parts".to_vec()).await;
    let complete = || {
        let complete = server
            .s3
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key("k");
        complete
            .upload_id(&id)
            .multipart_upload(of(std::slice::from_ref(&one)))
    };
    let missing = complete().if_match("\"0\"").send().await;
    checks.answers("If-Match, missing key", &missing, (404, "NoSuchKey"));
    let etag = server.put("k", "in the way").await;
    let exists = complete().if_none_match("*").send().await;
    checks.answers(
        "If-None-Match, existing key",
        &exists,
        (412, "PreconditionFailed"),
    );
    let wrong = complete().if_match("\"0\"").send().await;
    checks.answers("If-Match, wrong", &wrong, (412, "PreconditionFailed"));
    checks.equal(
        "nothing changed",
        server.get("k").await,
        b"in the way".to_vec(),
    );
    let right = complete().if_match(etag).send().await;
    checks.answers("If-Match, right", &right, (200, ""));
    checks.equal("completed", server.get("k").await, b"parts".to_vec());
    let id = begin(&server, "new").await;
    let one = part(&server, "new", &id, 1, b"n".to_vec()).await;
    let new = server
        .s3
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key("new")
        .upload_id(id);
    let new = new
        .multipart_upload(of(&[one]))
        .if_none_match("*")
        .send()
        .await;
    checks.answers("If-None-Match, missing key", &new, (200, ""));
    checks.done("multipart conditions");
}
