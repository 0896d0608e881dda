//! The key-value commands: on URLs (`values.rs`: one value; `conditions.rs`: exit codes of lost races;
//! `requests.rs`: what each command costs), on paths (`files.rs`), on konserve stores. The scripts are
//! what a user would write: `$S` is the URL of a store, `$B` that of its bucket.

mod below;
mod buckets;
mod conditions;
mod copies;
mod doubled;
mod files;
mod gateways;
mod many;
mod names;
mod options;
mod portals;
mod requests;
mod rescued;
mod signals;
mod updates;
mod values;
mod watching;

use tempfile::TempDir;

use crate::world::cli;
use crate::world::client::Client;
use crate::world::procs::{Output, Script};
use crate::world::proxy::Proxy;
use crate::world::servers::{self, Bucket, Kind};

/// A bucket with one empty store in it, and a proxy that counts.
struct Desk {
    /// The other machine.
    other: Client,
    bucket: Bucket,
    proxy: Proxy,
    state: TempDir,
    /// The name of the store.
    store: String,
}

impl Desk {
    /// On the embedded server.
    fn new() -> Result<Self, String> {
        Self::on(Kind::Embedded)
    }

    fn on(kind: Kind) -> Result<Self, String> {
        let direct = servers::shared(kind)?.bucket();
        let proxy = Proxy::to(&direct.endpoint);
        let desk = Self {
            other: direct.client(),
            bucket: Bucket {
                endpoint: proxy.endpoint(),
                ..direct
            },
            proxy,
            state: tempfile::tempdir().unwrap(),
            store: uuid::Uuid::new_v4().to_string(),
        };
        desk.other.put(&format!("{}/", desk.store), "");
        Ok(desk)
    }

    /// A script in which `etagfs` is the program, `$S` the store and `$B` the bucket.
    fn script(&self, text: &str) -> Script {
        let bucket = format!("s3://{}", self.bucket.name);
        cli::script(&self.bucket, self.state.path(), text)
            .env("S", format!("{bucket}/{}", self.store))
            .env("B", bucket)
    }

    fn run(&self, text: &str) -> Output {
        self.script(text).run()
    }

    /// What a script that must succeed prints.
    #[track_caller]
    fn says(&self, text: &str) -> String {
        let out = self.run(text).ok();
        assert_eq!(out.stderr, "", "{out:#?}");
        out.stdout
    }

    /// The name of a key's object.
    fn object(&self, key: &str) -> String {
        format!("{}/{key}", self.store)
    }
}

/// Asserts the exit code, and that standard error is a message and what to do next, which together
/// hold all these words.
#[track_caller]
fn fails(out: &Output, code: i32, words: &[&str]) {
    assert_eq!(out.code, Some(code), "{out:#?}");
    assert!(out.stderr.starts_with("etagfs: "), "{out:#?}");
    assert!(out.stderr.lines().count() >= 2, "{out:#?}");
    for word in words {
        assert!(out.stderr.contains(word), "{word:?} is not in {out:#?}");
    }
}
