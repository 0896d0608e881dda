//! A file, by ordinary file operations, each of which may wait as long as its filesystem does.
//!
//! In a mount of etagfs the rules of saves do the work: a process that read a file and saves it is told of a
//! conflict (`EAGAIN`), so that a version is shown to this process before it is replaced. A file that is in no
//! mount has no versions; it is replaced in one step, and what needs a version is refused. It makes no request.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::Error;
use super::identity::Identity;
use super::value::{About, Got, IN_MEMORY, Part, READS, ReadOutcome, ValueBytes, Wanted};
use crate::backend::Meta;
use crate::model::{OBJECT_ATTRIBUTE, Outcome, PUT_ATTRIBUTE, Precondition, PutId, Version};
use crate::store::Metadata;
use attributes::{about, attributes};
use local::FileStamp;
use opening::{is_absent, is_conflict, lost, memory, open_at_once, open_regular};
use way::{Way, directory};

mod attributes;
mod beneath;
mod local;
pub(super) mod names;
mod opening;
mod regular;
mod way;

/// A file.
#[derive(Debug)]
pub(super) struct LocalFile {
    way: Way,
    /// What messages call it.
    label: PathBuf,
    /// What this process was shown last.
    shown: Mutex<Option<ShownVersion>>,
    /// The file that was read last, as it was then.
    stamp: Mutex<Option<FileStamp>>,
}

/// A version that was read, and what travels with it.
#[derive(Debug)]
struct ShownVersion {
    version: Version,
    meta: Meta,
}

impl LocalFile {
    /// The file at this path.
    pub(super) fn new(path: PathBuf) -> Self {
        Self::by(Way::Path(path.clone()), path)
    }

    /// The file of this name below a directory, see `beneath.rs`.
    ///
    /// # Errors
    /// When the name leads anywhere else.
    pub(super) fn below(base: &Path, name: &str) -> Result<Self, Error> {
        let in_mount = names::is_in_mount(base)?;
        let path = match in_mount && !name.is_empty() {
            true => names::of_key(base, name),
            false => name.to_owned(),
        };
        let found = beneath::find(base, &path)?;
        Ok(Self::by(Way::Beneath(found), base.join(path)))
    }

    fn by(way: Way, label: PathBuf) -> Self {
        Self {
            way,
            label,
            shown: Mutex::default(),
            stamp: Mutex::default(),
        }
    }

    /// What messages call it.
    pub(super) fn label(&self) -> String {
        self.label.display().to_string()
    }

    /// The same, byte for byte.
    pub(super) fn spelling(&self) -> &OsStr {
        self.label.as_os_str()
    }

    /// Whether it is, or would be, a file of a mount.
    ///
    /// # Errors
    /// When the directory that it is in does not exist.
    fn is_mounted(&self) -> Result<bool, Error> {
        self.way.is_mounted().map_err(|error| self.failed(error))
    }

    /// That what is written there reaches the bucket, if it is in a mount.
    ///
    /// # Errors
    /// It would be a scratch file, or the mount does not say whether it would.
    fn check_name(&self) -> Result<(), Error> {
        let is_scratch = || names::is_scratch(&self.way).map_err(|error| self.failed(error));
        match self.is_mounted()? && is_scratch()? {
            true => Err(Error::Scratch(self.label())),
            false => Ok(()),
        }
    }

    /// The directory in which it takes its name.
    pub(super) fn directory(&self) -> PathBuf {
        directory(&self.way.itself()).to_owned()
    }

    /// The path.
    pub(super) fn path(&self) -> &Path {
        self.way.path()
    }

    /// What went wrong with it.
    pub(super) fn failed(&self, error: io::Error) -> Error {
        Error::File {
            label: self.label(),
            error,
        }
    }

    fn no_versions(&self) -> Error {
        Error::NoVersions(self.label())
    }

