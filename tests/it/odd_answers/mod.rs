//! Servers as they are, and as they might be: answers without an end and without a length, listings that
//! lost a part or name what nobody asked for, servers below a path and buckets that are elsewhere. Each is
//! a fault of the proxy, and each meets a mount, an edit, a listing, a removal and the commands.

mod endless;
mod endpoints;
mod lengths;
mod listings;
mod long_keys;

use std::fs;
use std::io;

use bytes::Bytes;
use rustix::io::Errno;
use tempfile::TempDir;

use crate::world::cli;
use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Output;
use crate::world::proxy::Proxy;
use crate::world::servers::{self, Bucket, Kind};

/// Values up to this size are read whole.
const INLINE: usize = 64 << 10;

/// A bucket behind a proxy, and a store in it.
struct World {
    other: Client,
    proxy: Proxy,
    bucket: Bucket,
    /// The server itself.
    direct: String,
    state: TempDir,
    store: String,
}

impl World {
    fn new() -> Result<Self, String> {
        mounts::possible()?;
        let direct = servers::shared(Kind::Embedded)?.bucket();
        let proxy = Proxy::to(&direct.endpoint);
        let world = Self {
            other: direct.client(),
            direct: direct.endpoint.clone(),
            bucket: Bucket {
                endpoint: proxy.endpoint(),
                ..direct
            },
            proxy,
            state: tempfile::tempdir().unwrap(),
            store: uuid::Uuid::new_v4().to_string(),
        };
        world.put("key", "value");
        Ok(world)
    }

    /// The name of a key's object.
    fn object(&self, key: &str) -> String {
        format!("{}/{key}", self.store)
    }

    /// Somebody else saves a key.
    fn put(&self, key: &str, value: impl Into<Bytes>) {
        self.other.put(&self.object(key), value);
    }

    /// A mount of the store.
    fn mount(&self) -> Mount {
        Mount::of(&self.bucket)
            .through(&self.proxy)
            .store(&self.store)
            .args(&["--deadline=4", "--ttl=0"])
            .arg(format!("--inline-limit={INLINE}"))
    }

    /// Runs a script in which `$S` is the store and `$B` the bucket, in a directory for its files.
    fn run(&self, text: &str) -> Output {
        let bucket = format!("s3://{}", self.bucket.name);
        cli::script(&self.bucket, self.state.path(), text)
            .within(self.state.path())
            .env("ETAGFS_DEADLINE", "4")
            .env("S", format!("{bucket}/{}", self.store))
            .env("STORE", &self.store)
            .env("B", bucket)
            .run()
    }

    /// What a script that must succeed prints.
    #[track_caller]
    fn says(&self, text: &str) -> String {
        let out = self.run(text).ok();
        assert_eq!(out.stderr, "", "{out:#?}");
        out.stdout
    }
}

/// The most memory that a mount had so far, in KiB.
fn peak(mount: &Mounted) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", mount.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.unwrap().trim().trim_end_matches(" kB");
    peak.parse().unwrap()
}

/// What a call came to: its result, or the errno.
fn came_to<T>(result: io::Result<T>) -> Result<T, Errno> {
    result.map_err(|error| Errno::from_raw_os_error(error.raw_os_error().unwrap_or(0)))
}

/// All names of a directory, in order.
fn names(mount: &Mounted) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in came_to(fs::read_dir(mount.path()))? {
        names.push(came_to(entry)?.file_name().into_string().unwrap());
    }
    names.sort();
    Ok(names)
}
