//! What is said when the store cannot be asked: never that there is nothing.

use etagfs::backend::fault::{Fault, Op};
use etagfs::model::{FileName, Outcome, Precondition};
use etagfs::store::{Dir, Error};

use super::ground::{ALL, Ground, value};

fn unreachable<T: std::fmt::Debug>(answer: Result<T, Error>) {
    assert!(matches!(answer, Err(Error::Failed(_))), "{answer:?}");
}

fn cut_off(g: &Ground) {
    for op in [Op::Get, Op::Head, Op::List, Op::Put, Op::Delete] {
        g.faults.every(op, Fault::unreachable());
    }
}

pub(super) async fn an_error_is_never_absence(g: Ground) {
    let version = g.create("k", 1).await;
    let (key, missing) = (g.key("k"), g.key("missing"));
    let name = FileName::new("missing".as_ref()).unwrap();
    cut_off(&g);
    unreachable(g.store.lookup(&Dir::root(), &name).await);
    for key in [&key, &missing] {
        unreachable(g.store.describe(key).await);
        unreachable(g.store.inspect(key).await);
        unreachable(g.store.open(key, None, ALL).await);
        unreachable(g.store.last_put(key).await);
    }
    unreachable(g.store.list(&Dir::root()).await);
    unreachable(g.store.scan("", false).await);
    unreachable(g.store.delete(&key, &version).await);
    let metadata = g.store.fresh_metadata(&key);
    let expect = Precondition::Is(version.clone());
    unreachable(g.store.put(&key, value(2), &metadata, &expect).await);
    g.faults.heal();
    assert_eq!(g.get("k").await.version, version);
}

pub(super) async fn a_failed_listing_is_no_part_of_one(g: Ground) {
    for n in 0..3 {
        g.create(&format!("k{n}"), n).await;
    }
    // A machine that knows nothing yet has the most to ask.
    let other = g.another_machine();
    other.find(g.id).await.unwrap();
    let store = other.store(g.id);
    g.faults.every(Op::List, Fault::unreachable());
    unreachable(store.list(&Dir::root()).await);
    g.faults.heal();
    assert_eq!(store.list(&Dir::root()).await.unwrap().len(), 3);
}

pub(super) async fn a_put_whose_answer_was_lost_is_unknown(g: Ground) {
    let first = g.create("k", 1).await;
    g.faults.next(Op::Put, Fault::LoseReply);
    let outcome = g.put("k", value(2), &Precondition::Is(first.clone())).await;
    assert_eq!(outcome, Outcome::Unknown);
    g.faults.next(Op::Delete, Fault::LoseRequest);
    assert_eq!(g.delete("k", &first).await, Outcome::Unknown);
    assert_ne!(g.get("k").await.version, first);
}
