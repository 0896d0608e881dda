//! A target with the name of another one: what a copy into a store or directory is called.

use std::path::Path;

use super::Error;
use super::address::Target;
use super::file::names;

impl Target {
    /// The place in this store or directory of something that is called like `source`: the name of a key is the same in
    /// a bucket and in a mount, where its file may be called otherwise (V3). Without such a name it is this one itself.
    ///
    /// # Errors
    /// [`Error::NoSuchKey`]; [`Error::Directory`] when a directory cannot be looked at.
    pub fn beside(&self, source: &Self) -> Result<Self, Error> {
        let named = match (self, source) {
            (Self::Url(to), Self::Url(from)) => from.name().map(|name| Self::Url(to.join(name))),
            (Self::Path(to), Self::Url(from)) => match from.name() {
                Some(name) if names::is_in_mount(to)? => {
                    Some(Self::Path(to.join(names::of_key(to, name))))
                }
                name => name.map(|name| Self::Path(to.join(name))),
            },
            (Self::Path(to), Self::Path(from)) => {
                from.file_name().map(|name| Self::Path(to.join(name)))
            }
            (Self::Url(to), Self::Path(from)) => match from.file_name() {
                Some(_) => Some(Self::Url(to.join(&key(from)?))),
                None => None,
            },
        };
        Ok(named.unwrap_or_else(|| self.clone()))
    }
}

/// The last part of the key that a file is to have.
fn key(file: &Path) -> Result<String, Error> {
    let around = file
        .parent()
        .filter(|around| !around.as_os_str().is_empty());
    let around = around.unwrap_or(Path::new("."));
    let key = match names::is_in_mount(around)? {
        true => names::of_file(file),
        false => file
            .file_name()
            .and_then(|name| name.to_str())
            .map(str::to_owned),
    };
    key.ok_or_else(|| Error::NoSuchKey(file.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    #[test]
    fn a_copy_has_the_name_of_its_source_behind_one_slash() {
        for (base, joined) in [
            ("s3://b", "s3://b/k"),
            ("s3://b/s/", "s3://b/s/k"),
            ("s3://b/s", "s3://b/s/k"),
            ("dir", "dir/k"),
        ] {
            for source in ["s3://other/a/k", "somewhere/k"] {
                let beside = Target::from(base).beside(&Target::from(source));
                assert_eq!(beside.expect(joined).to_string(), joined);
            }
        }
        let base = Target::from("s3://b/s/");
        assert_eq!(base.beside(&Target::from("s3://b/")).expect("itself"), base);
    }

    #[test]
    fn a_name_that_no_key_can_have_is_refused_and_is_no_other_name() {
        let base = Target::from("s3://b/s/");
        let source = Target::from(OsStr::from_bytes(b"/tmp/\xff"));
        assert!(base.beside(&source).is_err());
        let beside = Target::from("/somewhere").beside(&source).expect("a file");
        assert_eq!(beside, Target::from(OsStr::from_bytes(b"/somewhere/\xff")));
    }
}
