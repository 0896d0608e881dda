//! Objects that the real konserve wrote, against these codecs.
//!
//! Test code: reads `fixtures/` (see its README) and prints what was decoded,
//! written back to the same bytes, and skipped. A fixture that fails fails the test by name.
#![allow(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value as Json;
use sha2::{Digest, Sha256};

use super::aes::EncryptionKey;
use super::blob::{Blob, Header, Serializer};
use super::file::{self, Glanced};
use super::metadata::{Kind, Metadata};
use super::same::Same;
use super::value::{Name, Tagged, Value};
use super::{edn, fressian, hasch};

const LIMIT: usize = 1 << 28;

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fixtures"].iter().collect()
}

fn json(path: &str) -> Json {
    let text = std::fs::read(folder().join(path)).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// The text of a manifest as a value, if EDN can say it.
fn from_manifest(text: &str) -> Option<Value> {
    let text = [
        ("#fixture/bytes", "#etagfs/bytes"),
        ("#fixture/int-array", "#etagfs/ints"),
        ("#fixture/long-array", "#etagfs/longs"),
        ("#fixture/double-array", "#etagfs/doubles"),
        ("#fixture/float-array", "#etagfs/floats"),
        ("#fixture/boolean-array", "#etagfs/booleans"),
        ("#fixture/object-array", "#etagfs/objects"),
        ("#\"", "#etagfs/regex \""),
    ]
    .iter()
    .fold(text.to_owned(), |text, (theirs, ours)| {
        text.replace(theirs, ours)
    });
    let text = [
        ("#object[java.net.URI ", "#etagfs/uri "),
        ("#object[java.time.Instant ", "#inst "),
    ]
    .iter()
    .fold(text, |text, (theirs, ours)| {
        without_address(&text, theirs, ours)
    });
    (!text.contains("#object")).then(|| plain_records(edn::read(&text).unwrap()))
}

/// `#object[Class 0x12 "text"]` as `#tag "text"`.
fn without_address(text: &str, theirs: &str, ours: &str) -> String {
    let Some((before, rest)) = text.split_once(theirs) else {
        return text.to_owned();
    };
    let (_, rest) = rest.split_once(' ').unwrap();
    let (string, rest) = rest.split_once(']').unwrap();
    format!(
        "{before}{ours}{string}{}",
        without_address(rest, theirs, ours)
    )
}

/// What konserve prints of a record without a class, as the record.
fn plain_records(value: Value) -> Value {
    let all = |items: Vec<Value>| items.into_iter().map(plain_records).collect();
    match value {
        Value::Vector(items) => Value::Vector(all(items)),
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(k, v)| (plain_records(k), plain_records(v)))
                .collect(),
        ),
        Value::Tagged(t) if &*t.tag.name == "incognito.base.IncognitoTaggedLiteral" => {
            let Some(Value::Symbol(tag)) = t.value.get(&Value::keyword("tag")) else {
                panic!("{t:?}")
            };
            let value = t.value.get(&Value::keyword("value")).unwrap().clone();
            Value::Tagged(Box::new(Tagged {
                tag: tag.clone(),
                value,
            }))
        }
        // `#boring/record ["ns/Name" {..}]`
        Value::Tagged(t) if t.tag == Name::qualified("boring", "record") => {
            let Value::Vector(items) = &t.value else {
                panic!("{t:?}")
            };
            let [Value::Str(name), value] = &items[..] else {
                panic!("{t:?}")
            };
            let (ns, name) = name.split_once('/').unwrap();
            Value::Tagged(Box::new(Tagged {
                tag: Name::qualified(ns, name),
                value: value.clone(),
            }))
        }
        value => value,
    }
}

#[derive(Default)]
struct Counts {
    cuts: usize,
    metadata: usize,
    values: usize,
    binary: usize,
    compared: usize,
    uncompared: Vec<String>,
    identical: usize,
    read_only: usize,
    through_text: usize,
    names: usize,
    other_names: Vec<String>,
    skipped: Vec<String>,
}

struct Store {
    folder: &'static str,
    key: Option<EncryptionKey>,
}

