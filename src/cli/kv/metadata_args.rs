//! The metadata of a value, and how it is written: options and JSON.
//!
//! Whoever gives any of it gives all of it; without it a value keeps the metadata of the version that is replaced. It
//! knows no requests.

use std::os::unix::ffi::OsStrExt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use clap::Args as ClapArgs;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::backend::Meta;
pub(super) use crate::cli::units::header as text;
use crate::client::{About, Location, MetadataChoice};
use crate::model::Version;

/// What the user says of a value.
#[derive(Clone, Debug, Default, ClapArgs)]
#[command(next_help_heading = "MetadataChoice")]
pub(in crate::cli) struct MetadataArgs {
    /// The media type. Giving --content-type or --meta replaces all metadata; without both, a value
    /// keeps its metadata, and the type of a new value follows from its name.
    #[arg(long, value_name = "TYPE", value_parser = text)]
    content_type: Option<String>,
    /// User metadata; can be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = meta)]
    meta: Vec<(String, String)>,
}

fn meta(pair: &str) -> Result<(String, String), String> {
    let (name, value) = pair.split_once('=').ok_or("write it as NAME=VALUE")?;
    user(name, value)
}

/// Name and value of user metadata.
pub(super) fn user(name: &str, value: &str) -> Result<(String, String), String> {
    let legal = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_'
    };
    if name.is_empty() || !name.bytes().all(legal) {
        return Err("a name has lower-case letters, digits, - and _".to_owned());
    }
    Ok((name.to_owned(), text(value)?))
}

impl MetadataArgs {
    /// The metadata of the value.
    pub(super) fn metadata(&self) -> MetadataChoice {
        if self.content_type.is_none() && self.meta.is_empty() {
            return MetadataChoice::Inherited;
        }
        MetadataChoice::Given(Meta {
            content_type: self.content_type.clone(),
            user: self.meta.iter().cloned().collect(),
            ..Meta::default()
        })
    }
}

/// The version that a user wrote, with or without the quotes of an ETag.
pub(in crate::cli) fn version(text: &str) -> Result<Version, String> {
    let none = "it is no ETag; etagfs get --etag and etagfs stat print it";
    Version::told(text).ok_or_else(|| none.to_owned())
}

/// Which key or file it is about, in JSON.
pub(super) fn target(location: &dyn Location) -> Map<String, Value> {
    let mut map = Map::new();
    text_or_bytes(&mut map, "target", location.spelling().as_bytes());
    map
}

/// What is known of a value, in JSON.
pub(super) fn about(location: &dyn Location, about: &About) -> Map<String, Value> {
    let mut map = target(location);
    if let Some(version) = &about.version {
        map.insert("etag".to_owned(), version.etag().into());
        if let Some(snapshot) = version.snapshot() {
            map.insert("version_id".to_owned(), snapshot.into());
        }
    }
    if let Some(size) = about.size {
        map.insert("size".to_owned(), size.into());
    }
    map.insert("modified".to_owned(), time(about.modified).into());
    let meta = &about.metadata.meta;
    for (name, value) in meta.headers() {
        map.insert(name.to_owned(), value.into());
    }
    if !meta.user.is_empty() {
        map.insert("metadata".to_owned(), json!(meta.user));
    }
    if let Some(told) = about.metadata.attributes() {
        let values = told.values.into_iter();
        let values: Map<_, _> = values
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        if !values.is_empty() {
            map.insert(told.layout.to_string(), values.into());
        }
    }
    map
}

/// A name, in JSON: as text if it is text, else its bytes under a name of their own.
pub(super) fn text_or_bytes(map: &mut Map<String, Value>, field: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => map.insert(field.to_owned(), text.into()),
        Err(_) => map.insert(
            format!("{field}_base64"),
            BASE64_STANDARD.encode(bytes).into(),
        ),
    };
}

/// Bytes, in JSON: as text if they are text.
pub(super) fn value(bytes: &Bytes) -> (String, Value) {
    match std::str::from_utf8(bytes) {
        Ok(text) => ("value".to_owned(), text.into()),
        Err(_) => (
            "value_base64".to_owned(),
            BASE64_STANDARD.encode(bytes).into(),
        ),
    }
}

/// A time as RFC 3339 writes it, in UTC; one that it cannot write as date(1) reads it: `@SECONDS`.
pub(super) fn time(at: SystemTime) -> String {
    let seconds = match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
    };
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok();
    at.and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("@{seconds}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn an_etag_may_be_written_without_its_quotes() {
        for text in ["abc", "\"abc\""] {
            assert_eq!(version(text), Ok(Version::new("\"abc\"")));
        }
        assert!(version("").is_err() && version("a b").is_err());
    }

    #[test]
    fn without_options_the_metadata_is_inherited() {
        assert_eq!(
            MetadataArgs::default().metadata(),
            MetadataChoice::Inherited
        );
        let said = MetadataArgs {
            content_type: None,
            meta: vec![("a".to_owned(), "b".to_owned())],
        };
        let MetadataChoice::Given(meta) = said.metadata() else {
            panic!("it was given");
        };
        assert_eq!((meta.content_type, &*meta.user["a"]), (None, "b"));
    }

    #[test]
    fn what_no_header_can_hold_is_refused() {
        for bad in ["a", "=b", "A=b", "a b=c", "a=\u{e9}", "a=\n"] {
            assert!(meta(bad).is_err(), "{bad:?}");
        }
        assert_eq!(meta("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
    }

    #[test]
    fn any_time_that_a_file_can_have_is_told() {
        for (seconds, told) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (253_402_300_800, "@253402300800"),
            (-99_999_999_999_999, "@-99999999999999"),
        ] {
            let distance = Duration::from_secs(i64::unsigned_abs(seconds));
            let at = match seconds < 0 {
                true => SystemTime::UNIX_EPOCH - distance,
                false => SystemTime::UNIX_EPOCH + distance,
            };
            assert_eq!(time(at), told);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_base64() {
        let (name, text) = value(&Bytes::from_static(b"\xff\x00"));
        assert_eq!((&*name, text), ("value_base64", "/wA=".into()));
        let (name, text) = value(&Bytes::from_static(b"hi\n"));
        assert_eq!((&*name, text), ("value", "hi\n".into()));
    }
}
