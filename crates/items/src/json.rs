//! An item as JSON that a person edits.
//!
//! Text, numbers, `true`, `false`, `null`, arrays and objects are DynamoDB's S, N, BOOL, NULL, L and M. What JSON does
//! not have is an object of one member whose name is the type's, as in DynamoDB's own protocol: `{"B": "aGk="}`,
//! `{"SS": ["a"]}`, `{"NS": ["1"]}`, `{"BS": ["aGk="]}`. A map with only one attribute that is called as a type is
//! written `{"M": {...}}`, so that nothing means two things. The item itself is always a map.

mod read;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

pub use read::{Unreadable, read};

use crate::{Attribute, Item};

/// The names of the types. An object with one member of such a name is a value of that type.
const TYPES: [&str; 10] = ["S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"];

/// How much deeper each level is indented.
const INDENT: usize = 2;

/// Writes an item over several lines, and a newline at the end: first the attributes in `first`, those of the key, and
/// then the others by their names. The same item is always the same text.
pub fn print(item: &Item, first: &[&str]) -> String {
    let mut text = String::new();
    let keys = first.iter().filter_map(|name| item.get_key_value(*name));
    let others = item
        .iter()
        .filter(|(name, _)| !first.contains(&name.as_str()));
    members(&mut text, keys.chain(others), 0);
    text.push('\n');
    text
}

fn members<'a>(
    text: &mut String,
    members: impl Iterator<Item = (&'a String, &'a Attribute)>,
    depth: usize,
) {
    let mut is_empty = true;
    for (name, value) in members {
        text.push_str(if is_empty { "{" } else { "," });
        is_empty = false;
        line(text, depth + 1);
        string(text, name);
        text.push_str(": ");
        print_value(text, value, depth + 1);
    }
    if is_empty {
        text.push_str("{}");
    } else {
        line(text, depth);
        text.push('}');
    }
}

fn print_value(text: &mut String, value: &Attribute, depth: usize) {
    match value {
        Attribute::Text(value) => string(text, value),
        Attribute::Number(number) => text.push_str(number),
        Attribute::Bytes(bytes) => typed(text, "B", |text| string(text, &BASE64.encode(bytes))),
        Attribute::Bool(value) => _ = write!(text, "{value}"),
        Attribute::Null => text.push_str("null"),
        Attribute::List(values) => list(text, values, depth),
        Attribute::Map(map) if seems_typed(map) => {
            typed(text, "M", |text| members(text, map.iter(), depth));
        }
        Attribute::Map(map) => members(text, map.iter(), depth),
        Attribute::Texts(texts) => set(text, "SS", texts.iter().cloned()),
        Attribute::Numbers(numbers) => set(text, "NS", numbers.iter().cloned()),
        Attribute::BytesSet(all) => set(text, "BS", all.iter().map(|one| BASE64.encode(one))),
    }
}

/// Whether a map, written as it is, would be read as a value of another type.
fn seems_typed(map: &Item) -> bool {
    map.len() == 1 && map.keys().all(|name| TYPES.contains(&name.as_str()))
}

fn typed(text: &mut String, name: &str, value: impl FnOnce(&mut String)) {
    _ = write!(text, "{{\"{name}\": ");
    value(text);
    text.push('}');
}

fn list(text: &mut String, values: &[Attribute], depth: usize) {
    if values.is_empty() {
        text.push_str("[]");
        return;
    }
    for (at, value) in values.iter().enumerate() {
        text.push_str(if at == 0 { "[" } else { "," });
        line(text, depth + 1);
        print_value(text, value, depth + 1);
    }
    line(text, depth);
    text.push(']');
}

fn set(text: &mut String, name: &str, elements: impl Iterator<Item = String>) {
    typed(text, name, |text| {
        for (at, element) in elements.enumerate() {
            text.push_str(if at == 0 { "[" } else { ", " });
            string(text, &element);
        }
        text.push(']');
    });
}

fn line(text: &mut String, depth: usize) {
    _ = write!(text, "\n{:1$}", "", depth * INDENT);
}

fn string(text: &mut String, value: &str) {
    let quoted = serde_json::to_string(value).expect("text is JSON");
    text.push_str(&quoted);
}

#[cfg(test)]
mod tests;
