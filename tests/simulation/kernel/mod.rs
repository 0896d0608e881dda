//! What the kernel makes of the system calls of a process: look-ups before opens, locks of directories and
//! files, a flush at each close, a release after the last, one more try after ESTALE.
//!
//! Read `mount/fs.rs` for the other side. A file's name is looked up by each call; a directory's is believed
//! for the TTL.

mod names;

use std::ffi::OsStr;
use std::sync::Arc;

use bytes::Bytes;
use etagfs::model::{Ino, NodeId, Origin};
use etagfs::vfs::{
    Access, At, Creation, Durable, Fh, FileKind, Opening, OverExisting, SetMode, Told, Vfs,
};
use tokio::time::Instant;

use crate::mount::{Known, Live, Mount};
use crate::world::{Call, Did, Errno, File, How, Save, World};
use crate::wrong::Wrong;

const ROOT: u64 = NodeId::ROOT.0;

/// A process that makes system calls, one at a time.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) mount: Arc<Mount>,
    pub(crate) pid: u32,
    pub(crate) step: u32,
}

/// A system call under way.
struct Syscall<'a> {
    of: &'a Caller,
    live: Arc<Live>,
    call: Call,
    /// What it must not forget before it is over.
    held: std::sync::Mutex<Vec<u64>>,
}

impl Drop for Syscall<'_> {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap();
        self.live.remembered(|it| {
            for node in held.drain(..) {
                *it.open.entry(node).or_default() -= 1;
            }
        });
    }
}

fn forget(vfs: &Vfs, told: Told) {
    vfs.forget(told.numbers.node, 1);
}

impl Syscall<'_> {
    fn hold(&self, node: u64) {
        self.held.lock().unwrap().push(node);
        self.live
            .remembered(|it| *it.open.entry(node).or_default() += 1);
    }

    fn by(&self) -> Opening {
        Opening {
            who: self.of.mount.machine.who(self.of.pid),
            thread: self.of.pid,
        }
    }

    /// Asks for a name. The lock of its directory is held.
    async fn lookup(&self, dir: u64, name: &str) -> Result<Told, Errno> {
        let (thread, owned) = (self.of.pid, name.to_owned());
        let asked = self
            .live
            .request(self.call, Some([dir, dir]), forget, |vfs| async move {
                let ino = vfs.ino_of(NodeId(dir));
                vfs.lookup(ino, OsStr::new(&owned), thread).await
            })
            .await;
        let of = (dir, name.to_owned());
        self.live.remembered(|it| match &asked {
            Ok(told) => {
                *it.told.entry(told.numbers.node.0).or_default() += 1;
                let known = Known {
                    node: told.numbers.node.0,
                    until: Instant::now() + self.of.mount.world.plan.ttl,
                };
                it.names.insert(of, known);
            }
            Err(_) => drop(it.names.remove(&of)),
        });
        if let Ok(told) = &asked {
            self.hold(told.numbers.node.0);
        }
        asked
    }

    /// The directory of a path, and the name in it.
    async fn parent<'p>(&self, path: &'p str) -> Result<(u64, &'p str), Errno> {
        let Some((dir, name)) = path.split_once('/') else {
            return Ok((ROOT, path));
        };
        let known = self
            .live
            .remembered(|it| it.names.get(&(ROOT, dir.to_owned())).copied());
        if let Some(known) = known.filter(|known| known.until > Instant::now()) {
            self.hold(known.node);
            return Ok((known.node, name));
        }
        let lock = self.live.dir_lock(ROOT);
        let _shared = lock.read().await;
        let told = self.lookup(ROOT, dir).await?;
        match told.attr.kind {
            FileKind::Dir => Ok((told.numbers.node.0, name)),
            _ => Err(Errno::Other),
        }
    }

    async fn find(&self, path: &str) -> Result<Told, Errno> {
        let (dir, name) = self.parent(path).await?;
        let lock = self.live.dir_lock(dir);
        let _shared = lock.read().await;
        self.lookup(dir, name).await
    }

    fn opened(&self, path: &str, how: How, created: bool, told: &Told, fh: Fh) -> usize {
        let node = told.numbers.node.0;
        self.live
            .remembered(|it| *it.open.entry(node).or_default() += 1);
        let scratch = is_scratch(path, how);
        let mut files = self.of.mount.world.files();
        files.push(File {
            mount: self.of.mount.number,
            epoch: self.live.epoch,
            path: path.to_owned(),
            opener: self.of.pid,
            how,
            opened: self.call.record,
            created,
            fh: fh.0,
            node,
            descriptors: 1,
            content: Vec::new(),
            appended: Vec::new(),
            written: false,
            emptied: how.write && (created || how.truncate),
            left: false,
            scratch,
        });
        files.len() - 1
    }

    async fn open(&self, path: &str, how: How) -> Result<usize, Errno> {
        let (dir, name) = self.parent(path).await?;
        let access = Access {
            read: how.read,
            write: how.write,
            truncate: how.truncate,
            append: how.append,
            durable: Durable::AtSave,
        };
        let lock = self.live.dir_lock(dir);
        let told = match how.create {
            true => {
                let _locked = lock.write().await;
                match self.lookup(dir, name).await {
                    Ok(_) if how.exclusive => return Err(Errno::Exists),
                    Ok(told) => told,
                    Err(Errno::Absent) => return self.create(dir, path, how, access).await,
                    Err(error) => return Err(error),
                }
            }
            false => {
                let _shared = lock.read().await;
                self.lookup(dir, name).await?
            }
        };
        if told.attr.kind != FileKind::File {
            return Err(Errno::Other);
        }
        let (node, by) = (told.numbers.node, self.by());
        let fh = self
            .live
            .request(
                self.call,
                None,
                |vfs, fh| vfs.close_unheard(fh),
                |vfs| async move { vfs.open(vfs.ino_of(node), access, by).await },
            )
            .await?;
        Ok(self.opened(path, how, false, &told, fh))
    }

    async fn create(&self, dir: u64, path: &str, how: How, access: Access) -> Result<usize, Errno> {
        let name = path.rsplit('/').next().unwrap_or(path).to_owned();
        let by = self.by();
        let creation = Creation {
            over: match how.exclusive {
                true => OverExisting::Refuse,
                false => OverExisting::Replace,
            },
            origin: match how.exclusive && how.read && how.private {
                true => Origin::Temporary,
                false => Origin::Other,
            },
        };
        let undo = |vfs: &Vfs, (told, fh): (Told, Fh)| {
            vfs.abandon(fh);
            forget(vfs, told);
        };
        let known = name.clone();
        let (told, fh) = self
            .live
            .request(self.call, Some([dir, dir]), undo, |vfs| async move {
                let dir = vfs.ino_of(NodeId(dir));
                vfs.create(dir, OsStr::new(&name), access, creation, by)
                    .await
            })
            .await?;
        self.live.remembered(|it| {
            *it.told.entry(told.numbers.node.0).or_default() += 1;
            let known_as = Known {
                node: told.numbers.node.0,
                until: Instant::now(),
            };
            it.names.insert((dir, known), known_as);
        });
        Ok(self.opened(path, how, true, &told, fh))
    }
}

