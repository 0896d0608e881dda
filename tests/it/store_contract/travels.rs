//! What travels with a value.

use etagfs::model::Precondition;

use super::ground::{Ground, saved, titled, value};

fn title(metadata: &etagfs::store::Metadata) -> Option<&str> {
    metadata.meta.user.get("title").map(String::as_str)
}

/// A key with a title.
async fn entitle(g: &Ground, text: &str) -> etagfs::model::Version {
    let key = g.key(text);
    let mut metadata = titled(g.store.fresh_metadata(&key), "First");
    metadata.meta.content_type = Some("text/x-test".to_owned());
    let put = g
        .store
        .put(&key, value(1), &metadata, &Precondition::Absent);
    saved(put.await.unwrap())
}

pub(super) async fn metadata_comes_back(g: Ground) {
    entitle(&g, "k").await;
    let (_, inspected) = g.store.inspect(&g.key("k")).await.unwrap().unwrap();
    for metadata in [inspected, g.get("k").await.metadata] {
        assert_eq!(title(&metadata), Some("First"));
        let media = metadata.meta.content_type.as_deref();
        assert_eq!(media, Some("text/x-test"));
    }
}

pub(super) async fn metadata_survives_an_edit(g: Ground) {
    entitle(&g, "k").await;
    let (key, there) = (g.key("k"), g.get("k").await);
    let expect = Precondition::Is(there.version.clone());
    let put = g.store.put(&key, value(2), &there.metadata, &expect);
    saved(put.await.unwrap());
    let there = g.get("k").await;
    assert_eq!(title(&there.metadata), Some("First"));
    // It is replaced together with the value, and by nobody else.
    let second = titled(there.metadata.clone(), "Second");
    let expect = Precondition::Is(there.version);
    let put = g.store.put(&key, value(3), &second, &expect);
    saved(put.await.unwrap());
    assert_eq!(title(&g.get("k").await.metadata), Some("Second"));
}

pub(super) async fn metadata_goes_along_to_another_key(g: Ground) {
    entitle(&g, "k").await;
    let there = g.get("k").await;
    let metadata = g.store.with_tags(there.metadata).await.unwrap();
    let key = g.key("copy");
    let put = g
        .store
        .put(&key, there.bytes.clone(), &metadata, &Precondition::Absent);
    saved(put.await.unwrap());
    let copy = g.get("copy").await;
    assert_eq!(copy.bytes, there.bytes);
    assert_eq!(title(&copy.metadata), Some("First"));
}

pub(super) async fn nobody_chose_what_travels_with_a_new_value(g: Ground) {
    let key = g.key("k");
    let fresh = g.store.fresh_metadata(&key);
    assert!(g.store.is_default(&key, &fresh));
    assert!(g.store.read_only(&key, &fresh).is_none() && !fresh.is_log());
    // A value says the same of itself twice.
    g.create("k", 1).await;
    let (one, other) = (g.get("k").await, g.get("k").await);
    assert_eq!(one.metadata, other.metadata);
    assert_eq!(one.metadata.attributes(), other.metadata.attributes());
}
