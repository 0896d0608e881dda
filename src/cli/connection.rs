//! How a bucket is reached, as options say it: from arguments to a backend.
//!
//! It names each setting of [`S3Config`] and decides nothing about it. Secrets given as options are
//! never shown. Next: `backend/s3/connect.rs` makes clients of the settings.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};

use super::redact::Secret;
use super::report::Failure;
use super::units::{self, header};
use crate::backend::limit::Places;
use crate::backend::s3::{
    Credentials, Encryption, Endpoint, Instance, Network, S3Config, Terms, endpoint_of_environment,
};
use crate::backend::{Backend, Deadlines, S3, certain};
use crate::client::Source;
use crate::model::Server;
use crate::mount::descriptor_limit;
use crate::telemetry::Telemetry;

/// Where a bucket is, and which credentials reach it.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Bucket")]
pub(super) struct Connection {
    /// URL of a server other than AWS.
    #[arg(long, env = "ETAGFS_ENDPOINT_URL", value_name = "URL")]
    pub(super) endpoint_url: Option<String>,
    /// Region of the bucket [else AWS_REGION, or the profile's].
    #[arg(long, env = "ETAGFS_REGION")]
    region: Option<String>,
    /// Put the bucket's name into the path of URLs, not into the host name [the default with
    /// --endpoint-url].
    #[arg(long, env = "ETAGFS_PATH_STYLE")]
    path_style: bool,
    /// Use only objects whose names begin with this; the same as s3://BUCKET/PREFIX.
    #[arg(long, env = "ETAGFS_PREFIX")]
    pub(super) prefix: Option<String>,
    /// The longest time that one operation in the store may take, in seconds.
    #[arg(
        long,
        env = "ETAGFS_DEADLINE",
        value_name = "SECONDS",
        default_value = "30",
        value_parser = units::deadline
    )]
    deadline: Duration,
    /// Memory for the names in listings under way, about 400 bytes each; a listing that does not fit
    /// fails. Units: K, M, G.
    #[arg(
        long,
        env = "ETAGFS_LISTING_MEMORY",
        value_name = "SIZE",
        default_value = "256M",
        value_parser = units::size
    )]
    listing_memory: u64,
    #[command(flatten)]
    who: CredentialOptions,
    #[command(flatten)]
    way: NetworkOptions,
    #[command(flatten)]
    objects: Objects,
}

/// Who asks.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Credentials")]
struct CredentialOptions {
    /// Profile of the AWS configuration files; without it the standard chain: AWS_ACCESS_KEY_ID,
    /// AWS_PROFILE or the default profile, web identity, container, EC2 instance.
    #[arg(long, env = "ETAGFS_PROFILE")]
    profile: Option<String>,
    /// Access key id, instead of the standard chain.
    #[arg(
        long,
        env = "ETAGFS_ACCESS_KEY_ID",
        value_name = "ID",
        requires = "secret_access_key",
        conflicts_with = "profile"
    )]
    access_key_id: Option<String>,
    /// Secret access key. Use the variable: arguments can be seen by other users.
    #[arg(
        long,
        env = "ETAGFS_SECRET_ACCESS_KEY",
        value_name = "SECRET",
        hide_env_values = true,
        requires = "access_key_id"
    )]
    secret_access_key: Option<Secret>,
    /// Session token of temporary keys. Use the variable.
    #[arg(
        long,
        env = "ETAGFS_SESSION_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        requires = "access_key_id"
    )]
    session_token: Option<Secret>,
    /// Do not sign requests: for public buckets.
    #[arg(
        long,
        env = "ETAGFS_NO_SIGN_REQUEST",
        conflicts_with_all = ["profile", "access_key_id"]
    )]
    no_sign_request: bool,
    /// Whether the EC2 instance metadata service is asked for credentials and region.
    #[arg(
        long,
        env = "ETAGFS_IMDS",
        value_name = "WHEN",
        value_enum,
        default_value = "auto"
    )]
    imds: Imds,
}

