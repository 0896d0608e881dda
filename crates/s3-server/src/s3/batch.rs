//! The batch delete: up to a thousand keys in one transaction.
//!
//! Each key is judged for itself, with a condition of its own if it carries an ETag.

use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::errors::refused;
use super::unsupported;
use crate::conditions::Conditions;
use crate::storage::{Refusal, Storage, Tx};

/// The most keys of one request.
const MAX_KEYS: usize = 1000;

/// POST `?delete`.
pub(super) async fn delete(
    storage: &Storage,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<DeleteObjectsOutput> {
    unsupported::refuse(&request)?;
    let DeleteObjectsInput { bucket, delete, .. } = request.input;
    if delete.objects.is_empty() || delete.objects.len() > MAX_KEYS {
        return Err(s3_error!(
            MalformedXML,
            "between 1 and {MAX_KEYS} keys are expected"
        ));
    }
    let quiet = delete.quiet.unwrap_or(false);
    let answers = storage
        .write(move |tx| {
            tx.need_bucket(&bucket)?;
            let mut answers = Vec::with_capacity(delete.objects.len());
            for object in delete.objects {
                let answer = match delete_one(tx, &bucket, &object) {
                    Err(broken @ Refusal::Broken(_)) => return Err(broken),
                    answer => answer,
                };
                answers.push((object.key, answer));
            }
            Ok(answers)
        })
        .await
        .map_err(refused)?;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for (key, answer) in answers {
        match answer {
            Ok(()) if quiet => {}
            Ok(()) => deleted.push(DeletedObject {
                key: Some(key),
                ..Default::default()
            }),
            Err(refusal) => {
                let error = refused(refusal);
                errors.push(Error {
                    key: Some(key),
                    code: Some(error.code().as_str().to_owned()),
                    message: error.message().map(str::to_owned),
                    ..Default::default()
                });
            }
        }
    }
    Ok(DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: Some(errors),
        ..Default::default()
    })
}

fn delete_one(tx: &mut Tx<'_>, bucket: &str, wanted: &ObjectIdentifier) -> Result<(), Refusal> {
    let old_version = wanted.version_id.as_deref().is_some_and(|id| id != "null");
    if old_version || wanted.size.is_some() || wanted.last_modified_time.is_some() {
        return Err(Refusal::Invalid(
            "only an ETag can be demanded of a key to delete",
        ));
    }
    let conditions = wanted
        .e_tag
        .as_ref()
        .map_or_else(Conditions::default, |etag| {
            Conditions::only_if_etag_is(etag.value())
        });
    let current = tx.object(bucket, &wanted.key)?;
    conditions.allow_delete(current.as_ref().map(|o| o.content.etag.as_str()))?;
    current.map_or(Ok(()), |object| {
        tx.delete_object(bucket, &wanted.key, &object)
    })
}
