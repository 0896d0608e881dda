//! One line of the input of the commands on many keys.
//!
//! A line of JSON holds `key` and `value` or `value_base64`; `content_type`, `metadata` and the like; and its
//! condition: `if_match` with an ETag, or `if_none_match`. Fields of other names are left alone, so that
//! what `mget` prints can be fed back.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;

use super::metadata_args;
use crate::backend::{Meta, Tags};
use crate::cli::report::Failure;
use crate::client::MetadataChoice;
use crate::model::Version;

/// A key, and what is to become of it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Item {
    key: String,
    target: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    content_type: Option<String>,
    cache_control: Option<String>,
    content_disposition: Option<String>,
    content_encoding: Option<String>,
    content_language: Option<String>,
    expires: Option<String>,
    website_redirect: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
    if_match: Option<String>,
    #[serde(default)]
    if_none_match: bool,
    etag: Option<String>,
}

/// The condition that a line gives.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// None.
    Nothing,
    /// The key must not exist.
    Absent,
    /// The key must have this version.
    Version(Version),
}

impl Item {
    /// A key alone.
    pub(super) fn named(key: String) -> Self {
        Self {
            key,
            ..Self::default()
        }
    }

    /// Reads a line.
    ///
    /// # Errors
    /// When it is no JSON object with a key.
    pub(super) fn parse(line: Result<String, Failure>) -> Result<Self, Failure> {
        let line = line?;
        let wrong = |why: String| Failure::usage(format!("{line:.80}: {why}"));
        let object = serde_json::from_str(&line)
            .map_err(|error| wrong(format!("it is no object of JSON: {error}")))?;
        // An array would be taken for the fields in their order.
        match object {
            Value::Object(object) => {
                Self::deserialize(object).map_err(|error| wrong(error.to_string()))
            }
            _ => Err(wrong("it is JSON, and no object with a \"key\"".to_owned())),
        }
    }

    /// The key, as it is written.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Where the key was, as `mget` says it.
    pub(super) fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// The value.
    ///
    /// # Errors
    /// When there is none, or two.
    pub(super) fn bytes(&self) -> Result<Bytes, Failure> {
        match (&self.value, &self.value_base64) {
            (Some(text), None) => Ok(text.clone().into()),
            (None, Some(text)) => BASE64_STANDARD
                .decode(text)
                .map(Bytes::from)
                .map_err(|error| self.wrong(&format!("value_base64: {error}"))),
            (None, None) => Err(self.wrong("there is neither value nor value_base64")),
            (Some(_), Some(_)) => Err(self.wrong("there are both value and value_base64")),
        }
    }

    /// The metadata of the value.
    ///
    /// # Errors
    /// When no header can hold it.
    pub(super) fn metadata(&self) -> Result<MetadataChoice, Failure> {
        let header = |text: &Option<String>| text.as_deref().map(metadata_args::text).transpose();
        let user = self
            .metadata
            .iter()
            .map(|(name, value)| metadata_args::user(name, value));
        let meta = || {
            Ok(Meta {
                content_type: header(&self.content_type)?,
                cache_control: header(&self.cache_control)?,
                content_disposition: header(&self.content_disposition)?,
                content_encoding: header(&self.content_encoding)?,
                content_language: header(&self.content_language)?,
                expires: header(&self.expires)?,
                website_redirect: header(&self.website_redirect)?,
                tags: Tags::None,
                user: user.collect::<Result<_, String>>()?,
            })
        };
        let meta = meta().map_err(|why: String| self.wrong(&why))?;
        Ok(match meta == Meta::default() {
            true => MetadataChoice::Inherited,
            false => MetadataChoice::Given(meta),
        })
    }

    /// The condition.
    ///
    /// # Errors
    /// When there are two, or an ETag is none.
    pub(super) fn given(&self) -> Result<Given, Failure> {
        match (&self.if_match, self.if_none_match) {
            (None, false) => Ok(Given::Nothing),
            (None, true) => Ok(Given::Absent),
            (Some(text), false) => self.version(text).map(Given::Version),
            (Some(_), true) => Err(self.wrong("there are both if_match and if_none_match")),
        }
    }

    /// The version that the key had when it was read.
    ///
    /// # Errors
    /// When it is no ETag.
    pub(super) fn etag(&self) -> Result<Option<Version>, Failure> {
        let etag = self.etag.as_deref();
        etag.map(|text| self.version(text)).transpose()
    }

    fn version(&self, text: &str) -> Result<Version, Failure> {
        metadata_args::version(text).map_err(|why| self.wrong(&why))
    }

    fn wrong(&self, why: &str) -> Failure {
        Failure::usage(format!("{}: {why}", self.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Item, Failure> {
        Item::parse(Ok(line.to_owned()))
    }

    #[test]
    fn a_line_is_a_key_with_a_value() {
        let item = parse(r#"{"key":"k","value":"v","status":"found","size":1}"#).expect("legal");
        assert_eq!(item.key(), "k");
        assert_eq!(item.bytes().expect("a value"), "v");
        assert_eq!(item.given().expect("none"), Given::Nothing);
        let item = parse(r#"{"key":"k","value_base64":"/wA="}"#).expect("legal");
        assert_eq!(&item.bytes().expect("a value")[..], b"\xff\x00");
        for bad in ["", "k", "{}", r#"{"key":1}"#] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for bad in [
            r#"{"key":"k"}"#,
            r#"{"key":"k","value":"","value_base64":""}"#,
            r#"{"key":"k","value_base64":"?"}"#,
        ] {
            assert!(parse(bad).expect("legal").bytes().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_line_can_have_a_condition() {
        let given = |line: &str| parse(line).expect("legal").given();
        let is = Given::Version(Version::new("\"e\""));
        assert_eq!(given(r#"{"key":"k","if_match":"e"}"#).expect("one"), is);
        let absent = given(r#"{"key":"k","if_none_match":true}"#);
        assert_eq!(absent.expect("one"), Given::Absent);
        assert!(given(r#"{"key":"k","if_match":"e","if_none_match":true}"#).is_err());
        assert!(given(r#"{"key":"k","if_match":""}"#).is_err());
    }
}
