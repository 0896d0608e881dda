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
    /// A konserve store is to keep the bytes themselves, whatever was there, as `bassoc` does.
    pub binary: bool,
}

impl Envelope {
    /// What is known of the value besides its bytes and `meta`: names and texts.
    pub fn attributes(&self) -> Vec<(&'static str, String)> {
        let origin = self.origin.as_ref();
        origin.map(|origin| origin.attributes()).unwrap_or_default()
    }

    /// Whether the bytes are the lines of a log, which lies in many objects.
    pub fn is_log(&self) -> bool {
        let origin = self.origin.as_ref();
        origin.is_some_and(|origin| origin.is_log())
    }

    /// Why the value cannot be changed, if it cannot.
    pub fn read_only(&self) -> Option<&'static str> {
        self.origin.as_ref()?.read_only()
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
