//! How large an item is, as DynamoDB counts.

use crate::{Attribute, Item};

/// The most bytes that an item has, its attributes' names counted: 400 KB. DynamoDB takes an item of exactly this
/// size.
pub const MAX_ITEM_BYTES: usize = 400 << 10;

/// How many bytes an item takes: exact but for numbers, of which the documentation says only about how many.
///
/// Source: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats".
pub fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + size_of_value(value))
        .sum()
}

fn size_of_value(value: &Attribute) -> usize {
    /// Of a list or a map, and of each of its elements.
    const NEST: usize = 3;
    const ELEMENT: usize = 1;
    match value {
        Attribute::Text(text) => text.len(),
        Attribute::Number(number) => size_of_number(number),
        Attribute::Bytes(bytes) => bytes.len(),
        Attribute::Bool(_) | Attribute::Null => 1,
        Attribute::List(values) => {
            let elements = values.iter().map(|value| ELEMENT + size_of_value(value));
            NEST + elements.sum::<usize>()
        }
        Attribute::Map(map) => NEST + map.len() * ELEMENT + size(map),
        Attribute::Texts(texts) => texts.iter().map(String::len).sum(),
        Attribute::Numbers(numbers) => numbers.iter().map(|number| size_of_number(number)).sum(),
        Attribute::BytesSet(set) => set.iter().map(bytes::Bytes::len).sum(),
    }
}

/// A byte for two digits that count, one more, and one for the sign.
fn size_of_number(number: &str) -> usize {
    let digits = number.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    let counting = digits.trim_matches('0').len();
    counting.div_ceil(2) + 1 + usize::from(number.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_count() {
        let item = |value| Item::from([("key".to_owned(), value)]);
        for (value, bytes) in [
            (Attribute::Text("äx".into()), 3),
            (Attribute::Bytes(vec![0; 10].into()), 10),
            (Attribute::Null, 1),
            (Attribute::Bool(true), 1),
            (Attribute::Number("0".into()), 1),
            (Attribute::Number("1234500".into()), 4),
            (Attribute::Number("-1.5".into()), 3),
            (Attribute::List(vec![]), 3),
            (Attribute::List(vec![Attribute::Text("ab".into())]), 6),
            (Attribute::Map(item(Attribute::Text("ab".into()))), 9),
            (
                Attribute::Texts(["a".to_owned(), "bc".to_owned()].into()),
                3,
            ),
        ] {
            assert_eq!(size(&item(value.clone())), 3 + bytes, "{value:?}");
        }
    }
}
