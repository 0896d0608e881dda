//! The S3 operations: each takes a typed request of s3s, runs one operation of the storage, and
//! answers as S3 does.
//!
//! It knows the S3 protocol above HTTP, and no tables. What is not listed in [`Service`] answers
//! `NotImplemented`, and so does a request that asks for something we would have to ignore
//! ([`unsupported`]). Read [`objects`] first: the others have its shape.

mod attributes;
mod batch;
mod body;
mod buckets;
mod copy;
pub(super) mod errors;
mod list;
mod multipart;
mod objects;
mod tags;
mod unsupported;

use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};
use time::OffsetDateTime;

use super::storage::Storage;

/// The region we are in, since clients insist on one.
const REGION: &str = "us-east-1";

/// The S3 service over a storage.
#[derive(Clone)]
pub(super) struct Service {
    storage: Storage,
}

impl Service {
    pub(super) fn new(storage: Storage) -> Self {
        Self { storage }
    }
}

/// The clock, in the whole seconds that S3 tells.
fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

fn timestamp(seconds: i64) -> Timestamp {
    OffsetDateTime::from_unix_timestamp(seconds)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .into()
}

/// The methods of [`S3`] that we have, each given to a function of the same shape elsewhere.
macro_rules! operations {
    ($($name:ident => $function:path, $input:ty, $output:ty;)*) => {
        #[async_trait::async_trait]
        impl S3 for Service {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                $function(&self.storage, request).await.map(S3Response::new)
            })*

            // The answer that s3s has for it cannot tell how many tags there are.
            async fn head_object(
                &self,
                request: S3Request<HeadObjectInput>,
            ) -> S3Result<S3Response<HeadObjectOutput>> {
                objects::head(&self.storage, request).await
            }
        }
    };
}

operations! {
    abort_multipart_upload => multipart::abort, AbortMultipartUploadInput, AbortMultipartUploadOutput;
    complete_multipart_upload => multipart::complete, CompleteMultipartUploadInput, CompleteMultipartUploadOutput;
    copy_object => copy::copy_object, CopyObjectInput, CopyObjectOutput;
    create_bucket => buckets::create, CreateBucketInput, CreateBucketOutput;
    create_multipart_upload => multipart::create, CreateMultipartUploadInput, CreateMultipartUploadOutput;
    delete_bucket => buckets::delete, DeleteBucketInput, DeleteBucketOutput;
    delete_object => objects::delete, DeleteObjectInput, DeleteObjectOutput;
    delete_objects => batch::delete, DeleteObjectsInput, DeleteObjectsOutput;
    get_bucket_location => buckets::location, GetBucketLocationInput, GetBucketLocationOutput;
    get_object => objects::get, GetObjectInput, GetObjectOutput;
    get_object_tagging => tags::get, GetObjectTaggingInput, GetObjectTaggingOutput;
    head_bucket => buckets::head, HeadBucketInput, HeadBucketOutput;
    list_buckets => buckets::list, ListBucketsInput, ListBucketsOutput;
    list_multipart_uploads => multipart::list_uploads, ListMultipartUploadsInput, ListMultipartUploadsOutput;
    list_objects => list::v1, ListObjectsInput, ListObjectsOutput;
    list_objects_v2 => list::v2, ListObjectsV2Input, ListObjectsV2Output;
    list_parts => multipart::list_parts, ListPartsInput, ListPartsOutput;
    put_object => objects::put, PutObjectInput, PutObjectOutput;
    upload_part => multipart::upload_part, UploadPartInput, UploadPartOutput;
    upload_part_copy => copy::upload_part_copy, UploadPartCopyInput, UploadPartCopyOutput;
}
