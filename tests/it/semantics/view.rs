//! V1 to V5: what a mount shows.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::{errno, world, world_with};
use crate::world::proxy::Op;

const ONE: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";
const TWO: &str = "f0000000-0000-4000-8000-000000000001";

/// The number of requests that this takes grows with the number of stores, never with the number of
/// objects.
#[test]
fn v1_the_root_lists_the_stores_however_many_objects_they_hold() {
    let world = or_skip!(world_with(&[]));
    for n in 0..20 {
        world.other.put(&format!("{ONE}/{n}"), "x");
        world.other.put(&format!("{ONE}_{n}.ksv"), "x");
    }
    world.other.put(&format!("{TWO}/a/b"), "x");
    world.other.put("unrelated", "x");
    let mark = world.proxy.mark();
    assert_eq!(world.names("."), [ONE, TWO]);
    assert_eq!(world.proxy.since(mark).counts().of(Op::List), 1);
}

/// mkdir UUID at the root creates a store, rmdir removes an empty one, and mkdir of any other name
/// there fails with EINVAL.
#[test]
fn v2_a_store_is_made_and_removed_with_mkdir_and_rmdir() {
    let world = or_skip!(world_with(&[]));
    fs::create_dir(world.file(ONE)).unwrap();
    assert_eq!(world.other.keys(), [format!("{ONE}/")]);
    assert_eq!(world.names(ONE), [""; 0]);
    assert_eq!(errno(fs::create_dir(world.file("nonsense"))), libc::EINVAL);
    fs::write(world.file(ONE).join("key"), "value").unwrap();
    assert_eq!(world.other.text(&format!("{ONE}/key")), "value");
    assert_eq!(errno(fs::remove_dir(world.file(ONE))), libc::ENOTEMPTY);
    fs::remove_file(world.file(ONE).join("key")).unwrap();
    fs::remove_dir(world.file(ONE)).unwrap();
    assert_eq!(world.other.keys(), [""; 0]);
}

/// A store <uuid> holds the objects <uuid>/<key>: the body is the file, and each / in a key makes a
/// directory.
#[test]
fn v2_slashes_make_directories() {
    let world = or_skip!(world());
    world.other.put("a/b/c", "value");
    world.other.put("empty/", "");
    assert_eq!(world.names("."), ["a", "empty"]);
    assert_eq!(world.names("empty"), [""; 0]);
    assert_eq!(fs::read_to_string(world.file("a/b/c")).unwrap(), "value");
}

/// Every key has exactly one path, and every path names at most one key; see Names.
#[test]
fn v3_odd_keys_are_found_where_the_table_of_names_says() {
    let long = "k".repeat(300);
    let cut = format!("{}%+/{}", "k".repeat(250), "k".repeat(50));
    let world = or_skip!(world());
    let table = [
        ("a//b", "a/%/b"),
        ("/a", "%/a"),
        ("dots/..", "dots/%2E."),
        (".etagfs", "%2Eetagfs"),
        ("100%", "100%"),
        ("text%00", "text%2500"),
        ("both", "both%."),
        ("both/below", "both/below"),
        ("line\nbreak", "line\nbreak"),
        (&long, &cut),
    ];
    for (key, _) in table {
        world.other.put(key, key.to_owned());
    }
    for (key, path) in table {
        assert_eq!(
            fs::read_to_string(world.file(path)).unwrap(),
            key,
            "{path:?}"
        );
        fs::write(world.file(path), "written").unwrap();
        assert_eq!(world.other.text(key), "written", "{path:?}");
    }
    assert_eq!(world.other.keys().len(), table.len());
    assert!(world.names(".").contains(&"both%.".to_owned()));
    assert_eq!(errno(fs::write(world.file("a%2Fb"), "x")), libc::EINVAL);
    assert_eq!(
        errno(fs::write(world.file(&"n".repeat(256)), "x")),
        libc::ENAMETOOLONG
    );
}

