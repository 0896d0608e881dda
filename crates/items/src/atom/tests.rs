//! Items that faraday-atom wrote, and values on their way to it and back.

use proptest::prelude::*;

use super::*;

fn atoms() -> Atoms {
    Atoms::of(":atom/id").unwrap()
}

fn value(text: &str) -> Value {
    edn::read(text).unwrap()
}

/// An item in DynamoDB's own JSON.
fn item(text: &str) -> Item {
    crate::json::read(text.as_bytes()).unwrap()
}

/// What faraday-atom 3defc93 wrote, with the key and the value in Clojure's words, and the version.
const THEIRS: [(&str, &str, &str, Option<i64>); 12] = [
    (
        r##"{":atom/id": {"S": "\"string key\""}, ":atom/value": {"S": "\"a string\""}}"##,
        "\"string key\"",
        "\"a string\"",
        None,
    ),
    (
        r##"{":atom/id": {"S": ":batch1"}, ":atom/value": {"L": [{"S": "1"}, {"S": "2"}]}}"##,
        ":batch1",
        "[1 2]",
        None,
    ),
    (
        r##"{":atom/id": {"S": ":big"}, ":atom/value": {"S": "123456789012345678901234567890N"}}"##,
        ":big",
        "123456789012345678901234567890N",
        None,
    ),
    (
        r##"{":atom/id": {"S": ":char"}, ":atom/value": {"S": "\\a"}}"##,
        ":char",
        "\\a",
        None,
    ),
    (
        r##"{":atom/id": {"S": ":emptymap"}}"##,
        ":emptymap",
        "{}",
        None,
    ),
    (
        r##"{":atom/id": {"S": ":foo1"}, ":atom/value": {"S": "#{1 3 2}"}}"##,
        ":foo1",
        "#{1 3 2}",
        None,
    ),
    (
        r##"{":atom/id": {"S": ":foo3"}, ":atom/value": {"S": "#{1 4 3 2 5}"}, ":atom/version": {"S": "1"}}"##,
        ":foo3",
        "#{1 4 3 2 5}",
        Some(1),
    ),
    (
        r##"{":atom/id": {"S": ":keyclash"}, ":atom/key": {"S": "\"shadow\""}, ":x": {"S": "1"}}"##,
        ":keyclash",
        "{:x 1, :atom/id \"shadow\"}",
        None,
    ),
    (
        r##"{":atom/id": {"S": ":nil"}, ":atom/value": {"NULL": true}}"##,
        ":nil",
        "nil",
        None,
    ),
    (
        r##"{":atom/id": {"S": ":sym"}, ":atom/value": {"S": "foo/bar"}}"##,
        ":sym",
        "foo/bar",
        None,
    ),
    (
        r##"{":atom/id": {"S": ":uuid"}, ":atom/value": {"S": "#uuid \"550e8400-e29b-41d4-a716-446655440000\""}}"##,
        ":uuid",
        "#uuid \"550e8400-e29b-41d4-a716-446655440000\"",
        None,
    ),
    (
        r##"{":atom/id": {"S": "[:atom/key []]"}, ":atom/value": {"S": ":empty-coll-key"}}"##,
        "[]",
        ":empty-coll-key",
        None,
    ),
];

#[test]
fn what_the_library_wrote_is_read_as_it_reads_it_and_written_as_it_writes_it() {
    for (theirs, key, read, version) in THEIRS {
        let theirs = item(theirs);
        let atom = atoms().read(&theirs).unwrap();
        assert_eq!(atom.key, value(key), "{key}");
        assert_eq!(atom.value, value(read), "{key}");
        assert_eq!((atom.version, atom.read_only), (version, None), "{key}");
        let mut ours = atoms().write(&atom.key, &atom.value, 7).unwrap();
        assert_eq!(ours.remove(VERSION), Some(Attribute::Text("7".to_owned())));
        let mut theirs = theirs;
        theirs.remove(VERSION);
        assert_eq!(ours, theirs, "{key}");
    }
}

