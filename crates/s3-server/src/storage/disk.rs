//! The data directory itself: its marker, its index file, and how hard that file is synced.
//!
//! It knows nothing of what the index holds. A second server on the same directory is refused here,
//! by the lock on the index file. Read [`super::index`] next.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::panic::{UnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

use redb::backends::FileBackend;
use redb::{BackendError, Database, DatabaseError, StorageBackend};

use super::Durability;
use crate::error::Error;

const INDEX: &str = "index.redb";
/// Memory the index may use for its pages, in bytes.
const CACHE: usize = 32 * 1024 * 1024;

/// Makes the directories; returns that of the bodies.
pub(super) fn prepare(dir: &Path) -> Result<PathBuf, Error> {
    let bodies = bodies(dir);
    std::fs::create_dir_all(&bodies).map_err(|e| Error::io(dir, e))?;
    Ok(bodies)
}

/// The directory of the bodies.
pub(super) fn bodies(dir: &Path) -> PathBuf {
    dir.join("blobs")
}

/// The index file.
pub(super) fn index(dir: &Path) -> PathBuf {
    dir.join(INDEX)
}

/// Opens the index, locks it for this process, and checks all of it: redb verifies its checksums
/// only when it is asked to, and may panic on a page that was damaged.
pub(super) fn open_index(dir: &Path, durability: Durability) -> Result<Database, Error> {
    without_a_word(|| open_and_check(dir, durability)).unwrap_or_else(|panic| {
        let why = panic.downcast_ref::<String>().map(String::as_str);
        let why = why.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Error::corrupt(dir, why.unwrap_or("it is damaged")))
    })
}

/// Runs `op`; a panic in it is returned, and not printed.
fn without_a_word<T>(op: impl FnOnce() -> T + UnwindSafe) -> std::thread::Result<T> {
    thread_local!(static IS_QUIET: Cell<bool> = const { Cell::new(false) });
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                loud(panic);
            }
        }));
    });
    IS_QUIET.set(true);
    let result = catch_unwind(op);
    IS_QUIET.set(false);
    result
}

fn open_and_check(dir: &Path, durability: Durability) -> Result<Database, Error> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(index(dir))
        .map_err(|e| Error::io(dir, e))?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    let opened = match durability {
        Durability::PowerLoss => builder.create_file(file),
        Durability::ProcessDeath => {
            FileBackend::new(file).and_then(|inner| builder.create_with_backend(Unsynced(inner)))
        }
    };
    let in_words = |error| match error {
        DatabaseError::DatabaseAlreadyOpen => Error::InUse(dir.to_owned()),
        other => Error::corrupt(dir, other),
    };
    let mut index = opened.map_err(in_words)?;
    if !index.check_integrity().map_err(in_words)? {
        return Err(Error::corrupt(dir, "its checksums do not match"));
    }
    if durability == Durability::PowerLoss {
        sync_names(dir).map_err(|e| Error::io(dir, e))?;
    }
    Ok(index)
}

/// Makes the names of the index, of the directory of bodies and of their own directory last; what
/// is in them is synced as it is written.
fn sync_names(dir: &Path) -> io::Result<()> {
    let dir = dir.canonicalize()?;
    File::open(&dir)?.sync_all()?;
    match dir.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// An index file that is never synced. Every commit still reaches the operating system before it
/// is acknowledged, so it survives the process; the order of writes only matters to a power loss.
#[derive(Debug)]
struct Unsynced(FileBackend);

impl StorageBackend for Unsynced {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.query_lock_range(start, end)
    }
}
