//! The calls that name a file: `stat`, `truncate`, `setxattr`, `unlink`, `mkdir`, `rmdir`, `rename`, and `ls`.

use std::ffi::OsStr;
use std::sync::Arc;

use bytes::Bytes;
use etagfs::model::{Ino, NodeId};
use etagfs::vfs::{Context, OverExisting, SetMode, Vfs};

use super::{Caller, forget};
use crate::world::{Did, Errno};

impl Caller {
    /// `stat(2)`.
    pub(crate) async fn look(&self, path: &str) -> Result<u64, Errno> {
        let did = Did::Look {
            path: path.to_owned(),
        };
        self.call(did, |live, call| async move {
            let found = self.syscall(live, call).find(path).await?;
            Ok(found.attr.size)
        })
        .await
    }

    /// `truncate(2)`.
    pub(crate) async fn truncate(&self, path: &str, size: u64) -> Result<(), Errno> {
        let did = Did::Truncate {
            path: path.to_owned(),
            size,
        };
        self.call(did, |live, call| async move {
            let syscall = self.syscall(Arc::clone(&live), call);
            let node = syscall.find(path).await?.numbers.node;
            let lock = live.file_lock(node.0);
            let _locked = lock.lock().await;
            let by = syscall.by();
            let cut = |vfs: Arc<Vfs>| async move {
                let ino = vfs.ino_of(node);
                vfs.check_changeable(ino)?;
                vfs.truncate_closed(ino, size, by).await.map(drop)
            };
            live.request(call, Some([node.0, node.0]), |_, ()| {}, cut)
                .await
        })
        .await
    }

    /// `setxattr(2)`.
    pub(crate) async fn describe(&self, path: &str, value: &str) -> Result<(), Errno> {
        let did = Did::Describe {
            path: path.to_owned(),
        };
        self.call(did, |live, call| async move {
            let syscall = self.syscall(Arc::clone(&live), call);
            let node = syscall.find(path).await?.numbers.node;
            let lock = live.file_lock(node.0);
            let _locked = lock.lock().await;
            let (by, value) = (syscall.by(), value.to_owned());
            let set = |vfs: Arc<Vfs>| async move {
                let (ino, name) = (vfs.ino_of(node), OsStr::new("user.meta.note"));
                vfs.set_attribute(ino, name, Some(value.as_bytes()), SetMode::Any, by)
                    .await
            };
            live.request(call, Some([node.0, node.0]), |_, ()| {}, set)
                .await
        })
        .await
    }

    /// A call that changes a name, with the lock of its directory.
    async fn change_name<F>(
        &self,
        did: Did,
        path: &str,
        must_exist: bool,
        change: impl Fn(Arc<Vfs>, Ino, String, Context) -> F + Copy + Send,
    ) -> Result<(), Errno>
    where
        F: Future<Output = Result<(), etagfs::vfs::Error>> + Send + 'static,
    {
        self.call(did, |live, call| async move {
            let syscall = self.syscall(Arc::clone(&live), call);
            let (dir, name) = syscall.parent(path).await?;
            let lock = live.dir_lock(dir);
            let _locked = lock.write().await;
            let found = match syscall.lookup(dir, name).await {
                Ok(told) if must_exist => Some(told.numbers.node.0),
                Err(Errno::Absent) if !must_exist => None,
                Ok(_) => return Err(Errno::Exists),
                Err(error) => return Err(error),
            };
            let (by, owned) = (syscall.by(), name.to_owned());
            let changed = live
                .request(
                    call,
                    Some([dir, dir]),
                    |_, ()| {},
                    |vfs| {
                        let ino = vfs.ino_of(NodeId(dir));
                        change(vfs, ino, owned, by)
                    },
                )
                .await;
            if changed.is_ok() {
                live.remembered(|it| it.names.remove(&(dir, name.to_owned())));
                // The kernel may have forgotten the name meanwhile, but not the file.
                if let Some(node) = found {
                    self.leaves(node);
                }
            }
            changed
        })
        .await
    }

    /// Whoever has a file open that lost its name may close it in peace.
    fn leaves(&self, node: u64) {
        let epoch = self.mount.live().map_or(0, |live| live.epoch);
        let mut files = self.world().files();
        let of_it = files
            .iter_mut()
            .filter(|file| (file.mount, file.epoch, file.node) == (self.mount.number, epoch, node));
        of_it.for_each(|file| file.left = true);
    }

