//! How often, and for how long, a save that was refused is tried again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// No try begins later than this after the first one: with the time that the last one may take, the save
/// still ends before its caller gets `ETIMEDOUT` (A1).
const PATIENCE: Duration = Duration::from_secs(5);

/// The mean of the first pause is half of the first value, and doubles up to half of the second: writers that
/// were refused together do not come back together.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(800));

/// The tries of one save.
pub(super) struct AppendTries {
    left: u32,
    until: Instant,
    pause: Duration,
}

impl AppendTries {
    pub(super) fn new(times: u32) -> Self {
        Self {
            left: times,
            until: Instant::now() + PATIENCE,
            pause: PAUSE.0,
        }
    }

    /// Waits a little. Returns whether there may be another try.
    pub(super) async fn another(&mut self) -> bool {
        let pause = self.pause.mul_f64(fastrand::f64());
        if self.left == 0 || Instant::now() + pause > self.until {
            return false;
        }
        sleep(pause).await;
        self.left -= 1;
        self.pause = (self.pause * 2).min(PAUSE.1);
        true
    }
}
