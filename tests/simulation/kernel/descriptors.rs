//! The calls through a descriptor: `open`, `read`, `write`, `ftruncate`, `fsync`, `close`.

use std::sync::Arc;

use bytes::Bytes;
use etagfs::model::NodeId;
use etagfs::vfs::{At, Context, Durable, Vfs};

use super::Caller;
use crate::world::{Call, Did, Errno, How, Save};
use crate::wrong::Wrong;

impl Caller {
    /// `open(2)`: a descriptor.
    pub(crate) async fn open(&self, path: &str, how: How) -> Result<u32, Errno> {
        let did = Did::Open {
            path: path.to_owned(),
            how,
            file: None,
        };
        let file = self
            .call(did, |live, call| async move {
                let syscall = self.syscall(live, call);
                let file = syscall.open(path, how).await?;
                let mut records = self.world().records();
                if let Did::Open { file: opened, .. } = &mut records[call.record].did {
                    *opened = Some(file);
                }
                Ok(file)
            })
            .await?;
        Ok(self.mount.machine.with(self.pid, |process| {
            let fd = process.descriptors.keys().last().map_or(3, |last| last + 1);
            process.descriptors.insert(fd, file);
            fd
        }))
    }

    pub(crate) fn file(&self, fd: u32) -> usize {
        self.mount.machine.with(self.pid, |it| it.descriptors[&fd])
    }

    /// Reads from `from` on to the end, in pieces; all that is there.
    pub(crate) async fn read_on(&self, fd: u32, from: usize) -> Result<Bytes, Errno> {
        let file = self.file(fd);
        let mut all = {
            let files = self.world().files();
            match files[file].how.write {
                true => Vec::new(),
                false => files[file].content.clone(),
            }
        };
        all.truncate(from);
        loop {
            let offset = all.len();
            let did = Did::Read {
                file,
                bytes: Bytes::new(),
                whole: false,
            };
            let piece = 16 << (offset % 3);
            let all_now = &all;
            let found = self
                .call(did, |live, call| async move {
                    let fh = self.live_of(file, &live)?;
                    let read =
                        |vfs: Arc<Vfs>| async move { vfs.read(fh, offset as u64, piece).await };
                    let found = live.request(call, None, |_, _| {}, read).await?;
                    let mut records = self.world().records();
                    if let Did::Read { bytes, whole, .. } = &mut records[call.record].did {
                        let sum = [&all_now[..], &found].concat();
                        (*bytes, *whole) = (sum.into(), found.is_empty());
                    }
                    Ok(found)
                })
                .await?;
            all.extend_from_slice(&found);
            if found.is_empty() {
                let mut files = self.world().files();
                files[file].content.clone_from(&all);
                return Ok(all.into());
            }
        }
    }

    /// Writes; at the end, if the descriptor appends.
    pub(crate) async fn write(&self, fd: u32, offset: usize, data: &[u8]) -> Result<(), Errno> {
        let file = self.file(fd);
        let append = self.world().files()[file].how.append;
        let (at, owned) = match append {
            true => (At::End, Bytes::copy_from_slice(data)),
            false => (At::Offset(offset as u64), Bytes::copy_from_slice(data)),
        };
        let owned = &owned;
        self.call(Did::Write { file }, |live, call| async move {
            let fh = self.live_of(file, &live)?;
            let (by, data) = (Context::on(self.pid), owned.clone());
            let write =
                |vfs: Arc<Vfs>| async move { vfs.write(fh, at, &data, Durable::AtSave, by).await };
            live.request(call, None, |_, ()| {}, write).await
        })
        .await?;
        let mut files = self.world().files();
        let file = &mut files[file];
        file.written = true;
        if append {
            file.appended.extend_from_slice(data);
            file.content.extend_from_slice(data);
        } else {
            let end = offset + data.len();
            if file.content.len() < end {
                file.content.resize(end, 0);
            }
            file.content[offset..end].copy_from_slice(data);
        }
        Ok(())
    }

