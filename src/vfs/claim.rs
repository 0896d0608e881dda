//! A rescue that is being saved after all: by one process at a time, and never twice.
//!
//! The record is locked (flock) meanwhile. The value does not show whether bytes were already appended to it.
//! So before each attempt, the version that it replaces is noted durably. This module makes no request;
//! `cli/kv/rescued.rs` does.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::pairs::{checked, open_regular, record_path, small};

/// The content of the mark when the rescue is saved. No version has this name.
const DONE: &str = "done";

/// The path of the note of the version that the last attempt replaces.
pub(super) fn mark(dir: &Path, id: &str) -> PathBuf {
    dir.join(format!("{id}.applying"))
}

/// What is known of earlier attempts to save a rescue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// There was none, or it certainly did nothing.
    No,
    /// One replaced this version, if it happened.
    Replacing(String),
    /// One happened, but the rescue could not be deleted then.
    Done,
}

/// The right to save one rescue, until it is dropped.
#[derive(Debug)]
pub struct Claim {
    _record: File,
    dir: PathBuf,
    mark: PathBuf,
}

impl Claim {
    /// Claims a rescue of a state directory; nothing if another process has it.
    ///
    /// # Errors
    /// `NotFound` when there is no such rescue; any other error of the local file system.
    pub fn take(state_dir: &Path, id: &str) -> io::Result<Option<Self>> {
        let dir = state_dir.join("rescue");
        let path = record_path(&dir, checked(id)?);
        let record = open_regular(&path, File::options().read(true))?;
        match flock(&record, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        // The process that had it may have saved and deleted it.
        let (locked, named) = (record.metadata()?, fs::symlink_metadata(&path)?);
        match (locked.dev(), locked.ino()) == (named.dev(), named.ino()) {
            true => Ok(Some(Self {
                _record: record,
                mark: mark(&dir, id),
                dir,
            })),
            false => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Notes the version that the next attempt replaces.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub fn begin(&self, replaces: &str) -> io::Result<()> {
        let mut new = self.mark.clone().into_os_string();
        new.push(".new");
        let mut how = File::options();
        how.write(true).create(true).truncate(true).mode(0o600);
        let mut file = open_regular(Path::new(&new), &mut how)?;
        file.write_all(replaces.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.mark)?;
        File::open(&self.dir)?.sync_all()
    }

    /// Notes that the rescue is saved.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub fn done(&self) -> io::Result<()> {
        self.begin(DONE)
    }

    /// What is known of earlier attempts.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub fn begun(&self) -> io::Result<Begun> {
        match small(&self.mark) {
            Ok(text) if text == DONE.as_bytes() => Ok(Begun::Done),
            Ok(text) => Ok(Begun::Replacing(
                String::from_utf8_lossy(&text).into_owned(),
            )),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Begun::No),
            Err(error) => Err(error),
        }
    }

    /// Notes that the last attempt did nothing.
    pub fn settle(&self) {
        // A mark too many only costs one more check.
        let _ = fs::remove_file(&self.mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rescue_is_claimed_by_one_and_an_attempt_is_remembered() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("rescue")).expect("made");
        let take = |id: &str| Claim::take(dir.path(), id);
        for id in ["none", "../x", ""] {
            assert_eq!(take(id).expect_err(id).kind(), ErrorKind::NotFound);
        }
        fs::write(dir.path().join("rescue/id.json"), "{}").expect("written");
        let claim = take("id").expect("taken").expect("the first");
        assert!(take("id").expect("looked").is_none());
        assert_eq!(claim.begun().expect("read"), Begun::No);
        claim.begin("\"1\"").expect("noted");
        drop(claim);
        let claim = take("id").expect("taken").expect("free again");
        let replacing = Begun::Replacing("\"1\"".to_owned());
        assert_eq!(claim.begun().expect("read"), replacing);
        claim.settle();
        assert_eq!(claim.begun().expect("read"), Begun::No);
        claim.done().expect("noted");
        assert_eq!(claim.begun().expect("read"), Begun::Done);
    }
}
