//! Rescues on the local disk: the kept bytes of refused and failed saves.
//!
//! A rescue is a [pair](super::pairs) in the state directory. Its record appears last, and both files appear
//! whole and durable, so that a rescue is complete or absent whatever happens to the daemon (A2). Nothing of
//! it ever goes to the store. The command line reads the same directory; `keeper.rs` handles rescues that
//! have no room there.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use uuid::Uuid;

use super::blank::Reserve;
use super::claim;
use super::pairs::{self, FORMAT, Ids, Odd, checked, record_path, value_path};
use crate::model::Server;

/// Why bytes were rescued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Another process or machine saved first.
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
    /// The version of the format.
    #[serde(default = "first")]
    format: u32,
    /// The name of the rescue; names sort by time.
    pub id: String,
    /// When, in RFC 3339.
    pub time: String,
    /// What was mounted: `s3://bucket/prefix`.
    pub source: String,
    /// The server that it was on; older versions of etagfs did not store it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Server>,
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
    /// The bytes are not a whole value, but were to be appended to one.
    #[serde(default)]
    pub appended: bool,
    /// How many bytes were kept.
    pub size: u64,
    /// The process that wrote it; 0 if unknown.
    pub pid: u32,
}

fn first() -> u32 {
    1
}

impl pairs::Record for Record {
    fn id(&self) -> &str {
        &self.id
    }

    fn size(&self) -> Option<u64> {
        Some(self.size)
    }
}

/// What is mounted; rescues and scratch files belong to one such source.
#[derive(Clone, Debug)]
pub(super) struct MountedSource {
    /// Its name in messages: `s3://bucket/prefix`.
    pub(super) source: String,
    /// The server that it is on.
    pub(super) server: Server,
}

impl MountedSource {
    /// Whether something that was kept of `source` on `server` belongs to this one. Older versions of etagfs
    /// stored no server.
    pub(super) fn is(&self, source: &str, server: Option<&Server>) -> bool {
        self.source == source && server.is_none_or(|server| self.server.is_same(server))
    }
}

impl Record {
    /// The record of this many bytes that are rescued now.
    pub(super) fn new(
        loss: Loss,
        place: &MountedSource,
        size: usize,
        now: OffsetDateTime,
    ) -> io::Result<Self> {
        let stamp = now
            .format(format_description!(
                "[year][month][day]T[hour][minute][second].[subsecond digits:3]"
            ))
            .map_err(io::Error::other)?;
        let unique = Uuid::new_v4().simple().to_string();
        Ok(Self {
            format: FORMAT,
            id: format!("{stamp}-{}", &unique[..8]),
            time: now.format(&Rfc3339).map_err(io::Error::other)?,
            source: place.source.clone(),
            server: Some(place.server.clone()),
            store: loss.store,
            key: loss.key,
            expected: loss.expected,
            found: loss.found,
            reason: loss.reason,
            message: loss.message,
            appended: loss.appended,
            size: size as u64,
            pid: loss.pid,
        })
    }

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
#[derive(Debug)]
pub struct Rescue {
    dir: PathBuf,
    reserve: Reserve,
}

impl Rescue {
    /// The rescues in a state directory.
    pub fn new(state_dir: &Path) -> Self {
        let dir = state_dir.join("rescue");
        Self {
            reserve: Reserve::new(dir.clone()),
            dir,
        }
    }

    /// Creates the directory if there is none, and reserves descriptors for later rescues.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn prepare(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.dir)?;
        self.reserve.fill()
    }

    /// Keeps bytes, and returns once both files are on the disk.
    ///
    /// # Errors
    /// Any error of the local file system; then nothing of this rescue is visible.
    pub(super) fn keep(&self, record: &Record, bytes: &[u8]) -> io::Result<()> {
        self.keep_value(record, |value| {
            let blank = self.reserve.blank()?;
            blank.hold();
            blank.publish(bytes, value)?;
            Ok(blank)
        })
    }