/// Whether a file of this name that is created so is one of the mount alone (W9).
pub(crate) fn is_scratch(path: &str, how: How) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let is_temporary = how.exclusive && how.read && how.private;
    name.ends_with('~') || name.ends_with(".swp") || (is_temporary && name.starts_with('.'))
}

impl Caller {
    pub(crate) fn world(&self) -> &Arc<World> {
        &self.mount.world
    }

    /// Makes a system call. Who finds nothing any more where there was something tries once more.
    async fn call<T, F>(&self, did: Did, work: impl Fn(Arc<Live>, Call) -> F) -> Result<T, Errno>
    where
        F: Future<Output = Result<T, Errno>>,
    {
        let turn = self.mount.machine.with(self.pid, |it| Arc::clone(&it.turn));
        let _turn = turn.lock().await;
        let world = self.world();
        world.totals.one(&world.totals.calls);
        let live = self.mount.live();
        let epoch = live.as_ref().map_or(0, |live| live.epoch);
        let record = world.begin(self.step, (self.mount.number, epoch), self.pid, did);
        let call = Call {
            record,
            step: self.step,
        };
        let asked = live.clone();
        let result = match live {
            None => Err(Errno::NotConnected),
            Some(live) => match work(Arc::clone(&live), call).await {
                Err(Errno::Stale) if !self.is_through_a_descriptor(record) => {
                    work(live, call).await
                }
                result => result,
            },
        };
        let heard = result.as_ref().map(drop).map_err(|error| *error);
        if heard == Err(Errno::TimedOut) {
            world.totals.one(&world.totals.timed_out);
        }
        if heard.is_err() {
            if world.is_wrong(Wrong::NoRescues) {
                self.mount.lose_rescues();
            }
            self.look_for_rescue(record, asked.as_deref());
        }
        world.end(record, heard);
        result
    }

