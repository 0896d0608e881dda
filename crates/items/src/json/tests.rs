//! What an item looks like, what is read of it, and what is not.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::MAX_DEPTH;

fn item(text: &str) -> Item {
    read(text.as_bytes()).unwrap()
}

fn why(text: &str) -> String {
    read(text.as_bytes()).unwrap_err().to_string()
}

fn text(text: &str) -> Attribute {
    Attribute::Text(text.to_owned())
}

fn number(digits: &str) -> Attribute {
    Attribute::Number(digits.to_owned())
}

#[test]
fn an_item_is_json_with_its_key_first_and_a_line_for_each_attribute() {
    let item = Item::from([
        ("zone".to_owned(), text("eu")),
        ("id".to_owned(), number("7")),
        ("bytes".to_owned(), Attribute::Bytes("hi".into())),
        ("gone".to_owned(), Attribute::Null),
        (
            "list".to_owned(),
            Attribute::List(vec![Attribute::Bool(true), number("1.50")]),
        ),
        ("map".to_owned(), Attribute::Map(Item::new())),
        (
            "tags".to_owned(),
            Attribute::Texts(["b".to_owned(), "a".to_owned()].into()),
        ),
    ]);
    let printed = r#"{
  "zone": "eu",
  "id": 7,
  "bytes": {"B": "aGk="},
  "gone": null,
  "list": [
    true,
    1.50
  ],
  "map": {},
  "tags": {"SS": ["a", "b"]}
}
"#;
    assert_eq!(print(&item, &["zone", "id", "none"]), printed);
    assert_eq!(read(printed.as_bytes()), Ok(item));
}

#[test]
fn every_digit_of_a_number_stays() {
    let digits = "12345678901234567890123456789012345678";
    let all = item(&format!("{{\"a\": {digits}, \"b\": 1E-130, \"c\": 1.0}}"));
    assert_eq!(all["a"], number(digits));
    assert_eq!(all["b"], number("1E-130"));
    assert_eq!(all["c"], number("1.0"));
    assert!(print(&all, &[]).contains(digits));
}

#[test]
fn a_map_that_looks_like_a_typed_value_is_not_taken_for_one() {
    for name in TYPES {
        let inner = Item::from([(name.to_owned(), text("x"))]);
        let outer = Item::from([("map".to_owned(), Attribute::Map(inner))]);
        let printed = print(&outer, &[]);
        assert!(printed.contains("{\"M\": {"), "{printed}");
        assert_eq!(item(&printed), outer);
        // The item itself is always a map.
        let top = Item::from([(name.to_owned(), text("x"))]);
        assert_eq!(item(&print(&top, &[])), top);
    }
}

#[test]
fn what_the_aws_command_line_prints_is_read() {
    let theirs = item(
        r#"{"id": {"S": "u7"}, "n": {"N": "1"}, "m": {"M": {"a": {"L": [{"NULL": true}, {"BOOL": false}]}}},
            "s": {"NS": ["1", "2"]}, "b": {"BS": ["aGk="]}}"#,
    );
    let ours = item(
        r#"{"id": "u7", "n": 1, "m": {"a": [null, false]}, "s": {"NS": [1, 2]}, "b": {"BS": ["aGk="]}}"#,
    );
    assert_eq!(theirs, ours);
}

