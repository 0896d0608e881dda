//! The table of `docs/permissions.md`: with the actions of its row, and no others, each feature works,
//! and it uses every one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Seek as _, Write as _};
use std::process::Command;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

use super::actions;
use crate::world::client::REGION;
use crate::world::mounts::{self, Mount};
use crate::world::procs::Script;
use crate::world::proxy::policy::is_unconditional;
use crate::world::proxy::{Fault, Proxy, When};
use crate::world::servers::{self, Bucket, Kind};

const DOCUMENT: &str = include_str!("../../../docs/permissions.md");

/// The rows between the headings: a feature's name, and its actions.
fn table() -> BTreeMap<String, BTreeSet<String>> {
    let (_, rest) = DOCUMENT.split_once("\n|---|---|\n").expect("a table");
    rest.lines()
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split('|').collect();
            let ticked = cells[1].split('`').filter(|word| word.starts_with("s3:"));
            (
                cells[0].trim().to_owned(),
                ticked.map(str::to_owned).collect(),
            )
        })
        .collect()
}

/// A bucket behind a proxy that lets pass what some actions allow, and notes which were needed.
struct Allowed {
    bucket: Bucket,
    proxy: Proxy,
    used: Arc<Mutex<BTreeSet<String>>>,
}

impl Allowed {
    fn only(actions_allowed: BTreeSet<String>, kind: Kind) -> Result<Self, String> {
        let bucket = servers::shared(kind)?.bucket();
        let proxy = Proxy::to(&bucket.endpoint);
        let used = Arc::new(Mutex::new(BTreeSet::new()));
        let noting = Arc::clone(&used);
        let forbidden = When::any().and(move |request| {
            let needed = actions(request);
            let mut used = noting.lock().unwrap();
            used.extend(needed.iter().map(|&action| action.to_owned()));
            let mut needed = needed.iter();
            let is_allowed = needed.all(|&action| actions_allowed.contains(action));
            // And the bucket demands conditions, as the second policy of the document does.
            !is_allowed || is_unconditional(request)
        });
        proxy.inject(forbidden, Fault::access_denied());
        Ok(Self {
            bucket,
            proxy,
            used,
        })
    }

    fn mount(&self) -> Mount {
        Mount::of(&self.bucket).through(&self.proxy)
    }

    /// Runs `etagfs`, which must succeed; what it printed.
    fn etagfs(&self, arguments: &[&str]) -> String {
        let endpoint = self.proxy.endpoint();
        self.run(&[arguments, &["--endpoint-url", &endpoint]].concat())
    }

