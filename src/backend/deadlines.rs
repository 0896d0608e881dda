//! How long a request may take.
//!
//! Every request to a backend ends in time (A1), and a large body gets more of it than a small
//! one. This knows neither requests nor clocks. `s3` obeys it for one request, `settle` for a
//! whole put.

use std::time::Duration;

/// The longest that a body may add; only keeps the arithmetic away from its limits.
const LONGEST_TRANSFER: u64 = 24 * 60 * 60;

/// How long one request, and all attempts at it together, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// To connect, with DNS and TLS.
    pub connect: Duration,
    /// One attempt, from its first byte to the end of an answer without a body.
    pub attempt: Duration,
    /// All attempts together.
    pub operation: Duration,
    /// The slowest transfer that is waited for, in bytes per second: a body of this many bytes
    /// adds a second to `attempt` and `operation`. A transfer that stands still ends sooner.
    pub slowest: u64,
}

impl Default for Deadlines {
    /// 3 s to connect, 10 s for an attempt, 30 s in all, 128 KiB/s.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            attempt: Duration::from_secs(10),
            operation: Duration::from_secs(30),
            slowest: 128 * 1024,
        }
    }
}

impl Deadlines {
    /// The same, with time for a body of this many bytes.
    #[must_use]
    pub fn with_body(self, bytes: u64) -> Self {
        let seconds = bytes
            .checked_div(self.slowest)
            .unwrap_or(0)
            .min(LONGEST_TRANSFER);
        let transfer = Duration::from_secs(seconds);
        Self {
            attempt: self.attempt.saturating_add(transfer),
            operation: self.operation.saturating_add(transfer),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_adds_time_in_proportion_to_its_size() {
        let deadlines = Deadlines::default();
        assert_eq!(deadlines.with_body(1000), deadlines);
        let large = deadlines.with_body(8 << 20);
        assert_eq!(large.attempt, deadlines.attempt + Duration::from_secs(64));
        assert_eq!(
            large.operation,
            deadlines.operation + Duration::from_secs(64)
        );
    }

    #[test]
    fn no_size_and_no_speed_is_too_much_for_the_arithmetic() {
        let mut deadlines = Deadlines::default().with_body(u64::MAX);
        assert!(deadlines.attempt < Duration::from_secs(2 * LONGEST_TRANSFER));
        deadlines.slowest = 0;
        assert_eq!(deadlines.with_body(1), deadlines);
    }
}
