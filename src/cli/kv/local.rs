//! A file in no mount: it is replaced in one step, and what is told of it survives a crash.
//!
//! The new content is written beside the file, into a temporary that is locked (flock) as long as somebody
//! works on it. One that a killed command left behind has no lock, and goes when the next command writes into
//! its directory. It knows no versions and no mounts.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};

/// How the names of temporaries begin and end.
const PREFIX: &str = ".etagfs-";
const SUFFIX: &str = ".new";
/// One that is younger may be about to be locked.
const NEW: Duration = Duration::from_secs(10);

/// The directories in which this process has cleared up.
static CLEARED: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// What shows whether a file is still the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    id: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for Stamp {
    fn from(found: &Metadata) -> Self {
        Self {
            id: (found.dev(), found.ino()),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }
}

/// Gives a file this content: its new content takes its name when it is complete, and on the disk.
///
/// # Errors
/// `AlreadyExists` when it is not to be written over; any other error of the filesystem.
pub(super) fn replace(path: &Path, bytes: &[u8], over: bool) -> io::Result<()> {
    let found = fs::metadata(path).ok();
    if over && found.as_ref().is_some_and(|found| !found.is_file()) {
        // A terminal, a pipe, /dev/null.
        let mut file = OpenOptions::new().write(true).open(path)?;
        return file.write_all(bytes);
    }
    // Never more than in the end. Of these the umask takes its part.
    let permissions = match &found {
        Some(found) => found.permissions(),
        None => fs::Permissions::from_mode(0o666),
    };
    let directory = directory(path);
    clear_up(directory);
    let mut file = tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(SUFFIX)
        .permissions(permissions)
        .tempfile_in(directory)?;
    // Where there are no locks, what is left behind stays.
    let _ = flock(file.as_file(), FlockOperation::NonBlockingLockExclusive);
    file.write_all(bytes)?;
    if let Some(found) = found {
        resemble(file.as_file(), &found)?;
    }
    file.as_file().sync_all()?;
    match over {
        true => file.persist(path)?,
        false => file.persist_noclobber(path)?,
    };
    // Until then the name may lead to the old content after a crash.
    File::open(directory)?.sync_all()
}

/// Removes the temporaries that killed commands left in a directory; once for each directory.
fn clear_up(directory: &Path) {
    let mut cleared = CLEARED.lock().unwrap_or_else(PoisonError::into_inner);
    if !cleared.insert(directory.to_owned()) {
        return;
    }
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let is_ours = name
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if is_ours && is_abandoned(&entry) {
            // Somebody else may have cleared up.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let is_old = |found: Metadata| {
        let age = SystemTime::now().duration_since(found.modified().ok()?);
        Some(found.is_file() && age.is_ok_and(|age| age > NEW))
    };
    let is_old = entry.metadata().ok().and_then(is_old).unwrap_or_default();
    is_old
        && File::open(entry.path())
            .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok())
}

/// Writes to the end of a file that is open for that, and makes it durable; with an error, how many bytes are
/// written.
///
/// # Errors
/// Any of the filesystem.
pub(super) fn append(file: &mut File, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match file.write(&bytes[written..]) {
            Ok(0) => return Err((written, ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    file.sync_all().map_err(|error| (written, error))
}

/// The directory of a path.
pub(super) fn directory(path: &Path) -> &Path {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_commands_left_goes_and_what_somebody_works_on_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let make = |name: &str, age: u64| {
            let file = File::create(dir.path().join(name)).expect("a file");
            let then = SystemTime::now() - Duration::from_secs(age);
            file.set_modified(then).expect("a time");
            file
        };
        make(".etagfs-abcdef.new", 60);
        let held = make(".etagfs-ghijkl.new", 60);
        flock(&held, FlockOperation::NonBlockingLockExclusive).expect("a lock");
        make(".etagfs-mnopqr.new", 0);
        make(".etagfs-theirs", 60);
        replace(&dir.path().join("file"), b"bytes", false).expect("written");
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .expect("a list")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        left.sort();
        let expected = [
            ".etagfs-ghijkl.new",
            ".etagfs-mnopqr.new",
            ".etagfs-theirs",
            "file",
        ];
        assert_eq!(left, expected);
    }

    #[test]
    fn an_append_that_fails_says_how_much_there_is() {
        let mut full = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("a device");
        let (written, error) = append(&mut full, b"bytes").expect_err("full");
        assert_eq!((written, error.kind()), (0, ErrorKind::StorageFull));
    }
}
