//! The mount: FUSE on one side, [`Vfs`] on the other.
//!
//! The only folder that names `fuser`. [`Mounted`] is a session that serves the kernel; requests
//! arrive in `fs.rs` and are answered through `answer.rs`. It knows nothing of stores; the errno of
//! every error is in `errno.rs`.

mod answer;
mod descriptors;
mod directory;
mod errno;
mod failure;
mod fs;
mod glance;
mod life;
mod limit;
mod negotiate;
mod op;
mod process;
mod reply;
mod request;
mod table;
mod unmount;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, SystemTime};

use fuser::{BackgroundSession, FileAttr, FileType, INodeNo, MountOption, Notifier, SessionACL};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

pub use failure::MountError;
pub use limit::{descriptor_limit, raise_descriptor_limit};
pub use process::Proc;
pub use table::{is_mount_point, mount_above, mount_points};
pub use unmount::{Busy, unmount};

use crate::model::{FileName, NodeId};
use crate::vfs::{Attr, Ending, FileKind, Forgotten, Kernel, Told, Vfs};
use answer::Bridge;
use failure::Attempt;

/// The longest that a request takes. It should be longer than the store's own deadline, so that
/// the store's answer, whatever it is, arrives first.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a request that moves no bytes.
    pub base: Duration,
    /// Bytes per second: this many add a second.
    pub slowest: u64,
}

impl Patience {
    fn for_bytes(self, bytes: u64) -> Duration {
        let transfer = bytes.checked_div(self.slowest).unwrap_or(0);
        self.base.saturating_add(Duration::from_secs(transfer))
    }
}

/// How the mount looks, and which users may use it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Owner of everything.
    pub uid: u32,
    /// Group of everything.
    pub gid: u32,
    /// Permissions of files.
    pub file_mode: u16,
    /// Permissions of directories.
    pub dir_mode: u16,
    /// Other users may use the mount, as far as the permissions let them.
    pub allow_other: bool,
    /// Nothing can be written.
    pub read_only: bool,
    /// No program can be run from it.
    pub no_exec: bool,
    /// How long names and attributes are believed.
    pub ttl: Duration,
    /// The longest that any request takes (A1).
    pub patience: Patience,
    /// What the table of mounts calls the source.
    pub source: String,
}

/// What things look like: the part of the attributes that the mount decides.
struct Presentation {
    uid: u32,
    gid: u32,
    file_mode: u16,
    dir_mode: u16,
    ttl: Duration,
}

impl Presentation {
    fn at(&self, attr: &Attr, number: u64) -> FileAttr {
        let (kind, perm) = match attr.kind {
            FileKind::Dir => (FileType::Directory, self.dir_mode),
            FileKind::File => (FileType::RegularFile, self.file_mode),
            FileKind::Symlink => (FileType::Symlink, 0o777),
            FileKind::Control => (FileType::RegularFile, self.file_mode & 0o444),
        };
        FileAttr {
            ino: INodeNo(number),
            size: attr.size,
            blocks: attr.size.div_ceil(512),
            atime: attr.modified,
            mtime: attr.modified,
            ctime: attr.modified,
            crtime: SystemTime::UNIX_EPOCH,
            kind,
            perm,
            nlink: u32::from(attr.is_linked),
            uid: self.uid,
            gid: self.gid,
            rdev: 0,
            // What programs read and write at once.
            blksize: 128 * 1024,
            flags: 0,
        }
    }
}

impl Presentation {
    /// What the kernel is told of a name, and how long it may believe the attributes. It takes what it
    /// calls the file for the number that programs see; if that is another one, it has to ask for the
    /// attributes before it shows them.
    fn named(&self, told: &Told) -> (FileAttr, Duration) {
        let ttl = match told.numbers.agree() {
            true => told.attr.ttl,
            false => Duration::ZERO,
        };
        (self.at(&told.attr, told.numbers.node.0), ttl)
    }
}

/// The kernel's caches, as [`Kernel`].
struct Caches(Sender<Forget>);

/// Something that the kernel is to forget.
enum Forget {
    File(NodeId, oneshot::Sender<()>),
    Name(NodeId, FileName),
}

/// How long a caller waits for the kernel to forget: a thousand times longer than it takes. While a
/// program faults in a page of a map, the kernel holds that page, and waits for a read that may wait for
/// the store; then the caller goes on, and the kernel forgets a little later.
const FORGETTING: Duration = Duration::from_millis(50);

impl Caches {
    fn new(notifier: Notifier) -> Self {
        let (sender, things) = mpsc::channel();
        std::thread::spawn(move || {
            for thing in things {
                // It fails only for what the kernel does not know: then there is nothing to forget.
                match thing {
                    Forget::File(id, done) => {
                        let _ = notifier.inval_inode(INodeNo(id.0), 0, 0);
                        // Whoever waited may have gone on.
                        let _ = done.send(());
                    }
                    Forget::Name(parent, name) => {
                        let _ = notifier.inval_entry(INodeNo(parent.0), name.as_str().as_ref());
                    }
                }
            }
        });
        Self(sender)
    }
}

