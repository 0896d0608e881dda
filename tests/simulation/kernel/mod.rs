//! What the kernel makes of the system calls of a process: look-ups before opens, locks of directories and
//! files, a flush at each close, a release after the last, one more try after ESTALE.
//!
//! Read `mount/fs.rs` for the other side. A file's name is looked up by each call; a directory's is believed
//! for the TTL.

mod descriptors;
mod names;

use std::ffi::OsStr;
use std::sync::Arc;

use etagfs::model::{NodeId, Origin};
use etagfs::vfs::{Access, Context, Creation, Durable, Fh, FileKind, OverExisting, Told, Vfs};
use tokio::time::Instant;

use crate::mount::{Known, Live, Mount};
use crate::world::{Call, Did, Errno, File, How, World};
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

    fn by(&self) -> Context {
        Context::new(self.of.mount.machine.who(self.of.pid), self.of.pid)
    }

    /// Asks for a name. The lock of its directory is held.
    async fn lookup(&self, dir: u64, name: &str) -> Result<Told, Errno> {
        let (by, owned) = (Context::on(self.of.pid), name.to_owned());
        let asked = self
            .live
            .request(self.call, Some([dir, dir]), forget, |vfs| async move {
                let ino = vfs.ino_of(NodeId(dir));
                vfs.lookup(ino, OsStr::new(&owned), by).await
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
