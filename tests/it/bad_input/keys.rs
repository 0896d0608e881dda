//! Keys that other programs wrote, whatever is in them: the rules of V3.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{bucket_of, errno, flat};
use crate::world::report;
use crate::world::servers::Kind;

/// Keys, and the paths under which they are shown.
fn odd_keys() -> Vec<(String, String)> {
    let same = [
        "plain",
        "a b",
        " blank",
        "blank ",
        "100%",
        "%41",
        "50%25x",
        "a+b",
        "a?b=c&d#e;f",
        "quote'\"`",
        "back\\slash",
        "*?[a-z]{x}",
        "-rf",
        "~",
        "<xml>&amp;",
        "new\nline",
        "tab\there",
        "bell\u{7}",
        "\u{1}",
        "del\u{7f}",
        "nfc-\u{e9}",
        "nfd-e\u{301}",
        "\u{1f600}",
        "\u{65e5}\u{672c}/\u{8a9e}",
        "deep/er/key",
        "...",
        ".hidden",
        "CON",
    ];
    let escaped = [
        ("%", "%25"),
        ("%%", "%%"),
        ("a%00b", "a%2500b"),
        ("a%2Fb", "a%252Fb"),
        ("a%252Fb", "a%25252Fb"),
        ("x%+", "x%25+"),
        ("x%.", "x%25."),
        ("%2E", "%252E"),
        ("two//slashes", "two/%/slashes"),
        ("three///slashes", "three/%/%/slashes"),
        ("/leading", "%/leading"),
        ("trailing/", "trailing/%"),
        ("dots/./one", "dots/%2E/one"),
        ("dots/../two", "dots/%2E./two"),
        (".etagfs", "%2Eetagfs"),
        ("deep/.etagfs", "deep/%2Eetagfs"),
        ("both", "both%."),
        ("both/below", "both/below"),
        ("both%", "both%"),
    ];
    let (s, part) = (|n| "s".repeat(n), format!("{}%+", "s".repeat(250)));
    let long = [
        (s(255), s(255)),
        (s(256), format!("{part}/{}", s(6))),
        (s(300), format!("{part}/{}", s(50))),
        (s(1024), format!("{part}/{part}/{part}/{part}/{}", s(24))),
        (
            format!("in/{}/end", s(300)),
            format!("in/{part}/{}/end", s(50)),
        ),
        // The cut is never within a letter.
        (
            "\u{e9}".repeat(200),
            format!("{}%+/{}", "\u{e9}".repeat(125), "\u{e9}".repeat(75)),
        ),
    ];
    let same = same
        .iter()
        .map(|key| ((*key).to_owned(), (*key).to_owned()));
    let escaped = escaped
        .iter()
        .map(|(key, path)| ((*key).to_owned(), (*path).to_owned()));
    same.chain(escaped).chain(long).collect()
}

/// The paths of all files below a directory, and what is in them.
fn walk(top: &Path, below: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(below).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            walk(top, &entry.path(), found);
        } else {
            let path = entry
                .path()
                .strip_prefix(top)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let text = fs::read_to_string(entry.path()).unwrap();
            assert!(
                found.insert(path.clone(), text).is_none(),
                "twice: {path:?}"
            );
        }
    }
}

fn listed(top: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk(top, top, &mut found);
    found
}