/// How requests get there.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Network")]
struct NetworkOptions {
    /// Use the endpoint of AWS that has IPv6 addresses too.
    #[arg(long, env = "ETAGFS_DUAL_STACK", conflicts_with = "endpoint_url")]
    dual_stack: bool,
    /// Use the endpoint of AWS with FIPS 140 validated cryptography.
    #[arg(long, env = "ETAGFS_FIPS", conflicts_with = "endpoint_url")]
    fips: bool,
    /// Use S3 Transfer Acceleration.
    #[arg(
        long,
        env = "ETAGFS_ACCELERATE",
        conflicts_with_all = ["endpoint_url", "fips", "path_style"]
    )]
    accelerate: bool,
    /// Trust the certificates in this file (PEM) and no others [else AWS_CA_BUNDLE, else the
    /// system's].
    #[arg(long, env = "ETAGFS_CA_BUNDLE", value_name = "FILE")]
    ca_bundle: Option<PathBuf>,
    /// Send all requests through this HTTP proxy [else HTTPS_PROXY, HTTP_PROXY]; NO_PROXY names
    /// exceptions.
    #[arg(long, env = "ETAGFS_PROXY", value_name = "URL", hide_env_values = true)]
    proxy: Option<Secret>,
}

/// What is said with requests, and of the objects they make.
#[derive(Clone, Debug, ClapArgs)]
#[command(next_help_heading = "Objects")]
struct Objects {
    /// Pay for requests and transfer, in buckets whose owner does not pay.
    #[arg(long, env = "ETAGFS_REQUESTER_PAYS")]
    requester_pays: bool,
    /// Account id of the bucket's owner; refuse a bucket of anybody else.
    #[arg(long, env = "ETAGFS_EXPECTED_BUCKET_OWNER", value_name = "ACCOUNT", value_parser = header)]
    expected_bucket_owner: Option<String>,
    /// Storage class of saved objects: STANDARD_IA, INTELLIGENT_TIERING, ONEZONE_IA, ...
    #[arg(long, env = "ETAGFS_STORAGE_CLASS", value_name = "CLASS", value_parser = header)]
    storage_class: Option<String>,
    /// How the server encrypts saved objects [else as the bucket says].
    #[arg(long, env = "ETAGFS_SSE", value_name = "KIND", value_enum)]
    sse: Option<Sse>,
    /// Key of KMS: id, ARN or alias; implies --sse kms.
    #[arg(long, env = "ETAGFS_SSE_KMS_KEY_ID", value_name = "KEY", value_parser = header)]
    sse_kms_key_id: Option<String>,
    /// Whether to use an S3 Bucket Key with KMS [else as the bucket says].
    #[arg(
        long,
        env = "ETAGFS_SSE_BUCKET_KEY",
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    sse_bucket_key: Option<bool>,
    /// Canned ACL of saved objects: bucket-owner-full-control, private, ...
    #[arg(long, env = "ETAGFS_ACL", value_parser = header)]
    acl: Option<String>,
}

/// When the metadata service of EC2 is asked.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Imds {
    /// On EC2, as the firmware tells.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// How the server encrypts.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sse {
    /// With keys of S3 (AES256).
    #[value(alias = "AES256")]
    S3,
    /// With a key of KMS.
    #[value(alias = "aws:kms")]
    Kms,
    /// With a key of KMS, in two layers.
    #[value(alias = "aws:kms:dsse")]
    KmsDsse,
}

impl CredentialOptions {
    /// The credentials in use, as far as options and variables name them; nothing secret.
    fn named(&self) -> String {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        if self.no_sign_request {
            return "nobody".to_owned();
        }
        let profile = |name: String| format!("profile {name}");
        let own = self.access_key_id.clone();
        own.or_else(|| self.profile.clone().map(profile))
            .or_else(|| variable("AWS_ACCESS_KEY_ID"))
            .or_else(|| variable("AWS_PROFILE").map(profile))
            .unwrap_or_default()
    }

    fn credentials(&self) -> Credentials {
        if self.no_sign_request {
            return Credentials::Anonymous;
        }
        if let (Some(id), Some(secret)) = (&self.access_key_id, &self.secret_access_key) {
            return Credentials::Keys {
                id: id.clone(),
                secret: secret.reveal().to_owned(),
                token: self
                    .session_token
                    .as_ref()
                    .map(|token| token.reveal().to_owned()),
            };
        }
        Credentials::Standard {
            profile: self.profile.clone(),
            instance: match self.imds {
                Imds::Auto => Instance::IfEc2,
                Imds::Always => Instance::Ask,
                Imds::Never => Instance::Ignore,
            },
        }
    }
}

