//! Listings: pages, prefixes, delimiters, and the attributes they tell.

use std::collections::BTreeSet;

use aws_sdk_s3::types::EncodingType;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::world::{BUCKET, Checks, Running, answer};

/// What a walk found: keys, and common prefixes, in the order they came.
#[derive(Debug, Default, PartialEq)]
struct Walk {
    keys: Vec<String>,
    prefixes: Vec<String>,
    pages: usize,
}

async fn walk(server: &Running, prefix: &str, delimiter: Option<&str>, page: i32) -> Walk {
    let mut walk = Walk::default();
    let mut token = None;
    loop {
        let list = server
            .s3
            .list_objects_v2()
            .bucket(BUCKET)
            .prefix(prefix)
            .max_keys(page);
        let list = list
            .set_delimiter(delimiter.map(str::to_owned))
            .set_continuation_token(token);
        let got = list.send().await.unwrap();
        walk.pages += 1;
        let (keys, prefixes) = (got.contents(), got.common_prefixes());
        let items = keys.len() + prefixes.len();
        assert_eq!(got.key_count(), Some(i32::try_from(items).unwrap()));
        assert!(items <= usize::try_from(page).unwrap(), "a page of {items}");
        walk.keys
            .extend(keys.iter().map(|o| o.key().unwrap().to_owned()));
        walk.prefixes
            .extend(prefixes.iter().map(|p| p.prefix().unwrap().to_owned()));
        token = got.next_continuation_token;
        assert_eq!(got.is_truncated, Some(token.is_some()));
        if token.is_none() {
            return walk;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_2500_keys_never_repeat_and_never_skip() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    let keys: Vec<String> = (0..2500)
        .map(|n| format!("d{:02}/{n:04}", n % 50))
        .collect();
    let mut puts = tokio::task::JoinSet::new();
    for chunk in keys.chunks(500).map(<[String]>::to_vec) {
        let s3 = server.s3.clone();
        puts.spawn(async move {
            for key in chunk {
                s3.put_object()
                    .bucket(BUCKET)
                    .key(key)
                    .send()
                    .await
                    .unwrap();
            }
        });
    }
    puts.join_all().await;
    server.put("top", "t").await;

    let mut sorted = keys.clone();
    sorted.push("top".to_owned());
    sorted.sort();
    let all = walk(&server, "", None, 1000).await;
    checks.equal("all keys", all.keys, sorted);
    checks.equal("in three pages", all.pages, 3);
    let dirs: Vec<String> = (0..50).map(|n| format!("d{n:02}/")).collect();
    let rolled = walk(&server, "", Some("/"), 7).await;
    checks.equal("50 common prefixes, once each", &rolled.prefixes, &dirs);
    checks.equal(
        "and the key beside them",
        rolled.keys,
        vec!["top".to_owned()],
    );
    checks.equal("in pages of seven", rolled.pages, 8);
    let one = walk(&server, "d07/", Some("/"), 7).await;
    checks.equal("the keys of one", one.keys.len(), 50);
    checks.equal("in pages of seven", one.pages, 8);

    let list = || server.s3.list_objects_v2().bucket(BUCKET);
    let after = list().start_after("d48/2448").send().await.unwrap();
    checks.equal("start-after", after.contents()[0].key(), Some("d48/2498"));
    let after = list()
        .start_after("d48/")
        .delimiter("/")
        .send()
        .await
        .unwrap();
    let names: Vec<_> = after
        .common_prefixes()
        .iter()
        .filter_map(|p| p.prefix())
        .collect();
    checks.equal("start-after a common prefix", names, vec!["d49/"]);
    let none = list().max_keys(0).send().await.unwrap();
    checks.equal(
        "max-keys 0",
        (none.key_count(), none.is_truncated()),
        (Some(0), Some(false)),
    );
    let many = list().max_keys(5000).send().await.unwrap();
    checks.equal("max-keys has a limit", many.contents().len(), 1000);
    let negative = list().max_keys(-1).send().await;
    checks.answers("max-keys -1", &negative, (400, "InvalidArgument"));
    let token = list().continuation_token("nonsense").send().await;
    checks.answers("a bad token", &token, (400, "InvalidArgument"));
    checks.done("listing 2500 keys");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_version_of_the_request_pages_by_marker() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    for key in ["a", "b/1", "b/2", "c", "d/1"] {
        server.put(key, key).await;
    }
    let (mut names, mut marker) = (Vec::new(), None);
    loop {
        let list = server
            .s3
            .list_objects()
            .bucket(BUCKET)
            .delimiter("/")
            .max_keys(1);
        let page = list.set_marker(marker).send().await.unwrap();
        names.extend(page.contents().iter().map(|o| o.key().unwrap().to_owned()));
        names.extend(
            page.common_prefixes()
                .iter()
                .map(|p| p.prefix().unwrap().to_owned()),
        );
        marker = page.next_marker;
        if page.is_truncated != Some(true) {
            break;
        }
    }
    checks.equal(
        "items",
        names,
        ["a", "b/", "c", "d/"].map(str::to_owned).to_vec(),
    );
    let plain = server
        .s3
        .list_objects()
        .bucket(BUCKET)
        .marker("b/1")
        .send()
        .await
        .unwrap();
    checks.equal("after a key", plain.contents()[0].key(), Some("b/2"));
    checks.done("listing, version 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_tells_what_head_tells() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    server.put("k", vec![7; 100_000]).await;
    let head = server
        .s3
        .head_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    let list = server
        .s3
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    let entry = &list.contents()[0];
    checks.equal("ETag", entry.e_tag(), head.e_tag());
    checks.equal("size", entry.size(), head.content_length());
    checks.equal("size", entry.size(), Some(100_000));
    checks.equal("time", entry.last_modified(), head.last_modified());
    checks.done("listing attributes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_encoded_listing_encodes_every_name_in_it() {
    let server = Running::start().await;
    let mut checks = Checks::default();
    server.put("p q/a+b/c", "x").await;
    server.put("p q/a b", "x").await;
    let list = server
        .s3
        .list_objects_v2()
        .bucket(BUCKET)
        .encoding_type(EncodingType::Url);
    let list = list
        .prefix("p q/")
        .delimiter("/")
        .start_after("p q/ ")
        .send()
        .await
        .unwrap();
    checks.equal("prefix", list.prefix(), Some("p%20q/"));
    checks.equal("start-after", list.start_after(), Some("p%20q/%20"));
    checks.equal("key", list.contents()[0].key(), Some("p%20q/a%20b"));
    checks.equal(
        "common prefix",
        list.common_prefixes()[0].prefix(),
        Some("p%20q/a%2Bb/"),
    );
    let bad = server
        .s3
        .list_objects_v2()
        .bucket(BUCKET)
        .encoding_type("base64".into())
        .send()
        .await;
    checks.equal("another encoding", answer(&bad).0, 400);
    checks.done("listing, url-encoded");
}

/// Random keys in a real bucket, against the definition: roll up, order, cut.
#[test]
fn pages_of_random_keys_agree_with_an_ordered_map() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Running::start());
    let letters = prop::sample::select(vec!['a', 'b', '/', '.', '0', '\u{e9}', '\u{10ffff}']);
    let key = prop::collection::vec(letters, 1..6).prop_map(String::from_iter);
    let keys = prop::collection::btree_set(key.clone(), 0..25);
    let delimiter = prop::option::of(prop::sample::select(vec!["/", "a", "./"]));
    let input = (keys, prop::option::of(key), delimiter, 1_i32..6);
    let mut runner = TestRunner::new(Config {
        cases: 40,
        ..Config::default()
    });
    let mut requests = 0;
    let requests = std::cell::RefCell::new(&mut requests);
    runner
        .run(&input, |(keys, prefix, delimiter, page)| {
            let prefix = prefix.unwrap_or_default();
            let walked = runtime.block_on(async {
                for key in &keys {
                    server.put(key, "").await;
                }
                let walked = walk(&server, &prefix, delimiter, page).await;
                for key in &keys {
                    server
                        .s3
                        .delete_object()
                        .bucket(BUCKET)
                        .key(key)
                        .send()
                        .await
                        .unwrap();
                }
                walked
            });
            **requests.borrow_mut() += walked.pages;
            let cut = |key: &String| {
                let rest = key.strip_prefix(&prefix)?;
                let at = delimiter.and_then(|d| rest.find(d).map(|at| at + d.len()))?;
                Some(key[..prefix.len() + at].to_owned())
            };
            let inside: Vec<&String> = keys.iter().filter(|k| k.starts_with(&prefix)).collect();
            let prefixes: BTreeSet<String> = inside.iter().copied().filter_map(cut).collect();
            let plain = inside.into_iter().filter(|k| cut(k).is_none()).cloned();
            prop_assert_eq!(walked.keys, plain.collect::<Vec<_>>());
            prop_assert_eq!(walked.prefixes, Vec::from_iter(prefixes));
            Ok(())
        })
        .unwrap();
    println!(
        "listing against an ordered map: 40 cases, {} pages",
        requests.into_inner()
    );
}
