//! What a failed request means: the only place that knows status codes and S3's error codes.
//!
//! The question that matters is whether a write can have happened. An answer that says no, and a
//! request that never left, are errors; everything else is [`Outcome::Unknown`]. Sources: the S3
//! API reference (error responses, conditional requests) and RFC 9110; the behaviour of other
//! servers was measured. This knows no request; `read.rs`, `write.rs` and `list.rs` ask it.

use std::error::Error as StdError;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::sources::NoKeys;
use crate::backend::{Deadlines, Denial, Error};
use crate::model::{Expect, Outcome};
use crate::telemetry::exchange;

/// Why a request did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server answered with an error.
    Answered(Answer),
    /// It was certainly never sent.
    Unsent(String),
    /// It was never sent, since nobody says who asks: no credentials, and a second try would find none.
    Nobody(String),
    /// It ended without an answer, and may have arrived.
    Lost(String),
    /// Time was up, and it may have arrived.
    Late,
}

/// An error answer.
#[derive(Debug, Default)]
pub(super) struct Answer {
    status: u16,
    /// S3's own code; none when the answer had no such body (HEAD; something between us and S3). A 404
    /// without any body has the code `NotFound` of the SDK.
    code: Option<String>,
    message: Option<String>,
    request_id: Option<String>,
    /// The bucket's region, which S3 tells in a header to those who ask elsewhere.
    region: Option<String>,
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
/// What S3 calls a 409 that comes of concurrent conditional requests.
const COLLIDED: [&str; 2] = ["ConditionalRequestConflict", "OperationAborted"];

impl Failure {
    /// Reads the SDK's error. `sent` tells whether transmission began.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>, sent: bool) -> Self
    where
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let why = || chain(error);
        if let Some(none) = cause::<NoKeys>(error) {
            return match none.is_passing {
                true => Self::Unsent(none.why.clone()),
                false => Self::Nobody(none.why.clone()),
            };
        }
        if let Some(response) = error.raw_response() {
            let header = |name| response.headers().get(name).map(str::to_owned);
            let answer = Answer {
                status: response.status().as_u16(),
                code: error.code().map(str::to_owned),
                message: error.message().map(str::to_owned),
                request_id: header(REQUEST_ID),
                region: header("x-amz-bucket-region"),
            };
            // A success whose answer could not be read is no error answer.
            return match answer.status {
                200..300 => Self::Lost(why()),
                _ => Self::Answered(answer),
            };
        }
        if !sent || is_connecting(error) {
            return Self::Unsent(why());
        }
        match error {
            SdkError::ConstructionFailure(_) => Self::Unsent(why()),
            SdkError::TimeoutError(_) => Self::Late,
            _ => Self::Lost(why()),
        }
    }

    /// The status of the answer, if there was one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(answer) => Some(answer.status),
            _ => None,
        }
    }

    /// The failure of a read.
    pub(super) fn of_read(self, what: String, bucket: &str, deadlines: Deadlines) -> Error {
        match self {
            Self::Answered(answer) => answer.error(what, bucket),
            Self::Nobody(why) => nobody(what, why),
            Self::Unsent(why) | Self::Lost(why) => Error::Unreachable { what, why },
            Self::Late => Error::Deadline {
                what,
                seconds: deadlines.operation.as_secs_f32(),
            },
        }
    }

    /// What the failure of a write says about it. `expect` is its condition.
    ///
    /// # Errors
    /// The write certainly did not happen.
    pub(super) fn of_write<T>(
        self,
        what: String,
        bucket: &str,
        expect: &Expect,
    ) -> Result<Outcome<T>, Error> {
        match self {
            Self::Answered(answer) if answer.is_refusal(expect) => Ok(Outcome::Refused),
            Self::Answered(answer) if answer.is_no_answer() => {
                exchange::explain(answer.words());
                Ok(Outcome::Unknown)
            }
            Self::Answered(answer) => Err(answer.error(what, bucket)),
            Self::Unsent(why) => Err(Error::Unreachable { what, why }),
            Self::Nobody(why) => Err(nobody(what, why)),
            Self::Lost(why) => {
                exchange::explain(why);
                Ok(Outcome::Unknown)
            }
            Self::Late => {
                exchange::explain("it was not answered in time");
                Ok(Outcome::Unknown)
            }
        }
    }
}

