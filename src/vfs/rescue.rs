//! Rescue: the kept bytes of refused and failed saves.
//!
//! A rescue is two files in the state directory, `ID.value` (the bytes) and `ID.json` (what they
//! are and why they are here). The second is written last and both appear by renaming, so that a
//! rescue is complete or absent whatever happens to the daemon (A2). Nothing of it ever goes to the
//! store. The command line reads the same directory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use uuid::Uuid;

/// Why bytes were rescued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Somebody else saved first.
    Conflict,
    /// It is not known whether the save happened.
    Unknown,
    /// The save failed, and certainly did not happen.
    Failed,
    /// The mount ended before the file was closed.
    Unmounted,
}

/// What is known of rescued bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The name of the rescue; sorts by time.
    pub id: String,
    /// When, in RFC 3339.
    pub time: String,
    /// What was mounted: `s3://bucket/prefix`.
    pub source: String,
    /// The store; `flat` without a store level.
    pub store: String,
    /// The key.
    pub key: String,
    /// The ETag that the save was to replace, or `absent`.
    pub expected: String,
    /// The ETag that was found instead, `absent`, or `unknown`.
    pub found: String,
    /// Why.
    pub reason: Reason,
    /// What happened, in words.
    pub message: String,
    /// The bytes are not a whole value, but what was to be put behind the end of one.
    #[serde(default)]
    pub appended: bool,
    /// How many bytes were kept.
    pub size: u64,
    /// The process that wrote it; 0 if unknown.
    pub pid: u32,
}

impl Record {
    /// The address of the key, as the command line writes it.
    pub fn address(&self) -> String {
        match &*self.store {
            "flat" => format!("{}/{}", self.source, self.key),
            store => format!("{}/{store}/{}", self.source, self.key),
        }
    }
}

/// What a rescue is about; the rest of its [`Record`] is filled in.
#[derive(Clone, Debug)]
pub struct Loss {
    /// As in [`Record`].
    pub store: String,
    /// As in [`Record`].
    pub key: String,
    /// As in [`Record`].
    pub expected: String,
    /// As in [`Record`].
    pub found: String,
    /// As in [`Record`].
    pub reason: Reason,
    /// As in [`Record`].
    pub message: String,
    /// As in [`Record`].
    pub appended: bool,
    /// As in [`Record`].
    pub pid: u32,
}

/// The directory of rescues. Calls block on the local disk.
#[derive(Clone, Debug)]
pub struct Rescue {
    dir: PathBuf,
    source: String,
}

impl Rescue {
    /// The rescues of a mount of `source`, in a state directory (made on first use, for its
    /// owner only).
    pub fn new(state_dir: &Path, source: impl Into<String>) -> Self {
        Self {
            dir: state_dir.join("rescue"),
            source: source.into(),
        }
    }

    /// Keeps bytes, and returns once both files are on the disk.
    ///
    /// # Errors
    /// Any error of the local file system; then nothing of this rescue is seen.
    pub fn keep(&self, loss: Loss, bytes: &[u8], now: OffsetDateTime) -> io::Result<Record> {
        let stamp = now
            .format(format_description!(
                "[year][month][day]T[hour][minute][second].[subsecond digits:3]"
            ))
            .map_err(io::Error::other)?;
        let unique = Uuid::new_v4().simple().to_string();
        let record = Record {
            id: format!("{stamp}-{}", &unique[..8]),
            time: now.format(&Rfc3339).map_err(io::Error::other)?,
            source: self.source.clone(),
            store: loss.store,
            key: loss.key,
            expected: loss.expected,
            found: loss.found,
            reason: loss.reason,
            message: loss.message,
            appended: loss.appended,
            size: bytes.len() as u64,
            pid: loss.pid,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)?;
        self.write(&self.value_path(&record.id), bytes)?;
        let json = serde_json::to_vec_pretty(&record).map_err(io::Error::other)?;
        self.write(&self.record_path(&record.id), &json)?;
        File::open(&self.dir)?.sync_all()?;
        Ok(record)
    }

    /// All complete rescues, oldest first; of all sources when the rescues of one mount are not
    /// asked for.
    ///
    /// # Errors
    /// Any error of the local file system; a directory that does not exist holds none.
    pub fn list(&self, of_all_sources: bool) -> io::Result<Vec<Record>> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            match fs::read(&path).map(|json| serde_json::from_slice::<Record>(&json)) {
                Ok(Ok(record)) => records.push(record),
                Ok(Err(error)) => {
                    tracing::warn!(path = %path.display(), %error, "not a rescue record");
                }
                // Dropped meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        records.retain(|record| of_all_sources || record.source == self.source);
        records.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(records)
    }

    /// The bytes of a rescue.
    ///
    /// # Errors
    /// Any error of the local file system; `NotFound` for an unknown id.
    pub fn read(&self, id: &str) -> io::Result<Vec<u8>> {
        fs::read(self.value_path(checked(id)?))
    }

    /// Forgets a rescue.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn forget(&self, id: &str) -> io::Result<()> {
        let id = checked(id)?;
        fs::remove_file(self.record_path(id))?;
        fs::remove_file(self.value_path(id))
    }

    fn value_path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.value"))
    }

    fn record_path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".new");
        let result = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&temporary, path));
        if result.is_err() {
            // Nothing is lost by leaving it: without a record it is no rescue.
            let _ = fs::remove_file(&temporary);
        }
        result
    }
}

/// Keeps an id from the command line inside the directory.
fn checked(id: &str) -> io::Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    match !id.is_empty() && id.bytes().all(plain) && !id.contains("..") {
        true => Ok(id),
        false => Err(io::Error::new(io::ErrorKind::NotFound, "no such rescue")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss() -> Loss {
        Loss {
            store: "flat".to_owned(),
            key: "k".to_owned(),
            expected: "\"1\"".to_owned(),
            found: "\"2\"".to_owned(),
            reason: Reason::Conflict,
            message: "somebody else saved first".to_owned(),
            appended: false,
            pid: 1,
        }
    }

    #[test]
    fn rescued_bytes_come_back_and_can_be_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let rescue = Rescue::new(dir.path(), "s3://b");
        assert!(rescue.list(true).expect("a list").is_empty());
        let record = rescue
            .keep(loss(), b"bytes", OffsetDateTime::UNIX_EPOCH)
            .expect("kept");
        assert_eq!(rescue.list(false).expect("a list").len(), 1);
        assert_eq!(rescue.read(&record.id).expect("bytes"), b"bytes");
        let other = Rescue::new(dir.path(), "s3://other");
        assert!(other.list(false).expect("a list").is_empty());
        assert_eq!(other.list(true).expect("a list").len(), 1);
        rescue.forget(&record.id).expect("forgotten");
        assert!(rescue.list(true).expect("a list").is_empty());
    }

    #[test]
    fn a_value_without_a_record_is_no_rescue() {
        let dir = tempfile::tempdir().expect("a directory");
        let rescue = Rescue::new(dir.path(), "s3://b");
        fs::create_dir_all(dir.path().join("rescue")).expect("a directory");
        fs::write(dir.path().join("rescue/x.value"), b"torn").expect("written");
        fs::write(dir.path().join("rescue/x.json.new"), b"{").expect("written");
        assert!(rescue.list(true).expect("a list").is_empty());
    }

    #[test]
    fn an_id_cannot_lead_out_of_the_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        let rescue = Rescue::new(dir.path(), "s3://b");
        for id in ["../x", "a/b", "", ".."] {
            assert_eq!(
                rescue.read(id).map_err(|error| error.kind()),
                Err(io::ErrorKind::NotFound)
            );
        }
    }
}