impl Store {
    /// One part of a blob: decoded, printed, read, and written to the same bytes.
    fn part(&self, blob: &Blob<'_>, stored: &[u8], what: &str, counts: &mut Counts) -> Value {
        let key = self.key.as_ref();
        let value = blob
            .codec
            .decode(stored, key, LIMIT)
            .unwrap_or_else(|e| panic!("{what}: {e}"));
        let text = edn::print(&value);
        let again = edn::read(&text).unwrap_or_else(|e| panic!("{what}: {e}\n{text}"));
        assert_eq!(format!("{again:?}"), format!("{value:?}"), "{what}");
        counts.through_text += 1;
        if blob.codec.serializer != Serializer::Fressian {
            assert!(blob.codec.encode(&again, None).is_err(), "{what}");
            counts.read_only += 1;
            return value;
        }
        // The compressors differ in their choices, so what they were given is compared.
        let deciphered = match key {
            Some(key) if blob.codec.encrypted => key.decrypt(stored).unwrap(),
            _ => stored.to_vec(),
        };
        let unpacked = blob.codec.compression.unpack(&deciphered, LIMIT).unwrap();
        assert_eq!(fressian::encode(&again).unwrap(), *unpacked, "{what}");
        let secret = key.map(|key| (key, *stored.first_chunk().unwrap_or(&[0; 64])));
        let rewritten = blob.codec.encode(&again, secret).unwrap();
        if blob.codec.compression == super::compress::Compression::None {
            assert_eq!(rewritten, stored, "{what}");
        }
        let reread = blob.codec.decode(&rewritten, key, LIMIT).unwrap();
        assert_eq!(format!("{reread:?}"), format!("{value:?}"), "{what}");
        counts.identical += 1;
        value
    }

    /// Wherever a read of an object breaks off, the beginning says how much it needs, or shows what the
    /// whole object shows.
    fn cuts(&self, object: &[u8], what: &str, counts: &mut Counts) {
        let glance = |end: usize| file::glance(&object[..end], self.key.as_ref());
        let value_at = Header::read(object).unwrap().value_at();
        let whole = glance(object.len()).unwrap();
        assert!(matches!(whole, Glanced::All(_)), "{what}");
        for end in 0..=object.len().min(value_at as usize + 2) {
            match end as u64 {
                0..20 => assert!(glance(end).is_err(), "{what}: {end}"),
                at if at < value_at => {
                    assert_eq!(glance(end), Ok(Glanced::Needs(value_at)), "{what}: {end}");
                }
                _ => assert_eq!(glance(end).as_ref(), Ok(&whole), "{what}: {end}"),
            }
            counts.cuts += 1;
        }
    }

    fn entry(&self, entry: &Json, counts: &mut Counts) {
        let text = |name: &str| entry[name].as_str();
        let key_text = text("key_edn").unwrap_or("(no key)");
        let what = format!("{} {key_text}", self.folder);
        let Some(file) = text("file") else {
            let reason = text("write_error").or(text("note"));
            let reason = reason.expect("an entry without an object says why");
            return counts.skipped.push(format!("{key_text} ({reason})"));
        };
        let path = folder().join(self.folder).join(file);
        let bytes =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let blob = Blob::read(&bytes).unwrap();
        let header = Header::read(&bytes).unwrap();
        assert_eq!(header.write(), bytes[..20], "{what}");
        assert_eq!(blob.write().unwrap(), bytes, "{what}");

        self.cuts(&bytes, &what, counts);
        let metadata = self.part(&blob, blob.metadata, &format!("{what} metadata"), counts);
        let (actual, expected) = match from_manifest(text("meta_edn").unwrap()) {
            Some(expected) => (metadata.clone(), expected),
            None => {
                let key = metadata.get(&Value::keyword("key")).unwrap();
                (key.clone(), from_manifest(key_text).unwrap())
            }
        };
        assert!(Same(&actual) == Same(&expected), "{what}: {actual:?}");
        counts.metadata += 1;
        let metadata = Metadata::from_value(metadata).unwrap();
        assert!(metadata.last_write().is_some(), "{what}");
        let name = hasch::uuid(metadata.key()).unwrap().to_string();
        let object = text("object_key").unwrap();
        match object.contains(&format!("_{name}.ksv")) {
            true => counts.names += 1,
            false => counts.other_names.push(key_text.to_owned()),
        }

        let sha = text("binary_sha256");
        if metadata.kind() == Some(Kind::Binary) || sha.is_some() {
            let digest = hex::encode(Sha256::digest(blob.value));
            assert_eq!(Some(digest.as_str()), sha, "{what}");
            counts.binary += 1;
            return;
        }
        if let Some(reason) = text("read_error") {
            return counts
                .skipped
                .push(format!("{key_text} (konserve: {reason})"));
        }
        if text("op") == Some("bassoc-over-edn") {
            let decoded = blob.codec.decode(blob.value, self.key.as_ref(), LIMIT);
            assert!(decoded.is_err(), "{what}: {decoded:?}");
            let reason = "raw bytes under the type of a value: refused, as it must be";
            return counts.skipped.push(format!("{key_text} ({reason})"));
        }
        let value = self.part(&blob, blob.value, &what, counts);
        counts.values += 1;
        let readable = text("value_read_edn").or(text("value_edn"));
        match readable.and_then(from_manifest) {
            Some(expected) => {
                let same = Same(&value) == Same(&expected) || key_text == ":v/nan";
                assert!(same, "{what}: {value:?}\n{expected:?}");
                counts.compared += 1;
            }
            // Of long texts the manifest has the hash, and maps may be in another order.
            None => {
                let printed = hex::encode(Sha256::digest(edn::print_line(&value)));
                match text("value_edn_utf8_sha256") == Some(&printed) {
                    true => counts.compared += 1,
                    false => counts.uncompared.push(key_text.to_owned()),
                }
            }
        }
    }
}

