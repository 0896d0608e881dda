//! Scratch files: what editors and tools make besides the keys they save (W9).
//!
//! They are files as on any disk, kept in the [scratch directory](super::scratch_dir), without versions,
//! drafts or a store. `model/scratch.rs` says which names are scratch; `pending_renames.rs` and `rename.rs`
//! say what it means to move a key to such a name, or one of these files over a key.

mod handle;

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

use bytes::Bytes;

use super::Context;
use super::attr::{Attr, FileKind};
use super::cache::Folder;
use super::content::zeros;
use super::handles::{Fh, Handle};
use super::loss::on_disk;
use super::numbers::Told;
use super::open::Access;
use super::rescue::{Loss, Reason};
use super::table::Kind;
use super::{Error, Vfs, Who};
use crate::model::{FileName, Ino, Origin};
use crate::store::{Dir, Metadata, Store};
pub(super) use handle::OpenScratch;

/// Identifies a scratch file among those of its mount.
pub(super) type ScratchId = u64;

/// A file that lives only in this mount.
#[derive(Debug)]
pub(super) struct Scratch {
    id: ScratchId,
    /// Who made it, if that is known.
    creator: Who,
    /// Who made its content: its creator, or the last process that opened it for writing.
    maker: Mutex<Who>,
    body: Body,
    /// Whether nothing was written to it since it was filled with the value of a key.
    pristine: AtomicBool,
    /// The metadata of that value.
    metadata: Mutex<Metadata>,
    /// The inode that it was last shown as.
    ino: AtomicU64,
    /// When the store last said that it has no key of this name.
    absent_at: Mutex<Option<Instant>>,
    /// How often it was written to.
    changes: AtomicU64,
    /// Whether its bytes have become a key. Held while it is written to.
    is_key: RwLock<bool>,
}

/// The content of a scratch file.
#[derive(Debug)]
pub(super) enum Body {
    /// Bytes.
    File(File),
    /// The path that a symbolic link points to.
    Link(String),
}

impl Scratch {
    pub(super) fn new(id: ScratchId, creator: Who, body: Body) -> Arc<Self> {
        Arc::new(Self {
            id,
            creator,
            maker: Mutex::new(creator),
            body,
            pristine: AtomicBool::new(false),
            metadata: Mutex::default(),
            ino: AtomicU64::new(0),
            absent_at: Mutex::new(None),
            changes: AtomicU64::new(0),
            is_key: RwLock::new(false),
        })
    }

    /// Its number among those of its mount.
    pub(super) fn id(&self) -> ScratchId {
        self.id
    }

    /// Who made it, if that is known.
    pub(super) fn creator(&self) -> Who {
        self.creator
    }

    /// Its target, if it is a symbolic link.
    pub(super) fn link(&self) -> Option<&str> {
        match &self.body {
            Body::Link(target) => Some(target),
            Body::File(_) => None,
        }
    }

