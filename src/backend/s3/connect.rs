//! How a bucket is reached: region, endpoint, credentials, retries and time limits.
//!
//! Everything about the AWS SDK's configuration is here and nothing about requests. Settings
//! come from [`S3Config`] and, where that is silent, from the standard AWS environment and
//! profile files. Next: `keys.rs` has the keys that requests are signed with, `read.rs`, `write.rs`
//! and `list.rs` use the two clients built here.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials as Pair;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};

use super::S3;
use super::bounds;
use super::credentials::Credentials;
use super::detour::Detour;
use super::endpoint;
use super::http::{Clients, Network};
use super::keys::Keys;
use super::retry::Worth;
use super::sources::{self, Chain, ChainConfig, profile_files};
use super::terms::Terms;
use crate::backend::{Cause, Deadlines, Error, Limits, Why};
use crate::model::Server;

/// First and longest pause between attempts at a read. The SDK's own first pause of a second is
/// for machines; somebody is waiting for `cat`.
const PAUSE: (Duration, Duration) = (Duration::from_millis(80), Duration::from_secs(5));

/// How all of AWS is reached.
const AWS: &str = "https://";

/// The region that servers other than AWS are given.
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
    /// Which of AWS's endpoints.
    pub endpoint: Endpoint,
    /// Who asks.
    pub credentials: Credentials,
    /// How to get to the server.
    pub network: Network,
    /// What requests say beyond their matter.
    pub terms: Terms,
    /// How long requests may take.
    pub deadlines: Deadlines,
    /// The most attempts at a read, within the deadline. Writes have one: see `settle`.
    pub read_attempts: u32,
    /// Memory for the names of listings under way.
    pub listing_memory: u64,
}

/// Which of AWS's endpoints requests go to. Else as the environment and the profile say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Reachable by IPv6 too.
    pub dual_stack: bool,
    /// With FIPS 140 validated cryptography.
    pub fips: bool,
    /// By way of an edge location (S3 Transfer Acceleration).
    pub accelerate: bool,
}

impl S3Config {
    /// A bucket, reached as the environment says.
    pub fn new(bucket: impl Into<String>) -> Self {
        Self {
            bucket: bucket.into(),
            region: None,
            endpoint_url: None,
            path_style: None,
            endpoint: Endpoint::default(),
            credentials: Credentials::default(),
            network: Network::default(),
            terms: Terms::default(),
            deadlines: Deadlines::default(),
            read_attempts: 8,
            listing_memory: Limits::S3.listing_bytes,
        }
    }
}

