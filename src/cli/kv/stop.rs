//! That a command of ours is told to end (SIGINT, SIGTERM, SIGHUP) while one that it runs is running: that one is
//! ended first. At any other time it ends at once, as without this.

use std::cell::Cell;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::filter::BY_SIGNAL;
use super::session::Outcome;
use crate::cli::report::Failure;

/// Whether it was told to end.
#[derive(Debug)]
pub(super) struct Stop {
    told: watch::Sender<Option<Signal>>,
    is_running: Cell<bool>,
}

impl Stop {
    /// Does the work, or ends it. `what` it works on is for the message.
    ///
    /// # Errors
    /// Those of the work, and that it was ended.
    pub(super) async fn guard(what: &str, work: impl AsyncFnOnce(&Self) -> Outcome) -> Outcome {
        let mut signals = [
            (Signal::INT, signal(SignalKind::interrupt())?),
            (Signal::TERM, signal(SignalKind::terminate())?),
            (Signal::HUP, signal(SignalKind::hangup())?),
        ];
        let stop = Self {
            told: watch::Sender::new(None),
            is_running: Cell::new(false),
        };
        let mut work = std::pin::pin!(work(&stop));
        let [(_, int), (_, term), (_, hup)] = &mut signals;
        let signal = tokio::select! {
            outcome = &mut work => return outcome,
            _ = int.recv() => Signal::INT,
            _ = term.recv() => Signal::TERM,
            _ = hup.recv() => Signal::HUP,
        };
        if stop.is_running.get() {
            stop.told.send_replace(Some(signal));
            return work.await;
        }
        Err(Self::failure(
            signal,
            &format!("it is not known whether {what} was written"),
        ))
    }

    /// Runs what can be told.
    pub(super) async fn during<T>(&self, run: impl Future<Output = T>) -> T {
        self.is_running.set(true);
        let came = run.await;
        self.is_running.set(false);
        came
    }

    /// Waits until it is told to end, and by which signal.
    pub(super) async fn told(&self) -> Signal {
        let mut watching = self.told.subscribe();
        let told = watching.wait_for(Option::is_some).await.ok();
        match told.and_then(|told| *told) {
            Some(signal) => signal,
            // The sender is ours: that does not happen.
            None => std::future::pending().await,
        }
    }

    /// That it ended by a signal.
    pub(super) fn failure(signal: Signal, what: &str) -> Failure {
        let number = signal.as_raw();
        let code = u8::try_from(BY_SIGNAL + number).unwrap_or(1);
        Failure::new(format!("ended by signal {number}: {what}"))
            .hint("look at the value before you try again")
            .code(code)
    }
}
