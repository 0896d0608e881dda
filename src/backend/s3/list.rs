//! LIST: one page of names.
//!
//! Names are asked for in URL encoding, since XML 1.0 cannot carry control characters, and
//! decoded here: the SDK leaves them as they come. An answer that is not whole, or names what was not
//! asked for, is an error: a part of a listing would be taken for all of it. Failures are `failure.rs`'s.

use std::borrow::Cow;
use std::time::Duration;

use aws_sdk_s3::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::EncodingType;
use futures_util::TryFutureExt;
use percent_encoding::percent_decode_str;
use tokio::time::sleep;

use super::bounds::Unfit;
use super::failure::RequestFailure;
use super::info::seconds;
use super::{S3, xml};
use crate::backend::{After, Cursor, Error, Limits, ListQuery, Listed, ObjectKey, Page};
use crate::model::Version;

impl S3 {
    /// [`crate::backend::Backend::list`].
    pub(super) async fn page(&self, query: &ListQuery) -> Result<Page, Error> {
        let what = || format!("{}/{}*", self.name, query.prefix);
        let longest = Limits::S3.key_bytes;
        if query.prefix.len() > longest {
            return Err(Error::TooBig {
                what: what(),
                why: format!("no name has more than {longest} bytes"),
            });
        }
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
        let send = || {
            let request = request.clone().customize();
            let sending = request.interceptor(Whole("ListBucketResult")).send();
            sending.map_err(|error| RequestFailure::of(error, true))
        };
        let answer = until_whole(send)
            .await
            .map_err(|failure| failure.of_read(what(), &self.bucket, self.deadlines))?;
        read(answer, query).map_err(|why| Error::Corrupt { what: what(), why })
    }
}

/// How often a listing that lost a part is asked for.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(100);

/// Asks until an answer is whole: one that lost a part may have lost it on its way.
pub(super) async fn until_whole<T, F>(send: impl Fn() -> F) -> Result<T, RequestFailure>
where
    F: Future<Output = Result<T, RequestFailure>>,
{
    let mut tries = 1;
    loop {
        match send().await {
            Err(failure) if failure.is_passing() && tries < TRIES => {
                tracing::warn!(
                    request = "list",
                    error = ?failure,
                    "an answer is damaged; asking again"
                );
                sleep(PAUSE * tries).await;
                tries += 1;
            }
            answer => return answer,
        }
    }
}

/// Refuses a listing that lost a part: in an answer that ends with its connection, or that something
/// between us and the server cut, HTTP does not notice. It would be a shorter listing. This is the name of
/// its root.
#[derive(Debug)]
pub(super) struct Whole(pub(super) &'static str);

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
        if !answer.status().is_success() {
            return Ok(());
        }
        // Else it could not be read, and is a failure already.
        let Some(body) = answer.body().bytes() else {
            return Ok(());
        };
        xml::check(body, self.0).map_err(|why| {
            let why = format!("the listing is not whole: {why}");
            let is_passing = true;
            Unfit { why, is_passing }.into()
        })
    }
}

