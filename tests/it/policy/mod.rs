//! What etagfs must be allowed to do, and no more: the permissions of each feature, a bucket policy that
//! demands conditional writes, and what is said where something is not allowed.

mod denied;
mod permissions;
mod world;

use crate::world::proxy::{Op, Record};

/// The actions of IAM that S3 demands of a request (Service Authorization Reference for S3; the pages
/// on conditional requests for the second action of a condition on an ETag).
fn actions(request: &Record) -> Vec<&'static str> {
    let is_of_a_version = request.parameter("versionId").is_some();
    let mut actions = match request.op {
        Op::List if request.parameter("versions").is_some() => vec!["s3:ListBucketVersions"],
        Op::List | Op::HeadBucket => vec!["s3:ListBucket"],
        Op::Get | Op::Head if is_of_a_version => vec!["s3:GetObjectVersion"],
        Op::Get | Op::Head => vec!["s3:GetObject"],
        Op::Put | Op::MultipartCreate | Op::MultipartPart | Op::MultipartComplete => {
            vec!["s3:PutObject"]
        }
        Op::Copy => vec!["s3:PutObject", "s3:GetObject"],
        Op::Delete if is_of_a_version => vec!["s3:DeleteObjectVersion"],
        Op::Delete | Op::DeleteMany => vec!["s3:DeleteObject"],
        Op::MultipartAbort => vec!["s3:AbortMultipartUpload"],
        Op::ListBuckets => vec!["s3:ListAllMyBuckets"],
        Op::CreateBucket => vec!["s3:CreateBucket"],
        Op::DeleteBucket => vec!["s3:DeleteBucket"],
        Op::Other if request.parameter("tagging").is_some() => vec!["s3:GetObjectTagging"],
        Op::Other => vec!["unknown"],
    };
    let writes = matches!(request.op, Op::Put | Op::Delete | Op::MultipartComplete);
    if writes && request.if_match().is_some_and(|etag| etag != "*") {
        actions.push("s3:GetObject");
    }
    if request.op == Op::Put && request.header("x-amz-acl").is_some() {
        actions.push("s3:PutObjectAcl");
    }
    if request.op == Op::Put && request.header("x-amz-tagging").is_some() {
        actions.push("s3:PutObjectTagging");
    }
    actions
}