    /// See [`super::location::Location::read`].
    ///
    /// # Errors
    /// When it cannot be read, and, if it must be a regular file, when it is none: a pipe or a device has no value that
    /// a new one could replace.
    pub(super) fn read(
        &self,
        wanted: &Wanted,
        part: Option<Part>,
        regular: bool,
    ) -> Result<ReadOutcome, Error> {
        let mut reads = 0;
        loop {
            reads += 1;
            match self.read_once(wanted, part, regular) {
                // The version that was opened is gone: the newest is another one.
                Err(error)
                    if error.kind() == ErrorKind::StaleNetworkFileHandle
                        && !matches!(wanted, Wanted::Is(_))
                        && reads < READS => {}
                Err(error) if is_absent(&error) => {
                    return Ok(match wanted {
                        Wanted::Is(_) => ReadOutcome::Other,
                        _ => ReadOutcome::Absent,
                    });
                }
                Err(error) => return Err(self.failed(error)),
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => return Err(self.no_versions()),
            }
        }
    }

    /// Nothing if a version is wanted, and it has none.
    fn read_once(
        &self,
        wanted: &Wanted,
        part: Option<Part>,
        regular: bool,
    ) -> io::Result<Option<ReadOutcome>> {
        let mut file = match regular {
            true => open_regular(&self.way)?,
            false => self.way.open(OpenOptions::new().read(true))?,
        };
        *lock(&self.stamp) = Some(FileStamp::from(&file.metadata()?));
        let about = about(&file)?;
        match (wanted, &about.version) {
            (Wanted::Newest, _) => {}
            (Wanted::Kept(_), _) | (Wanted::Is(_) | Wanted::Not(_), None) => return Ok(None),
            (Wanted::Is(version), Some(found)) if found != version => {
                return Ok(Some(ReadOutcome::Other));
            }
            (Wanted::Not(version), Some(found)) if found == version => {
                return Ok(Some(ReadOutcome::Unchanged));
            }
            _ => {}
        }
        let size = about.size.unwrap_or_default();
        let content = match part {
            Some(Part { start, len }) => {
                file.seek(SeekFrom::Start(start))?;
                memory(file.take(len))?
            }
            None if size <= IN_MEMORY => memory(&file)?,
            None => {
                let mut spooled = tempfile::tempfile()?;
                io::copy(&mut file, &mut spooled)?;
                ValueBytes::Spooled(spooled)
            }
        };
        self.note(&about);
        Ok(Some(ReadOutcome::Got(Box::new(Got { about, content }))))
    }

    fn note(&self, about: &About) {
        *self.shown() = about.version.clone().map(|version| ShownVersion {
            version,
            meta: about.metadata.meta.clone(),
        });
    }

