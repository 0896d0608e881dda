//! Writes: conditions, and what travels with a value.

use std::collections::BTreeMap;

use etagfs::backend::{Body, Error, Meta, ObjectKey};
use etagfs::model::Precondition;

use super::ground::{Ground, body, new_id, no_version, saved};

pub(super) async fn a_create_succeeds_once(g: Ground) {
    g.create("k", "first").await;
    let second = g.put("k", "second", &Precondition::Absent).await;
    assert!(second.is_refused());
    assert_eq!(g.get("k").await.bytes, "first");
}

pub(super) async fn a_refused_put_changes_nothing(g: Ground) {
    g.create("k", "first").await;
    let before = g.backend.head(&g.at("k")).await.unwrap();
    let refused = g.put("k", "second", &Precondition::Is(no_version())).await;
    assert!(refused.is_refused());
    assert_eq!(g.backend.head(&g.at("k")).await.unwrap(), before);
}

pub(super) async fn an_update_of_the_version_that_is_there_succeeds(g: Ground) {
    let first = g.create("k", "first").await;
    let second = g.update("k", "second", &first).await;
    let third = g.update("k", "third", &second).await;
    let object = g.get("k").await;
    assert_eq!((object.bytes, object.info.version), ("third".into(), third));
}

pub(super) async fn an_update_of_another_version_is_refused(g: Ground) {
    let first = g.create("k", "first").await;
    g.update("k", "second", &first).await;
    for stale in [first, no_version()] {
        let outcome = g.put("k", "third", &Precondition::Is(stale)).await;
        assert!(outcome.is_refused());
    }
    assert_eq!(g.get("k").await.bytes, "second");
}

pub(super) async fn an_update_of_a_missing_key_is_refused(g: Ground) {
    let outcome = g.put("k", "v", &Precondition::Is(no_version())).await;
    assert!(outcome.is_refused());
    assert!(g.is_missing("k").await);

    let version = g.create("deleted", "v").await;
    saved(g.delete("deleted", &version).await);
    let outcome = g.put("deleted", "v", &Precondition::Is(version)).await;
    assert!(outcome.is_refused());
    assert!(g.is_missing("deleted").await);
}

pub(super) async fn a_deleted_key_can_be_created_again(g: Ground) {
    let first = g.create("k", "first").await;
    saved(g.delete("k", &first).await);
    g.create("k", "second").await;
    assert_eq!(g.get("k").await.bytes, "second");
}

pub(super) async fn the_same_bytes_can_be_put_again(g: Ground) {
    let first = g.create("k", "same").await;
    let second = g.update("k", "same", &first).await;
    let third = g.update("k", "other", &second).await;
    assert_ne!(second, third);
}

pub(super) async fn a_delete_of_the_version_that_is_there_removes_it(g: Ground) {
    let first = g.create("k", "first").await;
    let second = g.update("k", "second", &first).await;
    saved(g.delete("k", &second).await);
    assert!(g.is_missing("k").await);
}

pub(super) async fn a_delete_of_another_version_is_refused(g: Ground) {
    let first = g.create("k", "first").await;
    let second = g.update("k", "second", &first).await;
    for stale in [first, no_version()] {
        assert!(g.delete("k", &stale).await.is_refused());
    }
    assert_eq!(g.get("k").await.info.version, second);
}

pub(super) async fn a_delete_of_a_missing_key_is_refused(g: Ground) {
    assert!(g.delete("never", &no_version()).await.is_refused());
    let version = g.create("k", "v").await;
    saved(g.delete("k", &version).await);
    assert!(g.delete("k", &version).await.is_refused());
}

fn described() -> Meta {
    let user = [
        ("owner", "somebody"),
        ("with-hyphen", "a b  c"),
        ("quotes", "\"'`$HOME\\"),
        ("number", "0"),
    ];
    Meta {
        content_type: Some("text/x-clojure; charset=utf-8".into()),
        cache_control: Some("max-age=7".into()),
        content_disposition: Some("attachment; filename=\"a.clj\"".into()),
        content_encoding: Some("gzip".into()),
        content_language: Some("de, en".into()),
        user: user.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        ..Meta::default()
    }
}

pub(super) async fn content_type_and_metadata_come_back(g: Ground) {
    let body = Body {
        bytes: "v".into(),
        meta: described(),
    };
    let put = g.try_put("k", body, &Precondition::Absent, new_id()).await;
    saved(put.unwrap());
    assert_eq!(g.get("k").await.info.meta, described());
    assert_eq!(g.backend.head(&g.at("k")).await.unwrap().meta, described());
}

pub(super) async fn metadata_is_replaced_together_with_the_value(g: Ground) {
    let first = g.create("k", "v").await;
    let body = |user: &[(&str, &str)]| Body {
        bytes: "w".into(),
        meta: Meta {
            user: user
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..Meta::default()
        },
    };
    let one = body(&[("a", "1"), ("b", "1")]);
    let two = body(&[("b", "2")]);
    let put = g
        .try_put("k", one, &Precondition::Is(first), new_id())
        .await;
    let second = saved(put.unwrap());
    let put = g
        .try_put("k", two, &Precondition::Is(second), new_id())
        .await;
    saved(put.unwrap());
    let user = g.backend.head(&g.at("k")).await.unwrap().meta.user;
    assert_eq!(user, BTreeMap::from([("b".to_owned(), "2".to_owned())]));
}

pub(super) async fn the_id_of_the_last_put_comes_back(g: Ground) {
    let (at, first, second) = (g.at("k"), new_id(), new_id());
    let put = g.backend.put(&at, body("1"), &Precondition::Absent, first);
    let version = saved(put.await.unwrap());
    assert_eq!(g.backend.head(&at).await.unwrap().put_id, Some(first));
    let base = Precondition::Is(version);
    saved(g.backend.put(&at, body("2"), &base, second).await.unwrap());
    let refused = g.backend.put(&at, body("3"), &base, new_id());
    assert!(refused.await.unwrap().is_refused());
    let object = g.get("k").await;
    assert_eq!(object.info.put_id, Some(second));
    assert!(object.info.meta.user.is_empty(), "{:?}", object.info.meta);
}

pub(super) async fn names_and_values_beyond_the_limits_are_too_big(g: Ground) {
    let limit = g.backend.limits().key_bytes;
    let long = ObjectKey::new("k".repeat(limit + 1));
    let put = g
        .backend
        .put(&long, body("v"), &Precondition::Absent, new_id());
    let error = put.await.unwrap_err();
    assert!(matches!(error, Error::TooBig { .. }), "{error}");
    assert!(g.backend.limits().value_bytes >= 400 * 1024);
}
