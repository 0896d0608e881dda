//! What a failed request means; with `answer.rs` the only place that knows status codes and S3's error codes.
//!
//! The question that matters is whether a write can have happened. An answer that says no, and a
//! request that never left, are errors; everything else is [`Outcome::Unknown`]. Sources: the S3
//! API reference (error responses, conditional requests) and RFC 9110; the behaviour of other
//! servers was measured. This knows no request; `read.rs`, `write.rs` and `list.rs` ask it.

use std::error::Error as StdError;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::answer::{ErrorAnswer, HtmlPage, REQUEST_ID};
use super::bounds::Unfit;
use super::causes::{cause, cause_of, chain, is_connecting};
use super::sources::NoKeys;
use super::trust::NoTrust;
use crate::backend::{Deadlines, Denial, Error, Why};
use crate::model::{Outcome, Precondition, Version};
use crate::telemetry::exchange;

/// Why a request did not succeed.
#[derive(Debug)]
pub(super) enum RequestFailure {
    /// The server answered with an error.
    Answered(ErrorAnswer),
    /// It was certainly never sent.
    Unsent(Why),
    /// It was never sent: there are no credentials, and a second try would find none.
    Nobody(Why),
    /// It was never sent, since it cannot be written down: a second one would be the same.
    Unwritable(Why),
    /// It was never sent, since no answer could be trusted: there is no certificate of an authority.
    Untrusted(Why),
    /// It ended without an answer, and may have arrived.
    Lost(Why),
    /// It was answered, and the answer cannot be one of S3's: endless, contradictory, broken.
    Unfit(Unfit),
    /// The server says that it did it, and more that cannot be read.
    Unreadable(String),
    /// Time was up, and it may have arrived.
    Late,
}

impl RequestFailure {
    /// Reads the SDK's error. `sent` tells whether transmission began.
    pub(super) fn of<E>(error: SdkError<E, HttpResponse>, sent: bool) -> Self
    where
        E: StdError + ProvideErrorMetadata + Send + Sync + 'static,
    {
        if let Some(none) = cause::<NoKeys>(&error) {
            return match none.is_passing {
                true => Self::Unsent(none.why.clone()),
                false => Self::Nobody(none.why.clone()),
            };
        }
        if let Some(none) = cause::<NoTrust>(&error) {
            return Self::Untrusted(none.why().clone());
        }
        if let Some(unfit) = cause::<Unfit>(&error) {
            return Self::Unfit(unfit.clone());
        }
        if let Some(response) = error.raw_response() {
            let header = |name| response.headers().get(name).map(str::to_owned);
            // The SDK makes up a code for a 404 without a body.
            let has_body = response.body().bytes().is_none_or(|body| !body.is_empty());
            let mut answer = ErrorAnswer {
                status: response.status().as_u16(),
                code: error.code().filter(|_| has_body).map(str::to_owned),
                message: error.message().map(str::to_owned),
                request_id: header(REQUEST_ID),
                etag: header("etag"),
                region: header("x-amz-bucket-region"),
                source: None,
            };
            // A success whose answer could not be read is no error answer; a page is none at all.
            return match answer.status {
                200..300 if cause::<HtmlPage>(&error).is_none() => Self::Unreadable(chain(&error)),
                _ => {
                    answer.source = error.into_source().ok();
                    Self::Answered(answer)
                }
            };
        }
        let become_of = match &error {
            SdkError::ConstructionFailure(_) => Self::Unwritable,
            _ if !sent || is_connecting(&error) => Self::Unsent,
            SdkError::TimeoutError(_) => return Self::Late,
            _ => Self::Lost,
        };
        let why = Why::because(cause_of(&error), chain(&error));
        become_of(match error.into_source() {
            Ok(source) => why.over(source),
            Err(_) => why,
        })
    }

