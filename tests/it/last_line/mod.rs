//! Rescue is the last line: what is left of a save that did not happen, when the disk is full, the
//! descriptors are used up, the daemon is killed, or somebody has put something into the state directory.
//! That a refused save is rescued at all is seen everywhere else.

mod bounds;
mod descriptors;
mod durable;
mod full_disk;
mod kills;
mod many;
mod odd;
mod state_dirs;
mod temporaries;

use std::fs;
use std::path::Path;

use crate::world::attempts::attempt;
use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Output;
use crate::world::servers::{self, Bucket, Kind};
use crate::world::{cli, wait};

/// A bucket, and the other machine.
struct Ground {
    bucket: Bucket,
    other: Client,
}

impl Ground {
    fn new() -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        Ok(Self {
            other: bucket.client(),
            bucket,
        })
    }

    /// A mount that keeps there what it keeps on this machine.
    fn mount(&self, state_dir: &Path) -> Mount {
        Mount::of(&self.bucket).flat().state_dir(state_dir)
    }

    /// `etagfs ARGUMENTS`, with this state directory.
    fn etagfs(&self, state_dir: &Path, arguments: &str) -> Output {
        cli::script(&self.bucket, state_dir, &format!("exec etagfs {arguments}")).run()
    }
}

/// Somebody writes `text` to a key, and is refused, since another process on this machine saves it first.
#[track_caller]
fn lose(mount: &Mounted, key: &str, text: &str) {
    let script = format!(
        "f = os.open({key:?}, os.O_RDWR)
os.truncate(f, 0)
os.write(f, {text:?}.encode())
t = os.open({key:?}, os.O_WRONLY | os.O_TRUNC)
os.write(t, ('not ' + {text:?}).encode())
os.fsync(t)
os.close(t)
os.close(f)"
    );
    assert_eq!(attempt(mount.path(), &script), "EAGAIN");
}

/// What one of the mount's own files says.
fn own(mount: &Mounted, name: &str) -> String {
    fs::read_to_string(mount.file(".etagfs").join(name)).unwrap()
}

fn status(mount: &Mounted) -> serde_json::Value {
    serde_json::from_str(&own(mount, "status")).unwrap()
}

/// The value of a metric, as it stands in its line.
#[track_caller]
fn metric(mount: &Mounted, name: &str) -> u64 {
    let text = own(mount, "stats");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.unwrap_or_else(|| panic!("{name} is not in {text}"));
    value.trim().parse().unwrap()
}

/// Where the bytes of the latest losses are, as `conflicts` says.
fn kept(mount: &Mounted) -> Vec<String> {
    let text = own(mount, "conflicts");
    let place = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["kept"].as_str().map(str::to_owned)
    };
    text.lines().filter_map(place).collect()
}

/// The bytes that `.etagfs/rescue` shows, oldest first.
fn shown(mount: &Mounted) -> Vec<String> {
    let dir = mount.file(".etagfs/rescue");
    let entries = fs::read_dir(&dir).unwrap();
    let mut names: Vec<_> = entries.map(|one| one.unwrap().file_name()).collect();
    names.sort();
    let read = |name| fs::read_to_string(dir.join(name)).unwrap();
    names.into_iter().map(read).collect()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