    fn run(&self, arguments: &[&str]) -> String {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> String {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(input.as_bytes()).unwrap();
        file.rewind().unwrap();
        let out = Command::new(env!("CARGO_BIN_EXE_etagfs"))
            .args(arguments)
            .stdin(file)
            .env("AWS_ACCESS_KEY_ID", &self.bucket.keys.id)
            .env("AWS_SECRET_ACCESS_KEY", &self.bucket.keys.secret)
            .env("AWS_REGION", REGION)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success(), "{arguments:?}: {said}");
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn source(&self) -> String {
        format!("s3://{}", self.bucket.name)
    }
}

const UUID: &str = "0c4d4a2c-3f5b-4d7c-9a56-2f3a5a2f6d10";

/// Everything that one does with files.
const EVERYTHING: &str = "\
set -e
echo one > new; echo two > new; echo three >> new; cat new old; ls -l
mv new newer; sed -i s/three/four/ newer; mkdir dir; echo x > dir/x; rm dir/x; rmdir dir
setfattr -n user.meta.owner -v ann newer; getfattr -d newer; touch newer; rm newer; : > empty
";

fn mount_read_only(allowed: &Allowed) {
    let other = allowed.bucket.client();
    other.put("old", "old");
    let mount = allowed.mount().flat().read_only().start();
    let script = "set -e; cat old; ls -l; getfattr -d old";
    Script::dash(script).within(mount.path()).run().ok();
    assert!(fs::read(mount.file("missing")).is_err());
    mount.unmount();
}

fn mount_to_write(allowed: &Allowed) {
    allowed.bucket.client().put("old", "old");
    let mount = allowed.mount().flat().start();
    Script::dash(EVERYTHING).within(mount.path()).run().ok();
    mount.unmount();
}

fn mount_with_tags(allowed: &Allowed) {
    let other = allowed.bucket.client();
    let request = other.sdk().put_object().bucket(other.bucket()).key("old");
    other.block_on(request.tagging("team=blue").send()).unwrap();
    let mount = allowed.mount().flat().start();
    Script::dash("set -e; cat old; echo one > old; mv old new; echo two >> new; rm new")
        .within(mount.path())
        .run()
        .ok();
    mount.unmount();
}

fn mount_with_an_acl(allowed: &Allowed) {
    let mount = allowed.mount().flat().arg("--acl=private").start();
    Script::dash("set -e; echo one > new; cat new; rm new")
        .within(mount.path())
        .run()
        .ok();
    mount.unmount();
}

fn mount_konserve(allowed: &Allowed) {
    let store = [
        "stores",
        "create",
        &allowed.source(),
        UUID,
        "--layout",
        "konserve",
    ];
    allowed.etagfs(&store);
    let mount = allowed.mount().store(UUID).start();
    Script::dash("set -e; echo '{:a 1}' > :key; cat :key; ls; rm :key")
        .within(mount.path())
        .run()
        .ok();
    mount.unmount();
}

fn probe(allowed: &Allowed) {
    let said = allowed.etagfs(&["probe", &allowed.source()]);
    assert!(said.contains("safe to write"), "{said}");
}

fn stores_ls(allowed: &Allowed) {
    allowed.bucket.client().put(&format!("{UUID}/key"), "x");
    let said = allowed.etagfs(&["stores", "ls", &allowed.source()]);
    assert!(said.contains(UUID));
    allowed.etagfs(&["stores", "exists", &allowed.source(), UUID]);
}

fn stores_create(allowed: &Allowed) {
    let made = allowed.etagfs(&["stores", "create", &allowed.source()]);
    assert_eq!(made.len(), UUID.len());
}

fn stores_rm(allowed: &Allowed) {
    let other = allowed.bucket.client();
    other.put(&format!("{UUID}/"), "");
    allowed.etagfs(&["stores", "rm", &allowed.source(), UUID]);
    other.put(&format!("{UUID}/a"), "x");
    other.put(&format!("{UUID}/b/c"), "x");
    allowed.etagfs(&["stores", "rm", "--recursive", &allowed.source(), UUID]);
    assert!(other.keys().is_empty());
}

/// The URL of a key.
fn url(allowed: &Allowed, key: &str) -> String {
    format!("{}/{UUID}/{key}", allowed.source())
}

fn kv_reads(allowed: &Allowed) {
    let other = allowed.bucket.client();
    other.put(&format!("{UUID}/key"), "value");
    let key = url(allowed, "key");
    assert_eq!(allowed.etagfs(&["get", &key]), "value");
    assert_eq!(allowed.etagfs(&["log", &key]), "value");
    assert!(allowed.etagfs(&["stat", &key]).contains("5"));
    allowed.etagfs(&["cp", &key, "-"]);
    assert!(allowed.etagfs(&["ls", &allowed.source()]).contains(UUID));
}

fn kv_writes(allowed: &Allowed) {
    let other = allowed.bucket.client();
    other.put(&format!("{UUID}/"), "");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "value").unwrap();
    let file = file.path().to_str().unwrap();
    let key = url(allowed, "key");
    allowed.etagfs(&["create", &key, file]);
    let etag = other.head(&format!("{UUID}/key")).unwrap().etag;
    allowed.etagfs(&["put", "--if-match", &etag, &key, file]);
    allowed.etagfs(&["put", &key, file]);
    allowed.etagfs(&["append", &key, file]);
    allowed.etagfs(&["cp", file, &url(allowed, "copy")]);
    allowed.etagfs(&["cp", &url(allowed, "copy"), &url(allowed, "another")]);
}

