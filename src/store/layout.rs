//! How a store lies in its backend.
//!
//! A [`Layout`] says which one; [`super::Store`] makes the requests of the plain one, and
//! [`KonserveStore`] those of the other, whose file is not its object's bytes. What travels with a
//! value in either is its [`Envelope`].

use std::sync::Arc;

use thiserror::Error;

use super::konserve::file::Origin;
use super::konserve_store::KonserveStore;
use crate::backend::Meta;
use crate::model::Key;

/// How a store lies in its backend.
#[derive(Clone, Debug)]
pub(super) enum Layout {
    /// The body is the file, `/` makes directories.
    Plain,
    /// The body is a blob of the library konserve, the file its value.
    Konserve(Arc<KonserveStore>),
}

/// What travels with a value and survives an edit of its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// What travels with the object.
    pub meta: Meta,
    /// The object of a konserve store that the bytes came from: how it was written, what is known of
    /// its key.
    pub origin: Option<Arc<Origin>>,
}

impl Envelope {
    /// What is known of the value besides its bytes and `meta`: names and texts.
    pub fn attributes(&self) -> Vec<(&'static str, String)> {
        let origin = self.origin.as_ref();
        origin.map(|origin| origin.attributes()).unwrap_or_default()
    }

    /// Why the value cannot be changed, if it cannot.
    pub fn read_only(&self) -> Option<&'static str> {
        self.origin.as_ref()?.read_only()
    }
}

/// Why a layout cannot store or show a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct Rejected(pub String);

impl Envelope {
    /// With the media type of a new plain value, unless it has one.
    pub(super) fn typed(&self, key: &Key) -> Meta {
        let mut meta = self.meta.clone();
        meta.content_type
            .get_or_insert_with(|| content_type(key).to_owned());
        meta
    }
}

/// The media type of a new value, by the ending of its key (W14). Only the types of text that
/// people edit and browsers show; everything else is what S3 itself would say.
fn content_type(key: &Key) -> &'static str {
    let ending = key.as_str().rsplit(['/', '.']).next().unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "txt" | "log" | "conf" | "ini" => "text/plain",
        "md" => "text/markdown",
        "html" | "htm" => "text/html",
        "css" => "text/css",
        "csv" => "text/csv",
        "js" | "mjs" => "text/javascript",
        "json" => "application/json",
        "edn" => "application/edn",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "xml" => "application/xml",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "pdf" => "application/pdf",
        "gz" => "application/gzip",
        "zip" => "application/zip",
        _ => "application/octet-stream",
    }
}
