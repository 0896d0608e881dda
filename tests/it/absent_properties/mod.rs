//! Nothing is absent that no answer called absent (R3), in long random histories.
//!
//! Two filesystems share one store in memory. Before each of them stands a witness that notes what
//! the store last told it of every key. Answers get lost, writes are refused and fail at random, and
//! others save and delete; nothing that a filesystem remembers is ever too old to be believed. Then
//! whatever it calls absent, or leaves out of a listing, must be what it was last told.

mod world;

use std::cell::Cell;
use std::sync::Arc;

use etagfs::backend::fault::{Fault, Gate, Op};
use etagfs::backend::{Backend as _, Memory, ObjectKey};
use etagfs::model::Ino;
use etagfs::vfs;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use world::{KEYS, Mount, foreign};

#[derive(Clone, Debug)]
enum Step {
    Save(usize, usize),
    Rename(usize, usize, usize),
    Remove(usize, usize),
    Look(usize, usize),
    List(usize),
    /// The next call of this kind fares badly.
    Fault(usize, Op, Bad),
    /// Somebody who knows nothing of etagfs.
    Foreign(usize, bool),
    /// SIGHUP.
    Forget(usize),
}

#[derive(Clone, Copy, Debug)]
enum Bad {
    LoseReply,
    LoseRequest,
    Refuse,
    Fail,
}

