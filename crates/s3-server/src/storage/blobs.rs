//! The files that hold larger bodies: created before the commit that makes them visible, removed
//! after the commit that drops them, but never under a reader.
//!
//! It knows nothing of objects. While a body arrives, its file has a name of its own, and is removed
//! at the next start if the server ends; once it is whole it has its final name, and a commit counts
//! it. A whole body that the index does not count is moved to `unclaimed`, never removed: the index may
//! be what is wrong. Read [`super::writer`] for who calls [`Blobs::remove`].

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use tokio::io::AsyncWriteExt;

use super::Durability;
use super::sums::Summing;

/// The directory of body files.
pub(super) struct Blobs {
    dir: PathBuf,
    durability: Durability,
    next_id: AtomicU64,
    /// Held shared from the start of a snapshot until its bodies are leased.
    gate: RwLock<()>,
    pins: Mutex<Pins>,
}

#[derive(Default)]
struct Pins {
    readers: HashMap<u64, usize>,
    /// Dropped from the index but still read by somebody.
    doomed: HashSet<u64>,
}

impl Blobs {
    pub(super) fn new(dir: PathBuf, durability: Durability, first_id: u64) -> Self {
        Self {
            dir,
            durability,
            next_id: AtomicU64::new(first_id),
            gate: RwLock::new(()),
            pins: Mutex::default(),
        }
    }

    /// The next id, never given out before; shared by files and by bodies in the index.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn path(&self, id: u64) -> PathBuf {
        self.dir.join(name(id))
    }

    /// Announces a reader that has a snapshot but no lease yet.
    pub(super) fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the files of `ids` until the lease is dropped. Call it inside [`Blobs::enter`].
    pub(super) fn lease(self: &Arc<Self>, ids: Vec<u64>) -> Lease {
        let mut pins = self.pins();
        for id in &ids {
            *pins.readers.entry(*id).or_default() += 1;
        }
        drop(pins);
        Lease {
            blobs: Arc::clone(self),
            ids,
        }
    }

    /// Removes the files that a commit has just dropped; those being read go with their last lease.
    pub(super) fn remove(&self, ids: &[u64]) {
        if ids.is_empty() {
            return;
        }
        // Whoever began a snapshot before that commit is past the gate after this, lease in hand;
        // whoever begins one now cannot see these files any more.
        drop(self.gate.write().unwrap_or_else(PoisonError::into_inner));
        for &id in ids {
            let mut pins = self.pins();
            if pins.readers.contains_key(&id) {
                pins.doomed.insert(id);
            } else {
                drop(pins);
                self.unlink(id);
            }
        }
    }

    /// Where whole bodies go that the index does not count.
    pub(super) fn unclaimed(&self) -> PathBuf {
        self.dir.join("unclaimed")
    }

    /// Clears up behind a server that did not end in good order: removes bodies that never became
    /// whole, and moves whole ones away that are not in `live`. Other files are left alone.
    pub(super) fn clear_up(&self, live: &HashSet<u64>) -> io::Result<Left> {
        let mut left = Left::default();
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if is_unfinished(&path) {
                fs::remove_file(path)?;
                left.unfinished += 1;
            }
        }
        for id in stored(&self.dir)?.difference(live) {
            fs::create_dir_all(self.unclaimed())?;
            fs::rename(self.path(*id), self.unclaimed().join(name(*id)))?;
            left.unclaimed += 1;
        }
        Ok(left)
    }

    fn unfinished(&self, id: u64) -> PathBuf {
        self.dir.join(format!("{}{UNFINISHED}", name(id)))
    }

    fn pins(&self) -> MutexGuard<'_, Pins> {
        self.pins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unlink(&self, id: u64) {
        if let Err(error) = fs::remove_file(self.path(id)) {
            tracing::warn!(id, %error, "could not remove a body that is no longer used");
        }
    }
}

/// What a server left behind that did not end in good order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Bodies that never became whole; removed.
    pub(super) unfinished: usize,
    /// Whole bodies that the index does not count; moved away.
    pub(super) unclaimed: usize,
}

/// What the name of a body that is not whole ends in.
const UNFINISHED: &str = ".part";

fn name(id: u64) -> String {
    format!("{id:016x}")
}

fn is_unfinished(path: &Path) -> bool {
    let file = path.file_name().and_then(|file| file.to_str());
    file.and_then(|file| file.strip_suffix(UNFINISHED))
        .is_some_and(|stem| id_of(stem).is_some())
}

fn id_of(file: &str) -> Option<u64> {
    let id = u64::from_str_radix(file, 16).ok()?;
    (name(id) == file).then_some(id)
}

