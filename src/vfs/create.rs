//! Creating files.
//!
//! Nothing reaches the store before the first save (W3): until then the file exists only in this mount, and
//! the save requires that it exists nowhere else. But a file that a shell creates exclusively is saved at
//! once, because no shell notices a later refusal (W15).

use std::ffi::OsStr;
use std::sync::Arc;
use tokio::time::Instant;

use bytes::Bytes;

use super::Context;
use super::access::Access;
use super::handles::Fh;
use super::loss::Attempt;
use super::numbers::Told;
use super::table::Kind;
use super::writer::WriterState;
use super::{Error, OverExisting, Vfs};
use crate::model::{Base, Draft, FileName, Ino, Key, Origin, Outcome, Precondition};
use crate::store::{Child, Metadata, Store, Value};

/// How a file is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Creation {
    /// What to do if it exists.
    pub over: OverExisting,
    /// Its likely purpose.
    pub origin: Origin,
}

impl Vfs {
    /// Takes back a creation whose result never reached its caller.
    pub fn abandon(&self, fh: Fh) {
        let now = self.now();
        self.table().abandon(fh, now);
    }

    /// Creates a file that a look-up just did not find, opens it, and reports it to the kernel. No request,
    /// unless the look-up trusted a listing: then one, because another writer may have created the file
    /// meanwhile; then that file is opened.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the caller was shown the file and it was deleted since; [`Error::Exists`]
    /// when it must not exist, and does; any other.
    pub async fn create(
        &self,
        parent: Ino,
        name: &OsStr,
        access: Access,
        creation: Creation,
        by: Context,
    ) -> Result<(Told, Fh), Error> {
        self.goes_on_to_make(parent, name, by);
        self.check_writable(&name.display().to_string())?;
        let name = FileName::new(name)?;
        let (store, dir) = self.dir(parent)?;
        let key = match store.child(&dir, &name)? {
            Child::Either(key, _) | Child::Key(key) => key,
            Child::Dir(_) | Child::Shadowed(..) => {
                return Err(Error::Invalid(format!(
                    "{name}: no new key can have this name"
                )));
            }
        };
        let place = (store.name(), key.clone());
        // A name that was moved away stays away until this is decided.
        let _moving = match self.departed(&place).is_some() {
            true => Some(self.moving.lock().await),
            false => None,
        };
        let departed = self.departed(&place);
        let just_asked = self.table().is_just_absent(parent, &name, by.call());
        let asked = Instant::now();
        if departed.is_none()
            && !just_asked
            && let Some(entry) = store.describe(&key).await?
        {
            if creation.over == OverExisting::Refuse {
                return Err(Error::Exists(store.address(&key)));
            }
            let told = {
                let mut table = self.table();
                let ino = table.insert(parent, &name, Kind::File(store, key));
                table.learn(ino, entry.clone(), asked, Some(by.call()));
                let numbers = table.remember(ino).ok_or(Error::BadHandle)?;
                let attr = self.entry_attr(place.0, ino, &entry);
                Told { attr, numbers }
            };
            let opened = self.open(told.attr.ino, access, by).await;
            let fh = opened.inspect_err(|_| self.forget(told.numbers.node, 1))?;
            return Ok((told, fh));
        }
        if self.is_scratch_name(&name, creation.origin) {
            return self.make_scratch(parent, &name, access, by);
        }
        // A process that appends need not know to what. But only one of several exclusive creators wins
        // (W15), and a new value for a name that was moved away replaces the old one.
        let merges = creation.over == OverExisting::Replace && departed.is_none();
        let draft_of = |expect| match merges {
            true => self.kind_of(access, Draft::replacing(expect)),
            false => Draft::replacing(expect),
        };
        let metadata = match &departed {
            Some(base) => self.metadata_of(&store, &key, base).await?,
            None => self.new_metadata(&store, &key),
        };
        self.settle_doubts(&place);
        let only_appends = draft_of(Precondition::Absent).only_appends();
        let base = match &departed {
            Some(base) => self.departed_base(*by.who(), &place, base),
            None if only_appends => Base::Take(Precondition::Absent),
            None => self.base(*by.who(), &place, &Precondition::Absent),
        };
        if matches!(base, Base::Take(Precondition::Absent))
            && self.must_claim(&store, access, creation, by).await
        {
            let folder = (store.name(), dir);
            let claimed = self.claim(parent, &name, (store, key), metadata, by).await;
            if matches!(claimed, Err(Error::Exists(_))) {
                // An earlier listing is too old to prove that there is none.
                self.table().forget_listing(&folder);
            }
            return claimed;
        }
        let ino = {
            let mut table = self.table();
            let kind = Kind::File(store.clone(), key.clone());
            table.insert(parent, &name, kind)
        };
        let expect = match base {
            Base::Take(expect) => expect,
            Base::AlreadyLost { shown } => {
                let attempt = Attempt {
                    op: "create",
                    ino,
                    store: &store,
                    key: &key,
                    callers: by.callers(),
                    expected: &shown,
                };
                let lost = self.conflict(&attempt, Some(&departed.into()));
                self.table().sweep(ino);
                return Err(lost);
            }
        };
        self.table().pending().recreate(&place);
        let state = WriterState::new(draft_of(expect), Bytes::new(), metadata);
        let writer = self.writer(ino, by, state);
        let fh = self.register(writer.exclusive(creation.over == OverExisting::Refuse));
        let mut table = self.table();
        table.note_durable(fh, access.durable);
        let numbers = table.remember(ino).ok_or(Error::BadHandle)?;
        let node = table.create(ino, *by.who())?;
        let attr = self.unsaved_attr(ino, node);
        Ok((Told { attr, numbers }, fh))
    }

