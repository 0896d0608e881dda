//! The files that hold larger bodies: created before the commit that makes them visible, removed
//! after the commit that drops them, but never under a reader.
//!
//! It knows nothing of objects. A file is part of the store if and only if the index counts its id,
//! so there is nothing to rename: a file that no commit mentions is an orphan and is removed at the
//! next start. Read [`super::writer`] for who calls [`Blobs::remove`].

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use tokio::io::AsyncWriteExt;

use super::Durability;

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
        self.dir.join(format!("{id:016x}"))
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

    /// Removes every file that is not in `live`; returns how many.
    pub(super) fn remove_orphans(&self, live: &HashSet<u64>) -> io::Result<usize> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|n| u64::from_str_radix(n, 16).ok());
            // A file that is not ours by its name is left alone.
            if id.is_some_and(|id| !live.contains(&id) && self.path(id) == entry.path()) {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
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

/// A reader's claim on body files.
pub(in crate::server) struct Lease {
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
pub(in crate::server) struct NewBlob {
    blobs: Arc<Blobs>,
    id: u64,
    file: Option<tokio::fs::File>,
    published: bool,
}

impl NewBlob {
    pub(super) async fn create(blobs: &Arc<Blobs>) -> io::Result<Self> {
        let id = blobs.next_id();
        let file = tokio::fs::File::create_new(blobs.path(id)).await?;
        Ok(Self {
            blobs: Arc::clone(blobs),
            id,
            file: Some(file),
            published: false,
        })
    }

    /// Appends bytes.
    pub(in crate::server) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(bytes).await,
            None => Err(io::Error::other("the body is finished")),
        }
    }

    /// Closes the file and, if so configured, syncs it and its name.
    pub(in crate::server) async fn finish(&mut self) -> io::Result<()> {
        let Some(mut file) = self.file.take() else {
            return Ok(());
        };
        file.flush().await?;
        if self.blobs.durability == Durability::PowerLoss {
            file.sync_all().await?;
            tokio::fs::File::open(&self.blobs.dir)
                .await?
                .sync_all()
                .await?;
        }
        Ok(())
    }

    /// Hands the file over to the transaction that counts its id.
    pub(super) fn publish(mut self) -> u64 {
        self.published = true;
        self.id
    }
}

impl Drop for NewBlob {
    fn drop(&mut self) {
        if !self.published {
            self.blobs.unlink(self.id);
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
    fn orphans_go_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = blobs(&dir);
        fs::write(blobs.path(1), b"live").unwrap();
        fs::write(blobs.path(2), b"orphan").unwrap();
        fs::write(dir.path().join("README"), b"not ours").unwrap();
        assert_eq!(blobs.remove_orphans(&HashSet::from([1])).unwrap(), 1);
        assert!(blobs.path(1).exists());
        assert!(!blobs.path(2).exists());
        assert!(dir.path().join("README").exists());
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
