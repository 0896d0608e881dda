//! Tagged literals: `#inst`, `#uuid`, and `#etagfs/..` for what Clojure has no text for.
//!
//! Pure values in, values out; it knows nothing of brackets. [`apply`] is the reader's side, [`spell`]
//! the printer's, and each undoes the other.

use std::borrow::Cow;
use std::sync::Arc;

use time::{Date, Month, OffsetDateTime, Time};
use uuid::Uuid;

use super::names;
use crate::number;
use crate::value::{Array, Name, Struct, Tagged, Value};

/// Before 1582-10-15 Java counts Julian days: the same text would mean another moment.
const FIRST_GREGORIAN_MS: i64 = -12_219_292_800_000;
/// 10000-01-01: text has four digits for a year.
const LAST_MS: i64 = 253_402_300_800_000;

type Applied = Result<Value, Cow<'static, str>>;

/// Gives a form its tag.
pub(super) fn apply(tag: Name, value: Value) -> Applied {
    match (tag.ns.as_deref(), &*tag.name) {
        (None, "inst") => match &value {
            Value::Str(text) => parse_inst(text).map(Value::Inst).map_err(Cow::from),
            _ => Err("#inst is followed by a string".into()),
        },
        (None, "uuid") => match &value {
            Value::Str(text) => parse_uuid(text).map(Value::Uuid).ok_or("not a UUID".into()),
            _ => Err("#uuid is followed by a string".into()),
        },
        (Some("etagfs"), name) => own(name, value)
            .ok_or_else(|| format!("#etagfs/{name} does not go with this form").into()),
        _ => Ok(Value::Tagged(Box::new(Tagged { tag, value }))),
    }
}

fn own(name: &str, value: Value) -> Option<Value> {
    Some(match (name, value) {
        ("bytes", Value::Str(text)) => Value::Bytes(hex::decode(&*text).ok()?),
        ("float", Value::Double(d)) => Value::Float(single(d)?),
        ("regex", Value::Str(text)) => Value::Regex(text),
        ("uri", Value::Str(text)) => Value::Uri(text),
        ("inst", Value::Int(ms)) => Value::Inst(ms),
        ("char", Value::Int(unit)) => Value::Char(u16::try_from(unit).ok()?),
        ("jlist", Value::Vector(items)) => Value::JavaList(items),
        ("objects", Value::Vector(items)) => Value::Array(Array::Objects(items)),
        ("longs", Value::Vector(items)) => Value::Array(Array::Longs(each(items, long)?)),
        ("ints", Value::Vector(items)) => {
            Value::Array(Array::Ints(each(items, |v| i32::try_from(long(v)?).ok())?))
        }
        ("doubles", Value::Vector(items)) => Value::Array(Array::Doubles(each(items, double)?)),
        ("floats", Value::Vector(items)) => {
            Value::Array(Array::Floats(each(items, |v| single(double(v)?))?))
        }
        ("booleans", Value::Vector(items)) => {
            Value::Array(Array::Booleans(each(items, |v| match v {
                Value::Bool(b) => Some(b),
                _ => None,
            })?))
        }
        ("keyword", value) => Value::Keyword(name_of(value)?),
        ("symbol", value) => Value::Symbol(name_of(value)?),
        ("struct", value) => {
            let [tag, fields] = pair(value)?;
            match (tag, fields) {
                (Value::Str(tag), Value::Vector(fields)) => {
                    Value::Struct(Box::new(Struct { tag, fields }))
                }
                _ => return None,
            }
        }
        ("tagged", value) => {
            let [tag, value] = pair(value)?;
            let Value::Symbol(tag) = tag else { return None };
            Value::Tagged(Box::new(Tagged { tag, value }))
        }
        _ => return None,
    })
}

fn pair(value: Value) -> Option<[Value; 2]> {
    match value {
        Value::Vector(items) => items.try_into().ok(),
        _ => None,
    }
}

fn each<T>(items: Vec<Value>, of: impl Fn(Value) -> Option<T>) -> Option<Vec<T>> {
    items.into_iter().map(of).collect()
}

fn long(value: Value) -> Option<i64> {
    match value {
        Value::Int(n) => Some(n),
        _ => None,
    }
}

fn double(value: Value) -> Option<f64> {
    match value {
        Value::Double(d) => Some(d),
        _ => None,
    }
}

