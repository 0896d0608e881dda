//! Whether the file that the kernel names by a number is still the one that it looked up.
//!
//! The kernel trusts a name for a while, and moves what it knows when a file is renamed. So a request for a
//! file that has lost its name here may mean the file that has that name now. `ESTALE` makes the kernel look
//! the name up again and repeat the call, once. A request with a handle means the file of that handle,
//! whatever happened to its name.

use std::sync::Arc;

use super::table::{Kind, Node};
use super::{Error, Vfs};
use crate::model::{Ino, Key};
use crate::store::Store;

/// An inode that keeps its number for the kernel until this is dropped.
#[derive(Debug)]
pub(super) struct HeldInode<'a> {
    vfs: &'a Vfs,
    ino: Ino,
}

impl Drop for HeldInode<'_> {
    fn drop(&mut self) {
        self.vfs.table().unhold(self.ino);
    }
}

fn stale(what: &str) -> Error {
    Error::Stale(what.to_owned())
}

impl Vfs {
    /// Keeps an inode as if it were open.
    ///
    /// # Errors
    /// [`Error::Stale`] when it no longer exists.
    pub(super) fn hold(&self, ino: Ino) -> Result<HeldInode<'_>, Error> {
        match self.table().hold(ino) {
            true => Ok(HeldInode { vfs: self, ino }),
            false => Err(stale("the file")),
        }
    }

    /// Fails if a key has lost its name, for a call that came by that name.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub(super) fn check_named(&self, ino: Ino) -> Result<(), Error> {
        let table = self.table();
        match table.kind(ino) {
            None => Err(stale("the file")),
            Some(Kind::File(store, key)) if !table.is_named(ino) => Err(stale(&store.address(key))),
            Some(_) => Ok(()),
        }
    }

    /// As [`check_named`](Self::check_named), for a call that may have come by a descriptor: then the file is
    /// open.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub(super) fn check_reached(&self, ino: Ino) -> Result<(), Error> {
        let is_open = self.table().get(ino).is_some_and(Node::is_open);
        match is_open {
            true => Ok(()),
            false => self.check_named(ino),
        }
    }

    /// Fails if a file is not this key any more, or has lost its name.
    ///
    /// # Errors
    /// [`Error::Stale`].
    pub(super) fn check_is(
        &self,
        ino: Ino,
        store: &Arc<dyn Store>,
        key: &Key,
    ) -> Result<(), Error> {
        let table = self.table();
        match table.file(ino) {
            Ok((of, is)) if of.name() == store.name() && is == *key && table.is_named(ino) => {
                Ok(())
            }
            _ => Err(stale(&store.address(key))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Origin;
    use crate::vfs::tests::in_memory;
    use crate::vfs::{Access, At, Context, Creation, Durable, Fh, OverExisting};

    const BY: Context = Context::on(1);
    const ACCESS: Access = Access {
        read: true,
        write: true,
        truncate: false,
        append: false,
        durable: Durable::AtSave,
    };

    /// A new file with bytes that are not saved.
    async fn written(vfs: &Vfs) -> (Ino, Fh) {
        let how = Creation {
            over: OverExisting::Replace,
            origin: Origin::Other,
        };
        let created = vfs.create(Ino::ROOT, "key".as_ref(), ACCESS, how, BY).await;
        let (told, fh) = created.unwrap();
        let at = At::Offset(0);
        vfs.write(fh, at, b"important", Durable::AtSave, BY)
            .await
            .unwrap();
        (told.attr.ino, fh)
    }

    #[tokio::test]
    async fn a_file_that_lost_its_name_is_reached_by_its_handles_only() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = in_memory(dir.path());
        let (ino, fh) = written(&vfs).await;
        vfs.flush(fh, BY).await.unwrap();
        vfs.remove(Ino::ROOT, "key".as_ref(), BY).await.unwrap();
        assert_eq!(vfs.attr(ino, BY).await.unwrap().size, 9);
        assert_eq!(&vfs.read(fh, 0, 100).await.unwrap()[..], b"important");
        let opened = vfs.open(ino, ACCESS, BY).await;
        assert!(matches!(opened, Err(Error::Stale(_))));
        let cut = vfs.truncate_closed(ino, 0, BY).await;
        assert!(matches!(cut, Err(Error::Stale(_))));
        vfs.release(fh).await;
        assert!(matches!(vfs.attr(ino, BY).await, Err(Error::Stale(_))));
        assert!(matches!(vfs.check_changeable(ino), Err(Error::Stale(_))));
    }

    #[tokio::test]
    async fn what_was_written_to_a_file_that_nobody_knows_any_more_is_rescued() {
        let dir = tempfile::tempdir().unwrap();
        let vfs = in_memory(dir.path());
        let (ino, fh) = written(&vfs).await;
        {
            let mut table = vfs.table();
            let known = table.ids(ino)[0];
            table.unhold(ino);
            table.kernel_forgot(known, 1);
            assert!(table.get(ino).is_none());
        }
        assert!(matches!(vfs.flush(fh, BY).await, Err(Error::Failed(_))));
        let rescues = std::fs::read_dir(dir.path().join("rescue")).unwrap();
        let mut kept = rescues.filter_map(|entry| std::fs::read(entry.unwrap().path()).ok());
        assert!(kept.any(|bytes| bytes == b"important"));
    }
}
