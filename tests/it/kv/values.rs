//! One value: written and read back, whole or in part, with what travels with it. The sentences are
//! those of the operations of @kessler/s3-store and of konserve's compliance test.

use serde_json::Value as Json;

use super::{Desk, fails};

#[test]
fn what_is_put_is_what_is_got() {
    let desk = or_skip!(Desk::new());
    let etag = desk.says("printf hello | etagfs put $S/dir/key");
    assert_eq!(desk.says("etagfs get $S/dir/key"), "hello");
    let object = desk.other.get(&desk.object("dir/key")).unwrap();
    assert_eq!(
        (object.text(), format!("{}\n", object.etag)),
        ("hello", etag)
    );
}

#[test]
fn a_value_can_come_from_a_file_and_hold_any_bytes() {
    let desk = or_skip!(Desk::new());
    let script =
        "head -c 300000 /dev/urandom > big; etagfs put $S/big big; etagfs get $S/big | cmp - big";
    let dir = tempfile::tempdir().unwrap();
    desk.script(script).within(dir.path()).run().ok();
    assert_eq!(desk.other.head(&desk.object("big")).unwrap().size, 300_000);
}

#[test]
fn get_prints_the_etag_beside_the_value() {
    let desk = or_skip!(Desk::new());
    let etag = desk.other.put(&desk.object("key"), "value");
    let out = desk.run("etagfs get --etag $S/key").ok();
    assert_eq!(
        (out.stdout, out.stderr),
        ("value".into(), format!("{etag}\n"))
    );
}

#[test]
fn a_missing_key_has_an_exit_code_of_its_own() {
    let desk = or_skip!(Desk::new());
    fails(&desk.run("etagfs get $S/key"), 66, &["/key does not exist"]);
    fails(
        &desk.run("etagfs stat $S/key"),
        66,
        &["/key does not exist"],
    );
    fails(&desk.run("etagfs rm $S/key"), 66, &["/key does not exist"]);
    fails(&desk.run("etagfs ls $S/dir"), 66, &["/dir does not exist"]);
    desk.says("etagfs rm --force $S/key");
    assert_eq!(desk.says("etagfs get $S/key --default none"), "none");
    assert_eq!(
        desk.says("printf '' | etagfs put $S/key >/dev/null; etagfs get $S/key --default none"),
        ""
    );
}

#[test]
fn an_outage_and_a_missing_bucket_are_not_an_absent_key() {
    let desk = or_skip!(Desk::new());
    let missing = desk.run("etagfs get s3://no-such-bucket-here/$(basename $S)/key --default none");
    fails(&missing, 1, &["no-such-bucket-here"]);
    let flat = desk.run("etagfs get --flat s3://no-such-bucket-here/key --default none");
    fails(&flat, 1, &["no-such-bucket-here"]);
    desk.proxy.down();
    let out = desk.run("etagfs get --deadline 1 $S/key --default none");
    fails(&out, 1, &["no answer about", "--endpoint-url"]);
    assert_eq!(out.stdout, "");
}

#[test]
fn a_store_is_found_behind_any_number_of_objects_that_are_named_like_it() {
    let desk = or_skip!(Desk::new());
    for number in 0..20 {
        desk.other.put(&format!("{}-{number}", desk.store), "");
        desk.other.put(&format!("{}0{number}", desk.store), "");
    }
    desk.says("echo 1 | etagfs create $S/key > /dev/null; etagfs stores exists $B ${S##*/}");
    let konserve = "S=$(etagfs stores create $B --layout konserve); for n in $(seq 40); do
        etagfs put --flat $B/$S-$n < /dev/null > /dev/null; done
        etagfs put $B/$S/key <<< 2 > /dev/null; etagfs get $B/$S/key";
    assert_eq!(desk.says(konserve), "2\n");
}

#[test]
fn get_prints_a_part_of_a_value() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "0123456789");
    for (range, part) in [("0-0", "0"), ("2-4", "234"), ("7-", "789"), ("8-99", "89")] {
        let said = desk.says(&format!("etagfs get --range {range} $S/key"));
        assert_eq!(said, part, "{range}");
    }
    desk.other.put(&desk.object("empty"), "");
    assert_eq!(desk.says("etagfs get --range 0-9 $S/empty"), "");
    let out = desk.run("etagfs get --range 4-2 $S/key");
    assert_eq!(out.code, Some(2), "{out:#?}");
}

#[test]
fn content_type_and_metadata_survive_an_edit_and_are_replaced_when_said() {
    let desk = or_skip!(Desk::new());
    let object = desk.object("page.html");
    desk.says("echo 1 | etagfs create $S/page.html");
    let head = || desk.other.head(&object).unwrap();
    assert_eq!(head().content_type.as_deref(), Some("text/html"));
    desk.says("echo 2 | etagfs put $S/page.html --content-type text/plain --meta colour=red");
    let kept = [
        "echo 3 | etagfs put $S/page.html",
        "e=$(etagfs stat --json $S/page.html | jq -r .etag); echo 4 | etagfs put $S/page.html --if-match $e",
        "etagfs update $S/page.html -- echo 5",
        "echo 6 | etagfs append $S/page.html",
    ];
    for script in kept {
        desk.says(script);
        assert_eq!(
            head().content_type.as_deref(),
            Some("text/plain"),
            "{script}"
        );
        assert_eq!(head().metadata["colour"], "red", "{script}");
    }
    assert_eq!(desk.says("etagfs get $S/page.html"), "5\n6\n");
    desk.says("echo 7 | etagfs put $S/page.html --meta size=3");
    assert_eq!(head().metadata.get("colour"), None);
    assert_eq!(head().metadata["size"], "3");
}

