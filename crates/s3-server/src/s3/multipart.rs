//! Multipart uploads: create, add parts, list, complete, abort.
//!
//! Completing moves no bytes: the object takes over the files of its parts, in the transaction that
//! evaluates its conditions and ends the upload.

use std::collections::{BTreeMap, HashSet};

use md5::{Digest, Md5};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::attributes::{attributes_of, etag, tell_checksums};
use super::errors::refused;
use super::list::Encoding;
use super::objects::write_conditions;
use super::{now, timestamp, unsupported};
use crate::claims::{Claims, Trailers};
use crate::receive::{Received, receive};
use crate::storage::{self, Content, Refusal, Segment, Storage, Tx};

/// The smallest part but the last, in bytes: S3's limit.
const MIN_PART: u64 = 5 * 1024 * 1024;
/// The highest part number.
const MAX_PART_NUMBER: u32 = 10_000;
/// The most entries of a listing of parts or uploads.
const MAX_ENTRIES: i32 = 1000;

/// A part number that S3 allows.
pub(super) fn part_number(number: i32) -> S3Result<u32> {
    u32::try_from(number)
        .ok()
        .filter(|n| (1..=MAX_PART_NUMBER).contains(n))
        .ok_or_else(|| s3_error!(InvalidArgument, "Part number must be between 1 and 10000"))
}

/// POST `?uploads`.
pub(super) async fn create(
    storage: &Storage,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<CreateMultipartUploadOutput> {
    unsupported::refuse(&request)?;
    let input = request.input;
    let id = uuid::Uuid::new_v4().simple().to_string();
    let upload = storage::Upload {
        bucket: input.bucket.clone(),
        key: input.key.clone(),
        initiated: now(),
        attributes: attributes_of!(input),
    };
    let written = id.clone();
    storage
        .write(move |tx| {
            tx.need_bucket(&upload.bucket)?;
            tx.create_upload(&written, &upload)
        })
        .await
        .map_err(refused)?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..Default::default()
    })
}

/// PUT `?partNumber&uploadId`.
pub(super) async fn upload_part(
    storage: &Storage,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    unsupported::refuse(&request)?;
    let claims = Claims::of(&request.headers)?;
    let trailers = Trailers::of(&request);
    let input = request.input;
    let number = part_number(input.part_number)?;
    let received = receive(storage, input.body, claims, trailers).await?;
    let at = (input.bucket, input.key, input.upload_id);
    let part = add_part(storage, at, number, received).await?;
    let mut output = UploadPartOutput {
        e_tag: Some(etag(&part.etag)),
        ..Default::default()
    };
    tell_checksums!(output, &part.checksums);
    Ok(output)
}

/// Makes received bytes a part of an upload (bucket, key, id).
pub(super) async fn add_part(
    storage: &Storage,
    (bucket, key, id): (String, String, String),
    number: u32,
    received: Received,
) -> S3Result<Content> {
    storage
        .write(move |tx| {
            tx.upload(&bucket, &key, &id)?;
            let part = received.adopt(tx, now())?;
            tx.put_part(&id, number, &part)?;
            Ok(part)
        })
        .await
        .map_err(refused)
}

/// DELETE `?uploadId`.
pub(super) async fn abort(
    storage: &Storage,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<AbortMultipartUploadOutput> {
    let AbortMultipartUploadInput {
        bucket,
        key,
        upload_id,
        ..
    } = request.input;
    storage
        .write(move |tx| {
            tx.upload(&bucket, &key, &upload_id)?;
            tx.drop_upload(&upload_id, &HashSet::new())
        })
        .await
        .map_err(refused)?;
    Ok(AbortMultipartUploadOutput::default())
}

/// A part as the completing request names it: number, ETag, checksums.
struct Named {
    number: u32,
    etag: Option<String>,
    checksums: BTreeMap<&'static str, String>,
}

fn named(parts: Option<CompletedMultipartUpload>) -> S3Result<Vec<Named>> {
    let parts = parts.and_then(|upload| upload.parts).unwrap_or_default();
    let named: Vec<Named> = parts
        .into_iter()
        .map(|part| {
            let checksums = [
                ("crc32", part.checksum_crc32),
                ("crc32c", part.checksum_crc32c),
                ("crc64nvme", part.checksum_crc64nvme),
                ("sha1", part.checksum_sha1),
                ("sha256", part.checksum_sha256),
            ];
            Ok(Named {
                number: part_number(part.part_number.unwrap_or(0))?,
                etag: part.e_tag.map(ETag::into_value),
                checksums: checksums
                    .into_iter()
                    .filter_map(|(n, v)| Some((n, v?)))
                    .collect(),
            })
        })
        .collect::<S3Result<_>>()?;
    if named.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "an upload is completed with at least one part"
        ));
    }
    if !named.is_sorted_by(|a, b| a.number < b.number) {
        return Err(s3_error!(
            InvalidPartOrder,
            "Parts must be ordered by part number."
        ));
    }
    Ok(named)
}