impl Objects {
    fn terms(&self) -> Result<Terms, Failure> {
        let kms = |is_dual| Encryption::Kms {
            is_dual,
            key: self.sse_kms_key_id.clone(),
            bucket_key: self.sse_bucket_key,
        };
        let is_of_kms = self.sse_kms_key_id.is_some() || self.sse_bucket_key.is_some();
        let encryption = match self.sse {
            Some(Sse::S3) if is_of_kms => {
                return Err(Failure::usage(
                    "--sse-kms-key-id and --sse-bucket-key are for --sse kms",
                ));
            }
            Some(Sse::S3) => Some(Encryption::S3),
            Some(Sse::KmsDsse) => Some(kms(true)),
            Some(Sse::Kms) => Some(kms(false)),
            None => is_of_kms.then(|| kms(false)),
        };
        Ok(Terms {
            requester_pays: self.requester_pays,
            expected_owner: self.expected_bucket_owner.clone(),
            storage_class: self
                .storage_class
                .as_ref()
                .map(|class| class.to_uppercase()),
            encryption,
            acl: self.acl.clone(),
        })
    }
}

impl Connection {
    /// What `--prefix` says, ending with `/` if it says anything.
    pub(super) fn prefix(&self) -> String {
        let mut prefix = self.prefix.clone().unwrap_or_default();
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        prefix
    }

    /// Goes to this server, unless another one is given.
    pub(super) fn prefer(&mut self, server: &Server) {
        let is_given = self.endpoint_url.is_some() || endpoint_of_environment().is_some();
        if !is_given {
            self.endpoint_url.clone_from(&server.endpoint);
        }
        if self.region.is_none() {
            self.region.clone_from(&server.region);
        }
    }

    /// Which bucket and whose answers a probe is about, as one text; nothing secret.
    pub(super) fn asked(&self, source: &Source) -> String {
        let endpoint = self.endpoint_url.as_deref().unwrap_or("aws");
        format!("{} {endpoint} {}", source.label(), self.who.named())
    }

    /// How long operations in the store may take.
    pub(super) fn deadlines(&self) -> Deadlines {
        let default = Deadlines::default();
        let operation = self.deadline;
        Deadlines {
            connect: default.connect.min(operation),
            attempt: default.attempt.min(operation),
            operation,
            ..default
        }
    }

    /// Prepares to reach a bucket. Sends nothing yet.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub(super) async fn connect(&self, source: &Source) -> Result<Arc<dyn Backend>, Failure> {
        self.connect_counted(source, Arc::default()).await
    }

    /// As [`connect`](Self::connect); `telemetry` counts every request.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub(super) async fn connect_counted(
        &self,
        source: &Source,
        telemetry: Arc<Telemetry>,
    ) -> Result<Arc<dyn Backend>, Failure> {
        let deadlines = self.deadlines();
        let places = Places::of_connections(descriptor_limit() / 4);
        Ok(certain(
            self.s3(source).await?,
            deadlines,
            places,
            telemetry,
        ))
    }

    /// The bucket itself, without what makes its writes certain.
    ///
    /// # Errors
    /// When the configuration makes no sense.
    pub(super) async fn s3(&self, source: &Source) -> Result<Arc<S3>, Failure> {
        if source.bucket.starts_with("arn:") {
            let what = format!(
                "{} is an ARN: buckets are named, not addressed",
                source.label()
            );
            return Err(Failure::usage(what).hint(
                "an access point, also of an Outpost, has an alias that stands for a bucket's name: s3://ALIAS",
            ));
        }
        let deadlines = self.deadlines();
        let mut config = S3Config::new(&source.bucket);
        config.region.clone_from(&self.region);
        config.endpoint_url.clone_from(&self.endpoint_url);
        config.path_style = self.path_style.then_some(true);
        config.deadlines = deadlines;
        config.listing_memory = self.listing_memory;
        config.credentials = self.who.credentials();
        config.endpoint = Endpoint {
            dual_stack: self.way.dual_stack,
            fips: self.way.fips,
            accelerate: self.way.accelerate,
        };
        config.network = Network {
            ca_bundle: self.way.ca_bundle.clone(),
            proxy: self.way.proxy.as_ref().map(|url| url.reveal().to_owned()),
        };
        config.network.check().map_err(Failure::usage)?;
        config.terms = self.objects.terms()?;
        Ok(Arc::new(S3::connect(config).await?))
    }
}
