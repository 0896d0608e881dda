//! Names that are scratch (W9): which they are, what they show, and how they are made.
//!
//! A key that is in the bucket is a key, whatever its name: a scratch file gives way to it.

use std::ffi::OsStr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::super::access::Access;
use super::super::attr::Attr;
use super::super::handles::{Fh, Handle};
use super::super::loss::on_disk;
use super::super::numbers::Told;
use super::super::place::folder;
use super::super::rescue::{Loss, Reason};
use super::super::table::Kind;
use super::super::{Context, Error, Vfs};
use super::{Body, OpenScratch, Scratch};
use crate::model::{FileName, Ino, Origin};
use crate::store::{Dir, Store};

impl Vfs {
    /// The scratch file of a name.
    pub(in crate::vfs) fn scratch_at(
        &self,
        store: &Arc<dyn Store>,
        dir: &Dir,
        name: &FileName,
    ) -> Option<Arc<Scratch>> {
        self.scratch_dir().get(&folder(store, dir), name)
    }

    /// The scratch file that an inode stands for.
    pub(in crate::vfs) fn scratch_of(&self, ino: Ino) -> Option<Arc<Scratch>> {
        match self.table().kind(ino)? {
            Kind::Scratch(scratch) => Some(Arc::clone(scratch)),
            _ => None,
        }
    }

    /// Whether a file that gets this name is scratch.
    pub(in crate::vfs) fn is_scratch_name(&self, name: &FileName, origin: Origin) -> bool {
        self.options.scratch.contains(name, origin)
    }

    pub(in crate::vfs) fn scratch_attr(
        &self,
        ino: Ino,
        scratch: &Scratch,
        is_linked: bool,
    ) -> Attr {
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

    pub(in crate::vfs) fn found_scratch(
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
    pub(in crate::vfs) fn is_surely_scratch(
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
    pub(in crate::vfs) async fn give_way(
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
        let folder = folder(store, dir);
        let mut scratch_dir = self.scratch_dir();
        // Somebody else may have let it give way meanwhile, and made another one.
        let now = scratch_dir.get(&folder, name);
        if now.is_none_or(|now| now.id() != scratch.id()) {
            return;
        }
        let removed = scratch_dir.remove(&folder, name);
        drop(scratch_dir);
        // Whatever was moved there stays where it is in the store.
        let _ = self.table().alias_removed(scratch);
        if let Err(error) = removed {
            tracing::warn!(store = %store.name(), key, %error, "a scratch file could not be removed");
        }
    }

    /// Creates a scratch file, opens it, and reports it to the kernel. No request.
    pub(in crate::vfs) fn make_scratch(
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
    pub(in crate::vfs) fn open_scratch(
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
        // Held until the handle is known: who makes a key of the file makes one of its handles, too.
        let is_key = scratch
            .is_key
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        match *is_key {
            // Whoever looks it up again finds that.
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
