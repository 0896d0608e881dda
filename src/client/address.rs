//! Addresses of keys: URLs, and paths of files.
//!
//! Only text becomes something here: a URL or a path; and a URL a bucket, a store and a key. It asks nobody whether
//! they exist. `session.rs` goes on from here.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use super::Error;
use crate::model::StoreId;

/// What URLs begin with.
pub(crate) const SCHEME: &str = "s3://";

/// What a verb works on. Text that begins with `s3://` is a URL, and all other text a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A key, a store or more, without a mount.
    Url(Url),
    /// A file, in a mount or not.
    Path(PathBuf),
}

/// `s3://BUCKET/REST`, nothing in it escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    bucket: String,
    /// Without the slash behind the bucket.
    rest: String,
}

/// A bucket, or the part of it below a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// The bucket.
    pub bucket: String,
    /// Empty, or ending with `/`.
    pub prefix: String,
}

impl Source {
    /// What messages call it.
    pub fn label(&self) -> String {
        let label = format!("{SCHEME}{}/{}", self.bucket, self.prefix);
        label.trim_end_matches('/').to_owned()
    }
}

/// What a URL means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Bucket and prefix.
    pub source: Source,
    /// Which store; none when the URL ends before it.
    pub level: UrlLevel,
    /// How the key is spelled; empty when the URL ends before it.
    pub key: String,
}

/// Where in a bucket a URL leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UrlLevel {
    /// To the stores.
    Stores,
    /// Into one of them.
    Store(StoreId),
    /// To the objects themselves, without a level of stores.
    Flat,
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        OsStr::new(text).into()
    }
}

impl From<&OsStr> for Target {
    fn from(text: &OsStr) -> Self {
        match text.to_str().and_then(|text| text.strip_prefix(SCHEME)) {
            Some(rest) => {
                let (bucket, rest) = rest.split_once('/').unwrap_or((rest, ""));
                Self::Url(Url {
                    bucket: bucket.to_owned(),
                    rest: rest.to_owned(),
                })
            }
            None => Self::Path(text.into()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.bucket, self.rest)
    }
}

impl Target {
    /// The target of this name in a store or directory.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        match self {
            Self::Url(url) => Self::Url(url.join(name)),
            Self::Path(path) => Self::Path(path.join(name)),
        }
    }
}

impl Url {
    /// What is behind the last slash.
    pub(super) fn name(&self) -> Option<&str> {
        self.rest.rsplit('/').next().filter(|name| !name.is_empty())
    }

    pub(super) fn join(&self, name: &str) -> Self {
        let between = match self.rest.is_empty() || self.rest.ends_with('/') {
            true => "",
            false => "/",
        };
        Self {
            bucket: self.bucket.clone(),
            rest: format!("{}{between}{name}", self.rest),
        }
    }

    /// The URL of what a key is in, ending with `/`: its spelling goes behind that.
    pub fn root_of(&self, spot: &Spot) -> String {
        let text = self.to_string();
        let root = text.strip_suffix(&spot.key).unwrap_or(&text);
        match root.ends_with('/') {
            true => root.to_owned(),
            false => format!("{root}/"),
        }
    }

    /// What it means, with this prefix of the bucket, unless it has one itself. A store is the first part of the path
    /// that is a UUID; what comes before it is the prefix. With `flat` there are no stores, and all of it is the key.
    ///
    /// # Errors
    /// [`Error::NoBucket`], [`Error::TwoPrefixes`].
    pub fn spot(&self, prefix: &str, flat: bool) -> Result<Spot, Error> {
        if self.bucket.is_empty() {
            return Err(Error::NoBucket(self.to_string()));
        }
        let spot = |prefix: &str, level, key: &str| Spot {
            source: Source {
                bucket: self.bucket.clone(),
                prefix: prefix.to_owned(),
            },
            level,
            key: key.to_owned(),
        };
        if flat {
            return Ok(spot(prefix, UrlLevel::Flat, &self.rest));
        }
        let mut at = 0;
        for part in self.rest.split('/') {
            let end = at + part.len();
            if let Some(store) = StoreId::parse(part) {
                let (before, key) = (&self.rest[..at], self.rest.get(end + 1..));
                let before = one_prefix(self, prefix, before)?;
                return Ok(spot(
                    before,
                    UrlLevel::Store(store),
                    key.unwrap_or_default(),
                ));
            }
            at = end + 1;
        }
        let mut before = one_prefix(self, prefix, &self.rest)?.to_owned();
        if !before.is_empty() && !before.ends_with('/') {
            before.push('/');
        }
        Ok(spot(&before, UrlLevel::Stores, ""))
    }
}

fn one_prefix<'a>(url: &Url, option: &'a str, before: &'a str) -> Result<&'a str, Error> {
    match (option, before) {
        ("", before) => Ok(before),
        (option, "") => Ok(option),
        _ => Err(Error::TwoPrefixes(url.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";

    fn spot(text: &str, prefix: &str, flat: bool) -> Result<(String, String, bool), Error> {
        let Target::Url(url) = Target::from(OsStr::new(text)) else {
            panic!("{text} is no URL");
        };
        let spot = url.spot(prefix, flat)?;
        let in_store = matches!(spot.level, UrlLevel::Store(_));
        Ok((spot.source.prefix, spot.key, in_store))
    }

    #[test]
    fn the_first_uuid_is_the_store_and_what_follows_the_key() {
        for (rest, option, prefix, key, in_store) in [
            ("", "", "", "", false),
            ("a/b", "", "a/b/", "", false),
            ("{}", "", "", "", true),
            ("{}/", "", "", "", true),
            ("{}/key", "", "", "key", true),
            ("{}/a//b/", "", "", "a//b/", true),
            ("{}//a", "", "", "/a", true),
            ("p/q/{}/key", "", "p/q/", "key", true),
            ("{}/key", "p/", "p/", "key", true),
            ("{}/{}/key", "", "", "{}/key", true),
            ("key", "p/", "", "", false),
        ] {
            let fill = |text: &str| text.replace("{}", ID);
            let found = spot(&format!("s3://b/{}", fill(rest)), option, false);
            match found {
                Ok(found) => assert_eq!(found, (prefix.to_owned(), fill(key), in_store), "{rest}"),
                Err(_) => assert_eq!((rest, option), ("key", "p/")),
            }
        }
    }

    #[test]
    fn without_stores_all_of_a_url_is_the_key() {
        let text = format!("s3://b/a/{ID}/c");
        let found = spot(&text, "p/", true).expect("it is one");
        assert_eq!(found, ("p/".to_owned(), format!("a/{ID}/c"), false));
    }

    #[test]
    fn what_is_no_url_is_a_path() {
        for (text, target) in [
            ("-", Target::Path("-".into())),
            ("s3:/b", Target::Path("s3:/b".into())),
            ("./s3://b", Target::Path("./s3://b".into())),
        ] {
            assert_eq!(Target::from(OsStr::new(text)), target);
        }
        assert!(spot("s3://", "", false).is_err());
    }

    #[test]
    fn names_are_joined_with_one_slash() {
        for (base, joined) in [
            ("s3://b", "s3://b/k"),
            ("s3://b/s/", "s3://b/s/k"),
            ("s3://b/s", "s3://b/s/k"),
            ("dir", "dir/k"),
        ] {
            let base = Target::from(OsStr::new(base));
            assert_eq!(base.join("k").to_string(), joined);
        }
    }
}
