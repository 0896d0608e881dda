//! Numbers, as DynamoDB has them: decimal, of 38 digits.

use thiserror::Error;

/// How many digits count.
const DIGITS: usize = 38;
/// The exponent of the first digit that counts, of the smallest and of the largest number.
const EXPONENTS: std::ops::RangeInclusive<i64> = -130..=125;

/// Why DynamoDB would not take a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadNumber {
    /// It is none.
    #[error("this is no number")]
    NoNumber,
    /// It has too many digits.
    #[error("a number has at most 38 digits that count")]
    TooLong,
    /// It is too large, or too close to 0.
    #[error("a number lies between 1E-130 and 9.9E+125")]
    OutOfRange,
}

/// Whether DynamoDB takes a number, which is spelled as in JSON.
///
/// Source: Amazon DynamoDB Developer Guide, "Data types", Number.
///
/// # Errors
/// [`BadNumber`].
pub fn check(text: &str) -> Result<(), BadNumber> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent_of(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = match digits.split_once('.') {
        Some((_, "")) => return Err(BadNumber::NoNumber),
        Some(parts) => parts,
        None => (digits, ""),
    };
    let all = [whole, fraction].concat();
    if whole.is_empty() || !all.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(BadNumber::NoNumber);
    }
    let counting = all.trim_start_matches('0');
    if counting.is_empty() {
        return Ok(());
    }
    if counting.trim_end_matches('0').len() > DIGITS {
        return Err(BadNumber::TooLong);
    }
    let before_point = i64::try_from(whole.len()).unwrap_or(i64::MAX);
    let zeros = i64::try_from(all.len() - counting.len()).unwrap_or(i64::MAX);
    let first = exponent.saturating_add(before_point - zeros - 1);
    match EXPONENTS.contains(&first) {
        true => Ok(()),
        false => Err(BadNumber::OutOfRange),
    }
}

fn exponent_of(text: &str) -> Result<i64, BadNumber> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.is_empty() || !unsigned.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(BadNumber::NoNumber);
    }
    // More digits than these are out of range, whatever they say.
    text.parse().map_err(|_| BadNumber::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dynamodb_takes_as_a_number_is_one() {
        let digits = "1".repeat(DIGITS);
        for good in [
            "0",
            "-0",
            "1",
            "-1.5",
            "0.1",
            "1e3",
            "1E+125",
            "1e-130",
            "-9.9e125",
            "0.00e9999",
            "10000000000000000000000000000000000000000000",
            "123456789012345678901234567890.12345678",
            &digits,
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_it_does_not_take_says_why() {
        for (bad, why) in [
            ("", BadNumber::NoNumber),
            ("-", BadNumber::NoNumber),
            ("1.", BadNumber::NoNumber),
            (".5", BadNumber::NoNumber),
            ("1e", BadNumber::NoNumber),
            ("1e+-1", BadNumber::NoNumber),
            ("NaN", BadNumber::NoNumber),
            ("0x1", BadNumber::NoNumber),
            ("1 ", BadNumber::NoNumber),
            (
                "123456789012345678901234567890.123456789",
                BadNumber::TooLong,
            ),
            ("1e126", BadNumber::OutOfRange),
            ("1e-131", BadNumber::OutOfRange),
            ("1e99999999999999999999", BadNumber::OutOfRange),
            ("0.01e-129", BadNumber::OutOfRange),
        ] {
            assert_eq!(check(bad), Err(why), "{bad}");
        }
    }
}
