//! Listings: order, folding, where they begin, and pages.

use etagfs::backend::After;
use futures_util::{StreamExt, stream};

use super::ground::{Ground, List, saved};

async fn create_all(g: &Ground, names: &[&str]) {
    for name in names {
        g.create(name, "v").await;
    }
}

pub(super) async fn an_empty_listing_is_a_listing(g: Ground) {
    for query in [List::ALL, List::FOLDED] {
        let page = g.page(&query, After::Start).await;
        assert_eq!(page, etagfs::backend::Page::default());
    }
}

pub(super) async fn names_are_listed_in_the_order_of_their_bytes(g: Ground) {
    // '-' < '.' < '0' < 'A' < 'a' < U+00E9 < U+FFFD < U+1F600: bytes, not UTF-16 units.
    let sorted = [
        "a-b",
        "a.b",
        "a0b",
        "aAb",
        "ab",
        "a\u{e9}",
        "a\u{fffd}",
        "a\u{1f600}",
    ];
    for name in sorted.iter().rev() {
        g.create(name, "v").await;
    }
    assert_eq!(g.names(&List::ALL).await.objects, sorted);
}

pub(super) async fn a_slash_is_a_byte_like_others_in_the_order(g: Ground) {
    let sorted = ["a", "a-b", "a.b", "a/b", "a/b/c", "a0b"];
    create_all(&g, &sorted).await;
    assert_eq!(g.names(&List::ALL).await.objects, sorted);
    let after = List {
        after: Some("a"),
        limit: 2,
        ..List::ALL
    };
    assert_eq!(g.names(&after).await.objects, sorted[1..]);
}

pub(super) async fn a_listing_shows_writes_and_deletes_at_once(g: Ground) {
    let one = g.create("1", "v").await;
    assert_eq!(g.names(&List::ALL).await.objects, ["1"]);
    g.create("2", "v").await;
    assert_eq!(g.names(&List::ALL).await.objects, ["1", "2"]);
    g.update("1", "longer", &one).await;
    let page = g.page(&List::ALL, After::Start).await;
    assert_eq!(page.objects[0].size, 6);
    let now = page.objects[0].version.clone().unwrap();
    saved(g.delete("1", &now).await);
    assert_eq!(g.names(&List::ALL).await.objects, ["2"]);
}

pub(super) async fn names_are_folded_at_the_first_slash_after_the_prefix(g: Ground) {
    create_all(&g, &["a", "a/1", "a/2", "a/b/3", "a0", "c/4", "d"]).await;
    let top = g.names(&List::FOLDED).await;
    assert_eq!(top.objects, ["a", "a0", "d"]);
    assert_eq!(top.prefixes, ["a/", "c/"]);

    let below = List {
        prefix: "a/",
        ..List::FOLDED
    };
    let below = g.names(&below).await;
    assert_eq!(below.objects, ["a/1", "a/2"]);
    assert_eq!(below.prefixes, ["a/b/"]);

    let half = List {
        prefix: "a",
        ..List::FOLDED
    };
    let half = g.names(&half).await;
    assert_eq!(half.objects, ["a", "a0"]);
    assert_eq!(half.prefixes, ["a/"]);
}

pub(super) async fn a_listing_begins_after_a_name(g: Ground) {
    create_all(&g, &["a", "b", "c", "e"]).await;
    for (after, expected) in [
        ("A", &["a", "b", "c", "e"][..]),
        ("b", &["c", "e"]),
        ("b0", &["c", "e"]),
        ("d", &["e"]),
        ("e", &[]),
        ("zzz", &[]),
    ] {
        for limit in [1, 1000] {
            let query = List {
                after: Some(after),
                limit,
                ..List::ALL
            };
            assert_eq!(g.names(&query).await.objects, expected, "after {after:?}");
        }
    }
}

pub(super) async fn a_folded_listing_begins_after_a_name(g: Ground) {
    create_all(&g, &["a", "b/1", "b/2", "c/1", "d"]).await;
    // "b0" is the first name after all that begin with "b/".
    for (after, objects, prefixes) in [
        ("a", &["d"][..], &["b/", "c/"][..]),
        ("a0", &["d"], &["b/", "c/"]),
        ("b0", &["d"], &["c/"]),
        ("c0", &["d"], &[]),
        ("d", &[], &[]),
    ] {
        for limit in [1, 1000] {
            let query = List {
                after: Some(after),
                limit,
                ..List::FOLDED
            };
            let names = g.names(&query).await;
            assert_eq!(names.objects, objects, "after {after:?}");
            assert_eq!(names.prefixes, prefixes, "after {after:?}");
        }
    }
}

pub(super) async fn a_page_holds_at_most_what_was_asked_for(g: Ground) {
    create_all(&g, &["a/1", "a/2", "b", "c/1", "c/2", "d", "e/1"]).await;
    for limit in 1..7 {
        let folded = g
            .names(&List {
                limit,
                ..List::FOLDED
            })
            .await;
        assert_eq!(folded.objects, ["b", "d"], "pages of {limit}");
        assert_eq!(folded.prefixes, ["a/", "c/", "e/"], "pages of {limit}");
        let all = g.names(&List { limit, ..List::ALL }).await;
        assert_eq!(all.objects.len(), 7, "pages of {limit}");
    }
}

pub(super) async fn many_names_come_in_pages_each_once(g: Ground) {
    let mut names: Vec<String> = (0..2500).map(|n| format!("{:02}/{n:04}", n % 50)).collect();
    stream::iter(names.clone())
        .for_each_concurrent(16, |name| {
            let g = g.clone();
            async move {
                g.create(&name, "v").await;
            }
        })
        .await;
    names.sort();
    let all = g.names(&List::ALL).await;
    assert_eq!(all.objects, names);
    assert_eq!(all.pages, 3);

    let few = List {
        limit: 7,
        ..List::FOLDED
    };
    let folded = g.names(&few).await;
    assert_eq!(folded.prefixes.len(), 50);
    assert!(folded.objects.is_empty());
    assert_eq!(folded.pages, 8);
}