    fn is_through_a_descriptor(&self, record: usize) -> bool {
        let records = self.world().records();
        matches!(
            records[record].did,
            Did::Read { .. } | Did::Write { .. } | Did::Cut { .. } | Did::Save { .. }
        )
    }

    /// Notes whether what could not be saved is kept now (W5).
    fn look_for_rescue(&self, record: usize, live: Option<&Live>) {
        let did = self.world().records()[record].did.clone();
        let bytes = match did {
            Did::Save {
                want: Some(want), ..
            } => want.bytes,
            Did::Rename {
                moved: Some(bytes), ..
            } => bytes,
            _ => return,
        };
        let in_memory = live.map_or(0, |live| live.vfs.rescues_in_memory());
        if in_memory > 0 {
            self.world().totals.one(&self.world().totals.in_memory);
        }
        let is_kept = in_memory > 0 || self.mount.rescues().iter().any(|kept| *kept == bytes);
        self.world().records()[record].was_rescued = is_kept;
    }

    fn syscall(&self, live: Arc<Live>, call: Call) -> Syscall<'_> {
        Syscall {
            of: self,
            live,
            call,
            held: std::sync::Mutex::default(),
        }
    }

    /// The daemon that a file was opened at, if it is still there.
    fn live_of(&self, file: usize, live: &Live) -> Result<Fh, Errno> {
        let files = self.world().files();
        let file = &files[file];
        match file.epoch == live.epoch {
            true => Ok(Fh(file.fh)),
            false => Err(Errno::NotConnected),
        }
    }

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
            let (thread, data) = (self.pid, owned.clone());
            let write = |vfs: Arc<Vfs>| async move {
                vfs.write(fh, at, &data, Durable::AtSave, thread).await
            };
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
            let who = self.mount.machine.who(self.pid);
            let cut = |vfs: Arc<Vfs>| async move {
                let ino = vfs.ino_of(NodeId(node));
                vfs.check_changeable(ino)?;
                vfs.truncate(ino, fh, size as u64, who).await.map(drop)
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
        let thread = self.pid;
        let saved = self
            .call(did, |live, call| async move {
                let fh = self.live_of(file, &live)?;
                let save = |vfs: Arc<Vfs>| async move {
                    match why {
                        Save::Fsync => vfs.save(fh, etagfs::model::Trigger::Fsync).await,
                        _ => vfs.flush(fh, thread).await,
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
        let is_last = {
            self.mount
                .machine
                .with(self.pid, |it| it.descriptors.remove(&fd));
            let mut files = self.world().files();
            files[file].descriptors -= 1;
            files[file].descriptors == 0
        };
        let by_opener = self.world().files()[file].opener == self.pid;
        let closed = match self.world().is_wrong(Wrong::NoFlush) {
            true => {
                self.call(
                    Did::Save {
                        file,
                        why: Save::Close { by_opener },
                        want: self.world().files()[file].want(),
                    },
                    |_, _| async { Ok(()) },
                )
                .await
            }
            false => self.save(file, Save::Close { by_opener }).await,
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

    /// A process that this one starts.
    pub(crate) fn fork(&self) -> Self {
        Self {
            pid: self.mount.machine.fork(self.pid),
            ..self.clone()
        }
    }

    /// The process ends; the kernel closes what it has open, and nobody hears of an error.
    pub(crate) async fn exit(&self) {
        let open: Vec<u32> = self
            .mount
            .machine
            .with(self.pid, |it| it.descriptors.keys().copied().collect());
        for fd in open {
            let _ = self.close(fd).await;
        }
        self.mount.machine.ends(self.pid);
    }
}

/// The kernel needs memory: it forgets what nobody has open.
pub(crate) fn forget_names(live: &Live) {
    let forgotten = live.remembered(|it| {
        it.names.clear();
        let open: Vec<u64> = it
            .open
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(node, _)| *node)
            .collect();
        let mut all: Vec<(u64, u64)> = it.told.drain().collect();
        all.sort_unstable();
        let (kept, forgotten): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(node, _)| open.contains(node));
        it.told.extend(kept);
        forgotten
    });
    for (node, times) in forgotten {
        live.vfs.forget(NodeId(node), times);
    }
}
