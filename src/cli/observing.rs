//! The options for what a mount reports about itself, and where.
//!
//! It starts what was asked for. What is told is decided where it happens; the metrics are in
//! `telemetry`.

use std::net::SocketAddr;

use clap::Args as ClapArgs;
#[cfg(feature = "otlp")]
use rustls::RootCertStore;
use tokio::runtime::Handle;
#[cfg(feature = "otlp")]
use tracing_subscriber::layer::Layer;

use super::log::{self, Destination, Format, Lines};
use super::metrics::{self, Listening};
use super::report::Failure;
#[cfg(feature = "otlp")]
use crate::backend::s3::Trust;
use crate::telemetry::Telemetry;
#[cfg(feature = "otlp")]
use crate::telemetry::traces;

/// What a mount reports.
#[derive(Debug, ClapArgs)]
#[command(next_help_heading = "Observability")]
pub(super) struct Observing {
    /// What to log: error, warn, info, debug, trace, off, or directives like etagfs=debug.
    #[arg(long, env = "ETAGFS_LOG", value_name = "LEVEL", default_value = "info", value_parser = log::level)]
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
    /// Let --metrics listen on an address that other machines can reach. Anybody there can read the metrics.
    #[arg(long, env = "ETAGFS_METRICS_PUBLIC", requires = "metrics")]
    metrics_public: bool,
    /// Send traces to a collector of OpenTelemetry, by OTLP over HTTP: http://127.0.0.1:4318.
    #[cfg(feature = "otlp")]
    #[arg(long, env = "ETAGFS_OTLP", value_name = "URL")]
    otlp: Option<String>,
    /// Make trace ids in the format of AWS X-Ray, and send them to the store (X-Amzn-Trace-Id).
    #[cfg(feature = "otlp")]
    #[arg(long, env = "ETAGFS_X_RAY")]
    x_ray: bool,
}

/// What goes on until the mount is over: traces, if they are wanted.
#[cfg(feature = "otlp")]
pub(super) type Going = Option<traces::Traces>;
#[cfg(not(feature = "otlp"))]
pub(super) type Going = Option<Nothing>;

/// Traces of a build that has none.
#[cfg(not(feature = "otlp"))]
pub(super) struct Nothing;

impl Observing {
    /// Starts the log, and the traces if they are wanted. `runtime` sends them.
    ///
    /// # Errors
    /// A failure that says what makes no sense.
    pub(super) fn start(
        &self,
        target: Destination,
        source: &str,
        runtime: &Handle,
    ) -> Result<Going, Failure> {
        let (going, layer) = self.traces(source, runtime)?;
        log::start_as(&self.log, self.log_format, target, layer).map_err(Failure::usage)?;
        Ok(going)
    }

    #[cfg(feature = "otlp")]
    fn traces(&self, source: &str, runtime: &Handle) -> Result<(Going, Option<Lines>), Failure> {
        if self.otlp.is_none() && !self.x_ray {
            return Ok((None, None));
        }
        let wanted = traces::TraceOptions {
            collector: self.otlp.clone(),
            roots: self.roots()?,
            x_ray: self.x_ray,
            source: source.to_owned(),
        };
        let started = traces::Traces::start(&wanted, runtime.clone());
        let (going, layer) = started.map_err(Failure::usage)?;
        Ok((Some(going), Some(layer.boxed())))
    }

    /// Whom to trust about a collector: nobody has to be for http.
    #[cfg(feature = "otlp")]
    fn roots(&self) -> Result<RootCertStore, Failure> {
        let collector = self.otlp.as_deref().unwrap_or_default();
        if !collector.starts_with("https://") {
            return Ok(RootCertStore::empty());
        }
        Trust::of_system().store().map_err(|none| {
            Failure::new(format!("traces cannot be sent to {collector}: {none}"))
                .hint("install the package ca-certificates, or name a file (PEM) by SSL_CERT_FILE")
        })
    }

    #[cfg(not(feature = "otlp"))]
    fn traces(&self, _: &str, _: &Handle) -> Result<(Going, Option<Lines>), Failure> {
        Ok((None, None))
    }

    /// Has the store told of the trace that each request belongs to, if that is wanted.
    pub(super) fn tell_store_of_traces(&self, telemetry: &Telemetry) {
        #[cfg(feature = "otlp")]
        if self.x_ray {
            // It is the same for a second mount of this process.
            let _ = telemetry.trace_header.set(traces::amazon_header);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = telemetry;
    }

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
