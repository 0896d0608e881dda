//! `docs/semantics.md`, number by number: each test is named after a number, and its comment is the
//! sentence of the document that it holds true. One small case each, on a real mount; the other
//! modules try to break the same promises. `numbers.rs` makes sure that no number is forgotten.

mod alive;
mod names_and_results;
mod numbers;
mod reading;
mod room;
mod saving;
mod scratch;
mod shown;
mod view;

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::proxy::Proxy;
use crate::world::servers::{self, Bucket, Kind};

/// A bucket, a mount of it, and the other machine, which goes to the bucket by itself.
struct World {
    mount: Mounted,
    other: Client,
    proxy: Proxy,
    bucket: Bucket,
}

/// A world whose mount shows the objects themselves.
fn world() -> Result<World, String> {
    world_with(&["--flat"])
}

/// A world whose mount has these arguments.
fn world_with(arguments: &[&str]) -> Result<World, String> {
    mounts::possible()?;
    let bucket = servers::shared(Kind::Embedded)?.bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    let mount = arguments
        .iter()
        .fold(Mount::of(&bucket).through(&proxy), |mount, argument| {
            mount.arg(argument)
        });
    Ok(World {
        mount: mount.start(),
        other: bucket.client(),
        proxy,
        bucket,
    })
}

impl World {
    fn file(&self, name: &str) -> PathBuf {
        self.mount.file(name)
    }

    /// Runs a shell script at the root of the mount, as a process of its own; its standard output.
    fn sh(&self, script: &str) -> String {
        Script::dash(script)
            .within(self.mount.path())
            .run()
            .ok()
            .stdout
    }

    /// Runs a Python script at the root of the mount; its standard output.
    fn python(&self, script: &str) -> String {
        Script::python(script)
            .within(self.mount.path())
            .run()
            .ok()
            .stdout
    }

    /// The names in a directory, sorted.
    fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.file(directory)).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// How many rescues there are.
    fn rescues(&self) -> usize {
        self.names(".etagfs/rescue").len()
    }
}

/// The errno of a failure.
#[track_caller]
fn errno<T>(result: io::Result<T>) -> i32 {
    match result {
        Ok(_) => panic!("it did not fail"),
        Err(error) => error.raw_os_error().unwrap(),
    }
}

fn open_both(path: &std::path::Path) -> io::Result<File> {
    File::options().read(true).write(true).open(path)
}
