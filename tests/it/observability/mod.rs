//! What a mount tells of itself: its numbers, its live access log, its log, its traces. Each test makes
//! something happen in a real mount, and reads what is told of it where users read it.

mod access;
#[cfg(feature = "otlp")]
mod collector;
mod fields;
mod hangup;
mod logs;
mod prometheus;
mod stats;
mod top;
#[cfg(feature = "otlp")]
mod traces;

use std::fs::{self, File};
use std::io::{ErrorKind, Write};

use crate::world::counted::Counted;
use crate::world::mounts::Mounted;

/// A mount of the objects of a new bucket, with a proxy that counts.
fn ground() -> Result<Counted, String> {
    Counted::mount(|mount| mount.flat().arg("--ttl=0"))
}

/// One of the mount's own files.
fn own(mount: &Mounted, name: &str) -> String {
    fs::read_to_string(mount.file(".etagfs").join(name)).unwrap()
}

/// A sample of the exposition; 0 if there is none.
fn sample(mount: &Mounted, series: &str) -> f64 {
    let text = own(mount, "stats");
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// Saves over a key that somebody else has saved meanwhile.
fn lose_a_race(ground: &Counted, key: &str) {
    ground.other.put(key, "old");
    let mut file = File::options()
        .read(true)
        .write(true)
        .open(ground.mount.file(key))
        .unwrap();
    file.write_all(b"mine").unwrap();
    ground.other.put(key, "theirs");
    let lost = file.sync_all().unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::WouldBlock, "{lost}");
}
