//! A file in no mount: it is replaced in one step, and a reported save survives a crash.
//!
//! The new content is written beside the file, into a temporary that is locked (flock) as long as somebody
//! works on it. One that a killed command left behind has no lock, and goes when the next command writes into
//! its directory, if it is that user's. It knows no versions.

use std::collections::HashSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use uuid::Uuid;

use super::regular::open_regular;
use super::way::{Way, directory};

/// How the names of temporaries begin and end. Between them is a random number, so long that nobody else's file
/// is called like that.
const PREFIX: &str = ".etagfs-";
const SUFFIX: &str = ".new";
const DIGITS: usize = 32;
/// One that is younger may be about to be locked.
const NEW: Duration = Duration::from_secs(10);

/// The directories in which this process has cleared up, by device and inode.
static CLEARED: LazyLock<Mutex<HashSet<(u64, u64)>>> = LazyLock::new(Mutex::default);

/// What shows whether a file is still the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    id: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<&Metadata> for FileStamp {
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
/// `AlreadyExists` when it is not to be written over; any other error of the filesystem. When it was saved all the
/// same, the error says so.
pub(super) fn replace(way: &Way, bytes: &[u8], over: bool) -> io::Result<()> {
    let path = way.itself();
    let found = way.metadata().ok();
    if over && found.as_ref().is_some_and(|found| !found.is_file()) {
        // A terminal, a pipe, /dev/null.
        return way.open(OpenOptions::new().write(true))?.write_all(bytes);
    }
    // Never more than in the end. Of these the umask takes its part.
    let permissions = match &found {
        Some(found) => found.permissions(),
        None => fs::Permissions::from_mode(0o666),
    };
    let directory = directory(&path);
    // What can fail fails before there is anything to be told of.
    let opened = match File::open(directory) {
        // Whoever may write in it need not be allowed to read it.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => None,
        opened => Some(opened?),
    };
    if let Some(opened) = &opened {
        clear_up(directory, &opened.metadata()?);
    }
    let mut file = tempfile::Builder::new()
        .prefix(&new_name())
        .rand_bytes(0)
        .permissions(permissions)
        .tempfile_in(directory)?;
    // Where there are no locks, what is left behind stays.
    let _ = flock(file.as_file(), FlockOperation::NonBlockingLockExclusive);
    file.write_all(bytes)?;
    if let Some(found) = found {
        resemble(file.as_file(), &found)?;
    }
    file.as_file().sync_all()?;
    let file = match over {
        true => file.persist(path)?,
        false => file.persist_noclobber(path)?,
    };
    // Until then the name may lead to the old content after a crash.
    let durable = match opened {
        Some(directory) => directory.sync_all(),
        None => rustix::fs::syncfs(&file).map_err(io::Error::from),
    };
    match durable {
        Err(error) if !cannot_sync(&error) => Err(io::Error::other(format!(
            "it is saved, but a crash may undo that: {error}"
        ))),
        _ => Ok(()),
    }
}

/// Whether an error says that the filesystem has no way to do what is meant: not every one can make a directory
/// durable, and where it cannot, nothing has failed.
fn cannot_sync(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS | Errno::ACCESS)
    )
}

/// Removes the temporaries that killed commands left in a directory; once for each directory.
fn clear_up(directory: &Path, found: &Metadata) {
    let mut cleared = CLEARED.lock().unwrap_or_else(PoisonError::into_inner);
    if !cleared.insert((found.dev(), found.ino())) {
        return;
    }
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries {
        if entry.file_name().to_str().is_some_and(is_ours) && is_abandoned(&entry) {
            // Somebody else may have cleared up.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// What a temporary is called.
fn new_name() -> String {
    format!("{PREFIX}{}{SUFFIX}", Uuid::new_v4().simple())
}

/// Whether a temporary of this program is called like this.
fn is_ours(name: &str) -> bool {
    let digits = name.strip_prefix(PREFIX);
    let digits = digits.and_then(|rest| rest.strip_suffix(SUFFIX));
    digits.is_some_and(|digits| {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        digits.len() == DIGITS && digits.bytes().all(is_digit)
    })
}

/// Whether it is a file of this user's that nobody works on.
fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let us = rustix::process::geteuid().as_raw();
    let is_old = |found: Metadata| {
        let age = SystemTime::now().duration_since(found.modified().ok()?);
        Some(found.is_file() && found.uid() == us && age.is_ok_and(|age| age > NEW))
    };
    let is_old = entry.metadata().ok().and_then(is_old).unwrap_or_default();
    is_old
        && open_regular(&entry.path(), File::options().read(true))
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
    match file.sync_all() {
        // A pipe or a device. In a mount it would be the verdict on the save.
        Err(error)
            if cannot_sync(&error) && !file.metadata().is_ok_and(|found| found.is_file()) =>
        {
            Ok(())
        }
        synced => synced.map_err(|error| (written, error)),
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

    fn file_at(path: &Path) -> Way {
        Way::Path(path.to_owned())
    }

    #[test]
    fn what_killed_commands_left_goes_and_what_is_anybody_elses_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let make = |name: &str, age: u64| {
            let file = File::create(dir.path().join(name)).expect("a file");
            let then = SystemTime::now() - Duration::from_secs(age);
            file.set_modified(then).expect("a time");
            file
        };
        assert!(is_ours(&new_name()));
        let ours = |digit: char| format!("{PREFIX}{}{SUFFIX}", digit.to_string().repeat(DIGITS));
        make(&ours('0'), 60);
        let held = make(&ours('1'), 60);
        flock(&held, FlockOperation::NonBlockingLockExclusive).expect("a lock");
        make(&ours('2'), 0);
        std::os::unix::fs::symlink("file", dir.path().join(ours('3'))).expect("a link");
        let mut expected = vec![ours('1'), ours('2'), ours('3'), "file".to_owned()];
        if rustix::process::geteuid().is_root() {
            fchown(make(&ours('4'), 60), Some(65534), None).expect("given away");
            expected.push(ours('4'));
        }
        // What a user calls a file.
        for name in [
            ".etagfs-notes.new",
            ".etagfs-abcdef.new",
            ".etagfs-.new",
            ".etagfs-0123456789abcdef0123456789abcdeg.new",
            ".etagfs-0123456789ABCDEF0123456789ABCDEF.new",
            ".etagfs-00000000-0000-4000-8000-000000000000.new",
            ".etagfs-0123456789abcdef0123456789abcdef.new.orig",
        ] {
            make(name, 60);
            expected.push(name.to_owned());
        }
        replace(&file_at(&dir.path().join("file")), b"bytes", false).expect("written");
        let mut left: Vec<_> = fs::read_dir(dir.path())
            .expect("a list")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("text")
            })
            .collect();
        left.sort();
        expected.sort();
        assert_eq!(left, expected);
    }

    #[test]
    fn what_cannot_be_made_durable_has_not_failed() {
        for errno in [Errno::INVAL, Errno::NOTSUP, Errno::NOSYS, Errno::ACCESS] {
            assert!(cannot_sync(&errno.into()), "{errno:?}");
        }
        for errno in [Errno::IO, Errno::NOSPC, Errno::DQUOT, Errno::ROFS] {
            assert!(!cannot_sync(&errno.into()), "{errno:?}");
        }
        // Devices have no fsync(2).
        let mut null = OpenOptions::new()
            .write(true)
            .open("/dev/null")
            .expect("a device");
        append(&mut null, b"bytes").expect("written");
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
