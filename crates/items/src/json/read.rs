//! Reading an item that somebody edited: every type as it was written, and errors that say where and what to write.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{BASE64, TYPES};
use crate::{Attribute, Item, MAX_DEPTH, number};

/// Why a text is no item.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// It is not JSON; the parser's words, which say where.
    #[error("this is not JSON: {0}")]
    NotJson(String),
    /// It is JSON, and no item.
    #[error("{at}: {why}")]
    NoItem {
        /// The value in question: `the item`, or the names and places that lead to it, as in `.tags[0]`.
        at: String,
        /// What is wrong, and what to write.
        why: String,
    },
}

/// Reads an item.
///
/// # Errors
/// [`Unreadable`]: also for what DynamoDB would not take, as far as one item tells.
pub fn read(text: &[u8]) -> Result<Item, Unreadable> {
    let whole: &RawValue = serde_json::from_slice(text).map_err(not_json)?;
    let at = Place {
        path: String::new(),
        depth: 0,
    };
    match members_of(whole)? {
        Some(members) => at.map(members),
        None => Err(at.is_wrong("an item is an object, { \"NAME\": VALUE, ... }")),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is passed to map_err")]
fn not_json(error: serde_json::Error) -> Unreadable {
    Unreadable::NotJson(error.to_string())
}

/// The members of an object, each once.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(member) = map.next_entry()? {
                    all.push(member);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(All).map(Self)
    }
}

/// The members of a value, if it is an object.
fn members_of(raw: &RawValue) -> Result<Option<Vec<(String, &RawValue)>>, Unreadable> {
    if !raw.get().starts_with('{') {
        return Ok(None);
    }
    let members: Members<'_> = serde_json::from_str(raw.get()).map_err(not_json)?;
    Ok(Some(members.0))
}

/// Where a value lies in the item.
struct Place {
    path: String,
    depth: usize,
}

impl Place {
    fn is_wrong(&self, why: impl Into<String>) -> Unreadable {
        let at = match self.path.as_str() {
            "" => "the item".to_owned(),
            path => path.to_owned(),
        };
        Unreadable::NoItem {
            at,
            why: why.into(),
        }
    }

    fn inside(&self, step: &str) -> Result<Self, Unreadable> {
        let inside = Self {
            path: format!("{}{step}", self.path),
            depth: self.depth + 1,
        };
        match inside.depth > MAX_DEPTH {
            true => Err(inside.is_wrong("values lie in values at most 32 levels deep")),
            false => Ok(inside),
        }
    }

    fn map(&self, members: Vec<(String, &RawValue)>) -> Result<Item, Unreadable> {
        let mut map = Item::new();
        for (name, raw) in members {
            let inside = self.inside(&format!(".{name}"))?;
            let value = inside.value(raw)?;
            if map.insert(name, value).is_some() {
                return Err(inside.is_wrong("this name is there twice"));
            }
        }
        Ok(map)
    }

    fn value(&self, raw: &RawValue) -> Result<Attribute, Unreadable> {
        let text = raw.get();
        Ok(match text.as_bytes().first() {
            Some(b'"') => Attribute::Text(self.string(raw)?),
            Some(b't' | b'f') => Attribute::Bool(text == "true"),
            Some(b'n') => Attribute::Null,
            Some(b'[') => Attribute::List(self.list(raw)?),
            Some(b'{') => {
                let members = members_of(raw)?.unwrap_or_default();
                match &members[..] {
                    [(name, value)] if TYPES.contains(&name.as_str()) => self.typed(name, value)?,
                    _ => Attribute::Map(self.map(members)?),
                }
            }
            _ => Attribute::Number(self.number(text)?),
        })
    }

