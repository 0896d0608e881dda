//! Saves through a mount: the object is the one that konserve would have written, or nothing is sent
//! and the reason is told.

use std::fs;
use std::process::Command;

use konserve_codec::aes::EncryptionKey;
use konserve_codec::blob::{Codec, Serializer};
use konserve_codec::compress::Compression;
use konserve_codec::edn;
use konserve_codec::metadata::Kind;

use super::writer::{Writer, value};
use crate::world::attempts::attempt;
use crate::world::counted::Counted;
use crate::world::mounts::{self, Mount};
use crate::world::proxy::Op;
use crate::world::rescues;
use crate::world::servers::{self, Kind as Server};

const STORE: &str = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";

/// A store of a program, mounted with its requests counted.
fn ground(options: impl FnOnce(Mount) -> Mount) -> Result<(Counted, Writer), String> {
    mounts::possible()?;
    let bucket = servers::shared(Server::Embedded)?.bucket();
    let writer = Writer::create(&bucket.client(), STORE);
    writer.assoc(":config", "{:colour :green, :size 3}");
    let counted = Counted::of(&bucket, |mount| options(mount.store(STORE)));
    Ok((counted, writer))
}

/// What a program in the mount came to, whose statements are Python.
fn tried(ground: &Counted, statements: &str) -> String {
    attempt(ground.mount.path(), statements)
}

fn in_place(name: &str, text: &str) -> String {
    format!(
        "f = os.open({name:?}, os.O_RDWR)\nos.truncate(f, 0)\nos.write(f, {text:?}.encode())\nos.close(f)"
    )
}

#[test]
fn a_save_that_changes_nothing_takes_nothing_from_others_on_the_mount() {
    use std::os::unix::fs::FileExt;

    let (ground, writer) = or_skip!(ground(|mount| mount));
    let open = || {
        let file = ground.mount.file(":config");
        fs::File::options().read(true).write(true).open(file)
    };
    let idle = open().unwrap();
    writer.assoc(":config", "{:colour :blue}");
    let busy = open().unwrap();
    idle.write_all_at(b"{:colour :green, :size 3}\n", 0)
        .unwrap();
    idle.sync_all().unwrap();
    busy.write_all_at(b"{:colour :red, :size 4}", 0).unwrap();
    busy.sync_all().unwrap();
    assert_eq!(writer.get(":config"), value("{:colour :red, :size 4}"));
}

#[test]
fn a_save_is_the_object_that_konserve_would_write() {
    let (ground, writer) = or_skip!(ground(|mount| mount));
    let key = value(":config");
    let before = writer.read(&key);
    assert_eq!(
        fs::read_to_string(ground.mount.file(":config")).unwrap(),
        "{:colour :green, :size 3}\n"
    );
    fs::write(
        ground.mount.file(":config"),
        "{:colour :red\n :size 4} ; by hand\n",
    )
    .unwrap();
    let after = writer.read(&key);
    assert_eq!(after.codec, before.codec);
    assert_eq!(
        edn::print_line(&writer.decode(&after)),
        "{:colour :red, :size 4}"
    );
    assert_eq!(after.metadata.kind(), Some(Kind::Edn));
    assert!(after.metadata.last_write() >= before.metadata.last_write());
    let mut expected = before.metadata.clone();
    expected.written(after.metadata.last_write().unwrap());
    assert_eq!(after.metadata, expected, "nothing else changed");
    // To the last byte what the writer would have made of the same value.
    let stored = after
        .codec
        .encode(&value("{:colour :red, :size 4}"), None)
        .unwrap();
    let object = ground.other.get(&writer.object(&key)).unwrap();
    assert_eq!(
        object.bytes,
        writer.blob(after.codec, &after.metadata, &stored)
    );
    // A reader sees the value, not the text that was typed.
    assert_eq!(
        fs::read_to_string(ground.mount.file(":config")).unwrap(),
        "{:colour :red, :size 4}\n"
    );
}

#[test]
fn a_new_key_is_written_like_its_neighbours() {
    let (ground, writer) = or_skip!(ground(|mount| mount));
    fs::write(ground.mount.file("notes.edn"), "[1 2]\n").unwrap();
    let read = writer.read(&value("\"notes.edn\""));
    assert_eq!(read.codec, Codec::DEFAULT);
    assert_eq!(read.metadata.key(), &value("\"notes.edn\""));
    assert_eq!(read.metadata.kind(), Some(Kind::Edn));
    assert!(read.metadata.last_write().is_some());
    assert_eq!(writer.decode(&read), value("[1 2]"));

    let zstd = "0f0f0f0f-0f5b-4d2e-9d31-0b6a3f1c2d4e";
    let mut other = Writer::create(&ground.other, zstd);
    other.codec.compression = Compression::Zstd;
    other.assoc(":a", "1");
    let mount = Mount::of(&ground.bucket).start();
    fs::write(mount.file(zstd).join(":b"), "2").unwrap();
    assert_eq!(other.read(&value(":b")).codec, other.codec);
}

