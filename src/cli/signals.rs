//! Which signals a command hears: not those that whoever started it wanted to be ignored.
//!
//! `nohup`, `trap '' INT` and the `&` of a script set a signal to be ignored, which survives execve(2). A handler
//! would undo that. It knows nothing of what a signal means.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};

/// Signals that are heard from now on.
#[derive(Debug)]
pub(super) struct Signals(Vec<(Signal, unix::Signal)>);

impl Signals {
    /// Those of these that were not to be ignored when the program began.
    ///
    /// # Errors
    /// When they cannot be listened to.
    pub(super) fn heard(wanted: &[Signal]) -> io::Result<Self> {
        let ignored = ignored();
        let heard = wanted.iter().filter(|signal| !is_in(ignored, **signal));
        let listen = |signal: &Signal| {
            let kind = SignalKind::from_raw(signal.as_raw());
            Ok((*signal, unix::signal(kind)?))
        };
        Ok(Self(heard.map(listen).collect::<io::Result<_>>()?))
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let mut heard = self.0.iter_mut();
            let came = heard
                .find_map(|(signal, heard)| heard.poll_recv(context).is_ready().then_some(*signal));
            came.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// Whether this one was to be ignored; before anything listens to it.
pub(super) fn is_ignored(signal: Signal) -> bool {
    is_in(ignored(), signal)
}

/// The signals that this process ignores, as `/proc` tells them. Without it none are known to be.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or_default()
}

fn is_in(mask: u64, signal: Signal) -> bool {
    let bit = u32::try_from(signal.as_raw() - 1).ok();
    bit.is_some_and(|bit| mask >> bit & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_a_bit_for_each_signal() {
        // What nohup(1) leaves, and what `&` does in a script.
        let (nohup, background) = (1 << 0, 1 << 1 | 1 << 2);
        assert!(is_in(nohup, Signal::HUP) && !is_in(nohup, Signal::INT));
        assert!(is_in(background, Signal::INT) && is_in(background, Signal::QUIT));
        assert!(!is_in(background, Signal::TERM));
    }
}
