//! Conditional reads, writes and deletes, one request after another.

use aws_sdk_s3::primitives::{ByteStream, DateTime};
use hyper::Method;

use super::world::{BUCKET, Checks, Running, answer};

const WRONG: &str = "\"00000000000000000000000000000000\"";
const FAILED: (u16, &str) = (412, "PreconditionFailed");
const MISSING: (u16, &str) = (404, "NoSuchKey");
const OK: (u16, &str) = (200, "");

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_put_happens_only_if_its_condition_holds() {
    let server = Running::start().await;
    let put = |key: &str, body: &str| {
        let body = ByteStream::from(body.as_bytes().to_vec());
        server.s3.put_object().bucket(BUCKET).key(key).body(body)
    };
    let mut checks = Checks::default();
    let etag = server.put("k", "one").await;

    let mismatch = put("k", "no").if_match(WRONG).send().await;
    checks.answers("If-Match, wrong", &mismatch, FAILED);
    let missing = put("nope", "no").if_match(&etag).send().await;
    checks.answers("If-Match, missing key", &missing, MISSING);
    let star = put("nope", "no").if_match("*").send().await;
    checks.answers("If-Match: *, missing key", &star, MISSING);
    let exists = put("k", "no").if_none_match("*").send().await;
    checks.answers("If-None-Match: *, existing key", &exists, FAILED);
    let tag = put("k", "no").if_none_match(WRONG).send().await;
    checks.answers("If-None-Match with an ETag", &tag, (501, "NotImplemented"));
    let both = put("k", "no")
        .if_match(&etag)
        .if_none_match("*")
        .send()
        .await;
    checks.answers("both, one fails", &both, FAILED);
    checks.equal(
        "nothing was written",
        server.get("k").await,
        b"one".to_vec(),
    );
    let nope = server
        .s3
        .head_object()
        .bucket(BUCKET)
        .key("nope")
        .send()
        .await;
    checks.equal("nothing was created", answer(&nope).0, 404);

    let right = put("k", "two").if_match(&etag).send().await;
    checks.answers("If-Match, right", &right, OK);
    let unquoted = right.unwrap().e_tag.unwrap().replace('"', "");
    let right = put("k", "three").if_match(&unquoted).send().await;
    checks.answers("If-Match, right, unquoted", &right, OK);
    let star = put("k", "four").if_match("*").send().await;
    checks.answers("If-Match: *, existing key", &star, OK);
    let new = put("new", "1").if_none_match("*").send().await;
    checks.answers("If-None-Match: *, missing key", &new, OK);
    checks.equal(
        "the last one stands",
        server.get("k").await,
        b"four".to_vec(),
    );

    let nobucket = server
        .s3
        .put_object()
        .bucket("nobucket")
        .key("k")
        .if_match(&etag);
    let nobucket = nobucket.send().await;
    checks.answers("missing bucket", &nobucket, (404, "NoSuchBucket"));
    checks.done("conditional PUT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_read_answers_412_or_304() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let etag = server.put("k", "one").await;
    let unquoted = etag.replace('"', "");
    let get = || server.s3.get_object().bucket(BUCKET).key("k");
    let head = || server.s3.head_object().bucket(BUCKET).key("k");
    let past = DateTime::from_secs(1_000_000_000);
    let future = DateTime::from_secs(9_000_000_000);

    checks.answers(
        "GET If-Match, right",
        &get().if_match(&etag).send().await,
        OK,
    );
    checks.answers(
        "GET If-Match, wrong",
        &get().if_match(WRONG).send().await,
        FAILED,
    );
    checks.answers(
        "GET If-Match unquoted",
        &get().if_match(&unquoted).send().await,
        OK,
    );
    let known = get().if_none_match(&etag).send().await;
    checks.equal("GET If-None-Match, known", answer(&known).0, 304);
    let headers = known.unwrap_err().into_service_error();
    drop(headers);
    checks.answers(
        "GET If-None-Match, other",
        &get().if_none_match(WRONG).send().await,
        OK,
    );
    let since = get().if_modified_since(past).send().await;
    checks.answers("GET If-Modified-Since the past", &since, OK);
    let since = get().if_modified_since(future).send().await;
    checks.equal("GET If-Modified-Since the future", answer(&since).0, 304);
    let since = get().if_unmodified_since(past).send().await;
    checks.answers("GET If-Unmodified-Since the past", &since, FAILED);

    checks.answers(
        "HEAD If-Match, right",
        &head().if_match(&etag).send().await,
        OK,
    );
    let wrong = head().if_match(WRONG).send().await;
    checks.equal("HEAD If-Match, wrong", answer(&wrong).0, 412);
    let known = head().if_none_match(&etag).send().await;
    checks.equal("HEAD If-None-Match, known", answer(&known).0, 304);

    let ranged = get().if_match(WRONG).range("bytes=0-0").send().await;
    checks.answers("range under a wrong If-Match", &ranged, FAILED);
    let ranged = get().if_match(WRONG).range("bytes=99-").send().await;
    checks.answers("a condition outranks a bad range", &ranged, FAILED);
    let ranged = get()
        .if_match(&etag)
        .range("bytes=1-")
        .send()
        .await
        .unwrap();
    let bytes = ranged.body.collect().await.unwrap().to_vec();
    checks.equal("range under a right If-Match", bytes, b"ne".to_vec());

    let raw = [("if-none-match", etag.as_str())];
    let (status, headers, body) = server.raw(Method::GET, "/bucket/k", &raw, "").await;
    checks.equal("raw 304", status.as_u16(), 304);
    checks.equal(
        "304 tells the ETag",
        headers["etag"].to_str().unwrap(),
        etag.as_str(),
    );
    checks.equal("304 has no body", body.as_str(), "");
    let list = format!("{WRONG}, W/{etag}");
    let raw = [("if-none-match", list.as_str())];
    let (status, ..) = server.raw(Method::HEAD, "/bucket/k", &raw, "").await;
    checks.equal("a weak ETag in a list", status.as_u16(), 304);
    checks.done("conditional reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_delete_removes_only_what_it_names() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let etag = server.put("k", "one").await;
    let delete = |key: &str| server.s3.delete_object().bucket(BUCKET).key(key);

    checks.answers("wrong", &delete("k").if_match(WRONG).send().await, FAILED);
    checks.equal("it is still there", server.get("k").await, b"one".to_vec());
    let missing = delete("nope").if_match(&etag).send().await;
    checks.answers("missing key, If-Match", &missing, MISSING);
    checks.answers("missing key", &delete("nope").send().await, OK);
    checks.answers("right", &delete("k").if_match(&etag).send().await, OK);
    let gone = server.s3.get_object().bucket(BUCKET).key("k").send().await;
    checks.answers("it is gone", &gone, MISSING);

    server.put("k", "two").await;
    checks.answers("star", &delete("k").if_match("*").send().await, OK);
    let raw = [("if-none-match", "*")];
    let (status, ..) = server.raw(Method::DELETE, "/bucket/k", &raw, "").await;
    checks.equal("If-None-Match is not ignored", status.as_u16(), 501);
    let raw = [("x-amz-if-match-size", "3")];
    let (status, ..) = server.raw(Method::DELETE, "/bucket/k", &raw, "").await;
    checks.equal("another condition is not ignored", status.as_u16(), 501);
    checks.done("conditional DELETE");
}
