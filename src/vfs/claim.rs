//! A rescue that is being saved after all: by one process at a time, and by none twice.
//!
//! The record is locked (flock) meanwhile. What was to be appended cannot tell from the value whether it is there
//! already, so that before each attempt it is noted, durably, which version that attempt replaces. It makes no
//! request; `cli/kv/rescued.rs` does.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::pairs::{checked, open_regular, record_path};

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
        // Whoever had it may have saved it, and forgotten it.
        let (locked, named) = (record.metadata()?, fs::symlink_metadata(&path)?);
        match (locked.dev(), locked.ino()) == (named.dev(), named.ino()) {
            true => Ok(Some(Self {
                _record: record,
                mark: dir.join(format!("{id}.applying")),
                dir,
            })),
            false => Err(ErrorKind::NotFound.into()),
        }
    }

    /// Notes which version the attempt replaces that is about to be made.
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

    /// What the last attempt replaced, if it is not known what became of it.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub fn begun(&self) -> io::Result<Option<String>> {
        match fs::read(&self.mark) {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// It is known what became of the last attempt.
    pub fn settle(&self) {
        // One too many makes us ask once more.
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
        assert_eq!(claim.begun().expect("read"), None);
        claim.begin("\"1\"").expect("noted");
        drop(claim);
        let claim = take("id").expect("taken").expect("free again");
        assert_eq!(claim.begun().expect("read").as_deref(), Some("\"1\""));
        claim.settle();
        assert_eq!(claim.begun().expect("read"), None);
    }
}
