//! Opening files: which version a handle gets, and what a writer's save will expect.
//!
//! An open shows the newest version in the store at that moment (R1). What a truncating writer
//! replaces is decided here by the base rule W1; if that race is already lost, it is said here,
//! before anything is truncated (W4).

use std::sync::Arc;
use tokio::time::Instant;

use bytes::Bytes;

use super::access::Access;
use super::content::Content;
use super::handles::{Fh, Handle, Pieces, ReadFrom, Reader};
use super::loss::Attempt;
use super::table::Kind;
use super::unshown::Unshown;
use super::writer::{Writer, WriterState};
use super::{Context, Error, Vfs};
use crate::model::{self, Base, Draft, Ino, Key, Precondition, Rival};
use crate::store::{Entry, Metadata, Opened, Store, Value};
use crate::telemetry::Cache;

/// A version of a key, as an open found it.
pub(super) enum Version {
    /// All of it.
    Whole(Arc<Value>),
    /// Too large to be held in memory.
    Large(Box<(Entry, Metadata)>),
}

impl Vfs {
    /// Opens a file. At most one request, but for large values opened for writing.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a truncating writer has already lost its race; any other.
    pub async fn open(&self, ino: Ino, access: Access, by: Context) -> Result<Fh, Error> {
        let _held = self.hold(ino)?;
        self.closed(ino).await;
        self.check_named(ino)?;
        let kind = self.kind(ino)?;
        let (store, key) = match kind {
            Kind::File(store, key) => (store, key),
            Kind::Stores | Kind::Dir(..) => return Err(Error::IsDir("the directory".to_owned())),
            Kind::Scratch(scratch) => return self.open_scratch(ino, scratch, access, by),
            Kind::Control(control) if access.write => {
                return Err(Error::NotPermitted(format!("{control} is the mount's own")));
            }
            Kind::Control(control) => {
                let handle = self.control_handle(&control)?;
                return Ok(self.open_handle(ino, handle));
            }
        };
        if access.write {
            self.check_writable(&store.address(&key))?;
            self.check_value(&store, &key)?;
        }
        let opened = match access {
            Access { write: false, .. } => self.open_reader(ino, &store, &key, by).await,
            Access { truncate: true, .. } => self.open_replacing(ino, &store, &key, by).await,
            _ => self.open_editing(ino, &store, &key, access, by).await,
        };
        match opened {
            // It was there when the name was looked up. The kernel then looks it up again, and opens,
            // creates or says that there is none, as the caller asked: only it knows of O_CREAT.
            Err(Error::NotFound(what)) => Err(Error::Stale(what)),
            Ok(fh) => match self.check_is(ino, &store, &key) {
                // It was deleted or moved while the store was asked, and what was answered may be the
                // value of what has its name now.
                Err(error) => {
                    self.close_unheard(fh);
                    Err(error)
                }
                Ok(()) => {
                    self.table().note_durable(fh, access.durable);
                    Ok(fh)
                }
            },
            failed => failed,
        }
    }

    /// Takes back an open that its caller never heard of. Nothing is saved: a release would save the
    /// emptiness that a truncating open begins with, over a value that nobody meant to lose.
    pub fn close_unheard(&self, fh: Fh) {
        self.table().close(fh);
    }

    async fn open_reader(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
        by: Context,
    ) -> Result<Fh, Error> {
        if self.is_unsaved(ino)? {
            let (place, nothing) = ((store.name(), key.clone()), Unshown::default());
            let reader = Reader::new(ino, *by.who(), place, ReadFrom::Nothing, nothing);
            return Ok(self.open_handle(ino, Handle::Reader(Box::new(reader))));
        }
        let before = self.told(ino);
        let (version, source) = match self.newest(ino, store, key, by).await? {
            Version::Whole(value) => (value.version.clone(), ReadFrom::Whole(value)),
            Version::Large(large) => {
                let (entry, metadata) = *large;
                let version = entry.version.clone();
                let pieces = Pieces::new(entry, metadata);
                (version, ReadFrom::Pieces(Box::new(pieces)))
            }
        };
        if before.is_some_and(|before| before != version) {
            // The kernel may still believe in the size of what was there before: `fstat` would tell
            // of another version than this handle reads (R2).
            self.forget_in_kernel(ino);
        }
        let is_empty = source.size() == 0;
        let place = (store.name(), key.clone());
        let unshown = Unshown::new(place.clone(), version);
        let reader = Reader::new(ino, *by.who(), place, source, unshown);
        if is_empty {
            // Its opener may see that there is nothing to be read.
            self.note_reading(&reader);
        }
        Ok(self.open_handle(ino, Handle::Reader(Box::new(reader))))
    }

