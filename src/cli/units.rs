//! How the values of options are written: sizes, times, permissions, stores.

use std::time::Duration;

use crate::model::StoreId;

/// A number of bytes.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|unit: char| !unit.is_ascii_digit());
    let factor: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KIB" => 1 << 10,
        "M" | "MIB" => 1 << 20,
        "G" | "GIB" => 1 << 30,
        unit => return Err(format!("{unit:?} is no unit; use K, M or G")),
    };
    let number: u64 = digits.parse().map_err(|_| "no number".to_owned())?;
    number
        .checked_mul(factor)
        .ok_or_else(|| "too large".to_owned())
}

/// A number of bytes for what is remembered in memory alone: more than a machine has is a mistake.
pub(super) fn memory(text: &str) -> Result<u64, String> {
    const MOST: u64 = 64 << 30;
    match size(text)? {
        bytes if bytes <= MOST => Ok(bytes),
        _ => Err("it is at most 64G".to_owned()),
    }
}

/// The longest time that an option can name: a century. Clocks can be set that far ahead.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 24 * 3600);

/// A time.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let expected = || "it is a number of seconds, not less than 0".to_owned();
    let seconds = text.parse().map_err(|_| expected())?;
    if f64::is_nan(seconds) || seconds < 0.0 {
        return Err(expected());
    }
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| *time <= LONGEST)
        .ok_or_else(|| format!("it is at most {} seconds", LONGEST.as_secs()))
}

/// A time in which a server can answer.
pub(super) fn deadline(text: &str) -> Result<Duration, String> {
    seconds(text).and_then(|time| match time >= Duration::from_secs(1) {
        true => Ok(time),
        false => Err("it must be a second or more".to_owned()),
    })
}

/// A time with a unit.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|unit: char| !unit.is_ascii_digit());
    let unit: u64 = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        unit => return Err(format!("{unit:?} is no unit; use s, m, h or d")),
    };
    let number: u64 = digits.parse().map_err(|_| "no number".to_owned())?;
    let time = number.checked_mul(unit).map(Duration::from_secs);
    time.filter(|time| *time <= LONGEST)
        .ok_or_else(|| "too long".to_owned())
}

/// How many at once.
pub(super) fn at_once(text: &str) -> Result<usize, String> {
    const MOST: usize = 10_000;
    text.parse()
        .ok()
        .filter(|number| (1..=MOST).contains(number))
        .ok_or_else(|| format!("it is a number from 1 to {MOST}"))
}

/// A text that a header can hold: printable ASCII.
pub(super) fn header(text: &str) -> Result<String, String> {
    match !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        true => Ok(text.to_owned()),
        false => Err("it must be printable ASCII, it travels in a header".to_owned()),
    }
}

/// The name of a store.
pub(super) fn store(text: &str) -> Result<StoreId, String> {
    StoreId::parse(text)
        .ok_or_else(|| "stores are named by UUIDs in lower case, with hyphens".to_owned())
}

/// Permissions.
pub(super) fn mode(text: &str) -> Result<u16, String> {
    u16::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "permissions are three octal digits, like 640".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("8M"), Ok(8 << 20));
        assert_eq!(size("512"), Ok(512));
        assert_eq!(size("2GiB"), Ok(2 << 30));
        assert!(size("8X").is_err());
        assert!(size("M").is_err());
        assert!(size("99999999999G").is_err());
        assert_eq!(memory("64G"), Ok(64 << 30));
        for text in ["65G", "18446744073709551615", "9000000000000000000"] {
            assert!(memory(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_seconds_and_not_negative() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for text in ["-1", "-0.1", "NaN", "inf", "1e99", "1e19", "1e10", "x", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_with_units_are_never_longer_than_a_century() {
        assert_eq!(time("90"), Ok(Duration::from_secs(90)));
        assert_eq!(time("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(time("30d"), Ok(Duration::from_secs(30 * 24 * 3600)));
        for text in [
            "",
            "d",
            "1w",
            "-1",
            "1.5h",
            "99999999999d",
            "18446744073709551615",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_time_that_can_be_given_is_beyond_the_clock() {
        let now = std::time::Instant::now();
        assert!(now.checked_add(LONGEST * 4).is_some());
    }

    #[test]
    fn at_once_is_a_number_that_makes_sense() {
        assert_eq!(at_once("16"), Ok(16));
        for text in ["0", "-1", "1e19", "18446744073709551615", "10001"] {
            assert!(at_once(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("640"), Ok(0o640));
        assert!(mode("999").is_err());
        assert!(mode("7777").is_err());
    }
}
