//! Copies: of an object onto a key, and of a range of an object into a part.
//!
//! A copy onto a key moves no bytes: in one transaction both sides' conditions are evaluated and the
//! new object refers to the same files. A copy into a part is an upload whose client is us.

use std::pin::pin;

use futures_util::TryStreamExt;
use s3s::dto::*;
use s3s::{S3Request, S3Result, StdError, s3_error};

use super::attributes::{attributes_of, etag, tell_checksums};
use super::body::{self, Bytes};
use super::errors::{refused, unusable};
use super::objects::write_conditions;
use super::{multipart, now, timestamp, unsupported};
use crate::claims::{Claims, Trailers};
use crate::conditions::Conditions;
use crate::range::{self, Extent};
use crate::receive::receive;
use crate::storage::{self, Refusal, Storage};

fn source(source: CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket {
            bucket,
            key,
            version_id,
        } => {
            if version_id.is_some_and(|id| &*id != "null") {
                return Err(s3_error!(
                    NotImplemented,
                    "this server does not keep old versions"
                ));
            }
            Ok((bucket.into(), key.into()))
        }
        _ => Err(s3_error!(
            NotImplemented,
            "this server has no access points"
        )),
    }
}

/// PUT with `x-amz-copy-source`.
pub(super) async fn copy_object(
    storage: &Storage,
    request: S3Request<CopyObjectInput>,
) -> S3Result<CopyObjectOutput> {
    unsupported::refuse(&request)?;
    let conditions = write_conditions(&request.headers)?;
    let source_conditions = Conditions::of_copy_source(&request.headers).map_err(unusable)?;
    let input = request.input;
    let (from_bucket, from_key) = source(input.copy_source)?;
    let directive = input
        .metadata_directive
        .as_ref()
        .map(MetadataDirective::as_str);
    let replace = directive == Some(MetadataDirective::REPLACE);
    let retag = input
        .tagging_directive
        .as_ref()
        .is_some_and(|directive| directive.as_str() == TaggingDirective::REPLACE);
    let (bucket, key) = (input.bucket, input.key);
    if !replace && (&from_bucket, &from_key) == (&bucket, &key) {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it copies an object to itself without changing \
             its metadata."
        ));
    }
    let attributes = attributes_of!(input);
    let copied = storage
        .write(move |tx| {
            tx.need_bucket(&from_bucket)?;
            let original = tx
                .object(&from_bucket, &from_key)?
                .ok_or(Refusal::NoSuchKey)?;
            source_conditions.allow_copy_of(&original.content.etag, original.content.modified)?;
            tx.need_bucket(&bucket)?;
            let current = tx.object(&bucket, &key)?;
            conditions.allow_write(current.as_ref().map(|o| o.content.etag.as_str()))?;
            let mut copy = original;
            copy.content.segments = tx.share(&copy.content.segments)?;
            copy.content.modified = now();
            let tags = std::mem::take(&mut copy.attributes.tags);
            if replace {
                copy.attributes = attributes.clone();
            }
            copy.attributes.tags = match retag {
                true => attributes.tags,
                false => tags,
            };
            tx.put_object(&bucket, &key, &copy, current.as_ref())?;
            Ok(copy.content)
        })
        .await
        .map_err(refused)?;
    let mut result = CopyObjectResult {
        e_tag: Some(etag(&copied.etag)),
        last_modified: Some(timestamp(copied.modified)),
        ..Default::default()
    };
    tell_checksums!(result, &copied.checksums);
    Ok(CopyObjectOutput {
        copy_object_result: Some(result),
        ..Default::default()
    })
}

/// PUT of a part with `x-amz-copy-source`.
pub(super) async fn upload_part_copy(
    storage: &Storage,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<UploadPartCopyOutput> {
    unsupported::refuse(&request)?;
    let source_conditions = Conditions::of_copy_source(&request.headers).map_err(unusable)?;
    let input = request.input;
    let number = multipart::part_number(input.part_number)?;
    let (from_bucket, from_key) = source(input.copy_source)?;
    let range = input.copy_source_range;
    let bytes = storage
        .read(move |snapshot| {
            let original = snapshot.object(&from_bucket, &from_key)?.content;
            source_conditions.allow_copy_of(&original.etag, original.modified)?;
            Bytes::take(
                snapshot,
                &original,
                exact_range(range.as_deref(), &original)?,
            )
        })
        .await
        .map_err(refused)?;
    let bytes = pin!(body::chunks(storage, bytes).map_err(StdError::from));
    let received = receive(storage, Some(bytes), Claims::default(), Trailers::default()).await?;
    let (bucket, key) = (input.bucket, input.key);
    let part =
        multipart::add_part(storage, (bucket, key, input.upload_id), number, received).await?;
    let result = CopyPartResult {
        e_tag: Some(etag(&part.etag)),
        last_modified: Some(timestamp(part.modified)),
        ..Default::default()
    };
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..Default::default()
    })
}

/// A copy's range must lie inside of the source: S3 does not shorten it.
fn exact_range(
    range: Option<&str>,
    original: &storage::Content,
) -> Result<std::ops::Range<u64>, Refusal> {
    let Some(header) = range else {
        return Ok(0..original.size);
    };
    let asked = range::resolve(Some(header), u64::MAX);
    match (range::resolve(Some(header), original.size), asked) {
        (Extent::Part(part), Extent::Part(asked)) if part == asked => Ok(part),
        _ => Err(Refusal::Invalid(
            "The x-amz-copy-source-range value is not valid",
        )),
    }
}
