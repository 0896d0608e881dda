//! Which values Clojure takes for the same key of a map or element of a set.
//!
//! Clojure's `=`: sequences of any kind, numbers within their category, maps and sets without
//! order. It knows nothing of text or bytes; every reader uses it to refuse duplicates.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use num_bigint::BigInt;

use super::value::{Array, Decimal, Value};

/// A value compared and hashed as Clojure does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Same<'a>(pub(super) &'a Value);

/// The index of the first value that equals an earlier one.
pub(super) fn duplicate<'a>(values: impl Iterator<Item = &'a Value>) -> Option<usize> {
    let mut seen = HashSet::new();
    values
        .enumerate()
        .find(|(_, value)| !seen.insert(Same(value)))
        .map(|(index, _)| index)
}

/// `1.50M` and `1.5M` are equal: the digits without trailing zeros, and the scale of those.
fn stripped(decimal: &Decimal) -> (BigInt, i64) {
    let mut digits = decimal.unscaled.to_string();
    if digits == "0" {
        return (BigInt::ZERO, 0);
    }
    let zeros = digits.len() - digits.trim_end_matches('0').len();
    digits.truncate(digits.len() - zeros);
    let unscaled = digits.parse().unwrap_or_default();
    (unscaled, i64::from(decimal.scale) - zeros as i64)
}

fn integer(value: &Value) -> Option<BigInt> {
    match value {
        Value::Int(n) => Some((*n).into()),
        Value::BigInt(n) => Some(n.clone()),
        _ => None,
    }
}

fn floating(value: &Value) -> Option<f64> {
    match value {
        Value::Double(d) => Some(*d),
        Value::Float(f) => Some(f64::from(*f)),
        _ => None,
    }
}

fn sequence(value: &Value) -> Option<&[Value]> {
    match value {
        Value::List(items) | Value::Vector(items) | Value::JavaList(items) => Some(items),
        _ => None,
    }
}

fn same_all(a: &[Value], b: &[Value]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Same(a) == Same(b))
}

impl PartialEq for Same<'_> {
    fn eq(&self, other: &Self) -> bool {
        if std::ptr::eq(self.0, other.0) {
            return true;
        }
        match (self.0, other.0) {
            (Value::Set(a), Value::Set(b)) => {
                let a: HashSet<_> = a.iter().map(Same).collect();
                a.len() == b.len() && b.iter().all(|item| a.contains(&Same(item)))
            }
            (Value::Map(a), Value::Map(b)) => {
                let a: HashMap<_, _> = a.iter().map(|(k, v)| (Same(k), v)).collect();
                a.len() == b.len()
                    && b.iter()
                        .all(|(k, v)| a.get(&Same(k)).is_some_and(|w| Same(w) == Same(v)))
            }
            (Value::Decimal(a), Value::Decimal(b)) => stripped(a) == stripped(b),
            (Value::Tagged(a), Value::Tagged(b)) => {
                a.tag == b.tag && Same(&a.value) == Same(&b.value)
            }
            (Value::Struct(a), Value::Struct(b)) => {
                a.tag == b.tag && same_all(&a.fields, &b.fields)
            }
            (Value::Array(Array::Objects(a)), Value::Array(Array::Objects(b))) => same_all(a, b),
            (a, b) => {
                if let (Some(a), Some(b)) = (sequence(a), sequence(b)) {
                    same_all(a, b)
                } else if let (Some(a), Some(b)) = (integer(a), integer(b)) {
                    a == b
                } else if let (Some(a), Some(b)) = (floating(a), floating(b)) {
                    a == b
                } else {
                    a == b
                }
            }
        }
    }
}

impl Eq for Same<'_> {}

impl Hash for Same<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(items) = sequence(self.0) {
            state.write_u8(1);
            hash_all(items, state);
        } else if let Some(n) = integer(self.0) {
            state.write_u8(2);
            n.hash(state);
        } else if let Some(d) = floating(self.0) {
            state.write_u8(3);
            hash_double(d, self.0, state);
        } else {
            self.hash_kind(state);
        }
    }
}