fn kv_update(allowed: &Allowed) {
    allowed.bucket.client().put(&format!("{UUID}/key"), "a");
    // Its options end where the command begins.
    let endpoint = allowed.proxy.endpoint();
    let key = url(allowed, "key");
    let words = [
        "update",
        "--endpoint-url",
        &endpoint,
        &key,
        "--",
        "tr",
        "a",
        "b",
    ];
    allowed.run(&words);
    assert_eq!(allowed.bucket.client().text(&format!("{UUID}/key")), "b");
}

fn kv_removes(allowed: &Allowed) {
    let other = allowed.bucket.client();
    other.put(&format!("{UUID}/a"), "x");
    other.put(&format!("{UUID}/b"), "x");
    allowed.etagfs(&["mv", &url(allowed, "a"), &url(allowed, "c")]);
    allowed.etagfs(&["rm", &url(allowed, "b"), &url(allowed, "c")]);
    assert!(other.keys().is_empty());
}

fn kv_reads_many(allowed: &Allowed) {
    let other = allowed.bucket.client();
    other.put(&format!("{UUID}/a"), "x");
    other.put(&format!("{UUID}/b"), "y");
    let (a, b) = (url(allowed, "a"), url(allowed, "b"));
    assert_eq!(allowed.etagfs(&["mget", &a, &b]).lines().count(), 2);
    let told = allowed.etagfs(&["watch", &url(allowed, ""), "--initial", "--count", "2"]);
    assert_eq!(told.lines().count(), 2);
}

fn kv_writes_many(allowed: &Allowed) {
    let other = allowed.bucket.client();
    other.put(&format!("{UUID}/"), "");
    let store = url(allowed, "");
    let endpoint = allowed.proxy.endpoint();
    let lines = "{\"key\":\"a\",\"value\":\"x\"}\n{\"key\":\"b\",\"value\":\"y\"}\n";
    let words = ["mput", "--in", &store, "--endpoint-url", &endpoint];
    allowed.run_with(&words, lines);
    allowed.run_with(&words, lines);
    assert_eq!(other.text(&format!("{UUID}/b")), "y");
    allowed.etagfs(&["mrm", "--in", &store, "a", "b"]);
    assert_eq!(other.keys(), [format!("{UUID}/")]);
}

fn kv_versions(allowed: &Allowed) {
    let other = allowed.bucket.client();
    let enabled = VersioningConfiguration::builder()
        .status(BucketVersioningStatus::Enabled)
        .build();
    let request = other.sdk().put_bucket_versioning();
    let request = request.bucket(&allowed.bucket.name);
    other
        .block_on(request.versioning_configuration(enabled).send())
        .unwrap();
    other.put(&format!("{UUID}/key"), "old");
    other.put(&format!("{UUID}/key"), "new");
    let key = url(allowed, "key");
    let told = allowed.etagfs(&["versions", "--json", &key]);
    let oldest: serde_json::Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let id = oldest["version_id"].as_str().unwrap();
    assert_eq!(allowed.etagfs(&["get", "--version", id, &key]), "old");
}

fn kv_presign(allowed: &Allowed) {
    allowed.bucket.client().put(&format!("{UUID}/key"), "x");
    let address = allowed.etagfs(&["presign", &url(allowed, "key")]);
    assert!(address.contains("X-Amz-Signature"), "{address}");
}

fn stores_copy(allowed: &Allowed) {
    let other = allowed.bucket.client();
    other.put(&format!("{UUID}/a"), "x");
    other.put(&format!("{UUID}/b/c"), "y");
    let copy = UUID.replace("6d10", "6d11");
    let (from, to) = (url(allowed, ""), format!("{}/{copy}", allowed.source()));
    allowed.etagfs(&["stores", "copy", from.trim_end_matches('/'), &to]);
    assert_eq!(other.text(&format!("{copy}/b/c")), "y");
}

