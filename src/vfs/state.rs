//! The state directory: what a mount keeps on this machine, for its owner alone.
//!
//! A rescue is the last line of defence, so a directory that cannot hold a rescue is refused, and that is
//! tested before it is needed. A directory that another user could have prepared is refused too: private
//! bytes would go wherever that user chose. Other modules know what is in it.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::blank::Blank;
use super::pairs::small;

/// The version of the directory's layout that this program writes.
const FORMAT: u32 = 1;
/// The file that names it.
const FORMAT_FILE: &str = "format";
/// The text of that file before the number.
const FORMAT_WORDS: &str = "etagfs state, format ";

/// The entries of a state directory, besides logs.
const OURS: [&str; 6] = [
    "rescue",
    "scratch",
    "drafts",
    "konserve",
    "probes",
    FORMAT_FILE,
];

/// How many links a path may contain, as in path_resolution(7).
const MAX_LINKS: usize = 40;

/// The content of the rescue for the test.
const TRIAL: &[u8] = &[b'x'; 4096];

/// A directory that holds, or can hold, what a mount keeps on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir(PathBuf);

/// Why a directory cannot be a state directory.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot keep rescued bytes: {why}", dir.display())]
pub struct Unfit {
    /// The directory, as it was given.
    pub dir: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl StateDir {
    /// Finds a directory, or creates it with its parents; from then on no other user can look into it.
    ///
    /// # Errors
    /// It is not the user's own, is of a newer program, or cannot be made.
    pub fn make(dir: &Path) -> Result<Self, Unfit> {
        let unfit = |why: String| unfit(dir, why);
        let at = resolved(dir).map_err(unfit)?;
        let mut builder = DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&at);
        made.map_err(|error| unfit(format!("it cannot be made: {error}")))?;
        let state = Self::of(&at).map_err(unfit)?;
        state.make_private().map_err(unfit)?;
        state.name_format().map_err(unfit)?;
        Ok(state)
    }

