//! The log: to standard error, or to the file of a daemon.

use std::fs::File;
use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::quiet::no_secrets;

/// Where log lines go.
pub(super) enum Target {
    /// Standard error.
    Stderr,
    /// A file, without colours.
    File(File),
}

/// Starts logging: `level` is a level, or filter directives of the `tracing` crates.
///
/// # Errors
/// A message when `level` is neither.
pub(super) fn start(level: &str, target: Target) -> Result<(), String> {
    // The libraries below speak up only when they are asked to by name: s3s calls refusals, which
    // are answers, errors; the SDK logs every retry.
    let filter = match level.parse::<tracing::Level>() {
        Ok(level) => EnvFilter::new(format!("off,etagfs={level}")),
        Err(_) => EnvFilter::try_new(level)
            .map_err(|error| format!("{level:?} is no log level: {error}"))?,
    };
    let (writer, colours) = match target {
        Target::Stderr => {
            let colours = io::IsTerminal::is_terminal(&io::stderr());
            (BoxMakeWriter::new(io::stderr), colours)
        }
        Target::File(file) => (BoxMakeWriter::new(std::sync::Mutex::new(file)), false),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(colours)
        .with_target(false)
        .with_writer(writer)
        .finish()
        .with(no_secrets());
    // A second subscriber in one process is a test's doing, and harmless.
    let _ = subscriber.try_init();
    Ok(())
}