impl Answer {
    fn has_code(&self, codes: &[&str]) -> bool {
        self.code
            .as_deref()
            .is_some_and(|code| codes.contains(&code))
    }

    /// 412 is the answer to a false condition; some servers answer 304 to If-None-Match on a
    /// put. 409: another conditional write of the key was under way. 404 under If-Match: the key
    /// is gone, if that is S3's own word.
    fn is_refusal(&self, expect: &Expect) -> bool {
        match self.status {
            412 => true,
            304 => *expect == Expect::Absent,
            409 => self.code.is_none() || self.has_code(&COLLIDED),
            404 => {
                let is_of_s3 = self.code.is_some() && !self.has_code(&["NoSuchBucket"]);
                is_of_s3 && *expect != Expect::Absent
            }
            _ => false,
        }
    }

    /// Whether S3 says that it did nothing for want of time or capacity. Only S3's own words
    /// count: the 503 of a proxy tells nothing about the server behind it.
    fn asks_to_try_again(&self) -> bool {
        self.status == 429
            || self.has_code(&TRY_AGAIN)
            || (self.status == 503 && self.code.is_some())
    }

    /// Whether a write may have happened all the same.
    fn is_no_answer(&self) -> bool {
        match self.status {
            501 | 505 => false,
            500.. => !self.asks_to_try_again(),
            408 => !self.asks_to_try_again(),
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

    fn error(self, what: String, bucket: &str) -> Error {
        let why = self.words();
        if self.asks_to_try_again() {
            return Error::Unreachable { what, why };
        }
        if self.has_code(&TOO_BIG) {
            return Error::TooBig { what, why };
        }
        if self.has_code(&["NoSuchBucket"]) {
            return Error::NotFound(bucket.to_owned());
        }
        if let Some(region) = &self.region
            && self.is_misdirected()
        {
            let why = format!("the bucket is in the region {region}: {why}");
            return Error::Failed { what, why };
        }
        match self.status {
            401 | 403 => self.denial(what, why),
            // Something between us and S3 knows no way there, and nothing of keys (R3).
            404 if self.code.is_none() => Error::Failed {
                what,
                why: format!("{why}: it is not S3 that says so"),
            },
            404 => Error::NotFound(what),
            413 | 414 => Error::TooBig { what, why },
            501 => Error::Failed {
                what,
                why: format!("{why} (the server has no conditional requests of this kind)"),
            },
            _ if self.has_code(&BAD_KEYS) => self.denial(what, why),
            _ => Error::Failed { what, why },
        }
    }

    fn denial(&self, what: String, why: String) -> Error {
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

    /// The server's own words, with what its operators need to find the request.
    fn words(&self) -> String {
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

/// Nobody was there to ask in whose name; to look again at once would find nobody either.
fn nobody(what: String, why: String) -> Error {
    Error::Denied {
        what,
        why,
        to: Denial::Nobody,
    }
}

/// Whether the error arose while connecting: DNS, TCP or TLS. Nothing was sent then.
fn is_connecting(error: &(dyn StdError + 'static)) -> bool {
    cause::<hyper_util::client::legacy::Error>(error).is_some_and(|error| error.is_connect())
}

/// What the client's layers call themselves, and add nothing with.
const LAYERS: [&str; 6] = [
    "dispatch failure",
    "io error",
    "other",
    "client error (Connect)",
    "client error (SendRequest)",
    "tcp connect error",
];

/// An error and its causes in words, each said once. The client library's own rendering adds the
/// whole structure of the error.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut words = String::new();
    for cause in std::iter::successors(Some(error), |error| StdError::source(*error)) {
        let cause = cause.to_string();
        // Some errors repeat their cause, some are nothing but it.
        if words.contains(&cause) || LAYERS.contains(&&*cause) {
            continue;
        }
        if !words.is_empty() {
            words.push_str(": ");
        }
        words.push_str(&cause);
    }
    words
}

/// The first cause of this type.
pub(super) fn cause<'a, E: StdError + 'static>(
    error: &'a (dyn StdError + 'static),
) -> Option<&'a E> {
    std::iter::successors(Some(error), |error| StdError::source(*error))
        .find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Version;

    fn answer(status: u16, code: &str) -> Failure {
        Failure::Answered(Answer {
            status,
            code: (!code.is_empty()).then(|| code.to_owned()),
            ..Answer::default()
        })
    }

    fn write(failure: Failure, expect: &Expect) -> Result<Outcome<()>, Error> {
        failure.of_write("s3://b/k".into(), "b", expect)
    }

    fn update(failure: Failure) -> Result<Outcome<()>, Error> {
        write(failure, &Expect::Is(Version::new("\"1\"")))
    }

    #[test]
    fn a_chain_of_causes_is_words_and_each_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Layer(&'static str, #[source] Option<Box<Self>>);
        let cause = Layer("refused", None);
        let error = Layer("connecting: refused", Some(Box::new(cause)));
        let error = Layer("not sent", Some(Box::new(error)));
        assert_eq!(chain(&error), "not sent: connecting: refused");
    }

    #[test]
    fn refusals_are_412_409_and_404_under_if_match() {
        for (status, code) in [
            (412, "PreconditionFailed"),
            (412, ""),
            (409, "ConditionalRequestConflict"),
            (409, "OperationAborted"),
            (404, "NoSuchKey"),
            (404, "NotFound"),
        ] {
            let outcome = update(answer(status, code)).unwrap();
            assert_eq!(outcome, Outcome::Refused, "{status} {code}");
        }
        let create = |status, code| write(answer(status, code), &Expect::Absent);
        assert_eq!(create(412, "").unwrap(), Outcome::Refused);
        assert_eq!(create(304, "").unwrap(), Outcome::Refused);
        assert!(create(404, "NoSuchKey").is_err());
        assert!(update(answer(409, "BucketNotEmpty")).is_err());
    }

    #[test]
    fn a_missing_bucket_is_not_a_refusal() {
        let error = update(answer(404, "NoSuchBucket")).unwrap_err();
        assert!(matches!(error, Error::NotFound(what) if what == "b"));
    }

    #[test]
    fn what_only_a_proxy_misses_is_neither_absent_nor_refused() {
        let read = answer(404, "").of_read("s3://b/k".into(), "b", Deadlines::default());
        assert!(matches!(read, Error::Failed { .. }), "{read:?}");
        let error = update(answer(404, "")).unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error:?}");
    }

    #[test]
    fn only_s3s_own_words_prove_that_a_write_did_not_happen() {
        for (status, code) in [
            (503, "SlowDown"),
            (503, "ServiceUnavailable"),
            (429, ""),
            (400, "RequestTimeout"),
        ] {
            let error = update(answer(status, code)).unwrap_err();
            assert!(
                matches!(error, Error::Unreachable { .. }),
                "{status} {code}"
            );
        }
        for (status, code) in [
            (500, "InternalError"),
            (500, ""),
            (502, ""),
            (503, ""),
            (504, ""),
            (408, ""),
        ] {
            let outcome = update(answer(status, code)).unwrap();
            assert_eq!(outcome, Outcome::Unknown, "{status} {code}");
        }
        assert_eq!(update(Failure::Late).unwrap(), Outcome::Unknown);
        assert_eq!(
            update(Failure::Lost("reset".into())).unwrap(),
            Outcome::Unknown
        );
        assert!(update(Failure::Unsent("refused".into())).is_err());
    }

    #[test]
    fn errors_say_what_the_caller_can_do() {
        let error = |status, code| update(answer(status, code)).unwrap_err();
        assert!(matches!(error(403, "AccessDenied"), Error::Denied { .. }));
        assert!(matches!(error(400, "ExpiredToken"), Error::Denied { .. }));
        assert!(matches!(error(400, "EntityTooLarge"), Error::TooBig { .. }));
        assert!(matches!(error(501, "NotImplemented"), Error::Failed { .. }));
        assert!(matches!(
            error(400, "InvalidArgument"),
            Error::Failed { .. }
        ));
    }

    #[test]
    fn a_wrong_region_is_named() {
        let answer = Answer {
            status: 301,
            code: Some("PermanentRedirect".into()),
            region: Some("eu-west-1".into()),
            ..Answer::default()
        };
        let error = answer.error("s3://b/k".into(), "b");
        assert!(error.to_string().contains("eu-west-1"), "{error}");
    }
}
