//! The options that say what a mount tells of itself, and to whom.
//!
//! It starts what was asked for. What is told is decided where it happens; the metrics are in
//! `telemetry`.

use std::net::SocketAddr;

use clap::Args as ClapArgs;

use super::log::Format;
use super::metrics::{self, Listening};
use super::report::Failure;

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
    /// Serve metrics for Prometheus at http://ADDRESS/metrics: a port, or a loopback address with
    /// one, like 127.0.0.1:9464.
    #[arg(
        long,
        env = "ETAGFS_METRICS",
        value_name = "ADDRESS",
        value_parser = metrics::address
    )]
    metrics: Option<SocketAddr>,
    /// Let --metrics listen where other machines can reach it. Anybody there can read them.
    #[arg(long, env = "ETAGFS_METRICS_PUBLIC", requires = "metrics")]
    metrics_public: bool,
}

impl Observing {
    /// Takes the address of the metrics, if they are wanted.
    ///
    /// # Errors
    /// A failure that says what to do.
    pub(super) async fn listen(&self) -> Result<Option<Listening>, Failure> {
        match self.metrics {
            Some(address) => Ok(Some(Listening::at(address, self.metrics_public).await?)),
            None => Ok(None),
        }
    }
}