    /// Who made its content, if that is known.
    pub(super) fn maker(&self) -> Who {
        *self.maker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who makes its content from now on.
    pub(super) fn set_maker(&self, who: Who) {
        *self.maker.lock().unwrap_or_else(PoisonError::into_inner) = who;
    }

    /// A file, or a symbolic link.
    pub(super) fn kind(&self) -> FileKind {
        match self.body {
            Body::File(_) => FileKind::File,
            Body::Link(_) => FileKind::Symlink,
        }
    }

    /// The inode that it was last shown as, if any.
    pub(super) fn ino(&self) -> Ino {
        Ino(self.ino.load(Ordering::Relaxed))
    }

    /// The store said just now that it has no key of this name.
    pub(super) fn note_absence(&self) {
        *self.absent_at() = Some(Instant::now());
    }

    /// Whether the store said less than `ttl` ago that it has no key of this name.
    pub(super) fn was_no_key(&self, ttl: Duration) -> bool {
        self.absent_at().is_some_and(|at| at.elapsed() < ttl)
    }

    fn absent_at(&self) -> MutexGuard<'_, Option<Instant>> {
        self.absent_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing was written to it since it was filled with the value of a key.
    pub(super) fn is_pristine(&self) -> bool {
        self.pristine.load(Ordering::Relaxed)
    }

    /// It holds the value of a key now, with its metadata.
    pub(super) fn holds_value(&self, metadata: Metadata) {
        self.pristine.store(true, Ordering::Relaxed);
        *self.metadata.lock().unwrap_or_else(PoisonError::into_inner) = metadata;
    }

    /// The metadata of its bytes (these) when they are saved under a key.
    pub(super) fn metadata_of(&self, bytes: &[u8]) -> Metadata {
        let metadata = self.metadata.lock();
        let metadata = metadata.unwrap_or_else(PoisonError::into_inner);
        match self.is_pristine() {
            true => metadata.clone(),
            false => metadata.of(bytes),
        }
    }

    fn file(&self) -> io::Result<&File> {
        match &self.body {
            Body::File(file) => Ok(file),
            Body::Link(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Its size and the time of its last change.
    pub(super) fn shape(&self) -> io::Result<(u64, SystemTime)> {
        match &self.body {
            Body::File(file) => {
                let data = file.metadata()?;
                Ok((data.len(), data.modified()?))
            }
            Body::Link(target) => Ok((target.len() as u64, SystemTime::UNIX_EPOCH)),
        }
    }

    /// At most `len` bytes from `start`; fewer only at the end.
    pub(super) fn read(&self, start: u64, len: usize) -> io::Result<Bytes> {
        let file = self.file()?;
        let left = file.metadata()?.len().saturating_sub(start);
        let mut bytes = zeros(len.min(usize::try_from(left).unwrap_or(usize::MAX)))?;
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], start + filled as u64) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes.into())
    }

    /// All its bytes, if there are at most `limit`.
    ///
    /// # Errors
    /// [`Error::TooBig`]; those of the local disk.
    pub(super) fn read_all(&self, limit: u64) -> Result<Bytes, Error> {
        let (size, _) = self.shape().map_err(Error::of_disk)?;
        if size > limit {
            return Err(Error::TooBig(format!(
                "a value of {size} bytes is too large: the store holds values of at most {limit}"
            )));
        }
        self.read(0, usize::try_from(limit).unwrap_or(usize::MAX))
            .map_err(Error::of_disk)
    }

    /// How often it was written to. If this is the same before and after its bytes are read, they are one
    /// state.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Blocks all writes. Returns whether its bytes have become a key.
    pub(super) fn is_key_for_writing(&self) -> RwLockWriteGuard<'_, bool> {
        self.is_key.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes its bytes, unless they have become a key. Returns whether it did.
    fn change(&self, change: impl FnOnce(&File) -> io::Result<()>) -> io::Result<bool> {
        let is_key = self.is_key.read().unwrap_or_else(PoisonError::into_inner);
        if *is_key {
            return Ok(false);
        }
        self.pristine.store(false, Ordering::Relaxed);
        let changed = change(self.file()?);
        self.changes.fetch_add(1, Ordering::SeqCst);
        changed.map(|()| true)
    }

    /// Writes at an offset, or at the end. Not if it has become a key: then the handle has, too.
    pub(super) fn write(&self, start: Option<u64>, data: &[u8]) -> io::Result<bool> {
        self.change(|file| {
            let start = match start {
                Some(start) => start,
                None => file.metadata()?.len(),
            };
            file.write_all_at(data, start)
        })
    }

    /// Sets the size; not if it has become a key, as [`write`](Self::write).
    pub(super) fn set_len(&self, len: u64) -> io::Result<bool> {
        self.change(|file| file.set_len(len))
    }

    /// Makes the bytes durable, if it has any.
    pub(super) fn sync(&self) -> io::Result<()> {
        match &self.body {
            Body::File(file) => file.sync_data(),
            Body::Link(_) => Ok(()),
        }
    }
}

pub(super) fn folder(store: &Arc<dyn Store>, dir: &Dir) -> Folder {
    (store.name(), dir.clone())
}

impl Vfs {
    /// The scratch file of a name.
    pub(super) fn scratch_at(
        &self,
        store: &Arc<dyn Store>,
        dir: &Dir,
        name: &FileName,
    ) -> Option<Arc<Scratch>> {
        self.scratch_dir().get(&folder(store, dir), name)
    }

    /// The scratch file that an inode stands for.
    pub(super) fn scratch_of(&self, ino: Ino) -> Option<Arc<Scratch>> {
        match self.table().kind(ino)? {
            Kind::Scratch(scratch) => Some(Arc::clone(scratch)),
            _ => None,
        }
    }

    /// Whether a file that gets this name is scratch.
    pub(super) fn is_scratch_name(&self, name: &FileName, origin: Origin) -> bool {
        self.options.scratch.contains(name, origin)
    }

    pub(super) fn scratch_attr(&self, ino: Ino, scratch: &Scratch, is_linked: bool) -> Attr {
        let (size, modified) = scratch.shape().unwrap_or((0, SystemTime::UNIX_EPOCH));
        Attr {
            ino,
            kind: scratch.kind(),
            size,
            modified,
            is_linked,
            ttl: Duration::ZERO,
        }
    }

    pub(super) fn found_scratch(
        &self,
        parent: Ino,
        name: &FileName,
        scratch: &Arc<Scratch>,
    ) -> Attr {
        let kind = Kind::Scratch(Arc::clone(scratch));
        let ino = self.table().insert(parent, name, kind);
        scratch.ino.store(ino.0, Ordering::Relaxed);
        self.scratch_attr(ino, scratch, true)
    }

    /// Whether the scratch file of a name need not be compared with the store: it is open, or the store said
    /// a moment ago that it has no such key. Otherwise a key comes first: a key in the bucket is a key,
    /// whatever its name.
    pub(super) fn is_surely_scratch(
        &self,
        parent: Ino,
        name: &FileName,
        scratch: &Scratch,
    ) -> bool {
        let table = self.table();
        let ino = table.find(parent, name);
        scratch.was_no_key(self.options.ttl) || ino.is_some_and(|ino| table.is_held(ino))
    }