fn check(stores: &[&'static str], at_least: usize) -> BTreeMap<&'static str, Counts> {
    let mut all = BTreeMap::new();
    for folder in stores {
        let manifest = json(&format!("{folder}/manifest.json"));
        let key = manifest["store"]["aes_key_edn"]
            .as_str()
            .map(|key| EncryptionKey::new(edn::read(key).unwrap()).unwrap());
        let store = Store { folder, key };
        let mut counts = Counts::default();
        for entry in manifest["entries"].as_array().unwrap() {
            store.entry(entry, &mut counts);
        }
        println!(
            "{folder}: {} metadata and {} values decoded, {} binary; {} values equal to konserve's \
             text (no text: {:?}); {} parts through text, {} re-encoded to the same bytes, {} \
             read-only; {} names are hashes (others: {:?}); skipped: {:?}",
            counts.metadata,
            counts.values,
            counts.binary,
            counts.compared,
            counts.uncompared,
            counts.through_text,
            counts.identical,
            counts.read_only,
            counts.names,
            counts.other_names,
            counts.skipped,
        );
        all.insert(*folder, counts);
    }
    let sum = |of: fn(&Counts) -> usize| all.values().map(of).sum::<usize>();
    // A fixture that got lost must not go unnoticed.
    assert!(sum(|c| c.through_text) >= at_least);
    println!(
        "in all: {} parts decoded, {} re-encoded to the same bytes, {} read-only, {} values \
         compared, {} binary, {} skipped; {} beginnings",
        sum(|c| c.through_text),
        sum(|c| c.identical),
        sum(|c| c.read_only),
        sum(|c| c.compared),
        sum(|c| c.binary),
        sum(|c| c.skipped.len()),
        sum(|c| c.cuts),
    );
    all
}

#[test]
fn fressian_objects_of_konserve_are_read_and_written_to_the_same_bytes() {
    let all = check(
        &[
            "fressian-keys",
            "fressian-values",
            "fressian-rmw",
            "fressian-appendlog",
            "fressian-custom-tag",
            "fressian-inplace-false",
            "string-store-id",
            "legacy-plain-0.9.363",
            "fressian-lz4",
            "fressian-zstd",
            "fressian-aes",
            "fressian-lz4-aes",
            "legacy-lz4-0.9.363",
        ],
        601,
    );
    for counts in all.values() {
        assert_eq!(counts.identical, counts.metadata + counts.values);
    }
}

#[test]
fn cbor_objects_of_konserve_are_read() {
    for counts in check(&["boring", "boring-zstd", "cbor"], 165).values() {
        assert_eq!(counts.read_only, counts.metadata + counts.values);
    }
}

#[test]
fn the_hashes_are_those_of_hasch() {
    let (mut same, mut refused, mut skipped) = (0, 0, Vec::new());
    let vectors = json("hasch-vectors.json");
    for vector in vectors.as_array().unwrap() {
        let text = vector["edn"].as_str().unwrap();
        let class = vector["class"].as_str().unwrap();
        let Some(value) = from_manifest(text) else {
            skipped.push(text);
            continue;
        };
        let value = match (class, value) {
            ("java.lang.Short" | "java.lang.Byte", _) => {
                skipped.push(class);
                continue;
            }
            ("java.lang.Float", Value::Double(d)) => Value::Float(d as f32),
            ("java.util.ArrayList", Value::Vector(items)) => Value::JavaList(items),
            (_, value) => value,
        };
        let Some(uuid) = vector["uuid"].as_str() else {
            assert!(
                vector["error"].is_string() && hasch::hash(&value).is_err(),
                "{text}"
            );
            refused += 1;
            continue;
        };
        assert_eq!(
            hasch::uuid(&value).unwrap().to_string(),
            uuid,
            "{class} {text}"
        );
        let hash = hex::encode(hasch::hash(&value).unwrap());
        assert_eq!(Some(hash.as_str()), vector["sha512"].as_str(), "{text}");
        same += 1;
    }
    println!(
        "hasch: {same} vectors the same, {refused} refused as hasch does, skipped: {skipped:?}"
    );
    assert!(same >= 150);
}
