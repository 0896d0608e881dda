//! Listings: every key once, to the end.

use std::collections::BTreeSet;

use etagfs::model::Precondition;
use futures_util::stream::{self, StreamExt as _};

use super::ground::{Ground, saved, value};

pub(super) async fn an_empty_store_lists_nothing(g: Ground) {
    assert!(g.listed().await.is_empty());
    assert!(g.store.scan("", false).await.unwrap().is_empty());
    assert_eq!(g.store.progress(), None);
}

pub(super) async fn a_listing_shows_writes_and_deletes_at_once(g: Ground) {
    let first = g.create("a", 1).await;
    let other = g.create("b", 2).await;
    assert_eq!(g.listed().await.len(), 2);
    let second = g.update("a", 3, &first).await;
    let listed: Vec<_> = g.listed().await.into_iter().map(|file| file.2).collect();
    assert_eq!(
        BTreeSet::from_iter(listed.iter().map(ToString::to_string)).len(),
        2
    );
    assert!(listed.contains(&second) && listed.contains(&other));
    saved(g.delete("a", &second).await);
    let left: Vec<_> = g.listed().await.into_iter().map(|file| file.2).collect();
    assert_eq!(left, [other]);
}

/// More than a page of any backend.
const MANY: u32 = 1_050;

pub(super) async fn a_listing_goes_to_its_end(g: Ground) {
    let texts: BTreeSet<_> = (0..MANY).map(|n| format!("key-{n}")).collect();
    let puts = texts
        .iter()
        .map(|text| g.put(text, value(1), &Precondition::Absent));
    let mut puts = stream::iter(puts).buffer_unordered(16);
    while let Some(put) = puts.next().await {
        saved(put);
    }
    drop(puts);
    // Once as a mount that made them all, once as one that never saw them.
    let other = g.another_machine();
    other.find(g.id).await.unwrap();
    for store in [g.store.clone(), other.store(g.id)] {
        let scanned = store.scan_versions("", false).await.unwrap();
        let found: Vec<_> = scanned.iter().map(|one| one.text().to_owned()).collect();
        assert_eq!(found.len(), texts.len());
        assert!(BTreeSet::from_iter(found) == texts, "a name is missing");
        let g = Ground { store, ..g.clone() };
        let keys: BTreeSet<_> = g.listed().await.into_iter().map(|file| file.1).collect();
        assert_eq!(keys.len(), texts.len());
    }
}

pub(super) async fn a_scan_takes_only_what_begins_like_that(g: Ground) {
    for text in ["a", "ab", "abc", "b"] {
        g.create(text, 1).await;
    }
    let scanned = g.store.scan("ab", false).await.unwrap();
    let texts: Vec<_> = scanned.iter().map(|one| one.text()).collect();
    assert_eq!(texts, ["ab", "abc"]);
}
