//! CBOR of konserve's two CBOR serializers, for reading: clj-cbor and boring.
//!
//! Items are taken apart by `ciborium-ll`; here tags become Clojure's types, string references are
//! resolved, and the index that boring puts behind a value is passed over. Memory is limited by
//! the caller, recursion by `MAX_DEPTH`. It knows nothing of blobs; `blob.rs` uses it.
//!
//! Tags: RFC 8949, the IANA registry (25/256 string references, 27 objects, 30 ratios, 37 UUIDs,
//! 39 identifiers, 258 sets). A tag that means nothing here becomes a struct `cbor:N`.

use std::sync::Arc;

use ciborium_ll::{Decoder, Header};
use num_bigint::{BigInt, Sign};
use uuid::Uuid;

use super::cursor::{Corrupt, Cursor, Read};
use super::value::{Decimal, Name, Struct, Tagged, Value};
use super::{LEAF_DEPTH, MAX_DEPTH, STRUCT_DEPTH, edn, number, same};

/// As in Fressian: about 20000 digits.
const MAX_BIG_BYTES: usize = 8192;

/// Reads one value, and the index that may follow it. `limit` is how many bytes it may take in
/// memory, strings that are stored once and used often counted each time.
pub fn decode(bytes: &[u8], limit: usize) -> Result<Value, Corrupt> {
    let mut reader = Reader {
        input: Cursor::new(bytes, limit),
        strings: None,
    };
    let value = reader.item(0)?;
    if !reader.input.rest().is_empty() {
        let index = reader.item(0)?;
        if !is_index(&index) || !reader.input.rest().is_empty() {
            return reader.input.fail("bytes behind the value");
        }
    }
    Ok(value)
}

fn is_index(value: &Value) -> bool {
    matches!(value, Value::Tagged(t) if t.tag == Name::qualified("boring", "index"))
}

struct Reader<'a> {
    input: Cursor<'a>,
    /// The strings of the innermost namespace that may be referred to.
    strings: Option<Vec<Value>>,
}

