//! When a store that failed a queue is asked again, and by which caller.
//!
//! It decides by times and errors alone, and sends nothing: the module above does.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::backend::Error;

/// How often a silent store is asked again; the longest that callers fail when it is back.
pub(super) const PERIOD: Duration = Duration::from_secs(1);
/// How long the callers of a queue wait for a probe, counted from its beginning: together, not each.
pub(super) const LEASH: Duration = Duration::from_millis(500);
/// A caller that comes later than this after the one before was not in the queue with it.
pub(super) const PAUSE: Duration = Duration::from_millis(200);
/// A failure that took less time holds nobody up.
const SHORT: Duration = Duration::from_millis(100);
/// One queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// When each of the calls under way began.
    pub(super) under_way: Vec<Instant>,
    /// When the store last answered one of them.
    heard: Option<Instant>,
    pub(super) silence: Option<Silence>,
}

/// The store failed a queue, and did not answer it since.
#[derive(Debug)]
pub(super) struct Silence {
    /// What everybody hears.
    error: Error,
    /// When somebody last came.
    pub(super) came: Instant,
    /// When the last call failed, and how long it took.
    failed: (Instant, Duration),
    /// When the last one began, until when it is waited for, and its end.
    probe: Option<(Instant, Instant, watch::Receiver<()>)>,
    /// Whether a probe is under way that lives as long as any request.
    pub(super) is_asked_patiently: bool,
}

/// Whether a silent store is asked.
pub(super) enum Probing {
    /// Not now.
    No(Error),
    /// It is being asked.
    Under(Instant, watch::Receiver<()>),
    /// By this caller.
    Yes(Asking),
    /// By this caller, which waits as for any call.
    Really,
}

/// How a caller asks a silent store.
pub(super) struct Asking {
    pub(super) error: Error,
    pub(super) until: Instant,
    pub(super) is_patient: bool,
    pub(super) over: watch::Sender<()>,
}

impl Queue {
    /// The silence of the queue, if there is one. A call that got no answer in all the time it may
    /// have is one too: its caller was answered without it, and went.
    pub(super) fn silence_at(&mut self, now: Instant, patience: Duration) -> Option<&mut Silence> {
        let is_overdue = |began: &Instant| now.duration_since(*began) > patience;
        if self.silence.is_none()
            && let Some(began) = self.under_way.iter().find(|began| is_overdue(began))
            && self.heard.is_none_or(|heard| heard < *began)
        {
            let error = Error::Deadline {
                what: "the same directory".to_owned(),
                seconds: patience.as_secs_f32(),
                cause: None,
            };
            self.silence = Some(Silence::new(error, now, patience));
        }
        self.silence.as_mut()
    }

    pub(super) fn ended(&mut self, began: Instant, failure: Option<&Error>, now: Instant) {
        let Some(error) = failure.filter(|error| is_no_answer(error)) else {
            self.heard = Some(now);
            self.silence = None;
            return;
        };
        if now.duration_since(began) < SHORT || self.heard.is_some_and(|heard| heard > began) {
            return;
        }
        let took = now.duration_since(began);
        match &mut self.silence {
            Some(silence) => {
                silence.error = error.clone();
                silence.failed = (now, took);
            }
            None => self.silence = Some(Silence::new(error.clone(), now, took)),
        }
    }
}

impl Silence {
    fn new(error: Error, now: Instant, took: Duration) -> Self {
        Self {
            error,
            came: now,
            failed: (now, took),
            probe: None,
            is_asked_patiently: false,
        }
    }

    /// Somebody comes; how long nobody did.
    fn pause(&mut self, now: Instant) -> Duration {
        now.duration_since(std::mem::replace(&mut self.came, now))
    }

    /// Readers ask from time to time.
    pub(super) fn ask(&mut self, now: Instant) -> Probing {
        let pause = self.pause(now);
        if let Some((began, until, over)) = &self.probe {
            // Its sender is gone when it is over.
            if now < *until && over.has_changed().is_ok() {
                return Probing::Under(*until, over.clone());
            }
            if now < *began + PERIOD {
                return Probing::No(self.error.clone());
            }
        }
        let until = match self.probe.is_none() || pause > PAUSE {
            true => now + LEASH,
            false => now,
        };
        let (sender, over) = watch::channel(());
        self.probe = Some((now, until, over));
        Probing::Yes(Asking {
            error: self.error.clone(),
            until,
            is_patient: !std::mem::replace(&mut self.is_asked_patiently, true),
            over: sender,
        })
    }

    /// Writers try it some time after the last failure.
    pub(super) fn try_again(&mut self, now: Instant, written: Option<Instant>) -> Probing {
        let pause = self.pause(now);
        let (failed, took) = self.failed;
        let is_promising =
            pause > PERIOD || now > failed + took || written.is_some_and(|at| at > failed);
        match now >= failed + PERIOD && is_promising {
            true => Probing::Really,
            false => Probing::No(self.error.clone()),
        }
    }
}

/// Whether this says that the store did not answer, also to whoever asks next. What it said of one name, or
/// answered in a way that cannot be read, says nothing of others (A5).
fn is_no_answer(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::Deadline { .. } => true,
        Error::NotFound(_)
        | Error::Failed { .. }
        | Error::Corrupt { .. }
        | Error::VersionGone(_)
        | Error::Collided { .. }
        | Error::Denied { .. }
        | Error::TooBig { .. }
        | Error::Unsupported { .. } => false,
    }
}
