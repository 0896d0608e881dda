//! The Fressian writer: a value to the bytes that konserve would store.
//!
//! Byte for byte: ints in the shortest form, names through the cache, vectors as `pvec`. It knows
//! nothing of where the bytes go.

use std::collections::HashMap;
use std::sync::Arc;

use num_bigint::BigInt;

use super::{MAX_BIG_BYTES, Unwritable, cesu8, code, tag};
use crate::value::{Array, Name, Struct, Tagged, Value};

/// How many bytes of a string are written at once.
const STRING_CHUNK_BYTES: usize = 65536;
/// How many bytes of a byte array are.
const BYTES_CHUNK_BYTES: usize = 65535;

/// What konserve stores for the value.
pub fn encode(value: &Value) -> Result<Vec<u8>, Unwritable> {
    let mut writer = Writer::default();
    writer.object(value)?;
    Ok(writer.bytes)
}

type Write = Result<(), Unwritable>;

#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    cache: HashMap<Arc<str>, usize>,
    structs: HashMap<(Arc<str>, usize), usize>,
}

impl Writer {
    fn object(&mut self, value: &Value) -> Write {
        match value {
            Value::Nil => self.code(code::NIL),
            Value::Bool(true) => self.code(code::TRUE),
            Value::Bool(false) => self.code(code::FALSE),
            Value::Int(n) => self.int(*n),
            Value::BigInt(n) => self.big(code::BIG_INT, n)?,
            Value::Double(d) => self.double(*d),
            Value::Float(f) => self.float(*f),
            Value::Decimal(decimal) => {
                self.big(code::DECIMAL, &decimal.unscaled)?;
                self.int(decimal.scale.into());
            }
            Value::Ratio(ratio) => {
                self.struct_head(tag::RATIO, 2);
                self.big(code::BIG_INT, &ratio.numerator)?;
                self.big(code::BIG_INT, &ratio.denominator)?;
            }
            Value::Char(unit) => {
                self.struct_head(tag::CHAR, 1);
                self.int(i64::from(*unit));
            }
            Value::Str(text) => self.string(text),
            Value::Utf16(units) => self.units(units.iter().copied(), units.len()),
            Value::Keyword(name) => self.name(code::KEYWORD, name),
            Value::Symbol(name) => self.name(code::SYMBOL, name),
            Value::Inst(ms) => {
                self.code(code::INST);
                self.int(*ms);
            }
            Value::Uuid(id) => {
                self.code(code::UUID);
                self.byte_string(id.as_bytes());
            }
            Value::Uri(text) => {
                self.code(code::URI);
                self.string(text);
            }
            Value::Regex(text) => {
                self.code(code::REGEX);
                self.string(text);
            }
            Value::Bytes(bytes) => self.byte_string(bytes),
            Value::Vector(items) => self.counted(tag::VECTOR, items)?,
            Value::List(items) => self.counted(tag::LIST, items)?,
            Value::JavaList(items) => {
                self.list_head(items.len());
                self.objects(items)?;
            }
            Value::Set(items) => {
                self.code(code::SET);
                self.list_head(items.len());
                self.objects(items)?;
            }
            Value::Map(entries) => {
                self.code(code::MAP);
                self.list_head(2 * entries.len());
                for (key, value) in entries {
                    self.object(key)?;
                    self.object(value)?;
                }
            }
            Value::Array(array) => self.array(array)?,
            Value::Tagged(record) => self.record(record)?,
            Value::Struct(s) => self.foreign(s)?,
        }
        Ok(())
    }

    fn code(&mut self, code: u8) {
        self.bytes.push(code);
    }

    fn objects(&mut self, items: &[Value]) -> Write {
        items.iter().try_for_each(|item| self.object(item))
    }

    fn int(&mut self, n: i64) {
        let bytes = n.to_be_bytes();
        match n {
            -1 => self.code(code::MINUS_ONE),
            0..=0x3f => self.code(bytes[7]),
            -0x1000..0x1000 => {
                self.bytes.extend([(0x50 + (n >> 8)) as u8, bytes[7]]);
            }
            _ => {
                let fits = |(more, (_, below)): &(usize, (u8, u8))| {
                    let upper = n >> (8 * more);
                    let below = i64::from(*below);
                    (-below..below).contains(&upper)
                };
                match (2..).zip(code::LONGER_INTS).find(fits) {
                    Some((more, (zero, _))) => {
                        self.code((i64::from(zero) + (n >> (8 * more))) as u8);
                        self.bytes.extend_from_slice(&bytes[8 - more..]);
                    }
                    None => {
                        self.code(code::INT_8);
                        self.bytes.extend(bytes);
                    }
                }
            }
        }
    }

    fn count(&mut self, n: usize) {
        self.int(n as i64);
    }

    /// Java compares with 0.0, so -0.0 loses its sign, and its NaNs are all one.
    fn double(&mut self, d: f64) {
        if d == 0.0 {
            self.code(code::ZERO);
        } else if d == 1.0 {
            self.code(code::ONE);
        } else {
            self.code(code::DOUBLE);
            let d = if d.is_nan() { f64::NAN } else { d };
            self.bytes.extend(d.to_be_bytes());
        }
    }

    fn float(&mut self, f: f32) {
        self.code(code::FLOAT);
        let f = if f.is_nan() { f32::NAN } else { f };
        self.bytes.extend(f.to_be_bytes());
    }

