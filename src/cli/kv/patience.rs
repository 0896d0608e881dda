//! How long and how often a command tries again, as options say it.

use std::time::Duration;

use clap::Args as ClapArgs;

use crate::client::Retry;

/// How long and how often a command tries.
#[derive(Clone, Copy, Debug, ClapArgs)]
#[command(next_help_heading = "Trying again")]
pub(in crate::cli) struct RetryOptions {
    /// How often to retry when somebody else saved first [default: until the time is up].
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

impl RetryOptions {
    /// As the client has it.
    pub(super) fn retry(self) -> Retry {
        self.retry_or(Retry::default().time)
    }

    /// The same; without an end, if no time was given.
    pub(super) fn retry_endlessly(self) -> Retry {
        self.retry_or(Duration::MAX)
    }

    fn retry_or(self, unsaid: Duration) -> Retry {
        let time = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Retry {
            retries: self.retries,
            time: self.timeout.map_or(unsaid, time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_below_nothing_is_not_for_ever() {
        for bad in ["-1", "NaN", "-inf", "x", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert_eq!(seconds("0.5"), Ok(0.5));
        assert_eq!(seconds("inf"), Ok(f64::INFINITY));
    }

    #[test]
    fn a_time_that_is_not_given_is_a_minute_or_for_ever() {
        let patience = |timeout| RetryOptions {
            retries: Some(1),
            timeout,
        };
        let minute = Duration::from_secs(60);
        assert_eq!(patience(None).retry().time, minute);
        assert_eq!(patience(None).retry_endlessly().time, Duration::MAX);
        assert_eq!(patience(Some(60.0)).retry_endlessly().time, minute);
        assert_eq!(patience(Some(f64::INFINITY)).retry().time, Duration::MAX);
        assert_eq!(patience(Some(0.0)).retry().retries, Some(1));
    }
}
