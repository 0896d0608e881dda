//! Buckets themselves: creating and removing one.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use tokio::time::timeout;

use super::S3;
use super::failure::RequestFailure;
use crate::backend::Error;

/// The region whose buckets are made without naming it (S3 API reference, CreateBucket).
const NAMELESS: &str = "us-east-1";

impl S3 {
    /// Creates the bucket; one that is the caller's already is left as it is.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn create_bucket(&self) -> Result<(), Error> {
        let region = self.reads.config().region().map(|region| region.as_ref());
        let elsewhere = region.filter(|region| *region != NAMELESS).map(|region| {
            CreateBucketConfiguration::builder()
                .location_constraint(BucketLocationConstraint::from(region))
                .build()
        });
        let sent = self
            .reads
            .create_bucket()
            .bucket(&self.bucket)
            .set_create_bucket_configuration(elsewhere)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(()),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_bucket_already_owned_by_you()) =>
            {
                Ok(())
            }
            Err(error) => {
                let failure = RequestFailure::of(error, true);
                Err(failure.of_read(self.name.clone(), &self.bucket, self.deadlines))
            }
        }
    }

    /// Removes the bucket, if it holds nothing; whether it did.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn remove_bucket(&self) -> Result<bool, Error> {
        let sent = self.writes.delete_bucket().bucket(&self.bucket).send();
        let failure = match timeout(self.deadlines.operation, sent).await {
            Ok(Ok(_)) => return Ok(true),
            Ok(Err(error)) if error.code() == Some("BucketNotEmpty") => return Ok(false),
            Ok(Err(error)) => RequestFailure::of(error, true),
            Err(_) => RequestFailure::Late,
        };
        Err(failure.of_read(self.name.clone(), &self.bucket, self.deadlines))
    }
}
