//! What travels with a value and survives an edit of its bytes.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::LayoutName;
use crate::backend::Meta;

/// What a layout knows of the stored value that bytes came from, and needs again to save bytes in its place.
/// Only the layout that made one looks into it; everybody else carries it.
pub trait Origin: Any + fmt::Debug + Send + Sync {
    /// The layout that made it.
    fn layout(&self) -> LayoutName;

    /// What is known of the value besides its bytes and what travels with any value: names and texts.
    fn attributes(&self) -> Vec<(&'static str, String)>;

    /// Whether the bytes are the lines of a log, which is appended to and not replaced.
    fn is_log(&self) -> bool;

    /// Why the value cannot be changed, if it cannot.
    fn read_only(&self) -> Option<&'static str>;

    /// Whether the other one is of the same version of the same value.
    fn is(&self, other: &dyn Origin) -> bool;
}

/// What travels with a value and survives an edit of its bytes.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// What travels with the value, whatever its layout.
    pub meta: Meta,
    /// What the layout knows of the value that the bytes came from.
    pub origin: Option<Arc<dyn Origin>>,
    /// The bytes themselves are to be kept, in a layout that would else keep what they mean.
    pub binary: bool,
}

/// What a layout says of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The layout.
    pub layout: LayoutName,
    /// Names and texts.
    pub values: Vec<(&'static str, String)>,
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        let same_origin = match (&self.origin, &other.origin) {
            (Some(one), Some(other)) => one.is(&**other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_origin && self.meta == other.meta && self.binary == other.binary
    }
}

impl Eq for Metadata {}

impl From<Meta> for Metadata {
    fn from(meta: Meta) -> Self {
        Self {
            meta,
            ..Self::default()
        }
    }
}

impl Metadata {
    /// What the layout says of the value, if it says anything.
    pub fn attributes(&self) -> Option<Attributes> {
        let origin = self.origin.as_ref()?;
        Some(Attributes {
            layout: origin.layout(),
            values: origin.attributes(),
        })
    }

    /// Whether the bytes are the lines of a log, which is appended to and not replaced.
    pub fn is_log(&self) -> bool {
        self.origin.as_ref().is_some_and(|origin| origin.is_log())
    }

    /// Why the value cannot be changed, if it cannot.
    pub fn read_only(&self) -> Option<&'static str> {
        self.origin.as_ref()?.read_only()
    }

    /// What of it is true of a value of other bytes: everything, but that they have a coding, if they do not
    /// look like it.
    #[must_use]
    pub fn of(&self, bytes: &[u8]) -> Self {
        let mut metadata = self.clone();
        metadata.meta.content_encoding = metadata
            .meta
            .content_encoding
            .filter(|coding| has_coding(bytes, coding));
        metadata
    }

    /// The headers that are set, by name.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.meta.headers()
    }

    /// The header of this name, if there is one.
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

#[cfg(test)]
mod tests {
    use super::*;

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
            let mut metadata = Metadata::from(Meta {
                content_type: Some("text/plain".to_owned()),
                user: [("colour".to_owned(), "red".to_owned())].into(),
                ..Meta::default()
            });
            metadata.meta.content_encoding = Some(coding.to_owned());
            let of = metadata.of(bytes);
            assert_eq!(of == metadata, travels, "{coding}");
            metadata.meta.content_encoding = None;
            assert_eq!(of == metadata, !travels, "{coding}");
        }
    }
}