    fn shown(&self) -> MutexGuard<'_, Option<ShownVersion>> {
        lock(&self.shown)
    }

    /// What the path leads to.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub(super) fn identity(&self) -> Result<Identity, Error> {
        let found = match self.way.metadata() {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(Identity::Nothing),
            Err(error) => return Err(self.failed(error)),
        };
        let told = self.way.attribute(OBJECT_ATTRIBUTE);
        if let Some(told) = told.map_err(|error| self.failed(error))? {
            return Ok(Identity::of_object(&told));
        }
        // What is only in a mount, and in no bucket, has no version.
        let has_version = || {
            self.look()
                .map(|about| about.and_then(|about| about.version))
        };
        Ok(match self.is_mounted()? && has_version()?.is_some() {
            true => Identity::Untold,
            false => Identity::File(found.dev(), found.ino()),
        })
    }

    /// The save that wrote its newest version, as its mount tells it.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(super) fn last_put(&self) -> Result<Option<PutId>, Error> {
        let told = self.way.attribute(PUT_ATTRIBUTE);
        match told.map_err(|error| self.failed(error))? {
            Some(told) => Ok(PutId::parse(&told)),
            None => Err(Error::OldMount(self.label())),
        }
    }

    /// Whether it would be a new file of a mount.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(super) fn is_to_be_made(&self) -> Result<bool, Error> {
        Ok(self.is_mounted()? && self.identity()? == Identity::Nothing)
    }

    /// Whether it is a log of konserve, in a mount.
    pub(super) fn is_log(&self) -> bool {
        attributes::is_log(&self.way)
    }

    /// That it is a regular file, or does not exist: what a move deletes must not go into a pipe.
    ///
    /// # Errors
    /// When it is something else.
    pub(super) fn check_regular(&self) -> Result<(), Error> {
        match self.way.metadata() {
            Ok(found) if !found.is_file() => Err(Error::NotRegular(self.label())),
            Ok(_) => Ok(()),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// That it can be deleted, as far as that is known before a move writes its copy.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn check_deletable(&self) -> Result<(), Error> {
        match self.way.can_be_deleted() {
            // That there is none is said by whoever reads it.
            Err(error) if !is_absent(&error) => Err(Error::NotMovable {
                label: self.label(),
                error,
            }),
            _ => Ok(()),
        }
    }

    /// Deletes a file that has no version if it still is what was read.
    ///
    /// # Errors
    /// When it is not, or cannot be deleted.
    pub(super) fn remove_as_read(&self) -> Result<(), Error> {
        let now = self.way.metadata().ok();
        let now = now.map(|found| FileStamp::from(&found));
        let is_same = now.is_some() && now == *lock(&self.stamp);
        match is_same.then(|| self.unlink()).transpose()? {
            Some(Outcome::Committed(_)) => Ok(()),
            _ => Err(Error::ChangedMeanwhile(self.label())),
        }
    }

    /// See [`super::location::Location::look`].
    pub(super) fn look(&self) -> Result<Option<About>, Error> {
        let file = open_at_once(&self.way);
        match file.and_then(|file| about(&file)) {
            Ok(about) => Ok(Some(about)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// See [`super::location::Location::save_as`].
    pub(super) fn save(
        &self,
        bytes: &Bytes,
        metadata: &Metadata,
        expect: &Precondition,
    ) -> Result<Outcome<Option<Version>>, Error> {
        self.check_name()?;
        let saved = match (self.is_mounted()?, expect) {
            (true, Precondition::Absent) => self.write(bytes, OpenOptions::new().create_new(true)),
            (true, Precondition::Is(version)) => match self.show(version) {
                Ok(true) => self.write(bytes, OpenOptions::new().truncate(true)),
                Ok(false) => return Ok(Outcome::Refused(None)),
                Err(error) => Err(error),
            },
            (false, Precondition::Absent) => local::replace(&self.way, bytes, false),
            (false, Precondition::Is(_)) => return Err(self.no_versions()),
        };
        match saved {
            Ok(()) => {}
            Err(error) if lost(&error) => return Ok(Outcome::Refused(None)),
            Err(error) => return Err(self.failed(error)),
        }
        self.describe(&metadata.meta)?;
        Ok(Outcome::Committed(None))
    }

    /// Writes over whatever is there. Refused only if another writer in the mount saves first.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn overwrite(&self, bytes: &Bytes, meta: &Meta) -> Result<Outcome<()>, Error> {
        self.check_name()?;
        let saved = match self.is_mounted()? {
            true => self.write(bytes, OpenOptions::new().create(true).truncate(true)),
            false => local::replace(&self.way, bytes, true),
        };
        match saved {
            Ok(()) => {}
            Err(error) if is_conflict(&error) => return Ok(Outcome::Refused(None)),
            Err(error) => return Err(self.failed(error)),
        }
        self.describe(meta)?;
        Ok(Outcome::Committed(()))
    }

    /// Writes behind what is there; in a mount that merges with what others append.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn append(&self, bytes: &Bytes) -> Result<Outcome<()>, Error> {
        // That there is no directory is told by whoever opens the file.
        if self.way.is_mounted().unwrap_or_default() {
            self.check_name()?;
        }
        let opened = self.way.open(OpenOptions::new().create(true).append(true));
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if is_conflict(&error) => return Ok(Outcome::Refused(None)),
            Err(error) => return Err(self.failed(error)),
        };
        match local::append(&mut file, bytes) {
            Ok(()) => Ok(Outcome::Committed(())),
            Err((_, error)) if is_conflict(&error) => Ok(Outcome::Refused(None)),
            Err((0, error)) => Err(self.failed(error)),
            Err((written, error)) => Err(Error::AppendedInPart {
                label: self.label(),
                error,
                written,
                len: bytes.len(),
            }),
        }
    }

    /// Opens, writes, and saves; fsync(2) reports the result.
    fn write(&self, bytes: &Bytes, how: &mut OpenOptions) -> io::Result<()> {
        let mut file = self.way.open(how.write(true))?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    /// Makes sure that this version, and no other, was shown to this process: what it then writes from
    /// nothing replaces exactly that.
    fn show(&self, version: &Version) -> io::Result<bool> {
        if self
            .shown()
            .as_ref()
            .is_some_and(|shown| shown.version == *version)
        {
            return Ok(true);
        }
        let mut file = self.way.open(OpenOptions::new().read(true))?;
        let about = about(&file)?;
        if about.version.as_ref() != Some(version) {
            return Ok(false);
        }
        // To open is not to be shown; to read is.
        let _ = file.read(&mut [0])?;
        self.note(&about);
        Ok(true)
    }

    /// See [`super::location::Location::delete`].
    pub(super) fn delete(&self, version: &Version) -> Result<Outcome<()>, Error> {
        if !self.is_mounted()? {
            return Err(self.no_versions());
        }
        let deleted = match self.show(version) {
            Ok(true) => self.way.delete(),
            Ok(false) => return Ok(Outcome::Refused(None)),
            Err(error) => Err(error),
        };
        match deleted {
            Ok(()) => Ok(Outcome::Committed(())),
            Err(error) if lost(&error) => Ok(Outcome::Refused(None)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Deletes it, whatever it is; whether it existed.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub(super) fn unlink(&self) -> Result<Outcome<bool>, Error> {
        match self.way.delete() {
            Ok(()) => Ok(Outcome::Committed(true)),
            Err(error) if is_absent(&error) => Ok(Outcome::Committed(false)),
            Err(error) if lost(&error) => Ok(Outcome::Refused(None)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Says what is to travel with a file of a mount, where that is something else than what does.
    fn describe(&self, meta: &Meta) -> Result<(), Error> {
        let wanted = attributes(meta);
        // A save keeps what travelled with what it replaced.
        let is_kept = self
            .shown()
            .as_ref()
            .is_some_and(|shown| shown.meta == *meta);
        if wanted.is_empty() || is_kept || !self.is_mounted()? {
            return Ok(());
        }
        let Some(found) = self.look()? else {
            return Ok(());
        };
        let found = attributes(&found.metadata.meta);
        let set = |name: &str, value: Option<&str>| {
            let set = self.way.set_attribute(name, value);
            set.map_err(|error| Error::NotDescribed {
                label: self.label(),
                error,
                attribute: name.to_owned(),
            })
        };
        for (name, value) in wanted.iter().filter(|wanted| !found.contains(wanted)) {
            set(name, Some(value))?;
        }
        let is_said = |name: &str| wanted.iter().any(|(wanted, _)| wanted == name);
        for (name, _) in found.iter().filter(|(name, _)| !is_said(name)) {
            set(name, None)?;
        }
        Ok(())
    }

    /// The version that has these bytes, if it is the newest: what a save of them made.
    pub(super) fn version_of(&self, bytes: &Bytes) -> Option<Version> {
        let mut file = self.way.open(OpenOptions::new().read(true)).ok()?;
        let version = about(&file).ok()?.version?;
        let mut found = Vec::new();
        file.read_to_end(&mut found).ok()?;
        (found == *bytes).then_some(version)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
