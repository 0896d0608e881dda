//! Requests that ask for something we do not have, refused rather than half obeyed.
//!
//! It looks at headers and the query only, so that it holds for every operation alike.

use hyper::{HeaderMap, Uri};
use s3s::{S3Request, S3Result, s3_error};

/// Headers of a request whose meaning we would otherwise drop on the floor.
const HEADERS: [&str; 10] = [
    "x-amz-if-match-last-modified-time",
    "x-amz-if-match-size",
    "x-amz-object-lock-legal-hold",
    "x-amz-object-lock-mode",
    "x-amz-object-lock-retain-until-date",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-copy-source-server-side-encryption-customer-algorithm",
    "x-amz-write-offset-bytes",
];

/// Refuses a request that asks for an old version, encryption, locks, tags and the like.
pub(super) fn refuse<T>(request: &S3Request<T>) -> S3Result<()> {
    refuse_headers(&request.headers)?;
    refuse_query(&request.uri)
}

fn refuse_headers(headers: &HeaderMap) -> S3Result<()> {
    match HEADERS.into_iter().find(|name| headers.contains_key(*name)) {
        Some(name) => Err(s3_error!(
            NotImplemented,
            "this server does not implement {name}"
        )),
        None => Ok(()),
    }
}

fn refuse_query(uri: &Uri) -> S3Result<()> {
    let mut pairs = uri.query().unwrap_or_default().split('&');
    // An unversioned bucket has one version of each object, and its id is "null".
    let versioned = |pair: &str| {
        pair.strip_prefix("versionId=")
            .is_some_and(|id| id != "null")
    };
    if pairs.any(versioned) {
        return Err(s3_error!(
            NotImplemented,
            "this server does not keep old versions"
        ));
    }
    Ok(())
}
