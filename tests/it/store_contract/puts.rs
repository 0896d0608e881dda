//! Writes, each under a condition.

use std::sync::Arc;

use bytes::Bytes;
use etagfs::model::{Outcome, Precondition, PutId};
use futures_util::future::join_all;
use tokio::sync::Barrier;
use uuid::Uuid;

use super::ground::{Ground, no_version, saved, value};

const WRITERS: u32 = 8;

pub(super) async fn a_create_succeeds_once(g: Ground) {
    let version = g.create("k", 1).await;
    assert!(
        g.put("k", value(2), &Precondition::Absent)
            .await
            .is_refused()
    );
    let there = g.get("k").await;
    assert_eq!(there.version, version);
}

pub(super) async fn a_refused_put_changes_nothing(g: Ground) {
    g.create("k", 1).await;
    let before = g.get("k").await;
    let refused = g.put("k", value(2), &Precondition::Is(no_version())).await;
    assert!(refused.is_refused());
    let after = g.get("k").await;
    assert_eq!(after, before);
}

pub(super) async fn an_update_of_the_newest_version_succeeds(g: Ground) {
    let first = g.create("k", 1).await;
    let second = g.update("k", 2, &first).await;
    let third = g.update("k", 3, &second).await;
    assert!(first != second && second != third);
    assert_eq!(g.get("k").await.version, third);
}

pub(super) async fn an_update_of_another_version_is_refused(g: Ground) {
    let first = g.create("k", 1).await;
    let second = g.update("k", 2, &first).await;
    for stale in [first, no_version()] {
        let outcome = g.put("k", value(3), &Precondition::Is(stale)).await;
        assert!(outcome.is_refused());
    }
    assert_eq!(g.get("k").await.version, second);
}

pub(super) async fn an_update_of_a_missing_key_is_refused(g: Ground) {
    let outcome = g.put("k", value(1), &Precondition::Is(no_version())).await;
    assert!(outcome.is_refused());
    assert!(g.is_missing("k").await);
    let version = g.create("deleted", 1).await;
    saved(g.delete("deleted", &version).await);
    let outcome = g.put("deleted", value(2), &Precondition::Is(version)).await;
    assert!(outcome.is_refused());
    assert!(g.is_missing("deleted").await);
}

pub(super) async fn a_deleted_key_can_be_created_again(g: Ground) {
    let first = g.create("k", 1).await;
    saved(g.delete("k", &first).await);
    let second = g.create("k", 2).await;
    assert_eq!(g.get("k").await.version, second);
}

pub(super) async fn a_delete_of_the_newest_version_removes_it(g: Ground) {
    let first = g.create("k", 1).await;
    let second = g.update("k", 2, &first).await;
    saved(g.delete("k", &second).await);
    assert!(g.is_missing("k").await);
}

pub(super) async fn a_delete_of_another_version_is_refused(g: Ground) {
    let first = g.create("k", 1).await;
    let second = g.update("k", 2, &first).await;
    for stale in [first, no_version()] {
        assert!(g.delete("k", &stale).await.is_refused());
    }
    assert_eq!(g.get("k").await.version, second);
}

/// All at once, and what came of each.
async fn race(g: &Ground, expect: &Precondition) -> Vec<Outcome> {
    let start = Arc::new(Barrier::new(WRITERS as usize));
    let writers = (0..WRITERS).map(|writer| {
        let (g, start, expect) = (g.clone(), Arc::clone(&start), expect.clone());
        tokio::spawn(async move {
            start.wait().await;
            g.put("k", value(writer), &expect).await
        })
    });
    let outcomes = join_all(writers).await.into_iter();
    outcomes.map(Result::unwrap).collect()
}

pub(super) async fn of_many_creates_one_wins(g: Ground) {
    let outcomes = race(&g, &Precondition::Absent).await;
    let won: Vec<_> = outcomes.iter().filter(|one| !one.is_refused()).collect();
    assert_eq!(won, [&Outcome::Committed(g.get("k").await.version)]);
}

pub(super) async fn a_counter_loses_no_increment(g: Ground) {
    const EACH: u32 = 5;
    g.create("k", 0).await;
    let counters = (0..WRITERS).map(|_| {
        let g = g.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                loop {
                    let there = g.get("k").await;
                    let text = String::from_utf8(there.bytes.to_vec()).unwrap();
                    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
                    let next = digits.parse::<u32>().unwrap() + 1;
                    let expect = Precondition::Is(there.version);
                    if !g.put("k", value(next), &expect).await.is_refused() {
                        break;
                    }
                }
            }
        })
    });
    for counter in join_all(counters).await {
        counter.unwrap();
    }
    let text = String::from_utf8(g.get("k").await.bytes.to_vec()).unwrap();
    assert!(text.contains(&format!(" {}", WRITERS * EACH)), "{text}");
}

pub(super) async fn the_number_of_a_save_comes_back(g: Ground) {
    let key = g.key("k");
    assert_eq!(g.store.last_put(&key).await.unwrap(), None);
    let id = PutId::new(Uuid::new_v4().as_u128());
    let metadata = g.store.fresh_metadata(&key);
    let put = g
        .store
        .put_as(&key, value(1), &metadata, &Precondition::Absent, id);
    saved(put.await.unwrap());
    assert_eq!(g.store.last_put(&key).await.unwrap(), Some(id));
}

pub(super) async fn a_log_begins_with_its_lines(g: Ground) {
    let key = g.key("log");
    let lines = Bytes::from_static(b"1\n2\n");
    saved(g.store.create_log(&key, lines.clone()).await.unwrap());
    assert_eq!(g.get("log").await.bytes, lines);
    let again = g.store.create_log(&key, lines).await.unwrap();
    assert!(again.is_refused());
}