impl Reader<'_> {
    fn header(&mut self) -> Read<Header> {
        let mut decoder = Decoder::from(self.input.rest());
        match decoder.pull() {
            Ok(header) => {
                self.input.take(decoder.offset())?;
                Ok(header)
            }
            Err(_) => self.input.fail("no item"),
        }
    }

    fn item(&mut self, depth: usize) -> Read<Value> {
        if depth + LEAF_DEPTH > MAX_DEPTH {
            return self.input.fail("nested too deep");
        }
        self.input.weigh(size_of::<Value>())?;
        let first = self.input.rest().first().copied();
        match self.header()? {
            Header::Positive(n) => Ok(match i64::try_from(n) {
                Ok(n) => Value::Int(n),
                Err(_) => Value::BigInt(n.into()),
            }),
            Header::Negative(n) => Ok(match i64::try_from(n) {
                Ok(n) => Value::Int(!n),
                Err(_) => Value::BigInt(-BigInt::from(n) - 1),
            }),
            // Only 32 bits are a Float; the shorter form stands for Doubles.
            Header::Float(d) if first == Some(0xfa) => Ok(Value::Float(d as f32)),
            Header::Float(d) => Ok(Value::Double(d)),
            Header::Simple(20) => Ok(Value::Bool(false)),
            Header::Simple(21) => Ok(Value::Bool(true)),
            Header::Simple(22) => Ok(Value::Nil),
            Header::Text(length) => self.text(length),
            Header::Bytes(length) => self.byte_string(length),
            Header::Array(length) => self.items(length, depth + 1).map(Value::Vector),
            Header::Map(length) => {
                let items = match length {
                    None => self.items(None, depth + 1)?,
                    Some(n) => match n.checked_mul(2) {
                        Some(n) => self.items(Some(n), depth + 1)?,
                        None => return self.input.fail("ends too early"),
                    },
                };
                self.map(items)
            }
            Header::Tag(tag) => self.tagged(tag, depth),
            Header::Simple(_) | Header::Break => self.input.fail("not a value"),
        }
    }

    /// That many items, or all up to the break.
    fn items(&mut self, length: Option<usize>, depth: usize) -> Read<Vec<Value>> {
        let mut items = Vec::new();
        self.input.expect(length.unwrap_or_default())?;
        while length.is_none_or(|n| items.len() < n) {
            if length.is_none() && self.input.takes(0xff) {
                break;
            }
            items.push(self.item(depth)?);
        }
        Ok(items)
    }

    fn map(&self, items: Vec<Value>) -> Read<Value> {
        if items.len() % 2 == 1 {
            return self.input.fail("a key without a value");
        }
        let mut entries = Vec::with_capacity(items.len() / 2);
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            entries.push((key, value));
        }
        match same::duplicate(entries.iter().map(|(key, _)| key)) {
            None => Ok(Value::Map(entries)),
            Some(_) => self.input.fail("a map with a key twice"),
        }
    }

    /// The bytes of a string, parts joined.
    fn string_bytes(&mut self, length: Option<usize>, is_text: bool) -> Read<Vec<u8>> {
        if let Some(length) = length {
            self.input.weigh(length)?;
            return Ok(self.input.take(length)?.to_vec());
        }
        let mut bytes = Vec::new();
        loop {
            let length = match self.header()? {
                Header::Text(Some(length)) if is_text => length,
                Header::Bytes(Some(length)) if !is_text => length,
                Header::Break => return Ok(bytes),
                _ => return self.input.fail("a part of a string is expected"),
            };
            self.input.weigh(length)?;
            bytes.extend_from_slice(self.input.take(length)?);
        }
    }

    fn text(&mut self, length: Option<usize>) -> Read<Value> {
        match String::from_utf8(self.string_bytes(length, true)?) {
            Ok(text) => {
                let text = Value::Str(text.into());
                self.remember(length, &text)?;
                Ok(text)
            }
            Err(_) => self.input.fail("malformed characters"),
        }
    }

    fn byte_string(&mut self, length: Option<usize>) -> Read<Value> {
        let bytes = Value::Bytes(self.string_bytes(length, false)?);
        self.remember(length, &bytes)?;
        Ok(bytes)
    }

    /// A string is numbered if a reference to it would be shorter.
    fn remember(&mut self, length: Option<usize>, string: &Value) -> Read<()> {
        let (Some(length), Some(strings)) = (length, &mut self.strings) else {
            return Ok(());
        };
        let shortest = match strings.len() {
            0..24 => 3,
            24..256 => 4,
            256..65536 => 5,
            _ => 7,
        };
        if length >= shortest {
            strings.push(string.clone());
            self.input.weigh(length + size_of::<Value>())?;
        }
        Ok(())
    }

    fn tagged(&mut self, tag: u64, depth: usize) -> Read<Value> {
        match tag {
            25 => {
                let index = self.item(depth + 1)?;
                self.string_at(&index)
            }
            256 => {
                let outer = self.strings.replace(Vec::new());
                let value = self.item(depth + 1);
                self.strings = outer;
                value
            }
            // "This is CBOR."
            55799 => self.item(depth + 1),
            tag => {
                let value = self.item(depth + STRUCT_DEPTH)?;
                match typed(tag, value) {
                    Some(value) => Ok(value),
                    None => self
                        .input
                        .fail(format!("tag {tag} does not go with its item")),
                }
            }
        }
    }

    fn string_at(&mut self, index: &Value) -> Read<Value> {
        let string = match (index, &self.strings) {
            (Value::Int(n), Some(strings)) => usize::try_from(*n)
                .ok()
                .and_then(|n| strings.get(n))
                .cloned(),
            _ => None,
        };
        match string {
            Some(string) => {
                let length = match &string {
                    Value::Str(text) => text.len(),
                    Value::Bytes(bytes) => bytes.len(),
                    _ => 0,
                };
                self.input.weigh(length)?;
                Ok(string)
            }
            None => self.input.fail("a reference to nothing"),
        }
    }
}