    /// The value of an object that has only this member.
    fn typed(&self, name: &str, raw: &RawValue) -> Result<Attribute, Unreadable> {
        let kind = raw.get().as_bytes().first();
        Ok(match (name, kind) {
            ("S", Some(b'"')) => Attribute::Text(self.string(raw)?),
            ("N", Some(b'"')) => Attribute::Number(self.number(&self.string(raw)?)?),
            ("B", Some(b'"')) => Attribute::Bytes(self.bytes(&self.string(raw)?)?),
            ("BOOL", Some(b't' | b'f')) => Attribute::Bool(raw.get() == "true"),
            ("NULL", Some(b't')) => Attribute::Null,
            ("L", Some(b'[')) => Attribute::List(self.list(raw)?),
            ("M", Some(b'{')) => {
                let members = members_of(raw)?.unwrap_or_default();
                Attribute::Map(self.map(members)?)
            }
            ("SS", Some(b'[')) => Attribute::Texts(self.set(raw, Self::quoted)?),
            ("NS", Some(b'[')) => Attribute::Numbers(self.set(raw, |at, raw| match raw.get() {
                text if text.starts_with('"') => at.number(&at.string(raw)?),
                text => at.number(text),
            })?),
            ("BS", Some(b'[')) => {
                Attribute::BytesSet(self.set(raw, |at, raw| at.bytes(&at.quoted(raw)?))?)
            }
            _ => {
                let as_map = format!("{{\"M\": {{\"{name}\": ...}}}}");
                return Err(self.is_wrong(format!(
                    "an object whose only member is {name} is a value of that type, {}; a map that has only this \
                     attribute is written {as_map}",
                    example(name)
                )));
            }
        })
    }

    fn list(&self, raw: &RawValue) -> Result<Vec<Attribute>, Unreadable> {
        let elements: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(not_json)?;
        let values = elements.into_iter().enumerate();
        values
            .map(|(nth, raw)| self.inside(&format!("[{nth}]"))?.value(raw))
            .collect()
    }

    fn set<T: Ord>(
        &self,
        raw: &RawValue,
        read: impl Fn(&Self, &RawValue) -> Result<T, Unreadable>,
    ) -> Result<BTreeSet<T>, Unreadable> {
        let elements: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(not_json)?;
        if elements.is_empty() {
            return Err(self.is_wrong("a set has at least one element; remove the attribute"));
        }
        let mut set = BTreeSet::new();
        for (nth, raw) in elements.into_iter().enumerate() {
            let at = self.inside(&format!("[{nth}]"))?;
            if !set.insert(read(&at, raw)?) {
                return Err(at.is_wrong("this element is in the set twice"));
            }
        }
        Ok(set)
    }

    fn quoted(&self, raw: &RawValue) -> Result<String, Unreadable> {
        match raw.get().starts_with('"') {
            true => self.string(raw),
            false => Err(self.is_wrong("an element of a set stands in quotes")),
        }
    }

    /// Of characters: half of a pair of surrogates (`"\ud800"`) is none.
    fn string(&self, raw: &RawValue) -> Result<String, Unreadable> {
        serde_json::from_str(raw.get()).map_err(|error| self.is_wrong(error.to_string()))
    }

    fn number(&self, text: &str) -> Result<String, Unreadable> {
        number::check(text).map_err(|why| self.is_wrong(format!("{text}: {why}")))?;
        Ok(text.to_owned())
    }

    fn bytes(&self, text: &str) -> Result<Bytes, Unreadable> {
        let bytes = BASE64.decode(text);
        let bytes = bytes.map_err(|error| self.is_wrong(format!("this is not base64: {error}")))?;
        Ok(bytes.into())
    }
}

/// How a value of a type is written.
fn example(name: &str) -> &'static str {
    match name {
        "S" => "{\"S\": \"text\"}",
        "N" => "{\"N\": \"1\"}",
        "B" => "{\"B\": \"aGk=\"}, base64",
        "BOOL" => "{\"BOOL\": true}",
        "NULL" => "{\"NULL\": true}",
        "L" => "{\"L\": [1, 2]}",
        "SS" => "{\"SS\": [\"a\", \"b\"]}",
        "NS" => "{\"NS\": [\"1\", \"2\"]}",
        "BS" => "{\"BS\": [\"aGk=\"]}, base64",
        _ => "{\"M\": {\"name\": 1}}",
    }
}