    /// Whether a file must be in the store before its creator continues: one that a shell creates with
    /// noclobber (`set -C; : > lock`). No shell checks the result of close(2), so only the open can report
    /// that another process was first (W15).
    async fn must_claim(
        &self,
        store: &Arc<dyn Store>,
        access: Access,
        creation: Creation,
        by: Context,
    ) -> bool {
        creation.over == OverExisting::Refuse
            && !access.read
            && store.takes_empty()
            && self.processes.ignores_close(by.thread()).await
    }

    /// Creates a file in the store, empty, and opens it. One request.
    async fn claim(
        &self,
        parent: Ino,
        name: &FileName,
        (store, key): (Arc<dyn Store>, Key),
        metadata: Metadata,
        by: Context,
    ) -> Result<(Told, Fh), Error> {
        let absent = Precondition::Absent;
        let version = match store.put(&key, Bytes::new(), &metadata, &absent).await? {
            Outcome::Committed(version) => version,
            Outcome::Refused(_) => return Err(Error::Exists(store.address(&key))),
            Outcome::Unknown => return Err(Error::Unknown(store.address(&key))),
        };
        let place = (store.name(), key.clone());
        let value = Value {
            bytes: Bytes::new(),
            version: version.clone(),
            modified: self.saved_now(&place, &version),
            metadata: metadata.clone(),
        };
        let entry = value.entry(key.clone());
        let (ino, numbers) = {
            let mut table = self.table();
            let ino = table.insert(parent, name, Kind::File(store, key));
            table.claimed(ino, *by.who(), &place, value)?;
            let numbers = table.remember(ino).ok_or(Error::BadHandle)?;
            (ino, numbers)
        };
        self.journal.saved();
        tracing::debug!(op = "create", key = %entry.key, %version, "saved");
        let state = WriterState::new(Draft::editing(version), Bytes::new(), metadata);
        let fh = self.register(self.writer(ino, by, state));
        let attr = self.entry_attr(place.0, ino, &entry);
        Ok((Told { attr, numbers }, fh))
    }
}
