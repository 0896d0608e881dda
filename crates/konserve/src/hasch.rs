//! hasch: the UUID that names the object of a key.
//!
//! As hasch 0.3.96 computes it: a value is coerced to bytes by its type, those are hashed with
//! SHA-512, and 16 bytes of that are a version 5 UUID. It knows of values only. konserve's
//! encryption derives its keys from the same hash, see `aes.rs`.
//!
//! The object of a key that exists has to be found by listing, not by this: other JVMs print a few
//! doubles with other digits, and -0.0 is stored as 0.0.

use sha2::{Digest, Sha512};
use thiserror::Error;
use uuid::Uuid;

use super::number;
use super::value::Value;

/// From this length on, bytes are hashed instead of escaped.
const LONG: usize = 1024;
/// How much of a digest elements of sets and entries of maps put in.
const XORED: usize = 32;

/// hasch has no hash for such a value: konserve cannot have it as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} cannot be a key, or part of one")]
pub struct NotAKey(&'static str);

/// The name of the object of a key.
pub fn uuid(key: &Value) -> Result<Uuid, NotAKey> {
    let digest = hash(key)?;
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[0] &= 0x3f;
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Ok(Uuid::from_bytes(bytes))
}

/// `edn-hash`: SHA-512 of the coerced value.
pub fn hash(value: &Value) -> Result<[u8; 64], NotAKey> {
    Ok(sha512(&coerce(value)?))
}

fn sha512(bytes: &[u8]) -> [u8; 64] {
    Sha512::digest(bytes).into()
}

fn coerce(value: &Value) -> Result<Vec<u8>, NotAKey> {
    Ok(match value {
        Value::Nil => vec![0],
        Value::Bool(b) => vec![1, if *b { 0x29 } else { 0x28 }],
        Value::Int(n) => tagged(2, n.to_string().as_bytes()),
        Value::BigInt(n) => tagged(2, n.to_string().as_bytes()),
        Value::Double(d) => tagged(2, number::double_text(*d).as_bytes()),
        Value::Float(f) => tagged(2, number::float_text(*f).as_bytes()),
        Value::Decimal(d) => tagged(2, number::decimal_text(d).as_bytes()),
        Value::Str(text) => tagged(3, &safe(text.as_bytes())),
        Value::Char(unit) => match char::from_u32(u32::from(*unit)) {
            Some(c) => tagged(3, &safe(c.encode_utf8(&mut [0; 4]).as_bytes())),
            None => return Err(NotAKey("half of a surrogate pair")),
        },
        Value::Symbol(name) => tagged(4, &safe(name.to_string().as_bytes())),
        Value::Keyword(name) => tagged(5, &safe(format!(":{name}").as_bytes())),
        Value::Inst(ms) => tagged(6, ms.to_string().as_bytes()),
        Value::Uuid(id) => tagged(7, id.to_string().as_bytes()),
        Value::List(items) => tagged(8, &sha512(&sequence(items.iter())?)),
        Value::Vector(items) => tagged(9, &sha512(&sequence(items.iter())?)),
        Value::Map(entries) => {
            let mut sum = Xor::default();
            for (key, value) in entries {
                // As a vector of two: its type byte takes part.
                let pair = sha512(&sequence([key, value].into_iter())?);
                sum.add(&tagged(9, &pair));
            }
            tagged(10, &sum.0)
        }
        Value::Set(items) => {
            let mut sum = Xor::default();
            for item in items {
                sum.add(&sha512(&coerce(item)?));
            }
            tagged(11, &sum.0)
        }
        Value::Tagged(record) => {
            let mut bytes = coerce(&Value::Symbol(record.tag.clone()))?;
            bytes.extend(coerce(&record.value)?);
            tagged(12, &sha512(&bytes))
        }
        Value::Bytes(bytes) => tagged(13, &safe(bytes)),
        Value::Ratio(_) => return Err(NotAKey("a ratio")),
        Value::Utf16(_) => return Err(NotAKey("a string with half of a surrogate pair")),
        Value::Uri(_) => return Err(NotAKey("a URI")),
        Value::Regex(_) => return Err(NotAKey("a regex")),
        Value::JavaList(_) => return Err(NotAKey("a Java list")),
        Value::Array(_) => return Err(NotAKey("an array")),
        Value::Struct(_) => return Err(NotAKey("a value of an application's type")),
    })
}

fn tagged(tag: u8, bytes: &[u8]) -> Vec<u8> {
    let mut tagged = Vec::with_capacity(bytes.len() + 1);
    tagged.push(tag);
    tagged.extend_from_slice(bytes);
    tagged
}

/// What the elements are coerced to; an empty sequence is hashed as `(nil)` is.
fn sequence<'a>(items: impl Iterator<Item = &'a Value>) -> Result<Vec<u8>, NotAKey> {
    let mut bytes = Vec::new();
    for item in items {
        bytes.extend(coerce(item)?);
    }
    if bytes.is_empty() {
        bytes.push(0);
    }
    Ok(bytes)
}

/// Bytes that are also type bytes are marked behind the text, so that no text looks like a value.
fn safe(bytes: &[u8]) -> Vec<u8> {
    if bytes.len() >= LONG {
        return sha512(bytes).to_vec();
    }
    let marks = bytes.iter().map(|b| u8::from((1..30).contains(b)));
    bytes.iter().copied().chain(marks).collect()
}

/// The XOR of nothing is empty.
#[derive(Default)]
struct Xor(Vec<u8>);

impl Xor {
    fn add(&mut self, bytes: &[u8]) {
        self.0.resize(XORED, 0);
        for (sum, byte) in self.0.iter_mut().zip(bytes) {
            *sum ^= byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edn::read;

    fn uuid_of(text: &str) -> String {
        uuid(&read(text).unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_uuids_are_those_of_the_library() {
        for (key, id) in [
            (":foo", "06cee0d3-72f7-5bfd-ae3b-af7c2f0fef8f"),
            ("\"foo\"", "3b99ff05-3a69-5570-8133-fb72ea5f4db6"),
            ("42", "0fc20a9a-c153-592d-888a-707ff306fbb6"),
            ("nil", "38244d02-8981-5693-af7b-456af8efa4ca"),
            ("true", "1ddffc2c-6730-53c7-87b8-9cbbc98c2363"),
            ("[1 2 3]", "00bd2dcb-5c15-555e-a1c8-6166a78fc808"),
            ("(1 2 3)", "3469ba6e-b775-534e-8639-fb84857286af"),
            ("{:a 1}", "01e0dbfc-72c9-5525-b23a-92319a00b69a"),
            ("{}", "3e688838-ca86-56e5-8906-89bf2ab585ce"),
            ("#{}", "127cff2b-6fdf-5c0f-94fe-092b17d6d8c7"),
        ] {
            assert_eq!(uuid_of(key), id, "{key}");
        }
    }

    #[test]
    fn keys_that_hasch_takes_for_one_have_one_uuid() {
        for (a, b) in [
            ("\\a", "\"a\""),
            ("1", "1N"),
            ("1", "1M"),
            ("[]", "[nil]"),
            ("{:a 1 :b 2}", "{:b 2 :a 1}"),
        ] {
            assert_eq!(uuid_of(a), uuid_of(b), "{a} {b}");
        }
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_also_inside_of_one() {
        for text in [
            "1/2",
            "[#etagfs/regex \"a\"]",
            "{:a #etagfs/ints [1]}",
            "\"\\ud800\"",
        ] {
            assert!(uuid(&read(text).unwrap()).is_err(), "{text}");
        }
    }
}
