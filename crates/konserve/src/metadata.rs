//! Metadata: what is known of a key without its value.
//!
//! A map with the key, the kind of value and the time of the last write, and whatever the
//! application put there. Plain data; it knows nothing of the bytes, see `blob.rs`. There is no
//! revision in it: the version of an object is its ETag.

use thiserror::Error;

use super::value::Value;

/// The value is not metadata: no map, or one without `:key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not metadata: no map with a :key")]
pub struct NoMetadata;

/// The metadata of a key: a map, of which the application may own parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    entries: Vec<(Value, Value)>,
}

/// What kind of value a key has, as its metadata says. After a binary write to a key of another
/// kind the old word stays, so it may be wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A serialized value.
    Edn,
    /// Raw bytes.
    Binary,
    /// The head of a log, or an element of one.
    AppendLog,
}

impl Metadata {
    /// That of a new key, written at `now` (milliseconds since 1970).
    pub fn new(key: Value, kind: &Kind, now: i64) -> Self {
        Self {
            entries: vec![
                (Value::keyword("key"), key),
                (Value::keyword("type"), kind.to_value()),
                (Value::keyword("last-write"), Value::Inst(now)),
            ],
        }
    }

    /// The metadata that a map is.
    pub fn from_value(value: Value) -> Result<Self, NoMetadata> {
        let Value::Map(entries) = value else {
            return Err(NoMetadata);
        };
        let metadata = Self { entries };
        match metadata.get("key") {
            Some(_) => Ok(metadata),
            None => Err(NoMetadata),
        }
    }

    /// The map.
    pub fn into_value(self) -> Value {
        Value::Map(self.entries)
    }

    /// The value of a keyword without a namespace.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let name = Value::keyword(name);
        self.entries
            .iter()
            .find(|(k, _)| *k == name)
            .map(|(_, v)| v)
    }

    /// The key. Of an element of a log the key of the log, so an object is that of its key only if
    /// its name is the key's hash.
    pub fn key(&self) -> &Value {
        self.get("key").unwrap_or(&Value::Nil)
    }

    /// What kind of value it says the key has; nothing if it says something unheard of.
    pub fn kind(&self) -> Option<Kind> {
        match self.get("type") {
            Some(Value::Keyword(kind)) if kind.ns.is_none() => match &*kind.name {
                "edn" => Some(Kind::Edn),
                "binary" => Some(Kind::Binary),
                "append-log" => Some(Kind::AppendLog),
                _ => None,
            },
            _ => None,
        }
    }

    /// When the key was written, in milliseconds since 1970.
    pub fn last_write(&self) -> Option<i64> {
        match self.get("last-write") {
            Some(Value::Inst(ms)) => Some(*ms),
            _ => None,
        }
    }

    /// Whether the application promised that the value never changes.
    pub fn is_immutable(&self) -> bool {
        self.get("immutable?") == Some(&Value::Bool(true))
    }

    /// Notes a write at `now`; time does not go back. Garbage collectors go by this.
    pub fn written(&mut self, now: i64) {
        let now = self.last_write().map_or(now, |last| last.max(now));
        self.set("last-write", Value::Inst(now));
    }

    /// Says what kind of value the key has now.
    pub fn set_kind(&mut self, kind: &Kind) {
        self.set("type", kind.to_value());
    }

    /// Gives the value another key, as a rename does.
    pub fn set_key(&mut self, key: Value) {
        self.set("key", key);
    }

    fn set(&mut self, name: &str, value: Value) {
        let name = Value::keyword(name);
        match self.entries.iter_mut().find(|(k, _)| *k == name) {
            Some((_, old)) => *old = value,
            None => self.entries.push((name, value)),
        }
    }
}

impl Kind {
    fn to_value(&self) -> Value {
        Value::keyword(match self {
            Self::Edn => "edn",
            Self::Binary => "binary",
            Self::AppendLog => "append-log",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edn;

    #[test]
    fn a_write_keeps_the_metadata_of_the_application_and_never_goes_back_in_time() {
        let text = "{:key :a, :type :edn, :last-write #inst \"2020\", :immutable? true}";
        let mut metadata = Metadata::from_value(edn::read(text).unwrap()).unwrap();
        assert_eq!(metadata.key(), &Value::keyword("a"));
        assert_eq!(metadata.kind(), Some(Kind::Edn));
        assert!(metadata.is_immutable());
        metadata.written(5);
        assert_eq!(metadata.last_write(), Some(1_577_836_800_000));
        metadata.written(1_577_836_800_001);
        assert_eq!(metadata.last_write(), Some(1_577_836_800_001));
        metadata.set_key(Value::Int(1));
        assert_eq!(
            edn::print_line(&metadata.into_value()),
            "{:key 1, :type :edn, :last-write #inst \"2020-01-01T00:00:00.001-00:00\", :immutable? true}"
        );
        for bad in ["{}", "nil", "{:type :edn}"] {
            assert!(Metadata::from_value(edn::read(bad).unwrap()).is_err());
        }
    }
}
