//! The records of the index, and how they are written down.
//!
//! They know nothing of tables or transactions. Records are JSON: small, self-describing, and
//! new fields can be added with a default. Read [`super::index`] for where they are kept.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Refusal;

/// A bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Bucket {
    /// Seconds since the epoch.
    pub(crate) created: i64,
}

/// What a client told about an object besides its bytes; returned as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Attributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    /// Seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<i64>,
    /// Where a website sends who asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) website_redirect: Option<String>,
    /// Its tags.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
    /// User metadata, names without `x-amz-meta-`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// A run of stored bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Segment {
    /// A body in the index.
    #[serde(rename = "i")]
    Inline {
        /// Key in the table of bodies.
        id: u64,
        /// Bytes.
        size: u64,
        /// Their checksum, see [`super::sums`]; earlier versions kept none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sum: Option<u32>,
    },
    /// A body in a file of its own.
    #[serde(rename = "b")]
    Blob {
        /// Name of the file.
        id: u64,
        /// Bytes.
        size: u64,
    },
}

impl Segment {
    /// Length in bytes.
    pub(crate) fn size(&self) -> u64 {
        match *self {
            Self::Inline { size, .. } | Self::Blob { size, .. } => size,
        }
    }
}

/// Bytes with their identity: what an object and a part have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Content {
    /// ETag without quotes.
    pub(crate) etag: String,
    /// Length in bytes.
    pub(crate) size: u64,
    /// Seconds since the epoch: S3 tells Last-Modified in whole seconds, also in listings.
    pub(crate) modified: i64,
    /// The bytes, in order. Empty for an empty body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) segments: Vec<Segment>,
    /// Checksums that were verified on arrival: algorithm as in `x-amz-checksum-ALGORITHM`, base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) checksums: BTreeMap<String, String>,
}

/// An object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    /// Its bytes.
    #[serde(flatten)]
    pub(crate) content: Content,
    /// What the client told about them.
    #[serde(default)]
    pub(crate) attributes: Attributes,
}

/// A multipart upload in progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Upload {
    /// The bucket it will complete into.
    pub(crate) bucket: String,
    /// The key it will complete into.
    pub(crate) key: String,
    /// Seconds since the epoch.
    pub(crate) initiated: i64,
    /// Attributes of the object to be.
    pub(crate) attributes: Attributes,
}

/// One part of an upload.
pub(crate) type Part = Content;

/// The written form of a record.
pub(super) fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(record).map_err(Refusal::broken)
}

/// The record that was written down. One that does not parse is a fault of the storage.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(Refusal::broken)
}