#[test]
fn a_text_that_means_the_same_value_sends_nothing() {
    let (ground, _) = or_skip!(ground(|mount| mount));
    for text in [
        "{:colour :green, :size 3}\n",
        "{ :colour :green ; same\n  :size 3 }",
    ] {
        assert_eq!(tried(&ground, &in_place(":config", text)), "ok");
        fs::write(ground.mount.file(":config"), text).unwrap();
    }
    assert_eq!(ground.counts().of(Op::Put), 0);
}

#[test]
fn text_that_is_no_value_is_refused_with_its_place_and_kept() {
    let (ground, writer) = or_skip!(ground(|mount| mount));
    for (text, place) in [
        ("{:colour :red\n :size }", "line 2, column 2"),
        ("{:a 1 :a 2}", "line 1, column 7"),
        ("1 2", "line 1, column 3"),
        (" ", "line 1, column 2"),
    ] {
        assert_eq!(
            tried(&ground, &in_place(":config", text)),
            "EINVAL",
            "{text}"
        );
        let conflicts = fs::read_to_string(ground.mount.file(".etagfs/conflicts")).unwrap();
        assert!(conflicts.contains(place), "{text}: {conflicts}");
        assert!(ground.mount.log().contains(place), "{text}");
        let kept = rescues::of_key(ground.mount.state_dir(), ":config");
        assert!(kept.iter().any(|kept| kept == text), "{text}: {kept:?}");
    }
    assert_eq!(
        tried(
            &ground,
            "os.close(os.open('new', os.O_CREAT | os.O_WRONLY))"
        ),
        "EINVAL"
    );
    assert_eq!(
        tried(
            &ground,
            "f = os.open('new', os.O_CREAT | os.O_WRONLY)\nos.write(f, b'')\nos.fsync(f)"
        ),
        "EINVAL"
    );
    assert_eq!(ground.counts().of(Op::Put), 0);
    assert_eq!(writer.get(":config"), value("{:colour :green, :size 3}"));
}

#[test]
fn the_serializer_the_compressor_and_the_encryptor_stay_what_they_were() {
    let secret = "\"s3cr3t\"";
    let (ground, _) = or_skip!(ground(|mount| mount.env("ETAGFS_KONSERVE_KEY", secret)));
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        for encrypted in [false, true] {
            let codec = Codec {
                serializer: Serializer::Fressian,
                compression,
                encrypted,
            };
            let writer = Writer {
                codec,
                secret: Some(EncryptionKey::new(value(secret)).unwrap()),
                ..Writer::of(&ground.other, STORE)
            };
            let name = format!(":{compression:?}-{encrypted}");
            writer.assoc(&name, "[1]");
            assert_eq!(
                fs::read_to_string(ground.mount.file(&name)).unwrap(),
                "[1]\n"
            );
            fs::write(ground.mount.file(&name), "[1 2]").unwrap();
            let read = writer.read(&value(&name));
            assert_eq!(read.codec, codec, "{name}");
            assert_eq!(writer.decode(&read), value("[1 2]"));
        }
    }
}

