//! What the real library wrote, read through a mount.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use konserve_codec::aes::EncryptionKey;
use konserve_codec::blob::Blob;
use konserve_codec::metadata::{Kind, Metadata};
use konserve_codec::name::Spelling;
use konserve_codec::{Value, edn};

use super::fixtures::{Entry, STORES, Store, canonical, manifest_value};
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::report;
use crate::world::servers::{self, Kind as Server};

const LIMIT: usize = 1 << 28;

#[derive(Default)]
struct Counts {
    listed: usize,
    text: usize,
    like_the_manifest: usize,
    binary: usize,
    logs: usize,
    raw: Vec<String>,
    hidden: usize,
    without_object: Vec<String>,
    /// What it is, the text of the file, the text of the manifest.
    texts: Vec<[String; 3]>,
}

/// A store of the fixtures, mounted.
struct Shown<'a> {
    store: &'a Store,
    mount: Mounted,
    secret: Option<EncryptionKey>,
    /// The names of its directory, by the object that each leads to.
    names: BTreeMap<String, String>,
}

impl Shown<'_> {
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.mount.file(&self.store.id).join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn check(&mut self, entry: &Entry, counts: &mut Counts) {
        let key = entry.text("key_edn").unwrap_or("(no key)").to_owned();
        let what = format!("{} {key}", self.store.folder);
        let Some((object, bytes)) = &entry.object else {
            let why = entry.text("write_error").or(entry.text("note"));
            let why = why.expect("an entry without an object says why");
            counts.without_object.push(format!("{what}: {why}"));
            return;
        };
        let object = object
            .rsplit('_')
            .next()
            .unwrap()
            .strip_suffix(".ksv")
            .unwrap();
        let blob = Blob::read(bytes).unwrap();
        let metadata = blob
            .codec
            .decode(blob.metadata, self.secret.as_ref(), LIMIT)
            .unwrap();
        let metadata = Metadata::from_value(metadata).unwrap();
        let own = konserve_codec::hasch::uuid(metadata.key())
            .unwrap()
            .to_string();
        if metadata.kind() == Some(Kind::AppendLog) && own != object {
            assert!(
                !self.names.contains_key(object),
                "{what} is an element and is listed"
            );
            counts.hidden += 1;
            return;
        }
        let Some(name) = self.names.remove(object) else {
            panic!("{what} is not listed: {:?}", self.names)
        };
        counts.listed += 1;
        let shown = self.read(&name);
        assert_eq!(
            fs::metadata(self.path(&name)).unwrap().len(),
            shown.len() as u64,
            "{what}"
        );
        if name.ends_with("%.raw") {
            assert_eq!(shown, blob.value, "{what}");
            counts.raw.push(what);
            return;
        }
        match metadata.kind() {
            Some(Kind::Binary) => {
                assert_eq!(shown, blob.value, "{what}");
                counts.binary += 1;
            }
            Some(Kind::AppendLog) => counts.logs += 1,
            _ => {
                let text = String::from_utf8(shown).unwrap();
                let value = edn::read(&text).unwrap_or_else(|error| panic!("{what}: {error}"));
                let stored = blob
                    .codec
                    .decode(blob.value, self.secret.as_ref(), LIMIT)
                    .unwrap();
                assert_eq!(format!("{value:?}"), format!("{stored:?}"), "{what}");
                counts.text += 1;
                let told = entry.text("value_read_edn").or(entry.text("value_edn"));
                if let Some(told) = told.and_then(manifest_value) {
                    assert_eq!(canonical(&value), canonical(&told), "{what}");
                    counts.like_the_manifest += 1;
                }
                // Clojure's printer writes these, its EDN reader does not read them.
                let is_edn = |told: &&str| !["#object", "#\""].iter().any(|no| told.contains(no));
                if let Some(told) = told.filter(is_edn) {
                    counts.texts.push([what, text, told.to_owned()]);
                }
            }
        }
    }
}

/// How many texts of files Clojure reads as the values that it reads in the manifests' texts.
fn read_by_clojure(texts: &[[String; 3]]) -> Result<usize, String> {
    if Script::bash("command -v clojure").run().code != Some(0) {
        return Err("clojure (Debian: clojure) is not installed".to_owned());
    }
    let strings =
        |texts: &[String; 3]| Value::Vector(texts.iter().map(|it| Value::string(it)).collect());
    let triples = Value::Vector(texts.iter().map(strings).collect());
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("triples"), edn::print_line(&triples)).unwrap();
    fs::write(place.path().join("agrees.clj"), include_str!("agrees.clj")).unwrap();
    let run = Script::bash("clojure agrees.clj < triples");
    let out = run.within(place.path()).run().ok().stdout;
    let (count, others) = out.split_once('\n').unwrap();
    assert_eq!(others, "", "Clojure reads another value");
    Ok(count.parse().unwrap())
}

/// The names of a directory, by the object that each leads to.
fn names(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let asked = Spelling::Bare.read(&name).unwrap();
            (asked.object.to_string(), name)
        })
        .collect()
}

#[test]
fn every_object_of_the_real_library_is_listed_and_readable_and_says_what_its_manifest_says() {
    or_skip!(mounts::possible());
    let mut counts = Counts::default();
    for folder in STORES {
        let store = Store::load(folder);
        let bucket = or_skip!(servers::shared(Server::Embedded)).bucket();
        store.fill(&bucket.client());
        let mut mount = Mount::of(&bucket).read_only();
        if let Some(key) = &store.encryption_key {
            mount = mount.env("ETAGFS_KONSERVE_KEY", key);
        }
        let mount = mount.start();
        let secret = store.encryption_key.as_ref();
        let mut shown = Shown {
            secret: secret.map(|key| EncryptionKey::new(edn::read(key).unwrap()).unwrap()),
            names: names(&mount.file(&store.id)),
            store: &store,
            mount,
        };
        for entry in &store.entries {
            shown.check(entry, &mut counts);
        }
        assert!(shown.names.is_empty(), "{folder}: {:?}", shown.names);
        let log = shown.mount.unmount();
        if let Some(key) = &store.encryption_key {
            assert!(
                !log.contains(key.trim_matches('"')),
                "the key is in the log"
            );
        }
    }
    let mut lines = vec![
        "string-store-id: not mounted, its store is not named by a UUID".to_owned(),
        "string, legacy-registry: no values".to_owned(),
        format!("{} keys listed and read", counts.listed),
        format!(
            "{} as text, {} of them compared with the manifest",
            counts.text, counts.like_the_manifest
        ),
        format!(
            "{} binary values, {} logs, {} hidden elements",
            counts.binary, counts.logs, counts.hidden
        ),
    ];
    lines.extend(counts.raw.iter().map(|what| format!("raw: {what}")));
    lines.extend(
        counts
            .without_object
            .iter()
            .map(|what| format!("no object: {what}")),
    );
    match read_by_clojure(&counts.texts) {
        Ok(count) => {
            assert_eq!(count, counts.texts.len());
            lines.push(format!("{count} texts read by Clojure, as the manifest's"));
            assert!(count > 300);
        }
        Err(why) => crate::world::skip::note(&format!("texts read by Clojure: {why}")),
    }
    report::write("konserve fixtures on a mount", &lines.join("\n"));
    assert!(
        counts.listed > 380 && counts.like_the_manifest > 300,
        "{}",
        lines.join("\n")
    );
}
