//! TARGET: what a command works on, as the user wrote it: an address of the client, or a standard stream.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use clap::builder::{OsStringValueParser, TypedValueParser, ValueParser, ValueParserFactory};

use crate::cli::report::Failure;
use crate::client::{self, SCHEME, Url};

/// What a command works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `-`: standard input or output.
    Stream,
    /// A key, a store, a file, ...
    At(client::Target),
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
        match text.to_str() {
            Some("-") => Self::Stream,
            _ => Self::At(text.into()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream => f.write_str("-"),
            Self::At(target) => target.fmt(f),
        }
    }
}

impl Target {
    /// The address.
    ///
    /// # Errors
    /// When it is a stream.
    pub(super) fn address(&self) -> Result<client::Target, Failure> {
        match self {
            Self::Stream => Err(Failure::usage("- names no key").hint(HOW_KEYS_ARE_NAMED)),
            Self::At(target) => Ok(target.clone()),
        }
    }

    /// The URL of a key.
    ///
    /// # Errors
    /// When it is something else; with this hint.
    pub(super) fn url(&self, hint: &str) -> Result<Url, Failure> {
        match self.address()? {
            client::Target::Url(url) => Ok(url),
            client::Target::Path(_) => Err(Failure::usage(format!("{self} is a path")).hint(hint)),
        }
    }
}

/// For hints.
pub(in crate::cli) const HOW_KEYS_ARE_NAMED: &str = "a key is s3://BUCKET[/PREFIX]/UUID/KEY, or a \
     path in a mount; with --flat s3://BUCKET/KEY";