fn read(answer: ListObjectsV2Output, query: &ListQuery) -> Result<Page, String> {
    let encoded = answer.encoding_type == Some(EncodingType::Url);
    let next = match (answer.is_truncated, answer.next_continuation_token) {
        (Some(true), None) => return Err("more pages follow, but it does not say where".to_owned()),
        (None, None) => return Err("it does not say whether more pages follow".to_owned()),
        (Some(true) | None, Some(token)) => Some(Cursor(token)),
        (Some(false), _) => None,
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
    let contents = answer.contents.unwrap_or_default();
    let prefixes = answer.common_prefixes.unwrap_or_default();
    if contents.is_empty() && prefixes.is_empty() && answer.key_count.is_some_and(|count| count > 0)
    {
        return Err("it counts names and has none".to_owned());
    }
    for object in contents {
        let text = object.key.ok_or("an object has no name")?;
        let Some(key) = name(&text, encoded) else {
            tracing::warn!(request = "list", object = ?text, "a listed name cannot be read");
            continue;
        };
        check_object(&key, query)?;
        let size = object.size.and_then(|size| u64::try_from(size).ok());
        page.objects.push(Listed {
            size: size.ok_or_else(|| format!("{key:?} has no size"))?,
            key: ObjectKey::new(key),
            modified: object
                .last_modified
                .as_ref()
                .map_or(std::time::SystemTime::UNIX_EPOCH, seconds),
            version: object.e_tag.as_deref().and_then(Version::told),
        });
    }
    for folded in prefixes {
        let text = folded.prefix.ok_or("a common prefix has no name")?;
        let Some(prefix) = name(&text, encoded) else {
            tracing::warn!(request = "list", object = ?text, "a listed prefix cannot be read");
            continue;
        };
        check_prefix(&prefix, query)?;
        page.prefixes.push(prefix);
    }
    Ok(page)
}

/// Makes sure that an object was asked for. What is listed is shown, copied, and deleted.
fn check_object(key: &str, query: &ListQuery) -> Result<(), String> {
    let is_behind = match &query.after {
        After::Name(name) => key > &**name,
        After::Start | After::Page(_) => true,
    };
    match !key.is_empty() && is_behind && key.starts_with(&query.prefix) {
        true => Ok(()),
        false => Err(format!("{key:?} was not asked for")),
    }
}

/// Makes sure that names were asked for, and asked to be folded, that begin like this.
fn check_prefix(prefix: &str, query: &ListQuery) -> Result<(), String> {
    let below = prefix.strip_prefix(&*query.prefix);
    // One segment, with its slash.
    let segment = below.and_then(|below| below.strip_suffix('/'));
    let is_folded = segment.is_some_and(|segment| !segment.contains('/'));
    let is_behind = match &query.after {
        // Some of those that begin so may be behind it.
        After::Name(name) => prefix > &**name || name.starts_with(prefix),
        After::Start | After::Page(_) => true,
    };
    match query.fold && is_folded && is_behind {
        true => Ok(()),
        false => Err(format!(
            "names that begin with {prefix:?} were not asked for"
        )),
    }
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
    use aws_sdk_s3::types::{CommonPrefix, Object};

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
        let silent = ListObjectsV2Output::builder();
        assert!(read(silent.build(), &query(After::Start)).is_err());
        let again = || more.clone().next_continuation_token("t").build();
        let page = read(again(), &query(After::Start)).unwrap();
        assert_eq!(page.next, Some(Cursor("t".into())));
        let after = After::Page(Cursor("t".into()));
        assert!(read(again(), &query(after)).is_err());
    }

    /// A page with these objects and these prefixes.
    fn listed(objects: &[&str], prefixes: &[&str], query: &ListQuery) -> Result<Page, String> {
        let object = |key: &&str| Object::builder().key(*key).size(1).build();
        let prefix = |text: &&str| CommonPrefix::builder().prefix(*text).build();
        let answer = ListObjectsV2Output::builder()
            .is_truncated(false)
            .set_contents(Some(objects.iter().map(object).collect()))
            .set_common_prefixes(Some(prefixes.iter().map(prefix).collect()))
            .build();
        read(answer, query)
    }

    #[test]
    fn a_name_that_was_not_asked_for_is_damage() {
        let below = |fold, after| ListQuery {
            prefix: "a/".to_owned(),
            fold,
            after,
            limit: 10,
        };
        let folded = below(true, After::Start);
        assert!(listed(&["a/", "a/b"], &["a/c/"], &folded).is_ok());
        for outside in ["", "a", "a.", "b", "A/b", "b/a/"] {
            assert!(listed(&[outside], &[], &folded).is_err(), "{outside}");
        }
        for outside in ["", "/", "a/", "a/b", "b/", "a/b/c/", "a/b/c"] {
            assert!(listed(&[], &[outside], &folded).is_err(), "{outside}");
        }
        let flat = below(false, After::Start);
        assert!(listed(&["a/b/c"], &[], &flat).is_ok());
        assert!(listed(&[], &["a/b/"], &flat).is_err());
    }

    #[test]
    fn a_name_before_the_one_to_go_on_after_is_damage() {
        let after = ListQuery {
            fold: true,
            ..query(After::Name("m/n".to_owned()))
        };
        assert!(listed(&["m/o", "n"], &["m/", "o/"], &after).is_ok());
        for earlier in ["a", "m", "m/n"] {
            assert!(listed(&[earlier], &[], &after).is_err(), "{earlier}");
        }
        assert!(listed(&[], &["a/"], &after).is_err());
    }

    #[test]
    fn an_object_without_a_name_or_a_size_is_damage() {
        let object = Object::builder();
        for object in [object.clone().key("k"), object.clone().size(1)] {
            let answer = ListObjectsV2Output::builder().is_truncated(false);
            let answer = answer.contents(object.build()).build();
            assert!(read(answer, &query(After::Start)).is_err());
        }
        let counted = ListObjectsV2Output::builder().is_truncated(false);
        let counted = counted.key_count(2).build();
        assert!(read(counted, &query(After::Start)).is_err());
    }
}