    /// The store has a key of this name after all: it replaces the scratch file, whose bytes are rescued.
    pub(super) async fn give_way(
        &self,
        store: &Arc<dyn Store>,
        dir: &Dir,
        name: &FileName,
        scratch: &Scratch,
    ) {
        let key = format!("{}{name}", dir.prefix());
        if let Body::File(_) = scratch.body {
            let message = "a key of this name appeared; this is the scratch file that had it";
            let loss = Loss {
                store: store.name().to_string(),
                key: key.clone(),
                expected: "absent".to_owned(),
                found: "a key".to_owned(),
                reason: Reason::Conflict,
                message: message.to_owned(),
                appended: false,
                pid: 0,
            };
            let now = time::OffsetDateTime::now_utc();
            let path = self.scratch_dir().path(scratch);
            let keeper = Arc::clone(&self.keeper);
            let kept = on_disk(move || keeper.keep_file(loss, &path?, now)).await;
            match kept.unwrap_or_else(|error| Err(error.into())) {
                Ok(rescue) => tracing::warn!(store = %store.name(), key, rescue, "{message}"),
                Err(error) => {
                    tracing::error!(store = %store.name(), key, %error, "a scratch file stays in the state directory, hidden by a key of its name");
                    return;
                }
            }
        }
        // A key that was moved there stays where it is in the store.
        let _ = self.table().alias_removed(scratch);
        if let Err(error) = self.scratch_dir().remove(&folder(store, dir), name) {
            tracing::warn!(store = %store.name(), key, %error, "a scratch file could not be removed");
        }
    }

    /// Creates a scratch file, opens it, and reports it to the kernel. No request.
    pub(super) fn make_scratch(
        &self,
        parent: Ino,
        name: &FileName,
        access: Access,
        by: Context,
    ) -> Result<(Told, Fh), Error> {
        let (store, dir) = self.dir(parent)?;
        let made = self
            .scratch_dir()
            .make(&folder(&store, &dir), name, None, *by.who())
            .map_err(Error::of_disk)?;
        made.note_absence();
        let told = self.tell_found(|| self.found_scratch(parent, name, &made));
        let open = OpenScratch::new(&made, *by.who(), access);
        let fh = self.open_handle(told.attr.ino, Handle::Scratch(open));
        Ok((told, fh))
    }

    /// Opens a scratch file.
    pub(super) fn open_scratch(
        &self,
        ino: Ino,
        scratch: Arc<Scratch>,
        access: Access,
        by: Context,
    ) -> Result<Fh, Error> {
        if access.write && access.truncate {
            self.check_writable("the mount")?;
            scratch.set_len(0).map_err(Error::of_disk)?;
            self.table().forget_copy(ino);
        }
        if access.write {
            scratch.set_maker(*by.who());
        }
        let open = OpenScratch::new(&scratch, *by.who(), access);
        // Held until the handle is known: a publication of the file turns its handles into handles of the
        // key, too.
        let is_key = scratch
            .is_key
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        match *is_key {
            // Another look-up finds the key.
            true => Err(Error::Stale("the scratch file is a key now".to_owned())),
            false => Ok(self.open_handle(ino, Handle::Scratch(open))),
        }
    }

    /// Creates a symbolic link, and reports it to the kernel. Only scratch names can be links, as the locks
    /// of emacs are. No request but for the look-up of the name.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for all other names; [`Error::Exists`]; any other.
    pub async fn make_link(
        &self,
        parent: Ino,
        name: &OsStr,
        target: &OsStr,
        by: Context,
    ) -> Result<Told, Error> {
        self.goes_on_to_make(parent, name, by);
        self.check_writable(&name.display().to_string())?;
        let name = FileName::new(name)?;
        let (store, dir) = self.dir(parent)?;
        let target = target
            .to_str()
            .filter(|_| self.is_scratch_name(&name, Origin::Other));
        let Some(target) = target else {
            return Err(Error::NotPermitted(format!(
                "{name}: there are no symbolic links in a store"
            )));
        };
        match self.find(parent, name.as_str().as_ref(), by).await {
            Ok(_) => return Err(Error::Exists(name.to_string())),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let link = Some(target.to_owned());
        let made = self
            .scratch_dir()
            .make(&folder(&store, &dir), &name, link, *by.who())
            .map_err(Error::of_disk)?;
        made.note_absence();
        Ok(self.tell_found(|| self.found_scratch(parent, &name, &made)))
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// [`Error::Invalid`] for all other files.
    pub fn read_link(&self, ino: Ino) -> Result<Bytes, Error> {
        match self.scratch_of(ino).as_deref() {
            Some(Scratch {
                body: Body::Link(target),
                ..
            }) => Ok(Bytes::copy_from_slice(target.as_bytes())),
            _ => Err(Error::Invalid("it is no symbolic link".to_owned())),
        }
    }
}