impl From<Bad> for Fault {
    fn from(bad: Bad) -> Self {
        match bad {
            Bad::LoseReply => Self::LoseReply,
            Bad::LoseRequest => Self::LoseRequest,
            Bad::Refuse => Self::Refuse,
            Bad::Fail => Self::unreachable(),
        }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let mount = || 0..2_usize;
    let key = || 0..KEYS.len();
    let op = prop::sample::select(vec![Op::Get, Op::Head, Op::Put, Op::Delete, Op::List]);
    let bad = prop::sample::select(vec![
        Bad::LoseReply,
        Bad::LoseRequest,
        Bad::Refuse,
        Bad::Fail,
    ]);
    prop_oneof![
        3 => (mount(), key()).prop_map(|(m, k)| Step::Save(m, k)),
        4 => (mount(), key(), key()).prop_map(|(m, a, b)| Step::Rename(m, a, b)),
        2 => (mount(), key()).prop_map(|(m, k)| Step::Remove(m, k)),
        4 => (mount(), key()).prop_map(|(m, k)| Step::Look(m, k)),
        4 => mount().prop_map(Step::List),
        4 => (mount(), op, bad).prop_map(|(m, op, bad)| Step::Fault(m, op, bad)),
        2 => (key(), any::<bool>()).prop_map(|(k, put)| Step::Foreign(k, put)),
        1 => mount().prop_map(Step::Forget),
    ]
}

/// What was compared.
#[derive(Debug, Default)]
struct Counts {
    absent: Cell<u32>,
    listings: Cell<u32>,
    refused: Cell<u32>,
    failed: Cell<u32>,
}

fn one_more(count: &Cell<u32>) {
    count.set(count.get() + 1);
}

async fn run(history: &[Step], counts: &Counts) -> Result<(), TestCaseError> {
    let memory = Arc::new(Memory::new());
    let mounts = [Mount::of(&memory), Mount::of(&memory)];
    for (at, step) in history.iter().enumerate() {
        let done = match step {
            Step::Save(m, key) => mounts[*m].save(KEYS[*key], &format!("{at}")).await,
            Step::Rename(m, from, to) => mounts[*m].rename(KEYS[*from], KEYS[*to]).await,
            Step::Remove(m, key) => mounts[*m].remove(KEYS[*key]).await,
            Step::Look(m, key) => mounts[*m].lookup(KEYS[*key]).await.map(drop),
            Step::List(m) => match mounts[*m].names().await {
                Ok(names) => {
                    one_more(&counts.listings);
                    for key in KEYS.into_iter().filter(|key| !names.contains(*key)) {
                        let said = mounts[*m].store.last_said(key);
                        prop_assert_eq!(said, Some(false), "step {}: {} is not listed", at, key);
                    }
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Step::Fault(m, op, bad) => {
                mounts[*m].faults().next(*op, (*bad).into());
                Ok(())
            }
            Step::Foreign(key, put) => {
                foreign(&memory, KEYS[*key], *put, format!("foreign {at}")).await;
                Ok(())
            }
            Step::Forget(m) => {
                mounts[*m].vfs.drop_caches();
                Ok(())
            }
        };
        match (done, step) {
            (Ok(()), _) => {}
            (
                Err(vfs::Error::NotFound(_)),
                Step::Look(m, key) | Step::Remove(m, key) | Step::Rename(m, key, _),
            ) => {
                one_more(&counts.absent);
                let said = mounts[*m].store.last_said(KEYS[*key]);
                prop_assert_eq!(said, Some(false), "step {}: {:?} is ENOENT", at, step);
            }
            (Err(vfs::Error::NotFound(what)), _) => {
                return Err(TestCaseError::fail(format!("step {at}: no {what}")));
            }
            (Err(vfs::Error::Conflict { .. }), _) => one_more(&counts.refused),
            (Err(_), _) => one_more(&counts.failed),
        }
    }
    Ok(())
}

#[test]
fn nothing_is_absent_that_no_answer_called_absent() {
    let counts = Counts::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let histories = prop::collection::vec(any_step(), 1..120);
    let config = Config {
        cases: 400,
        failure_persistence: None,
        ..Config::default()
    };
    let found = TestRunner::new(config).run(&histories, |history| {
        runtime.block_on(run(&history, &counts))
    });
    println!("{counts:?}");
    found.unwrap();
    assert!(counts.absent.get() > 500 && counts.listings.get() > 500);
    assert!(counts.refused.get() > 100 && counts.failed.get() > 500);
}

/// A question is on its way while this mount saves the key: its answer is the older news.
#[tokio::test]
async fn an_answer_from_before_our_own_save_hides_nothing() {
    let mount = Mount::of(&Arc::new(Memory::new()));
    assert_eq!(mount.names().await.unwrap().len(), 0);
    for key in KEYS {
        mount.vfs.drop_caches();
        let gate = Gate::new();
        mount
            .faults()
            .next(Op::List, Fault::HoldReply(gate.clone()));
        let saving = async {
            gate.arrived(1).await;
            mount.save(key, "saved").await.unwrap();
            assert!(mount.names().await.unwrap().contains(key));
            gate.open();
        };
        let (before, ()) = tokio::join!(mount.lookup(key), saving);
        assert!(matches!(before, Err(vfs::Error::NotFound(_))));
        assert!(mount.names().await.unwrap().contains(key), "{key} is shown");
        mount.lookup(key).await.unwrap();
    }
}

/// The older of two listings arrives last: it is not remembered in the place of the younger one.
#[tokio::test]
async fn a_listing_that_was_asked_for_earlier_does_not_replace_a_later_one() {
    let memory = Arc::new(Memory::new());
    let mount = Mount::of(&memory);
    let gate = Gate::new();
    mount
        .faults()
        .next(Op::List, Fault::HoldReply(gate.clone()));
    let later = async {
        gate.arrived(1).await;
        foreign(&memory, "a", true, "foreign".to_owned()).await;
        let names = mount.names().await.unwrap();
        gate.open();
        names
    };
    let (earlier, later) = tokio::join!(mount.names(), later);
    assert_eq!((earlier.unwrap().len(), later.len()), (0, 1));
    assert_eq!(mount.names().await.unwrap(), later);
    mount.lookup("a").await.unwrap();
}

/// The name that a rename could not delete is there as before, and so is one that it lost to.
#[tokio::test]
async fn a_rename_that_goes_wrong_hides_neither_name() {
    let faults = || [Bad::LoseReply, Bad::LoseRequest, Bad::Refuse, Bad::Fail];
    let each = [Op::Put, Op::Delete, Op::Head]
        .into_iter()
        .flat_map(|op| faults().map(|bad| (op, bad)));
    for (op, bad) in each {
        let memory = Arc::new(Memory::new());
        let mount = Mount::of(&memory);
        mount.save("a", "1").await.unwrap();
        mount.save("b", "2").await.unwrap();
        mount.names().await.unwrap();
        mount.faults().next(op, bad.into());
        let done = mount.rename("a", "b").await;
        mount.faults().heal();
        for key in ["a", "b"] {
            let is_there = memory.head(&ObjectKey::new(key)).await.is_ok();
            let shown = mount.lookup(key).await.is_ok();
            let listed = mount.names().await.unwrap().contains(key);
            assert!(
                !is_there || (shown && listed),
                "{op:?} {bad:?}: {key} is {shown}, {listed} after {done:?}"
            );
        }
    }
}

/// An open directory was read before this mount deleted a key: the key is not there any more.
#[tokio::test]
async fn a_listing_from_before_our_own_delete_brings_nothing_back() {
    let mount = Mount::of(&Arc::new(Memory::new()));
    for key in KEYS {
        mount.save(key, "saved").await.unwrap();
    }
    for (at, key) in KEYS.into_iter().enumerate() {
        let fh = mount.vfs.open_dir(Ino::ROOT).await.unwrap();
        match at % 2 {
            0 => mount.remove(key).await.unwrap(),
            _ => mount.rename(key, "elsewhere").await.unwrap(),
        }
        let told = mount.vfs.read_dir(fh, |items, at| {
            let told = items
                .iter()
                .filter(|item| mount.vfs.tell(Ino::ROOT, item, at).is_some());
            told.map(|item| item.name.to_string()).collect::<Vec<_>>()
        });
        assert!(!told.unwrap().contains(&key.to_owned()));
        mount.vfs.close_dir(fh);
        let found = mount.lookup(key).await;
        assert!(matches!(found, Err(vfs::Error::NotFound(_))), "{found:?}");
    }
}

/// It was deleted here, and is there again: a listing from before both that was corrected shows it.
#[tokio::test]
async fn a_key_that_was_deleted_and_saved_again_is_listed() {
    let mount = Mount::of(&Arc::new(Memory::new()));
    for key in KEYS {
        mount.save(key, "first").await.unwrap();
    }
    for (at, key) in KEYS.into_iter().enumerate() {
        assert_eq!(mount.names().await.unwrap().len(), KEYS.len());
        match at % 2 {
            0 => {
                mount.remove(key).await.unwrap();
                mount.save(key, "second").await.unwrap();
            }
            _ => {
                mount.rename(key, "elsewhere").await.unwrap();
                mount.rename("elsewhere", key).await.unwrap();
            }
        }
        // The first time, the kernel may know it; then it does not.
        for _ in 0..2 {
            assert_eq!(mount.names().await.unwrap().len(), KEYS.len(), "{key}");
        }
    }
}