/// The directory .etagfs at the root is always reachable and never listed.
#[test]
fn v4_the_mounts_own_directory_answers_also_when_the_store_does_not() {
    let world = or_skip!(world());
    assert_eq!(world.names("."), [""; 0]);
    world.proxy.down();
    assert_eq!(
        world.names(".etagfs"),
        [
            "access",
            "conflicts",
            "failures",
            "rescue",
            "stats",
            "status"
        ]
    );
    let status = fs::read_to_string(world.file(".etagfs/status")).unwrap();
    assert!(
        status.starts_with('{') && status.contains("s3://"),
        "{status}"
    );
    world.proxy.up();
}

/// The modification time of a file changes whenever its version changes, even within a second: the
/// seconds are the store's, and the fraction is made from the version.
#[test]
fn v5_another_version_has_another_time() {
    let world = or_skip!(world_with(&["--flat", "--ttl=0"]));
    let mut times: Vec<_> = ["one", "two", "three"]
        .map(|text| {
            fs::write(world.file("key"), text).unwrap();
            let meta = fs::metadata(world.file("key")).unwrap();
            assert_eq!(meta.mtime(), world.other.head("key").unwrap().modified);
            (meta.mtime(), meta.mtime_nsec())
        })
        .into();
    times.dedup();
    assert_eq!(times.len(), 3);
}

/// The time is never later than the moment when this mount first saw that version
#[test]
fn v5_times_are_in_the_order_of_the_saves_and_none_is_of_the_future() {
    let world = or_skip!(world_with(&["--flat", "--ttl=0"]));
    let time = |name: &str| {
        let modified = fs::metadata(world.file(name)).unwrap().modified();
        modified.unwrap()
    };
    for n in 0..5 {
        world.other.put("in", format!("{n}"));
        let seen = time("in");
        assert!(seen <= std::time::SystemTime::now());
        fs::write(world.file("out"), format!("of {n}")).unwrap();
        assert!(time("out") > seen);
        fs::write(world.file("in"), format!("next {n}")).unwrap();
        assert!(time("in") > time("out"));
    }
}

/// chmod, chown and touch -d on an existing file succeed and change nothing.
#[test]
fn v5_mode_owner_and_times_are_accepted_and_not_stored() {
    let world = or_skip!(world_with(&["--flat", "--file-mode=640"]));
    let etag = world.other.put("key", "value");
    world.sh("chmod 600 key && chown 7:7 key && touch -d 2001-01-01 key");
    let meta = fs::metadata(world.file("key")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o640);
    assert_ne!(meta.uid(), 7);
    assert_eq!(world.other.head("key").unwrap().etag, etag);
}

/// each change is a conditional save of the same bytes.
#[test]
fn v5_attributes_are_the_version_and_its_metadata() {
    let world = or_skip!(world());
    let etag = world.other.put("key", "value");
    let script = "import os\nprint(os.getxattr('key', 'user.etag').decode())\nos.setxattr('key', 'user.meta.colour', b'red')";
    let said = world.python(script);
    assert_eq!(said.trim(), etag);
    let object = world.other.get("key").unwrap();
    assert_eq!(
        (object.text(), object.metadata["colour"].as_str()),
        ("value", "red")
    );
    assert!(
        world
            .proxy
            .log()
            .of(Op::Put)
            .iter()
            .all(|put| put.if_match().is_some() || put.if_none_match().is_some())
    );
}

/// Every key has exactly one path, and every path names at most one key; see Names.
#[test]
fn v3_a_long_key_is_edited_like_any_other_whatever_its_letters() {
    let world = or_skip!(world());
    for (n, letter) in ["k", "\u{e9}", "\u{20ac}", "\u{1f600}"].iter().enumerate() {
        let key = format!("{n}/{}", letter.repeat(600 / letter.len()));
        world.other.put(&key, "one\n");
        let edited = world.sh(&format!(
            "set -e
            cd {n}
            cd *%+
            cd *%+
            f=$(ls)
            sed -i s/one/two/ -- \"$f\"
            perl -pi -e s/two/three/ -- \"$f\"
            t=$(mktemp ./tmp.XXXXXXXXXX)
            sed s/three/four/ \"$f\" > \"$t\"
            mv \"$t\" \"$f\"
            cp \"$f\" \"$f~\"
            echo five >> \"$f\"
            cat \"$f\"
            rm \"$f\" \"$f~\""
        ));
        assert_eq!(edited, "four\nfive\n", "{letter}");
        assert_eq!(world.other.keys(), [""; 0]);
    }
}