    /// `unlink(2)`.
    pub(crate) async fn unlink(&self, path: &str) -> Result<(), Errno> {
        let did = Did::Unlink {
            path: path.to_owned(),
        };
        self.change_name(did, path, true, |vfs, dir, name, by| async move {
            vfs.remove(dir, OsStr::new(&name), by).await
        })
        .await
    }

    /// `mkdir(2)`.
    pub(crate) async fn mkdir(&self, path: &str) -> Result<(), Errno> {
        let did = Did::Mkdir {
            path: path.to_owned(),
        };
        self.change_name(did, path, false, |vfs, dir, name, by| async move {
            let told = vfs.make_dir(dir, OsStr::new(&name), by).await?;
            forget(&vfs, told);
            Ok(())
        })
        .await
    }

    /// `rmdir(2)`.
    pub(crate) async fn rmdir(&self, path: &str) -> Result<(), Errno> {
        let did = Did::Rmdir {
            path: path.to_owned(),
        };
        self.change_name(did, path, true, |vfs, dir, name, _| async move {
            vfs.remove_dir(dir, OsStr::new(&name)).await
        })
        .await
    }

    /// `rename(2)`. `moved` is what the caller believes to move.
    pub(crate) async fn rename(
        &self,
        from: &str,
        to: &str,
        moved: Option<Bytes>,
    ) -> Result<(), Errno> {
        let did = Did::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
            moved,
        };
        self.call(did, |live, call| async move {
            let syscall = self.syscall(Arc::clone(&live), call);
            let (dir, name) = syscall.parent(from).await?;
            let (to_dir, to_name) = syscall.parent(to).await?;
            let locks = (dir.min(to_dir), dir.max(to_dir));
            let (first, second) = (live.dir_lock(locks.0), live.dir_lock(locks.1));
            let _first = first.write().await;
            let _second = match locks.0 == locks.1 {
                true => None,
                false => Some(second.write().await),
            };
            let moved = syscall.lookup(dir, name).await?;
            let taken = match syscall.lookup(to_dir, to_name).await {
                Ok(told) => Some(told),
                Err(Errno::Absent) => None,
                Err(error) => return Err(error),
            };
            let (by, name, to_name) = (syscall.by(), name.to_owned(), to_name.to_owned());
            let names = (name.clone(), to_name.clone());
            let rename = |vfs: Arc<Vfs>| async move {
                let from = (vfs.ino_of(NodeId(dir)), OsStr::new(&name));
                let to = (vfs.ino_of(NodeId(to_dir)), OsStr::new(&to_name));
                vfs.rename(from, to, OverExisting::Replace, by).await
            };
            live.request(call, Some([dir, to_dir]), |_, ()| {}, rename)
                .await?;
            let (name, to_name) = names;
            live.remembered(|it| {
                if let Some(known) = it.names.remove(&(dir, name)) {
                    it.names.insert((to_dir, to_name), known);
                }
            });
            self.leaves(moved.numbers.node.0);
            if let Some(taken) = taken {
                self.leaves(taken.numbers.node.0);
            }
            Ok(())
        })
        .await
    }

    /// `ls`: the names in a directory.
    pub(crate) async fn list(&self, dir: &str) -> Result<Vec<String>, Errno> {
        let did = Did::List {
            dir: dir.to_owned(),
            names: Vec::new(),
        };
        self.call(did, |live, call| async move {
            let syscall = self.syscall(Arc::clone(&live), call);
            let node = match dir {
                "" => NodeId::ROOT,
                dir => syscall.find(dir).await?.numbers.node,
            };
            let open = |vfs: Arc<Vfs>| async move { vfs.open_dir(vfs.ino_of(node)).await };
            let undo = |vfs: &Vfs, fh| vfs.close_unheard(fh);
            let fh = live.request(call, None, undo, open).await?;
            let vfs = &live.vfs;
            let ino = vfs.ino_of(node);
            let names = vfs.read_dir(fh, |items, age| {
                let told = items.iter().filter(|item| {
                    let told = vfs.tell(ino, item, age);
                    told.inspect(|told| forget(vfs, *told)).is_some()
                });
                told.map(|item| item.name.to_string()).collect::<Vec<_>>()
            });
            vfs.close_dir(fh);
            let listed = names.map_err(|_| Errno::Other)?;
            let mut records = self.world().records();
            if let Did::List { names, .. } = &mut records[call.record].did {
                names.clone_from(&listed);
            }
            Ok(listed)
        })
        .await
    }
}
