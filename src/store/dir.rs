//! The plain layout: object `PREFIX` + key, the body is the file, `/` in a key makes directories.
//!
//! Pure: it turns keys into paths and back, see V2 and V3 of `docs/semantics.md`. It knows nothing
//! of requests; `store/mod.rs` makes them.

use crate::model::{BadName, FileName, Key, MAX_NAME_BYTES, Piece};

/// A directory of a store: the keys that begin with a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Dir {
    prefix: String,
    /// Where the segment begins that goes on in this directory; the end of the prefix otherwise.
    segment: usize,
}

/// What a file name in a directory may stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Child {
    /// A key, or the directory of the keys below it: the directory, where both exist.
    Either(Key, Dir),
    /// A directory only: of keys with a segment too long for a file name, or below an empty one.
    Dir(Dir),
    /// A key whose plain name is taken by a directory.
    Shadowed(Key, Dir),
    /// A key, in a store without directories.
    Key(Key),
}

impl Dir {
    /// The top directory of a store.
    pub fn root() -> Self {
        Self::closed(String::new())
    }

    fn closed(prefix: String) -> Self {
        Self {
            segment: prefix.len(),
            prefix,
        }
    }

    /// The directory of the keys that begin with `prefix`, as [`prefix`](Self::prefix) says it.
    pub fn of_prefix(prefix: String) -> Self {
        let closed = prefix.rfind('/').map_or(0, |slash| slash + 1);
        Self {
            segment: closed,
            prefix,
        }
    }

    /// What the keys in it begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether this is the top directory.
    pub fn is_root(&self) -> bool {
        self.prefix.is_empty()
    }

    /// The directories it is in, from the top down, but for those that exist only because a segment
    /// was too long.
    pub fn parents(&self) -> impl Iterator<Item = Self> {
        let ends = self.prefix.match_indices('/').map(|(at, _)| at + 1);
        let ends = [0].into_iter().chain(ends);
        ends.filter(|end| *end < self.prefix.len())
            .map(|end| Self::closed(self.prefix[..end].to_owned()))
    }

    /// The key of the object that keeps this directory when it is empty: the prefix itself.
    /// `None` for the top, whose marker belongs to the store, and for directories that exist only
    /// because a segment was too long.
    pub fn marker(&self) -> Option<Key> {
        self.prefix
            .ends_with('/')
            .then(|| Key::new(&*self.prefix).ok())?
    }

    /// What `name` stands for in this directory.
    ///
    /// # Errors
    /// [`BadName`] when no key has this name here.
    pub fn child(&self, name: &FileName) -> Result<Child, BadName> {
        let join = |text: &str| format!("{}{text}", self.prefix);
        let (child, shown) = match name.piece() {
            Piece::Whole(text) => {
                let path = join(&text);
                let shown = self.name_of(&path).map(|named| named.name);
                let below = Self::closed(format!("{path}/"));
                match Key::new(path) {
                    // An empty first segment: nothing but a directory can have that name.
                    Err(BadName::Illegal) => (Child::Dir(below), shown),
                    Err(error) => return Err(error),
                    Ok(key) => (Child::Either(key, below), shown),
                }
            }
            Piece::Shadowed(text) => {
                let path = join(&text);
                let shown = self.shadowed_name_of(&path);
                let below = Self::closed(format!("{path}/"));
                (Child::Shadowed(Key::new(path)?, below), shown)
            }
            Piece::Part(text) => {
                // So long that one more character, of at most four bytes, may not have fit.
                let long = name.as_str().len() + 3 >= MAX_NAME_BYTES;
                let dir = Self {
                    prefix: join(&text),
                    segment: self.segment,
                };
                (Child::Dir(dir), long.then(|| name.clone()))
            }
        };
        // Only the names that a listing shows are names: every key has one path.
        if shown.as_ref() == Some(name) {
            Ok(child)
        } else {
            Err(BadName::Illegal)
        }
    }

    /// The name in this directory under which the key `path` is found, and whether that is a
    /// directory on the way to it. `None` for keys that are not in this directory.
    pub fn name_of(&self, path: &str) -> Option<NameInDir> {
        let segment_on = path.strip_prefix(&self.prefix[..self.segment])?;
        let (segment, below) = match segment_on.split_once('/') {
            Some((segment, _)) => (segment, true),
            None => (segment_on, false),
        };
        // The names of the directories on the way to this one cover the beginning of the segment.
        let mut rest = segment;
        let mut covered = self.prefix[self.segment..]
            .strip_prefix("")
            .unwrap_or_default();
        loop {
            let (name, part) = FileName::of_segment(rest);
            if covered.is_empty() {
                return Some(NameInDir {
                    name,
                    is_dir: below || part.is_some(),
                });
            }
            let part = part?;
            covered = covered.strip_prefix(&rest[..part])?;
            rest = &rest[part..];
        }
    }