fn buckets(allowed: &Allowed) {
    let source = format!("s3://{}", servers::random_name("made"));
    allowed.etagfs(&["bucket", "create", &source]);
    allowed.etagfs(&["bucket", "rm", &source]);
}

/// A row's name, and what it means.
type Feature = (&'static str, fn(&Allowed));

const FEATURES: [Feature; 19] = [
    ("`etagfs mount --read-only`", mount_read_only),
    ("`etagfs mount`", mount_to_write),
    ("`etagfs mount`, stores of konserve", mount_konserve),
    ("`etagfs mount`, keys with tags", mount_with_tags),
    ("`etagfs mount --acl`", mount_with_an_acl),
    ("`etagfs probe`", probe),
    ("`etagfs stores ls`, `stores exists`", stores_ls),
    ("`etagfs stores create`", stores_create),
    ("`etagfs stores rm`", stores_rm),
    ("`etagfs get`, `stat`, `log`, `ls`", kv_reads),
    ("`etagfs put`, `create`, `append`, `cp`", kv_writes),
    ("`etagfs update` of a key that exists", kv_update),
    ("`etagfs rm`, `mv` of keys that exist", kv_removes),
    ("`etagfs mget`, `watch`", kv_reads_many),
    ("`etagfs mput`, `mrm`", kv_writes_many),
    ("`etagfs versions`, `get --version`", kv_versions),
    ("`etagfs presign`", kv_presign),
    ("`etagfs stores copy`", stores_copy),
    ("`etagfs bucket create`, `bucket rm`", buckets),
];

#[test]
fn each_feature_needs_what_the_table_says_and_no_more() {
    or_skip!(mounts::possible());
    let table = table();
    let mut rows: BTreeSet<_> = table.keys().cloned().collect();
    for (name, feature) in FEATURES {
        let row = table
            .get(name)
            .unwrap_or_else(|| panic!("docs/permissions.md has no row {name:?}"));
        rows.remove(name);
        // The only one here that keeps versions.
        let kind = match name.contains("versions") {
            true => Kind::Ministack,
            false => Kind::Embedded,
        };
        let allowed = or_skip!(Allowed::only(row.clone(), kind));
        feature(&allowed);
        let used = allowed.used.lock().unwrap().clone();
        assert_eq!(used, *row, "{name}: what was used, and what the table says");
    }
    assert!(rows.is_empty(), "nothing is known of these rows: {rows:?}");
}

#[test]
fn with_a_prefix_nothing_outside_of_it_is_asked_for() {
    or_skip!(mounts::possible());
    let row = table()["`etagfs mount`"].clone();
    let allowed = or_skip!(Allowed::only(row, Kind::Embedded));
    allowed.bucket.client().put("part/old", "old");
    let mount = allowed.mount().prefix("part").flat().start();
    Script::dash(EVERYTHING).within(mount.path()).run().ok();
    mount.unmount();
    for request in allowed.proxy.log().0 {
        let at = request.parameter("prefix").unwrap_or(&request.key);
        assert!(at.starts_with("part/"), "{request}");
    }
}

#[test]
fn the_policies_of_the_document_are_json_and_name_only_actions_of_the_table() {
    let known: BTreeSet<String> = table().into_values().flatten().collect();
    let blocks: Vec<_> = DOCUMENT.split("```json\n").skip(1).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let (text, _) = block.split_once("```").unwrap();
        let policy: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(policy["Version"], "2012-10-17");
        for statement in policy["Statement"].as_array().unwrap() {
            let actions = match &statement["Action"] {
                serde_json::Value::Array(all) => all.clone(),
                one => vec![one.clone()],
            };
            for action in actions {
                let action = action.as_str().unwrap();
                assert!(known.contains(action), "{action}");
            }
        }
    }
}
