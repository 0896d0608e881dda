//! How a bucket is reached: region, endpoint, credentials, retries and time limits.
//!
//! Everything about the AWS SDK's configuration is here and nothing about requests. Settings
//! come from [`S3Config`] and, where that is silent, from the standard AWS environment and
//! profile files. Next: `read.rs`, `write.rs` and `list.rs` use the two clients built here.

use std::fmt;
use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    Credentials as Keys, RequestChecksumCalculation, ResponseChecksumValidation, SharedHttpClient,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::S3;
use crate::backend::{Deadlines, Error};

/// S3 closes idle connections after some seconds; ours go first, since a request on a connection
/// that is being closed may get no answer.
const IDLE: Duration = Duration::from_secs(15);

/// First and longest pause between attempts at a read. The SDK's own first pause of a second is
/// for machines; somebody is waiting for `cat`.
const PAUSE: (Duration, Duration) = (Duration::from_millis(80), Duration::from_secs(5));

/// Where servers that are not AWS are told to be.
const REGION_OF_ENDPOINTS: &str = "us-east-1";

/// How to reach a bucket.
#[derive(Clone, Debug)]
pub struct S3Config {
    /// The bucket's name.
    pub bucket: String,
    /// The region. Else `AWS_REGION`, the profile's, the EC2 machine's own; with an endpoint
    /// finally `us-east-1`.
    pub region: Option<String>,
    /// The URL of a server other than AWS. Else `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the
    /// profile's.
    pub endpoint_url: Option<String>,
    /// Whether the bucket stands in the URL's path, not in its host name. Else: if there is an
    /// endpoint.
    pub path_style: Option<bool>,
    /// Who asks.
    pub credentials: Credentials,
    /// How long requests may take.
    pub deadlines: Deadlines,
    /// At most so many attempts at a read, within the deadline. Writes have one: see `settle`.
    pub read_attempts: u32,
}

impl S3Config {
    /// A bucket, reached as the environment says.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            region: None,
            endpoint_url: None,
            path_style: None,
            credentials: Credentials::default(),
            deadlines: Deadlines::default(),
            read_attempts: 8,
        }
    }
}

/// Who asks.
#[derive(Clone)]
pub enum Credentials {
    /// Whom the standard chain finds: environment, profile files, web identity token, container,
    /// EC2 instance.
    Standard {
        /// This profile, before anything else.
        profile: Option<String>,
        /// Whether to ask the EC2 instance metadata service.
        instance: Instance,
    },
    /// These keys.
    Keys {
        /// The access key id.
        id: String,
        /// The secret access key.
        secret: String,
        /// The token of temporary keys.
        token: Option<String>,
    },
    /// Nobody: requests are not signed.
    Anonymous,
}

/// Whether to ask the EC2 instance metadata service (IMDS). Where there is none, the question
/// can cost many seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instance {
    /// If the firmware says that this is EC2.
    #[default]
    IfEc2,
    /// Yes.
    Ask,
    /// No.
    Ignore,
}

impl Default for Credentials {
    fn default() -> Self {
        Self::Standard {
            profile: None,
            instance: Instance::IfEc2,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standard { profile, instance } => f
                .debug_struct("Standard")
                .field("profile", profile)
                .field("instance", instance)
                .finish(),
            Self::Keys { id, .. } => f
                .debug_struct("Keys")
                .field("id", id)
                .finish_non_exhaustive(),
            Self::Anonymous => f.write_str("Anonymous"),
        }
    }
}

impl Instance {
    fn is_asked(self) -> bool {
        match self {
            Self::Ask => true,
            Self::Ignore => false,
            Self::IfEc2 => is_ec2(),
        }
    }
}

/// The marks that AWS names for telling an EC2 instance from inside: the vendor on Nitro, the
/// hypervisor's UUID on Xen.
fn is_ec2() -> bool {
    let says = |file: &str, start: &str| {
        std::fs::read_to_string(file).is_ok_and(|text| {
            text.get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start))
        })
    };
    says("/sys/class/dmi/id/sys_vendor", "Amazon EC2") || says("/sys/hypervisor/uuid", "ec2")
}