/// The whole bodies in a directory.
pub(super) fn stored(dir: &Path) -> io::Result<HashSet<u64>> {
    let mut ids = HashSet::new();
    for entry in fs::read_dir(dir)? {
        ids.extend(entry?.file_name().to_str().and_then(id_of));
    }
    Ok(ids)
}

/// A reader's claim on body files.
pub(crate) struct Lease {
    blobs: Arc<Blobs>,
    ids: Vec<u64>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut unused = Vec::new();
        let mut pins = self.blobs.pins();
        for id in &self.ids {
            if let Some(readers) = pins.readers.get_mut(id) {
                *readers -= 1;
                if *readers == 0 {
                    pins.readers.remove(id);
                    if pins.doomed.remove(id) {
                        unused.push(*id);
                    }
                }
            }
        }
        drop(pins);
        for id in unused {
            self.blobs.unlink(id);
        }
    }
}

/// A body file that no commit mentions yet; removed on drop unless [`NewBlob::publish`]ed.
pub(crate) struct NewBlob {
    blobs: Arc<Blobs>,
    id: u64,
    file: Option<tokio::fs::File>,
    sums: Summing,
    published: bool,
}

impl NewBlob {
    pub(super) async fn create(blobs: &Arc<Blobs>) -> io::Result<Self> {
        let id = blobs.next_id();
        let file = tokio::fs::File::create_new(blobs.unfinished(id)).await?;
        Ok(Self {
            blobs: Arc::clone(blobs),
            id,
            file: Some(file),
            sums: Summing::default(),
            published: false,
        })
    }

    /// Appends bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => {
                self.sums.update(bytes);
                file.write_all(bytes).await
            }
            None => Err(io::Error::other("the body is finished")),
        }
    }

    /// Closes the file, gives it its final name and, if so configured, syncs both.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        file.flush().await?;
        if self.blobs.durability == Durability::PowerLoss {
            file.sync_all().await?;
        }
        tokio::fs::rename(self.blobs.unfinished(self.id), self.blobs.path(self.id)).await?;
        if self.blobs.durability == Durability::PowerLoss {
            tokio::fs::File::open(&self.blobs.dir)
                .await?
                .sync_all()
                .await?;
        }
        Ok(())
    }

    /// Hands the file over to the transaction that counts its id and keeps its checksums.
    pub(super) fn publish(mut self) -> (u64, Vec<u8>) {
        self.published = true;
        (self.id, std::mem::take(&mut self.sums).finish())
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        let path = match self.file {
            Some(_) => self.blobs.unfinished(self.id),
            None => self.blobs.path(self.id),
        };
        if let Err(error) = fs::remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "could not remove a body that nobody wants");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs(dir: &tempfile::TempDir) -> Arc<Blobs> {
        Arc::new(Blobs::new(
            dir.path().to_owned(),
            Durability::ProcessDeath,
            0,
        ))
    }

    #[test]
    fn a_leased_body_outlives_its_removal() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = blobs(&dir);
        fs::write(blobs.path(7), b"x").unwrap();
        let first = blobs.lease(vec![7]);
        let second = blobs.lease(vec![7]);
        blobs.remove(&[7]);
        drop(first);
        assert!(blobs.path(7).exists(), "removed under the second reader");
        drop(second);
        assert!(!blobs.path(7).exists());
    }

    #[test]
    fn an_unleased_body_goes_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = blobs(&dir);
        fs::write(blobs.path(7), b"x").unwrap();
        blobs.remove(&[7]);
        assert!(!blobs.path(7).exists());
    }

    #[test]
    fn what_never_became_whole_is_removed_and_what_nobody_claims_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = blobs(&dir);
        fs::write(blobs.path(1), b"live").unwrap();
        fs::write(blobs.path(2), b"unclaimed").unwrap();
        fs::write(blobs.unfinished(3), b"half").unwrap();
        fs::write(dir.path().join("README"), b"not ours").unwrap();
        fs::write(dir.path().join("7.part"), b"not ours").unwrap();
        let left = Left {
            unfinished: 1,
            unclaimed: 1,
        };
        assert_eq!(blobs.clear_up(&HashSet::from([1])).unwrap(), left);
        assert!(blobs.path(1).exists());
        assert!(!blobs.path(2).exists() && !blobs.unfinished(3).exists());
        assert_eq!(
            fs::read(blobs.unclaimed().join(name(2))).unwrap(),
            b"unclaimed"
        );
        assert!(dir.path().join("README").exists() && dir.path().join("7.part").exists());
        assert_eq!(
            blobs.clear_up(&HashSet::from([1])).unwrap(),
            Left::default()
        );
    }

    #[tokio::test]
    async fn an_unpublished_body_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = blobs(&dir);
        let mut new = NewBlob::create(&blobs).await.unwrap();
        new.write(b"abc").await.unwrap();
        new.finish().await.unwrap();
        drop(new);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
