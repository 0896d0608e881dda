//! Append logs: a head, and a chain of elements.
//!
//! The head, under the log's key, is `[:append-log LAST FIRST]`; an element, under a random UUID as
//! its key, is `{:next UUID-or-nil :elem VALUE}`. Its file has one form a line. Values in, values
//! out; it makes no request: whoever reads a store walks the chain.

use uuid::Uuid;

use super::value::Value;
use super::{edn, hasch};

/// The head of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The key of its last element.
    pub last: Uuid,
    /// The key of its first element.
    pub first: Uuid,
}

/// An element of a log.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// The key of the next one; none after the last.
    pub next: Option<Uuid>,
    /// What was appended.
    pub value: Value,
}

impl Head {
    /// The head that a value is.
    pub fn of(value: &Value) -> Option<Self> {
        let Value::Vector(parts) = value else {
            return None;
        };
        match &parts[..] {
            [kind, Value::Uuid(last), Value::Uuid(first)]
                if *kind == Value::keyword("append-log") =>
            {
                Some(Self {
                    last: *last,
                    first: *first,
                })
            }
            _ => None,
        }
    }

    /// The value that it is.
    pub fn into_value(self) -> Value {
        Value::Vector(vec![
            Value::keyword("append-log"),
            Value::Uuid(self.last),
            Value::Uuid(self.first),
        ])
    }
}

impl Element {
    /// The element that a value is.
    pub fn of(value: &Value) -> Option<Self> {
        let next = match value.get(&Value::keyword("next"))? {
            Value::Nil => None,
            Value::Uuid(next) => Some(*next),
            _ => return None,
        };
        let value = value.get(&Value::keyword("elem"))?.clone();
        Some(Self { next, value })
    }

    /// The value that it is.
    pub fn into_value(self) -> Value {
        Value::Map(vec![
            (
                Value::keyword("next"),
                self.next.map_or(Value::Nil, Value::Uuid),
            ),
            (Value::keyword("elem"), self.value),
        ])
    }

    /// Its line in the file.
    pub fn line(&self) -> String {
        let mut line = edn::print_line(&self.value);
        line.push('\n');
        line
    }
}

/// The name of an element's object.
pub fn object_of(element: Uuid) -> Uuid {
    hasch::uuid(&Value::Uuid(element)).expect("a UUID has a hash")
}

/// Why lines cannot be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unappendable {
    /// What is there would be changed.
    NotAppended,
    /// A line is not one form; lines are counted in the whole file.
    Line(String),
}

/// The values that a file's text appends to the text it had: a line each, empty lines left out.
///
/// # Errors
/// [`Unappendable`].
pub fn appended(before: &[u8], after: &[u8]) -> Result<Vec<Value>, Unappendable> {
    let added = after
        .strip_prefix(before)
        .ok_or(Unappendable::NotAppended)?;
    let first = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let line_error =
        |at: usize, why: String| Unappendable::Line(format!("line {}{why}", first + at));
    if !added.is_empty() && !added.ends_with(b"\n") {
        let at = added.iter().filter(|byte| **byte == b'\n').count();
        return Err(line_error(at, ": the last line is not whole".to_owned()));
    }
    let mut values = Vec::new();
    for (at, line) in added.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line =
            std::str::from_utf8(line).map_err(|_| line_error(at, ": not UTF-8".to_owned()))?;
        match edn::read(line) {
            Ok(value) => values.push(value),
            Err(error) => {
                return Err(line_error(
                    at,
                    format!(", column {}: {}", error.column, error.reason),
                ));
            }
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_and_elements_are_those_of_the_library() {
        let head = "[:append-log #uuid \"14d40127-1735-48df-8e75-ea0552c126db\" #uuid \"53641c1d-0121-4be2-84b4-cb856d26fd65\"]";
        let value = edn::read(head).unwrap();
        let read = Head::of(&value).unwrap();
        assert_eq!(
            read.last.to_string(),
            "14d40127-1735-48df-8e75-ea0552c126db"
        );
        assert_eq!(read.into_value(), value);
        assert_eq!(
            object_of(read.first).to_string(),
            "0950925e-2094-553a-b28a-a45eb9d817d4"
        );
        for text in [
            "{:next nil, :elem [4 5]}",
            "{:next #uuid \"14d40127-1735-48df-8e75-ea0552c126db\", :elem nil}",
        ] {
            let value = edn::read(text).unwrap();
            assert_eq!(Element::of(&value).unwrap().into_value(), value);
        }
        for text in [
            "[1]",
            "nil",
            "{:next 1, :elem 2}",
            "{:elem 2}",
            "[:append-log 1 2]",
        ] {
            let value = edn::read(text).unwrap();
            assert_eq!(
                (Head::of(&value), Element::of(&value)),
                (None, None),
                "{text}"
            );
        }
    }

    #[test]
    fn whole_lines_behind_what_was_there_are_elements() {
        let values = appended(b":a\n", b":a\n{:b 1}\n\n  2 \n").unwrap();
        assert_eq!(values, [edn::read("{:b 1}").unwrap(), Value::Int(2)]);
        assert_eq!(appended(b":a\n", b":a\n"), Ok(vec![]));
    }

    #[test]
    fn anything_else_is_refused_with_its_line() {
        assert_eq!(appended(b":a\n", b":b\n"), Err(Unappendable::NotAppended));
        assert_eq!(appended(b":a\n", b""), Err(Unappendable::NotAppended));
        for (after, why) in [
            (&b":a\n1"[..], "line 2: the last line is not whole"),
            (b":a\n1\n2 3\n", "line 3, column 3: "),
            (b":a\n\xff\n", "line 2: not UTF-8"),
            (b":a\n{:a\n1}\n", "line 2, column "),
        ] {
            let Err(Unappendable::Line(told)) = appended(b":a\n", after) else {
                panic!("{after:?}")
            };
            assert!(told.starts_with(why), "{told}");
        }
    }
}
