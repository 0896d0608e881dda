//! Whose signature counts: the one key pair that the server was started with.
//!
//! It knows no signatures; s3s computes them and asks here for the secret.

use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use super::Credentials;

/// The one key pair.
pub(super) struct OneKeyPair(pub(super) Credentials);

#[async_trait::async_trait]
impl S3Auth for OneKeyPair {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.0.access_key {
            Ok(SecretKey::from(self.0.secret_key.as_str()))
        } else {
            Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            ))
        }
    }
}
