//! A Clojure value: what konserve stores and what EDN text says.
//!
//! Plain data with the order of maps and sets kept; it knows of no encoding. `same.rs` says which
//! values Clojure takes for equal, `edn.rs` how they are written.

use std::sync::Arc;

use num_bigint::BigInt;
use uuid::Uuid;

/// Any value that EDN or konserve's Fressian can hold.
///
/// Equality is that of the representation (`1` is not `1N`, order counts, NaN equals nothing).
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `nil`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A Long.
    Int(i64),
    /// A BigInt, `5N`; also for numbers that a Long could hold.
    BigInt(BigInt),
    /// A Double.
    Double(f64),
    /// A Float; not a Double, though EDN knows no difference.
    Float(f32),
    /// A BigDecimal, `1.50M`.
    Decimal(Box<Decimal>),
    /// `22/7`.
    Ratio(Box<Ratio>),
    /// A Character: one UTF-16 unit, maybe half of a pair.
    Char(u16),
    /// A string.
    Str(Arc<str>),
    /// A string with surrogates that are not paired, which no UTF-8 can hold; see [`Value::utf16`].
    Utf16(Arc<[u16]>),
    /// `:ns/name`.
    Keyword(Name),
    /// `ns/name`.
    Symbol(Name),
    /// Milliseconds since 1970.
    Inst(i64),
    /// A UUID.
    Uuid(Uuid),
    /// A `java.net.URI`.
    Uri(Arc<str>),
    /// The source of a regular expression.
    Regex(Arc<str>),
    /// A byte array.
    Bytes(Vec<u8>),
    /// `(1 2)`.
    List(Vec<Self>),
    /// `[1 2]`.
    Vector(Vec<Self>),
    /// A `java.util.List` that is no Clojure collection: what konserve makes of a range or a Cons.
    JavaList(Vec<Self>),
    /// `#{1 2}`, as stored; without duplicates.
    Set(Vec<Self>),
    /// `{:a 1}`, as stored; without duplicate keys.
    Map(Vec<(Self, Self)>),
    /// A Java array.
    Array(Array),
    /// `#my.Tag value`: a record, or a literal of the application.
    Tagged(Box<Tagged>),
    /// A Fressian struct that only the application understands.
    Struct(Box<Struct>),
}

/// `unscaled * 10^-scale`; `1.0M` and `1.00M` differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// All digits.
    pub unscaled: BigInt,
    /// How many of them are fraction digits; may be negative.
    pub scale: i32,
}

/// A fraction in lowest terms; the denominator is greater than 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// Above the line.
    pub numerator: BigInt,
    /// Below the line.
    pub denominator: BigInt,
}

/// The name of a keyword, a symbol or a tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// What stands before the slash.
    pub ns: Option<Arc<str>>,
    /// What stands after it.
    pub name: Arc<str>,
}

/// A Java array of any kind but bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// `long[]`.
    Longs(Vec<i64>),
    /// `int[]`.
    Ints(Vec<i32>),
    /// `double[]`.
    Doubles(Vec<f64>),
    /// `float[]`.
    Floats(Vec<f32>),
    /// `boolean[]`.
    Booleans(Vec<bool>),
    /// `Object[]`.
    Objects(Vec<Value>),
}

/// A value under a tag.
#[derive(Clone, Debug, PartialEq)]
pub struct Tagged {
    /// The tag; of a record its class name.
    pub tag: Name,
    /// What it tags; of a record a map.
    pub value: Value,
}

/// A Fressian tag with its components.
#[derive(Clone, Debug, PartialEq)]
pub struct Struct {
    /// The tag.
    pub tag: Arc<str>,
    /// The components.
    pub fields: Vec<Value>,
}

impl Value {
    /// A string.
    pub fn string(text: &str) -> Self {
        Self::Str(text.into())
    }

    /// A string of UTF-16 units: a [`Value::Str`] unless a surrogate is unpaired.
    pub fn utf16(units: &[u16]) -> Self {
        match String::from_utf16(units) {
            Ok(text) => Self::Str(text.into()),
            Err(_) => Self::Utf16(units.into()),
        }
    }

    /// The keyword `:name`.
    pub fn keyword(name: &str) -> Self {
        Self::Keyword(Name::plain(name))
    }

    /// The value of a key of a map.
    pub fn get(&self, key: &Self) -> Option<&Self> {
        match self {
            Self::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

impl Name {
    /// A name without a namespace.
    pub fn plain(name: &str) -> Self {
        Self {
            ns: None,
            name: name.into(),
        }
    }

    /// A name in a namespace.
    pub fn qualified(ns: &str, name: &str) -> Self {
        Self {
            ns: Some(ns.into()),
            name: name.into(),
        }
    }
}

impl std::fmt::Display for Name {
    /// `ns/name`, whether or not a reader could read it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(ns) = &self.ns {
            write!(f, "{ns}/")?;
        }
        f.write_str(&self.name)
    }
}