impl S3 {
    /// Prepares to reach a bucket. Reads the AWS configuration; sends nothing to the bucket.
    ///
    /// # Errors
    /// [`Error::Failed`] when the configuration is no good: no region, a bad endpoint.
    pub async fn connect(config: S3Config) -> Result<Self, Error> {
        let name = format!("s3://{}", config.bucket);
        let wrong = |why: String| Error::Failed {
            what: name.clone(),
            why,
        };
        if let Some(url) = &config.endpoint_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            return Err(wrong(format!(
                "the endpoint {url} does not begin with http:// or https://"
            )));
        }
        let http = aws_smithy_http_client::Builder::new()
            .pool_idle_timeout(IDLE)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.deadlines.connect)
            .operation_attempt_timeout(config.deadlines.attempt)
            .operation_timeout(config.deadlines.operation)
            .build();
        let shared = load(&config, &http, &timeouts).await;
        let has_endpoint = has_endpoint(&shared);
        if shared.region().is_none() && !has_endpoint {
            return Err(wrong(
                "no region is known: set it, or AWS_REGION, or a profile's region".into(),
            ));
        }
        let mut builder = aws_sdk_s3::config::Builder::from(&shared)
            .force_path_style(config.path_style.unwrap_or(has_endpoint))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .interceptor(super::wire::Wire);
        if shared.region().is_none() {
            builder = builder.region(Region::from_static(REGION_OF_ENDPOINTS));
        }
        if matches!(config.credentials, Credentials::Anonymous) {
            builder = builder.allow_no_auth();
        }
        let retries = RetryConfig::standard()
            .with_max_attempts(config.read_attempts)
            .with_initial_backoff(PAUSE.0)
            .with_max_backoff(PAUSE.1);
        Ok(Self {
            reads: Client::from_conf(builder.clone().retry_config(retries).build()),
            // Our own time limit, which grows with the body, takes the place of the SDK's.
            writes: Client::from_conf(
                builder
                    .retry_config(RetryConfig::disabled())
                    .timeout_config(
                        TimeoutConfig::builder()
                            .connect_timeout(config.deadlines.connect)
                            .disable_operation_attempt_timeout()
                            .disable_operation_timeout()
                            .build(),
                    )
                    .build(),
            ),
            bucket: config.bucket,
            deadlines: config.deadlines,
            name,
            etags: super::integrity::Etags::default(),
        })
    }
}

async fn load(config: &S3Config, http: &SharedHttpClient, timeouts: &TimeoutConfig) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http.clone())
        .timeout_config(timeouts.clone());
    if let Ok(name) = AppName::new("etagfs") {
        loader = loader.app_name(name);
    }
    if let Some(url) = &config.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    let (profile, instance) = match &config.credentials {
        Credentials::Standard { profile, instance } => (profile.clone(), instance.is_asked()),
        Credentials::Keys { .. } | Credentials::Anonymous => (None, false),
    };
    if let Some(profile) = &profile {
        loader = loader.profile_name(profile);
    }
    let provider = ProviderConfig::default()
        .with_http_client(http.clone())
        .with_timeout_config(timeouts.clone());
    let region = region(config, profile.as_deref(), instance, &provider).await;
    loader = match &config.credentials {
        Credentials::Anonymous => loader.no_credentials(),
        Credentials::Keys { id, secret, token } => {
            let keys = Keys::new(id, secret, token.clone(), None, "etagfs configuration");
            loader.credentials_provider(keys)
        }
        Credentials::Standard { .. } => {
            let provider = provider.with_region(region.clone());
            loader.credentials_provider(standard(profile, instance, &provider))
        }
    };
    loader
        .region(RegionProviderChain::first_try(region))
        .load()
        .await
}

async fn region(
    config: &S3Config,
    profile: Option<&str>,
    instance: bool,
    provider: &ProviderConfig,
) -> Option<Region> {
    let mut profiles = ProfileFileRegionProvider::builder().configure(provider);
    if let Some(profile) = profile {
        profiles = profiles.profile_name(profile);
    }
    let mut chain = RegionProviderChain::first_try(config.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(profiles.build());
    if instance {
        chain = chain.or_else(ImdsRegionProvider::builder().configure(provider).build());
    }
    chain.region().await
}

/// The standard chain, in its standard order, but for two things: a profile asked for by name
/// comes first, and the instance is asked only where there is one.
fn standard(
    profile: Option<String>,
    instance: bool,
    provider: &ProviderConfig,
) -> CredentialsProviderChain {
    let environment = EnvironmentVariableCredentialsProvider::new;
    let profiles = ProfileFileCredentialsProvider::builder().configure(provider);
    let mut chain = match profile {
        Some(name) => {
            let profiles = profiles.profile_name(name).build();
            CredentialsProviderChain::first_try("profile", profiles)
        }
        None => CredentialsProviderChain::first_try("environment", environment())
            .or_else("profile", profiles.build()),
    }
    .or_else(
        "web identity token",
        WebIdentityTokenCredentialsProvider::builder()
            .configure(provider)
            .build(),
    )
    .or_else(
        "container",
        EcsCredentialsProvider::builder()
            .configure(provider)
            .build(),
    );
    if instance {
        let imds = ImdsCredentialsProvider::builder().configure(provider);
        chain = chain.or_else("EC2 instance", imds.build());
    }
    chain
}

/// Whether requests go to another server than AWS. The SDK reads the variable for S3 alone only
/// when it builds a client, and does not tell.
fn has_endpoint(shared: &SdkConfig) -> bool {
    shared.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let keys = Credentials::Keys {
            id: "AK".into(),
            secret: "hidden".into(),
            token: Some("hidden".into()),
        };
        let shown = format!("{keys:?}");
        assert!(shown.contains("AK") && !shown.contains("hidden"));
    }

    #[tokio::test]
    async fn an_endpoint_without_a_scheme_is_refused() {
        let mut config = S3Config::new("bucket");
        config.endpoint_url = Some("localhost:9000".into());
        let error = S3::connect(config).await.unwrap_err();
        assert!(error.to_string().contains("localhost:9000"), "{error}");
    }
}
