//! Nothing is absent that no answer called absent (R3), in long random histories.
//!
//! Two filesystems share one store in memory. Before each of them stands a witness that notes what
//! the store last told it of every key. Answers get lost, writes are refused and fail at random, and
//! others save and delete; nothing that a filesystem remembers is ever too old to be believed. Then
//! whatever it calls absent, or leaves out of a listing, must be what it was last told.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use etagfs::backend::fault::{Fault, Faulty, Gate, Op};
use etagfs::backend::{
    After, Backend, Body, Error, Fetched, Limits, ListQuery, Memory, Meta, ObjectInfo, ObjectKey,
    Page, Pin, Span,
};
use etagfs::model::{
    Expect, Ino, Job, Living, Origin, Outcome, Process, PutId, ScratchNames, Version,
};
use etagfs::store::Store;
use etagfs::vfs::{
    self, Access, AfterConflict, At, Creation, Durable, Life, Opening, Options, OverExisting,
    Processes, RescueBounds, Source, StateDir, Vfs, Who,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// What the store last told one filesystem of each key.
#[derive(Debug)]
struct Witness {
    inner: Arc<Faulty>,
    told: Mutex<BTreeMap<String, bool>>,
}

impl Witness {
    fn note(&self, key: &str, is_there: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(key.to_owned(), is_there);
    }

    fn last_said(&self, key: &str) -> Option<bool> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.get(key).copied()
    }

    fn note_read<T>(&self, at: &ObjectKey, answer: &Result<T, Error>) {
        match answer {
            Ok(_) => self.note(at.as_str(), true),
            Err(error) if error.is_not_found() => self.note(at.as_str(), false),
            Err(_) => {}
        }
    }
}

#[async_trait]
impl Backend for Witness {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn get(&self, at: &ObjectKey, pin: &Pin, span: Span) -> Result<Fetched, Error> {
        let answer = self.inner.get(at, pin, span).await;
        self.note_read(at, &answer);
        answer
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectInfo, Error> {
        let answer = self.inner.head(at).await;
        self.note_read(at, &answer);
        answer
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Expect,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let answer = self.inner.put(at, body, expect, id).await;
        if let Ok(Outcome::Saved(_)) = &answer {
            self.note(at.as_str(), true);
        }
        answer
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        let answer = self.inner.delete(at, version).await;
        if let Ok(Outcome::Saved(())) = &answer {
            self.note(at.as_str(), false);
        }
        answer
    }

    async fn list(&self, query: &ListQuery) -> Result<Page, Error> {
        assert!(
            matches!(query.after, After::Start),
            "so few keys are one page"
        );
        let answer = self.inner.list(query).await;
        if let Ok(page) = &answer {
            assert!(page.next.is_none());
            let listed: BTreeSet<_> = page.objects.iter().map(|one| one.key.as_str()).collect();
            for key in KEYS
                .into_iter()
                .filter(|key| key.starts_with(&query.prefix))
            {
                self.note(key, listed.contains(key));
            }
        }
        answer
    }
}

/// A process table that knows nobody: whoever writes replaces what is there.
#[derive(Debug)]
struct Nobody;

impl Living for Nobody {
    fn has_ended(&self, process: u32) -> bool {
        unreachable!("{process} is known to nobody")
    }

    fn job_has_ended(&self, job: Job) -> bool {
        unreachable!("{job:?} is known to nobody")
    }
}

impl Processes for Nobody {
    fn caller(&self, _thread: u32) -> Who {
        None
    }

