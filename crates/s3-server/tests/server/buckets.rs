//! Buckets, and what a missing one answers.

use aws_sdk_s3::primitives::ByteStream;

use super::world::{BUCKET, Checks, Running, answer};

const NO_BUCKET: (u16, &str) = (404, "NoSuchBucket");

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_is_created_found_listed_and_deleted_when_empty() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let s3 = &server.s3;

    let again = s3.create_bucket().bucket(BUCKET).send().await;
    checks.answers("create twice", &again, (409, "BucketAlreadyOwnedByYou"));
    let bad = s3.create_bucket().bucket("Not_A_Name").send().await;
    checks.answers("a bad name", &bad, (400, "InvalidBucketName"));
    s3.create_bucket().bucket("another").send().await.unwrap();
    let listed = s3.list_buckets().send().await.unwrap();
    let names: Vec<&str> = listed.buckets().iter().filter_map(|b| b.name()).collect();
    checks.equal("listed", names, vec!["another", BUCKET]);
    let dated = listed.buckets().iter().all(|b| b.creation_date().is_some());
    checks.holds("with a date", dated);
    let head = s3.head_bucket().bucket(BUCKET).send().await;
    checks.answers("HEAD", &head, (200, ""));
    let location = s3.get_bucket_location().bucket(BUCKET).send().await;
    checks.answers("location", &location, (200, ""));

    server.put("k", "x").await;
    let full = s3.delete_bucket().bucket(BUCKET).send().await;
    checks.answers("delete a full one", &full, (409, "BucketNotEmpty"));
    s3.delete_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    // An upload that was never completed does not keep a bucket alive, and goes with it.
    let upload = s3
        .create_multipart_upload()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await;
    upload.unwrap();
    let empty = s3.delete_bucket().bucket(BUCKET).send().await;
    checks.answers("delete an empty one", &empty, (200, ""));
    let head = s3.head_bucket().bucket(BUCKET).send().await;
    checks.equal("it is gone", answer(&head).0, 404);
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    let uploads = s3
        .list_multipart_uploads()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    checks.equal("so are its uploads", uploads.uploads().len(), 0);
    checks.done("buckets");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_bucket_is_not_a_missing_key() {
    let server = Running::start_with(|_| {}).await;
    let s3 = &server.s3;
    let mut checks = Checks::default();
    let body = || ByteStream::from_static(b"x");
    let put = s3
        .put_object()
        .bucket("nope")
        .key("k")
        .body(body())
        .send()
        .await;
    checks.answers("PUT", &put, NO_BUCKET);
    let get = s3.get_object().bucket("nope").key("k").send().await;
    checks.answers("GET", &get, NO_BUCKET);
    let head = s3.head_object().bucket("nope").key("k").send().await;
    checks.equal("HEAD", answer(&head).0, 404);
    let delete = s3.delete_object().bucket("nope").key("k").send().await;
    checks.answers("DELETE", &delete, NO_BUCKET);
    let list = s3.list_objects_v2().bucket("nope").send().await;
    checks.answers("LIST", &list, NO_BUCKET);
    let list = s3.list_objects().bucket("nope").send().await;
    checks.answers("LIST, version 1", &list, NO_BUCKET);
    let upload = s3
        .create_multipart_upload()
        .bucket("nope")
        .key("k")
        .send()
        .await;
    checks.answers("multipart", &upload, NO_BUCKET);
    let copy = s3
        .copy_object()
        .bucket("nope")
        .key("k")
        .copy_source("nope/other")
        .send()
        .await;
    checks.answers("COPY", &copy, NO_BUCKET);
    let delete = s3.delete_bucket().bucket("nope").send().await;
    checks.answers("delete it", &delete, NO_BUCKET);
    checks.done("missing bucket");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_implemented_says_so() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let versioning = server
        .s3
        .get_bucket_versioning()
        .bucket(BUCKET)
        .send()
        .await;
    checks.equal("versioning", answer(&versioning).0, 501);
    let old = server
        .s3
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .version_id("7")
        .send()
        .await;
    checks.equal("an old version", answer(&old).0, 501);
    checks.done("not implemented");
}