impl Same<'_> {
    fn hash_kind<H: Hasher>(self, state: &mut H) {
        std::mem::discriminant(self.0).hash(state);
        match self.0 {
            Value::Bool(b) => b.hash(state),
            Value::Decimal(decimal) => stripped(decimal).hash(state),
            Value::Ratio(r) => (&r.numerator, &r.denominator).hash(state),
            Value::Char(unit) => unit.hash(state),
            Value::Str(text) | Value::Uri(text) | Value::Regex(text) => text.hash(state),
            Value::Utf16(units) => units.hash(state),
            Value::Keyword(name) | Value::Symbol(name) => name.hash(state),
            Value::Inst(ms) => ms.hash(state),
            Value::Uuid(id) => id.hash(state),
            Value::Bytes(bytes) => bytes.hash(state),
            Value::Set(items) => unordered(items.iter().map(Same), state),
            Value::Map(entries) => {
                unordered(entries.iter().map(|(k, v)| (Same(k), Same(v))), state)
            }
            Value::Array(array) => hash_array(array, self.0, state),
            Value::Tagged(tagged) => {
                tagged.tag.hash(state);
                Same(&tagged.value).hash(state);
            }
            Value::Struct(s) => {
                s.tag.hash(state);
                hash_all(&s.fields, state);
            }
            _ => {}
        }
    }
}

fn hash_all<H: Hasher>(items: &[Value], state: &mut H) {
    state.write_usize(items.len());
    items.iter().for_each(|item| Same(item).hash(state));
}

/// A sum, so that order has no part in it; keyed, so that nobody can aim at it.
fn unordered<T: Hash, H: Hasher>(items: impl Iterator<Item = T>, state: &mut H) {
    thread_local!(static KEYS: RandomState = RandomState::new());
    let sum = items.fold(0u64, |sum, item| {
        sum.wrapping_add(KEYS.with(|keys| keys.hash_one(item)))
    });
    state.write_u64(sum);
}

/// NaN equals nothing but the very same object: its place is its hash, lest many of them collide.
fn hash_double<H: Hasher>(d: f64, of: &Value, state: &mut H) {
    if d.is_nan() {
        std::ptr::from_ref(of).hash(state);
    } else {
        (d + 0.0).to_bits().hash(state);
    }
}

fn hash_array<H: Hasher>(array: &Array, of: &Value, state: &mut H) {
    std::mem::discriminant(array).hash(state);
    match array {
        Array::Longs(items) => items.hash(state),
        Array::Ints(items) => items.hash(state),
        Array::Doubles(items) => items.iter().for_each(|d| hash_double(*d, of, state)),
        Array::Floats(items) => items
            .iter()
            .for_each(|f| hash_double(f64::from(*f), of, state)),
        Array::Booleans(items) => items.hash(state),
        Array::Objects(items) => hash_all(items, state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edn::read;

    fn same(a: &str, b: &str) -> bool {
        let (a, b) = (read(a).unwrap(), read(b).unwrap());
        let hash = |v: &Value| {
            let mut hasher = std::hash::DefaultHasher::new();
            Same(v).hash(&mut hasher);
            hasher.finish()
        };
        let same = Same(&a) == Same(&b);
        assert!(!same || hash(&a) == hash(&b), "{a:?} {b:?}");
        same
    }

    #[test]
    fn what_clojure_takes_for_equal_is_the_same_and_hashes_alike() {
        for (a, b) in [
            ("1", "1N"),
            ("1.5M", "1.50M"),
            ("0M", "0.00M"),
            ("0.0", "-0.0"),
            ("[1 2]", "(1 2)"),
            ("[1 2]", "#etagfs/jlist [1 2]"),
            ("#{1 2 3}", "#{3 2 1N}"),
            ("{:a [1] :b 2}", "{:b 2N :a (1)}"),
            ("[1.5]", "[#etagfs/float 1.5]"),
        ] {
            assert!(same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn what_clojure_keeps_apart_is_kept_apart() {
        for (a, b) in [
            ("1", "1.0"),
            ("1", "1M"),
            ("\"a\"", "\\a"),
            ("[1 2]", "#{1 2}"),
            ("##NaN", "##NaN"),
            (":a", "a"),
            ("[]", "nil"),
            ("{:a 1}", "{:a 2}"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }
}
