//! Items as the Clojure library faraday-atom writes them: a key and a value, in EDN.
//!
//! The hash key's attribute is called as the name of the key in EDN (`:atom/id`), and holds the key in EDN. A value that
//! is a map has an attribute for each of its entries, called as the entry's key in EDN; any other value is under
//! `:atom/value`. Vectors and maps are lists and maps, `nil` is NULL, everything else is EDN text. `:atom/version` counts
//! the writes.
//!
//! Source: faraday-atom 3defc93, `impl.clj`, and items that it wrote.

use thiserror::Error;

use konserve_codec::{Name, Value, edn};

use crate::{Attribute, Item, MAX_DEPTH};

const VALUE: &str = ":atom/value";
const VERSION: &str = ":atom/version";
const KEY: &str = ":atom/key";
/// The names of attributes that say something of the item.
const OWN: [&str; 3] = [VALUE, VERSION, KEY];

/// How the items of a table are keyed.
#[derive(Clone, Debug, PartialEq)]
pub struct Atoms {
    /// What the attribute of the hash key is called.
    attribute: String,
    /// The same as a value.
    name: Value,
}

/// An item, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Atom {
    /// Its key.
    pub key: Value,
    /// Its value.
    pub value: Value,
    /// How often it was written by what counts that, less one; none if the last writer did not (`reset!`).
    pub version: Option<i64>,
    /// Why it cannot be written back, if it cannot.
    pub read_only: Option<&'static str>,
}

/// Why an item is none of faraday-atom, or a value cannot be one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoAtom {
    /// The item has no key of this kind.
    #[error("it has no attribute {0} that holds EDN")]
    NoKey(String),
    /// An attribute is not readable EDN.
    #[error("the attribute {attribute} is not EDN: {why}")]
    NoEdn {
        /// Its name.
        attribute: String,
        /// What is wrong.
        why: String,
    },
    /// faraday-atom would read another value than this one.
    #[error(
        "a map with the entry {0} would be read as something else: name it otherwise, or put the map in a vector"
    )]
    Reserved(&'static str),
    /// DynamoDB would not take it.
    #[error("vectors and maps lie in each other at most {MAX_DEPTH} levels deep")]
    TooDeep,
    /// faraday-atom would not be able to read it.
    #[error("clojure.edn, with which the value is read, has no {0}")]
    NoText(&'static str),
}

impl Atoms {
    /// The table whose hash key is this attribute; nothing if that is not a keyword or a string in EDN, as which
    /// faraday-atom writes the name of a key (it would write others too, but those may be of any program), or is a name
    /// of the library's own.
    pub fn of(attribute: &str) -> Option<Self> {
        let name = edn::read(attribute).ok()?;
        let is_theirs = attribute.starts_with([':', '"']) && !OWN.contains(&attribute);
        (is_theirs && edn::print_line(&name) == attribute).then(|| Self {
            attribute: attribute.to_owned(),
            name,
        })
    }

    /// What the attribute of the hash key is called.
    pub fn attribute(&self) -> &str {
        &self.attribute
    }

    /// What the attribute of the hash key holds for this key.
    pub fn key_text(&self, key: &Value) -> String {
        let is_empty = match key {
            Value::List(items) | Value::Vector(items) | Value::Set(items) => items.is_empty(),
            Value::Map(entries) => entries.is_empty(),
            _ => false,
        };
        match is_empty {
            true => edn::print_line(&Value::Vector(vec![keyword("atom", "key"), key.clone()])),
            false => edn::print_line(key),
        }
    }

    /// The key that this text is, in the attribute of the hash key.
    ///
    /// # Errors
    /// [`NoAtom::NoKey`].
    pub fn key_of(&self, text: &str) -> Result<Value, NoAtom> {
        let key = edn::read(text).map_err(|_| NoAtom::NoKey(self.attribute.clone()))?;
        Ok(unwrapped(key))
    }

    /// Reads an item, as the library's own reader does.
    ///
    /// # Errors
    /// [`NoAtom::NoKey`], [`NoAtom::NoEdn`].
    pub fn read(&self, item: &Item) -> Result<Atom, NoAtom> {
        let Some(Attribute::Text(key)) = item.get(&self.attribute) else {
            return Err(NoAtom::NoKey(self.attribute.clone()));
        };
        let version = match item.get(VERSION) {
            Some(Attribute::Text(text)) => text.parse().ok(),
            Some(Attribute::Number(digits)) => digits.parse().ok(),
            _ => None,
        };
        let value = match item.get(VALUE) {
            Some(value) => read_value(VALUE, value)?,
            None => {
                let mut entries = Vec::new();
                for (name, value) in item {
                    if [&self.attribute, VERSION, KEY].contains(&name.as_str()) {
                        continue;
                    }
                    entries.push((read_text(name, name)?, read_value(name, value)?));
                }
                if let Some(shadowed) = item.get(KEY) {
                    entries.push((self.name.clone(), read_value(KEY, shadowed)?));
                }
                Value::Map(entries)
            }
        };
        let has_bytes = item.values().any(has_bytes);
        Ok(Atom {
            key: self.key_of(key)?,
            value,
            version,
            read_only: has_bytes
                .then_some("it holds a byte array in the format of the library nippy"),
        })
    }

    /// The item that holds a value, as the library would write it; with this number of writes.
    ///
    /// # Errors
    /// [`NoAtom::Reserved`], [`NoAtom::TooDeep`], [`NoAtom::NoText`].
    pub fn write(&self, key: &Value, value: &Value, version: i64) -> Result<Item, NoAtom> {
        let mut item = Item::new();
        match value {
            Value::Map(entries) => {
                for (name, value) in entries {
                    let name = match *name == self.name {
                        true => KEY.to_owned(),
                        false => name_text(name)?,
                    };
                    item.insert(name, write_value(value)?);
                }
            }
            other => _ = item.insert(VALUE.to_owned(), write_value(other)?),
        }
        if item.values().any(|value| value.depth() > MAX_DEPTH) {
            return Err(NoAtom::TooDeep);
        }
        item.insert(VERSION.to_owned(), Attribute::Text(version.to_string()));
        let key = Attribute::Text(self.key_text(key));
        item.insert(self.attribute.clone(), key);
        Ok(item)
    }
}

fn keyword(ns: &str, name: &str) -> Value {
    Value::Keyword(Name {
        ns: Some(ns.into()),
        name: name.into(),
    })
}

/// The key itself: an empty collection is written in a vector, as `[:atom/key []]`.
fn unwrapped(key: Value) -> Value {
    match key {
        Value::Vector(mut items) if items.len() == 2 && items[0] == keyword("atom", "key") => {
            items.pop().unwrap_or(Value::Nil)
        }
        key => key,
    }
}

fn read_text(attribute: &str, text: &str) -> Result<Value, NoAtom> {
    edn::read(text).map_err(|error| NoAtom::NoEdn {
        attribute: attribute.to_owned(),
        why: error.to_string(),
    })
}

/// The value of an attribute, or of a part of it; `of` is the attribute's name.
fn read_value(of: &str, value: &Attribute) -> Result<Value, NoAtom> {
    Ok(match value {
        Attribute::Text(text) => read_text(of, text)?,
        Attribute::Number(digits) => read_number(of, digits)?,
        Attribute::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        Attribute::Bool(value) => Value::Bool(*value),
        Attribute::Null => Value::Nil,
        Attribute::List(values) => {
            let values = values.iter().map(|value| read_value(of, value));
            Value::Vector(values.collect::<Result<_, _>>()?)
        }
        Attribute::Map(map) => {
            let entries = map
                .iter()
                .map(|(name, value)| Ok((read_text(of, name)?, read_value(of, value)?)));
            Value::Map(entries.collect::<Result<_, _>>()?)
        }
        Attribute::Texts(texts) => {
            let values = texts.iter().map(|text| read_text(of, text));
            Value::Set(values.collect::<Result<_, _>>()?)
        }
        Attribute::Numbers(numbers) => {
            let values = numbers.iter().map(|digits| read_number(of, digits));
            Value::Set(values.collect::<Result<_, _>>()?)
        }
        Attribute::BytesSet(all) => {
            Value::Set(all.iter().map(|one| Value::Bytes(one.to_vec())).collect())
        }
    })
}

/// faraday-atom writes no numbers; faraday has whole ones as integers, and others as decimals.
fn read_number(of: &str, digits: &str) -> Result<Value, NoAtom> {
    let whole = read_text(of, digits)?;
    Ok(match whole {
        Value::Int(_) | Value::BigInt(_) => whole,
        _ => read_text(of, &format!("{digits}M"))?,
    })
}

fn write_value(value: &Value) -> Result<Attribute, NoAtom> {
    Ok(match value {
        Value::Nil => Attribute::Null,
        Value::Vector(items) => {
            let items = items.iter().map(write_value);
            Attribute::List(items.collect::<Result<_, _>>()?)
        }
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(name, value)| Ok((checked_text(name)?, write_value(value)?)));
            Attribute::Map(entries.collect::<Result<_, _>>()?)
        }
        other => Attribute::Text(checked_text(other)?),
    })
}

