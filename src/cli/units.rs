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

/// A time.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "it is a number of seconds, not less than 0".to_owned())
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
    }

    #[test]
    fn times_are_seconds_and_not_negative() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for text in ["-1", "NaN", "inf", "1e99", "x", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode("640"), Ok(0o640));
        assert!(mode("999").is_err());
        assert!(mode("7777").is_err());
    }
}