/// What a tag makes of its item; a struct if the tag is unknown.
fn typed(tag: u64, value: Value) -> Option<Value> {
    Some(match (tag, value) {
        (0, Value::Str(text)) => Value::Inst(edn::parse_time_stamp(&text)?),
        (1, Value::Int(seconds)) => Value::Inst(seconds.checked_mul(1000)?),
        (1, Value::Double(seconds)) => Value::Inst(milliseconds(seconds)?),
        (1, Value::Float(seconds)) => Value::Inst(milliseconds(seconds.into())?),
        (2, Value::Bytes(bytes)) => Value::BigInt(big(&bytes)?),
        (3, Value::Bytes(bytes)) => Value::BigInt(-big(&bytes)? - 1),
        (4, Value::Vector(items)) => {
            let [exponent, mantissa] = <[Value; 2]>::try_from(items).ok()?;
            let Value::Int(exponent) = exponent else {
                return None;
            };
            Value::Decimal(Box::new(Decimal {
                unscaled: integer(mantissa)?,
                scale: i32::try_from(exponent.checked_neg()?).ok()?,
            }))
        }
        (27, Value::Vector(items)) => object(items)?,
        (30, Value::Vector(items)) => {
            let [numerator, denominator] = <[Value; 2]>::try_from(items).ok()?;
            number::stored_ratio(integer(numerator)?, integer(denominator)?)?
        }
        (32, Value::Str(text)) => Value::Uri(text),
        (35, Value::Str(text)) => Value::Regex(text),
        (37, Value::Bytes(bytes)) => Value::Uuid(Uuid::from_slice(&bytes).ok()?),
        (39, Value::Str(text)) => match text.strip_prefix(':') {
            Some(name) => Value::Keyword(name_of(name)),
            None => Value::Symbol(name_of(&text)),
        },
        (258, Value::Vector(items)) => match same::duplicate(items.iter()) {
            None => Value::Set(items),
            Some(_) => return None,
        },
        (0..=4 | 27 | 30 | 32 | 35 | 37 | 39 | 258, _) => return None,
        (tag, value) => Value::Struct(Box::new(Struct {
            tag: Arc::from(format!("cbor:{tag}")),
            fields: vec![value],
        })),
    })
}

/// `[name argument ..]`: a literal or record of the application, or a type of Clojure.
fn object(mut items: Vec<Value>) -> Option<Value> {
    let argument = match items.len() {
        2 => items.pop()?,
        0 | 1 => return None,
        _ => Value::Vector(items.split_off(1)),
    };
    let Value::Str(name) = items.pop()? else {
        return None;
    };
    match (&*name, argument) {
        ("clojure/char", Value::Str(text)) => {
            let mut units = text.encode_utf16();
            let unit = units.next()?;
            units.next().is_none().then_some(Value::Char(unit))
        }
        // Metadata of values is nothing that konserve promises to keep.
        ("clojure/with-meta", Value::Vector(mut pair)) => match pair.len() {
            2 => pair.pop(),
            _ => None,
        },
        (name, value) => {
            let tag = name_of(name);
            Some(Value::Tagged(Box::new(Tagged { tag, value })))
        }
    }
}

fn name_of(text: &str) -> Name {
    match text.split_once('/') {
        Some((ns, name)) if !ns.is_empty() && !name.is_empty() => Name::qualified(ns, name),
        _ => Name::plain(text),
    }
}

fn big(bytes: &[u8]) -> Option<BigInt> {
    (bytes.len() <= MAX_BIG_BYTES).then(|| BigInt::from_bytes_be(Sign::Plus, bytes))
}

fn integer(value: Value) -> Option<BigInt> {
    match value {
        Value::Int(n) => Some(n.into()),
        Value::BigInt(n) => Some(n),
        _ => None,
    }
}