#[test]
fn a_byte_array_is_shown_and_cannot_be_written_back() {
    let frozen = item(r#"{":atom/id": ":b", ":data": {"B": "TlBZAA=="}}"#);
    let atom = atoms().read(&frozen).unwrap();
    assert_eq!(atom.value, value("{:data #etagfs/bytes \"4e505900\"}"));
    assert!(atom.read_only.is_some());
    let why = atoms().write(&atom.key, &atom.value, 0).unwrap_err();
    assert_eq!(why, NoAtom::NoText("byte arrays"));
}

#[test]
fn numbers_of_other_programs_are_numbers() {
    let other =
        item(r#"{":atom/id": ":n", ":i": 5, ":d": 1.50, ":s": {"NS": [1, 2]}, ":t": true}"#);
    let read = atoms().read(&other).unwrap().value;
    assert_eq!(read, value("{:d 1.50M, :i 5, :s #{1 2}, :t true}"));
}

#[test]
fn what_the_library_would_read_as_something_else_is_refused() {
    let write = |text: &str| atoms().write(&value(":k"), &value(text), 0);
    for (text, why) in [
        ("{:atom/value 1}", NoAtom::Reserved(VALUE)),
        ("{:atom/version 1}", NoAtom::Reserved(VERSION)),
        ("{:atom/key 1}", NoAtom::Reserved(KEY)),
        ("{:atom/key 1, :atom/id 2}", NoAtom::Reserved(KEY)),
        ("#my/tag 1", NoAtom::NoText("tags but #inst and #uuid")),
        (
            "[{:a #etagfs/regex \"x\"}]",
            NoAtom::NoText("regular expressions"),
        ),
        ("{#etagfs/uri \"a:b\" 1}", NoAtom::NoText("URIs")),
        ("#{#etagfs/float 1.5}", NoAtom::NoText("floats but doubles")),
        (
            "#etagfs/inst 9007199254740993000",
            NoAtom::NoText("text for this value"),
        ),
    ] {
        assert_eq!(write(text), Err(why), "{text}");
    }
    let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    assert_eq!(write(&nested(33)), Err(NoAtom::TooDeep));
    assert!(write(&nested(32)).is_ok());
    // In a text it does not count.
    assert!(write(&format!("({})", nested(100))).is_ok());
    assert!(write("[{:atom/value 1, :atom/version 2, :atom/key 3}]").is_ok());
    assert!(write("{:atom/id 1}").is_ok());
}

#[test]
fn the_key_of_a_table_is_a_name_in_edn() {
    for (attribute, is_theirs) in [
        (":atom/id", true),
        (":id", true),
        ("\"string name\"", true),
        ("id", false),
        (":atom/value", false),
        ("Key", false),
        (":", false),
        (": id", false),
        ("42", false),
    ] {
        assert_eq!(Atoms::of(attribute).is_some(), is_theirs, "{attribute}");
    }
}

#[test]
fn an_item_that_is_none_says_why() {
    let read = |text: &str| atoms().read(&item(text)).unwrap_err().to_string();
    assert_eq!(read("{}"), "it has no attribute :atom/id that holds EDN");
    assert_eq!(
        read("{\":atom/id\": 5}"),
        "it has no attribute :atom/id that holds EDN"
    );
    assert_eq!(
        read("{\":atom/id\": \"(\"}"),
        "it has no attribute :atom/id that holds EDN"
    );
    let why = read("{\":atom/id\": \":k\", \":a\": [\"1\", \"{\"]}");
    assert!(
        why.starts_with("the attribute :a is not EDN: line 1"),
        "{why}"
    );
    let why = read("{\":atom/id\": \":k\", \"plain name (\": \"1\"}");
    assert!(
        why.starts_with("the attribute plain name ( is not EDN"),
        "{why}"
    );
}

/// Values that EDN has, and text for them.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<String>().prop_map(|text| Value::Str(text.into())),
        "[a-z]{1,6}".prop_map(|name| Value::Keyword(Name {
            ns: None,
            name: name.into()
        })),
        any::<u128>().prop_map(|number| Value::Uuid(uuid::Uuid::from_u128(number))),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Vector),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            inner.clone().prop_map(|one| Value::Set(vec![one])),
            proptest::collection::btree_map("[a-z]{1,4}", inner, 0..4).prop_map(|map| {
                let entries = map.into_iter();
                let entries = entries.map(|(name, value)| {
                    let name = Name {
                        ns: None,
                        name: name.into(),
                    };
                    (Value::Keyword(name), value)
                });
                Value::Map(entries.collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_comes_back_under_every_key(key in values(), value in values(), version in 0..i64::MAX) {
        let item = atoms().write(&key, &value, version).unwrap();
        let atom = atoms().read(&item).unwrap();
        prop_assert_eq!((atom.key, atom.value), (key, value));
        prop_assert_eq!((atom.version, atom.read_only), (Some(version), None));
    }
}
