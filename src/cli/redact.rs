//! What no log and no message may hold, whatever level was asked for.
//!
//! At their lowest level the AWS libraries tell the command of a credential process with its
//! arguments, and values of profiles. So that level of theirs is never told; what they tell above it
//! is redacted by themselves. A test reads the whole log of a mount for secrets.

use std::fmt;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterFn, filter_fn};

/// A text of an option that is never shown.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    /// The text.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// A filter to be put before every writer of logs.
pub(super) fn no_secrets() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(may_be_told)
}

fn may_be_told(what: &Metadata<'_>) -> bool {
    *what.level() != Level::TRACE || !what.target().starts_with("aws_")
}