    /// The status of the answer, if there was one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Answered(answer) => Some(answer.status),
            _ => None,
        }
    }

    /// Whether it is S3 that answers, with an error.
    pub(super) fn is_of_s3(&self) -> bool {
        matches!(self, Self::Answered(answer) if answer.is_of_s3())
    }

    /// Whether the answer has this status, and it is S3 that says so.
    pub(super) fn says(&self, status: u16) -> bool {
        matches!(self, Self::Answered(answer) if answer.status == status && answer.is_of_s3())
    }

    /// Whether the answer is that the version is still the newest: 304, which has no body,
    /// names the ETag (RFC 9110, 15.4.5).
    pub(super) fn is_unchanged(&self, version: &Version) -> bool {
        let names_it = |answer: &ErrorAnswer| {
            let told = answer.etag.as_deref().and_then(Version::told);
            told.is_some_and(|told| told == *version)
        };
        self.says(304)
            || matches!(self, Self::Answered(answer) if answer.status == 304 && names_it(answer))
    }

    /// Whether something says that the object does not exist, and nothing shows that it is S3: a HEAD has
    /// no body that could name `NoSuchKey`.
    pub(super) fn is_hearsay(&self) -> bool {
        self.status() == Some(404) && !self.says(404)
    }

    /// Whether it was answered, and the next answer may be whole.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Unfit(unfit) if unfit.is_passing)
    }

    /// The failure of a read.
    pub(super) fn of_read(self, what: String, bucket: &str, deadlines: Deadlines) -> Error {
        match self {
            Self::Answered(answer) => answer.error(what, bucket),
            Self::Nobody(why) => nobody(what, why),
            Self::Untrusted(why) | Self::Unwritable(why) => Error::Failed { what, why },
            Self::Unsent(why) | Self::Lost(why) => Error::Unreachable { what, why },
            Self::Unfit(Unfit { why, .. }) | Self::Unreadable(why) => Error::Corrupt { what, why },
            Self::Late => Error::Deadline {
                what,
                seconds: deadlines.operation.as_secs_f32(),
                cause: None,
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
        expect: &Precondition,
    ) -> Result<Outcome<T>, Error> {
        match self {
            Self::Answered(answer) if answer.is_refusal(expect) => Ok(Outcome::Refused(None)),
            Self::Answered(answer) if answer.is_collision() => Err(Error::Collided {
                what,
                why: answer.words(),
            }),
            Self::Answered(answer) if answer.is_no_answer() => {
                exchange::explain(answer.words());
                Ok(Outcome::Unknown)
            }
            Self::Answered(answer) => Err(answer.error(what, bucket)),
            Self::Unsent(why) => Err(Error::Unreachable { what, why }),
            Self::Nobody(why) => Err(nobody(what, why)),
            Self::Untrusted(why) | Self::Unwritable(why) => Err(Error::Failed { what, why }),
            Self::Lost(why) => {
                exchange::explain(why.to_string());
                Ok(Outcome::Unknown)
            }
            Self::Unfit(Unfit { why, .. }) | Self::Unreadable(why) => {
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

/// Nobody was there to ask in whose name; to look again at once would find nobody either.
fn nobody(what: String, why: Why) -> Error {
    Error::Denied {
        what,
        why,
        to: Denial::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Cause;

    fn answer(status: u16, code: &str) -> RequestFailure {
        RequestFailure::Answered(ErrorAnswer {
            status,
            code: (!code.is_empty()).then(|| code.to_owned()),
            ..ErrorAnswer::default()
        })
    }

    /// Without a code, but with the number that S3 gives each request.
    fn numbered(status: u16) -> RequestFailure {
        RequestFailure::Answered(ErrorAnswer {
            status,
            request_id: Some("1".to_owned()),
            ..ErrorAnswer::default()
        })
    }

    fn write(failure: RequestFailure, expect: &Precondition) -> Result<Outcome<()>, Error> {
        failure.of_write("s3://b/k".into(), "b", expect)
    }

    fn update(failure: RequestFailure) -> Result<Outcome<()>, Error> {
        write(failure, &Precondition::Is(Version::new("\"1\"")))
    }

    #[test]
    fn refusals_are_412_and_404_under_if_match() {
        for (status, code) in [
            (412, "PreconditionFailed"),
            (404, "NoSuchKey"),
            (404, "NotFound"),
        ] {
            let outcome = update(answer(status, code)).unwrap();
            assert!(outcome.is_refused(), "{status} {code}");
        }
        for status in [412, 404] {
            assert!(update(numbered(status)).unwrap().is_refused());
        }
        let create = |failure| write(failure, &Precondition::Absent);
        assert!(create(numbered(412)).unwrap().is_refused());
        assert!(create(numbered(304)).unwrap().is_refused());
        assert!(create(answer(404, "NoSuchKey")).is_err());
    }

    #[test]
    fn a_409_of_two_writes_at_once_is_no_verdict_on_the_condition() {
        for failure in [
            answer(409, "ConditionalRequestConflict"),
            answer(409, "OperationAborted"),
            numbered(409),
        ] {
            let error = update(failure).unwrap_err();
            assert!(matches!(error, Error::Collided { .. }), "{error}");
        }
        let error = update(answer(409, "BucketNotEmpty")).unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
    }

    #[test]
    fn a_status_that_nothing_shows_to_be_of_s3_is_no_verdict() {
        for status in [412, 409, 304] {
            for expect in [
                Precondition::Absent,
                Precondition::Is(Version::new("\"1\"")),
            ] {
                let outcome = write(answer(status, ""), &expect).unwrap();
                assert_eq!(outcome, Outcome::Unknown, "{status} {expect}");
            }
        }
        for status in [304, 404, 409, 412, 416] {
            assert!(!answer(status, "").says(status));
            let error = answer(status, "").of_read("x".into(), "b", Deadlines::default());
            assert!(matches!(&error, Error::Failed { .. }), "{error:?}");
            assert!(error.to_string().contains("not S3"), "{error}");
            assert!(numbered(status).says(status));
        }
        assert!(answer(404, "").is_hearsay() && !numbered(404).is_hearsay());
        assert!(!answer(404, "NoSuchKey").is_hearsay());
    }

    #[test]
    fn a_304_names_the_version_that_is_still_there() {
        let told = |etag: Option<&str>| {
            RequestFailure::Answered(ErrorAnswer {
                status: 304,
                etag: etag.map(str::to_owned),
                ..ErrorAnswer::default()
            })
        };
        let have = Version::new("\"1\"");
        for same in ["\"1\"", "W/\"1\"", "1"] {
            assert!(told(Some(same)).is_unchanged(&have), "{same}");
        }
        for other in [Some("\"2\""), Some("*"), Some(""), None] {
            assert!(!told(other).is_unchanged(&have), "{other:?}");
        }
        assert!(numbered(304).is_unchanged(&have));
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
        assert_eq!(update(RequestFailure::Late).unwrap(), Outcome::Unknown);
        assert_eq!(
            update(RequestFailure::Lost("reset".into())).unwrap(),
            Outcome::Unknown
        );
        assert!(update(RequestFailure::Unsent("refused".into())).is_err());
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
    fn an_answer_that_cannot_be_read_is_damaged_and_a_write_with_it_unknown() {
        let unreadable = || RequestFailure::Unreadable("no XML".into());
        let read = unreadable().of_read("x".into(), "b", Deadlines::default());
        assert!(matches!(&read, Error::Corrupt { .. }), "{read:?}");
        assert_eq!(update(unreadable()).unwrap(), Outcome::Unknown);
    }

    #[test]
    fn an_archived_object_is_to_be_restored() {
        let error =
            answer(403, "InvalidObjectState").of_read("x".into(), "b", Deadlines::default());
        assert!(
            error.to_string().contains("archived: restore it first"),
            "{error}"
        );
        assert_eq!(error.cause(), Some(&Cause::Archived));
        // The words alone are nobody's archive.
        let other = answer(403, "AccessDenied").of_read(
            "InvalidObjectState".into(),
            "b",
            Deadlines::default(),
        );
        assert_eq!(other.cause(), None);
    }

    #[test]
    fn only_501_says_that_there_are_no_such_requests() {
        for (status, code) in [(501, "NotImplemented"), (501, ""), (400, "NotImplemented")] {
            let error = update(answer(status, code)).unwrap_err();
            assert_eq!(
                error.cause(),
                Some(&Cause::NotImplemented),
                "{status} {code}"
            );
        }
        for (status, code) in [
            (400, "InvalidRequest"),
            (405, "MethodNotAllowed"),
            (403, "AccessDenied"),
        ] {
            let error = update(answer(status, code)).unwrap_err();
            assert_eq!(error.cause(), None, "{status} {code}");
        }
    }

    #[test]
    fn a_wrong_region_is_named() {
        let answer = ErrorAnswer {
            status: 301,
            code: Some("PermanentRedirect".into()),
            region: Some("eu-west-1".into()),
            ..ErrorAnswer::default()
        };
        let error = answer.error("s3://b/k".into(), "b");
        assert!(error.to_string().contains("eu-west-1"), "{error}");
        assert_eq!(
            error.cause(),
            Some(&Cause::Region(Some("eu-west-1".into())))
        );
    }
}
