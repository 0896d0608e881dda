//! How a store lies in its backend.
//!
//! A [`Layout`] says which one; [`super::Store`] makes the requests of the plain one, and
//! [`KonserveStore`] those of the other, whose file is not its object's bytes. What travels with a
//! value in either is its [`Envelope`].

use std::sync::Arc;

use thiserror::Error;

use super::konserve::{KonserveStore, Origin};
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
    /// A konserve store is to keep the bytes themselves, whatever was there, as `bassoc` does.
    pub binary: bool,
}

impl Envelope {
    /// What is known of the value besides its bytes and `meta`: names and texts.
    pub fn attributes(&self) -> Vec<(&'static str, String)> {
        let origin = self.origin.as_ref();
        origin
            .map(|origin| origin.stored.attributes())
            .unwrap_or_default()
    }

    /// Whether the bytes are the lines of a log, which lies in many objects.
    pub fn is_log(&self) -> bool {
        let origin = self.origin.as_ref();
        origin.is_some_and(|origin| origin.stored.is_log())
    }

    /// Why the value cannot be changed, if it cannot.
    pub fn read_only(&self) -> Option<&'static str> {
        self.origin.as_ref()?.stored.read_only()
    }
}

impl Envelope {
    /// What travels with a new value of this key.
    pub(super) fn fresh(key: &Key) -> Self {
        Self {
            meta: Meta {
                content_type: Some(content_type(key).to_owned()),
                ..Meta::default()
            },
            ..Self::default()
        }
    }

    /// Whether nobody chose what travels with a value of this key: it is what any new file gets, so
    /// that a file whose name it takes may keep its own.
    pub(super) fn is_plain(&self, key: &Key) -> bool {
        let ours = self.meta.content_type.as_deref();
        let says_nothing =
            ours.is_none_or(|ours| UNTYPED.contains(&ours) || ours == content_type(key));
        let rest = Meta {
            content_type: None,
            ..self.meta.clone()
        };
        says_nothing && rest == Meta::default()
    }
}

impl Envelope {
    /// What of it is true of a value of other bytes: everything, but that they have a coding, if they do not
    /// look like it.
    #[must_use]
    pub fn of(&self, bytes: &[u8]) -> Self {
        let mut envelope = self.clone();
        envelope.meta.content_encoding = envelope
            .meta
            .content_encoding
            .filter(|coding| has_coding(bytes, coding));
        envelope
    }

    /// The headers that are set, by name.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.meta.headers()
    }

    /// The header of this name, if there is such a one.
    pub fn header_mut(&mut self, name: &str) -> Option<&mut Option<String>> {
        self.meta.header_mut(name)
    }
}

/// Whether bytes begin as those of this coding do; of several codings it is the last one that was applied.
/// Most codings have no beginning to know them by.
fn has_coding(bytes: &[u8], coding: &str) -> bool {
    let last = coding.rsplit(',').next().unwrap_or_default().trim();
    let beginning: &[u8] = match last.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => &[0x1f, 0x8b],
        "zstd" => &[0x28, 0xb5, 0x2f, 0xfd],
        _ => return false,
    };
    bytes.starts_with(beginning)
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

/// What S3 and its clients say of a value whose type nobody told them.
const UNTYPED: [&str; 2] = ["application/octet-stream", "binary/octet-stream"];

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

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(content_type: Option<&str>, user: &[(&str, &str)]) -> Envelope {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Envelope {
            meta: Meta {
                content_type: content_type.map(str::to_owned),
                user: user.iter().map(owned).collect(),
                ..Meta::default()
            },
            ..Envelope::default()
        }
    }

    #[test]
    fn a_coding_travels_only_with_bytes_that_have_it() {
        let (gzip, zstd) = (b"\x1f\x8b\x08rest", b"\x28\xb5\x2f\xfdrest");
        let cases: [(&str, &[u8], bool); 12] = [
            ("gzip", gzip, true),
            ("GZIP", gzip, true),
            ("x-gzip", gzip, true),
            ("zstd", zstd, true),
            ("br, gzip", gzip, true),
            ("gzip, br", gzip, false),
            ("gzip", zstd, false),
            ("zstd", gzip, false),
            ("gzip", b"text", false),
            ("gzip", b"", false),
            ("br", b"text", false),
            ("deflate", b"\x78\x9c", false),
        ];
        for (coding, bytes, travels) in cases {
            let mut envelope = envelope(Some("text/plain"), &[("colour", "red")]);
            envelope.meta.content_encoding = Some(coding.to_owned());
            let of = envelope.of(bytes);
            assert_eq!(of == envelope, travels, "{coding}");
            envelope.meta.content_encoding = None;
            assert_eq!(of == envelope, !travels, "{coding}");
        }
    }

    #[test]
    fn what_nobody_chose_is_plain() {
        let key = Key::new("page.html").expect("a key");
        for (content_type, user, plain) in [
            (None, &[][..], true),
            (Some("text/html"), &[], true),
            (Some("binary/octet-stream"), &[], true),
            (Some("application/octet-stream"), &[], true),
            (Some("text/plain"), &[], false),
            (Some("text/html"), &[("colour", "red")], false),
        ] {
            let envelope = envelope(content_type, user);
            assert_eq!(envelope.is_plain(&key), plain, "{envelope:?}");
        }
        assert!(Envelope::fresh(&key).is_plain(&key));
    }
}