/// The name of the attribute of an entry with this key.
fn name_text(key: &Value) -> Result<String, NoAtom> {
    let text = checked_text(key)?;
    match OWN.into_iter().find(|own| *own == text) {
        Some(own) => Err(NoAtom::Reserved(own)),
        None => Ok(text),
    }
}

/// The text of a value that `clojure.edn` reads, without readers of tags.
fn checked_text(value: &Value) -> Result<String, NoAtom> {
    check(value)?;
    Ok(edn::print_line(value))
}

fn check(value: &Value) -> Result<(), NoAtom> {
    match value {
        Value::Nil
        | Value::Bool(_)
        | Value::Int(_)
        | Value::BigInt(_)
        | Value::Double(_)
        | Value::Decimal(_)
        | Value::Ratio(_)
        | Value::Char(_)
        | Value::Str(_)
        | Value::Keyword(_)
        | Value::Symbol(_)
        | Value::Inst(_)
        | Value::Uuid(_) => match edn::print_line(value).starts_with("#etagfs/") {
            true => Err(NoAtom::NoText("text for this value")),
            false => Ok(()),
        },
        Value::List(items) | Value::Vector(items) | Value::Set(items) => {
            items.iter().try_for_each(check)
        }
        Value::Map(entries) => entries
            .iter()
            .try_for_each(|(key, value)| check(key).and_then(|()| check(value))),
        Value::Float(_) => Err(NoAtom::NoText("floats but doubles")),
        Value::Utf16(_) => Err(NoAtom::NoText("strings of half characters")),
        Value::Uri(_) => Err(NoAtom::NoText("URIs")),
        Value::Regex(_) => Err(NoAtom::NoText("regular expressions")),
        Value::Bytes(_) => Err(NoAtom::NoText("byte arrays")),
        Value::JavaList(_) | Value::Array(_) => Err(NoAtom::NoText("Java arrays and lists")),
        Value::Tagged(_) | Value::Struct(_) => Err(NoAtom::NoText("tags but #inst and #uuid")),
    }
}

fn has_bytes(value: &Attribute) -> bool {
    match value {
        Attribute::Bytes(_) | Attribute::BytesSet(_) => true,
        Attribute::List(values) => values.iter().any(has_bytes),
        Attribute::Map(map) => map.values().any(has_bytes),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