impl S3 {
    /// Prepares to reach a bucket. Reads the AWS configuration; sends nothing to the bucket.
    ///
    /// # Errors
    /// [`Error::Failed`] when the configuration is no good: no region, a bad endpoint.
    pub async fn connect(config: S3Config) -> Result<Self, Error> {
        let name = format!("s3://{}", config.bucket);
        let wrong = |why: Why| Error::Failed {
            what: name.clone(),
            why,
        };
        let owner = config.terms.expected_owner.as_deref();
        if owner.is_some_and(|owner| !sources::is_signable(owner)) {
            let why = "the expected owner of the bucket has a control character in it";
            return Err(wrong(why.into()));
        }
        if let Some(url) = &config.endpoint_url {
            endpoint::normal(url).map_err(wrong)?;
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(config.deadlines.connect)
            .operation_attempt_timeout(config.deadlines.attempt)
            .operation_timeout(config.deadlines.operation)
            .build();
        let (shared, keys) = load(&config, &timeouts).await.map_err(wrong)?;
        let url = endpoint::find(config.endpoint_url.as_deref(), &shared);
        let has_endpoint = url.is_some();
        let normal = url.as_deref().map(endpoint::normal).transpose();
        let normal = normal.map_err(wrong)?;
        let detour = Detour::default();
        if shared.region().is_none() && !has_endpoint {
            let words = "no region is known: set it, or AWS_REGION, or a profile's region";
            return Err(wrong(Why::because(Cause::Region(None), words)));
        }
        let mut builder = aws_sdk_s3::config::Builder::from(&shared)
            .force_path_style(config.path_style.unwrap_or(has_endpoint))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .interceptor(super::wire::Wire)
            .interceptor(bounds::Bounded)
            .interceptor(detour.clone())
            .interceptor(super::portal::Portal);
        builder.set_endpoint_url(normal);
        if config.endpoint.accelerate {
            builder = builder.accelerate(true);
        }
        if shared.region().is_none() {
            builder = builder.region(Region::from_static(REGION_OF_ENDPOINTS));
        }
        if keys.is_none() {
            builder = builder.allow_no_auth();
        }
        if let Some(everywhere) = config.terms.everywhere() {
            builder = builder.interceptor(everywhere);
        }
        let retries = RetryConfig::standard()
            .with_max_attempts(config.read_attempts)
            .with_initial_backoff(PAUSE.0)
            .with_max_backoff(PAUSE.1);
        Ok(Self {
            reads: Client::from_conf(
                builder
                    .clone()
                    .retry_config(retries)
                    .retry_classifier(Worth)
                    .build(),
            ),
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
            server: Server {
                region: shared.region().map(ToString::to_string),
                endpoint: url,
            },
            detour,
            name,
            keys,
            terms: config.terms,
            etags: super::integrity::Etags::default(),
            listing_memory: config.listing_memory,
            habits: crate::backend::Habits::default(),
            told: super::listings::Told::default(),
        })
    }
}

/// The shared configuration, and the keys; without any for anonymous requests.
async fn load(
    config: &S3Config,
    timeouts: &TimeoutConfig,
) -> Result<(SdkConfig, Option<Keys>), Why> {
    sources::readable(&profile_files())?;
    let url = config.endpoint_url.clone();
    let url = url.or_else(endpoint::of_environment);
    let clients = config
        .network
        .clients(url.as_deref(), config.deadlines.connect)?;
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(clients.remote.clone())
        .timeout_config(timeouts.clone())
        // Each client has its own; else a bad AWS_MAX_ATTEMPTS or AWS_RETRY_MODE would be a panic.
        .retry_config(RetryConfig::standard())
        // Ours are cached in `keys.rs`, which knows when they change.
        .identity_cache(IdentityCache::no_cache());
    if let Ok(name) = AppName::new("etagfs") {
        loader = loader.app_name(name);
    }
    if let Some(url) = &config.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if config.endpoint.dual_stack {
        loader = loader.use_dual_stack(true);
    }
    if config.endpoint.fips {
        loader = loader.use_fips(true);
    }
    let (profile, instance) = match &config.credentials {
        Credentials::Standard { profile, instance } => (profile.clone(), instance.is_asked()),
        Credentials::Keys { .. } | Credentials::Anonymous => (None, false),
    };
    if let Some(profile) = &profile {
        loader = loader.profile_name(profile);
    }
    let region = region(config, profile.as_deref(), instance, &clients).await;
    if let Some(region) = &region
        && !sources::is_signable(region.as_ref())
    {
        return Err(format!("the region {region} has a control character in it").into());
    }
    let keys = match &config.credentials {
        Credentials::Anonymous => None,
        Credentials::Keys { id, secret, token } => {
            let pair = Pair::new(id, secret, token.clone(), None, "options");
            let make = move || Chain::given(pair.clone());
            Some(Keys::new(make, Vec::new(), config.deadlines.operation))
        }
        Credentials::Standard { .. } => {
            let place = ChainConfig {
                profile,
                instance,
                region: region.clone(),
                fips: config.endpoint.fips,
                dual_stack: config.endpoint.dual_stack,
                timeouts: timeouts.clone(),
                remote: bounds::client(&clients.remote),
                local: bounds::client(&clients.local),
            };
            let make = move || Chain::standard(&place);
            let files = profile_files().to_vec();
            Some(Keys::new(make, files, config.deadlines.operation))
        }
    };
    loader = match &keys {
        None => loader.no_credentials(),
        Some(keys) => loader.credentials_provider(keys.clone()),
    };
    let loader = loader.region(RegionProviderChain::first_try(region));
    let shared = loader.load().await;
    let url = endpoint::find(config.endpoint_url.as_deref(), &shared);
    let trusted = clients.can_trust(url.as_deref().unwrap_or(AWS));
    trusted.map_err(|none| none.why().clone())?;
    Ok((shared, keys))
}

async fn region(
    config: &S3Config,
    profile: Option<&str>,
    instance: bool,
    clients: &Clients,
) -> Option<Region> {
    let local = bounds::client(&clients.local);
    let provider = ProviderConfig::default().with_http_client(local);
    let mut profiles = ProfileFileRegionProvider::builder().configure(&provider);
    if let Some(profile) = profile {
        profiles = profiles.profile_name(profile);
    }
    let mut chain = RegionProviderChain::first_try(config.region.clone().map(Region::new))
        .or_else(EnvironmentVariableRegionProvider::new())
        .or_else(profiles.build());
    if instance {
        let instance = ImdsRegionProvider::builder().configure(&provider);
        chain = chain.or_else(instance.build());
    }
    chain.region().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_without_a_scheme_is_refused() {
        let mut config = S3Config::new("bucket");
        config.endpoint_url = Some("localhost:9000".into());
        let error = S3::connect(config).await.unwrap_err();
        assert!(error.to_string().contains("localhost:9000"), "{error}");
    }
}
