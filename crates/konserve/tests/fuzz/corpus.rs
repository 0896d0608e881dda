//! What the mutations begin with: the objects of `fixtures`, and their parts.

use std::path::{Path, PathBuf};

use konserve_codec::blob::Blob;
use serde_json::Value as Json;

/// Larger seeds make few rounds.
const LARGEST: usize = 16 << 10;

/// Inputs to begin with.
#[derive(Clone)]
pub(crate) struct Corpus(pub(crate) Vec<Vec<u8>>);

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "fixtures"].iter().collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

fn of(ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&folder(), &mut found);
    found.retain(|path| path.to_string_lossy().ends_with(ending));
    found.sort();
    found
}

fn texts_in(json: &Json, texts: &mut Vec<Vec<u8>>) {
    match json {
        Json::String(text) => texts.push(text.clone().into_bytes()),
        Json::Array(items) => items.iter().for_each(|item| texts_in(item, texts)),
        Json::Object(entries) => entries.values().for_each(|item| texts_in(item, texts)),
        _ => {}
    }
}

impl Corpus {
    fn new(mut seeds: Vec<Vec<u8>>) -> Self {
        seeds.retain(|seed| seed.len() <= LARGEST);
        assert!(seeds.len() > 10, "{} seeds", seeds.len());
        Self(seeds)
    }

    /// With the seeds of another one.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whole objects.
    pub(crate) fn objects() -> Self {
        let read = |path| std::fs::read(path).unwrap();
        Self::new(of(".ksv").into_iter().map(read).collect())
    }

    /// Metadata and values of objects that fit.
    fn parts(fits: impl Fn(&[u8]) -> bool) -> Self {
        let mut parts = Vec::new();
        for object in Self::objects().0.iter().filter(|object| fits(object)) {
            let blob = Blob::read(object).unwrap();
            parts.extend([blob.metadata.to_vec(), blob.value.to_vec()]);
        }
        Self::new(parts)
    }

    /// Values of a serializer, by its byte, neither compressed nor encrypted.
    pub(crate) fn values(serializer: u8) -> Self {
        Self::parts(|object| object[1..4] == [serializer, 0, 0])
    }

    /// Compressed parts.
    pub(crate) fn frames() -> Self {
        Self::parts(|object| object[2] != 0 && object[3] == 0)
    }

    /// Encrypted parts.
    pub(crate) fn ciphertexts() -> Self {
        Self::parts(|object| object[3] == 1)
    }

    /// All texts of the manifests: keys and values in EDN, and some that are neither.
    pub(crate) fn texts() -> Self {
        let mut texts = Vec::new();
        for path in of("manifest.json") {
            let json = std::fs::read(path).unwrap();
            texts_in(&serde_json::from_slice(&json).unwrap(), &mut texts);
        }
        texts.sort();
        texts.dedup();
        Self::new(texts)
    }
}
