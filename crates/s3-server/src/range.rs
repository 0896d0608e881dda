//! Byte ranges: what a `Range` header asks of a body of known length.
//!
//! Pure. Source: RFC 9110 section 14, and S3's habits: several ranges, other units and nonsense are
//! ignored (the whole body is sent), a range that holds no byte is refused. Read
//! `s3/objects.rs` for how a range and conditions meet.

use std::ops::Range;

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything: there was no range, or none that counts.
    Whole,
    /// These bytes; never empty.
    Part(Range<u64>),
    /// 416.
    Unsatisfiable,
}

/// Resolves the header against a body of `size` bytes.
pub(super) fn resolve(header: Option<&str>, size: u64) -> Extent {
    let Some(spec) = header.and_then(|h| h.trim().strip_prefix("bytes=")) else {
        return Extent::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-') else {
        return Extent::Whole;
    };
    let part = match (number(first), number(last)) {
        (Number::Is(first), Number::Is(last)) if first <= last => {
            first..last.saturating_add(1).min(size)
        }
        (Number::Is(first), Number::Missing) => first..size,
        (Number::Missing, Number::Is(length)) => size.saturating_sub(length)..size,
        _ => return Extent::Whole,
    };
    if part.start < part.end {
        Extent::Part(part)
    } else {
        Extent::Unsatisfiable
    }
}

enum Number {
    Missing,
    Is(u64),
    Nonsense,
}

fn number(digits: &str) -> Number {
    if digits.is_empty() {
        return Number::Missing;
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Number::Nonsense;
    }
    // More digits than fit mean "beyond the end" of any body.
    Number::Is(digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Extent::{Part, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn ranges_resolve_as_rfc_9110_says() {
        for (header, size, expected) in [
            ("bytes=0-4", 10, Part(0..5)),
            ("bytes=5-", 10, Part(5..10)),
            ("bytes=-3", 10, Part(7..10)),
            ("bytes=-30", 10, Part(0..10)),
            ("bytes=9-9", 10, Part(9..10)),
            ("bytes=8-99", 10, Part(8..10)),
            ("bytes=0-99999999999999999999999", 10, Part(0..10)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=99999999999999999999999-", 10, Unsatisfiable),
            ("bytes=10-20", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-1", 0, Unsatisfiable),
            ("bytes=5-2", 10, Whole),
            ("bytes=1-2,4-5", 10, Whole),
            ("bytes=", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("lines=1-2", 10, Whole),
        ] {
            assert_eq!(resolve(Some(header), size), expected, "{header} of {size}");
        }
        assert_eq!(resolve(None, 10), Whole);
    }
}
