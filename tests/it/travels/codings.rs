//! A content encoding says of bytes what they are: it travels with those that are so, and with no others.

use super::{EDITS, travels};
use crate::world::cli;
use crate::world::client::Client;
use crate::world::counted::Counted;
use crate::world::procs::Script;

fn put_coded(other: &Client, key: &str, coding: &str, body: &[u8]) {
    let request = other.sdk().put_object();
    let request = request
        .bucket(other.bucket())
        .key(key)
        .body(body.to_vec().into())
        .content_type("text/x-own")
        .content_encoding(coding);
    other.block_on(request.send()).unwrap();
}

const GZIP: &[u8] = b"\x1f\x8b\x08\x00compressed";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfdcompressed";

#[test]
fn a_coding_does_not_travel_with_text_that_has_it_not() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=0")));
    let state = tempfile::tempdir().unwrap();
    let url = format!("s3://{}", ground.bucket.name);
    let uuid = "0c4d4a2c-3f5b-4d7c-9a56-2f3a5a2f6d10";
    let (key, dir) = (format!("{uuid}/f"), ground.mount.file(uuid));
    ground.other.put(&format!("{uuid}/keeps the directory"), "");
    let by_command = [
        ("etagfs put", "echo new | etagfs put $U/f"),
        ("etagfs update", "etagfs update $U/f -- echo new"),
    ];
    let edits = EDITS.iter().filter(|(name, _)| {
        // What they leave begins as before.
        !["an append", "truncate", "sed -i", "vim"].contains(name)
    });
    for (name, script) in edits.chain(&by_command) {
        for (coding, bytes) in [("gzip", GZIP), ("zstd", ZSTD), ("br", &b"old text"[..])] {
            put_coded(&ground.other, &key, coding, bytes);
            let run = cli::script(&ground.bucket, state.path(), &format!("set -e; {script}"));
            let run = run.env("U", format!("{url}/{uuid}"));
            run.within(&dir).run().ok();
            let all = travels(&ground.other, &key);
            assert_eq!(all.get("coding"), None, "{name}, {coding}");
            assert_eq!(all["type"], "text/x-own", "{name}, {coding}");
            ground.other.delete(&key);
            Script::bash("rm -f f t").within(&dir).run().ok();
        }
    }
}

#[test]
fn a_coding_travels_with_bytes_that_have_it_and_with_the_same_bytes() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--ttl=0")));
    let state = tempfile::tempdir().unwrap();
    let cases = [
        ("gzip", GZIP, "echo new | gzip > f", "f"),
        ("gzip", GZIP, "echo new | gzip > t; mv t f", "f"),
        ("gzip", GZIP, "echo more | gzip >> f", "f"),
        ("zstd", ZSTD, "echo new | zstd -q > f", "f"),
        ("zstd", ZSTD, "mv f f.old; echo new | zstd -q > f", "f"),
        // Whatever it is, the bytes are the same.
        ("br", b"whatever", "mv f g", "g"),
        ("br", b"whatever", "mv f f~; mv f~ g", "g"),
        (
            "br",
            b"whatever",
            "python3 -c 'import os; os.setxattr(\"f\", \"user.meta.a\", b\"b\")'",
            "f",
        ),
        ("br", b"whatever", "etagfs cp $U/f $U/g", "g"),
    ];
    let uuid = "0c4d4a2c-3f5b-4d7c-9a56-2f3a5a2f6d10";
    let url = format!("s3://{}/{uuid}", ground.bucket.name);
    let dir = ground.mount.file(uuid);
    ground.other.put(&format!("{uuid}/keeps the directory"), "");
    for (coding, bytes, script, at) in cases {
        put_coded(&ground.other, &format!("{uuid}/f"), coding, bytes);
        let run = cli::script(&ground.bucket, state.path(), &format!("set -e; {script}"));
        run.env("U", &url).within(&dir).run().ok();
        let all = travels(&ground.other, &format!("{uuid}/{at}"));
        assert_eq!(
            all.get("coding").map(String::as_str),
            Some(coding),
            "{script}"
        );
        Script::bash("rm -f f g t f.old").within(&dir).run().ok();
    }
}
