//! What the reader and the writer promise; see `fressian.rs`.

use proptest::prelude::*;

use super::*;
use crate::blob::Unreadable;
use crate::value::Value;
use crate::{MAX_DEPTH, edn, samples};

const LIMIT: usize = 1 << 20;

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

fn both_ways(text: &str, hex: &str) {
    let value = edn::read(text).unwrap();
    assert_eq!(
        hex::encode(encode(&value).unwrap()),
        hex.replace(' ', ""),
        "{text}"
    );
    assert_eq!(decode(&bytes(hex), LIMIT), Ok(value), "{hex}");
}

fn refused(hex: &str) -> String {
    match decode(&bytes(hex), LIMIT) {
        Ok(value) => panic!("{hex} was read as {value:?}"),
        Err(e) => e.to_string(),
    }
}

#[test]
fn values_are_stored_as_konserve_stores_them() {
    for (text, hex) in [
        ("nil", "f7"),
        ("-1", "ff"),
        ("64", "5040"),
        ("-64", "4fc0"),
        ("4096", "681000"),
        ("-4096", "4000"),
        ("-4097", "67efff"),
        ("524287", "6fffff"),
        ("524288", "72080000"),
        ("134217727", "7607ffffff"),
        ("34359738368", "7a0800000000"),
        ("8796093022208", "7e080000000000"),
        ("2251799813685248", "f80008000000000000"),
        ("-9223372036854775808", "f88000000000000000"),
        ("5N", "c6d105"),
        ("22/7", "efdf726174696f02c6d116c6d107"),
        ("3.14", "fa40091eb851eb851f"),
        ("\\x", "efde63686172015078"),
        ("\"12345678\"", "e3083132333435363738"),
        ("\"\u{1f600}\"", "e0eda0bdedb880"),
        (":my.ns/hello", "cacddf6d792e6e73cddf68656c6c6f"),
        ("{:a 1}", "c0e6caf7cddb6101"),
        ("#{}", "c1e4"),
        ("[1]", "efde70766563020101"),
        ("(1 2 3)", "efdf706c6973740203010203"),
        ("#etagfs/jlist [2 3]", "e60203"),
        (
            "#run1.Point {:x 1 :y 2}",
            "efe1697265636f72640202c9f7cde30a72756e312e506f696e74e6caf7cddb7801e6caf7cddb7902",
        ),
        (
            "[#etagfs/struct [\"temp\" [1]] #etagfs/struct [\"temp\" [2]] #etagfs/struct [\"temp\" []]]",
            "efde707665630203 efde74656d700101 a102 efde74656d7000",
        ),
        (
            "[#etagfs/keyword [nil \"\"] #etagfs/keyword [\"\" \"a\"]]",
            "efde707665630202 caf7da cadacddb61",
        ),
    ] {
        both_ways(text, hex);
    }
}

#[test]
fn a_long_string_is_cut_between_units() {
    for text in [
        "x".repeat(200_000),
        "\u{1f600}".repeat(40_000),
        "\u{e9}\u{4e2d}".repeat(30_000),
        "a".repeat(65_537),
    ] {
        let value = Value::string(&text);
        let stored = encode(&value).unwrap();
        assert_eq!(decode(&stored, LIMIT), Ok(value));
    }
    let stored = encode(&Value::string(&"a".repeat(65_537))).unwrap();
    assert_eq!(stored[..4], [0xe2, 0x69, 0, 0]);
    assert_eq!(stored[4 + 65_536..], [0xdb, b'a']);
    let stored = encode(&Value::Bytes(vec![7; 65_536])).unwrap();
    assert_eq!(stored[..4], [0xd8, 0x68, 0xff, 0xff]);
    assert_eq!(stored[4 + 65_535..], [0xd9, 1, 7]);
}

#[test]
fn any_chunks_are_joined_and_lists_of_any_kind_are_read() {
    for (hex, text) in [
        ("e201 61 e202 6263 da", "\"abc\""),
        (
            "e202 eda0 e201 bd df edb880 61626364"
                .replace("df", "e307")
                .as_str(),
            "\"\u{1f600}abcd\"",
        ),
        ("d801 61 d1 62", "#etagfs/bytes \"6162\""),
        ("ed 01 02 fd", "#etagfs/jlist [1 2]"),
        ("ee 01 02", "#etagfs/jlist [1 2]"),
        ("ee 01 02 fd", "#etagfs/jlist [1 2]"),
        ("c0 ed 01 02 fd", "{1 2}"),
        // The cache holds any object, and counts from before what is in it.
        (
            "e7 cd e6 cd db61 81 80 cc 01",
            "#etagfs/jlist [#etagfs/jlist [\"a\" \"a\"] #etagfs/jlist [\"a\" \"a\"] \"a\"]",
        ),
    ] {
        assert_eq!(
            decode(&bytes(hex), LIMIT).as_ref(),
            edn::read(text).as_ref().map_err(|_| unreachable!()),
            "{hex}"
        );
    }
}