impl Kernel for Caches {
    fn forget_file(&self, id: NodeId) -> Forgotten {
        let (done, forgotten) = oneshot::channel();
        // The thread ends with the mount; then nobody is told, and nobody waits.
        let _ = self.0.send(Forget::File(id, done));
        Box::pin(async move { drop(tokio::time::timeout(FORGETTING, forgotten).await) })
    }

    fn forget_name(&self, parent: NodeId, name: &FileName) {
        // The thread ends with the mount.
        let _ = self.0.send(Forget::Name(parent, name.clone()));
    }
}

/// How long a mount that is over waits for its last files to be closed.
const LAST_CLOSES: Duration = Duration::from_secs(1);

/// A mounted filesystem.
pub struct Mounted {
    session: BackgroundSession,
    at: PathBuf,
    vfs: Arc<Vfs>,
    tasks: TaskTracker,
}

impl std::fmt::Debug for Mounted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mounted")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Mounted {
    /// Mounts `vfs` at a directory and begins to serve it. Waiting requests run on `runtime`.
    ///
    /// # Errors
    /// What mount(2) or `fusermount3` says.
    pub fn new(
        vfs: Arc<Vfs>,
        at: &Path,
        options: Options,
        runtime: Handle,
    ) -> Result<Self, MountError> {
        let tasks = TaskTracker::new();
        let look = Presentation {
            uid: options.uid,
            gid: options.gid,
            file_mode: options.file_mode,
            dir_mode: options.dir_mode,
            ttl: options.ttl,
        };
        let bridge = Bridge::new(
            Arc::clone(&vfs),
            look,
            runtime,
            tasks.clone(),
            options.patience,
        );
        let mut config = fuser::Config::default();
        config.mount_options = vec![
            MountOption::FSName(options.source),
            // For the type `fuse.etagfs`. Not as fuser's own option, which does not reach mount(2).
            MountOption::CUSTOM("subtype=etagfs".to_owned()),
            MountOption::DefaultPermissions,
            MountOption::NoSuid,
            MountOption::NoDev,
            MountOption::NoAtime,
        ];
        config.mount_options.push(match options.read_only {
            true => MountOption::RO,
            false => MountOption::RW,
        });
        if options.no_exec {
            config.mount_options.push(MountOption::NoExec);
        }
        config.acl = match options.allow_other {
            true => SessionACL::All,
            false => SessionACL::Owner,
        };
        config.n_threads = Some(
            std::thread::available_parallelism()
                .map_or(2, usize::from)
                .min(4),
        );
        let session = fuser::Session::new(request::Fs(bridge), at, &config)
            .and_then(fuser::Session::spawn)
            .map_err(|error| Attempt::of(at, options.allow_other).failure(&error))?;
        vfs.attach(Box::new(Caches::new(session.notifier())));
        Ok(Self {
            session,
            at: at.to_owned(),
            vfs,
            tasks,
        })
    }

    /// Whether the kernel has unmounted it.
    pub fn is_over(&self) -> bool {
        self.session.guard.is_finished()
    }

    /// Unmounts, also when files are open, and ends: waits for what is under way, at most `grace`,
    /// and then saves or rescues what is left (A2). Files that are still open answer ENOTCONN once
    /// the daemon is gone.
    ///
    /// # Errors
    /// When the mount cannot be taken out of the tree, or the session ended with an error.
    pub async fn end(mut self, ending: Ending, grace: Duration) -> io::Result<()> {
        let until = tokio::time::Instant::now() + grace;
        let detached = match self.is_over() {
            true => Ok(()),
            false => unmount(&self.at, Busy::Detach),
        };
        self.tasks.close();
        if tokio::time::timeout_at(until, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                ?grace,
                "the grace time is over; saves still under way are rescued"
            );
        }
        self.vfs.finish(ending).await;
        // Whoever still has files open may keep them for ever; everything is settled by now.
        let until = tokio::time::Instant::now() + LAST_CLOSES;
        while !self.is_over() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let is_over = self.is_over();
        let serving = std::mem::replace(&mut self.session.guard, std::thread::spawn(|| Ok(())));
        // fuser would unmount by path, also when the kernel has done so already (its test of that is the
        // wrong way round), and something else may be at that place by now, or has been there all along.
        std::mem::forget(self.session);
        if is_over {
            match serving.join() {
                // How the end of the connection looks to a thread that was just reading from it.
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Ok(result) => result?,
                Err(_) => return Err(io::Error::other("a thread that serves the kernel panicked")),
            }
        } else {
            tracing::warn!("files are still open; they end with the daemon");
        }
        detached
    }
}
