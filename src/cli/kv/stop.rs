//! How a command of ours is ended (SIGINT, SIGQUIT, SIGTERM, SIGHUP): one that it runs is ended first, and what is
//! then known of its work is said. A signal that was ignored at the start stays ignored.

use std::cell::Cell;

use rustix::process::Signal;
use tokio::sync::watch;

use super::reach::CommandResult;
use crate::cli::report::Failure;
use crate::cli::signals::Signals;

/// What a shell adds to the number of the signal that ended a command.
pub(super) const BY_SIGNAL: i32 = 128;

/// What ends a command of ours.
const ENDS: [Signal; 4] = [Signal::INT, Signal::QUIT, Signal::TERM, Signal::HUP];

/// What a terminal sends to all who share it, also to those who leave it to somebody else.
const OF_THE_TERMINAL: [Signal; 2] = [Signal::INT, Signal::QUIT];

/// Whether it was asked to end, and its progress.
#[derive(Debug)]
pub(super) struct Stop {
    told: watch::Sender<Option<Signal>>,
    at: Cell<Stage>,
}

/// How far the work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing was changed.
    Looking,
    /// A command runs.
    Running,
    /// A command runs, and has the terminal: what the terminal sends is meant for it.
    Lending,
    /// It is being saved.
    Saving,
}

impl Stop {
    /// Does the work, or ends it. What is then to be said depends on how far it was.
    ///
    /// # Errors
    /// Those of the work, and that it was ended.
    pub(super) async fn guard(
        ended: impl FnOnce(Signal, Stage) -> Failure,
        work: impl AsyncFnOnce(&Self) -> CommandResult,
    ) -> CommandResult {
        let mut signals = Signals::heard(&ENDS)?;
        let stop = Self {
            told: watch::Sender::new(None),
            at: Cell::new(Stage::Looking),
        };
        let mut work = std::pin::pin!(work(&stop));
        loop {
            let signal = tokio::select! {
                // First: what a signal means depends on what runs when it comes.
                biased;
                signal = signals.next() => signal,
                outcome = &mut work => return outcome,
            };
            match stop.at.get() {
                Stage::Lending if OF_THE_TERMINAL.contains(&signal) => {}
                Stage::Running | Stage::Lending => {
                    stop.told.send_replace(Some(signal));
                    return work.await;
                }
                step @ (Stage::Looking | Stage::Saving) => return Err(ended(signal, step)),
            }
        }
    }

    /// Goes on to a step of the work.
    pub(super) fn enter(&self, step: Stage) {
        self.at.set(step);
    }

    /// Does a step of the work.
    pub(super) async fn during<T>(&self, step: Stage, work: impl Future<Output = T>) -> T {
        self.at.set(step);
        let came = work.await;
        self.at.set(Stage::Looking);
        came
    }

    /// Waits for a signal to end, and returns it.
    pub(super) async fn told(&self) -> Signal {
        let mut watching = self.told.subscribe();
        let told = watching.wait_for(Option::is_some).await.ok();
        match told.and_then(|told| *told) {
            Some(signal) => signal,
            // The sender is ours: that does not happen.
            None => std::future::pending().await,
        }
    }

    /// The exit code of whoever was ended by a signal, as shells have it.
    pub(super) fn code(signal: Signal) -> u8 {
        u8::try_from(BY_SIGNAL + signal.as_raw()).unwrap_or(1)
    }

    /// That it ended by a signal.
    pub(super) fn failure(signal: Signal, what: &str) -> Failure {
        Failure::new(format!("ended by signal {}: {what}", signal.as_raw()))
            .hint("check the value before you try again")
            .code(Self::code(signal))
    }
}