    fn watch(&self, process: Process) -> Arc<dyn Life> {
        unreachable!("{process:?} is known to nobody")
    }
}

/// One filesystem.
struct Mount {
    vfs: Vfs,
    store: Arc<Witness>,
    _state: tempfile::TempDir,
}

const BY: Opening = Opening {
    who: None,
    thread: 1,
};

impl Mount {
    fn of(memory: &Arc<Memory>) -> Self {
        let state = tempfile::tempdir().unwrap();
        let inner = Arc::new(Faulty::new(Arc::clone(memory) as Arc<dyn Backend>));
        let store = Arc::new(Witness {
            inner,
            told: Mutex::default(),
        });
        let backend = Arc::clone(&store) as Arc<dyn Backend>;
        let options = Options {
            ttl: Duration::from_secs(3600),
            inline_limit: 1 << 20,
            cache_bytes: 1 << 20,
            draft_memory: 1 << 20,
            read_only: false,
            append_retries: 0,
            sync: false,
            after_conflict: AfterConflict::Told,
            scratch: ScratchNames::new(Vec::new()),
            mounted_at: state.path().to_owned(),
            rescues: RescueBounds::default(),
            shown_memory: 1 << 16,
        };
        let dir = StateDir::make(state.path()).unwrap();
        let vfs = Vfs::new(
            Source::Store(Arc::new(Store::flat("", backend))),
            "memory",
            options,
            Some(&dir),
            Box::new(Nobody),
            Arc::default(),
        )
        .unwrap();
        Self {
            vfs,
            store,
            _state: state,
        }
    }

    fn faults(&self) -> &Faulty {
        &self.store.inner
    }

    async fn lookup(&self, key: &str) -> Result<Ino, vfs::Error> {
        let attr = self
            .vfs
            .lookup(Ino::ROOT, OsStr::new(key), BY.thread)
            .await?;
        Ok(attr.ino)
    }

    /// Opens and empties or creates a key, writes it, and closes it.
    async fn save(&self, key: &str, text: &str) -> Result<(), vfs::Error> {
        let access = Access {
            read: false,
            write: true,
            truncate: true,
            append: false,
        };
        let (ino, fh) = match self.lookup(key).await {
            Ok(ino) => (ino, self.vfs.open(ino, access, BY).await?),
            Err(vfs::Error::NotFound(_)) => {
                let how = Creation {
                    over: OverExisting::Replace,
                    origin: Origin::Other,
                };
                let name = OsStr::new(key);
                let made = self.vfs.create(Ino::ROOT, name, access, how, BY).await?;
                (made.0.ino, made.1)
            }
            Err(error) => return Err(error),
        };
        let written = self
            .vfs
            .write(fh, At::Offset(0), text.as_bytes(), Durable::AtSave, 1)
            .await;
        let saved = match written {
            Ok(_) => self.vfs.flush(fh, 0).await,
            Err(error) => Err(error),
        };
        self.vfs.release(ino, fh).await;
        saved
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), vfs::Error> {
        let (from, to) = (OsStr::new(from), OsStr::new(to));
        let over = OverExisting::Replace;
        self.vfs
            .rename((Ino::ROOT, from), (Ino::ROOT, to), over, BY)
            .await
    }

    async fn remove(&self, key: &str) -> Result<(), vfs::Error> {
        self.vfs.remove(Ino::ROOT, OsStr::new(key), BY).await
    }

    /// The names that the directory shows; the kernel is told of each.
    async fn names(&self) -> Result<BTreeSet<String>, vfs::Error> {
        let fh = self.vfs.open_dir(Ino::ROOT).await?;
        let names = self.vfs.read_dir(fh, |items, at| {
            items
                .iter()
                .inspect(|item| {
                    self.vfs.tell(Ino::ROOT, item, at);
                })
                .map(|item| item.name.to_string())
                .collect()
        });
        self.vfs.close_dir(Ino::ROOT, fh);
        names
    }
}

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

async fn foreign(memory: &Memory, key: &str, put: bool, text: String) {
    let at = ObjectKey::new(key);
    let there = memory.head(&at).await.ok().map(|info| info.version);
    let done = match (put, there) {
        (false, None) => return,
        (false, Some(version)) => memory.delete(&at, &version).await.map(drop),
        (true, there) => {
            let body = Body {
                bytes: text.into(),
                meta: Meta::default(),
            };
            memory
                .put(&at, body, &there.into(), PutId::new(1))
                .await
                .map(drop)
        }
    };
    done.unwrap();
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
        mount.vfs.close_dir(Ino::ROOT, fh);
        let found = mount.lookup(key).await;
        assert!(matches!(found, Err(vfs::Error::NotFound(_))), "{found:?}");
    }
}
