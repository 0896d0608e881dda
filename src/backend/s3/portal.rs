//! Pages in place of answers: a portal, a gateway or a router answers everything with 200 and html.
//!
//! S3 marks its answers (`x-amz-request-id` and others), but some servers that speak like it mark none, and a
//! value may be html. So an unmarked page in place of an object is believed only when the server answers a
//! listing as S3 does, and then asked for once more. Listings and answers about buckets are never html. What
//! a write may be answered with is known to `write.rs`; what a refused page means, to `answer.rs`.

use std::cell::Cell;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::types::EncodingType;
use aws_smithy_runtime_api::client::orchestrator::Metadata;

use super::S3;
use super::answer::HtmlPage;
use super::failure::RequestFailure;
use crate::backend::{Error, ObjectKey};

/// How the names of headers begin that only S3, and what speaks like it, sends.
const MARK: &str = "x-amz-";

/// Media types of pages.
const PAGES: [&str; 2] = ["text/html", "application/xhtml+xml"];

/// What is known of the pages that come in place of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belief {
    /// None came.
    Untested,
    /// One came, and was refused.
    Refused,
    /// This server sends such values.
    Granted,
}

tokio::task_local! {
    static BELIEF: Cell<Belief>;
}

/// Refuses pages.
#[derive(Debug)]
pub(super) struct Portal;

impl Intercept for Portal {
    fn name(&self) -> &'static str {
        "portal"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if !response.status().is_success() || !is_page(response) {
            return Ok(());
        }
        let is_believed = match operation(config) {
            // Their bodies tell; see `write.rs`.
            "PutObject" | "DeleteObject" => true,
            "GetObject" | "HeadObject" => BELIEF
                .try_with(|belief| match belief.get() {
                    Belief::Granted => true,
                    Belief::Untested | Belief::Refused => {
                        belief.set(Belief::Refused);
                        false
                    }
                })
                .unwrap_or_default(),
            _ => false,
        };
        match is_believed {
            true => Ok(()),
            false => Err(HtmlPage.into()),
        }
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let is_about_bucket = matches!(operation(config), "CreateBucket" | "DeleteBucket");
        let body = response.body().bytes().unwrap_or_default();
        let is_talk = !is_marked(response) && !is_answer_about_bucket(body);
        match response.status().is_success() && is_about_bucket && is_talk {
            true => Err(HtmlPage.into()),
            false => Ok(()),
        }
    }
}

impl S3 {
    /// Asks for an object. If a page comes, the server has to show that it is S3.
    pub(super) async fn past_portals<T, F>(
        &self,
        at: &ObjectKey,
        ask: impl Fn() -> F + Send + Sync,
    ) -> Result<T, Error>
    where
        T: Send,
        F: Future<Output = Result<T, Error>> + Send,
    {
        let first = async {
            let answer = ask().await;
            (answer, BELIEF.with(Cell::get))
        };
        let (answer, belief) = BELIEF.scope(Cell::new(Belief::Untested), first).await;
        if belief == Belief::Untested || answer.is_ok() || !self.is_heard(at).await {
            return answer;
        }
        BELIEF.scope(Cell::new(Belief::Granted), ask()).await
    }

    /// Whether S3's own words come back.
    async fn is_heard(&self, at: &ObjectKey) -> bool {
        let listing = self
            .reads
            .list_objects_v2()
            .bucket(&self.bucket)
            .encoding_type(EncodingType::Url)
            .prefix(at.as_str())
            .max_keys(1);
        match listing.send().await {
            Ok(_) => true,
            Err(error) => RequestFailure::of(error, true).is_of_s3(),
        }
    }
}

fn operation(config: &ConfigBag) -> &str {
    config
        .load::<Metadata>()
        .map_or("", |operation| operation.name())
}

/// Whether it is a page that nothing shows to be S3's.
fn is_page(response: &HttpResponse) -> bool {
    let told = response.headers().get("content-type").unwrap_or_default();
    let media = told.split(';').next().unwrap_or_default().trim();
    PAGES.iter().any(|page| media.eq_ignore_ascii_case(page)) && !is_marked(response)
}

fn is_marked(response: &HttpResponse) -> bool {
    response
        .headers()
        .iter()
        .any(|(name, _)| name.starts_with(MARK))
}

/// S3 says little of a bucket that it made, and nothing of one that it removed.
fn is_answer_about_bucket(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body.trim_ascii()).to_ascii_lowercase();
    text.is_empty() || text.contains("<createbucket")
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::primitives::SdkBody;

    fn answer(headers: &[(&'static str, &'static str)]) -> HttpResponse {
        let status = 200.try_into().expect("it is one");
        let mut response = HttpResponse::new(status, SdkBody::empty());
        for (name, value) in headers {
            response.headers_mut().insert(*name, *value);
        }
        response
    }

    #[test]
    fn a_page_is_html_that_nothing_shows_to_be_of_s3() {
        for html in [
            "text/html",
            "Text/HTML; charset=utf-8",
            "application/xhtml+xml",
        ] {
            let html = ("content-type", html);
            assert!(is_page(&answer(&[html, ("etag", "\"5f3c-abc\"")])));
            for mark in [
                "x-amz-request-id",
                "X-Amz-Request-Id",
                "x-amz-meta-etagfs-put",
            ] {
                assert!(!is_page(&answer(&[html, (mark, "1")])), "{mark}");
            }
        }
        for other in ["text/plain", "application/xml", "text/html-ish", ""] {
            assert!(!is_page(&answer(&[("content-type", other)])), "{other}");
        }
        assert!(!is_page(&answer(&[])));
    }

    #[test]
    fn an_answer_about_a_bucket_is_empty_or_names_what_was_made() {
        for good in [
            "",
            "\n",
            "<?xml version=\"1.0\"?><CreateBucketResult xmlns=\"x\"/>",
            "<CreateBucketResponse><Bucket>b</Bucket></CreateBucketResponse>",
        ] {
            assert!(is_answer_about_bucket(good.as_bytes()), "{good}");
        }
        for page in ["<html>", "<?xml version=\"1.0\"?><html/>", "ok", "{}"] {
            assert!(!is_answer_about_bucket(page.as_bytes()), "{page}");
        }
    }
}
