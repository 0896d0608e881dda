//! What no log may hold, whatever level was asked for.
//!
//! At their lowest level the AWS libraries tell the command of a credential process with its
//! arguments, and values of profiles. So that level of theirs is never told; what they tell above it
//! is redacted by themselves. A test reads the whole log of a mount for secrets.

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterFn, filter_fn};

/// A filter to be put before every writer of logs.
pub(super) fn no_secrets() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(may_be_told)
}

fn may_be_told(what: &Metadata<'_>) -> bool {
    *what.level() != Level::TRACE || !what.target().starts_with("aws_")
}
