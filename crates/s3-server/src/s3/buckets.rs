//! Buckets: create, look at, list, delete.
//!
//! It knows that every bucket belongs to the one owner there is, in the one region there is.

use s3s::dto::*;
use s3s::{S3Request, S3Result};

use super::errors::refused;
use super::{REGION, now, timestamp};
use crate::storage::Storage;

/// PUT of a bucket.
pub(super) async fn create(
    storage: &Storage,
    request: S3Request<CreateBucketInput>,
) -> S3Result<CreateBucketOutput> {
    let name = request.input.bucket;
    let location = format!("/{name}");
    storage
        .write(move |tx| tx.create_bucket(&name, now()))
        .await
        .map_err(refused)?;
    Ok(CreateBucketOutput {
        location: Some(location),
    })
}

/// HEAD of a bucket.
pub(super) async fn head(
    storage: &Storage,
    request: S3Request<HeadBucketInput>,
) -> S3Result<HeadBucketOutput> {
    let name = request.input.bucket;
    storage
        .read(move |snapshot| snapshot.bucket(&name))
        .await
        .map_err(refused)?;
    Ok(HeadBucketOutput {
        bucket_region: Some(REGION.to_owned()),
        ..Default::default()
    })
}

/// DELETE of a bucket.
pub(super) async fn delete(
    storage: &Storage,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<DeleteBucketOutput> {
    let name = request.input.bucket;
    storage
        .write(move |tx| tx.delete_bucket(&name))
        .await
        .map_err(refused)?;
    Ok(DeleteBucketOutput::default())
}

/// GET of a bucket's location. The region `us-east-1` is told as an empty constraint.
pub(super) async fn location(
    storage: &Storage,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<GetBucketLocationOutput> {
    let name = request.input.bucket;
    storage
        .read(move |snapshot| snapshot.bucket(&name))
        .await
        .map_err(refused)?;
    Ok(GetBucketLocationOutput::default())
}

/// GET of the list of buckets. Always whole: paging is for accounts of ten thousand.
pub(super) async fn list(
    storage: &Storage,
    request: S3Request<ListBucketsInput>,
) -> S3Result<ListBucketsOutput> {
    let prefix = request.input.prefix.unwrap_or_default();
    let buckets = storage
        .read(|snapshot| snapshot.buckets())
        .await
        .map_err(refused)?;
    let buckets = buckets
        .into_iter()
        .filter(|(name, _)| name.starts_with(&prefix))
        .map(|(name, bucket)| Bucket {
            name: Some(name),
            creation_date: Some(timestamp(bucket.created)),
            ..Default::default()
        })
        .collect();
    let owner = Owner {
        id: Some("etagfs".to_owned()),
        display_name: Some("etagfs".to_owned()),
    };
    Ok(ListBucketsOutput {
        buckets: Some(buckets),
        owner: Some(owner),
        ..Default::default()
    })
}
