//! TARGET: what a command is told to work on, as it is written.
//!
//! Only text becomes something here: a URL, a path, or a standard stream; and a URL a bucket, a store
//! and a key. It asks nobody whether they exist. `session.rs` goes on from here.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser, ValueParserFactory};

use crate::cli::report::Failure;
use crate::cli::source::Source;
use crate::model::StoreId;

const SCHEME: &str = "s3://";

/// What a command works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Target {
    /// `-`: standard input or output.
    Stream,
    /// A key, a store or more, without a mount.
    Url(Url),
    /// A file, in a mount or not.
    Path(PathBuf),
}

/// `s3://BUCKET/REST`, nothing in it escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Url {
    bucket: String,
    /// Without the slash behind the bucket.
    rest: String,
}

/// What a URL means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Spot {
    /// Bucket and prefix.
    pub(in crate::cli) source: Source,
    /// Which store; none when the URL ends before it.
    pub(in crate::cli) level: Level,
    /// How the key is spelled; empty when the URL ends before it.
    pub(in crate::cli) key: String,
}

/// Where in a bucket a URL leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::cli) enum Level {
    /// To the stores.
    Stores,
    /// Into one of them.
    Store(StoreId),
    /// To the objects themselves (`--flat`).
    Flat,
}

/// As an argument; what begins like a URL is one.
impl ValueParserFactory for Target {
    type Parser = ValueParser;

    fn value_parser() -> Self::Parser {
        let parse = |text: OsString| match text.as_bytes().starts_with(SCHEME.as_bytes()) {
            true if text.to_str().is_none() => Err("a URL is UTF-8, as all keys are"),
            _ => Ok(Self::from(text.as_os_str())),
        };
        ValueParser::new(OsStringValueParser::new().try_map(parse))
    }
}

impl From<&OsStr> for Target {
    fn from(text: &OsStr) -> Self {
        match text.to_str().map(|text| (text, text.strip_prefix(SCHEME))) {
            Some(("-", _)) => Self::Stream,
            Some((_, Some(rest))) => {
                let (bucket, rest) = rest.split_once('/').unwrap_or((rest, ""));
                Self::Url(Url {
                    bucket: bucket.to_owned(),
                    rest: rest.to_owned(),
                })
            }
            _ => Self::Path(text.into()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream => f.write_str("-"),
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
    pub(in crate::cli) fn join(&self, name: &str) -> Self {
        match self {
            Self::Stream => Self::Stream,
            Self::Url(url) => Self::Url(url.join(name)),
            Self::Path(path) => Self::Path(path.join(name)),
        }
    }

    /// What it is called in the place that it is in.
    pub(in crate::cli) fn name(&self) -> Option<String> {
        match self {
            Self::Stream => None,
            Self::Url(url) => {
                let last = url.rest.rsplit('/').next().unwrap_or_default();
                (!last.is_empty()).then(|| last.to_owned())
            }
            Self::Path(path) => Some(path.file_name()?.to_string_lossy().into_owned()),
        }
    }
}

impl Url {
    fn join(&self, name: &str) -> Self {
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
    pub(in crate::cli) fn root_of(&self, spot: &Spot) -> String {
        let text = self.to_string();
        let root = text.strip_suffix(&spot.key).unwrap_or(&text);
        match root.ends_with('/') {
            true => root.to_owned(),
            false => format!("{root}/"),
        }
    }

    /// What it means, with `prefix` from `--prefix`. A store is the first part of the path that is a
    /// UUID; what comes before it is the prefix of the bucket.
    ///
    /// # Errors
    /// When it names no bucket, or two prefixes.
    pub(in crate::cli) fn spot(&self, prefix: &str, flat: bool) -> Result<Spot, Failure> {
        if self.bucket.is_empty() {
            return Err(Failure::usage(format!("{self} names no bucket")).hint(HOW_KEYS_ARE_NAMED));
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
            return Ok(spot(prefix, Level::Flat, &self.rest));
        }
        let mut at = 0;
        for part in self.rest.split('/') {
            let end = at + part.len();
            if let Some(store) = StoreId::parse(part) {
                let (before, key) = (&self.rest[..at], self.rest.get(end + 1..));
                let before = one_prefix(self, prefix, before)?;
                return Ok(spot(before, Level::Store(store), key.unwrap_or_default()));
            }
            at = end + 1;
        }
        let mut before = one_prefix(self, prefix, &self.rest)?.to_owned();
        if !before.is_empty() && !before.ends_with('/') {
            before.push('/');
        }
        Ok(spot(&before, Level::Stores, ""))
    }
}

fn one_prefix<'a>(url: &Url, option: &'a str, before: &'a str) -> Result<&'a str, Failure> {
    match (option, before) {
        ("", before) => Ok(before),
        (option, "") => Ok(option),
        _ => Err(Failure::usage(format!(
            "the prefix is given twice: in {url} and by --prefix"
        ))),
    }
}

/// For hints.
pub(in crate::cli) const HOW_KEYS_ARE_NAMED: &str = "a key is s3://BUCKET[/PREFIX]/UUID/KEY, or a \
     path in a mount; with --flat s3://BUCKET/KEY";

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";

    fn spot(text: &str, prefix: &str, flat: bool) -> Result<(String, String, bool), Failure> {
        let Target::Url(url) = Target::from(OsStr::new(text)) else {
            panic!("{text} is no URL");
        };
        let spot = url.spot(prefix, flat)?;
        let in_store = matches!(spot.level, Level::Store(_));
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
    fn what_is_no_url_is_a_path_or_a_stream() {
        for (text, target) in [
            ("-", Target::Stream),
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
            assert_eq!(base.join("k").name().as_deref(), Some("k"));
        }
    }
}
