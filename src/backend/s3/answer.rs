//! An error answer: whose word it is, and what it says.
//!
//! A status alone is no word of S3's: routers, gateways and portals answer 404, 412, 409 and 304 too. What
//! shows that it is S3 is a code of its own, or the number that it gives each request. It knows nothing of
//! answers that did not arrive; that is `failure.rs`.

use std::error::Error as StdError;

use crate::backend::{Cause, Denial, Error, Why};
use crate::model::Precondition;

/// A success that is a page for people, as a portal sends it.
#[derive(Debug, thiserror::Error)]
#[error("the answer is a page")]
pub(super) struct HtmlPage;

/// An error answer.
#[derive(Debug, Default)]
pub(super) struct ErrorAnswer {
    pub(super) status: u16,
    /// S3's own code; none when the answer had no such body (HEAD; something between us and S3).
    pub(super) code: Option<String>,
    pub(super) message: Option<String>,
    pub(super) request_id: Option<String>,
    pub(super) etag: Option<String>,
    /// The bucket's region, which S3 tells in a header to those who ask elsewhere.
    pub(super) region: Option<String>,
    /// What the client library made of it.
    pub(super) source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The header with the id that the server gave a request.
pub(super) const REQUEST_ID: &str = "x-amz-request-id";

/// Codes of answers that say: this did nothing, try again.
const TRY_AGAIN: [&str; 7] = [
    "SlowDown",
    "ServiceUnavailable",
    "TooManyRequests",
    "Throttling",
    "ThrottlingException",
    // The body did not arrive in time, or not whole.
    "RequestTimeout",
    "IncompleteBody",
];
/// Codes that say that the keys themselves are no good; some come with 400.
const BAD_KEYS: [&str; 5] = [
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
];
/// A request was signed for another region than the bucket's (HEAD tells it without a code).
const WRONG_REGION: &str = "AuthorizationHeaderMalformed";
const TOO_BIG: [&str; 4] = [
    "EntityTooLarge",
    "KeyTooLongError",
    "KeyTooLong",
    "MetadataTooLarge",
];
/// A read of an object that lies in an archive (Glacier, and the like).
const ARCHIVED: &str = "InvalidObjectState";
/// What S3 calls a 409 that comes of concurrent conditional requests.
const COLLIDED: [&str; 2] = ["ConditionalRequestConflict", "OperationAborted"];

impl ErrorAnswer {
    fn has_code(&self, codes: &[&str]) -> bool {
        self.code
            .as_deref()
            .is_some_and(|code| codes.contains(&code))
    }

    /// Whether it is S3 that answers, and not something between us and it: a code of S3's, or the number
    /// that it gives each request.
    pub(super) fn is_of_s3(&self) -> bool {
        self.code.is_some() || self.request_id.is_some()
    }

    /// 412 is the answer to a false condition; some servers answer 304 to If-None-Match on a
    /// put. 404 under If-Match: the key is gone. None of them is, unless it is S3's own word.
    pub(super) fn is_refusal(&self, expect: &Precondition) -> bool {
        self.is_of_s3()
            && match self.status {
                412 => true,
                304 => *expect == Precondition::Absent,
                404 => !self.has_code(&["NoSuchBucket"]) && *expect != Precondition::Absent,
                _ => false,
            }
    }

    /// 409: another conditional write of the key was under way, if that is S3's own word.
    pub(super) fn is_collision(&self) -> bool {
        let names_it = self.code.is_none() || self.has_code(&COLLIDED);
        self.status == 409 && self.is_of_s3() && names_it
    }

    /// Whether S3 says that it did nothing for want of time or capacity. Only S3's own words
    /// count: the 503 of a proxy tells nothing about the server behind it.
    fn asks_to_try_again(&self) -> bool {
        self.status == 429
            || self.has_code(&TRY_AGAIN)
            || (self.status == 503 && self.code.is_some())
    }

    /// Whether a write may have happened all the same.
    pub(super) fn is_no_answer(&self) -> bool {
        match self.status {
            501 | 505 => false,
            500.. => !self.asks_to_try_again(),
            408 => !self.asks_to_try_again(),
            // Whoever says so may have passed the request on before.
            200..300 | 304 | 409 | 412 => !self.is_of_s3(),
            _ => false,
        }
    }

    fn is_misdirected(&self) -> bool {
        match self.status {
            300..400 => true,
            400 => self.code.is_none() || self.has_code(&[WRONG_REGION]),
            _ => false,
        }
    }

    pub(super) fn error(mut self, what: String, bucket: &str) -> Error {
        let why = Why::because(self.cause(), self.words());
        let why = match self.source.take() {
            Some(source) => why.over(source),
            None => why,
        };
        if self.asks_to_try_again() {
            return Error::Unreachable { what, why };
        }
        if self.has_code(&TOO_BIG) {
            let why = self.words();
            return Error::TooBig { what, why };
        }
        if self.has_code(&["NoSuchBucket"]) {
            return Error::NotFound(bucket.to_owned());
        }
        if let Some(region) = &self.region
            && self.is_misdirected()
        {
            let cause = Cause::Region(Some(region.clone()));
            let why = why
                .of(format_args!("the bucket is in the region {region}"))
                .because_of(cause);
            return Error::Failed { what, why };
        }
        match self.status {
            _ if self.has_code(&[ARCHIVED]) => Error::Failed {
                what,
                why: why.of("archived: restore it first"),
            },
            401 | 403 => self.denial(what, why),
            // Something between us and S3 knows no way there, and nothing of keys (R3).
            200..300 | 304 | 404 | 409 | 412 | 416 if !self.is_of_s3() => Error::Failed {
                what,
                why: why.with(": the answer is not S3's"),
            },
            404 => Error::NotFound(what),
            413 | 414 => Error::TooBig {
                what,
                why: self.words(),
            },
            _ if self.has_code(&BAD_KEYS) => self.denial(what, why),
            _ => Error::Failed { what, why },
        }
    }

    fn denial(&self, what: String, why: Why) -> Error {
        Error::Denied {
            what,
            why,
            // The answer to a HEAD has no code; it may be the keys.
            to: match self.code.is_none() || self.has_code(&BAD_KEYS) {
                true => Denial::Credentials,
                false => Denial::Request,
            },
        }
    }

    /// What to make of it, as its code says, or for want of one its status.
    fn cause(&self) -> Option<Cause> {
        match (self.code.as_deref(), self.status) {
            (Some("SignatureDoesNotMatch"), _) => Some(Cause::Secret),
            (Some("InvalidAccessKeyId"), _) => Some(Cause::KeyId),
            (Some("ExpiredToken" | "TokenRefreshRequired"), _) => Some(Cause::Expired),
            (Some("RequestTimeTooSkewed"), _) => Some(Cause::Clock),
            (Some(ARCHIVED), _) => Some(Cause::Archived),
            (Some("InvalidArgument"), 400) => Some(Cause::Argument),
            (Some("NotImplemented"), _) | (_, 501) => Some(Cause::NotImplemented),
            // What a server that expects TLS says to plain text.
            (None, 400) if !self.is_of_s3() => Some(Cause::NotHttp),
            _ => None,
        }
    }

    /// The server's own words, with what its operators need to find the request.
    pub(super) fn words(&self) -> String {
        let mut words = match (&self.code, &self.message) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(word), None) | (None, Some(word)) => word.clone(),
            (None, None) => "no explanation".to_owned(),
        };
        words.push_str(&format!(" (HTTP {}", self.status));
        if let Some(id) = &self.request_id {
            words.push_str(&format!(", request {id}"));
        }
        words.push(')');
        words
    }
}
