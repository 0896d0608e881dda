use super::silence::{LEASH, PAUSE, PERIOD, Queue};
use super::*;
use crate::backend::Memory;
use crate::backend::fault::{Fault, Faulty, Gate, Op};

const DEADLINE: Duration = Duration::from_secs(30);

/// A store that answers nothing to look-ups until it is healed: each ends with the deadline.
fn silent() -> (Arc<Faulty>, Arc<Queued>) {
    let faulty = Arc::new(Faulty::new(Arc::new(Memory::new())));
    faulty.every(Op::Head, Fault::HoldRequest(Gate::new()));
    faulty.every(Op::Put, Fault::HoldRequest(Gate::new()));
    let inner = Arc::new(Ending(faulty.clone()));
    (faulty, Arc::new(Queued::new(inner, DEADLINE)))
}

/// Ends each call with the deadline, as the backends below do.
#[derive(Debug)]
struct Ending(Arc<Faulty>);

#[async_trait]
impl Backend for Ending {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn server(&self) -> &Server {
        self.0.server()
    }

    fn limits(&self) -> Limits {
        self.0.limits()
    }

    async fn get(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Fetched, Error> {
        self.0.get(at, pin, span).await
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        let late = Error::Deadline {
            what: at.to_string(),
            seconds: DEADLINE.as_secs_f32(),
            cause: None,
        };
        let answer = timeout(DEADLINE, self.0.head(at)).await;
        answer.unwrap_or(Err(late))
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let answer = timeout(DEADLINE, self.0.put(at, body, expect, id)).await;
        answer.unwrap_or(Ok(Outcome::Unknown))
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        self.0.delete(at, version).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        self.0.list(query).await
    }
}

async fn head(backend: &Queued, queue: u64, name: &str) -> Result<ObjectMeta, Error> {
    let at = ObjectKey::new(name);
    within([queue, queue], backend.head(&at)).await
}

async fn put(backend: &Queued, queue: u64) -> Result<Outcome, Error> {
    let at = ObjectKey::new("k");
    let body = Body {
        bytes: bytes::Bytes::new(),
        meta: crate::backend::Meta::default(),
    };
    let put = backend.put(&at, body, &Precondition::Absent, PutId::new(1));
    within([queue, queue], put).await
}

fn is_late<T: std::fmt::Debug>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::Deadline { .. }))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_look_ups_one_after_the_other_take_as_long_as_one() {
    let (faulty, queued) = silent();
    let begun = Instant::now();
    for n in 0..100 {
        assert!(is_late(&head(&queued, 1, &n.to_string()).await));
    }
    assert!(begun.elapsed() <= DEADLINE + LEASH, "{:?}", begun.elapsed());
    // The one that waited, and a probe.
    assert_eq!(faulty.calls(Op::Head), 2);
    // Another queue has its own time.
    let begun = Instant::now();
    assert!(is_late(&head(&queued, 2, "other").await));
    assert_eq!(begun.elapsed(), DEADLINE);
}

