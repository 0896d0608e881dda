//! What requests say beyond their matter: the payer, the owner that the bucket must have, how objects are kept.
//!
//! The first two go with every request for a bucket that exists, the rest with every put of an object.
//! Names and values of headers are those of the S3 API reference (PutObject, GetObject). It knows
//! neither keys nor conditions; `connect.rs` puts it into the clients, `write.rs` into puts.

use std::fmt;

use aws_sdk_s3::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::types::{ObjectCannedAcl, ServerSideEncryption, StorageClass};
use aws_smithy_runtime_api::client::orchestrator::Metadata;

/// What requests say beyond their matter. By default nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// We pay for requests and transfer, if the bucket's owner does not.
    pub requester_pays: bool,
    /// Account id of the bucket's owner; requests for a bucket of somebody else are denied.
    pub expected_owner: Option<String>,
    /// The storage class of what is saved, as S3 calls it (`STANDARD_IA`). Else the server's default.
    pub storage_class: Option<String>,
    /// How the server encrypts what is saved. Else as the bucket says.
    pub encryption: Option<Encryption>,
    /// The canned ACL of what is saved, as S3 calls it (`bucket-owner-full-control`).
    pub acl: Option<String>,
}

/// How the server encrypts an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// With keys of S3 (SSE-S3, AES256).
    S3,
    /// With a key of KMS.
    Kms {
        /// In two layers (DSSE-KMS).
        is_dual: bool,
        /// Id, ARN or alias of the key; else the account's own for S3.
        key: Option<String>,
        /// Whether to derive from a key of the bucket, which asks KMS less often; else as the bucket
        /// says.
        bucket_key: Option<bool>,
    },
}

impl Terms {
    /// Adds what is said of a new object.
    pub(super) fn of_put(&self, request: PutObjectFluentBuilder) -> PutObjectFluentBuilder {
        let request = request
            .set_storage_class(self.storage_class.as_deref().map(StorageClass::from))
            .set_acl(self.acl.as_deref().map(ObjectCannedAcl::from));
        match &self.encryption {
            None => request,
            Some(Encryption::S3) => request.server_side_encryption(ServerSideEncryption::Aes256),
            Some(Encryption::Kms {
                is_dual,
                key,
                bucket_key,
            }) => request
                .server_side_encryption(match is_dual {
                    true => ServerSideEncryption::AwsKmsDsse,
                    false => ServerSideEncryption::AwsKms,
                })
                .set_ssekms_key_id(key.clone())
                .set_bucket_key_enabled(*bucket_key),
        }
    }

    /// What goes with every request; `None` if nothing does.
    pub(super) fn everywhere(&self) -> Option<Everywhere> {
        let payer = self.requester_pays.then(|| "requester".to_owned());
        let owner = self.expected_owner.clone();
        let headers = [
            ("x-amz-request-payer", payer),
            ("x-amz-expected-bucket-owner", owner),
        ];
        let headers: Vec<_> = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
            .collect();
        (!headers.is_empty()).then_some(Everywhere(headers))
    }
}

/// Headers of every request, added before it is signed.
pub(super) struct Everywhere(Vec<(&'static str, String)>);

impl fmt::Debug for Everywhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Everywhere").field(&self.0).finish()
    }
}

impl Intercept for Everywhere {
    fn name(&self) -> &'static str {
        "terms"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // A bucket that is yet to be made belongs to nobody.
        let is_creation = bag
            .load::<Metadata>()
            .is_some_and(|operation| operation.name() == "CreateBucket");
        if is_creation {
            return Ok(());
        }
        for (name, value) in &self.0 {
            context
                .request_mut()
                .headers_mut()
                .try_insert(*name, value.clone())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_by_default() {
        assert!(Terms::default().everywhere().is_none());
    }
}
