//! Keys are opaque: whatever a client names, it finds again under that name and no other.

use std::collections::BTreeMap;

use aws_sdk_s3::types::EncodingType;
use hyper::Method;
use percent_encoding::percent_decode_str;

use super::world::{BUCKET, Checks, Running, answer};

/// Keys that are hard in some system or other: paths, escapes, quoting, Unicode, XML, lengths.
fn odd_keys() -> Vec<String> {
    let plain = r#"a a/b a//b a/ a// / // /a /a/ dir/ . .. ./a ../a a/../b a/./b b a+b a%b a%2Fb
        a%20b a%2 100% " ' <&> a?b a#b a&b=c a;b a:b a\b a|b a*b ~ ^`{}[] A arn:aws:s3 null W/"x"
        a=b a@b a,b a(b) a!b a$b -- _"#;
    let spaced = [
        " a",
        "a ",
        "a b",
        "a\tb",
        "a\nb",
        "a\rb",
        "a\r\nb",
        "a\u{a0}",
        "a\u{200b}b",
    ];
    let unicode = [
        "\u{e9}",
        "e\u{301}",
        "\u{65e5}\u{672c}",
        "\u{1f600}",
        "\u{10ffff}",
        "\u{fffd}",
    ];
    let control = ["\u{1}", "\u{1f}", "\u{7f}", "a\u{85}"];
    let long = [
        "k".repeat(1024),
        "\u{e9}".repeat(512),
        format!("{}/x", "c".repeat(300)),
    ];
    let short = [&spaced[..], &unicode, &control].concat();
    let short = plain.split_whitespace().chain(short).map(str::to_owned);
    short.chain(long).collect()
}

/// The client refuses to send keys of white space only; other clients may.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_white_space_is_a_key() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let keys = ["%20", "%20%20", "%09", "%0A", "%0D", "%C2%A0"];
    for key in keys {
        let path = format!("/bucket/{key}");
        let new = [("if-none-match", "*")];
        let (put, ..) = server.raw(Method::PUT, &path, &new, key.to_owned()).await;
        checks.equal(key, put.as_u16(), 200);
    }
    for key in keys {
        let (_, _, body) = server
            .raw(Method::GET, &format!("/bucket/{key}"), &[], "")
            .await;
        checks.equal("GET", body.as_str(), key);
    }
    let path = "/bucket?list-type=2&encoding-type=url";
    let (_, _, xml) = server.raw(Method::GET, path, &[], "").await;
    for key in keys {
        checks.holds(key, xml.contains(&format!("<Key>{key}</Key>")));
    }
    checks.done("keys of white space");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_keys_are_all_distinct_and_come_back() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let keys = odd_keys();
    for (number, key) in keys.iter().enumerate() {
        let put = server
            .s3
            .put_object()
            .bucket(BUCKET)
            .key(key)
            .if_none_match("*");
        let put = put
            .body(number.to_string().into_bytes().into())
            .send()
            .await;
        checks.answers(&format!("PUT {key:?}"), &put, (200, ""));
    }
    for (number, key) in keys.iter().enumerate() {
        let body = String::from_utf8(server.get(key).await).unwrap();
        checks.equal(&format!("GET {key:?}"), body, number.to_string());
        let head = server.s3.head_object().bucket(BUCKET).key(key).send().await;
        checks.answers(&format!("HEAD {key:?}"), &head, (200, ""));
    }
    let mut sorted = keys.clone();
    sorted.sort();
    let list = server
        .s3
        .list_objects_v2()
        .bucket(BUCKET)
        .encoding_type(EncodingType::Url);
    let listed = list.send().await.unwrap();
    let listed: Vec<String> = listed
        .contents()
        .iter()
        .map(|o| {
            percent_decode_str(o.key().unwrap())
                .decode_utf8()
                .unwrap()
                .into_owned()
        })
        .collect();
    checks.equal("all listed, in the order of their bytes", listed, sorted);
    for key in &keys {
        let one = server
            .s3
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix(key)
            .max_keys(1);
        let one = one.encoding_type(EncodingType::Url).send().await.unwrap();
        let name = one.contents()[0].key().unwrap();
        let name = percent_decode_str(name).decode_utf8().unwrap().into_owned();
        checks.equal("found by itself as a prefix", &name, key);
    }
    for key in &keys {
        let delete = server
            .s3
            .delete_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await;
        checks.answers(&format!("DELETE {key:?}"), &delete, (200, ""));
    }
    let left = server
        .s3
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    checks.equal("all gone", left.contents().len(), 0);
    checks.done("keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_without_encoding_still_tells_keys_apart() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    // What XML 1.0 can hold at all, as an element or as a reference.
    let keys = [
        "<&>\"'",
        " a ",
        "a\tb",
        "a\nb",
        "a\rb",
        "a\r\nb",
        "\u{e9}",
        "\u{1f600}",
        "%41",
    ];
    let mut expected = BTreeMap::new();
    for key in keys {
        expected.insert(key.to_owned(), server.put(key, key).await);
    }
    let listed = server
        .s3
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let listed: BTreeMap<String, String> = listed
        .contents()
        .iter()
        .map(|o| (o.key().unwrap().to_owned(), o.e_tag().unwrap().to_owned()))
        .collect();
    checks.equal("keys and ETags", listed, expected);
    checks.done("keys in plain XML");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_more_than_1024_bytes_is_refused() {
    let server = Running::start().await;
    let long = "k".repeat(1025);
    let put = server.s3.put_object().bucket(BUCKET).key(long).send().await;
    assert_eq!(answer(&put), (400, "KeyTooLongError".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_delete_judges_each_key_for_itself() {
    use aws_sdk_s3::types::{Delete, ObjectIdentifier};
    let server = Running::start().await;
    let mut checks = Checks::default();
    let mut objects = Vec::new();
    for key in odd_keys() {
        server.put(&key, "x").await;
        objects.push(ObjectIdentifier::builder().key(key).build().unwrap());
    }
    let right = server.put("right", "r").await;
    server.put("wrong", "w").await;
    let named = |key: &str, etag: &str| {
        ObjectIdentifier::builder()
            .key(key)
            .e_tag(etag)
            .build()
            .unwrap()
    };
    objects.push(named("right", &right));
    objects.push(named("wrong", &right));
    objects.push(named("missing", &right));
    objects.push(
        ObjectIdentifier::builder()
            .key("never was")
            .build()
            .unwrap(),
    );
    let count = objects.len();
    let delete = Delete::builder()
        .set_objects(Some(objects))
        .build()
        .unwrap();
    let done = server
        .s3
        .delete_objects()
        .bucket(BUCKET)
        .delete(delete)
        .send()
        .await
        .unwrap();
    let errors: Vec<(&str, &str)> = done
        .errors()
        .iter()
        .map(|e| (e.key().unwrap(), e.code().unwrap()))
        .collect();
    checks.equal(
        "refused",
        errors,
        vec![("wrong", "PreconditionFailed"), ("missing", "NoSuchKey")],
    );
    checks.equal("deleted", done.deleted().len(), count - 2);
    let left = server
        .s3
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let left: Vec<&str> = left.contents().iter().filter_map(|o| o.key()).collect();
    checks.equal("what is left", left, vec!["wrong"]);
    checks.done("batch delete");
}