    /// `ftruncate(2)`.
    pub(crate) async fn cut(&self, fd: u32, size: usize) -> Result<(), Errno> {
        let file = self.file(fd);
        self.call(Did::Cut { file }, |live, call| async move {
            let fh = self.live_of(file, &live)?;
            let node = self.world().files()[file].node;
            let lock = live.file_lock(node);
            let _locked = lock.lock().await;
            let by = Context::new(self.mount.machine.who(self.pid), self.pid);
            let cut = |vfs: Arc<Vfs>| async move {
                let ino = vfs.ino_of(NodeId(node));
                vfs.check_changeable(ino)?;
                vfs.truncate(ino, fh, size as u64, by).await.map(drop)
            };
            live.request(call, Some([node, node]), |_, ()| {}, cut)
                .await
        })
        .await?;
        let mut files = self.world().files();
        files[file].content.resize(size, 0);
        files[file].written = true;
        Ok(())
    }

    /// `fsync(2)`.
    pub(crate) async fn sync(&self, fd: u32) -> Result<(), Errno> {
        let file = self.file(fd);
        self.save(file, Save::Fsync).await
    }

    async fn save(&self, file: usize, why: Save) -> Result<(), Errno> {
        let want = self.world().files()[file].want();
        let did = Did::Save {
            file,
            why,
            want: want.clone(),
        };
        let by = Context::on(self.pid);
        let saved = self
            .call(did, |live, call| async move {
                let fh = self.live_of(file, &live)?;
                let save = |vfs: Arc<Vfs>| async move {
                    match why {
                        Save::Fsync => vfs.save(fh, etagfs::model::SaveReason::Fsync).await,
                        _ => vfs.flush(fh, by).await,
                    }
                };
                live.request(call, None, |_, ()| {}, save).await
            })
            .await;
        let is_save = match why {
            Save::Close { by_opener } => by_opener && want.is_some_and(|want| want.written),
            _ => true,
        };
        if saved.is_ok() && is_save {
            let mut files = self.world().files();
            let file = &mut files[file];
            (file.written, file.emptied) = (false, false);
            file.appended.clear();
        }
        saved
    }

    /// `close(2)`: the kernel flushes each descriptor, and says when the last one is gone.
    pub(crate) async fn close(&self, fd: u32) -> Result<(), Errno> {
        let file = self.file(fd);
        self.mount
            .machine
            .with(self.pid, |it| it.descriptors.remove(&fd));
        let by_opener = self.world().files()[file].opener == self.pid;
        let want = self.world().files()[file].want();
        let closed = match self.world().is_wrong(Wrong::NoFlush) {
            true => {
                self.call(
                    Did::Save {
                        file,
                        why: Save::Close { by_opener },
                        want,
                    },
                    |_, _| async { Ok(()) },
                )
                .await
            }
            false => self.save(file, Save::Close { by_opener }).await,
        };
        // The descriptor is gone when its FLUSH was answered, not before.
        let is_last = {
            let mut files = self.world().files();
            files[file].descriptors -= 1;
            files[file].descriptors == 0
        };
        if is_last {
            self.release(file);
        }
        closed
    }

    /// Nobody waits for it.
    fn release(&self, file: usize) {
        let Some(live) = self.mount.live() else {
            return;
        };
        let Ok(fh) = self.live_of(file, &live) else {
            return;
        };
        let (node, want) = {
            let files = self.world().files();
            (files[file].node, files[file].want())
        };
        live.remembered(|it| *it.open.entry(node).or_default() -= 1);
        let world = Arc::clone(self.world());
        let did = Did::Save {
            file,
            why: Save::Release,
            want,
        };
        let record = world.begin(self.step, (self.mount.number, live.epoch), self.pid, did);
        let call = Call {
            record,
            step: self.step,
        };
        let vfs = Arc::clone(&live.vfs);
        live.spawn(call, async move {
            vfs.release(fh).await;
            world.end(record, Ok(()));
        });
    }
}