    /// The version that the kernel was last told of.
    fn told(&self, ino: Ino) -> Option<model::Version> {
        self.table().known_version(ino)
    }

    /// A writer that keeps what is there: it saves over the version it opened.
    async fn open_editing(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
        access: Access,
        by: Context,
    ) -> Result<Fh, Error> {
        if self.is_unsaved(ino)? {
            let base = self.unsaved_base(&(store.name(), key.clone()));
            let starts_empty = base == Precondition::Absent;
            let draft = Draft::joining(base);
            let draft = match starts_empty {
                true => self.kind_of(access, draft),
                false => draft,
            };
            let metadata = self.new_metadata(store, key);
            return Ok(self.add_writer(ino, by, draft, metadata));
        }
        let (entry, content, metadata) = match self.newest(ino, store, key, by).await? {
            Version::Whole(value) => {
                let entry = value.entry(key.clone());
                let content = Content::Shared(value.bytes.clone());
                (entry, content, value.metadata.clone())
            }
            Version::Large(large) => {
                let (entry, metadata) = *large;
                let content = self.read_to_edit(store, key, &entry).await?;
                (entry, content, metadata)
            }
        };
        refuse(store, key, &metadata)?;
        if access.read
            && content.len() == 0
            && let Some(caller) = by.who()
        {
            // It may see that there is nothing to be read.
            self.show(caller, &(store.name(), key.clone()), &entry.version);
        }
        let draft = self.kind_of(access, Draft::editing(entry.version.clone()));
        let state = WriterState::of(draft, content, metadata);
        Ok(
            self.add_writer_of(ino, by, state, |writer| match access.read {
                true => writer.not_shown_yet((store.name(), key.clone()), entry.version),
                false => writer,
            }),
        )
    }

    /// The draft of a writer that opened a file in this way: one that can only append merges (W7).
    pub(super) fn kind_of(&self, access: Access, draft: Draft) -> Draft {
        match access.append && !access.truncate && self.options.append_retries > 0 {
            true => draft.appending(),
            false => draft,
        }
    }

    /// A writer that starts from nothing: it saves over what it was shown.
    async fn open_replacing(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
        by: Context,
    ) -> Result<Fh, Error> {
        let unsaved = self.is_unsaved(ino)?;
        let place = (store.name(), key.clone());
        let departed = self.departed(&place);
        let (mut current, metadata) = match (unsaved, &departed) {
            (true, Some(base)) => {
                let metadata = self.metadata_of(store, key, base).await?;
                (Precondition::Is(base.clone()), metadata)
            }
            (true, None) => (Precondition::Absent, self.new_metadata(store, key)),
            (false, _) => self.inspect(ino, store, key, by).await?,
        };
        let base = match departed {
            Some(base) => self.departed_base(*by.who(), &place, &base),
            None => {
                let base = self.base(*by.who(), &place, &current);
                match base {
                    Base::AlreadyLost { .. } if self.table().is_only_listed(ino) => {
                        current = self.current(ino, store, key).await?;
                        self.table().base(*by.who(), &place, &current)
                    }
                    base => base,
                }
            }
        };
        match base {
            Base::Take(expect) => {
                refuse(store, key, &metadata)?;
                self.table().is_begun_anew(ino, *by.who())?;
                let draft = Draft::replacing(expect);
                Ok(self.add_writer(ino, by, draft, metadata))
            }
            Base::AlreadyLost { shown } => {
                let attempt = Attempt {
                    op: "open",
                    ino,
                    store,
                    key,
                    callers: by.callers(),
                    expected: &shown,
                };
                Err(self.conflict(&attempt, Some(&current)))
            }
        }
    }

    /// Reports that a value cannot be changed, if its newest known version says so.
    fn check_value(&self, store: &Arc<dyn Store>, key: &Key) -> Result<(), Error> {
        let known = self.table().value(&(store.name(), key.clone()));
        match known {
            Some(value) => refuse(store, key, &value.metadata),
            None => Ok(()),
        }
    }

    /// Registers a writer that starts from nothing.
    pub(super) fn add_writer(&self, ino: Ino, by: Context, draft: Draft, metadata: Metadata) -> Fh {
        let state = WriterState::new(draft, Bytes::new(), metadata);
        self.add_writer_of(ino, by, state, |writer| writer)
    }