    /// As [`make`](Self::make), for reading: `None` if there is none. Nothing is changed.
    ///
    /// # Errors
    /// It is not the user's own, or is of a newer program.
    pub fn find(dir: &Path) -> Result<Option<Self>, Unfit> {
        let unfit = |why: String| unfit(dir, why);
        let at = resolved(dir).map_err(unfit)?;
        match fs::symlink_metadata(&at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unfit(error.to_string())),
            Ok(_) => Self::of(&at).map(Some).map_err(unfit),
        }
    }

    /// Something in it, if it holds nothing that a mount keeps.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn foreign(&self) -> io::Result<Option<String>> {
        for name in OURS {
            match fs::symlink_metadata(self.0.join(name)) {
                Ok(_) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.something_else()
    }

    /// Makes sure that a rescue could be kept there now.
    ///
    /// # Errors
    /// The error that prevented it.
    pub fn try_rescue(&self) -> Result<(), Unfit> {
        let dir = self.0.join("rescue");
        let tried = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .and_then(|()| {
                let at = dir.join(format!(".{}.trial", uuid::Uuid::new_v4().simple()));
                let written = Blank::new(&dir)?.publish(TRIAL, &at);
                written.and_then(|()| fs::remove_file(&at))?;
                File::open(&dir)?.sync_all()
            });
        tried.map_err(|error| unfit(&self.0, format!("writing there failed: {error}")))
    }

    /// Its path, without links.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn of(at: &Path) -> Result<Self, String> {
        let own = |path: &Path, what: &str| {
            let data = fs::symlink_metadata(path).map_err(|error| format!("{what}: {error}"))?;
            if !data.is_dir() {
                return Err(format!("{what} is no directory"));
            }
            if data.uid() != rustix::process::geteuid().as_raw() {
                let owner = data.uid();
                return Err(format!("{what} belongs to somebody else (user {owner})"));
            }
            Ok(())
        };
        own(at, "it")?;
        let dirs = OURS.iter().filter(|name| **name != FORMAT_FILE);
        for path in dirs.map(|name| at.join(name)) {
            if !matches!(fs::symlink_metadata(&path), Err(error) if error.kind() == io::ErrorKind::NotFound)
            {
                own(&path, &path.display().to_string())?;
            }
        }
        let state = Self(at.to_owned());
        state.check_format()?;
        Ok(state)
    }

    /// Which version of the layout it has, if one is named.
    fn format(&self) -> Result<Option<u32>, String> {
        let path = self.0.join(FORMAT_FILE);
        let text = match small(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("its file {FORMAT_FILE:?}: {error}")),
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        };
        let number = text.trim_end().strip_prefix(FORMAT_WORDS);
        match number.and_then(|number| number.parse().ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(format!("its file {FORMAT_FILE:?} names no format")),
        }
    }

    fn check_format(&self) -> Result<(), String> {
        match self.format()? {
            Some(newer) if newer > FORMAT => Err(format!(
                "it is of a newer etagfs (its format is {newer}; this one knows {FORMAT})"
            )),
            _ => Ok(()),
        }
    }

    fn name_format(&self) -> Result<(), String> {
        if self.format()?.is_some() {
            return Ok(());
        }
        let text = format!("{FORMAT_WORDS}{FORMAT}\n");
        replace(&self.0.join(FORMAT_FILE), text.as_bytes())
            .map_err(|error| format!("writing there failed: {error}"))
    }

    fn make_private(&self) -> Result<(), String> {
        // Opened, so that it stays this directory whatever happens to its name.
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::open(&self.0, flags, Mode::empty()).map(File::from);
        let directory = opened.map_err(|error| error.to_string())?;
        let data = directory.metadata().map_err(|error| error.to_string())?;
        if data.mode() & 0o7777 == 0o700 {
            return Ok(());
        }
        if data.mode() & 0o077 != 0
            && let Some(other) = self.something_else().map_err(|error| error.to_string())?
        {
            return Err(format!(
                "it is open to other users, and holds other things ({other})"
            ));
        }
        directory
            .set_permissions(Permissions::from_mode(0o700))
            .map_err(|error| format!("it cannot be closed to other users: {error}"))
    }

    /// Something in it that does not belong there, if there is anything.
    fn something_else(&self) -> io::Result<Option<String>> {
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let is_ours = OURS.contains(&&*name)
                || name == "lost+found"
                || name.starts_with(&format!(".{FORMAT_FILE}."))
                || name.ends_with(".log");
            if !is_ours {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

fn unfit(dir: &Path, why: String) -> Unfit {
    Unfit {
        dir: dir.to_owned(),
        why,
    }
}

/// The same path without links, none of which may belong to another user. Parts that do not exist yet stay as
/// they are.
fn resolved(dir: &Path) -> Result<PathBuf, String> {
    let us = rustix::process::geteuid().as_raw();
    let mut rest: Vec<PathBuf> = parts(dir);
    let mut at = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == Path::new("..") {
            at.pop();
            continue;
        }
        let next = at.join(&part);
        let link = match fs::symlink_metadata(&next) {
            Ok(data) if data.is_symlink() => data,
            Ok(_) => {
                at = next;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                at = next;
                continue;
            }
            Err(error) => return Err(format!("{}: {error}", next.display())),
        };
        if link.uid() != us && link.uid() != 0 {
            let owner = link.uid();
            return Err(format!(
                "the way there leads over {}, a link of somebody else (user {owner})",
                next.display()
            ));
        }
        links += 1;
        if links > MAX_LINKS {
            return Err("the way there leads over too many links".to_owned());
        }
        let target =
            fs::read_link(&next).map_err(|error| format!("{}: {error}", next.display()))?;
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        rest.extend(parts(&target));
    }
    Ok(at)
}

/// The directories of a path, the last first.
fn parts(path: &Path) -> Vec<PathBuf> {
    let named = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    let parts = path.components().filter(named);
    let mut parts: Vec<_> = parts.map(|part| PathBuf::from(part.as_os_str())).collect();
    parts.reverse();
    parts
}

/// Writes a file so that it holds the old bytes or the new ones whatever happens to this machine.
///
/// # Errors
/// Any error of the local file system; then the old bytes are there.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = uuid::Uuid::new_v4().simple().to_string();
    let aside = dir.join(format!(".{name}.{}", &unique[..8]));
    let replaced = Blank::new(dir)?
        .publish(bytes, &aside)
        .and_then(|()| fs::rename(&aside, path));
    if replaced.is_err() {
        // Everything in it is also elsewhere.
        let _ = fs::remove_file(&aside);
    }
    replaced?;
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, symlink};

    fn why<T>(result: Result<T, Unfit>) -> String {
        result.map(|_| ()).unwrap_err().why
    }

    #[test]
    fn a_directory_is_made_for_its_owner_alone_and_names_its_format() {
        let base = tempfile::tempdir().unwrap();
        let at = base.path().join("a/state");
        assert_eq!(StateDir::find(&at).unwrap(), None);
        let state = StateDir::make(&at).unwrap();
        state.try_rescue().unwrap();
        assert_eq!(fs::read_dir(at.join("rescue")).unwrap().count(), 0);
        let mode = |at: &Path| fs::metadata(at).unwrap().mode() & 0o7777;
        assert_eq!((mode(&at), mode(&at.join("rescue"))), (0o700, 0o700));
        let format = fs::read_to_string(at.join("format")).unwrap();
        assert_eq!(format, "etagfs state, format 1\n");
        // An older one has none, and may be open.
        fs::remove_file(at.join("format")).unwrap();
        fs::set_permissions(&at, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(StateDir::find(&at).unwrap(), Some(state.clone()));
        assert_eq!(StateDir::make(&at).unwrap(), state);
        assert_eq!(mode(&at), 0o700);
        assert_eq!(fs::read_to_string(at.join("format")).unwrap(), format);
    }

    #[test]
    fn what_is_of_a_newer_program_is_left_alone() {
        let at = tempfile::tempdir().unwrap();
        for (text, words) in [
            ("etagfs state, format 2\n", "of a newer etagfs"),
            ("etagfs state, format 10\nand more", "names no format"),
            ("", "names no format"),
        ] {
            fs::write(at.path().join("format"), text).unwrap();
            assert!(why(StateDir::find(at.path())).contains(words), "{text}");
            assert!(why(StateDir::make(at.path())).contains(words), "{text}");
            assert_eq!(fs::read_to_string(at.path().join("format")).unwrap(), text);
        }
    }

    #[test]
    fn a_directory_that_others_use_is_not_taken_from_them() {
        let base = tempfile::tempdir().unwrap();
        let at = base.path().join("shared");
        fs::create_dir(&at).unwrap();
        fs::write(at.join("notes"), "").unwrap();
        fs::set_permissions(&at, Permissions::from_mode(0o1777)).unwrap();
        let said = why(StateDir::make(&at));
        assert!(said.contains("holds other things (notes)"), "{said}");
        assert_eq!(fs::metadata(&at).unwrap().mode() & 0o7777, 0o1777);
        // A directory that no other user can enter is safe.
        fs::set_permissions(&at, Permissions::from_mode(0o700)).unwrap();
        StateDir::make(&at).unwrap();
    }

    #[test]
    fn what_somebody_else_has_made_is_refused() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let base = tempfile::tempdir().unwrap();
        let theirs = base.path().join("theirs");
        fs::create_dir(&theirs).unwrap();
        chown(&theirs, Some(65534), None).unwrap();
        assert!(why(StateDir::make(&theirs)).contains("belongs to somebody else (user 65534)"));
        assert!(why(StateDir::find(&theirs)).contains("belongs to somebody else"));
        let ours = base.path().join("ours");
        StateDir::make(&ours).unwrap();
        for name in ["direct", "over"] {
            let link = base.path().join(name);
            symlink(if name == "over" { base.path() } else { &ours }, &link).unwrap();
            let through = if name == "over" {
                link.join("ours")
            } else {
                link.clone()
            };
            // Our own links are safe.
            assert_eq!(
                StateDir::make(&through).unwrap().path(),
                fs::canonicalize(&ours).unwrap()
            );
            std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
            let said = why(StateDir::make(&through));
            assert!(
                said.contains("a link of somebody else (user 65534)"),
                "{said}"
            );
        }
        symlink("/tmp", ours.join("scratch")).unwrap();
        assert!(why(StateDir::make(&ours)).contains("scratch is no directory"));
        fs::remove_file(ours.join("scratch")).unwrap();
        fs::remove_dir(ours.join("rescue")).ok();
        fs::create_dir(ours.join("rescue")).unwrap();
        chown(ours.join("rescue"), Some(65534), None).unwrap();
        assert!(why(StateDir::make(&ours)).contains("rescue belongs to somebody else"));
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("file");
        for text in ["one", "two"] {
            replace(&at, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&at).unwrap(), text);
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }
}
