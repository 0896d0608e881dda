//! Random values for the property tests of every codec.
//!
//! Test code only. It knows what a value may be, not how it is encoded.

use num_bigint::BigInt;
use proptest::collection::vec;
use proptest::prelude::*;

use super::number::stored_ratio;
use super::same::Same;
use super::value::{Array, Decimal, Name, Struct, Tagged, Value};

/// Any string a JVM could hold, with what codecs trip over made likely.
fn units() -> impl Strategy<Value = Vec<u16>> {
    let unit = prop_oneof![
        8 => 0x20..0x7fu16,
        2 => prop::sample::select(vec![0, 9, 10, 13, 34, 92, 0x7f, 0x80, 0x7ff, 0x800, 0x2028]),
        1 => any::<u16>(),
        1 => 0xd800..0xe000u16,
    ];
    vec(unit, 0..20)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-z.*+!_?$%&=<>:#'-]{1,6}",
        1 => any::<String>(),
        1 => prop::sample::select(vec!["nil", "true", "/", "a/b", "", "1a", "+1", ":", "\u{e9}", "a b", "\u{1f600}"])
            .prop_map(String::from),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    (proptest::option::of(text()), text()).prop_map(|(ns, name)| match ns {
        Some(ns) => Name::qualified(&ns, &name),
        None => Name::plain(&name),
    })
}

fn big() -> impl Strategy<Value = BigInt> {
    vec(any::<u8>(), 0..20).prop_map(|bytes| BigInt::from_signed_bytes_be(&bytes))
}

/// Doubles without NaN, which equals nothing, and without -0.0, which Fressian cannot hold.
fn double() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        (-1000..1000i32).prop_map(|n| f64::from(n) / 8.0)
    ]
    .prop_filter("NaN, -0.0", |d| {
        !d.is_nan() && (*d != 0.0 || d.is_sign_positive())
    })
}

fn single() -> impl Strategy<Value = f32> {
    any::<f32>().prop_filter("NaN", |f| !f.is_nan())
}

fn leaf() -> impl Strategy<Value = Value> {
    let int = prop_oneof![
        any::<i64>(),
        (0..64u32, any::<bool>(), -1..2i64).prop_map(|(shift, minus, by)| {
            let power = 1i64.wrapping_shl(shift);
            (if minus { power.wrapping_neg() } else { power }).wrapping_add(by)
        }),
    ];
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        int.prop_map(Value::Int),
        big().prop_map(Value::BigInt),
        double().prop_map(Value::Double),
        single().prop_map(Value::Float),
        (big(), any::<i32>(), -30..30i32, any::<bool>()).prop_map(
            |(unscaled, any, near, is_any)| {
                let scale = if is_any { any } else { near };
                Value::Decimal(Box::new(Decimal { unscaled, scale }))
            }
        ),
        (big(), 2..1000u32).prop_map(|(n, d)| stored_ratio(n, d.into()).unwrap_or(Value::Nil)),
        any::<u16>().prop_map(Value::Char),
        units().prop_map(|units| Value::utf16(&units)),
        name().prop_map(Value::Keyword),
        name().prop_map(Value::Symbol),
        prop_oneof![any::<i64>(), -20_000_000_000_000..300_000_000_000_000i64]
            .prop_map(Value::Inst),
        any::<u128>().prop_map(|id| Value::Uuid(uuid::Uuid::from_u128(id))),
        text().prop_map(|text| Value::Uri(text.into())),
        text().prop_map(|text| Value::Regex(text.into())),
        vec(any::<u8>(), 0..20).prop_map(Value::Bytes),
        vec(any::<i64>(), 0..4).prop_map(|items| Value::Array(Array::Longs(items))),
        vec(any::<i32>(), 0..4).prop_map(|items| Value::Array(Array::Ints(items))),
        vec(double(), 0..4).prop_map(|items| Value::Array(Array::Doubles(items))),
        vec(single(), 0..4).prop_map(|items| Value::Array(Array::Floats(items))),
        vec(any::<bool>(), 0..4).prop_map(|items| Value::Array(Array::Booleans(items))),
    ]
}

fn without_duplicates(entries: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
    let mut kept: Vec<(Value, Value)> = Vec::new();
    for (key, value) in entries {
        if !kept.iter().any(|(k, _)| Same(k) == Same(&key)) {
            kept.push((key, value));
        }
    }
    kept
}

/// Any value that Fressian can hold and that equals itself.
pub(super) fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(5, 60, 8, |inner| {
        let items = || vec(inner.clone(), 0..9);
        let entries = || vec((inner.clone(), inner.clone()), 0..7).prop_map(without_duplicates);
        prop_oneof![
            items().prop_map(Value::Vector),
            items().prop_map(Value::List),
            items().prop_map(Value::JavaList),
            items().prop_map(|items| Value::Array(Array::Objects(items))),
            entries().prop_map(|entries| {
                Value::Set(entries.into_iter().map(|(key, _)| key).collect())
            }),
            entries().prop_map(Value::Map),
            (name(), entries()).prop_map(|(tag, entries)| {
                let value = Value::Map(entries);
                Value::Tagged(Box::new(Tagged { tag, value }))
            }),
            ("[a-d]{1,2}-tag", items()).prop_map(|(tag, fields)| {
                let tag = tag.into();
                Value::Struct(Box::new(Struct { tag, fields }))
            }),
        ]
    })
}