#[test]
fn what_is_no_item_says_where_and_what_to_write() {
    for (text, words) in [
        ("", "this is not JSON: EOF"),
        ("{\"a\": 1,}", "this is not JSON: "),
        ("{\"a\": 01}", "this is not JSON: invalid number"),
        ("[]", "the item: an item is an object"),
        ("\"x\"", "the item: an item is an object"),
        ("{\"a\": 1, \"a\": 2}", ".a: this name is there twice"),
        (
            "{\"a\": {\"b\": [1, {\"x\": 1, \"x\": 2}]}}",
            ".a.b[1].x: this name is there twice",
        ),
        ("{\"a\": 1e126}", ".a: 1e126: a number lies between"),
        ("{\"a\": {\"B\": \"?\"}}", ".a: this is not base64"),
        (
            "{\"a\": {\"B\": 5}}",
            ".a: an object whose only member is B is a value of that type, {\"B\": \"aGk=\"}, base64; a map that has only this attribute is written {\"M\": {\"B\": ...}}",
        ),
        (
            "{\"a\": {\"NULL\": false}}",
            ".a: an object whose only member is NULL",
        ),
        (
            "{\"a\": {\"N\": 5}}",
            ".a: an object whose only member is N",
        ),
        ("{\"a\": {\"N\": \"five\"}}", ".a: five: this is no number"),
        (
            "{\"a\": {\"SS\": []}}",
            ".a: a set has at least one element",
        ),
        (
            "{\"a\": {\"SS\": [\"x\", \"x\"]}}",
            ".a[1]: this element is in the set twice",
        ),
        (
            "{\"a\": {\"SS\": [null]}}",
            ".a[0]: an element of a set stands in quotes",
        ),
        (
            "{\"a\": {\"SS\": [1]}}",
            ".a[0]: an element of a set stands in quotes",
        ),
        ("{\"a\": {\"NS\": [\"x\"]}}", ".a[0]: x: this is no number"),
        ("{\"a\": \"\\ud800\"}", ".a: "),
        ("{\"a\": 1} x", "this is not JSON: trailing characters"),
    ] {
        let why = why(text);
        assert!(why.starts_with(words), "{text}: {why}");
    }
    assert!(read(b"{\"a\": \"\xff\"}").is_err());
}

#[test]
fn values_lie_no_deeper_than_dynamodb_takes_them() {
    let nested = |levels: usize| {
        let mut value = "1".to_owned();
        for _ in 1..levels {
            value = format!("[{value}]");
        }
        read(format!("{{\"a\": {value}}}").as_bytes())
    };
    assert!(nested(MAX_DEPTH).is_ok());
    let why = nested(MAX_DEPTH + 1).unwrap_err().to_string();
    assert!(why.ends_with("at most 32 levels deep"), "{why}");
    // What is deeper by far is an error too, and no end of the stack.
    assert!(nested(200_000).is_err());
}

fn digits() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,10})?(E-?[0-9]{1,2})?"
}

fn bytes() -> impl Strategy<Value = bytes::Bytes> {
    proptest::collection::vec(any::<u8>(), 0..8).prop_map(Into::into)
}

fn set<T: Ord + std::fmt::Debug>(
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = BTreeSet<T>> {
    proptest::collection::btree_set(of, 1..4)
}

/// Names of attributes, those of types among them.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,6}",
        proptest::sample::select(&TYPES[..]).prop_map(str::to_owned)
    ]
}

fn value() -> impl Strategy<Value = Attribute> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Attribute::Text),
        digits().prop_map(Attribute::Number),
        bytes().prop_map(Attribute::Bytes),
        any::<bool>().prop_map(Attribute::Bool),
        Just(Attribute::Null),
        set(any::<String>()).prop_map(Attribute::Texts),
        set(digits()).prop_map(Attribute::Numbers),
        set(bytes()).prop_map(Attribute::BytesSet),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Attribute::List),
            proptest::collection::btree_map(name(), inner, 0..4).prop_map(Attribute::Map),
        ]
    })
}

proptest! {
    #[test]
    fn every_item_is_read_back_as_it_was(
        item in proptest::collection::btree_map(name(), value(), 0..5),
        first in name(),
    ) {
        let printed = print(&item, &[&first]);
        prop_assert_eq!(read(printed.as_bytes()), Ok(item), "{}", printed);
    }

    #[test]
    fn no_text_makes_it_panic(text in "[{}\\[\\]\":,SNBLM0-9 a.eE\\\\u+-]{0,60}") {
        let _ = read(text.as_bytes());
    }
}
