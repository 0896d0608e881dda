//! Two filesystems over one store, and a witness of what each was told.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use etagfs::backend::fault::Faulty;
use etagfs::backend::{
    After, Backend, Body, ByteRange, Error, Fetched, Limits, ListQuery, Memory, Meta, ObjectKey,
    ObjectMeta, Page, ReadCondition,
};
use etagfs::model::{
    Ino, Job, Living, Origin, Outcome, Precondition, Process, PutId, ScratchNames, Server, Version,
};
use etagfs::store::Bucket;
use etagfs::vfs::{
    self, Access, AfterConflict, At, Context, Creation, Durable, Life, Options, OverExisting,
    Processes, RescueBounds, Source, StateDir, Vfs, Who,
};

pub(super) const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// What the store last told one filesystem of each key.
#[derive(Debug)]
pub(super) struct Witness {
    inner: Arc<Faulty>,
    told: Mutex<BTreeMap<String, bool>>,
}

impl Witness {
    fn note(&self, key: &str, is_there: bool) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.insert(key.to_owned(), is_there);
    }

    pub(super) fn last_said(&self, key: &str) -> Option<bool> {
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

    fn server(&self) -> &Server {
        self.inner.server()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    async fn get(
        &self,
        at: &ObjectKey,
        pin: &ReadCondition,
        span: ByteRange,
    ) -> Result<Fetched, Error> {
        let answer = self.inner.get(at, pin, span).await;
        self.note_read(at, &answer);
        answer
    }

    async fn head(&self, at: &ObjectKey) -> Result<ObjectMeta, Error> {
        let answer = self.inner.head(at).await;
        self.note_read(at, &answer);
        answer
    }

    async fn put(
        &self,
        at: &ObjectKey,
        body: Body,
        expect: &Precondition,
        id: PutId,
    ) -> Result<Outcome, Error> {
        let answer = self.inner.put(at, body, expect, id).await;
        if let Ok(Outcome::Committed(_)) = &answer {
            self.note(at.as_str(), true);
        }
        answer
    }

    async fn delete(&self, at: &ObjectKey, version: &Version) -> Result<Outcome<()>, Error> {
        let answer = self.inner.delete(at, version).await;
        if let Ok(Outcome::Committed(())) = &answer {
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
pub(super) struct Nobody;

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
pub(super) struct Mount {
    pub(super) vfs: Vfs,
    pub(super) store: Arc<Witness>,
    _state: tempfile::TempDir,
}

pub(super) const BY: Context = Context::on(1);

impl Mount {
    pub(super) fn of(memory: &Arc<Memory>) -> Self {
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
            server: Server::NONE,
            shown_memory: 1 << 16,
        };
        let dir = StateDir::make(state.path()).unwrap();
        let vfs = Vfs::new(
            Source::Store(Bucket::new(backend, "").flat()),
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

    pub(super) fn faults(&self) -> &Faulty {
        &self.store.inner
    }

    pub(super) async fn lookup(&self, key: &str) -> Result<Ino, vfs::Error> {
        let told = self.vfs.lookup(Ino::ROOT, OsStr::new(key), BY).await?;
        Ok(told.attr.ino)
    }

    /// Opens and empties or creates a key, writes it, and closes it.
    pub(super) async fn save(&self, key: &str, text: &str) -> Result<(), vfs::Error> {
        let access = Access {
            read: false,
            write: true,
            truncate: true,
            append: false,
            durable: Durable::AtSave,
        };
        let fh = match self.lookup(key).await {
            Ok(ino) => self.vfs.open(ino, access, BY).await?,
            Err(vfs::Error::NotFound(_)) => {
                let how = Creation {
                    over: OverExisting::Replace,
                    origin: Origin::Other,
                };
                let name = OsStr::new(key);
                let made = self.vfs.create(Ino::ROOT, name, access, how, BY).await?;
                made.1
            }
            Err(error) => return Err(error),
        };
        let written = self
            .vfs
            .write(fh, At::Offset(0), text.as_bytes(), Durable::AtSave, BY)
            .await;
        let saved = match written {
            Ok(_) => self.vfs.flush(fh, Context::on(0)).await,
            Err(error) => Err(error),
        };
        self.vfs.release(fh).await;
        saved
    }

    pub(super) async fn rename(&self, from: &str, to: &str) -> Result<(), vfs::Error> {
        let (from, to) = (OsStr::new(from), OsStr::new(to));
        let over = OverExisting::Replace;
        self.vfs
            .rename((Ino::ROOT, from), (Ino::ROOT, to), over, BY)
            .await
    }

    pub(super) async fn remove(&self, key: &str) -> Result<(), vfs::Error> {
        self.vfs.remove(Ino::ROOT, OsStr::new(key), BY).await
    }

    /// The names that the directory shows; the kernel is told of each, and forgets it.
    pub(super) async fn names(&self) -> Result<BTreeSet<String>, vfs::Error> {
        let fh = self.vfs.open_dir(Ino::ROOT).await?;
        let names = self.vfs.read_dir(fh, |items, age| {
            let told = items.iter().filter(|item| {
                let told = self.vfs.tell(Ino::ROOT, item, age);
                told.inspect(|told| self.vfs.forget(told.numbers.node, 1))
                    .is_some()
            });
            told.map(|item| item.name.to_string()).collect()
        });
        self.vfs.close_dir(fh);
        names
    }
}

/// Somebody who knows nothing of etagfs saves or deletes a key.
pub(super) async fn foreign(memory: &Memory, key: &str, put: bool, text: String) {
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
