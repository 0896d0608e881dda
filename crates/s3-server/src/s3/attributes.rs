//! What a client tells about an object besides its bytes, between requests, records and answers.
//!
//! It knows which headers are kept and how they come back, nothing of where they are kept.

use std::collections::BTreeMap;

use s3s::dto::{ETag, Metadata, Timestamp};
use time::OffsetDateTime;

use crate::storage::Attributes;

/// What S3 says of an object whose creator gave no type.
pub(super) const DEFAULT_TYPE: &str = "binary/octet-stream";

/// The attributes of an input that has them all.
macro_rules! attributes_of {
    ($input:expr) => {
        $crate::s3::attributes::from_parts(
            [
                $input.content_type,
                $input.content_encoding,
                $input.content_language,
                $input.content_disposition,
                $input.cache_control,
            ],
            $input.expires,
            $input.metadata,
        )
        .led_to($input.website_redirect_location)
        .tagged($crate::s3::tags::parse($input.tagging.as_deref())?)
    };
}
pub(super) use attributes_of;

/// Fills the fields that GET and HEAD have in common.
macro_rules! describe {
    ($output:expr, $object:expr) => {{
        let (output, object): (_, $crate::storage::Object) = (&mut $output, $object);
        output.accept_ranges = Some("bytes".to_owned());
        output.last_modified = Some($crate::s3::timestamp(object.content.modified));
        output.e_tag = Some($crate::s3::attributes::etag(&object.content.etag));
        let attributes = object.attributes;
        output.content_type = attributes
            .content_type
            .or_else(|| Some($crate::s3::attributes::DEFAULT_TYPE.to_owned()));
        output.content_encoding = attributes.content_encoding;
        output.content_language = attributes.content_language;
        output.content_disposition = attributes.content_disposition;
        output.cache_control = attributes.cache_control;
        output.expires = attributes.expires.map($crate::s3::timestamp);
        output.website_redirect_location = attributes.website_redirect;
        output.metadata =
            (!attributes.metadata.is_empty()).then(|| attributes.metadata.into_iter().collect());
    }};
}
pub(super) use describe;

/// Copies the checksums of a content into an answer.
macro_rules! tell_checksums {
    ($output:expr, $checksums:expr) => {{
        let checksums: &std::collections::BTreeMap<String, String> = $checksums;
        $output.checksum_crc32 = checksums.get("crc32").cloned();
        $output.checksum_crc32c = checksums.get("crc32c").cloned();
        $output.checksum_crc64nvme = checksums.get("crc64nvme").cloned();
        $output.checksum_sha1 = checksums.get("sha1").cloned();
        $output.checksum_sha256 = checksums.get("sha256").cloned();
    }};
}
pub(super) use tell_checksums;

/// Content type, encoding, language, disposition, cache control; then the rest.
pub(super) fn from_parts(
    headers: [Option<String>; 5],
    expires: Option<Timestamp>,
    metadata: Option<Metadata>,
) -> Attributes {
    let [
        content_type,
        content_encoding,
        content_language,
        content_disposition,
        cache_control,
    ] = headers;
    Attributes {
        content_type: content_type.filter(|text| !text.is_empty()),
        content_encoding: content_encoding.and_then(|text| without_aws_chunked(&text)),
        content_language,
        content_disposition,
        cache_control,
        expires: expires.map(|at| OffsetDateTime::from(at).unix_timestamp()),
        metadata: metadata.unwrap_or_default().into_iter().collect(),
        ..Attributes::default()
    }
}

impl Attributes {
    /// The same, of an object from which a website sends elsewhere.
    pub(super) fn led_to(self, website_redirect: Option<String>) -> Self {
        Self {
            website_redirect,
            ..self
        }
    }

    /// The same, with these tags.
    pub(super) fn tagged(self, tags: BTreeMap<String, String>) -> Self {
        Self { tags, ..self }
    }
}

/// `aws-chunked` is how the body travelled, not what it is; S3 does not keep it either.
fn without_aws_chunked(encoding: &str) -> Option<String> {
    let kept: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty() && !one.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

/// An ETag for an answer; s3s adds the quotes.
pub(super) fn etag(bare: &str) -> ETag {
    ETag::Strong(bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_chunked_is_not_kept() {
        assert_eq!(without_aws_chunked("aws-chunked"), None);
        assert_eq!(without_aws_chunked("aws-chunked,gzip"), Some("gzip".into()));
        assert_eq!(
            without_aws_chunked("gzip, aws-chunked"),
            Some("gzip".into())
        );
        assert_eq!(without_aws_chunked("gzip"), Some("gzip".into()));
    }
}