    fn add_writer_of(
        &self,
        ino: Ino,
        by: Context,
        state: WriterState,
        with: impl FnOnce(Writer) -> Writer,
    ) -> Fh {
        self.register(with(self.writer(ino, by, state)))
    }

    pub(super) fn writer(&self, ino: Ino, by: Context, state: WriterState) -> Writer {
        let life = by.who().map(|caller| self.processes.watch(caller.process));
        Writer::new(ino, *by.who(), life, state)
    }

    pub(super) fn register(&self, mut writer: Writer) -> Fh {
        let mut table = self.table();
        let ino = writer.ino();
        writer.opens(table.file(ino).ok(), table.caught_up(ino));
        table.open(writer.ino(), Handle::Writer(Box::new(writer)))
    }

    /// What a key is now; one request.
    pub(super) async fn current(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
    ) -> Result<Precondition, Error> {
        let asked = Instant::now();
        let entry = self.ask(store, key).await?.map(|(entry, _)| entry);
        let expect = entry.as_ref().map(|entry| entry.version.clone()).into();
        let mut table = self.table();
        match entry {
            Some(entry) => table.learn(ino, entry, asked, None),
            None => table.learn_absent(ino, asked),
        }
        Ok(expect)
    }

    /// What was there when a write of the key, sent at `sent`, was refused: what its look found, else
    /// what a request tells now.
    pub(super) async fn rival(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
        (rival, sent): (Option<Rival>, Instant),
    ) -> Result<Precondition, Error> {
        let Some(rival) = rival else {
            return self.current(ino, store, key).await;
        };
        self.table().learn_rival(ino, key, &rival, sent);
        Ok(rival.version)
    }

    /// The newest version of a key; no request if this system call asked already and the value is
    /// at hand, otherwise one.
    pub(super) async fn newest(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
        by: Context,
    ) -> Result<Version, Error> {
        let place = (store.name(), key.clone());
        let just_asked = self.just_asked(ino, by);
        let cached = self.table().value(&place);
        if let (Some(value), Some(entry)) = (&cached, &just_asked)
            && value.version == entry.version
        {
            self.looked_up(Cache::Values, true);
            return Ok(Version::Whole(Arc::clone(value)));
        }
        self.ask_newest(ino, store, key).await
    }

    /// The newest version of a key; one request.
    pub(super) async fn ask_newest(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
    ) -> Result<Version, Error> {
        self.ask_newer(ino, store, key, None).await
    }

    /// As [`ask_newest`](Self::ask_newest), for a caller that holds a value: if nothing newer is at hand, the store
    /// need not send it again.
    pub(super) async fn ask_newer(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
        held: Option<&Arc<Value>>,
    ) -> Result<Version, Error> {
        let place = (store.name(), key.clone());
        let cached = self.table().value(&place);
        let cached = cached.or_else(|| held.map(Arc::clone));
        let have = cached.as_ref().map(|value| &value.version);
        let asked = Instant::now();
        let opened = store.open(key, have, self.options.inline_limit).await;
        if let Ok(opened) = &opened {
            self.looked_up(Cache::Values, matches!(opened, Opened::Unchanged));
        }
        match opened {
            Ok(Opened::Unchanged) => match cached {
                Some(value) => {
                    let entry = value.entry(key.clone());
                    self.table().learn(ino, entry, asked, None);
                    Ok(Version::Whole(value))
                }
                None => Err(Error::failed(format!(
                    "{}: \"unchanged\" was answered to a question not asked",
                    store.address(key)
                ))),
            },
            Ok(Opened::Whole(value)) => {
                let value = Arc::new(value);
                self.table().learn_value(ino, place, &value, asked, None);
                Ok(Version::Whole(value))
            }
            Ok(Opened::Large { entry, metadata }) => {
                let large = (&entry, &metadata);
                self.table().learn_large(ino, place, large, asked);
                Ok(Version::Large(Box::new((entry, metadata))))
            }
            Err(error) => {
                if matches!(error, crate::store::Error::NotFound(_)) {
                    self.table().learn_no_value(ino, &place, asked);
                }
                Err(error.into())
            }
        }
    }
}

/// Reports that a value cannot be changed, if what travels with it says so.
fn refuse(store: &Arc<dyn Store>, key: &Key, metadata: &Metadata) -> Result<(), Error> {
    match store.read_only(key, metadata) {
        Some(why) => Err(Error::ReadOnly(format!("{} ({why})", store.address(key)))),
        None => Ok(()),
    }
}
