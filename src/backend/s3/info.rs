//! What the headers of an answer say of an object.
//!
//! GET and HEAD answer with the same headers in two types of the SDK; both become an
//! [`ObjectMeta`] here. It sends nothing and knows no failures; `read.rs` is its user.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::head_object::HeadObjectOutput;
use aws_sdk_s3::primitives::DateTime;

use super::PUT_ID;
use crate::backend::{Meta, ObjectKey, ObjectMeta, Tags};
use crate::model::{PutId, Version};

/// The headers that GET and HEAD share.
pub(super) trait IntoInfo {
    /// Reads those about this object, but for the size; the error says what is missing.
    fn into_info(self, at: &ObjectKey, size: u64) -> Result<ObjectMeta, String>;
}

struct Headers {
    e_tag: Option<String>,
    version_id: Option<String>,
    last_modified: Option<DateTime>,
    meta: Meta,
    metadata: Option<HashMap<String, String>>,
}

macro_rules! into_info {
    ($($answer:ty),*) => {$(
        impl IntoInfo for $answer {
            fn into_info(self, at: &ObjectKey, size: u64) -> Result<ObjectMeta, String> {
                info(size, Headers {
                    e_tag: self.e_tag,
                    version_id: self.version_id,
                    last_modified: self.last_modified,
                    meta: Meta {
                        content_type: self.content_type,
                        cache_control: self.cache_control,
                        content_disposition: self.content_disposition,
                        content_encoding: self.content_encoding,
                        content_language: self.content_language,
                        expires: self.expires_string,
                        website_redirect: self.website_redirect_location,
                        tags: match self.tag_count {
                            Some(1..) => Tags::Of(at.clone()),
                            Some(_) | None => Tags::None,
                        },
                        ..Meta::default()
                    },
                    metadata: self.metadata,
                })
            }
        }
    )*};
}

into_info!(GetObjectOutput, HeadObjectOutput);

fn info(size: u64, headers: Headers) -> Result<ObjectMeta, String> {
    let etag = headers.e_tag.ok_or("the answer has no ETag")?;
    let version = Version::told(&etag).ok_or_else(|| format!("{etag:?} is no ETag"))?;
    let mut meta = headers.meta;
    meta.content_encoding = meta.content_encoding.and_then(stored_encoding);
    meta.user = headers
        .metadata
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .collect();
    let put_id = meta
        .user
        .remove(PUT_ID)
        .and_then(|text| PutId::parse(&text));
    Ok(ObjectMeta {
        size,
        version: version.with_snapshot(headers.version_id),
        modified: headers
            .last_modified
            .map_or(SystemTime::UNIX_EPOCH, |time| seconds(&time)),
        meta,
        put_id,
    })
}

/// `aws-chunked` belongs to the upload; some servers store it.
fn stored_encoding(encoding: String) -> Option<String> {
    let kept: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && *coding != "aws-chunked")
        .collect();
    (!kept.is_empty()).then(|| kept.join(", "))
}

/// Whole seconds, which is what headers tell; listings of some servers are finer, and one object
/// must not seem to have two times.
pub(super) fn seconds(time: &DateTime) -> SystemTime {
    let since = u64::try_from(time.secs()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_of_the_upload_is_not_that_of_the_object() {
        let stored = |text: &str| stored_encoding(text.to_owned());
        assert_eq!(stored("aws-chunked"), None);
        assert_eq!(stored("aws-chunked,gzip").as_deref(), Some("gzip"));
        assert_eq!(stored("gzip").as_deref(), Some("gzip"));
    }
}
