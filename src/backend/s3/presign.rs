//! Signed addresses: what our credentials may do, in the hands of whoever has the address.
//!
//! Nothing is sent; the signature is computed here, and a server only sees it when it is used.

use std::time::Duration;

use aws_sdk_s3::error::{DisplayErrorContext, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};

use super::S3;
use crate::backend::habits::Condition;
use crate::backend::{Error, Grant, ObjectKey, Signed};
use crate::model::Precondition;

impl S3 {
    /// [`crate::backend::Backend::presign`].
    pub(super) async fn sign(
        &self,
        at: &ObjectKey,
        grant: &Grant,
        expires: Duration,
    ) -> Result<Signed, Error> {
        let failed = |why: String| Error::Failed {
            what: format!("signing an address of {}", self.what(at)),
            why: why.into(),
        };
        let config =
            PresigningConfig::expires_in(expires).map_err(|why| failed(why.to_string()))?;
        let (bucket, key) = (&self.bucket, at.as_str());
        let signed = match grant {
            Grant::Get => {
                let request = self.reads.get_object().bucket(bucket).key(key);
                request.presigned(config).await.map_err(words)
            }
            Grant::Put(expect) => {
                let request = self.writes.put_object().bucket(bucket).key(key);
                let request = self.terms.of_put(request);
                let request = match expect {
                    None => request,
                    Some(Precondition::Absent) => request.if_none_match("*"),
                    Some(Precondition::Is(version)) => {
                        let spelling = self.habits.spelling(Condition::Put);
                        request.if_match(spelling.spell(version))
                    }
                };
                request.presigned(config).await.map_err(words)
            }
        };
        Ok(address(&signed.map_err(failed)?))
    }
}

fn words<E, R>(error: SdkError<E, R>) -> String
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    DisplayErrorContext(error).to_string()
}

fn address(request: &PresignedRequest) -> Signed {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Signed {
        url: request.uri().to_owned(),
        headers: request.headers().map(owned).collect(),
    }
}
