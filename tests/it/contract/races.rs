//! Races: of several writers with one expectation, one wins; a reader sees one value or another.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use etagfs::model::{Outcome, Precondition};
use futures_util::future::join_all;
use tokio::sync::Barrier;

use super::ground::Ground;

const WRITERS: usize = 8;
const ROUNDS: usize = 6;

/// All at once: the outcomes of puts that differ in their bytes and agree in what they expect.
async fn race(g: &Ground, name: &str, expect: &Precondition) -> Vec<Outcome> {
    let start = Arc::new(Barrier::new(WRITERS));
    let writers = (0..WRITERS).map(|writer| {
        let (g, start, expect) = (g.clone(), start.clone(), expect.clone());
        let name = name.to_owned();
        tokio::spawn(async move {
            start.wait().await;
            g.put(&name, format!("{writer}"), &expect).await
        })
    });
    join_all(writers)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

/// Checks that one won, that all others were refused, and that the winner's bytes are there.
async fn one_won(g: &Ground, name: &str, outcomes: &[Outcome]) {
    let winners: Vec<usize> = (0..outcomes.len())
        .filter(|i| matches!(outcomes[*i], Outcome::Committed(_)))
        .collect();
    assert_eq!(winners.len(), 1, "{outcomes:?}");
    let losers = outcomes.iter().filter(|o| o.is_refused()).count();
    assert_eq!(losers, outcomes.len() - 1, "{outcomes:?}");
    let object = g.get(name).await;
    assert_eq!(object.bytes, format!("{}", winners[0]));
    assert_eq!(
        outcomes[winners[0]],
        Outcome::Committed(object.info.version)
    );
}

pub(super) async fn of_many_creates_one_wins(g: Ground) {
    for round in 0..ROUNDS {
        let name = format!("k{round}");
        let outcomes = race(&g, &name, &Precondition::Absent).await;
        one_won(&g, &name, &outcomes).await;
    }
}

pub(super) async fn of_many_updates_one_wins(g: Ground) {
    for round in 0..ROUNDS {
        let name = format!("k{round}");
        let base = g.create(&name, "base").await;
        let outcomes = race(&g, &name, &Precondition::Is(base)).await;
        one_won(&g, &name, &outcomes).await;
    }
}

pub(super) async fn of_a_put_and_a_delete_one_wins(g: Ground) {
    for round in 0..ROUNDS {
        let name = format!("k{round}");
        let base = g.create(&name, "base").await;
        let expect = Precondition::Is(base.clone());
        let (put, delete) = tokio::join!(g.put(&name, "new", &expect), g.delete(&name, &base));
        match (put, delete) {
            (Outcome::Committed(_), Outcome::Refused(_)) => {
                assert_eq!(g.get(&name).await.bytes, "new")
            }
            (Outcome::Refused(_), Outcome::Committed(())) => assert!(g.is_missing(&name).await),
            both => panic!("{both:?}"),
        }
    }
}

pub(super) async fn a_counter_loses_no_increment(g: Ground) {
    const INCREMENTS: usize = 10;
    g.create("counter", "0").await;
    let writers = (0..4).map(|_| {
        let g = g.clone();
        tokio::spawn(async move {
            for _ in 0..INCREMENTS {
                increment(&g).await;
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    let total = g.get("counter").await.bytes;
    assert_eq!(total, format!("{}", 4 * INCREMENTS));
}

async fn increment(g: &Ground) {
    loop {
        let object = g.get("counter").await;
        let count: u64 = String::from_utf8_lossy(&object.bytes).parse().unwrap();
        let next = format!("{}", count + 1);
        match g
            .put("counter", next, &Precondition::Is(object.info.version))
            .await
        {
            Outcome::Committed(_) => return,
            // Losers that all come back at once starve each other; a random pause spreads them.
            Outcome::Refused(_) => {
                let pause = Duration::from_millis(u64::from(rand_byte() % 20));
                tokio::time::sleep(pause).await;
            }
            Outcome::Unknown => panic!("unknown without a lost message"),
        }
    }
}

fn rand_byte() -> u8 {
    uuid::Uuid::new_v4().as_bytes()[0]
}

pub(super) async fn a_reader_never_sees_a_mixture(g: Ground) {
    const SIZE: usize = 256 * 1024;
    let value = |n: u8| Bytes::from(vec![n; SIZE]);
    let mut version = g.create("k", value(0)).await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let reader = g.clone();
    let reading = tokio::spawn(async move {
        let mut reads = 0;
        while !*stopped.borrow() {
            let object = reader.get("k").await;
            assert_eq!(object.bytes.len(), SIZE);
            let first = object.bytes[0];
            assert!(object.bytes.iter().all(|byte| *byte == first), "mixed");
            reads += 1;
        }
        reads
    });
    for n in 1..30 {
        version = g.update("k", value(n), &version).await;
    }
    stop.send(true).unwrap();
    assert!(reading.await.unwrap() > 0);
}
