//! How a store lies in its backend.
//!
//! A [`Layout`] is pure: it says where a key lives, which file name it has, and how a file's bytes
//! are wrapped into an object's. [`super::Store`] makes the requests. What a file holds need not
//! be what its object holds: sizes may differ, and text that does not parse is rejected.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use super::plain::{Child, Dir, Named};
use crate::backend::{Body, Meta};
use crate::model::{BadName, FileName, Key};

/// What travels with a value and survives an edit of its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// What travels with the object.
    pub meta: Meta,
}

impl Envelope {
    /// What travels with a new value of this key.
    pub(super) fn fresh(key: &Key) -> Self {
        Self {
            meta: Meta {
                content_type: Some(content_type(key).to_owned()),
                ..Meta::default()
            },
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

/// How a store lies in its backend.
pub trait Layout: Send + Sync + fmt::Debug {
    /// What a file name in a directory stands for.
    ///
    /// # Errors
    /// [`BadName`] when no key has this name there.
    fn child(&self, dir: &Dir, name: &FileName) -> Result<Child, BadName>;

    /// The name in a directory under which an object is found; `None` for objects that are not
    /// in it. `object` is the object's name after the store's prefix.
    fn name_of(&self, dir: &Dir, object: &str) -> Option<Named>;

    /// The name of a key's object, after the store's prefix.
    fn locate(&self, key: &Key) -> String;

    /// The size of a key's file, in bytes, when its object has `size`; `None` if only the object
    /// itself can tell.
    fn file_size(&self, size: u64) -> Option<u64>;

    /// Makes an object's bytes of a file's.
    ///
    /// # Errors
    /// [`Rejected`] when the bytes are no value of this layout (EINVAL).
    fn wrap(&self, key: &Key, envelope: &Envelope, bytes: Bytes) -> Result<Body, Rejected>;

    /// Makes a file's bytes of an object's.
    ///
    /// # Errors
    /// [`Rejected`] when the object is no value of this layout (EIO).
    fn unwrap(&self, key: &Key, body: Body) -> Result<(Envelope, Bytes), Rejected>;
}

/// The plain layout: the body is the file, `/` makes directories.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Layout for Plain {
    fn child(&self, dir: &Dir, name: &FileName) -> Result<Child, BadName> {
        dir.child(name)
    }

    fn name_of(&self, dir: &Dir, object: &str) -> Option<Named> {
        dir.name_of(object)
    }

    fn locate(&self, key: &Key) -> String {
        key.as_str().to_owned()
    }

    fn file_size(&self, size: u64) -> Option<u64> {
        Some(size)
    }

    fn wrap(&self, key: &Key, envelope: &Envelope, bytes: Bytes) -> Result<Body, Rejected> {
        let mut meta = envelope.meta.clone();
        meta.content_type
            .get_or_insert_with(|| content_type(key).to_owned());
        Ok(Body { bytes, meta })
    }

    fn unwrap(&self, _key: &Key, body: Body) -> Result<(Envelope, Bytes), Rejected> {
        Ok((Envelope { meta: body.meta }, body.bytes))
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
