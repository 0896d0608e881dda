//! The layouts under examination, and where their stores lie.

use std::sync::{Arc, OnceLock};

use etagfs::backend::{Backend, Memory, S3};
use etagfs::store::konserve::{self, Settings};
use etagfs::store::{LayoutName, Layouts, plain};

use super::hexed::{self, Hexed};
use crate::contract::config;
use crate::world::servers::{self, Bucket, Kind, random_name};

/// A layout, and where its stores lie.
pub(super) struct Subject {
    pub(super) layout: LayoutName,
    place: Place,
}

enum Place {
    Here,
    Bucket(Bucket),
}

impl Subject {
    /// Connects: a backend, and a prefix of its own.
    pub(super) async fn connect(&self) -> (Arc<dyn Backend>, String) {
        match &self.place {
            Place::Here => (Arc::new(Memory::new()), String::new()),
            Place::Bucket(bucket) => {
                let backend = S3::connect(config(bucket)).await.unwrap();
                (Arc::new(backend), format!("{}/", random_name("layout")))
            }
        }
    }
}

/// All layouts that there are, and the one of these tests.
pub(super) fn layouts() -> Layouts {
    Layouts::new(Settings::default()).and(Arc::new(Hexed))
}

fn here(layout: LayoutName) -> Result<Subject, String> {
    let place = Place::Here;
    Ok(Subject { layout, place })
}

fn on_a_server(layout: LayoutName) -> Result<Subject, String> {
    static BUCKET: OnceLock<Bucket> = OnceLock::new();
    let server = servers::shared(Kind::Embedded)?;
    let place = Place::Bucket(BUCKET.get_or_init(|| server.bucket()).clone());
    Ok(Subject { layout, place })
}

pub(super) fn plain() -> Result<Subject, String> {
    here(plain::LAYOUT)
}

pub(super) fn plain_on_a_server() -> Result<Subject, String> {
    on_a_server(plain::LAYOUT)
}

pub(super) fn konserve() -> Result<Subject, String> {
    here(konserve::LAYOUT)
}

pub(super) fn konserve_on_a_server() -> Result<Subject, String> {
    on_a_server(konserve::LAYOUT)
}

pub(super) fn hexed_keys() -> Result<Subject, String> {
    here(hexed::LAYOUT)
}

pub(super) fn hexed_keys_on_a_server() -> Result<Subject, String> {
    on_a_server(hexed::LAYOUT)
}