fn milliseconds(seconds: f64) -> Option<i64> {
    let ms = (seconds * 1000.0).round();
    (ms.abs() < 9e15).then_some(ms as i64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn bytes(hex: &str) -> Vec<u8> {
        hex::decode(hex.replace(' ', "")).unwrap()
    }

    #[test]
    fn items_and_tags_become_values() {
        for (hex, text) in [
            ("1bffffffffffffffff", "18446744073709551615N"),
            ("3b7fffffffffffffff", "-9223372036854775808"),
            ("3b8000000000000000", "-9223372036854775809N"),
            ("f97c00", "##Inf"),
            ("fa3fa00000", "#etagfs/float 1.25"),
            ("7f 6161 6162 ff", "\"ab\""),
            ("5f 4161 4162 ff", "#etagfs/bytes \"6162\""),
            ("9f 01 9f ff ff", "[1 []]"),
            ("bf 01 02 ff", "{1 2}"),
            (
                "c1 fb41d9781e7c327efa",
                "#inst \"2024-02-29T12:34:56.789Z\"",
            ),
            ("c1 05", "#inst \"1970-01-01T00:00:05Z\""),
            // Of days that Java counts otherwise in text: the moment counts.
            (
                "c0 74 313538322d31302d31345432333a35393a35395a",
                "#etagfs/inst -12219292801000",
            ),
            (
                "c0 74 313530302d30312d30315430303a30303a30305a",
                "#etagfs/inst -14831769600000",
            ),
            (
                "c0 74 303030312d30312d30315430303a30303a30305a",
                "#etagfs/inst -62135596800000",
            ),
            ("c2 49 010000000000000000", "18446744073709551616N"),
            ("c3 41 05", "-6N"),
            ("c4 82 21 1903e8", "10.00M"),
            ("d81e 82 16 07", "22/7"),
            ("d827 646e732f61", "ns/a"),
            ("d827 623a6e", ":n"),
            ("d9d9f7 01", "1"),
            ("d81b 82 616d a1 01 02", "#m {1 2}"),
            ("d81b 83 616d 01 02", "#m [1 2]"),
            ("d8c8 01", "#etagfs/struct [\"cbor:200\" [1]]"),
            // Of the strings, only those of 3 bytes and more are numbered.
            (
                "d90100 85 626162 63616263 d81900 43010203 d81901",
                "[\"ab\" \"abc\" \"abc\" #etagfs/bytes \"010203\" #etagfs/bytes \"010203\"]",
            ),
            // An index behind the value.
            ("01 d81b 83 6c626f72696e672f696e646578 01 02", "1"),
        ] {
            assert_eq!(
                decode(&bytes(hex), LIMIT),
                Ok(edn::read(text).unwrap()),
                "{hex}"
            );
        }
    }

    #[test]
    fn what_is_not_certain_is_refused() {
        for hex in [
            "",
            "ff",
            "0101",
            "f7",
            "f820",
            "1c",
            "9b7fffffffffffffff",
            "bbffffffffffffffff",
            "61ff",
            "a1 01",
            "a2 01 01 01 02",
            "bf 01 ff",
            "d81900",
            "d90100 d81900",
            "c0 6161",
            "c1 fb7ff8000000000000",
            "d81e 82 02 04",
            "d825 41 00",
            "d90102 82 01 01",
            "d81b 81 616d",
            "d81b 01",
            "7f 4161 ff",
            "c4 82 1b7fffffffffffffff 01",
        ] {
            assert!(decode(&bytes(hex), LIMIT).is_err(), "{hex}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit_and_not_at_the_end_of_the_stack() {
        for byte in 0..=u8::MAX {
            let small = std::thread::Builder::new().stack_size(1 << 20);
            let thread = small.spawn(move || {
                let _ = decode(&[byte; 3000], LIMIT);
                let _ = decode(&[byte, 1].repeat(3000), LIMIT);
            });
            thread.unwrap().join().unwrap();
        }
    }

    #[test]
    fn references_cannot_make_more_of_a_few_bytes_than_the_limit() {
        let mut laughs = bytes("d90100 99fff0 59ffff");
        laughs.extend([7; 65_535]);
        laughs.extend(bytes("d81900").repeat(0xffef));
        let e = decode(&laughs, LIMIT).unwrap_err();
        assert!(e.reason.contains("too large"), "{e}");
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_printed_and_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(value) = decode(&bytes, LIMIT) {
                let again = edn::read(&edn::print(&value)).unwrap();
                prop_assert_eq!(format!("{again:?}"), format!("{value:?}"));
            }
        }
    }
}
