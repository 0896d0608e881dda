//! How buckets are reached: the one place of this layer that makes a backend.

use std::sync::Arc;

use async_trait::async_trait;

use super::Error;
use super::address::Source;
use crate::backend::limit::Places;
use crate::backend::s3::S3Config;
use crate::backend::{Backend, S3, certain};
use crate::store::Layouts;

/// How buckets are reached. [`S3Config`] is one way: its settings, for whatever bucket a URL names.
#[async_trait]
pub trait Connect: Send + Sync {
    /// Prepares to reach a bucket. Sends nothing yet.
    ///
    /// # Errors
    /// When the configuration makes no sense; a failure that is not this layer's own is [`Error::Connect`].
    async fn connect(&self, source: &Source) -> Result<Arc<dyn Backend>, Error>;

    /// Which layouts stores have, and how they are shown and written.
    ///
    /// # Errors
    /// When the configuration makes no sense; a failure that is not this layer's own is [`Error::Connect`].
    fn layouts(&self) -> Result<Layouts, Error> {
        Ok(Layouts::default())
    }
}

/// As it is configured, where it says something, and else as the environment is (`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`,
/// `AWS_REGION`, `AWS_ENDPOINT_URL_S3`, ...). Its own bucket does not count.
#[async_trait]
impl Connect for S3Config {
    async fn connect(&self, source: &Source) -> Result<Arc<dyn Backend>, Error> {
        let config = Self {
            bucket: source.bucket.clone(),
            ..self.clone()
        };
        let deadlines = config.deadlines;
        let bucket = S3::connect(config).await?;
        let (places, telemetry) = (Places::default(), Arc::default());
        Ok(certain(Arc::new(bucket), deadlines, places, telemetry))
    }
}
