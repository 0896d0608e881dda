//! The Fressian reader: bytes to one value.
//!
//! Memory is limited by the caller, recursion by `MAX_DEPTH`, and all bytes must be used. It knows
//! konserve's handlers, and keeps structs of other tags as they are.

use std::sync::Arc;

use num_bigint::BigInt;
use uuid::Uuid;

use super::{MAX_BIG_BYTES, cesu8, code, tag};
use crate::cursor::{Corrupt, Cursor, Read};
use crate::value::{Array, Decimal, Name, Struct, Tagged, Value};
use crate::{LEAF_DEPTH, MAX_DEPTH, STRUCT_DEPTH, number, same};

/// Reads exactly one value. `limit` is how many bytes it may take in memory, text and parts that
/// are stored once and used often counted each time.
pub fn decode(bytes: &[u8], limit: usize) -> Result<Value, Corrupt> {
    let mut reader = Reader {
        input: Cursor::new(bytes, limit),
        deepest: 0,
        cache: Vec::new(),
        structs: Vec::new(),
    };
    let value = reader.object(0)?;
    match reader.input.rest().is_empty() {
        true => Ok(value),
        false => reader.input.fail("bytes behind the value"),
    }
}

struct Reader<'a> {
    input: Cursor<'a>,
    /// The greatest depth of what was read.
    deepest: usize,
    /// What is referred to by index; nothing while it is being read.
    cache: Vec<Option<Cached>>,
    structs: Vec<(Arc<str>, usize)>,
}

/// An object that is referred to: it costs its weight and height again wherever it is.
struct Cached {
    value: Value,
    weight: usize,
    height: usize,
}

