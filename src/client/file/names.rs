//! Names in a mount: the file of a key and the key of a file (V3), and names that never reach the bucket (W9).

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::super::Error;
use super::way::{self, Way, directory};
use crate::model::{
    FileName, OBJECT_ATTRIBUTE, Origin, Pattern, Piece, SCRATCH_ATTRIBUTE, ScratchNames,
};

/// Whether a directory is in a mount. One that does not exist is not.
///
/// # Errors
/// [`Error::Directory`] when it cannot be looked at.
pub(in crate::client) fn is_in_mount(directory: &Path) -> Result<bool, Error> {
    let found = match std::fs::metadata(directory) {
        Ok(found) => way::is_mounted(&found),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    found.map_err(|error| Error::Directory {
        label: directory.display().to_string(),
        error,
    })
}

/// Where a key has its file, below a directory of a mount.
pub(in crate::client) fn of_key(base: &Path, key: &str) -> String {
    let mut path: Vec<String> = Vec::new();
    for part in key.split('/') {
        let mut rest = part;
        loop {
            let (name, covered) = FileName::of_segment(rest);
            path.push(name.to_string());
            match covered {
                Some(covered) => rest = &rest[covered..],
                None => break,
            }
        }
    }
    // The plain name is that of the directory.
    if base.join(path.join("/")).is_dir()
        && let Some(last) = key.rsplit('/').next()
        && let Some(shadowed) = FileName::of_shadowed(last)
    {
        path.pop();
        path.push(shadowed.to_string());
    }
    path.join("/")
}

/// The last part of the key that a file of a mount has; nothing if no key has it.
pub(in crate::client) fn of_file(path: &Path) -> Option<String> {
    let name = |path: &Path| FileName::new(path.file_name()?).ok();
    let mut part = match name(path)?.piece() {
        Piece::Whole(part) | Piece::Shadowed(part) => part,
        Piece::Part(_) => return None,
    };
    // Directories that are only a part of a name.
    for above in path.ancestors().skip(1) {
        match name(above).map(|name| name.piece()) {
            Some(Piece::Part(before)) => part.insert_str(0, &before),
            _ => break,
        }
    }
    Some(part)
}

/// Whether what is written to a file of a mount never reaches the bucket. A key that is in the bucket is a key,
/// whatever its name.
///
/// # Errors
/// Any of the filesystem, if it does not say whether there is such a key.
pub(super) fn is_scratch(way: &Way) -> io::Result<bool> {
    match way.attribute(OBJECT_ATTRIBUTE) {
        Ok(Some(_)) => return Ok(false),
        Ok(None) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let itself = way.itself();
    let Some(name) = itself.file_name().and_then(|name| FileName::new(name).ok()) else {
        // Whoever writes is told.
        return Ok(false);
    };
    let patterns = patterns(directory(&itself)).unwrap_or_default();
    let scratch = patterns
        .split(',')
        .filter_map(|text| text.parse::<Pattern>().ok());
    // What is there already was perhaps made as a temporary file.
    let origin = match way.metadata() {
        Ok(found) if found.is_file() => Origin::Temporary,
        _ => Origin::Other,
    };
    Ok(ScratchNames::new(scratch).contains(&name, origin))
}

/// The scratch names of the mount that a directory is in; an older daemon tells none.
fn patterns(directory: &Path) -> Option<String> {
    let mut told = Vec::with_capacity(64 << 10);
    let buffer = rustix::buffer::spare_capacity(&mut told);
    rustix::fs::getxattr(directory, OsStr::new(SCRATCH_ATTRIBUTE), buffer).ok()?;
    String::from_utf8(told).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_key_is_the_same_as_a_file_and_back() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("both")).expect("made");
        let long = "k".repeat(300);
        for (key, path) in [
            ("k", "k".to_owned()),
            ("%", "%25".to_owned()),
            ("%25", "%25".to_owned() + "25"),
            ("%2E", "%252E".to_owned()),
            (".", "%2E".to_owned()),
            ("a//b", "a/%/b".to_owned()),
            ("../b", "%2E./b".to_owned()),
            ("both", "both%.".to_owned()),
            (&*long, format!("{}%+/{}", &long[..250], &long[250..])),
        ] {
            let found = of_key(dir.path(), key);
            assert_eq!(found, path, "{key}");
            let last = key.rsplit('/').next();
            assert_eq!(of_file(&dir.path().join(&found)).as_deref(), last, "{key}");
        }
    }
}
