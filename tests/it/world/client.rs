//! A small S3 client for the tests: the other machine, which changes the bucket behind a mount's back
//! and looks at what a mount left there. It shares no code with etagfs. It retries nothing and
//! signs for whatever endpoint it is given, a proxy's too. For failures see [`super::proxy`].
//!
//! ```ignore
//! let other = bucket.client();
//! let etag = other.put("key", "value");
//! assert_eq!(other.get("key").unwrap().bytes, "value");
//! let Put::Saved(etag) = other.put_if_match("key", "newer", &etag) else { panic!() };
//! assert!(matches!(other.put_if_absent("key", "x"), Put::Refused(412)));
//! assert_eq!(other.keys(), ["key"]);
//! ```

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls;
use bytes::Bytes;
use tokio::runtime::Runtime;

/// Generous: SeaweedFS takes seconds for a conditional put under contention.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The region of every test.
pub(crate) const REGION: &str = "us-east-1";

/// What a conditional put came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// It landed; the new ETag, with its quotes.
    Saved(String),
    /// The server refused, with this status: 412, 409, or 404 under If-Match.
    Refused(u16),
}

impl Put {
    /// The new ETag.
    ///
    /// # Panics
    /// When it was refused.
    #[track_caller]
    pub(crate) fn saved(self) -> String {
        match self {
            Self::Saved(etag) => etag,
            Self::Refused(status) => panic!("the put was refused with {status}"),
        }
    }
}

/// An object with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// The whole body; empty from [`Client::head`].
    pub(crate) bytes: Bytes,
    /// The length the server tells.
    pub(crate) size: u64,
    /// The ETag with its quotes.
    pub(crate) etag: String,
    /// The content type, if the server tells one.
    pub(crate) content_type: Option<String>,
    /// The user metadata, names without `x-amz-meta-`.
    pub(crate) metadata: BTreeMap<String, String>,
    /// Last-Modified, in seconds since 1970.
    pub(crate) modified: i64,
}

impl Object {
    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }
}

/// A listed object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
}

/// A key pair.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// A blocking client of one bucket. Every method panics on an answer it does not name.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    s3: aws_sdk_s3::Client,
    bucket: String,
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("s3 client")
            .enable_all()
            .build()
            .unwrap()
    })
}

/// The status of an answer that was an error; panics when there was no answer.
#[track_caller]
fn status<E>(error: SdkError<E>) -> u16
where
    E: std::error::Error + Send + Sync + 'static,
{
    match error.raw_response().map(|answer| answer.status().as_u16()) {
        Some(status) => status,
        None => panic!("no answer: {}", DisplayErrorContext(error)),
    }
}

/// The value; `None` for 404.
#[track_caller]
fn unless_missing<T, E>(result: Result<T, SdkError<E>>) -> Option<T>
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match result {
        Ok(value) => Some(value),
        Err(error)
            if error
                .raw_response()
                .is_some_and(|a| a.status().as_u16() == 404) =>
        {
            None
        }
        Err(error) => panic!("{}", DisplayErrorContext(error)),
    }
}

impl Client {
    /// A client of the bucket at the endpoint. Sends nothing.
    pub(crate) fn new(endpoint: &str, keys: &Keys, bucket: &str) -> Self {
        Self::with(endpoint, keys, bucket, |config| config)
    }

