//! The lost-reply rule at work: over the memory backend, with scripted faults and paused time.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::*;
use crate::backend::fault::{Fault, Faulty, Op};
use crate::backend::{Memory, Meta};

/// A settled backend, the faults below it and the objects below those.
struct World {
    settled: Settled,
    faults: Arc<Faulty>,
    memory: Arc<Memory>,
    saves: AtomicU64,
}

fn world() -> World {
    let memory = Arc::new(Memory::new());
    let faults = Arc::new(Faulty::new(memory.clone()));
    World {
        settled: Settled::new(faults.clone(), Deadlines::default()),
        faults,
        memory,
        saves: AtomicU64::default(),
    }
}

fn at() -> ObjectKey {
    ObjectKey::new("key")
}

fn body(text: &'static str) -> Body {
    Body {
        bytes: Bytes::from_static(text.as_bytes()),
        meta: Meta::default(),
    }
}

fn id(n: u128) -> PutId {
    PutId::new(n)
}

impl World {
    /// Puts behind the settled backend's back.
    async fn other(&self, text: &'static str, expect: &Precondition) -> Version {
        match self.memory.put(&at(), body(text), expect, id(99)).await {
            Ok(Outcome::Committed(version)) => version,
            other => panic!("{other:?}"),
        }
    }

    async fn put(&self, text: &'static str, expect: &Precondition) -> Result<Outcome, Error> {
        let save = self.saves.fetch_add(1, Ordering::Relaxed);
        let id = id(1000 + u128::from(save));
        self.settled.put(&at(), body(text), expect, id).await
    }

    async fn text(&self) -> Option<Bytes> {
        match self
            .memory
            .get(&at(), &ReadCondition::Newest, ByteRange::UpTo(100))
            .await
        {
            Ok(Fetched::Object(object)) => Some(object.bytes),
            Err(Error::NotFound(_)) => None,
            other => panic!("{other:?}"),
        }
    }
}

