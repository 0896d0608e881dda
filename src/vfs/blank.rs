//! Files that have no name yet: their bytes are written and made durable first, and then appear under a name,
//! whole or not at all.
//!
//! Some are kept open in reserve. So a daemon can still rescue bytes when it, or its machine, has used up all
//! descriptors.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::pairs;

/// How many are kept in reserve: a rescue takes two, and returns them when it is done.
const SPARES: usize = 8;

/// A file that has no name yet.
#[derive(Debug)]
pub(super) struct Blank {
    file: File,
    /// Its path meanwhile, on file systems that have no files without a name.
    aside: Option<PathBuf>,
}

impl Blank {
    /// One in this directory.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn new(dir: &Path) -> io::Result<Self> {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::open(dir, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => Ok(Self {
                file: file.into(),
                aside: None,
            }),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Self::aside(dir),
            Err(error) => Err(error.into()),
        }
    }

    /// One with a name that no other code uses.
    fn aside(dir: &Path) -> io::Result<Self> {
        let aside = dir.join(format!(".{}.new", uuid::Uuid::new_v4().simple()));
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&aside)?;
        Ok(Self {
            file,
            aside: Some(aside),
        })
    }

    /// Marks the file as incomplete, as long as this lives.
    pub(super) fn hold(&self) {
        pairs::hold(&self.file);
    }

    /// Writes the bytes, makes them durable, and gives the file its name, which must be free. The name itself
    /// is durable when its directory is.
    ///
    /// # Errors
    /// Any error of the local file system; then there is no such file.
    pub(super) fn publish(&self, bytes: &[u8], path: &Path) -> io::Result<()> {
        self.write(bytes)?;
        match &self.aside {
            Some(aside) => match fs::hard_link(aside, path) {
                // Not every file system has them.
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    fs::rename(aside, path)
                }
                linked => linked,
            },
            None => {
                let ours = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                rustix::fs::linkat(CWD, ours, CWD, path, AtFlags::SYMLINK_FOLLOW)
                    .map_err(Into::into)
            }
        }
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = &self.file;
        file.write_all(bytes)?;
        file.sync_all()
    }
}

impl Drop for Blank {
    fn drop(&mut self) {
        if let Some(aside) = &self.aside {
            // It is no longer there if it was renamed; else it is one of two names.
            let _ = fs::remove_file(aside);
        }
    }
}

/// The files in reserve of one directory, and the directory itself.
#[derive(Debug)]
pub(super) struct Reserve {
    dir: PathBuf,
    held: Mutex<Spares>,
}

#[derive(Debug, Default)]
struct Spares {
    /// To make names durable.
    directory: Option<File>,
    spares: Vec<Blank>,
}

impl Reserve {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Spares> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refills the reserve, as far as possible now.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn fill(&self) -> io::Result<()> {
        let mut held = self.held();
        if held.directory.is_none() {
            held.directory = Some(File::open(&self.dir)?);
        }
        while held.spares.len() < SPARES {
            held.spares.push(Blank::new(&self.dir)?);
        }
        Ok(())
    }

    /// Closes everything: the directory is another one now.
    pub(super) fn let_go(&self) {
        *self.held() = Spares::default();
    }

    /// A file without a name: a new one if there is a descriptor for it, else one of the reserve.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn blank(&self) -> io::Result<Blank> {
        let new = Blank::new(&self.dir);
        match new {
            Err(error) if is_out_of_descriptors(&error) => self.held().spares.pop().ok_or(error),
            new => new,
        }
    }

    /// Makes the names in the directory durable.
    ///
    /// # Errors
    /// Any error of the local file system.
    pub(super) fn sync(&self) -> io::Result<()> {
        match &self.held().directory {
            Some(directory) => directory.sync_all(),
            None => File::open(&self.dir)?.sync_all(),
        }
    }
}

/// Whether this process, or the machine, cannot open another file.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    [Errno::MFILE, Errno::NFILE]
        .map(|one| Some(one.raw_os_error()))
        .contains(&errno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_under_a_name_that_nothing_has() {
        let dir = tempfile::tempdir().unwrap();
        let names = || {
            let entries = fs::read_dir(dir.path()).unwrap();
            entries
                .map(|one| one.unwrap().file_name())
                .collect::<Vec<_>>()
        };
        for blank in [Blank::new, Blank::aside] {
            let at = dir.path().join("file");
            blank(dir.path()).unwrap().publish(b"bytes", &at).unwrap();
            assert_eq!(
                (fs::read(&at).unwrap(), names().len()),
                (b"bytes".to_vec(), 1)
            );
            drop(blank(dir.path()).unwrap());
            assert_eq!(names().len(), 1);
            fs::remove_file(at).unwrap();
        }
        let at = dir.path().join("taken");
        fs::write(&at, "first").unwrap();
        for blank in [Blank::new, Blank::aside] {
            let late = blank(dir.path()).unwrap().publish(b"late", &at);
            let error = late.map_err(|error| error.kind());
            assert_eq!(error, Err(io::ErrorKind::AlreadyExists));
            assert_eq!(fs::read(&at).unwrap(), b"first");
        }
    }
}