    /// The name in this directory of a key whose plain name is taken by a directory.
    pub fn shadowed_name_of(&self, path: &str) -> Option<FileName> {
        let named = self.name_of(path)?;
        match named.name.piece() {
            Piece::Whole(segment) => FileName::of_shadowed(&segment),
            Piece::Part(_) | Piece::Shadowed(_) => None,
        }
    }
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameInDir {
    /// The name.
    pub name: FileName,
    /// Whether the key lies below a directory of this name.
    pub is_dir: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;

    /// The path of a key, walked from the top the way a listing shows it.
    fn path_of(key: &str) -> Vec<FileName> {
        let mut dir = Dir::root();
        let mut path = Vec::new();
        loop {
            let named = dir.name_of(key).expect("a key is found on its own way");
            path.push(named.name.clone());
            if !named.is_dir {
                return path;
            }
            dir = match dir.child(&named.name).expect("a shown name is a name") {
                Child::Either(_, below) | Child::Dir(below) | Child::Shadowed(_, below) => below,
                Child::Key(key) => panic!("{key} is in a directory"),
            };
        }
    }

    /// The key of a path, walked the way the kernel does.
    fn key_of(path: &[FileName]) -> Result<Key, BadName> {
        let (last, dirs) = path.split_last().expect("a path has a last name");
        let mut dir = Dir::root();
        for name in dirs {
            dir = match dir.child(name)? {
                Child::Either(_, below) | Child::Dir(below) => below,
                Child::Shadowed(..) | Child::Key(_) => return Err(BadName::Illegal),
            };
        }
        match dir.child(last)? {
            Child::Either(key, _) | Child::Shadowed(key, _) | Child::Key(key) => Ok(key),
            Child::Dir(_) => Err(BadName::Illegal),
        }
    }

    fn names(path: &[FileName]) -> Vec<&str> {
        path.iter().map(FileName::as_str).collect()
    }

    #[test]
    fn slashes_make_directories_and_empty_segments_have_a_name() {
        assert_eq!(names(&path_of("a/b/c")), ["a", "b", "c"]);
        assert_eq!(names(&path_of("a//b")), ["a", "%", "b"]);
        assert_eq!(names(&path_of("/a")), ["%", "a"]);
        assert_eq!(names(&path_of("a/")), ["a", "%"]);
        assert_eq!(names(&path_of("a/../b")), ["a", "%2E.", "b"]);
        assert_eq!(names(&path_of(".etagfs")), ["%2Eetagfs"]);
    }

    #[test]
    fn the_parents_of_a_directory_are_those_on_the_way_to_it() {
        let parents = |prefix: &str| -> Vec<_> {
            let dir = Dir::closed(prefix.to_owned());
            dir.parents().map(|dir| dir.prefix).collect()
        };
        assert_eq!(parents("a/b/c/"), ["", "a/", "a/b/"]);
        assert_eq!(parents(""), [""; 0]);
    }

    #[test]
    fn a_segment_of_a_thousand_bytes_is_a_chain_of_directories() {
        let key = "k".repeat(1000);
        let path = path_of(&key);
        assert_eq!(path.len(), 4);
        assert!(path.iter().all(|name| name.as_str().len() <= 255));
        assert_eq!(key_of(&path).expect("legal").as_str(), key);
    }

    #[test]
    fn names_that_no_listing_shows_are_no_names() {
        let root = Dir::root();
        let check = |name: &str| root.child(&FileName::new(OsStr::new(name)).expect("a name"));
        for name in ["a%2Fb", ".etagfs", "short%+"] {
            assert_eq!(check(name), Err(BadName::Illegal), "{name}");
        }
    }

    #[test]
    fn a_key_that_is_also_a_directory_has_a_name_of_its_own() {
        let root = Dir::root();
        assert_eq!(root.shadowed_name_of("a").expect("fits").as_str(), "a%.");
        let name = FileName::new(OsStr::new("a%.")).expect("a name");
        match root.child(&name) {
            Ok(Child::Shadowed(key, below)) => {
                assert_eq!((key.as_str(), below.prefix()), ("a", "a/"));
            }
            other => panic!("{other:?}"),
        }
    }

    fn key() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![
                Just("a".to_owned()),
                Just("/".to_owned()),
                Just("%".to_owned()),
                Just("25".to_owned()),
                Just("2F".to_owned()),
                Just(".".to_owned()),
                Just("..".to_owned()),
                Just("+".to_owned()),
                Just("\0".to_owned()),
                Just(".etagfs".to_owned()),
                Just("\u{1f600}".repeat(40)),
                Just("x".repeat(251)),
                "\\PC{0,20}",
            ],
            1..12,
        )
        .prop_map(|parts| parts.concat())
        .prop_filter("a key", |text| Key::new(text.as_str()).is_ok())
    }

    proptest! {
        #[test]
        fn every_key_has_one_path_and_the_path_has_that_key(text in key()) {
            let path = path_of(&text);
            prop_assert_eq!(key_of(&path).map(|key| key.as_str().to_owned()), Ok(text));
        }

        #[test]
        fn every_path_that_means_a_key_is_its_path(text in key()) {
            // The text taken as a path of raw names.
            let path: Option<Vec<_>> = text
                .split('/')
                .map(|name| FileName::new(OsStr::new(name)).ok())
                .collect();
            if let Some(path) = path
                && let Ok(key) = key_of(&path)
                && !matches!(path.last().map(FileName::piece), Some(Piece::Shadowed(_)))
            {
                prop_assert_eq!(path_of(key.as_str()), path);
            }
        }
    }
}
