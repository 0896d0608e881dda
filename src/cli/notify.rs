//! What a service manager learns: that the mount answers, its state, that it ends.
//!
//! The protocol is sd_notify(3): `READY=1` when the mount answers and not before, `STATUS=` for
//! `systemctl status`, `WATCHDOG=1` as long as it answers, `STOPPING=1`. Without `NOTIFY_SOCKET` nothing
//! is told and nothing asked. It decides nothing about the mount; `alive.rs` asks it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;

use super::alive::{Liveness, ask};
use super::report::Failure;
use crate::telemetry::Counts;

/// How often the status line is brought up to date where there is no watchdog.
const STATUS: Duration = Duration::from_secs(30);

/// How long a new mount may take to answer for the first time. It needs no store for that.
const FIRST_ANSWER: Duration = Duration::from_secs(30);

/// The service manager, if there is one.
#[derive(Debug)]
pub(super) struct Manager {
    label: String,
    at: PathBuf,
    watchdog: Option<Duration>,
}

impl Manager {
    /// The service manager, if it wants notifications.
    pub(super) fn of(label: &str, at: &Path) -> Option<Self> {
        std::env::var_os("NOTIFY_SOCKET")?;
        Some(Self {
            label: label.to_owned(),
            at: at.to_owned(),
            watchdog: sd_notify::watchdog_enabled(),
        })
    }

    /// Waits until the mount answers, and tells that it is ready.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn ready(&self) -> Result<(), Failure> {
        let at = self.at.display();
        let answer = ask(&self.at, FIRST_ANSWER).await;
        if answer != Liveness::Answers {
            let why = describe(&answer);
            return Err(
                Failure::new(format!("{at} was mounted and does not answer: {why}"))
                    .hint("look into the log of the kernel: journalctl -k"),
            );
        }
        tell(&[
            NotifyState::Ready,
            NotifyState::Status(&self.status(Counts::default())),
        ]);
        Ok(())
    }

    /// From now on tells how it goes, until what is returned is dropped.
    pub(super) fn keep_telling(self, counts: impl Fn() -> Counts + Send + 'static) -> Telling {
        Telling(tokio::spawn(async move {
            let pause = self.watchdog.map_or(STATUS, |watchdog| watchdog / 2);
            let patience = pause / 2;
            loop {
                tokio::time::sleep(pause).await;
                let mut answer = ask(&self.at, patience).await;
                // No time is lost before the next question, so that one late answer ends nothing.
                while let Liveness::Silent(_) | Liveness::Dead | Liveness::Closed = answer {
                    let why = describe(&answer);
                    tracing::error!(at = %self.at.display(), why, "the mount does not answer");
                    tell(&[NotifyState::Status(&format!(
                        "{} does not answer: {why}",
                        self.at.display()
                    ))]);
                    tokio::time::sleep(patience / 4).await;
                    answer = ask(&self.at, patience).await;
                }
                let status = match answer {
                    Liveness::Elsewhere => format!(
                        "{} was taken from {}; it ends with the last open file",
                        self.label,
                        self.at.display()
                    ),
                    _ => self.status(counts()),
                };
                tell(&[NotifyState::Watchdog, NotifyState::Status(&status)]);
            }
        }))
    }

    fn status(&self, counts: Counts) -> String {
        status(&self.label, &self.at, counts)
    }
}

fn describe(answer: &Liveness) -> &str {
    match answer {
        Liveness::Answers => "it does now",
        Liveness::Elsewhere => "it is not there any more",
        Liveness::Dead => "its connection to the kernel is gone",
        Liveness::Closed => "it is closed to the user of the daemon",
        Liveness::Silent(why) => why,
    }
}

/// One line of `systemctl status`.
fn status(label: &str, at: &Path, counts: Counts) -> String {
    let at = at.display();
    let Counts {
        saves,
        conflicts,
        rescues,
        ..
    } = counts;
    format!("{label} at {at}: saves {saves}, conflicts {conflicts}, rescues {rescues}")
}

/// Tells until it is dropped.
#[derive(Debug)]
pub(super) struct Telling(JoinHandle<()>);

impl Telling {
    /// Tells that the mount ends.
    pub(super) fn stopping(self) {
        tell(&[
            NotifyState::Stopping,
            NotifyState::Status("saving or rescuing what is left"),
        ]);
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_tells_what_is_where_and_how_saves_went() {
        let counts = Counts {
            saves: 12,
            conflicts: 1,
            rescues: 2,
            ..Counts::default()
        };
        assert_eq!(
            status("s3://b", Path::new("/mnt"), counts),
            "s3://b at /mnt: saves 12, conflicts 1, rescues 2"
        );
    }
}