#[test]
fn what_is_not_certain_is_refused() {
    for hex in [
        "",
        "0000",
        "fe",
        "fd",
        "cf",
        "f1",
        "50",
        "e3ff",
        "e305 6162",
        "dbff",
        "e0 c080",
        "de f09f9880",
        "80",
        "cd80",
        "cc05",
        "a0",
        "f000",
        "c0e5 01",
        "c0e8 01 01 01 02",
        "c1e6 01 01",
        "c1e6 01 c6d101",
        "c0 f7",
        "c6d0",
        "c3 d900",
        "c3 d90a 00000000000000000000",
        "c8f7",
        "ca01db61",
        "caf701",
        "ef01",
        "efde74656d7001",
        "efde74656d70ff",
        "efde70766563020401",
        "efdf726174696f02c6d102c6d104",
        "efdf726174696f02c6d101c6d1ff",
        "efde6368617201ff",
        "b0 02 01",
        "b0 01 f5",
        "b3 01 f8 7fffffffffffffff",
        "ed01",
        "e2 01 61 d0",
        "b001f7",
        "c4f7",
        "efe1697265636f72640201c9f7db61e501",
    ] {
        refused(hex);
    }
    let e = decode(&[0xec, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff], LIMIT).unwrap_err();
    let shown = Unreadable::Fressian(e).to_string();
    assert_eq!(shown, "not Fressian, at byte 7: ends too early");
}

#[test]
fn references_cannot_make_more_of_a_few_bytes_than_the_limit() {
    // Each list holds the one before twice: 2^30 strings.
    let mut laughs = bytes("ec 1f cd e1 61616161616161");
    for index in 0..30u8 {
        laughs.extend([0xcd, 0xe6, 0x80 + index, 0x80 + index]);
    }
    let e = decode(&laughs, LIMIT).unwrap_err();
    assert!(e.reason.contains("too large"), "{e}");
    // Each holds the one before once: deep without a nesting of the bytes.
    let mut deep = bytes("ec 5400 cd 01");
    for index in 0..1023usize {
        deep.extend([0xcd, 0xe5, 0xcc, 0x50 + (index >> 8) as u8, index as u8]);
    }
    let e = decode(&deep, 1 << 30).unwrap_err();
    assert!(e.reason.contains("deep"), "{e}");
}

#[test]
fn nesting_ends_at_the_limit_and_not_at_the_end_of_the_stack() {
    for byte in 0..=u8::MAX {
        let small = std::thread::Builder::new().stack_size(1 << 20);
        let thread = small.spawn(move || {
            let _ = decode(&[byte; 3000], LIMIT);
            let with_count: Vec<u8> = [byte, 1].repeat(3000);
            let _ = decode(&with_count, LIMIT);
        });
        thread.unwrap().join().unwrap();
    }
    let mut deep = vec![0xe5; MAX_DEPTH / 2 - 2];
    deep.push(1);
    let value = decode(&deep, LIMIT).unwrap();
    assert_eq!(edn::read(&edn::print(&value)), Ok(value));
}

#[test]
fn the_deepest_value_goes_all_the_way_on_a_small_stack() {
    let depth = MAX_DEPTH - 6;
    for (open, close) in [("[", "]"), ("{:a ", "}"), ("#{", "}"), ("(", ")")] {
        let text = format!("{}:b{}", open.repeat(depth), close.repeat(depth));
        let small = std::thread::Builder::new().stack_size(3 << 19);
        let thread = small.spawn(move || {
            let value = edn::read(&text).unwrap();
            let stored = encode(&value).unwrap();
            let read = decode(&stored, LIMIT).unwrap();
            assert_eq!(read, value);
            assert_eq!(edn::read(&edn::print(&read)), Ok(value));
        });
        thread.unwrap().join().unwrap();
    }
}

#[test]
fn what_konserve_could_not_read_back_is_not_written() {
    for text in [
        "#my/tag \"x\"",
        "[#my/tag [1]]",
        "#etagfs/struct [\"pvec\" [1]]",
    ] {
        let value = edn::read(text).unwrap();
        assert!(encode(&value).is_err(), "{text}");
    }
}

fn cesu8_len(text: &str) -> usize {
    text.encode_utf16().map(cesu8::width).sum()
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(value in samples::value()) {
        let stored = encode(&value).unwrap();
        let read = decode(&stored, LIMIT).unwrap();
        prop_assert_eq!(&read, &value);
        prop_assert_eq!(encode(&read).unwrap(), stored);
    }

    #[test]
    fn a_string_is_the_same_however_it_is_cut(text in "[a-z\u{e9}\u{4e2d}]{0,40}|\\PC{0,40}", cuts in proptest::collection::vec(1..9usize, 0..20)) {
        let plain = encode(&Value::string(&text)).unwrap();
        let head = if plain[0] == 0xe3 { plain.len() - cesu8_len(&text) } else { 1 };
        let mut rest = &plain[head..];
        let mut cut = Vec::new();
        for length in cuts {
            if length < rest.len() {
                cut.extend([0xe2, length as u8]);
                cut.extend_from_slice(&rest[..length]);
                rest = &rest[length..];
            }
        }
        cut.extend([0xe3, 0x50 + (rest.len() >> 8) as u8, rest.len() as u8]);
        cut.extend_from_slice(rest);
        prop_assert_eq!(decode(&cut, LIMIT), Ok(Value::string(&text)));
    }

    #[test]
    fn what_is_read_can_be_printed_and_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = decode(&bytes, LIMIT) {
            let again = edn::read(&edn::print(&value)).unwrap();
            prop_assert_eq!(format!("{again:?}"), format!("{value:?}"));
        }
    }

    #[test]
    fn spoilt_bytes_are_read_or_refused(value in samples::value(), at in any::<prop::sample::Index>(), by in any::<u8>()) {
        let mut stored = encode(&value).unwrap();
        let at = at.index(stored.len());
        stored[at] = by;
        if let Ok(value) = decode(&stored, LIMIT) {
            let again = edn::read(&edn::print(&value)).unwrap();
            prop_assert_eq!(format!("{again:?}"), format!("{value:?}"));
        }
        stored.truncate(at);
        prop_assert!(decode(&stored, LIMIT).is_err());
    }
}
