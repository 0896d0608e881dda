//! The way to a file: a path that the user wrote, or a name below a directory that somebody else chose.
//!
//! A path is followed over links and may lead to a pipe or a device, as with any program. A name below a directory
//! was resolved once (`beneath.rs`) and is never followed again, whatever is put there meanwhile: what it leads to
//! is a regular file, or nothing that is opened. It knows no versions.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, XattrFlags, major, minor};
use rustix::io::Errno;

use super::beneath::Beneath;
use super::regular::open_regular;
use crate::model::{MountLine, OWN_DIRECTORY};

/// The longest chain of links that the kernel follows (path_resolution(7)).
const LINKS: usize = 40;

/// Where a file is.
#[derive(Debug)]
pub(super) enum Way {
    /// Wherever this leads.
    Path(PathBuf),
    /// There, and not over a link.
    Beneath(Beneath),
}

impl Way {
    /// It, as a path.
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Path(path) => path,
            Self::Beneath(found) => &found.path,
        }
    }

    /// Opens the file.
    ///
    /// # Errors
    /// Any of the filesystem; below a directory also that it is no regular file.
    pub(super) fn open(&self, how: &mut OpenOptions) -> io::Result<File> {
        match self {
            Self::Path(path) => how.open(path),
            Self::Beneath(found) => open_regular(&found.path, how),
        }
    }

    /// What the filesystem knows of the file.
    ///
    /// # Errors
    /// Any of the filesystem.
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        match self {
            Self::Path(path) => fs::metadata(path),
            Self::Beneath(found) => fs::symlink_metadata(&found.path),
        }
    }

    /// The path of the file itself, and not of a link to it; it need not exist.
    pub(super) fn itself(&self) -> PathBuf {
        let mut path = self.path().to_owned();
        // The links of /dev/stdout and its like lead nowhere by their text.
        let links = match self {
            Self::Path(_) if !self.metadata().is_ok_and(|found| !found.is_file()) => LINKS,
            Self::Path(_) | Self::Beneath(_) => 0,
        };
        for _ in 0..links {
            match fs::read_link(&path) {
                Ok(to) => path = directory(&path).join(to),
                Err(_) => break,
            }
        }
        path
    }

    /// Whether it is, or would be, a file of a mount.
    ///
    /// # Errors
    /// When the directory that it is in does not exist.
    pub(super) fn is_mounted(&self) -> io::Result<bool> {
        let device = match self.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::metadata(directory(self.path()))
            }
            found => found,
        };
        is_mounted(&device?)
    }

    /// That somebody who may write there can delete it, as far as that can be known before.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn can_be_deleted(&self) -> io::Result<()> {
        let directory = fs::canonicalize(directory(self.path()))?;
        if self.is_mounted()? && directory.ancestors().any(is_mounts_own) {
            return Err(io::Error::other(
                "it is one of the mount's own files, which cannot be deleted",
            ));
        }
        let allowed = Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::accessat(rustix::fs::CWD, &directory, allowed, AtFlags::EACCESS).map_err(
            |errno| {
                let why = io::Error::from(errno);
                io::Error::new(why.kind(), format!("it cannot be deleted: {why}"))
            },
        )
    }

    /// Deletes it, or the link that it is.
    ///
    /// # Errors
    /// Any of the filesystem; below a directory also that it is no regular file.
    pub(super) fn delete(&self) -> io::Result<()> {
        if let Self::Beneath(_) = self
            && !self.metadata()?.is_file()
        {
            return Err(io::Error::other("it is no regular file"));
        }
        fs::remove_file(self.path())
    }

    /// An extended attribute, if it has that.
    ///
    /// # Errors
    /// Any of the filesystem.
    pub(super) fn attribute(&self, name: &str) -> io::Result<Option<String>> {
        let mut told = Vec::with_capacity(64 << 10);
        let buffer = rustix::buffer::spare_capacity(&mut told);
        let found = match self {
            Self::Path(path) => rustix::fs::getxattr(path, name, buffer),
            Self::Beneath(found) => rustix::fs::lgetxattr(&found.path, name, buffer),
        };
        match found {
            Ok(_) => Ok(Some(String::from_utf8_lossy(&told).into_owned())),
            // There is none, or there are none here.
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Sets an extended attribute, or removes it.
    ///
    /// # Errors
    /// Any of the filesystem.
    pub(super) fn set_attribute(&self, name: &str, value: Option<&str>) -> io::Result<()> {
        let flags = XattrFlags::empty();
        let set = match (self, value.map(str::as_bytes)) {
            (Self::Path(path), Some(value)) => rustix::fs::setxattr(path, name, value, flags),
            (Self::Path(path), None) => rustix::fs::removexattr(path, name),
            (Self::Beneath(found), Some(value)) => {
                rustix::fs::lsetxattr(&found.path, name, value, flags)
            }
            (Self::Beneath(found), None) => rustix::fs::lremovexattr(&found.path, name),
        };
        Ok(set?)
    }
}

/// Whether something is in a mount.
///
/// # Errors
/// When the table of mounts cannot be read.
pub(super) fn is_mounted(found: &Metadata) -> io::Result<bool> {
    let device = format!("{}:{}", major(found.dev()), minor(found.dev()));
    // Not by asking the filesystem: a mount may be dead.
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    let mut lines = table.lines().filter_map(MountLine::parse);
    Ok(lines.any(|line| line.is_ours() && line.device == device))
}

/// The directory of a path.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Whether a directory of a mount is the one that the mount has for itself, at its root (V4).
fn is_mounts_own(directory: &Path) -> bool {
    directory.file_name() == Some(OWN_DIRECTORY.as_ref())
        && directory
            .parent()
            .and_then(|root| fs::metadata(root).ok())
            .is_some_and(|root| root.ino() == 1)
}

#[cfg(test)]
mod tests {
    use super::super::beneath;
    use super::super::local::replace;
    use super::*;
    use std::os::unix::fs::symlink;

    fn reading() -> OpenOptions {
        let mut how = OpenOptions::new();
        how.read(true);
        how
    }

    #[test]
    fn what_is_put_in_the_place_of_a_name_is_not_followed() {
        let tree = tempfile::tempdir().expect("a directory");
        let at = |name: &str| tree.path().join(name);
        fs::create_dir_all(at("dir")).expect("made");
        fs::write(at("victim"), "theirs").expect("written");
        for link in ["../victim", "../new", "/dev/null", "x", "."] {
            // Found when it was a file, or not there, and looked at again.
            let found = beneath::find(&at("dir"), "x").expect("below");
            let way = Way::Beneath(found);
            symlink(link, at("dir/x")).expect("linked");
            assert!(way.open(&mut reading()).is_err(), "{link}");
            for how in [
                OpenOptions::new().write(true),
                OpenOptions::new().append(true).create(true),
                OpenOptions::new().write(true).truncate(true),
                OpenOptions::new().write(true).create_new(true),
            ] {
                assert!(way.open(how).is_err(), "{link}");
            }
            assert!(way.metadata().expect("it is there").is_symlink(), "{link}");
            assert!(replace(&way, b"evil", true).is_err(), "{link}");
            assert!(replace(&way, b"evil", false).is_err(), "{link}");
            assert!(way.set_attribute("user.evil", Some("1")).is_err(), "{link}");
            assert!(way.delete().is_err(), "{link}");
            assert_eq!(way.itself(), way.path(), "{link}");
            assert!(!way.is_mounted().expect("known"), "{link}");
            fs::remove_file(at("dir/x")).expect("removed");
        }
        assert_eq!(fs::read(at("victim")).expect("there"), b"theirs");
        let left = fs::read_dir(tree.path()).expect("a list").count();
        assert_eq!(
            (left, fs::read_dir(at("dir")).expect("a list").count()),
            (2, 0)
        );
    }

    #[test]
    fn below_a_directory_only_regular_files_are_opened_and_elsewhere_anything() {
        let tree = tempfile::tempdir().expect("a directory");
        let pipe = tree.path().join("pipe");
        let kind = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).expect("a pipe");
        let below = Way::Beneath(beneath::find(tree.path(), "pipe").expect("below"));
        for how in [
            OpenOptions::new().read(true),
            OpenOptions::new().write(true),
            OpenOptions::new().append(true),
        ] {
            assert!(below.open(how).is_err());
        }
        assert!(replace(&below, b"x", true).is_err() && below.delete().is_err());
        let named = Way::Path(pipe);
        named.open(reading().write(true)).expect("opened");
        named.delete().expect("deleted");
    }
}