#[test]
fn without_the_key_an_encrypted_value_is_shown_as_stored_and_cannot_be_changed() {
    let (ground, _) = or_skip!(ground(|mount| mount.arg("--ttl=0")));
    let writer = Writer {
        codec: Codec {
            encrypted: true,
            ..Codec::DEFAULT
        },
        secret: Some(EncryptionKey::new(value("\"s3cr3t\"")).unwrap()),
        ..Writer::of(&ground.other, STORE)
    };
    writer.assoc(":hidden", "1");
    let object = ground.other.get(&writer.object(&value(":hidden"))).unwrap();
    let names: Vec<_> = fs::read_dir(ground.mount.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let raw = names.iter().find(|name| name.ends_with("%.raw")).unwrap();
    assert_eq!(fs::read(ground.mount.file(raw)).unwrap(), object.bytes);
    for name in [raw, ":hidden"] {
        let came_to = tried(&ground, &in_place(name, "2"));
        assert!(["EROFS", "EIO"].contains(&&*came_to), "{name}: {came_to}");
    }
    let came_to = tried(
        &ground,
        "f = os.open(':hidden', os.O_WRONLY | os.O_TRUNC)\nos.write(f, b'2')\nos.close(f)",
    );
    assert_eq!(came_to, "EROFS");
    // A new key of a store that has encrypted values would be one of them.
    let came_to = tried(
        &ground,
        "f = os.open(':new', os.O_WRONLY | os.O_CREAT)\nos.write(f, b'2')\nos.close(f)",
    );
    assert_eq!(came_to, "EROFS");
    assert_eq!(
        ground
            .other
            .get(&writer.object(&value(":hidden")))
            .unwrap()
            .bytes,
        object.bytes
    );
}

#[test]
fn binary_values_are_their_bytes_and_stay_binary() {
    let (ground, writer) = or_skip!(ground(|mount| mount));
    let long: Vec<u8> = (0..3_000_000u32).map(|n| ((n * 7) >> 3) as u8).collect();
    for (name, bytes) in [(":short", &b"\xff\x00raw"[..]), (":long", &long)] {
        writer.bassoc(name, bytes);
        assert_eq!(fs::read(ground.mount.file(name)).unwrap(), bytes);
        assert_eq!(
            fs::metadata(ground.mount.file(name)).unwrap().len(),
            bytes.len() as u64
        );
        fs::write(ground.mount.file(name), b"other \xfe bytes").unwrap();
        let read = writer.read(&value(name));
        assert_eq!(read.metadata.kind(), Some(Kind::Binary));
        assert_eq!(read.stored, b"other \xfe bytes");
    }
}

#[test]
fn a_renamed_file_has_its_new_name_as_its_key() {
    let (ground, writer) = or_skip!(ground(|mount| mount));
    fs::rename(ground.mount.file(":config"), ground.mount.file("[:old 1]")).unwrap();
    let read = writer.read(&value("[:old 1]"));
    assert_eq!(read.metadata.key(), &value("[:old 1]"));
    assert_eq!(writer.decode(&read), value("{:colour :green, :size 3}"));
    assert!(
        ground
            .other
            .get(&writer.object(&value(":config")))
            .is_none()
    );
    // Over another key, whose codec and metadata stay.
    let mut packed = Writer::of(&ground.other, STORE);
    packed.codec.compression = Compression::Lz4;
    packed.assoc(":target", "0");
    fs::read(ground.mount.file(":target")).unwrap();
    fs::rename(ground.mount.file("[:old 1]"), ground.mount.file(":target")).unwrap();
    let read = packed.read(&value(":target"));
    assert_eq!(read.codec, packed.codec);
    assert_eq!(read.metadata.key(), &value(":target"));
    assert_eq!(packed.decode(&read), value("{:colour :green, :size 3}"));
}

#[test]
fn what_konserve_promised_not_to_change_cannot_be_changed() {
    let (ground, writer) = or_skip!(ground(|mount| mount));
    let key = value(":node");
    let mut metadata = writer.read(&value(":config")).metadata;
    metadata.set_key(key.clone());
    let konserve_codec::Value::Map(mut entries) = metadata.into_value() else {
        panic!()
    };
    entries.push((value(":immutable?"), value("true")));
    let metadata =
        konserve_codec::metadata::Metadata::from_value(konserve_codec::Value::Map(entries))
            .unwrap();
    let stored = writer.codec.encode(&value("[1]"), None).unwrap();
    ground.other.put(
        &writer.object(&key),
        writer.blob(writer.codec, &metadata, &stored),
    );
    assert_eq!(
        fs::read_to_string(ground.mount.file(":node")).unwrap(),
        "[1]\n"
    );
    assert_eq!(tried(&ground, "os.open(':node', os.O_RDWR)"), "EROFS");
    assert_eq!(
        tried(&ground, "os.open(':node', os.O_WRONLY | os.O_TRUNC)"),
        "EROFS"
    );
    assert_eq!(ground.counts().of(Op::Put), 0);
}

#[test]
fn attributes_tell_what_konserve_knows() {
    let (ground, writer) = or_skip!(ground(|mount| mount));
    let get = |name: &str| {
        let out = Command::new("python3")
            .args([
                "-c",
                "import os, sys; sys.stdout.write(os.getxattr(sys.argv[1], sys.argv[2]).decode())",
            ])
            .arg(ground.mount.file(":config"))
            .arg(name)
            .output()
            .unwrap();
        assert!(out.status.success(), "{name}: {out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!(get("user.konserve.key"), ":config");
    assert_eq!(get("user.konserve.type"), ":edn");
    assert!(
        writer
            .object(&value(":config"))
            .contains(&get("user.konserve.uuid"))
    );
    assert_eq!(
        get("user.konserve.last-write"),
        "#inst \"2026-11-21T09:16:46.896-00:00\""
    );
    assert!(get("user.konserve.meta").starts_with("{:key :config, :type :edn, "));
    assert!(get("user.konserve.header").starts_with("01010000000000"));
    assert_eq!(
        tried(
            &ground,
            "os.setxattr(':config', 'user.konserve.type', b':binary')"
        ),
        "ENOTSUP"
    );
}