/// Only infinity becomes an infinite float.
fn single(d: f64) -> Option<f32> {
    let f = d as f32;
    (f.is_finite() || !d.is_finite()).then_some(f)
}

/// `[ns name]`; the namespace may be nil.
fn name_of(value: Value) -> Option<Name> {
    match pair(value)? {
        [Value::Nil, Value::Str(name)] => Some(Name { ns: None, name }),
        [Value::Str(ns), Value::Str(name)] => Some(Name { ns: Some(ns), name }),
        _ => None,
    }
}

/// What is printed behind a tag; borrows what may be large and nested.
pub(super) enum Form<'a> {
    /// Made for printing; flat.
    Made(Value),
    /// A value.
    Of(&'a Value),
    /// A vector of values.
    Items(&'a [Value]),
    /// A vector of two.
    Pair(Value, Box<Self>),
}

/// The tag and the form under which a value is printed, if it needs any.
pub(super) fn spell(value: &Value) -> Option<(Cow<'_, str>, Form<'_>)> {
    let (tag, form) = match value {
        Value::Tagged(tagged) if is_foreign(&tagged.tag) => {
            return Some((Cow::Owned(tagged.tag.to_string()), Form::Of(&tagged.value)));
        }
        Value::Tagged(tagged) => {
            let tag = Value::Symbol(tagged.tag.clone());
            (
                "etagfs/tagged",
                Form::Pair(tag, Box::new(Form::Of(&tagged.value))),
            )
        }
        Value::Struct(s) => {
            let tag = Value::Str(Arc::clone(&s.tag));
            (
                "etagfs/struct",
                Form::Pair(tag, Box::new(Form::Items(&s.fields))),
            )
        }
        Value::JavaList(items) => ("etagfs/jlist", Form::Items(items)),
        Value::Array(Array::Objects(items)) => ("etagfs/objects", Form::Items(items)),
        value => {
            let (tag, made) = make(value)?;
            (tag, Form::Made(made))
        }
    };
    Some((Cow::Borrowed(tag), form))
}

fn make(value: &Value) -> Option<(&'static str, Value)> {
    Some(match value {
        Value::Bytes(bytes) => ("etagfs/bytes", Value::Str(hex::encode(bytes).into())),
        Value::Float(f) => ("etagfs/float", Value::Double(widen(*f))),
        Value::Regex(text) => ("etagfs/regex", Value::Str(Arc::clone(text))),
        Value::Uri(text) => ("etagfs/uri", Value::Str(Arc::clone(text))),
        Value::Uuid(id) => ("uuid", Value::Str(id.to_string().into())),
        Value::Inst(ms) => match inst_text(*ms) {
            Some(text) => ("inst", Value::Str(text.into())),
            None => ("etagfs/inst", Value::Int(*ms)),
        },
        Value::Char(unit) if is_half(*unit) => ("etagfs/char", Value::Int((*unit).into())),
        Value::Keyword(name) if !names::is_keyword(name) => ("etagfs/keyword", in_pair(name)),
        Value::Symbol(name) if !names::is_symbol(name) => ("etagfs/symbol", in_pair(name)),
        Value::Array(array) => {
            let (tag, items) = match array {
                Array::Longs(items) => ("etagfs/longs", all(items, Value::Int)),
                Array::Ints(items) => ("etagfs/ints", all(items, |n| Value::Int(n.into()))),
                Array::Doubles(items) => ("etagfs/doubles", all(items, Value::Double)),
                Array::Floats(items) => ("etagfs/floats", all(items, |f| Value::Double(widen(f)))),
                Array::Booleans(items) => ("etagfs/booleans", all(items, Value::Bool)),
                Array::Objects(_) => return None,
            };
            (tag, Value::Vector(items))
        }
        _ => return None,
    })
}

fn all<T: Copy>(items: &[T], of: impl Fn(T) -> Value) -> Vec<Value> {
    items.iter().copied().map(of).collect()
}

/// Whether a unit is half of a surrogate pair, which is no character that Clojure reads. In a string it is.
pub(super) fn is_half(unit: u16) -> bool {
    matches!(unit, 0xd800..=0xdfff)
}

/// The double with the float's digits: 0.1, not 0.10000000149011612; it narrows to the same float.
fn widen(f: f32) -> f64 {
    let short: Option<f64> = number::float_text(f).parse().ok();
    short.filter(|d| *d as f32 == f).unwrap_or(f64::from(f))
}

fn in_pair(name: &Name) -> Value {
    let ns = name.ns.clone().map_or(Value::Nil, Value::Str);
    Value::Vector(vec![ns, Value::Str(Arc::clone(&name.name))])
}

/// Whether the tag, as text, means nothing to us.
fn is_foreign(tag: &Name) -> bool {
    let ours = match tag.ns.as_deref() {
        None => matches!(&*tag.name, "inst" | "uuid"),
        Some(ns) => ns == "etagfs",
    };
    names::is_tag(tag) && !ours
}

fn parse_uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}

