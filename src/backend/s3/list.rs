//! LIST: one page of names.
//!
//! Names are asked for in URL encoding, since XML 1.0 cannot carry control characters, and
//! decoded here: the SDK leaves them as they come. Its XML reader takes the end of a text for the end
//! of every element in it, so whether an answer is whole is seen here too. Failures are `failure.rs`'s.

use std::borrow::Cow;

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;
use percent_encoding::percent_decode_str;

use super::S3;
use super::failure::Failure;
use super::info::seconds;
use crate::backend::{After, Cursor, Error, ListQuery, Listed, ObjectKey, Page};
use crate::model::Version;

impl S3 {
    /// [`crate::backend::Backend::list`].
    pub(super) async fn page(&self, query: &ListQuery) -> Result<Page, Error> {
        let what = || format!("{}/{}*", self.name, query.prefix);
        let mut request = self
            .reads
            .list_objects_v2()
            .bucket(&self.bucket)
            .encoding_type(EncodingType::Url)
            .prefix(&query.prefix)
            .max_keys(i32::from(query.limit));
        if query.fold {
            request = request.delimiter("/");
        }
        request = match &query.after {
            After::Start => request,
            After::Name(name) => request.start_after(name),
            After::Page(Cursor(token)) => request.continuation_token(token),
        };
        let answer = match request.customize().interceptor(Whole).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let failure = Failure::of(&error, true);
                return Err(failure.of_read(what(), &self.bucket, self.deadlines));
            }
        };
        read(answer, query).map_err(|why| Error::Corrupt { what: what(), why })
    }
}

/// Refuses a listing that breaks off where HTTP does not notice: in an answer that ends with its
/// connection, or that something between us and the server cut. It would be a shorter listing.
#[derive(Debug)]
pub(super) struct Whole;

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "whole"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let body = answer.body().bytes().unwrap_or_default();
        match !answer.status().is_success() || is_whole(body) {
            true => Ok(()),
            false => Err("the listing breaks off".into()),
        }
    }
}

fn is_whole(xml: &[u8]) -> bool {
    let end = xml.trim_ascii_end();
    let roots: [&[u8]; 2] = [b"</ListBucketResult>", b"</ListVersionsResult>"];
    roots.iter().any(|root| end.ends_with(root))
}

fn read(answer: ListObjectsV2Output, query: &ListQuery) -> Result<Page, String> {
    let encoded = answer.encoding_type == Some(EncodingType::Url);
    let next = match (answer.is_truncated, answer.next_continuation_token) {
        (Some(true), None) => return Err("there is more, but not where".to_owned()),
        (Some(true), Some(token)) => Some(Cursor(token)),
        (Some(false) | None, _) => None,
    };
    if let (After::Page(here), Some(next)) = (&query.after, &next)
        && here == next
    {
        return Err("the next page is this page".to_owned());
    }
    let mut page = Page {
        next,
        ..Page::default()
    };
    for object in answer.contents.unwrap_or_default() {
        let Some(key) = object.key.as_deref().and_then(|key| name(key, encoded)) else {
            tracing::warn!(request = "list", object = ?object.key, "a listed name cannot be read");
            continue;
        };
        page.objects.push(Listed {
            key: ObjectKey::new(key),
            size: object
                .size
                .and_then(|size| u64::try_from(size).ok())
                .unwrap_or(0),
            modified: object
                .last_modified
                .as_ref()
                .map_or(std::time::SystemTime::UNIX_EPOCH, seconds),
            version: object.e_tag.map(Version::new),
        });
    }
    for folded in answer.common_prefixes.unwrap_or_default() {
        match folded
            .prefix
            .as_deref()
            .and_then(|text| name(text, encoded))
        {
            Some(prefix) => page.prefixes.push(prefix),
            None => {
                tracing::warn!(request = "list", object = ?folded.prefix, "a listed prefix cannot be read")
            }
        }
    }
    Ok(page)
}

/// Decodes a name as every AWS SDK does: `+` is a space. None if the result is no UTF-8, which
/// no key is.
pub(super) fn name(text: &str, encoded: bool) -> Option<String> {
    if !encoded {
        return Some(text.to_owned());
    }
    let text = text.replace('+', " ");
    percent_decode_str(&text)
        .decode_utf8()
        .ok()
        .map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(after: After) -> ListQuery {
        ListQuery {
            prefix: String::new(),
            fold: false,
            after,
            limit: 10,
        }
    }

    #[test]
    fn names_are_decoded_only_when_they_are_encoded() {
        assert_eq!(name("a+b%2Bc%00/d", true).as_deref(), Some("a b+c\0/d"));
        assert_eq!(name("a+b%2B", false).as_deref(), Some("a+b%2B"));
        assert_eq!(name("%ff", true), None);
    }

    #[test]
    fn a_listing_that_cannot_end_is_damaged() {
        let more = ListObjectsV2Output::builder().is_truncated(true);
        assert!(read(more.clone().build(), &query(After::Start)).is_err());
        let again = || more.clone().next_continuation_token("t").build();
        let page = read(again(), &query(After::Start)).unwrap();
        assert_eq!(page.next, Some(Cursor("t".into())));
        let after = After::Page(Cursor("t".into()));
        assert!(read(again(), &query(after)).is_err());
    }
}