    /// Like [`Client::new`], with another configuration.
    pub(crate) fn with(
        endpoint: &str,
        keys: &Keys,
        bucket: &str,
        change: impl FnOnce(aws_sdk_s3::config::Builder) -> aws_sdk_s3::config::Builder,
    ) -> Self {
        static HTTP: OnceLock<aws_sdk_s3::config::SharedHttpClient> = OnceLock::new();
        let http = HTTP.get_or_init(|| {
            let ring = tls::rustls_provider::CryptoMode::Ring;
            aws_smithy_http_client::Builder::new()
                .tls_provider(tls::Provider::Rustls(ring))
                .build_https()
        });
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http.clone())
            .credentials_provider(Credentials::new(
                &keys.id,
                &keys.secret,
                None,
                None,
                "tests",
            ))
            .region(Region::new(REGION))
            .endpoint_url(endpoint)
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::builder().operation_timeout(TIMEOUT).build())
            // Plain requests, as any old client sends them.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
        Self {
            s3: aws_sdk_s3::Client::from_conf(change(config).build()),
            bucket: bucket.to_owned(),
        }
    }

    /// The bucket's name.
    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The SDK's client, for what this facade does not offer. Use with [`Client::block_on`].
    pub(crate) fn sdk(&self) -> &aws_sdk_s3::Client {
        &self.s3
    }

    /// Runs a future of the SDK to its end.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        runtime().block_on(future)
    }

    /// Creates the bucket; tells why not.
    pub(crate) fn create_bucket(&self) -> Result<(), String> {
        self.block_on(self.s3.create_bucket().bucket(&self.bucket).send())
            .map(drop)
            .map_err(|error| DisplayErrorContext(error).to_string())
    }

    /// Stores the object whatever is there; the new ETag.
    #[track_caller]
    pub(crate) fn put(&self, key: &str, body: impl Into<Bytes>) -> String {
        self.try_put(key, body).unwrap()
    }

    /// Like [`Client::put`], but tells a failure.
    pub(crate) fn try_put(&self, key: &str, body: impl Into<Bytes>) -> Result<String, String> {
        self.block_on(self.put_request(key, body).send())
            .map(|answer| answer.e_tag.unwrap_or_default())
            .map_err(|error| DisplayErrorContext(error).to_string())
    }

    /// Stores the object with a content type and user metadata; the new ETag.
    #[track_caller]
    pub(crate) fn put_with(
        &self,
        key: &str,
        body: impl Into<Bytes>,
        content_type: &str,
        metadata: &[(&str, &str)],
    ) -> String {
        let mut request = self.put_request(key, body).content_type(content_type);
        for (name, value) in metadata {
            request = request.metadata(*name, *value);
        }
        self.block_on(request.send())
            .unwrap()
            .e_tag
            .unwrap_or_default()
    }

    /// Stores the object if its ETag is this one.
    #[track_caller]
    pub(crate) fn put_if_match(&self, key: &str, body: impl Into<Bytes>, etag: &str) -> Put {
        self.conditional(self.put_request(key, body).if_match(etag))
    }

    /// Stores the object if there is none.
    #[track_caller]
    pub(crate) fn put_if_absent(&self, key: &str, body: impl Into<Bytes>) -> Put {
        self.conditional(self.put_request(key, body).if_none_match("*"))
    }

    fn put_request(
        &self,
        key: &str,
        body: impl Into<Bytes>,
    ) -> aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder {
        self.s3
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .body(body.into().into())
    }

    #[track_caller]
    fn conditional(
        &self,
        request: aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder,
    ) -> Put {
        match self.block_on(request.send()) {
            Ok(answer) => Put::Saved(answer.e_tag.unwrap_or_default()),
            Err(error) => {
                let message = DisplayErrorContext(&error).to_string();
                match status(error) {
                    refusal @ (404 | 409 | 412) => Put::Refused(refusal),
                    _ => panic!("{message}"),
                }
            }
        }
    }

    /// The object; `None` when there is none.
    #[track_caller]
    pub(crate) fn get(&self, key: &str) -> Option<Object> {
        let answer = self.s3.get_object().bucket(&self.bucket).key(key).send();
        let answer = unless_missing(self.block_on(answer))?;
        let bytes = self.block_on(answer.body.collect()).unwrap().into_bytes();
        Some(Object {
            size: bytes.len() as u64,
            bytes,
            etag: answer.e_tag.unwrap_or_default(),
            content_type: answer.content_type,
            metadata: answer.metadata.unwrap_or_default().into_iter().collect(),
            modified: answer.last_modified.map_or(0, |time| time.secs()),
        })
    }

    /// The object's body as text.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub(crate) fn text(&self, key: &str) -> String {
        let object = self
            .get(key)
            .unwrap_or_else(|| panic!("there is no object {key:?}"));
        object.text().to_owned()
    }

    /// The object without its bytes; `None` when there is none.
    #[track_caller]
    pub(crate) fn head(&self, key: &str) -> Option<Object> {
        let answer = self.s3.head_object().bucket(&self.bucket).key(key).send();
        let answer = unless_missing(self.block_on(answer))?;
        Some(Object {
            bytes: Bytes::new(),
            size: answer
                .content_length
                .unwrap_or_default()
                .try_into()
                .unwrap(),
            etag: answer.e_tag.unwrap_or_default(),
            content_type: answer.content_type,
            metadata: answer.metadata.unwrap_or_default().into_iter().collect(),
            modified: answer.last_modified.map_or(0, |time| time.secs()),
        })
    }

    /// Deletes the object; no object is as good.
    #[track_caller]
    pub(crate) fn delete(&self, key: &str) {
        let request = self.s3.delete_object().bucket(&self.bucket).key(key).send();
        self.block_on(request).unwrap();
    }

    /// Every object whose key begins with the prefix, in the server's order.
    #[track_caller]
    pub(crate) fn list(&self, prefix: &str) -> Vec<Listed> {
        let mut listed = Vec::new();
        let mut after = None;
        loop {
            let request = self
                .s3
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(prefix);
            let page = self
                .block_on(request.set_continuation_token(after).send())
                .unwrap();
            listed.extend(
                page.contents
                    .unwrap_or_default()
                    .into_iter()
                    .map(|object| Listed {
                        key: object.key.unwrap_or_default(),
                        size: object.size.unwrap_or_default().try_into().unwrap(),
                        etag: object.e_tag.unwrap_or_default(),
                    }),
            );
            after = page.next_continuation_token;
            if after.is_none() {
                return listed;
            }
        }
    }

    /// The keys of all objects, in the server's order.
    #[track_caller]
    pub(crate) fn keys(&self) -> Vec<String> {
        self.list("").into_iter().map(|object| object.key).collect()
    }
}