#[test]
fn json_tells_value_etag_and_metadata_at_once() {
    let desk = or_skip!(Desk::new());
    desk.says("printf hi | etagfs put $S/key --content-type text/x --meta a=b");
    let json: Json = serde_json::from_str(&desk.says("etagfs get --json $S/key")).unwrap();
    let etag = desk.other.head(&desk.object("key")).unwrap().etag;
    assert_eq!(json["value"], "hi");
    assert_eq!(json["etag"], etag);
    assert_eq!(json["content_type"], "text/x");
    assert_eq!(json["metadata"]["a"], "b");
    assert_eq!(json["size"], 2);
    let stat: Json = serde_json::from_str(&desk.says("etagfs stat --json $S/key")).unwrap();
    assert_eq!(
        (&stat["etag"], &stat["metadata"]),
        (&json["etag"], &json["metadata"])
    );
    assert!(desk.says("etagfs stat $S/key").contains("metadata.a: b\n"));
    desk.says(r"printf '\377\000' | etagfs put $S/bytes");
    let json: Json = serde_json::from_str(&desk.says("etagfs get --json $S/bytes")).unwrap();
    assert_eq!(json["value_base64"], "/wA=");
}

#[test]
fn large_values_come_whole_and_only_whole() {
    let desk = or_skip!(Desk::new());
    let bytes: Vec<u8> = (0..(70_u32 << 20) / 4).flat_map(u32::to_le_bytes).collect();
    desk.other.put(&desk.object("large"), bytes);
    let dir = tempfile::tempdir().unwrap();
    let sum = "etagfs get $S/large | sha256sum; etagfs cp $S/large file; sha256sum < file";
    let out = desk.script(sum).within(dir.path()).run().ok();
    let sums: Vec<_> = out.stdout.lines().collect();
    assert_eq!((sums.len(), sums[0]), (2, sums[1]));
    assert_eq!(
        std::fs::metadata(dir.path().join("file")).unwrap().len(),
        70 << 20
    );
}

#[test]
fn ls_shows_stores_keys_and_what_keys_begin_with() {
    let desk = or_skip!(Desk::new());
    for key in ["a", "dir/b", "dir/deep/c", "dir2"] {
        desk.other.put(&desk.object(key), "value");
    }
    let stores = desk.says("etagfs ls $B");
    assert_eq!(stores, format!("{}/\n", desk.store));
    assert_eq!(desk.says("etagfs ls $S"), "a\ndir/\ndir2\n");
    assert_eq!(desk.says("etagfs ls $S/dir"), "b\ndeep/\n");
    assert_eq!(desk.says("etagfs ls $S/dir/"), "b\ndeep/\n");
    assert_eq!(desk.says("etagfs ls $S/dir/b"), "b\n");
    assert_eq!(desk.says("etagfs ls -R $S"), "a\ndir/b\ndir/deep/c\ndir2\n");
    assert_eq!(desk.says("etagfs ls --flat -R $B | wc -l"), "4\n");
    let json = desk.says("etagfs ls --json $S/dir");
    let lines: Vec<Json> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines[0]["etag"],
        desk.other.head(&desk.object("dir/b")).unwrap().etag
    );
    assert_eq!(
        (&lines[0]["type"], &lines[1]["type"]),
        (&"key".into(), &"prefix".into())
    );
    // What it calls a key can be given to the other commands.
    let target = lines[0]["target"].as_str().unwrap();
    assert_eq!(desk.says(&format!("etagfs get '{target}'")), "value");
}

#[test]
fn ls_lists_more_than_one_page() {
    let desk = or_skip!(Desk::new());
    desk.says("seq -f 'k%05g' 1 1100 | while read k; do echo \"{\\\"key\\\":\\\"$k\\\",\\\"value\\\":\\\"\\\"}\"; done | etagfs mput --in $S --create >/dev/null");
    assert_eq!(desk.says("etagfs ls $S | wc -l"), "1100\n");
}

#[test]
fn odd_keys_are_their_own_url() {
    let desk = or_skip!(Desk::new());
    for key in ["a//b", "/a", "%2E", "..", "a b", "\u{e9}", "100%", "a/../b"] {
        let script = format!(
            "printf '{key}' | etagfs create \"$S/{key}\" >/dev/null; etagfs get \"$S/{key}\"",
        );
        let script = script.replace("printf '", "printf %s '");
        assert_eq!(desk.says(&script), key);
        assert_eq!(desk.other.text(&desk.object(key)), key);
    }
}