#[tokio::test(start_paused = true)]
async fn when_the_store_is_back_nobody_fails_for_longer_than_a_second() {
    let (faulty, queued) = silent();
    assert!(is_late(&head(&queued, 1, "k").await));
    for _ in 0..200 {
        assert!(is_late(&head(&queued, 1, "k").await));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    faulty.heal();
    let back = Instant::now();
    while is_late(&head(&queued, 1, "k").await) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(back.elapsed() <= PERIOD, "{:?}", back.elapsed());
    // In a silence in which nobody asked, the first call is the one that notices.
    faulty.every(Op::Head, Fault::HoldRequest(Gate::new()));
    assert!(is_late(&head(&queued, 1, "k").await));
    faulty.heal();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!is_late(&head(&queued, 1, "k").await));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_stuck_alone_is_in_nobodys_way() {
    let faulty = Arc::new(Faulty::new(Arc::new(Memory::new())));
    let queued = Queued::new(Arc::new(Ending(faulty.clone())), DEADLINE);
    faulty.next(Op::Head, Fault::HoldRequest(Gate::new()));
    assert!(is_late(&head(&queued, 1, "stuck").await));
    let next = head(&queued, 1, "healthy").await;
    assert!(matches!(next, Err(Error::NotFound(_))), "{next:?}");
}

#[tokio::test(start_paused = true)]
async fn probes_of_a_slow_store_go_on_until_it_answers() {
    let (faulty, queued) = silent();
    assert!(is_late(&head(&queued, 1, "k").await));
    faulty.heal();
    faulty.every(Op::Head, Fault::Delay(Duration::from_secs(12)));
    let slow = Instant::now();
    while is_late(&head(&queued, 1, "k").await) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The first probe came to an end after 12 s, and the call that then waited after as much again.
    assert!(
        slow.elapsed() < Duration::from_secs(26),
        "{:?}",
        slow.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn writes_that_queue_behind_one_that_hung_fail_with_it() {
    let (faulty, queued) = silent();
    let begun = Instant::now();
    assert!(matches!(put(&queued, 1).await, Ok(Outcome::Unknown)));
    for _ in 0..100 {
        let next = put(&queued, 1).await;
        assert!(matches!(next, Err(Error::Unreachable { .. })), "{next:?}");
    }
    assert_eq!(begun.elapsed(), DEADLINE);
    assert_eq!(faulty.calls(Op::Put), 1);
    // Those that still come one after the other stood there too, however long that takes.
    for _ in 0..50 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let next = put(&queued, 1).await;
        assert!(matches!(next, Err(Error::Unreachable { .. })), "{next:?}");
    }
    assert_eq!(faulty.calls(Op::Put), 1);
    // After a pause the next one tries it, as if nothing had been.
    faulty.heal();
    tokio::time::sleep(PERIOD + PAUSE).await;
    assert!(matches!(put(&queued, 1).await, Ok(Outcome::Committed(_))));
    assert!(matches!(put(&queued, 1).await, Ok(Outcome::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_caller_did_not_wait_is_a_silence_too() {
    let (_, inner) = silent();
    // What is below takes ten times as long as it should.
    let queued = Arc::new(Queued::new(inner, DEADLINE / 10));
    let first = Arc::clone(&queued);
    let first = tokio::spawn(async move { head(&first, 1, "k").await });
    tokio::time::sleep(DEADLINE / 5).await;
    let begun = Instant::now();
    assert!(is_late(&head(&queued, 1, "k").await));
    assert!(begun.elapsed() <= LEASH);
    first.abort();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_remembered_of_queues_in_which_nobody_stands() {
    let (faulty, queued) = silent();
    faulty.heal();
    for queue in 0..100 {
        let _ = head(&queued, queue, "k").await;
    }
    assert!(queued.lines.lines().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_answered_elsewhere_ends_the_wait_of_those_that_keep_coming() {
    let (faulty, queued) = silent();
    assert!(matches!(put(&queued, 1).await, Ok(Outcome::Unknown)));
    faulty.heal();
    let keep_trying = async |queue| {
        let back = Instant::now();
        while put(&queued, queue).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        back.elapsed()
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    // In another directory, or by a save that holds nothing up.
    assert!(put(&queued, 2).await.is_ok());
    let took = keep_trying(1).await;
    assert!(took <= PERIOD, "{took:?}");
    // If nobody writes elsewhere, as long as the one took that failed.
    faulty.every(Op::Put, Fault::HoldRequest(Gate::new()));
    assert!(matches!(put(&queued, 1).await, Ok(Outcome::Unknown)));
    faulty.heal();
    let took = keep_trying(1).await;
    assert!(took <= DEADLINE + PERIOD, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn callers_one_right_after_the_other_do_not_wait_for_probes() {
    let (faulty, queued) = silent();
    assert!(is_late(&head(&queued, 1, "k").await));
    let begun = Instant::now();
    for _ in 0..200 {
        assert!(is_late(&head(&queued, 1, "k").await));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Each of them took its 100 ms, and all of them one leash.
    assert!(begun.elapsed() <= Duration::from_secs(20) + LEASH);
    assert!(faulty.calls(Op::Head) > 15);
}

#[tokio::test(start_paused = true)]
async fn what_the_store_says_slowly_of_one_name_fails_no_other() {
    let (what, why) = (String::new(), String::new());
    let says = |error: Error| {
        let (mut line, began) = (Queue::default(), Instant::now());
        let later = began + Duration::from_secs(3);
        line.ended(began, Some(&error), later);
        line.silence_at(later, DEADLINE).is_none()
    };
    assert!(says(Error::NotFound(what.clone())));
    assert!(says(Error::Failed {
        what: what.clone(),
        why: why.clone().into()
    }));
    assert!(says(Error::Corrupt {
        what: what.clone(),
        why: why.clone()
    }));
    assert!(!says(Error::Unreachable {
        what,
        why: why.into()
    }));
}
