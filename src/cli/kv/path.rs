//! A file, by ordinary file operations.
//!
//! In a mount of etagfs the rules of saves do the work: who read a file and saves it is told of a
//! conflict (`EAGAIN`), so that a version is shown to this process before it is replaced. A file that is
//! in no mount has no versions; it is replaced in one step, and what needs a version is refused. It
//! makes no request.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::fs::{OFlags, XattrFlags};
use rustix::io::Errno;

use super::place::{About, Answer, Content, Got, IN_MEMORY, Part, READS, Wanted};
use crate::backend::Meta;
use crate::cli::report::Failure;
use crate::model::{Expect, Outcome, Version};
use crate::mount::is_in_mount;
use crate::store::Envelope;

const ETAG: &str = "user.etag";
const CONTENT_TYPE: &str = "user.content_type";
const META: &str = "user.meta.";
/// So many links lead on from each other, as the kernel has it (path_resolution(7)).
const LINKS: usize = 40;

/// A file.
pub(in crate::cli) struct PathKey {
    path: PathBuf,
    /// What this process was shown last.
    shown: Mutex<Option<Shown>>,
}

/// A version that was read, and what travels with it.
struct Shown {
    version: Version,
    meta: Meta,
}

impl PathKey {
    /// The file at this path.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            shown: Mutex::default(),
        }
    }

    /// What messages call it.
    pub(super) fn label(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether it is, or would be, a file of a mount.
    ///
    /// # Errors
    /// When the directory that it is in does not exist.
    fn is_mounted(&self) -> Result<bool, Failure> {
        let found = match is_in_mount(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => is_in_mount(directory(&self.path)),
            found => found,
        };
        found.map_err(|error| self.failed(&error))
    }

    /// The file itself, and not a link to it; it need not exist.
    fn itself(&self) -> PathBuf {
        let mut path = self.path.clone();
        for _ in 0..LINKS {
            match fs::read_link(&path) {
                Ok(to) => path = directory(&path).join(to),
                Err(_) => break,
            }
        }
        path
    }

    /// The directory in which it takes its name.
    pub(in crate::cli) fn directory(&self) -> PathBuf {
        directory(&self.itself()).to_owned()
    }

    /// The path.
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.path
    }

    /// What went wrong with it.
    pub(super) fn failed(&self, error: &io::Error) -> Failure {
        let failure = Failure::new(format!("{}: {error}", self.label()));
        match error.kind() {
            ErrorKind::IsADirectory => failure.hint("a value is a file"),
            ErrorKind::NotFound => failure.hint("make the directory that it is in"),
            _ => failure,
        }
    }

    fn no_versions(&self) -> Failure {
        Failure::usage(format!(
            "{} is in no mount of etagfs, so that it has no version",
            self.label()
        ))
        .hint("leave the condition out, or name the key by its URL: s3://BUCKET/UUID/KEY")
    }

    /// See [`super::place::Place::read`].
    pub(super) fn read(&self, wanted: &Wanted, part: Option<Part>) -> Result<Answer, Failure> {
        let mut reads = 0;
        loop {
            reads += 1;
            match self.read_once(wanted, part) {
                // The version that was opened is gone: the newest is another one.
                Err(error)
                    if error.kind() == ErrorKind::StaleNetworkFileHandle
                        && !matches!(wanted, Wanted::Is(_))
                        && reads < READS => {}
                Err(error) if is_absent(&error) => {
                    return Ok(match wanted {
                        Wanted::Is(_) => Answer::Other,
                        _ => Answer::Absent,
                    });
                }
                Err(error) => return Err(self.failed(&error)),
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => return Err(self.no_versions()),
            }
        }
    }

    /// Nothing if a version is wanted, and it has none.
    fn read_once(&self, wanted: &Wanted, part: Option<Part>) -> io::Result<Option<Answer>> {
        let mut file = File::open(&self.path)?;
        let about = about(&file)?;
        match (wanted, &about.version) {
            (Wanted::Newest, _) => {}
            (Wanted::Kept(_), _) | (Wanted::Is(_) | Wanted::Not(_), None) => return Ok(None),
            (Wanted::Is(version), Some(found)) if found != version => {
                return Ok(Some(Answer::Other));
            }
            (Wanted::Not(version), Some(found)) if found == version => {
                return Ok(Some(Answer::Unchanged));
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
                Content::Spooled(spooled)
            }
        };
        self.note(&about);
        Ok(Some(Answer::Got(Box::new(Got { about, content }))))
    }

    fn note(&self, about: &About) {
        *self.shown() = about.version.clone().map(|version| Shown {
            version,
            meta: about.envelope.meta.clone(),
        });
    }

    fn shown(&self) -> MutexGuard<'_, Option<Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`super::place::Place::look`].
    pub(super) fn look(&self) -> Result<Option<About>, Failure> {
        // A named pipe would wait for somebody to write.
        let no_wait = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let mut how = OpenOptions::new();
        let file = how.read(true).custom_flags(no_wait).open(&self.path);
        match file.and_then(|file| about(&file)) {
            Ok(about) => Ok(Some(about)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// See [`super::place::Place::save`].
    pub(super) fn save(
        &self,
        bytes: &Bytes,
        envelope: &Envelope,
        expect: &Expect,
    ) -> Result<Outcome<Option<Version>>, Failure> {
        let saved = match (self.is_mounted()?, expect) {
            (true, Expect::Absent) => self.write(bytes, OpenOptions::new().create_new(true)),
            (true, Expect::Is(version)) => match self.show(version) {
                Ok(true) => self.write(bytes, OpenOptions::new().truncate(true)),
                Ok(false) => return Ok(Outcome::Refused),
                Err(error) => Err(error),
            },
            (false, Expect::Absent) => self.replace_file(bytes, false),
            (false, Expect::Is(_)) => return Err(self.no_versions()),
        };
        match saved {
            Ok(()) => {}
            Err(error) if lost(&error) => return Ok(Outcome::Refused),
            Err(error) => return Err(self.failed(&error)),
        }
        self.describe(&envelope.meta)?;
        Ok(Outcome::Saved(None))
    }

    /// Writes over whatever is there. Refused only by who is faster in a mount.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::cli) fn overwrite(
        &self,
        bytes: &Bytes,
        meta: &Meta,
    ) -> Result<Outcome<()>, Failure> {
        let saved = match self.is_mounted()? {
            true => self.write(bytes, OpenOptions::new().create(true).truncate(true)),
            false => self.replace_file(bytes, true),
        };
        match saved {
            Ok(()) => {}
            Err(error) if is_conflict(&error) => return Ok(Outcome::Refused),
            Err(error) => return Err(self.failed(&error)),
        }
        self.describe(meta)?;
        Ok(Outcome::Saved(()))
    }

    /// Writes behind what is there; in a mount that merges with what others append.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(in crate::cli) fn append(&self, bytes: &Bytes) -> Result<Outcome<()>, Failure> {
        match self.write(bytes, OpenOptions::new().create(true).append(true)) {
            Ok(()) => Ok(Outcome::Saved(())),
            Err(error) if is_conflict(&error) => Ok(Outcome::Refused),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Opens, writes, and saves: fsync(2) says what became of it.
    fn write(&self, bytes: &Bytes, how: &mut OpenOptions) -> io::Result<()> {
        let mut file = how.write(true).open(&self.path)?;
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
        let mut file = File::open(&self.path)?;
        let about = about(&file)?;
        if about.version.as_ref() != Some(version) {
            return Ok(false);
        }
        // To open is not to be shown; to read is.
        let _ = file.read(&mut [0])?;
        self.note(&about);
        Ok(true)
    }

    /// A file in no mount: its new content takes its name when it is complete.
    fn replace_file(&self, bytes: &Bytes, over: bool) -> io::Result<()> {
        // A link stays one.
        let path = self.itself();
        let found = fs::metadata(&path).ok();
        if over && found.as_ref().is_some_and(|found| !found.is_file()) {
            // A terminal, a pipe, /dev/null.
            let mut file = OpenOptions::new().write(true).open(&path)?;
            return file.write_all(bytes);
        }
        // Never more than in the end. Of these the umask takes its part.
        let permissions = match &found {
            Some(found) => found.permissions(),
            None => fs::Permissions::from_mode(0o666),
        };
        let mut file = tempfile::Builder::new()
            .permissions(permissions)
            .tempfile_in(directory(&path))?;
        file.write_all(bytes)?;
        if let Some(found) = found {
            resemble(file.as_file(), &found)?;
        }
        file.as_file().sync_all()?;
        match over {
            true => file.persist(&path)?,
            false => file.persist_noclobber(&path)?,
        };
        Ok(())
    }

    /// See [`super::place::Place::delete`].
    pub(super) fn delete(&self, version: &Version) -> Result<Outcome<()>, Failure> {
        if !self.is_mounted()? {
            return Err(self.no_versions());
        }
        let deleted = match self.show(version) {
            Ok(true) => fs::remove_file(&self.path),
            Ok(false) => return Ok(Outcome::Refused),
            Err(error) => Err(error),
        };
        match deleted {
            Ok(()) => Ok(Outcome::Saved(())),
            Err(error) if lost(&error) => Ok(Outcome::Refused),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Deletes it, whatever it is; whether it existed.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub(in crate::cli) fn unlink(&self) -> Result<Outcome<bool>, Failure> {
        match fs::remove_file(&self.path) {
            Ok(()) => Ok(Outcome::Saved(true)),
            Err(error) if is_absent(&error) => Ok(Outcome::Saved(false)),
            Err(error) if lost(&error) => Ok(Outcome::Refused),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Says what is to travel with a file of a mount, where that is something else than what does.
    fn describe(&self, meta: &Meta) -> Result<(), Failure> {
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
        let found = attributes(&found.envelope.meta);
        let failed = |name: &str, errno: Errno| {
            self.failed(&errno.into())
                .hint(format!("it is saved; setting {name} failed"))
        };
        for (name, value) in wanted.iter().filter(|wanted| !found.contains(wanted)) {
            rustix::fs::setxattr(&self.path, name, value.as_bytes(), XattrFlags::empty())
                .map_err(|errno| failed(name, errno))?;
        }
        let is_said = |name: &str| wanted.iter().any(|(wanted, _)| wanted == name);
        for (name, _) in found.iter().filter(|(name, _)| !is_said(name)) {
            rustix::fs::removexattr(&self.path, name).map_err(|errno| failed(name, errno))?;
        }
        Ok(())
    }

    /// The version that has these bytes, if it is the newest: what a save of them made.
    pub(super) fn version_of(&self, bytes: &Bytes) -> Option<Version> {
        let mut file = File::open(&self.path).ok()?;
        let version = about(&file).ok()?.version?;
        let mut found = Vec::new();
        file.read_to_end(&mut found).ok()?;
        (found == *bytes).then_some(version)
    }
}

/// Whether an error says that there is no such file.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Whether an error of a save is a conflict: where each write is a save (W13) a lost race is ESTALE.
fn is_conflict(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::StaleNetworkFileHandle
    )
}

/// Whether an error of a save under a condition says that somebody else was first.
fn lost(error: &io::Error) -> bool {
    is_conflict(error) || matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound)
}

fn memory(mut file: impl Read) -> io::Result<Content> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Content::Memory(bytes.into()))
}

/// What is known of a file, of the version that this descriptor holds.
fn about(file: &File) -> io::Result<About> {
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let version = attribute(file, ETAG)?.map(Version::new);
    let mut meta = Meta::default();
    if version.is_some() {
        meta.content_type = attribute(file, CONTENT_TYPE)?;
        for name in names(file)? {
            if let Some(user) = name.strip_prefix(META)
                && let Some(value) = attribute(file, &name)?
            {
                meta.user.insert(user.to_owned(), value);
            }
        }
    }
    Ok(About {
        version,
        size: Some(found.len()),
        modified: found.modified()?,
        envelope: Envelope {
            meta,
            ..Envelope::default()
        },
    })
}

fn attribute(file: impl AsFd, name: &str) -> io::Result<Option<String>> {
    // As long as one can be (xattr(7)).
    let mut value = Vec::with_capacity(64 << 10);
    match rustix::fs::fgetxattr(file, name, rustix::buffer::spare_capacity(&mut value)) {
        Ok(_) => Ok(String::from_utf8(value).ok()),
        // There is none, or there are none here.
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

fn names(file: impl AsFd) -> io::Result<Vec<String>> {
    let mut list = Vec::with_capacity(64 << 10);
    rustix::fs::flistxattr(file, rustix::buffer::spare_capacity(&mut list))?;
    let names = list.split(|byte| *byte == 0);
    Ok(names
        .filter_map(|name| Some(std::str::from_utf8(name).ok()?.to_owned()))
        .collect())
}

/// What travels with a value, as the attributes of its file.
fn attributes(meta: &Meta) -> Vec<(String, String)> {
    let content_type = meta.content_type.iter();
    let user = meta.user.iter();
    content_type
        .map(|value| (CONTENT_TYPE.to_owned(), value.clone()))
        .chain(user.map(|(name, value)| (format!("{META}{name}"), value.clone())))
        .collect()
}

/// The directory of a path.
fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Gives a file the permissions of the one that it is to replace, and its owner.
fn resemble(file: &File, replaced: &Metadata) -> io::Result<()> {
    // Only root can; for others it is theirs from now on.
    let _ = fchown(file, Some(replaced.uid()), Some(replaced.gid()));
    file.set_permissions(replaced.permissions())
}
