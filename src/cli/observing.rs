//! The options that say what a mount tells of itself, and to whom.
//!
//! It starts what was asked for. What is told is decided where it happens; the metrics are in
//! `telemetry`.

use clap::Args as ClapArgs;

use super::log::Format;

/// What is told of a mount.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Observability")]
pub(super) struct Observing {
    /// What to log: error, warn, info, debug, trace, or filter directives.
    #[arg(long, env = "ETAGFS_LOG", value_name = "LEVEL", default_value = "info")]
    pub(super) log: String,
    /// The form of the log.
    #[arg(
        long,
        env = "ETAGFS_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t
    )]
    pub(super) log_format: Format,
}
