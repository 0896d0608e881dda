//! PUT, GET, HEAD and DELETE of one object.
//!
//! Every write is one storage operation that looks at what stands there, evaluates the conditions,
//! and changes it; every read is one snapshot. Read [`crate::conditions`] for the rules.

use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use super::attributes::{attributes_of, describe, etag, tell_checksums};
use super::body::{self, Bytes};
use super::errors::{not_modified, precondition_failed, refused, unusable};
use super::{now, tags, unsupported};
use crate::claims::{Claims, Trailers};
use crate::conditions::{Conditions, ReadVerdict};
use crate::range::{self, Extent};
use crate::receive::receive;
use crate::storage::{Object, Storage};

/// PUT.
pub(super) async fn put(
    storage: &Storage,
    request: S3Request<PutObjectInput>,
) -> S3Result<PutObjectOutput> {
    unsupported::refuse(&request)?;
    if request.method == hyper::Method::POST {
        return Err(s3_error!(
            NotImplemented,
            "this server does not implement upload forms"
        ));
    }
    let conditions = write_conditions(&request.headers)?;
    let claims = Claims::of(&request.headers)?;
    let trailers = Trailers::of(&request);
    let input = request.input;
    let attributes = attributes_of!(input);
    let received = receive(storage, input.body, claims, trailers).await?;
    let (bucket, key) = (input.bucket, input.key);
    let content = storage
        .write(move |tx| {
            tx.need_bucket(&bucket)?;
            let current = tx.object(&bucket, &key)?;
            conditions.allow_write(current.as_ref().map(|o| o.content.etag.as_str()))?;
            let object = Object {
                content: received.adopt(tx, now())?,
                attributes,
            };
            tx.put_object(&bucket, &key, &object, current.as_ref())?;
            Ok(object.content)
        })
        .await
        .map_err(refused)?;
    let mut output = PutObjectOutput {
        e_tag: Some(etag(&content.etag)),
        ..Default::default()
    };
    tell_checksums!(output, &content.checksums);
    Ok(output)
}

/// The conditions of a write, all of which we must be able to keep.
pub(super) fn write_conditions(headers: &hyper::HeaderMap) -> S3Result<Conditions> {
    Conditions::of(headers)
        .and_then(Conditions::for_write)
        .map_err(unusable)
}

/// GET.
pub(super) async fn get(
    storage: &Storage,
    request: S3Request<GetObjectInput>,
) -> S3Result<GetObjectOutput> {
    unsupported::refuse(&request)?;
    let conditions = Conditions::of(&request.headers).map_err(unusable)?;
    let input = request.input;
    whole_object_only(input.part_number)?;
    let (bucket, key) = (input.bucket, input.key);
    let range = input.range.map(|range| range.to_header_string());
    let found = storage
        .read(move |snapshot| {
            let object = snapshot.object(&bucket, &key)?;
            let verdict = conditions.read(&object.content.etag, object.content.modified);
            let extent = range::resolve(range.as_deref(), object.content.size);
            let bytes = match (verdict, &extent) {
                (ReadVerdict::Send, Extent::Whole) => Some(Bytes::take(
                    snapshot,
                    &object.content,
                    0..object.content.size,
                )?),
                (ReadVerdict::Send, Extent::Part(part)) => {
                    Some(Bytes::take(snapshot, &object.content, part.clone())?)
                }
                _ => None,
            };
            Ok((object, verdict, extent, bytes))
        })
        .await
        .map_err(refused)?;
    let (object, verdict, extent, bytes) = found;
    let object = readable(object, verdict)?;
    let size = object.content.size;
    let mut output = GetObjectOutput::default();
    let part = match extent {
        Extent::Unsatisfiable => return Err(unsatisfiable(size)),
        Extent::Whole => 0..size,
        Extent::Part(part) => {
            output.content_range = Some(format!("bytes {}-{}/{size}", part.start, part.end - 1));
            part
        }
    };
    let wants_checksum = input
        .checksum_mode
        .is_some_and(|m| m.as_str() == ChecksumMode::ENABLED);
    if wants_checksum && output.content_range.is_none() {
        tell_checksums!(output, &object.content.checksums);
    }
    output.content_length = i64::try_from(part.end - part.start).ok();
    output.body = bytes.map(|bytes| body::stream(storage, bytes));
    output.tag_count = i32::try_from(object.attributes.tags.len())
        .ok()
        .filter(|count| *count > 0);
    describe!(output, object);
    Ok(output)
}

/// HEAD.
pub(super) async fn head(
    storage: &Storage,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    unsupported::refuse(&request)?;
    let conditions = Conditions::of(&request.headers).map_err(unusable)?;
    let input = request.input;
    whole_object_only(input.part_number)?;
    let (bucket, key) = (input.bucket, input.key);
    let object = storage
        .read(move |snapshot| snapshot.object(&bucket, &key))
        .await
        .map_err(refused)?;
    let verdict = conditions.read(&object.content.etag, object.content.modified);
    let object = readable(object, verdict)?;
    let mut output = HeadObjectOutput {
        content_length: i64::try_from(object.content.size).ok(),
        ..Default::default()
    };
    if input
        .checksum_mode
        .is_some_and(|m| m.as_str() == ChecksumMode::ENABLED)
    {
        tell_checksums!(output, &object.content.checksums);
    }
    let tags = tags::count(object.attributes.tags.len());
    describe!(output, object);
    let mut response = S3Response::new(output);
    response.headers.extend(tags);
    Ok(response)
}

fn whole_object_only(part_number: Option<PartNumber>) -> S3Result<()> {
    match part_number {
        Some(_) => Err(s3_error!(
            NotImplemented,
            "this server does not implement reading by partNumber"
        )),
        None => Ok(()),
    }
}

fn readable(object: Object, verdict: ReadVerdict) -> S3Result<Object> {
    match verdict {
        ReadVerdict::Send => Ok(object),
        ReadVerdict::NotModified => Err(not_modified(&object.content.etag)),
        ReadVerdict::Failed(condition) => Err(precondition_failed(condition)),
    }
}

fn unsatisfiable(size: u64) -> s3s::S3Error {
    let mut error = s3_error!(InvalidRange, "The requested range is not satisfiable");
    if let Ok(value) = format!("bytes */{size}").parse() {
        // These take the place of the headers that s3s would give.
        let xml = hyper::header::HeaderValue::from_static("application/xml");
        let headers = [
            (hyper::header::CONTENT_RANGE, value),
            (hyper::header::CONTENT_TYPE, xml),
        ];
        error.set_headers(headers.into_iter().collect());
    }
    error
}

/// DELETE.
pub(super) async fn delete(
    storage: &Storage,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<DeleteObjectOutput> {
    unsupported::refuse(&request)?;
    let conditions = Conditions::of(&request.headers)
        .and_then(Conditions::for_delete)
        .map_err(unusable)?;
    let (bucket, key) = (request.input.bucket, request.input.key);
    storage
        .write(move |tx| {
            tx.need_bucket(&bucket)?;
            let current = tx.object(&bucket, &key)?;
            conditions.allow_delete(current.as_ref().map(|o| o.content.etag.as_str()))?;
            current.map_or(Ok(()), |object| tx.delete_object(&bucket, &key, &object))
        })
        .await
        .map_err(refused)?;
    Ok(DeleteObjectOutput::default())
}