/// POST `?uploadId`.
pub(super) async fn complete(
    storage: &Storage,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    unsupported::refuse(&request)?;
    let conditions = write_conditions(&request.headers)?;
    let input = request.input;
    let whole = [
        input.checksum_crc32,
        input.checksum_crc32c,
        input.checksum_crc64nvme,
        input.checksum_sha1,
        input.checksum_sha256,
    ];
    if whole.iter().any(Option::is_some) {
        return Err(s3_error!(
            NotImplemented,
            "this server checks the checksums of parts, not of the completed object"
        ));
    }
    let parts = named(input.multipart_upload)?;
    let expected_size = input
        .mpu_object_size
        .and_then(|size| u64::try_from(size).ok());
    let (bucket, key, id) = (input.bucket.clone(), input.key.clone(), input.upload_id);
    let completed = storage
        .write(move |tx| {
            let upload = tx.upload(&bucket, &key, &id)?;
            let content = assemble(tx, &id, &parts)?;
            if expected_size.is_some_and(|expected| expected != content.size) {
                return Err(Refusal::Invalid(
                    "x-amz-mp-object-size is not the sum of the parts",
                ));
            }
            let current = tx.object(&bucket, &key)?;
            conditions.allow_write(current.as_ref().map(|o| o.content.etag.as_str()))?;
            let object = storage::Object {
                content,
                attributes: upload.attributes,
            };
            tx.put_object(&bucket, &key, &object, current.as_ref())?;
            tx.drop_upload(&id, &parts.iter().map(|part| part.number).collect())?;
            Ok(object.content.etag)
        })
        .await
        .map_err(refused)?;
    Ok(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(etag(&completed)),
        ..Default::default()
    })
}

/// The content that the named parts make up; changes nothing.
fn assemble(tx: &Tx<'_>, id: &str, named: &[Named]) -> Result<Content, Refusal> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut md5_of_md5s = Md5::new();
    let mut size = 0;
    for (at, name) in named.iter().enumerate() {
        let part = tx
            .part(id, name.number)?
            .ok_or(Refusal::InvalidPart(name.number))?;
        let same = |(algorithm, value): (&&str, &String)| {
            part.checksums
                .get(*algorithm)
                .is_none_or(|stored| stored == value)
        };
        if name.etag.as_ref() != Some(&part.etag) || !name.checksums.iter().all(same) {
            return Err(Refusal::InvalidPart(name.number));
        }
        if part.size < MIN_PART && at + 1 < named.len() {
            return Err(Refusal::PartTooSmall(name.number));
        }
        md5_of_md5s.update(hex::decode(&part.etag).map_err(Refusal::broken)?);
        size += part.size;
        segments.extend(part.segments);
    }
    let etag = format!("{}-{}", hex::encode(md5_of_md5s.finalize()), named.len());
    Ok(Content {
        etag,
        size,
        modified: now(),
        segments,
        checksums: BTreeMap::new(),
    })
}

/// GET `?uploadId`.
pub(super) async fn list_parts(
    storage: &Storage,
    request: S3Request<ListPartsInput>,
) -> S3Result<ListPartsOutput> {
    let input = request.input;
    let limit = input.max_parts.unwrap_or(MAX_ENTRIES).clamp(0, MAX_ENTRIES);
    let after = u32::try_from(input.part_number_marker.unwrap_or(0)).unwrap_or(0);
    let (bucket, key, id) = (
        input.bucket.clone(),
        input.key.clone(),
        input.upload_id.clone(),
    );
    let mut parts = storage
        .read(move |snapshot| {
            snapshot.upload(&bucket, &key, &id)?;
            snapshot.parts(&id, after)
        })
        .await
        .map_err(refused)?;
    let kept = usize::try_from(limit).unwrap_or(0);
    let truncated = parts.len() > kept;
    parts.truncate(kept);
    let next = parts
        .last()
        .and_then(|(number, _)| i32::try_from(*number).ok());
    let parts = parts
        .into_iter()
        .map(|(number, content)| {
            let mut part = Part {
                part_number: i32::try_from(number).ok(),
                e_tag: Some(etag(&content.etag)),
                size: i64::try_from(content.size).ok(),
                last_modified: Some(timestamp(content.modified)),
                ..Default::default()
            };
            tell_checksums!(part, &content.checksums);
            part
        })
        .collect();
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        part_number_marker: input.part_number_marker,
        next_part_number_marker: next,
        max_parts: Some(limit),
        is_truncated: Some(truncated),
        parts: Some(parts),
        ..Default::default()
    })
}

/// GET `?uploads`: by prefix and page, without delimiter.
pub(super) async fn list_uploads(
    storage: &Storage,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<ListMultipartUploadsOutput> {
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    if input.delimiter.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "uploads are listed by prefix only"
        ));
    }
    let limit = input
        .max_uploads
        .unwrap_or(MAX_ENTRIES)
        .clamp(0, MAX_ENTRIES);
    let bucket = input.bucket.clone();
    let mut uploads = storage
        .read(move |snapshot| snapshot.uploads(&bucket))
        .await
        .map_err(refused)?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let marker = input.key_marker.clone().unwrap_or_default();
    let id_marker = input.upload_id_marker.clone();
    uploads.retain(|(id, upload)| {
        let later = match &id_marker {
            Some(id_marker) => (&upload.key, id) > (&marker, id_marker),
            None => upload.key > marker || marker.is_empty(),
        };
        later && upload.key.starts_with(&prefix)
    });
    let kept = usize::try_from(limit).unwrap_or(0);
    let truncated = uploads.len() > kept;
    uploads.truncate(kept);
    let last = uploads.last().filter(|_| truncated).cloned();
    let uploads = uploads
        .into_iter()
        .map(|(id, upload)| MultipartUpload {
            key: Some(encoding.write(upload.key)),
            upload_id: Some(id),
            initiated: Some(timestamp(upload.initiated)),
            ..Default::default()
        })
        .collect();
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix.map(|p| encoding.write(p)),
        key_marker: input.key_marker.map(|k| encoding.write(k)),
        upload_id_marker: input.upload_id_marker,
        next_key_marker: last
            .as_ref()
            .map(|(_, upload)| encoding.write(upload.key.clone())),
        next_upload_id_marker: last.map(|(id, _)| id),
        max_uploads: Some(limit),
        is_truncated: Some(truncated),
        uploads: Some(uploads),
        encoding_type: input.encoding_type,
        ..Default::default()
    })
}