/// Every key that the server can hold is listed under its name, read, replaced, and removed.
fn every_odd_key_is_a_file_on(kind: Kind) -> Result<(), String> {
    let bucket = bucket_of(kind)?;
    let other = bucket.client();
    let (mut keys, all) = (odd_keys(), odd_keys().len());
    if kind != Kind::Embedded {
        // Their listings put characters into XML that XML cannot hold.
        keys.retain(|(key, _)| !key.contains(['\u{1}', '\u{7}']));
    }
    // Some servers refuse keys, or store them under another name.
    keys.retain(|(key, _)| other.try_put(key, format!("old {key}")).is_ok());
    let held = other.keys();
    for key in &held {
        if !keys.iter().any(|(expected, _)| expected == key) {
            other.delete(key);
        }
    }
    keys.retain(|(key, _)| held.contains(key));
    let line = format!("{kind:?}: {} of {all} odd keys", keys.len());
    println!("{line}");
    report::append_line("odd keys", &line);

    let mount = flat(&bucket);
    let shown = |what: &str| -> BTreeMap<String, String> {
        keys.iter()
            .map(|(key, path)| (path.clone(), format!("{what} {key}")))
            .collect()
    };
    assert_eq!(listed(mount.path()), shown("old"));
    for (key, path) in &keys {
        fs::write(mount.file(path), format!("new {key}")).unwrap();
    }
    assert_eq!(listed(mount.path()), shown("new"));
    let mut expected: Vec<_> = keys.iter().map(|(key, _)| key.clone()).collect();
    expected.sort();
    let mut now = other.keys();
    now.sort();
    assert_eq!(now, expected);
    for (key, _) in &keys {
        assert_eq!(other.text(key), format!("new {key}"));
    }
    for (_, path) in &keys {
        fs::remove_file(mount.file(path)).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    }
    assert_eq!(other.keys(), [""; 0]);
    mount.unmount();

    // From the mount's side: what is created under a name has the key of that name. Some names
    // exist only where a listing shows them: that of a key that shares its name with a directory,
    // those of directories in which a segment goes on, and those of empty segments below a directory
    // that was made: there `%` is the object that keeps the directory.
    let mount = flat(&bucket);
    for (key, path) in &keys {
        let parent = mount.file(path).parent().unwrap().to_owned();
        if path.contains("%+/") {
            assert_eq!(errno(fs::create_dir_all(&parent)), libc::EINVAL, "{path:?}");
        } else if path.contains("/%/") {
            assert_eq!(errno(fs::create_dir_all(&parent)), libc::EEXIST, "{path:?}");
        } else if key == "both" {
            assert_eq!(errno(fs::write(mount.file(path), key)), libc::EINVAL);
        } else {
            fs::create_dir_all(&parent).unwrap();
            fs::write(mount.file(path), key).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            assert_eq!(other.text(key), *key);
        }
    }
    mount.unmount();
    Ok(())
}

#[test]
fn every_odd_key_is_a_file() {
    or_skip!(every_odd_key_is_a_file_on(Kind::Embedded));
}

#[test]
fn every_odd_key_is_a_file_on_another_server() {
    or_skip!(every_odd_key_is_a_file_on(Kind::Ministack));
}

/// The one key that cannot be shown: its plain name is a directory's, and the name that says so would
/// be longer than a name may be. The log says which.
#[test]
fn a_key_whose_other_name_is_too_long_is_not_listed_and_the_log_says_so() {
    let bucket = or_skip!(super::bucket());
    let other = bucket.client();
    let name = "n".repeat(254);
    other.put(&name, "the key");
    other.put(&format!("{name}/below"), "below");
    let mount = flat(&bucket);
    let expected = BTreeMap::from([(format!("{name}/below"), "below".to_owned())]);
    assert_eq!(listed(mount.path()), expected);
    let log = mount.unmount();
    assert!(log.contains("not shown") && log.contains(&name), "{log}");
    assert_eq!(other.text(&name), "the key");
}

#[test]
fn an_empty_object_with_a_slash_at_its_end_is_an_empty_directory() {
    let bucket = or_skip!(super::bucket());
    bucket.client().put("empty/", "");
    bucket.client().put("with/", "");
    bucket.client().put("with/key", "value");
    let mount = flat(&bucket);
    assert!(mount.file("empty").is_dir());
    let expected = BTreeMap::from([("with/key".to_owned(), "value".to_owned())]);
    assert_eq!(listed(mount.path()), expected);
    fs::remove_dir(mount.file("empty")).unwrap();
    assert_eq!(bucket.client().keys(), ["with/", "with/key"]);
    mount.unmount();
}
