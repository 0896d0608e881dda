//! Fressian's strings: CESU-8, every UTF-16 unit in 1 to 3 bytes of its own.
//!
//! Pure bytes and units; it knows nothing of lengths and chunks.

use crate::value::Value;

/// The string in the bytes, a [`Value::Str`] or [`Value::Utf16`]; nothing if they are malformed.
pub(super) fn decode(bytes: &[u8]) -> Option<Value> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let astral = bytes.iter().any(|b| *b >= 0xf0);
        // Java refuses sequences of four.
        return (!astral).then(|| Value::string(text));
    }
    let mut units = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        let (unit, length) = match *rest {
            [a @ 0..=0x7f, ..] => (u16::from(a), 1),
            [a @ 0xc2..=0xdf, b, ..] => (u16::from(a & 0x1f) << 6 | more(b)?, 2),
            [a @ 0xe0..=0xef, b, c, ..] => {
                let unit = u16::from(a & 0x0f) << 12 | more(b)? << 6 | more(c)?;
                if unit < 0x800 {
                    return None;
                }
                (unit, 3)
            }
            _ => {
                debug_assert!(first >= 0x80);
                return None;
            }
        };
        units.push(unit);
        rest = &rest[length..];
    }
    Some(Value::utf16(&units))
}

fn more(byte: u8) -> Option<u16> {
    (byte & 0xc0 == 0x80).then_some(u16::from(byte & 0x3f))
}

/// How many bytes a unit takes.
pub(super) fn width(unit: u16) -> usize {
    match unit {
        0..=0x7f => 1,
        0x80..=0x7ff => 2,
        _ => 3,
    }
}

/// Appends a unit.
pub(super) fn push(unit: u16, bytes: &mut Vec<u8>) {
    let low = |shift: u32| 0x80 | (unit >> shift & 0x3f) as u8;
    match width(unit) {
        1 => bytes.push(unit as u8),
        2 => bytes.extend([0xc0 | (unit >> 6) as u8, low(0)]),
        _ => bytes.extend([0xe0 | (unit >> 12) as u8, low(6), low(0)]),
    }
}
