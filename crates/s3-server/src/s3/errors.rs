//! Refusals as S3 errors: the one place that chooses an error code for what the storage said.
//!
//! It knows codes and messages; the HTTP status of a code is s3s's. Source: S3 API reference,
//! "Error responses".

use hyper::HeaderMap;
use hyper::header::{ETAG, HeaderValue};
use s3s::{S3Error, S3ErrorCode, s3_error};

use crate::conditions::Unusable;
use crate::storage::Refusal;

/// What a client is told about a refusal.
pub(crate) fn refused(refusal: Refusal) -> S3Error {
    match refusal {
        Refusal::NoSuchBucket => {
            s3_error!(NoSuchBucket, "The specified bucket does not exist")
        }
        Refusal::NoSuchKey => s3_error!(NoSuchKey, "The specified key does not exist."),
        Refusal::NoSuchUpload => s3_error!(
            NoSuchUpload,
            "The specified upload does not exist. It may have been aborted or completed."
        ),
        Refusal::PreconditionFailed(condition) => precondition_failed(condition),
        Refusal::BucketExists => s3_error!(
            BucketAlreadyOwnedByYou,
            "Your previous request to create the named bucket succeeded and you already own it."
        ),
        Refusal::BucketNotEmpty => {
            s3_error!(
                BucketNotEmpty,
                "The bucket you tried to delete is not empty"
            )
        }
        Refusal::InvalidPart(number) => s3_error!(
            InvalidPart,
            "Part {number} could not be found, or its ETag is not the one you gave."
        ),
        Refusal::PartTooSmall(number) => s3_error!(
            EntityTooSmall,
            "Part {number} is smaller than the minimum allowed size of 5 MiB."
        ),
        Refusal::Invalid(what) => s3_error!(InvalidRequest, "{what}"),
        broken @ Refusal::Broken(_) => storage_fault(broken),
    }
}

/// 412, with the condition that failed.
pub(super) fn precondition_failed(condition: &str) -> S3Error {
    s3_error!(
        PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold: {condition}"
    )
}

/// 304 with the ETag, as RFC 9110 15.4.5 wants it.
pub(super) fn not_modified(etag: &str) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    if let Ok(value) = HeaderValue::try_from(format!("\"{etag}\"")) {
        error.set_headers(HeaderMap::from_iter([(ETAG, value)]));
    }
    error
}

/// Conditions that cannot be evaluated must not be ignored.
pub(super) fn unusable(conditions: Unusable) -> S3Error {
    match conditions {
        Unusable::Malformed(name) => s3_error!(InvalidArgument, "malformed header: {name}"),
        Unusable::NotImplemented(what) => s3_error!(NotImplemented, "{what}"),
    }
}

/// A fault of ours: logged here, and not explained to the client.
pub(crate) fn storage_fault(error: impl std::fmt::Display) -> S3Error {
    tracing::error!(%error, "storage fault");
    s3_error!(
        InternalError,
        "We encountered an internal error. Please try again."
    )
}
