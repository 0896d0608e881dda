//! What the reader and the printer promise; see `edn.rs`.

use proptest::prelude::*;

use super::*;
use crate::value::{Array, Name, Tagged, Value};
use crate::{MAX_DEPTH, samples};

fn reads(text: &str) -> Value {
    read(text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn refused(text: &str) -> String {
    match read(text) {
        Ok(value) => panic!("{text} was read as {value:?}"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn every_kind_of_form_is_read() {
    let word = |w| Value::keyword(w);
    assert_eq!(reads(" ; c\n, nil #_ [ #_ 1 2 ] ; end"), Value::Nil);
    assert_eq!(reads("-"), Value::Symbol(Name::plain("-")));
    assert_eq!(reads("/"), Value::Symbol(Name::plain("/")));
    assert_eq!(reads("a//"), Value::Symbol(Name::qualified("a", "/")));
    assert_eq!(
        reads(":a.b/c'"),
        Value::Keyword(Name::qualified("a.b", "c'"))
    );
    assert_eq!(reads(":1"), word("1"));
    assert_eq!(reads("\"a\\u00e9\\n\\101\""), Value::string("a\u{e9}\nA"));
    assert_eq!(reads("\"\\ud83d\\ude00\""), Value::string("\u{1f600}"));
    assert_eq!(reads("\"\\ud83d!\""), Value::utf16(&[0xd83d, 0x21]));
    for (text, unit) in [
        ("\\newline", 10),
        ("\\n", 110),
        ("\\u00e9", 0xe9),
        ("\\u", 117),
        ("\\o101", 65),
        ("\\(", 40),
        ("\\\\", 92),
        ("\\,", 44),
        ("\\;", 59),
    ] {
        assert_eq!(reads(text), Value::Char(unit), "{text}");
    }
    assert_eq!(
        reads("(\\a\\b)"),
        Value::List(vec![Value::Char(97), Value::Char(98)])
    );
    assert_eq!(reads("#{}"), Value::Set(vec![]));
    assert_eq!(
        reads("#:n{:a 1 :_/b 2, :m/c 3 d 4 \"e\" 5}"),
        reads("{:n/a 1 :b 2 :m/c 3 n/d 4 \"e\" 5}")
    );
    assert_eq!(reads("##-Inf"), Value::Double(f64::NEG_INFINITY));
    assert_eq!(
        reads("#my.ns.Point{:x 1}"),
        Value::Tagged(Box::new(Tagged {
            tag: Name::plain("my.ns.Point"),
            value: Value::Map(vec![(word("x"), Value::Int(1))]),
        }))
    );
    assert_eq!(
        reads("#etagfs/floats [1.5 ##Inf]"),
        Value::Array(Array::Floats(vec![1.5, f32::INFINITY]))
    );
}

#[test]
fn time_stamps_are_read_in_every_precision_and_offset() {
    for (text, ms) in [
        ("1970", 0),
        ("1970-01-01T00:00:00.0019Z", 1),
        ("1970-01-02T01:00+01:00", 86_400_000),
        ("1969-12-31T23:30-00:30", 0),
        ("1970-01-01", 0),
        ("2024-02-29T12:34:56.789-00:00", 1_709_210_096_789),
        ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ] {
        assert_eq!(
            reads(&format!("#inst \"{text}\"")),
            Value::Inst(ms),
            "{text}"
        );
    }
    for bad in [
        "",
        "70",
        "1970-13",
        "1970-02-30",
        "1970-01-01T24",
        "1970-01-01T00:00:60",
        "1970-01-01 ",
        "1970-01-01T00:00:00.",
        "1970+24:00",
        "1500",
        "1970-01-01T00:00+1",
        "19700101",
    ] {
        refused(&format!("#inst \"{bad}\""));
    }
}

/// Clojure reads half of a surrogate pair in a string, and not as a character.
#[test]
fn half_of_a_pair_is_a_character_with_a_tag_and_a_unit_of_a_string() {
    for (value, text) in [
        (Value::Char(0xd800), "#etagfs/char 55296"),
        (Value::Char(0xdfff), "#etagfs/char 57343"),
        (Value::utf16(&[0x61, 0xdc00]), "\"a\\udc00\""),
    ] {
        assert_eq!(print(&value).trim_end(), text);
        assert_eq!(reads(text), value);
    }
    assert_eq!(reads("#etagfs/char 97"), Value::Char(97));
    assert!(read("#etagfs/char 65536").is_err());
}

#[test]
fn errors_say_where_and_why() {
    for (text, error) in [
        (
            "",
            "line 1, column 1: the text ends where a form is expected",
        ),
        (
            "{:a\n 1\n :\u{e9} }",
            "line 3, column 2: a key without a value",
        ),
        (
            "{:a 1\n :a 2}",
            "line 2, column 2: a key that the map already has",
        ),
        (
            "[1 #{1 2\n\t 1N}]",
            "line 2, column 3: an element that the set already has",
        ),
        (
            "1 2",
            "line 1, column 3: a second form; a file holds one value",
        ),
        ("[1\n (2]", "line 2, column 4: ] where ) is expected"),
        (
            "[1\n {",
            "line 2, column 2: } is missing to what begins here",
        ),
        (
            "[\"\u{1f600}\" \"abc",
            "line 1, column 6: the string that begins here has no end",
        ),
        (
            "#:n{:a 1 :n/a 2}",
            "line 1, column 1: a key that the map already has",
        ),
        ("[#uuid \"x\"]", "line 1, column 2: not a UUID"),
    ] {
        assert_eq!(refused(text), error);
    }
}

#[test]
fn what_clojure_would_not_read_is_refused() {
    for text in [
        "\\ud800",
        "\\udfff",
        "[\\a \\udc00]",
        ")",
        "::a",
        ":",
        ":a:",
        "a:",
        "a/",
        "/a",
        "a/b/c",
        ":a/1",
        "1a",
        "+1a",
        "\\",
        "\\ab",
        "\\ ",
        "\\o400",
        "\\u12",
        "\"\\q\"",
        "\"\\u12\"",
        "\"\\400\"",
        "#",
        "##Foo",
        "#1 2",
        "#inst 1",
        "#inst",
        "#etagfs/nope 1",
        "#etagfs/bytes \"0\"",
        "#etagfs/ints [2147483648]",
        "@a",
        "`a",
        "~a",
        "^{} a",
        "'a",
        "#'a",
        "#(a)",
        "#\"a\"",
        "#_",
        "#_ 1",
        "{:a}",
        "\\\u{1f600}",
        "a\u{7}",
        "#a",
        "#a/b/c 1",
        "#:a [1]",
        "#::{:a 1}",
        "#etagfs/float 1e300",
        "[1 2",
        "\u{1f600}\"",
    ] {
        refused(text);
    }
}

#[test]
fn a_value_that_fits_is_one_line_and_a_large_one_is_aligned() {
    assert_eq!(
        print(&reads("{:a 1 :b [1 2 (3)]}")),
        "{:a 1, :b [1 2 (3)]}\n"
    );
    let long = "\"a string that is long enough to need a line of its own\"";
    assert_eq!(
        print(&reads(&format!(
            "{{:a [{long} {long}] :b #x.R{{:c {long} :d 2}} :e #{{}}}}"
        ))),
        format!("{{:a [{long}\n     {long}]\n :b #x.R {{:c {long}, :d 2}}\n :e #{{}}}}\n")
    );
    assert_eq!(
        print_line(&reads(
            "[#inst \"2020\" \\space 1.0E10 1M #etagfs/struct [\"t\" [1]]]"
        )),
        "[#inst \"2020-01-01T00:00:00.000-00:00\" \\space 1.0E10 1M #etagfs/struct [\"t\" [1]]]"
    );
}

#[test]
fn nesting_ends_at_the_limit_and_not_at_the_end_of_the_stack() {
    for (open, inner, close) in [
        ("[", "1", "]"),
        ("#a ", "1", ""),
        ("#_", "1", " 1"),
        ("{1 ", "1", "}"),
        ("#{", "", "}"),
        ("#:a{:b ", "1", "}"),
        ("{:a [", "", "]}"),
    ] {
        let deep = |n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
        refused(&deep(10_000));
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let allowed = deep(MAX_DEPTH / 2);
        let printed =
            small.spawn(move || read(&allowed).map(|v| (print(&v).len(), print_line(&v))));
        let printed = printed.unwrap().join().unwrap();
        assert!(printed.is_ok() || open == "#_", "{open} {printed:?}");
    }
}

#[test]
fn indentation_does_not_outgrow_the_text() {
    let n = 100;
    let text = format!("{}{}{}", "[".repeat(n), "1 ".repeat(10_000), "]".repeat(n));
    assert!(print(&reads(&text)).len() < text.len() * 70);
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(value in samples::value()) {
        let text = print(&value);
        prop_assert_eq!(read(&text), Ok(value.clone()), "{}", text);
        prop_assert_eq!(read(&print_line(&value)), Ok(value.clone()));
        prop_assert_eq!(print(&read(&text).unwrap()), text);
        prop_assert!(!print_line(&value).contains('\n'));
    }

    #[test]
    fn text_of_any_kind_is_read_or_refused(text in any::<String>()) {
        let _ = read(&text);
    }

    #[test]
    fn text_of_edn_characters_is_read_or_refused(text in "[\\[\\](){}#_:;\\\\\"'/a-fNMnu0-9eE.+ \n~@^-]{0,60}") {
        if let Ok(value) = read(&text) {
            prop_assert_eq!(format!("{:?}", read(&print(&value))), format!("{:?}", Ok::<_, ReadError>(value)));
        }
    }

    #[test]
    fn a_spoilt_text_is_read_or_refused(value in samples::value(), at in any::<prop::sample::Index>(), by in any::<char>()) {
        let mut chars: Vec<char> = print(&value).chars().collect();
        let at = at.index(chars.len());
        chars[at] = by;
        let _ = read(&chars.iter().collect::<String>());
        chars.truncate(at);
        let _ = read(&chars.iter().collect::<String>());
    }
}