    /// Keeps the bytes of a file on the same file system, under a second name.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    pub(super) fn keep_file(&self, record: &Record, file: &Path) -> io::Result<()> {
        self.keep_value(record, |value| {
            let held = File::open(file)?;
            held.sync_all()?;
            // Its open file is locked already.
            pairs::hold(&held);
            fs::hard_link(file, value)?;
            Ok(held)
        })
    }

    fn keep_value<Held>(
        &self,
        record: &Record,
        put: impl Fn(&Path) -> io::Result<Held>,
    ) -> io::Result<()> {
        let kept = match self.write(record, &put) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // Someone has cleaned up, and deleted the directory.
                self.reserve.let_go();
                self.prepare()?;
                self.write(record, &put)
            }
            kept => kept,
        };
        // The next one tries again.
        let _ = self.reserve.fill();
        kept
    }

    /// `put` writes the bytes to their path, and locks them.
    fn write<Held>(
        &self,
        record: &Record,
        put: impl Fn(&Path) -> io::Result<Held>,
    ) -> io::Result<()> {
        let value = value_path(&self.dir, &record.id);
        // Until there is a record, the lock shows that its writer was not killed.
        let _held = put(&value)?;
        let json = serde_json::to_vec_pretty(record).map_err(io::Error::other);
        let told = json.and_then(|json| {
            let path = record_path(&self.dir, &record.id);
            self.reserve.blank()?.publish(&json, &path)
        });
        if let Err(error) = told.and_then(|()| self.reserve.sync()) {
            // The record first: nothing incomplete is ever visible.
            let _ = fs::remove_file(record_path(&self.dir, &record.id));
            let _ = fs::remove_file(value);
            return Err(error);
        }
        Ok(())
    }

    /// All rescues, oldest first, and those that cannot be read.
    ///
    /// # Errors
    /// When the directory cannot be read; one that does not exist holds none.
    pub fn list(&self) -> io::Result<(Vec<Record>, Vec<Odd>)> {
        pairs::all(&self.dir)
    }

    /// The names of all rescues, oldest first, and of those that cannot be read.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub(super) fn ids(&self) -> io::Result<Ids> {
        pairs::ids(&self.dir)
    }

    /// What is known of a rescue, without its bytes.
    ///
    /// # Errors
    /// What is wrong with it; `None` if there is none.
    pub fn record(&self, id: &str) -> Result<Record, Option<Odd>> {
        let id = checked(id).map_err(|_| None)?;
        pairs::record(&self.dir, id)
    }

    /// Whether a rescue still exists.
    pub(super) fn has(&self, id: &str) -> bool {
        checked(id).is_ok_and(|id| fs::symlink_metadata(record_path(&self.dir, id)).is_ok())
    }

    /// The bytes of a rescue, for reading.
    ///
    /// # Errors
    /// Any error of the local file system; `NotFound` for an unknown id.
    pub fn open(&self, id: &str) -> io::Result<File> {
        pairs::open_value(&self.dir, id)
    }

    /// The bytes of a rescue.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(&self, id: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut self.open(id)?, &mut bytes)?;
        Ok(bytes)
    }

    /// Deletes a rescue, even one that cannot be read.
    ///
    /// # Errors
    /// Any error of the local file system; `NotFound` for an unknown id.
    pub fn forget(&self, id: &str) -> io::Result<()> {
        pairs::forget(&self.dir, id)?;
        // It is no longer needed.
        let _ = fs::remove_file(claim::mark(&self.dir, id));
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::vfs) fn loss(key: &str) -> Loss {
        Loss {
            store: "flat".to_owned(),
            key: key.to_owned(),
            expected: "\"1\"".to_owned(),
            found: "\"2\"".to_owned(),
            reason: Reason::Conflict,
            message: "somebody else saved first".to_owned(),
            appended: false,
            pid: 1,
        }
    }

    pub(in crate::vfs) fn place(source: &str, endpoint: &str) -> MountedSource {
        MountedSource {
            source: source.to_owned(),
            server: Server {
                endpoint: Some(endpoint.to_owned()),
                region: None,
            },
        }
    }

    fn kept(rescue: &Rescue, bytes: &[u8]) -> Record {
        let now = OffsetDateTime::UNIX_EPOCH;
        let record = Record::new(loss("k"), &place("s3://b", ""), bytes.len(), now).unwrap();
        rescue.keep(&record, bytes).unwrap();
        record
    }

    #[test]
    fn rescued_bytes_come_back_and_can_be_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let rescue = Rescue::new(dir.path());
        assert_eq!(rescue.list().unwrap(), (vec![], vec![]));
        let record = kept(&rescue, b"bytes");
        assert_eq!(rescue.list().unwrap(), (vec![record.clone()], vec![]));
        assert_eq!(rescue.record(&record.id), Ok(record.clone()));
        assert_eq!(rescue.read(&record.id).unwrap(), b"bytes");
        rescue.forget(&record.id).unwrap();
        assert_eq!(rescue.list().unwrap(), (vec![], vec![]));
        assert_eq!(rescue.record(&record.id), Err(None));
        let again = rescue.forget(&record.id).map_err(|error| error.kind());
        assert_eq!(again, Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn a_directory_that_was_taken_away_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let rescue = Rescue::new(dir.path());
        rescue.prepare().unwrap();
        fs::remove_dir(dir.path().join("rescue")).unwrap();
        let record = kept(&rescue, b"bytes");
        assert_eq!(rescue.read(&record.id).unwrap(), b"bytes");
    }

    #[test]
    fn a_value_whose_writer_was_killed_is_named_and_can_be_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let rescue = Rescue::new(dir.path());
        rescue.prepare().unwrap();
        fs::write(dir.path().join("rescue/x.value"), b"torn").unwrap();
        fs::write(dir.path().join("rescue/x.json.new"), b"{").unwrap();
        let odd = Odd {
            id: "x".to_owned(),
            why: "its record is missing".to_owned(),
            size: Some(4),
        };
        assert_eq!(rescue.list().unwrap(), (vec![], vec![odd]));
        rescue.forget("x").unwrap();
        assert_eq!(rescue.list().unwrap(), (vec![], vec![]));
    }
}
