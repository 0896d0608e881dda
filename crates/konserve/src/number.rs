//! The text of Clojure's numbers, as its reader reads them and Java's `toString` writes them.
//!
//! It knows of numbers only. `edn` uses it for text, `hasch` for the names of objects.

use num_bigint::{BigInt, Sign};

use super::value::{Decimal, Ratio, Value};

/// How many digits a big number may have: reading and printing take quadratic time.
pub(super) const MAX_DIGITS: usize = 20_000;

const TOO_LONG: &str = "a number of more than 20000 digits";
const NO_NUMBER: &str = "not a number";

/// Reads what begins with a digit, or with a sign and a digit.
pub(super) fn parse(token: &str) -> Result<Value, &'static str> {
    let negative = token.starts_with('-');
    let rest = token.strip_prefix(['-', '+']).unwrap_or(token);
    if let Some((above, below)) = rest.split_once('/') {
        return fraction(big(negative, above, 10)?, big(false, below, 10)?);
    }
    if let Some((digits, radix)) = integer_digits(rest)? {
        let (digits, is_big) = match digits.strip_suffix('N') {
            Some(digits) if radix != Radix::Given => (digits, true),
            _ => (digits, false),
        };
        let n = big(negative, digits, radix.value(rest)?)?;
        return Ok(match i64::try_from(&n) {
            Ok(small) if !is_big => Value::Int(small),
            _ => Value::BigInt(n),
        });
    }
    if let Some(decimal) = token.strip_suffix('M') {
        return parse_decimal(decimal).map(|d| Value::Decimal(Box::new(d)));
    }
    if !is_floating(rest) {
        return Err(NO_NUMBER);
    }
    token.parse().map(Value::Double).map_err(|_| NO_NUMBER)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Radix {
    Ten,
    Sixteen,
    Eight,
    /// `36rZZ`.
    Given,
}

impl Radix {
    fn value(self, rest: &str) -> Result<u32, &'static str> {
        match self {
            Self::Ten => Ok(10),
            Self::Sixteen => Ok(16),
            Self::Eight => Ok(8),
            Self::Given => rest
                .split(['r', 'R'])
                .next()
                .and_then(|radix| radix.parse().ok())
                .filter(|radix| (2..=36).contains(radix))
                .ok_or("a radix is a number from 2 to 36"),
        }
    }
}

/// The digits of an integer, if it is one; with the `N`.
fn integer_digits(rest: &str) -> Result<Option<(&str, Radix)>, &'static str> {
    if let Some(digits) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        return Ok(Some((digits, Radix::Sixteen)));
    }
    if let Some((_, digits)) = rest.split_once(['r', 'R']) {
        return Ok(Some((digits, Radix::Given)));
    }
    let plain = rest.strip_suffix('N').unwrap_or(rest);
    if !plain.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    if plain.len() > 1 && plain.starts_with('0') {
        return match plain.bytes().all(|b| b < b'8') {
            true => Ok(Some((rest, Radix::Eight))),
            false => Err("a number that begins with 0 is octal"),
        };
    }
    Ok(Some((rest, Radix::Ten)))
}

fn big(negative: bool, digits: &str, radix: u32) -> Result<BigInt, &'static str> {
    if digits.len() > MAX_DIGITS {
        return Err(TOO_LONG);
    }
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(NO_NUMBER);
    }
    let n = BigInt::parse_bytes(digits.as_bytes(), radix).ok_or(NO_NUMBER)?;
    Ok(if negative { -n } else { n })
}

/// A fraction as Clojure makes it of two integers: reduced, and a BigInt where it comes out even.
fn fraction(above: BigInt, below: BigInt) -> Result<Value, &'static str> {
    if below == BigInt::ZERO {
        return Err("division by zero");
    }
    let divisor = gcd(above.clone(), below.clone());
    let (above, below) = (above / &divisor, below / &divisor);
    Ok(stored_ratio(above.clone(), below).unwrap_or(Value::BigInt(above)))
}

/// Of a fraction that was stored: only as Clojure itself would have made it.
pub(super) fn stored_ratio(numerator: BigInt, denominator: BigInt) -> Option<Value> {
    let reduced = gcd(numerator.clone(), denominator.clone()) == BigInt::from(1);
    (reduced && denominator > BigInt::from(1)).then(|| {
        Value::Ratio(Box::new(Ratio {
            numerator,
            denominator,
        }))
    })
}

fn gcd(mut a: BigInt, mut b: BigInt) -> BigInt {
    while b != BigInt::ZERO {
        (a, b) = (b.clone(), a % b);
    }
    BigInt::from_biguint(Sign::Plus, a.into_parts().1)
}

/// Digits, optionally `.digits`, optionally an exponent.
fn is_floating(rest: &str) -> bool {
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (rest, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    !whole.is_empty()
        && digits(whole)
        && digits(part)
        && exponent.is_none_or(|e| {
            let e = e.strip_prefix(['-', '+']).unwrap_or(e);
            !e.is_empty() && digits(e)
        })
}

fn parse_decimal(text: &str) -> Result<Decimal, &'static str> {
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !is_floating(rest) {
        return Err(NO_NUMBER);
    }
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let unscaled = big(text.starts_with('-'), &format!("{whole}{part}"), 10)?;
    let scale = exponent
        .parse::<i64>()
        .ok()
        .and_then(|e| (part.len() as i64).checked_sub(e))
        .and_then(|scale| i32::try_from(scale).ok())
        .ok_or("the exponent is out of range")?;
    Ok(Decimal { unscaled, scale })
}

