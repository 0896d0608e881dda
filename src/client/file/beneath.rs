//! A file below a directory, by a name that somebody else chose: the name never leads anywhere else.
//!
//! Names of keys come from buckets, and a bucket may hold any. A name that is absolute, has `..` in it or leads
//! over links out of the directory is refused. The directory that the file is in is held open, and the file named
//! by way of that, so that nobody can put a link in between; `way.rs` never follows one that is put in its place.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno;

use super::super::Error;

/// The longest chain of links that the kernel follows (path_resolution(7)).
const LINKS: usize = 40;

/// A directory on the way, not read.
const ON_THE_WAY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Where a file below a directory is.
#[derive(Debug)]
pub(super) struct Beneath {
    /// Its path; good as long as this lives.
    pub(super) path: PathBuf,
    /// The directory that it is in; none where that does not exist.
    _parent: Option<OwnedFd>,
}

/// Finds the file of this name below a directory. It need not exist.
///
/// # Errors
/// When the name leads anywhere else.
pub(super) fn find(base: &Path, name: &str) -> Result<Beneath, Error> {
    let outside = |why| Error::Outside {
        name: name.to_owned(),
        base: base.to_owned(),
        why,
    };
    if name.contains('\0') {
        return Err(outside("no file has a NUL in its name"));
    }
    if name.starts_with('/') {
        return Err(outside("it is absolute"));
    }
    for part in name.split('/') {
        match part {
            ".." => return Err(outside("it has .. in it")),
            // To a filesystem it would be another key: a for a/, a/. and ./a.
            "" | "." => {
                return Err(Error::NoFileBelow {
                    name: name.to_owned(),
                    base: base.to_owned(),
                });
            }
            _ => {}
        }
    }
    let unreadable = |path: &Path, error| Error::Directory {
        label: path.display().to_string(),
        error,
    };
    let failed = |error: io::Error| match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::XDEV | Errno::LOOP) => outside("it goes over a link"),
        _ => unreadable(&base.join(name), error),
    };
    let root = openat(rustix::fs::CWD, base, ON_THE_WAY, Mode::empty())
        .map_err(|errno| unreadable(base, errno.into()))?;
    resolve(&root, Path::new(name)).map_err(failed)
}

fn resolve(root: &OwnedFd, path: &Path) -> io::Result<Beneath> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Some(name) = path.file_name().map(ToOwned::to_owned) else {
            return Err(ErrorKind::IsADirectory.into());
        };
        let around = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let parent = match open_beneath(root, &around) {
            Ok(parent) => parent,
            // Nothing is there, and nothing can be put there.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(Beneath {
                    path: Path::new("/proc/self/fd/none").join(name),
                    _parent: None,
                });
            }
            Err(error) => return Err(error),
        };
        match readlinkat(&parent, &name, Vec::new()) {
            Ok(to) => {
                use std::os::unix::ffi::OsStrExt as _;
                let to = Path::new(std::ffi::OsStr::from_bytes(to.as_bytes())).to_owned();
                if to.is_absolute() {
                    return Err(Errno::XDEV.into());
                }
                path = around.join(to);
            }
            // It is no link, or is not there.
            Err(_) => {
                let parent_path = format!("/proc/self/fd/{}", parent.as_raw_fd());
                return Ok(Beneath {
                    path: Path::new(&parent_path).join(name),
                    _parent: Some(parent),
                });
            }
        }
    }
    Err(Errno::LOOP.into())
}

fn open_beneath(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match openat2(root, path, ON_THE_WAY, Mode::empty(), how) {
        // An old kernel, or a sandbox that does not know it.
        Err(Errno::NOSYS | Errno::PERM) => walk(root, path),
        opened => Ok(opened?),
    }
}

/// The same without the kernel's help, and stricter: no links at all.
fn walk(root: &OwnedFd, path: &Path) -> io::Result<OwnedFd> {
    let mut at = root.as_fd().try_clone_to_owned()?;
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => {
                let step = ON_THE_WAY | OFlags::NOFOLLOW;
                at = match openat(&at, name, step, Mode::empty()) {
                    Err(Errno::NOTDIR) if readlinkat(&at, name, Vec::new()).is_ok() => {
                        return Err(Errno::LOOP.into());
                    }
                    opened => opened?,
                };
            }
            _ => return Err(Errno::XDEV.into()),
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// `dir` with `sub/`, beside `outside/`, and links of every kind.
    fn tree() -> tempfile::TempDir {
        let tree = tempfile::tempdir().expect("a directory");
        let at = |name: &str| tree.path().join(name);
        fs::create_dir_all(at("dir/sub/deep")).expect("made");
        fs::create_dir(at("outside")).expect("made");
        fs::write(at("dir/sub/file"), "inside").expect("written");
        for (link, to) in [
            ("dir/out", "../outside"),
            ("dir/abs", "/etc"),
            ("dir/in", "sub"),
            ("dir/file", "sub/file"),
            ("dir/sub/up", "../sub/file"),
            ("dir/sub/leak", "../../outside/file"),
            ("dir/dangling", "../outside/new"),
            ("dir/loop", "loop"),
            ("dir/magic", "/proc/self/cwd"),
        ] {
            symlink(to, at(link)).expect("linked");
        }
        tree
    }

    #[test]
    fn a_name_never_leads_out_of_its_directory() {
        let tree = tree();
        let base = tree.path().join("dir");
        for name in [
            "/etc/passwd",
            "../outside/file",
            "sub/../../outside/file",
            "out/file",
            "abs/passwd",
            "abs",
            "sub/leak",
            "dangling",
            "loop",
            "magic/file",
            "..",
            "sub/..",
            "a\0b",
        ] {
            let why = find(&base, name).expect_err(name);
            assert!(matches!(why, Error::Outside { .. }), "{name}: {why:?}");
        }
        for name in [
            "",
            ".",
            "sub/",
            "sub/file/",
            "sub/file/.",
            "./sub/file",
            "sub//file",
            "sub/./file",
        ] {
            let why = find(&base, name).expect_err(name);
            assert!(matches!(why, Error::NoFileBelow { .. }), "{name}: {why:?}");
        }
        for name in ["sub/file", "in/file", "file", "sub/up", "in/up"] {
            let found = find(&base, name).expect(name);
            assert_eq!(fs::read(&found.path).expect(name), b"inside");
        }
        for name in ["new", "sub/new", "in/new"] {
            let found = find(&base, name).expect(name);
            fs::write(&found.path, "x").expect(name);
        }
        assert!(base.join("new").exists() && base.join("sub/new").exists());
        for name in ["no/new", "sub/file/new"] {
            let found = find(&base, name).expect(name);
            assert!(fs::write(&found.path, "x").is_err(), "{name}");
        }
        assert_eq!(
            fs::read_dir(tree.path().join("outside"))
                .expect("a list")
                .count(),
            0
        );
    }

    #[test]
    fn without_the_help_of_the_kernel_no_link_is_followed() {
        let tree = tree();
        let root = openat(
            rustix::fs::CWD,
            tree.path().join("dir"),
            ON_THE_WAY,
            Mode::empty(),
        );
        let root = root.expect("opened");
        for path in ["out", "abs", "in", "magic", "sub/..", "..", "/etc"] {
            assert!(walk(&root, Path::new(path)).is_err(), "{path}");
        }
        for path in [".", "sub", "sub/deep", "./sub"] {
            assert!(walk(&root, Path::new(path)).is_ok(), "{path}");
        }
    }
}