fn saved<T>(result: Result<Outcome<T>, Error>) -> T {
    match result.map(|outcome| match outcome {
        Outcome::Committed(value) => Ok(value),
        Outcome::Refused(_) => Err("refused"),
        Outcome::Unknown => Err("unknown"),
    }) {
        Ok(Ok(value)) => value,
        Ok(Err(other)) => panic!("{other}"),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_whose_reply_was_lost_is_saved_once() {
    let world = world();
    let base = Precondition::Is(world.other("old", &Precondition::Absent).await);
    world.faults.next(Op::Put, Fault::LoseReply);
    let version = saved(world.put("new", &base).await);
    assert_eq!(world.memory.head(&at()).await.unwrap().version, version);
    assert_eq!(world.faults.calls(Op::Put), 1);
}

#[tokio::test(start_paused = true)]
async fn a_put_that_never_arrived_is_sent_again() {
    let world = world();
    let base = Precondition::Is(world.other("old", &Precondition::Absent).await);
    world.faults.next(Op::Put, Fault::LoseRequest);
    world.faults.next(Op::Put, Fault::LoseRequest);
    saved(world.put("new", &base).await);
    assert_eq!(world.faults.calls(Op::Put), 3);
    assert_eq!(world.text().await.unwrap(), "new");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_costs_one_look_which_says_who_won() {
    let world = world();
    let theirs = world.other("theirs", &Precondition::Absent).await;
    let outcome = world.put("ours", &Precondition::Absent).await.unwrap();
    let Outcome::Refused(Some(rival)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(rival.version, Precondition::Is(theirs));
    assert_eq!(rival.size, Some(6));
    assert_eq!(world.faults.calls(Op::Head), 1);
    saved(
        world
            .put(
                "free",
                &Precondition::Is(rival.version.version().unwrap().clone()),
            )
            .await,
    );
    assert_eq!(world.faults.calls(Op::Head), 1);
}

#[tokio::test(start_paused = true)]
async fn a_put_that_was_sent_twice_is_saved_with_the_version_that_it_made() {
    let world = world();
    world.faults.every(Op::Put, Fault::Twice);
    let created = saved(world.put("new", &Precondition::Absent).await);
    assert_eq!(world.memory.head(&at()).await.unwrap().version, created);
    let updated = saved(world.put("newer", &Precondition::Is(created)).await);
    assert_eq!(world.memory.head(&at()).await.unwrap().version, updated);
    assert_eq!(world.faults.calls(Op::Put), 2);
    assert_eq!(world.faults.calls(Op::Head), 2);
    world.faults.every(Op::Delete, Fault::Twice);
    saved(world.settled.delete(&at(), &updated).await);
    assert_eq!(world.text().await, None);
}

/// Between our first copy and our look others save, each over the one before.
async fn overtaken(writers: u128, keeps_trails: bool) -> (Outcome, Version) {
    let world = world();
    let base = Precondition::Is(world.other("old", &Precondition::Absent).await);
    let others = Settled::new(world.memory.clone(), Deadlines::default());
    let gate = crate::backend::fault::Gate::new();
    world.faults.next(Op::Put, Fault::Twice);
    world
        .faults
        .next(Op::Head, Fault::HoldRequest(gate.clone()));
    let meanwhile = async {
        gate.arrived(1).await;
        let ours = world.memory.head(&at()).await.unwrap().version;
        for writer in 0..writers {
            let now = match keeps_trails {
                true => others.head(&at()).await.unwrap().version,
                false => world.memory.head(&at()).await.unwrap().version,
            };
            let theirs = Body {
                bytes: Bytes::from(format!("theirs {writer}")),
                meta: Meta::default(),
            };
            let (at, now) = (at(), Precondition::Is(now));
            saved(others.put(&at, theirs, &now, id(100 + writer)).await);
        }
        gate.open();
        ours
    };
    let (outcome, ours) = tokio::join!(world.put("new", &base), meanwhile);
    (outcome.unwrap(), ours)
}

#[tokio::test(start_paused = true)]
async fn a_put_that_was_sent_twice_and_saved_over_is_found_in_the_trail() {
    for writers in 1..=8 {
        let (outcome, ours) = overtaken(writers, true).await;
        assert_eq!(outcome, Outcome::Committed(ours), "{writers}");
    }
    // What cannot be told apart: too many, or one that keeps no trail.
    assert!(overtaken(9, true).await.0.is_refused());
    assert!(overtaken(1, false).await.0.is_refused());
}

#[tokio::test(start_paused = true)]
async fn nobody_above_sees_a_trail() {
    let world = world();
    let mut expect = Precondition::Absent;
    for text in ["a", "b", "c"] {
        let version = saved(world.put(text, &expect).await);
        expect = Precondition::Is(version);
    }
    let raw = world.memory.head(&at()).await.unwrap();
    assert_eq!(raw.meta.user.len(), 1, "{:?}", raw.meta);
    let info = world.settled.head(&at()).await.unwrap();
    assert_eq!(info.meta, Meta::default());
    let read = world
        .settled
        .get(&at(), &ReadCondition::Newest, ByteRange::UpTo(9))
        .await;
    let Ok(Fetched::Object(object)) = read else {
        panic!("{read:?}");
    };
    assert_eq!(object.info.meta, Meta::default());
}

fn collided() -> Fault {
    Fault::fail(|| Error::Collided {
        what: "key".into(),
        why: "scripted".into(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_put_that_met_another_one_is_sent_again_and_refused_only_by_what_is_there() {
    let world = world();
    world.faults.next(Op::Put, collided());
    world.faults.next(Op::Put, collided());
    let created = saved(world.put("new", &Precondition::Absent).await);
    assert_eq!(world.faults.calls(Op::Put), 3);

    let theirs = world
        .other("theirs", &Precondition::Is(created.clone()))
        .await;
    world.faults.next(Op::Put, collided());
    let outcome = world.put("mine", &Precondition::Is(created)).await.unwrap();
    let Outcome::Refused(Some(rival)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(rival.version, Precondition::Is(theirs.clone()));

    world.faults.every(Op::Put, collided());
    let never = world
        .put("never", &Precondition::Is(theirs))
        .await
        .unwrap_err();
    assert!(matches!(never, Error::Collided { .. }), "{never}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_nobody_may_look_at_is_unknown_at_once() {
    let world = world();
    world.other("theirs", &Precondition::Absent).await;
    let denied = Fault::fail(|| Error::Denied {
        what: "key".into(),
        why: "scripted".into(),
        to: super::super::Denial::Request,
    });
    world.faults.every(Op::Head, denied);
    let outcome = world.put("ours", &Precondition::Absent).await.unwrap();
    assert_eq!(outcome, Outcome::Unknown);
    assert_eq!(world.faults.calls(Op::Head), 1);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_reply_was_lost_is_saved_if_ours_is_there() {
    let world = world();
    world.faults.next(Op::Put, Fault::LoseReply);
    saved(world.put("ours", &Precondition::Absent).await);
    assert_eq!(world.faults.calls(Op::Put), 1);
}

#[tokio::test(start_paused = true)]
async fn a_create_that_nothing_proves_is_unknown_and_never_refused_nor_sent_again() {
    // It never arrived, and nobody else was there.
    let lost = world();
    lost.faults.next(Op::Put, Fault::LoseRequest);
    assert_eq!(
        lost.put("ours", &Precondition::Absent).await.unwrap(),
        Outcome::Unknown
    );
    assert_eq!(lost.faults.calls(Op::Put), 1);
    assert_eq!(lost.text().await, None);

    // It never arrived, and somebody else's is there: ours might have come and been replaced.
    let theirs = world();
    theirs.faults.next(Op::Put, Fault::LoseRequest);
    theirs.other("theirs", &Precondition::Absent).await;
    assert_eq!(
        theirs.put("ours", &Precondition::Absent).await.unwrap(),
        Outcome::Unknown
    );
    assert_eq!(theirs.text().await.unwrap(), "theirs");
}

#[tokio::test(start_paused = true)]
async fn a_landed_put_that_was_overwritten_is_unknown_and_never_a_conflict() {
    let world = world();
    let base = Precondition::Is(world.other("old", &Precondition::Absent).await);
    let gate = crate::backend::fault::Gate::new();
    world.faults.next(Op::Put, Fault::LoseReply);
    world
        .faults
        .next(Op::Head, Fault::HoldRequest(gate.clone()));
    let meanwhile = async {
        gate.arrived(1).await;
        let ours = world.memory.head(&at()).await.unwrap().version;
        world.other("theirs", &Precondition::Is(ours)).await;
        gate.open();
    };
    let (outcome, ()) = tokio::join!(world.put("ours", &base), meanwhile);
    assert_eq!(outcome.unwrap(), Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_lost_reply_is_checked() {
    let world = world();
    let base = Precondition::Is(world.other("old", &Precondition::Absent).await);
    world.faults.next(Op::Put, Fault::LoseRequest);
    world.faults.next(Op::Put, Fault::Refuse);
    // The delayed first attempt could have landed between our look and our second attempt.
    assert_eq!(world.put("new", &base).await.unwrap(), Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_put_is_retried_and_its_refusal_is_true() {
    let world = world();
    let base = Precondition::Is(world.other("old", &Precondition::Absent).await);
    for _ in 0..5 {
        world.faults.next(Op::Put, Fault::unreachable());
    }
    saved(world.put("new", &base).await);
    assert_eq!(world.faults.calls(Op::Put), 6);

    world.faults.next(Op::Put, Fault::unreachable());
    let refused = world.put("again", &base).await.unwrap();
    assert!(refused.is_refused());
}

#[tokio::test(start_paused = true)]
async fn a_throttled_create_is_retried() {
    let world = world();
    world.faults.next(Op::Put, Fault::unreachable());
    saved(world.put("new", &Precondition::Absent).await);
}

#[tokio::test(start_paused = true)]
async fn an_outage_ends_with_an_error_at_the_deadline() {
    let world = world();
    world.faults.every(Op::Put, Fault::unreachable());
    let begun = Instant::now();
    let error = world.put("new", &Precondition::Absent).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }));
    assert!(begun.elapsed() <= Deadlines::default().operation);
    assert!(world.faults.calls(Op::Put) > 10);
}

#[tokio::test(start_paused = true)]
async fn a_put_that_hangs_is_unknown_after_the_deadline_and_a_last_look() {
    let world = world();
    let base = Precondition::Is(world.other("old", &Precondition::Absent).await);
    let for_ever = Duration::from_secs(3600);
    world.faults.every(Op::Put, Fault::Delay(for_ever));
    world.faults.every(Op::Head, Fault::Delay(for_ever));
    let begun = Instant::now();
    assert_eq!(world.put("new", &base).await.unwrap(), Outcome::Unknown);
    assert!(begun.elapsed() <= Deadlines::default().operation + LAST_LOOK);
    assert_eq!(world.faults.calls(Op::Head), 1);
}

#[tokio::test(start_paused = true)]
async fn a_denied_put_is_an_error_at_once_but_in_doubt_it_is_unknown() {
    let denied = || {
        Fault::fail(|| Error::Denied {
            what: "key".into(),
            why: "scripted".into(),
            to: super::super::Denial::Request,
        })
    };
    let world = world();
    let base = Precondition::Is(world.other("old", &Precondition::Absent).await);
    world.faults.next(Op::Put, denied());
    let error = world.put("new", &base).await.unwrap_err();
    assert!(matches!(error, Error::Denied { .. }));
    assert_eq!(world.faults.calls(Op::Put), 1);

    world.faults.next(Op::Put, Fault::LoseRequest);
    world.faults.next(Op::Put, denied());
    assert_eq!(world.put("new", &base).await.unwrap(), Outcome::Unknown);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_is_repeated() {
    let world = world();
    world.faults.next(Op::Put, Fault::LoseReply);
    world.faults.next(Op::Head, Fault::LoseReply);
    world.faults.next(Op::Head, Fault::unreachable());
    saved(world.put("ours", &Precondition::Absent).await);
    assert_eq!(world.faults.calls(Op::Head), 3);
}

#[tokio::test(start_paused = true)]
async fn a_delete_whose_reply_was_lost_is_done_when_the_object_is_gone() {
    let world = world();
    let version = world.other("old", &Precondition::Absent).await;
    world.faults.next(Op::Delete, Fault::LoseReply);
    saved(world.settled.delete(&at(), &version).await);
    assert_eq!(world.faults.calls(Op::Delete), 1);

    let version = world.other("old", &Precondition::Absent).await;
    world.faults.next(Op::Delete, Fault::LoseRequest);
    saved(world.settled.delete(&at(), &version).await);
    assert_eq!(world.text().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_delete_of_another_version_is_refused_after_a_look() {
    let world = world();
    world.other("old", &Precondition::Absent).await;
    let outcome = world.settled.delete(&at(), &Version::new("\"x\"")).await;
    assert!(outcome.unwrap().is_refused());
}