/// `BigDecimal.toString` (without Clojure's `M`).
pub(super) fn decimal_text(decimal: &Decimal) -> String {
    let text = decimal.unscaled.to_string();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let scale = i64::from(decimal.scale);
    let exponent = digits.len() as i64 - 1 - scale;
    if scale == 0 {
        return text;
    }
    if scale > 0 && exponent >= -6 {
        let scale = decimal.scale.unsigned_abs() as usize;
        return if digits.len() > scale {
            let (whole, part) = digits.split_at(digits.len() - scale);
            format!("{sign}{whole}.{part}")
        } else {
            format!("{sign}0.{digits:0>scale$}")
        };
    }
    let (first, others) = digits.split_at(1);
    let dot = if others.is_empty() { "" } else { "." };
    let e = match exponent {
        0 => String::new(),
        e => format!("E{e:+}"),
    };
    format!("{sign}{first}{dot}{others}{e}")
}

/// `Double.toString`, as of JDK 19; older ones print a few doubles with more digits.
pub(super) fn double_text(d: f64) -> String {
    let two = format!("{d:.1e}");
    let two = two.parse() == Ok(d);
    java_text(format!("{d:e}"), two.then(|| format!("{d:.1e}")))
}

/// `Float.toString`.
pub(super) fn float_text(f: f32) -> String {
    let two = format!("{f:.1e}");
    let two = two.parse() == Ok(f);
    java_text(format!("{f:e}"), two.then(|| format!("{f:.1e}")))
}

/// Java's layout of Rust's shortest digits; of a number that one digit tells, Java prints the
/// nearest two (4.9E-324).
fn java_text(shortest: String, nearest_two: Option<String>) -> String {
    match shortest.as_str() {
        "inf" => return "Infinity".into(),
        "-inf" => return "-Infinity".into(),
        "NaN" => return "NaN".into(),
        "0e0" => return "0.0".into(),
        "-0e0" => return "-0.0".into(),
        _ => {}
    }
    let text = match nearest_two {
        Some(two) if !shortest.contains('.') => two,
        _ => shortest,
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let (first, others) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    if !(-3..=6).contains(&exponent) {
        return format!("{sign}{first}.{others}E{exponent}");
    }
    let digits = format!("{first}{others}");
    let digits = digits.trim_end_matches('0');
    if exponent < 0 {
        let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = exponent.unsigned_abs() as usize + 1;
    let digits = format!("{digits:0<whole$}");
    let (before, after) = digits.split_at(whole);
    let after = if after.is_empty() { "0" } else { after };
    format!("{sign}{before}.{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        for (d, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-2.5e-10, "-2.5E-10"),
            (1e7, "1.0E7"),
            (9_999_999.0, "9999999.0"),
            (0.001, "0.001"),
            (9.999e-4, "9.999E-4"),
            (100.0, "100.0"),
            (123_456_789.125, "1.23456789125E8"),
            (f64::MAX, "1.7976931348623157E308"),
            (5e-324, "4.9E-324"),
            (f64::NEG_INFINITY, "-Infinity"),
            (1234.5, "1234.5"),
            (0.012, "0.012"),
        ] {
            assert_eq!(double_text(d), text);
        }
        assert_eq!(float_text(0.1), "0.1");
        assert_eq!(float_text(1e10), "1.0E10");
    }

    #[test]
    fn numbers_are_read_as_clojure_reads_them() {
        let int = |n| Ok(Value::Int(n));
        assert_eq!(parse("0"), int(0));
        assert_eq!(parse("-0"), int(0));
        assert_eq!(parse("+17"), int(17));
        assert_eq!(parse("0x1F"), int(31));
        assert_eq!(parse("-0xff"), int(-255));
        assert_eq!(parse("010"), int(8));
        assert_eq!(parse("2r101"), int(5));
        assert_eq!(parse("36rZN"), int(35 * 36 + 23));
        assert_eq!(parse("-9223372036854775808"), int(i64::MIN));
        assert_eq!(
            parse("9223372036854775808"),
            Ok(Value::BigInt(BigInt::from(1u64 << 63)))
        );
        assert_eq!(parse("5N"), Ok(Value::BigInt(5.into())));
        assert_eq!(parse("0x5N"), Ok(Value::BigInt(5.into())));
        assert_eq!(parse("1e3"), Ok(Value::Double(1000.0)));
        assert_eq!(parse("1."), Ok(Value::Double(1.0)));
        assert_eq!(parse("-4/2"), Ok(Value::BigInt((-2).into())));
        let Ok(Value::Ratio(r)) = parse("-6/4") else {
            panic!()
        };
        assert_eq!((r.numerator, r.denominator), ((-3).into(), 2.into()));
        for bad in [
            "08",
            "1x",
            "1/0",
            "1/",
            "/1",
            "1/-2",
            "1e",
            "1.5.2",
            "37r1",
            "2r3",
            "0x",
            "1__0",
            "12NN",
            "1.5N",
            "1e5N",
            "0xN",
            "1M5",
            "1e99999999999999999999M",
            "\u{663}",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse(&"9".repeat(MAX_DIGITS + 1)).is_err());
    }

    #[test]
    fn decimals_keep_their_scale_through_text() {
        for text in [
            "1.25",
            "1",
            "1.0",
            "1E+3",
            "0.000001",
            "1E-7",
            "-1.50E-10",
            "0E+2",
            "0.00",
            "-12.5",
            "1E+2147483647",
            "1.5E+1000",
        ] {
            let Ok(Value::Decimal(decimal)) = parse(&format!("{text}M")) else {
                panic!("{text}")
            };
            assert_eq!(decimal_text(&decimal), text);
        }
    }
}
