//! The objects that the real konserve wrote, from `crates/konserve/fixtures`, put into a bucket.

use std::path::PathBuf;

use konserve_codec::{Value, edn};
use serde_json::Value as Json;

use crate::world::client::Client;

/// The stores of the fixtures that are named by a UUID: folder by folder.
pub(super) const STORES: [&str; 15] = [
    "boring",
    "boring-zstd",
    "cbor",
    "fressian-aes",
    "fressian-appendlog",
    "fressian-custom-tag",
    "fressian-inplace-false",
    "fressian-keys",
    "fressian-lz4",
    "fressian-lz4-aes",
    "fressian-rmw",
    "fressian-values",
    "fressian-zstd",
    "legacy-lz4-0.9.363",
    "legacy-plain-0.9.363",
];

/// One store of the fixtures.
pub(super) struct Store {
    pub(super) folder: &'static str,
    pub(super) id: String,
    /// EDN.
    pub(super) encryption_key: Option<String>,
    pub(super) entries: Vec<Entry>,
}

/// One object of a store, or an attempt to write one.
pub(super) struct Entry {
    pub(super) json: Json,
    /// Name in the bucket, and bytes; none if konserve refused, or the repository leaves it out.
    pub(super) object: Option<(String, Vec<u8>)>,
}

impl Entry {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.json[name].as_str()
    }
}

fn folder(name: &str) -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "crates",
        "konserve",
        "fixtures",
        name,
    ]
    .iter()
    .collect()
}

impl Store {
    pub(super) fn load(name: &'static str) -> Self {
        let folder = folder(name);
        let text = std::fs::read(folder.join("manifest.json")).unwrap();
        let manifest: Json = serde_json::from_slice(&text).unwrap();
        let entries = manifest["entries"].as_array().unwrap().iter().map(|entry| {
            let bytes = entry["file"]
                .as_str()
                .map(|file| std::fs::read(folder.join(file)).unwrap());
            let name = entry["object_key"].as_str().map(str::to_owned);
            Entry {
                json: entry.clone(),
                object: name.zip(bytes),
            }
        });
        Self {
            folder: name,
            id: manifest["store"]["id"].as_str().unwrap().to_owned(),
            encryption_key: manifest["store"]["aes_key_edn"].as_str().map(str::to_owned),
            entries: entries.collect(),
        }
    }

    /// Puts all objects and the marker into a bucket.
    pub(super) fn fill(&self, bucket: &Client) {
        bucket.put(&format!("{}_.konserve-metadata", self.id), "konserve");
        for (name, bytes) in self
            .entries
            .iter()
            .filter_map(|entry| entry.object.as_ref())
        {
            bucket.put(name, bytes.clone());
        }
    }
}

/// The value that a manifest's EDN says, if our EDN can say it too.
pub(super) fn manifest_value(text: &str) -> Option<Value> {
    let plain = !["#fixture/", "#object", "#\"", "IncognitoTagged", "#boring"]
        .iter()
        .any(|unlike| text.contains(unlike));
    plain.then(|| edn::read(text).unwrap())
}

/// A value in a form that does not depend on the order of maps and sets and on the kinds of
/// sequences and integers, for comparing.
pub(super) fn canonical(value: &Value) -> String {
    let all = |items: &[Value]| items.iter().map(canonical).collect::<Vec<_>>();
    match value {
        Value::List(items) | Value::Vector(items) | Value::JavaList(items) => {
            format!("[{}]", all(items).join(" "))
        }
        Value::Set(items) => {
            let mut items = all(items);
            items.sort();
            format!("#{{{}}}", items.join(" "))
        }
        Value::Map(entries) => {
            let mut entries: Vec<_> = entries
                .iter()
                .map(|(k, v)| format!("{} {}", canonical(k), canonical(v)))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Value::BigInt(n) => n.to_string(),
        Value::Float(f) => edn::print_line(&Value::Double(f64::from(*f))),
        Value::Tagged(tagged) => format!("#{} {}", tagged.tag, canonical(&tagged.value)),
        value => edn::print_line(value),
    }
}