impl Reader<'_> {
    fn reach(&mut self, depth: usize) -> Read<()> {
        if depth + LEAF_DEPTH > MAX_DEPTH {
            return self.input.fail("nested too deep");
        }
        self.deepest = self.deepest.max(depth);
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Read<Value> {
        self.reach(depth)?;
        let code = self.input.byte()?;
        self.input.weigh(size_of::<Value>())?;
        if let Some(n) = self.int_of(code)? {
            return Ok(Value::Int(n));
        }
        match code {
            code::NIL => Ok(Value::Nil),
            code::TRUE => Ok(Value::Bool(true)),
            code::FALSE => Ok(Value::Bool(false)),
            code::ZERO => Ok(Value::Double(0.0)),
            code::ONE => Ok(Value::Double(1.0)),
            code::FLOAT => self.raw().map(|raw| Value::Float(f32::from_be_bytes(raw))),
            code::DOUBLE => self.raw().map(|raw| Value::Double(f64::from_be_bytes(raw))),
            code::SHORT_BYTES..=code::BYTES => self.byte_string(code).map(Value::Bytes),
            code::SHORT_STRING..=code::STRING => self.string(code),
            code::SHORT_LIST..=code::OPEN_LIST => self.list(code, depth + 2).map(Value::JavaList),
            code::LONGS..=code::OBJECTS => self.array(code, depth).map(Value::Array),
            code::MAP => self.map(depth),
            code::SET => self.set(depth),
            code::KEYWORD => self.name(depth).map(Value::Keyword),
            code::SYMBOL => self.name(depth).map(Value::Symbol),
            code::UUID..=code::INST => self.scalar(code, depth),
            code::CACHED..=0x9f => self.cached(usize::from(code - code::CACHED), depth),
            code::CACHED_AT => {
                let index = self.count()?;
                self.cached(index, depth)
            }
            code::PUT_CACHE => self.put_cache(depth),
            code::STRUCT | code::STRUCT_AT | code::CACHED_STRUCT..=0xaf => {
                let (tag, count) = self.struct_head(code, depth)?;
                self.struct_body(tag, count, depth)
            }
            _ => {
                let reason = format!("{code:#04x} begins nothing that konserve stores");
                self.input.refuse(reason)
            }
        }
    }

    fn raw<const N: usize>(&mut self) -> Read<[u8; N]> {
        let mut raw = [0; N];
        raw.copy_from_slice(self.input.take(N)?);
        Ok(raw)
    }

    /// The int that begins with the code, if one does.
    fn int_of(&mut self, code: u8) -> Read<Option<i64>> {
        let (upper, more) = match code {
            code::INT_1..=0x3f => return Ok(Some(i64::from(code))),
            code::MINUS_ONE => return Ok(Some(-1)),
            code::INT_8 => return Ok(Some(i64::from_be_bytes(self.raw()?))),
            code::INT_2..=0x5f => (i64::from(code) - 0x50, 1),
            0x60..=0x7f => {
                let of = |(zero, below): &(u8, u8)| code >= zero - below;
                let index = code::LONGER_INTS.iter().rposition(of).unwrap_or(0);
                let zero = i64::from(code::LONGER_INTS[index].0);
                (i64::from(code) - zero, index + 2)
            }
            _ => return Ok(None),
        };
        let lower = self.input.take(more)?;
        let n = lower.iter().fold(upper, |n, b| n << 8 | i64::from(*b));
        Ok(Some(n))
    }

    fn int(&mut self) -> Read<i64> {
        let code = self.input.byte()?;
        match self.int_of(code)? {
            Some(n) => Ok(n),
            None => self.input.fail("an int is expected"),
        }
    }

    /// A length or an index.
    fn count(&mut self) -> Read<usize> {
        let n = self.int()?;
        usize::try_from(n).or_else(|_| self.input.fail("a negative count"))
    }

    /// A number of objects, each of which takes a byte at least.
    fn objects(&mut self, count: usize, depth: usize) -> Read<Vec<Value>> {
        self.input.expect(count)?;
        // A plain loop: without optimisation, iterators take a lot of stack at every level.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.object(depth)?);
        }
        Ok(items)
    }

    /// The bytes of a string or byte array, chunks joined; codes are those of the byte array.
    fn chunks(&mut self, mut code: u8, shift: u8) -> Read<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let length = match code.wrapping_sub(shift) {
                short @ code::SHORT_BYTES..code::BYTES_CHUNK => {
                    usize::from(short - code::SHORT_BYTES)
                }
                code::BYTES_CHUNK | code::BYTES => self.count()?,
                _ => return self.input.fail("a chunk is followed by something else"),
            };
            self.input.weigh(length)?;
            bytes.extend_from_slice(self.input.take(length)?);
            if code.wrapping_sub(shift) != code::BYTES_CHUNK {
                return Ok(bytes);
            }
            code = self.input.byte()?;
        }
    }

    fn byte_string(&mut self, code: u8) -> Read<Vec<u8>> {
        self.chunks(code, 0)
    }

    fn string(&mut self, code: u8) -> Read<Value> {
        let bytes = self.chunks(code, code::SHORT_STRING - code::SHORT_BYTES)?;
        match cesu8::decode(&bytes) {
            Some(text) => Ok(text),
            None => self.input.fail("malformed characters"),
        }
    }

    /// The items of a list; `depth` is theirs.
    fn list(&mut self, code: u8, depth: usize) -> Read<Vec<Value>> {
        let count = match code {
            code::LIST => self.count()?,
            code::CLOSED_LIST | code::OPEN_LIST => return self.endless(code, depth),
            _ => usize::from(code - code::SHORT_LIST),
        };
        self.objects(count, depth)
    }

    /// A list up to its end mark; an open one may also end with the bytes.
    fn endless(&mut self, code: u8, depth: usize) -> Read<Vec<Value>> {
        let mut items = Vec::new();
        loop {
            let is_over = code == code::OPEN_LIST && self.input.rest().is_empty();
            if is_over || self.input.takes(code::END) {
                return Ok(items);
            }
            items.push(self.object(depth)?);
        }
    }

    fn array(&mut self, code: u8, depth: usize) -> Read<Array> {
        let count = self.count()?;
        let items = self.objects(count, depth + 2)?;
        fn each<T>(items: Vec<Value>, of: impl Fn(Value) -> Option<T>) -> Option<Vec<T>> {
            items.into_iter().map(of).collect()
        }
        let array = match code {
            code::OBJECTS => Some(Array::Objects(items)),
            code::LONGS => each(items, |v| match v {
                Value::Int(n) => Some(n),
                _ => None,
            })
            .map(Array::Longs),
            code::INTS => each(items, |v| match v {
                Value::Int(n) => i32::try_from(n).ok(),
                _ => None,
            })
            .map(Array::Ints),
            code::DOUBLES => each(items, |v| match v {
                Value::Double(d) => Some(d),
                _ => None,
            })
            .map(Array::Doubles),
            code::FLOATS => each(items, |v| match v {
                Value::Float(f) => Some(f),
                _ => None,
            })
            .map(Array::Floats),
            _ => each(items, |v| match v {
                Value::Bool(b) => Some(b),
                _ => None,
            })
            .map(Array::Booleans),
        };
        match array {
            Some(array) => Ok(array),
            None => self.input.fail("an array of mixed types"),
        }
    }

    /// The list in which maps and sets have their parts; `depth` is that of the parts.
    fn parts(&mut self, depth: usize) -> Read<Vec<Value>> {
        match self.input.byte()? {
            code @ code::SHORT_LIST..=code::OPEN_LIST => self.list(code, depth),
            _ => self.input.fail("a list is expected"),
        }
    }

    fn map(&mut self, depth: usize) -> Read<Value> {
        let items = self.parts(depth + 1)?;
        if items.len() % 2 == 1 {
            return self.input.fail("a key without a value");
        }
        let mut entries = Vec::with_capacity(items.len() / 2);
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            entries.push((key, value));
        }
        self.distinct(entries)
    }

    fn distinct(&self, entries: Vec<(Value, Value)>) -> Read<Value> {
        match same::duplicate(entries.iter().map(|(key, _)| key)) {
            None => Ok(Value::Map(entries)),
            Some(_) => self.input.fail("a map with a key twice"),
        }
    }

    fn set(&mut self, depth: usize) -> Read<Value> {
        let items = self.parts(depth + 1)?;
        match same::duplicate(items.iter()) {
            None => Ok(Value::Set(items)),
            Some(_) => self.input.fail("a set with an element twice"),
        }
    }

    fn text(&mut self, depth: usize) -> Read<Arc<str>> {
        match self.object(depth + 1)? {
            Value::Str(text) => Ok(text),
            _ => self.input.fail("a string is expected"),
        }
    }

    fn name(&mut self, depth: usize) -> Read<Name> {
        let ns = match self.object(depth + 1)? {
            Value::Nil => None,
            Value::Str(ns) => Some(ns),
            _ => return self.input.fail("a namespace is expected"),
        };
        let name = self.text(depth)?;
        Ok(Name { ns, name })
    }

    fn scalar(&mut self, code: u8, depth: usize) -> Read<Value> {
        Ok(match code {
            code::REGEX => Value::Regex(self.text(depth)?),
            code::URI => Value::Uri(self.text(depth)?),
            code::INST => Value::Inst(self.int()?),
            code::BIG_INT => Value::BigInt(self.big(depth)?),
            code::DECIMAL => {
                let unscaled = self.big(depth)?;
                let scale = self.int()?;
                match i32::try_from(scale) {
                    Ok(scale) => Value::Decimal(Box::new(Decimal { unscaled, scale })),
                    Err(_) => return self.input.fail("a scale out of range"),
                }
            }
            _ => match self.object(depth + 1)? {
                Value::Bytes(bytes) => match Uuid::from_slice(&bytes) {
                    Ok(id) => Value::Uuid(id),
                    Err(_) => return self.input.fail("a UUID has 16 bytes"),
                },
                _ => return self.input.fail("bytes are expected"),
            },
        })
    }

    fn big(&mut self, depth: usize) -> Read<BigInt> {
        match self.object(depth + 1)? {
            Value::Bytes(bytes) if (1..=MAX_BIG_BYTES).contains(&bytes.len()) => {
                Ok(BigInt::from_signed_bytes_be(&bytes))
            }
            _ => self.input.fail("the bytes of a number are expected"),
        }
    }

    fn cached(&mut self, index: usize, depth: usize) -> Read<Value> {
        let Some(Some(cached)) = self.cache.get(index) else {
            return self.input.fail("a reference to nothing");
        };
        let (weight, height) = (cached.weight, cached.height);
        self.reach(depth + height)?;
        self.input.weigh(weight)?;
        match self.cache.get(index) {
            Some(Some(cached)) => Ok(cached.value.clone()),
            _ => self.input.fail("a reference to nothing"),
        }
    }

    /// Reads an object and remembers it; its index counts from before what is in it.
    fn put_cache(&mut self, depth: usize) -> Read<Value> {
        let index = self.cache.len();
        self.cache.push(None);
        let (left, deepest) = (self.input.left(), self.deepest);
        self.deepest = depth + 1;
        let value = self.object(depth + 1)?;
        let (weight, height) = (left - self.input.left(), self.deepest - depth);
        self.deepest = self.deepest.max(deepest);
        // The copy in the cache takes memory as well.
        self.input.weigh(weight)?;
        self.cache[index] = Some(Cached {
            value: value.clone(),
            weight,
            height,
        });
        Ok(value)
    }

    fn struct_head(&mut self, code: u8, depth: usize) -> Read<(Arc<str>, usize)> {
        let index = match code {
            code::STRUCT => {
                let tag = self.text(depth)?;
                let count = self.count()?;
                self.structs.push((tag, count));
                self.structs.len() - 1
            }
            code::STRUCT_AT => self.count()?,
            _ => usize::from(code - code::CACHED_STRUCT),
        };
        match self.structs.get(index) {
            Some((tag, count)) => Ok((Arc::clone(tag), *count)),
            None => self.input.fail("a struct that was not declared"),
        }
    }

    /// konserve's own handlers declare any count; only of other tags it is true.
    fn struct_body(&mut self, tag: Arc<str>, count: usize, depth: usize) -> Read<Value> {
        match &*tag {
            tag::VECTOR => {
                let count = self.count()?;
                self.objects(count, depth + 1).map(Value::Vector)
            }
            tag::LIST => {
                let count = self.count()?;
                self.objects(count, depth + 1).map(Value::List)
            }
            tag::RECORD => self.record(depth),
            tag::CHAR => {
                let unit = self.int()?;
                match u16::try_from(unit) {
                    Ok(unit) => Ok(Value::Char(unit)),
                    Err(_) => self.input.fail("a character out of range"),
                }
            }
            tag::RATIO => match (self.object(depth + 1)?, self.object(depth + 1)?) {
                (Value::BigInt(n), Value::BigInt(d)) => match number::stored_ratio(n, d) {
                    Some(ratio) => Ok(ratio),
                    None => self.input.fail("a ratio that is not in lowest terms"),
                },
                _ => self.input.fail("a ratio of something else than numbers"),
            },
            _ => {
                self.input.weigh(tag.len())?;
                let fields = self.objects(count, depth + STRUCT_DEPTH)?;
                Ok(Value::Struct(Box::new(Struct { tag, fields })))
            }
        }
    }

    fn record(&mut self, depth: usize) -> Read<Value> {
        let count = self.count()?;
        let Value::Symbol(tag) = self.object(depth + 1)? else {
            return self.input.fail("the tag of a record is expected");
        };
        let mut entries = Vec::new();
        for _ in 0..count {
            match <[Value; 2]>::try_from(self.parts(depth + STRUCT_DEPTH)?) {
                Ok([key, value]) => entries.push((key, value)),
                Err(_) => return self.input.fail("a key with its value is expected"),
            }
        }
        let value = self.distinct(entries)?;
        Ok(Value::Tagged(Box::new(Tagged { tag, value })))
    }
}