/// `2024-02-29T12:34:56.789-00:00`, as Clojure writes it.
fn inst_text(ms: i64) -> Option<String> {
    if !(FIRST_GREGORIAN_MS..LAST_MS).contains(&ms) {
        return None;
    }
    let t = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000).ok()?;
    let (year, month, day) = (t.year(), u8::from(t.month()), t.day());
    let (hour, minute, second, ms) = (t.hour(), t.minute(), t.second(), t.millisecond());
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}-00:00"
    ))
}

/// An RFC 3339 time stamp, with Gregorian days for all times.
pub(crate) fn parse_time_stamp(text: &str) -> Option<i64> {
    inst_ms(text)
}

/// An RFC 3339 time stamp of which all but the year may be left out, as `clojure.instant` takes it.
fn parse_inst(text: &str) -> Result<i64, &'static str> {
    const BAD: &str = "not a time stamp";
    let ms = inst_ms(text).ok_or(BAD)?;
    match ms >= FIRST_GREGORIAN_MS {
        true => Ok(ms),
        false => Err("write times before 1582-10-15 as #etagfs/inst milliseconds"),
    }
}

fn inst_ms(text: &str) -> Option<i64> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    let month = part(&mut rest, '-')?;
    let day = if month.is_some() {
        part(&mut rest, '-')?
    } else {
        None
    };
    let hour = if day.is_some() {
        part(&mut rest, 'T')?
    } else {
        None
    };
    let minute = if hour.is_some() {
        part(&mut rest, ':')?
    } else {
        None
    };
    let second = if minute.is_some() {
        part(&mut rest, ':')?
    } else {
        None
    };
    let mut ms = 0;
    if second.is_some()
        && let Some(after) = rest.strip_prefix('.')
    {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        ms = format!("{:0<3}", &after[..digits])[..3].parse().ok()?;
        rest = &after[digits..];
    }
    let offset = offset_minutes(rest)?;
    let date = Date::from_calendar_date(
        i32::from(year),
        Month::try_from(u8::try_from(month.unwrap_or(1)).ok()?).ok()?,
        u8::try_from(day.unwrap_or(1)).ok()?,
    )
    .ok()?;
    let time = Time::from_hms_milli(
        u8::try_from(hour.unwrap_or(0)).ok()?,
        u8::try_from(minute.unwrap_or(0)).ok()?,
        u8::try_from(second.unwrap_or(0)).ok()?,
        ms,
    )
    .ok()?;
    let utc = date.with_time(time).assume_utc().unix_timestamp_nanos() / 1_000_000;
    i64::try_from(utc).ok()?.checked_sub(offset * 60_000)
}

fn offset_minutes(text: &str) -> Option<i64> {
    if text.is_empty() || text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let mut rest = text.strip_prefix(['+', '-'])?;
    let hours = digits(&mut rest, 2)?;
    let minutes = part(&mut rest, ':')??;
    (rest.is_empty() && hours < 24 && minutes < 60)
        .then(|| sign * (i64::from(hours) * 60 + i64::from(minutes)))
}

/// Two digits behind a separator; nothing if it does not come next, or begins an offset.
fn part(rest: &mut &str, separator: char) -> Option<Option<u16>> {
    let Some(mut after) = rest.strip_prefix(separator) else {
        return Some(None);
    };
    if separator == '-' && after.as_bytes().get(2) == Some(&b':') {
        return Some(None);
    }
    let n = digits(&mut after, 2)?;
    *rest = after;
    Some(Some(n))
}

fn digits(rest: &mut &str, count: usize) -> Option<u16> {
    let text = rest.get(..count)?;
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    *rest = &rest[count..];
    text.parse().ok()
}
