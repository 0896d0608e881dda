//! When to try again after somebody else was first, and when to give up.
//!
//! Pure but for [`Tries`], which looks at the clock: full jitter, from one round trip up to 64 of them,
//! so that those who were refused together do not come back together, and nobody waits longer than the
//! contention lasts. It knows nothing of what is tried.

use std::time::{Duration, Instant};

use clap::Args as ClapArgs;

/// How long is tried when nobody says how long, in seconds.
const USUAL: f64 = 60.0;
/// The longest pause, in round trips.
const CAP: u32 = 64;
/// A round trip is taken to be at least so long: to a server on this machine it is next to nothing.
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

/// How long and how often a command tries.
#[derive(Clone, Copy, Debug, ClapArgs)]
#[command(next_help_heading = "Trying again")]
pub(in crate::cli) struct Patience {
    /// How often to try again when somebody else was first [default: until the time is up].
    #[arg(long, env = "ETAGFS_RETRIES", value_name = "TIMES")]
    retries: Option<u32>,
    /// How long to try, in seconds [default: 60].
    #[arg(
        long,
        env = "ETAGFS_TIMEOUT",
        value_name = "SECONDS",
        value_parser = seconds
    )]
    timeout: Option<f64>,
}

/// Any time at all, also one without an end.
fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds >= 0.0)
        .ok_or_else(|| "it is a number of seconds, not less than 0".to_owned())
}

impl Patience {
    /// One try and no other.
    pub(super) fn none() -> Self {
        Self {
            retries: Some(0),
            timeout: Some(0.0),
        }
    }

    /// The same; without an end, if none was given.
    pub(super) fn or_endless(self) -> Self {
        Self {
            timeout: self.timeout.or(Some(f64::INFINITY)),
            ..self
        }
    }

    /// Begins to count.
    pub(super) fn begin(self) -> Tries {
        let time =
            Duration::try_from_secs_f64(self.timeout.unwrap_or(USUAL)).unwrap_or(Duration::MAX);
        Tries {
            left: self.retries,
            until: Instant::now().checked_add(time),
            made: 1,
            backoff: None,
        }
    }
}

/// The tries of one command.
#[derive(Debug)]
pub(super) struct Tries {
    left: Option<u32>,
    /// None when that is beyond the clock.
    until: Option<Instant>,
    made: u32,
    backoff: Option<Backoff>,
}

impl Tries {
    /// How many there were, the present one with them.
    pub(super) fn made(&self) -> u32 {
        self.made
    }

    /// The time that is left.
    pub(super) fn time_left(&self) -> Duration {
        let until = self
            .until
            .map(|until| until.saturating_duration_since(Instant::now()));
        until.unwrap_or(Duration::MAX)
    }

    /// Learns how long a round trip takes.
    pub(super) fn measured(&mut self, round_trip: Duration) {
        match &mut self.backoff {
            Some(backoff) => backoff.measured(round_trip),
            None => self.backoff = Some(Backoff::new(round_trip)),
        }
    }

    /// Waits for the next one; false when there is none.
    pub(super) async fn another(&mut self) -> bool {
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

    #[test]
    fn a_time_below_nothing_is_not_for_ever() {
        for bad in ["-1", "NaN", "-inf", "x", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(seconds("0.5"), Ok(0.5));
        assert_eq!(seconds("inf"), Ok(f64::INFINITY));
    }

    #[tokio::test(start_paused = true)]
    async fn tries_end_by_their_number_or_by_the_time() {
        let tries = |retries, timeout| {
            let timeout = Some(timeout);
            Patience { retries, timeout }.begin()
        };
        let mut few = tries(Some(2), 60.0);
        assert!(few.another().await && few.another().await);
        assert!(!few.another().await);
        assert_eq!(few.made(), 3);
        assert!(!tries(None, 0.0).another().await);
        assert!(tries(None, f64::INFINITY).another().await);
        let unsaid = Patience {
            retries: None,
            timeout: None,
        };
        assert!(unsaid.begin().time_left() <= Duration::from_secs(60));
        assert_eq!(unsaid.or_endless().begin().time_left(), Duration::MAX);
        let said = Patience::none().or_endless().begin();
        assert_eq!(said.time_left(), Duration::ZERO);
    }
}