    fn big(&mut self, code: u8, n: &BigInt) -> Write {
        let bytes = n.to_signed_bytes_be();
        if bytes.len() > MAX_BIG_BYTES {
            return Err(Unwritable("a number of too many digits".into()));
        }
        self.code(code);
        self.byte_string(&bytes);
        Ok(())
    }

    fn byte_string(&mut self, mut bytes: &[u8]) {
        if bytes.len() < 8 {
            self.code(code::SHORT_BYTES + bytes.len() as u8);
            self.bytes.extend_from_slice(bytes);
            return;
        }
        while bytes.len() > BYTES_CHUNK_BYTES {
            let (chunk, rest) = bytes.split_at(BYTES_CHUNK_BYTES);
            self.code(code::BYTES_CHUNK);
            self.count(chunk.len());
            self.bytes.extend_from_slice(chunk);
            bytes = rest;
        }
        self.code(code::BYTES);
        self.count(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    fn string(&mut self, text: &str) {
        self.units(text.encode_utf16(), text.encode_utf16().count());
    }

    /// Whole units, as many as fit into a buffer; what is left over goes on.
    fn units(&mut self, units: impl Iterator<Item = u16>, count: usize) {
        let room = STRING_CHUNK_BYTES.min(3 * count);
        let mut chunk = Vec::with_capacity(room);
        for unit in units {
            if chunk.len() + cesu8::width(unit) > room {
                self.code(code::STRING_CHUNK);
                self.count(chunk.len());
                self.bytes.append(&mut chunk);
            }
            cesu8::push(unit, &mut chunk);
        }
        if chunk.len() < 8 {
            self.code(code::SHORT_STRING + chunk.len() as u8);
        } else {
            self.code(code::STRING);
            self.count(chunk.len());
        }
        self.bytes.append(&mut chunk);
    }

    fn name(&mut self, code: u8, name: &Name) {
        self.code(code);
        match &name.ns {
            Some(ns) => self.cached(ns),
            None => self.code(code::NIL),
        }
        self.cached(&name.name);
    }

    fn cached(&mut self, text: &Arc<str>) {
        if text.is_empty() {
            self.string(text);
        } else if let Some(&index) = self.cache.get(text) {
            if index < 32 {
                self.code(code::CACHED + index as u8);
            } else {
                self.code(code::CACHED_AT);
                self.count(index);
            }
        } else {
            self.cache.insert(Arc::clone(text), self.cache.len());
            self.code(code::PUT_CACHE);
            self.string(text);
        }
    }

    fn struct_head(&mut self, tag: &str, count: usize) {
        // Readers go by the declaration, so another count is another declaration.
        let declared = (Arc::from(tag), count);
        if let Some(&index) = self.structs.get(&declared) {
            if index < 16 {
                self.code(code::CACHED_STRUCT + index as u8);
            } else {
                self.code(code::STRUCT_AT);
                self.count(index);
            }
        } else {
            self.structs.insert(declared, self.structs.len());
            self.code(code::STRUCT);
            self.string(tag);
            self.count(count);
        }
    }

    /// The handlers of vectors and lists declare two components and write more.
    fn counted(&mut self, tag: &str, items: &[Value]) -> Write {
        self.struct_head(tag, 2);
        self.count(items.len());
        self.objects(items)
    }

    fn list_head(&mut self, length: usize) {
        if length < 8 {
            self.code(code::SHORT_LIST + length as u8);
        } else {
            self.code(code::LIST);
            self.count(length);
        }
    }

    fn array(&mut self, array: &Array) -> Write {
        let head = |writer: &mut Self, code, count| {
            writer.code(code);
            writer.count(count);
        };
        match array {
            Array::Longs(items) => {
                head(self, code::LONGS, items.len());
                items.iter().for_each(|n| self.int(*n));
            }
            Array::Ints(items) => {
                head(self, code::INTS, items.len());
                items.iter().for_each(|n| self.int(i64::from(*n)));
            }
            Array::Doubles(items) => {
                head(self, code::DOUBLES, items.len());
                items.iter().for_each(|d| self.double(*d));
            }
            Array::Floats(items) => {
                head(self, code::FLOATS, items.len());
                items.iter().for_each(|f| self.float(*f));
            }
            Array::Booleans(items) => {
                head(self, code::BOOLEANS, items.len());
                let code = |b: &bool| if *b { code::TRUE } else { code::FALSE };
                self.bytes.extend(items.iter().map(code));
            }
            Array::Objects(items) => {
                head(self, code::OBJECTS, items.len());
                self.objects(items)?;
            }
        }
        Ok(())
    }

    fn record(&mut self, record: &Tagged) -> Write {
        let Value::Map(entries) = &record.value else {
            let reason = format!(
                "#{} is not followed by a map, so it is no record",
                record.tag
            );
            return Err(Unwritable(reason.into()));
        };
        self.struct_head(tag::RECORD, 2);
        self.count(entries.len());
        self.name(code::SYMBOL, &record.tag);
        for (key, value) in entries {
            self.list_head(2);
            self.object(key)?;
            self.object(value)?;
        }
        Ok(())
    }

    fn foreign(&mut self, s: &Struct) -> Write {
        if tag::OWN.contains(&&*s.tag) {
            return Err(Unwritable(
                format!("a struct cannot be a {:?}", s.tag).into(),
            ));
        }
        self.struct_head(&s.tag, s.fields.len());
        self.objects(&s.fields)
    }
}
