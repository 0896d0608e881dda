//! When to try again after somebody else was first, and when to give up.
//!
//! Pure but for [`Tries`], which looks at the clock: full jitter, from one round trip up to 64 of them,
//! so that those who were refused together do not come back together, and nobody waits longer than the
//! contention lasts. It knows nothing of what is tried.

use std::time::{Duration, Instant};

use super::Error;
use crate::model::Outcome;

/// How long is tried when nobody says how long.
const USUAL: Duration = Duration::from_secs(60);
/// The longest pause, in round trips.
const CAP: u32 = 64;
/// The shortest round trip that is assumed: to a server on this machine the real one is next to nothing.
const LEAST: Duration = Duration::from_millis(1);

/// The pauses after refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backoff {
    round_trip: Duration,
    refusals: u32,
}

impl Backoff {
    /// Before any refusal.
    pub(super) fn new(round_trip: Duration) -> Self {
        Self {
            round_trip: round_trip.max(LEAST),
            refusals: 0,
        }
    }

    /// Learns of another round trip; the shortest one counts, since others waited.
    pub(super) fn measured(&mut self, round_trip: Duration) {
        self.round_trip = self.round_trip.min(round_trip).max(LEAST);
    }

    /// The next pause; `share` is random, from 0 to 1.
    pub(super) fn pause(&mut self, share: f64) -> Duration {
        let most = 2_u32.saturating_pow(self.refusals).min(CAP);
        self.refusals = self.refusals.saturating_add(1);
        (self.round_trip * most).mul_f64(share.clamp(0.0, 1.0))
    }
}

/// How long and how often a verb tries again when others were first. Between the tries it waits for a random time
/// (full jitter), up to one round trip to the store after the first refusal and up to 64 of them in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often it tries again; none: until the time is up.
    pub retries: Option<u32>,
    /// How long it tries; [`Duration::MAX`] for without an end.
    pub time: Duration,
}

/// For one minute.
impl Default for Retry {
    fn default() -> Self {
        Self {
            retries: None,
            time: USUAL,
        }
    }
}

impl Retry {
    /// One try and no other.
    pub fn none() -> Self {
        Self {
            retries: Some(0),
            time: Duration::ZERO,
        }
    }

    /// Begins to count.
    pub fn begin(self) -> Tries {
        Tries {
            left: self.retries,
            until: Instant::now().checked_add(self.time),
            made: 1,
            backoff: None,
        }
    }
}

/// The tries of one call of a verb.
#[derive(Debug)]
pub struct Tries {
    left: Option<u32>,
    /// None when that is beyond the clock.
    until: Option<Instant>,
    made: u32,
    backoff: Option<Backoff>,
}

impl Tries {
    /// How many there were, the present one with them.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// The time that is left.
    pub fn time_left(&self) -> Duration {
        let until = self
            .until
            .map(|until| until.saturating_duration_since(Instant::now()));
        until.unwrap_or(Duration::MAX)
    }

    /// Learns how long a round trip takes.
    pub fn measured(&mut self, round_trip: Duration) {
        match &mut self.backoff {
            Some(backoff) => backoff.measured(round_trip),
            None => self.backoff = Some(Backoff::new(round_trip)),
        }
    }

    /// Waits for the next one; false when there is none.
    pub async fn another(&mut self) -> bool {
        let backoff = self.backoff.get_or_insert(Backoff::new(LEAST));
        let pause = backoff.pause(fastrand::f64());
        if self.left == Some(0) || self.time_left() <= pause {
            return false;
        }
        tokio::time::sleep(pause).await;
        self.left = self.left.map(|left| left - 1);
        self.made += 1;
        true
    }

    /// What one try came to; nothing when it was refused and there is another one, which is then due.
    ///
    /// # Errors
    /// [`Error::Contended`] when there is no other try, [`Error::Unknown`] when nothing is known.
    pub async fn settle<T>(
        &mut self,
        label: impl FnOnce() -> String,
        outcome: Outcome<T>,
    ) -> Result<Option<T>, Error> {
        match outcome {
            Outcome::Committed(saved) => Ok(Some(saved)),
            Outcome::Unknown => Err(Error::Unknown(label())),
            Outcome::Refused(_) if self.another().await => Ok(None),
            Outcome::Refused(_) => Err(Error::Contended {
                label: label(),
                attempts: self.made,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_from_one_round_trip_to_sixty_four() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(10));
        let pauses: Vec<_> = (0..9).map(|_| backoff.pause(1.0)).collect();
        let expected = [10, 20, 40, 80, 160, 320, 640, 640, 640].map(ms);
        assert_eq!(pauses, expected);
    }

    #[test]
    fn a_pause_is_a_random_part_of_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(10));
        assert_eq!(backoff.pause(0.0), Duration::ZERO);
        assert_eq!(backoff.pause(0.5), Duration::from_millis(10));
        for _ in 0..100 {
            backoff.pause(1.0);
        }
        assert_eq!(backoff.pause(2.0), Duration::from_millis(640));
    }

    #[test]
    fn the_shortest_round_trip_counts() {
        let mut backoff = Backoff::new(Duration::from_millis(10));
        backoff.measured(Duration::from_millis(20));
        assert_eq!(backoff.pause(1.0), Duration::from_millis(10));
        backoff.measured(Duration::from_millis(4));
        assert_eq!(backoff.pause(1.0), Duration::from_millis(8));
        backoff.measured(Duration::ZERO);
        assert_eq!(backoff.pause(1.0), Duration::from_millis(4));
    }

    #[tokio::test(start_paused = true)]
    async fn tries_end_by_their_number_or_by_the_time() {
        let tries = |retries, time| Retry { retries, time }.begin();
        let mut few = tries(Some(2), Duration::from_secs(60));
        assert!(few.another().await && few.another().await);
        assert!(!few.another().await);
        assert_eq!(few.made(), 3);
        assert!(!tries(None, Duration::ZERO).another().await);
        assert!(tries(None, Duration::MAX).another().await);
        assert!(Retry::default().begin().time_left() <= Duration::from_secs(60));
        assert_eq!(tries(None, Duration::MAX).time_left(), Duration::MAX);
        assert_eq!(Retry::none().begin().time_left(), Duration::ZERO);
    }
}
