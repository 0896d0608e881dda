//! Where credentials come from: the standard chain, each of its links with a name for messages.
//!
//! The order is that of the AWS SDKs, but for two things: a profile that was asked for by name is the
//! only link, and the EC2 instance is asked only where there is one. Providers are the SDK's. It
//! remembers nothing and decides nothing about when to ask; `keys.rs` does.

use std::fmt;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use aws_config::Region;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::Credentials as Keys;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::ProvideCredentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::causes::{cause, cause_of, chain};
use super::trust::NoTrust;
use crate::backend::{Cause, Why};

/// A place that credentials come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KeySource {
    /// They were given to us.
    Given,
    /// `AWS_ACCESS_KEY_ID` and its like.
    Environment,
    /// A profile, and the file that has it.
    Profile { name: String, file: PathBuf },
    /// `AWS_WEB_IDENTITY_TOKEN_FILE`, exchanged at STS.
    WebIdentity,
    /// The endpoint that ECS and EKS announce in the environment.
    Container,
    /// The metadata service of EC2.
    Instance,
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("the options"),
            Self::Environment => f.write_str("the environment (AWS_ACCESS_KEY_ID)"),
            Self::Profile { name, file } => write!(f, "profile {name} of {}", file.display()),
            Self::WebIdentity => match std::env::var("AWS_WEB_IDENTITY_TOKEN_FILE") {
                Ok(file) => write!(f, "the web identity token {file}"),
                Err(_) => f.write_str("a web identity token"),
            },
            Self::Container => f.write_str("the container (ECS)"),
            Self::Instance => f.write_str("the EC2 instance (IMDS)"),
        }
    }
}

/// Keys and what messages say of them.
#[derive(Clone)]
pub(super) struct FoundKeys {
    pub(super) keys: Keys,
    pub(super) whence: String,
}

/// Not even a secret's length is shown.
impl fmt::Debug for FoundKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "FoundKeys({}, {})",
            self.keys.access_key_id(),
            self.whence
        )
    }
}

/// Why there are no keys.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct NoKeys {
    pub(super) why: Why,
    /// Whether to ask again may help: somebody did not answer.
    pub(super) is_passing: bool,
}

/// What the chain is made of.
#[derive(Clone, Debug)]
pub(super) struct ChainConfig {
    /// The only profile to look at.
    pub(super) profile: Option<String>,
    /// Whether the EC2 instance is asked.
    pub(super) instance: bool,
    /// For STS and SSO.
    pub(super) region: Option<Region>,
    pub(super) fips: bool,
    pub(super) dual_stack: bool,
    pub(super) timeouts: TimeoutConfig,
    /// By way of the proxy, if there is one.
    pub(super) remote: SharedHttpClient,
    /// For what is on this machine: container and instance.
    pub(super) local: SharedHttpClient,
}

/// The links, in the order in which they are asked.
#[derive(Debug)]
pub(super) struct Chain(Vec<(KeySource, Box<dyn ProvideCredentials>)>);

impl Chain {
    /// Keys that were given.
    pub(super) fn given(keys: Keys) -> Self {
        Self(vec![(KeySource::Given, Box::new(keys))])
    }

    /// This one link.
    #[cfg(test)]
    pub(super) fn of(provider: impl ProvideCredentials + 'static) -> Self {
        Self(vec![(KeySource::Given, Box::new(provider))])
    }

    /// The standard chain. The SDK's providers remember what they have read in files for ever, so a
    /// new chain is what reads them again.
    pub(super) fn standard(place: &ChainConfig) -> Self {
        let config = |http: &SharedHttpClient| {
            ProviderConfig::default()
                .with_http_client(http.clone())
                .with_timeout_config(place.timeouts.clone())
                .with_region(place.region.clone())
                .with_use_fips(place.fips.then_some(true))
                .with_use_dual_stack(place.dual_stack.then_some(true))
        };
        let (remote, local) = (config(&place.remote), config(&place.local));
        let mut profile = ProfileFileCredentialsProvider::builder().configure(&remote);
        if let Some(name) = &place.profile {
            profile = profile.profile_name(name);
        }
        let profile = (profile_source(place.profile.as_deref()), profile.build());
        if place.profile.is_some() {
            return Self(vec![(profile.0, Box::new(profile.1))]);
        }
        let environment = EnvironmentVariableCredentialsProvider::new();
        let token = WebIdentityTokenCredentialsProvider::builder().configure(&remote);
        let container = EcsCredentialsProvider::builder().configure(&local);
        let mut links: Vec<(KeySource, Box<dyn ProvideCredentials>)> = vec![
            (KeySource::Environment, Box::new(environment)),
            (profile.0, Box::new(profile.1)),
            (KeySource::WebIdentity, Box::new(token.build())),
            (KeySource::Container, Box::new(container.build())),
        ];
        if place.instance {
            let instance = ImdsCredentialsProvider::builder().configure(&local);
            links.push((KeySource::Instance, Box::new(instance.build())));
        }
        Self(links)
    }

    /// Asks one link after the other; the first that knows of credentials decides.
    pub(super) async fn load(&self) -> Result<FoundKeys, NoKeys> {
        let none = |cause: Option<Cause>, why: String| NoKeys {
            why: Why::because(cause, why),
            is_passing: false,
        };
        let refused = |why| none(None, why);
        let mut tried = Vec::new();
        for (source, provider) in &self.0 {
            let files = profile_files();
            readable(&files).map_err(refused)?;
            askable(source, &files).map_err(refused)?;
            match provider.provide_credentials().await {
                Ok(keys) if !is_signable(keys.access_key_id()) => {
                    return Err(refused(format!(
                        "{source}: the access key id has a control character in it"
                    )));
                }
                Ok(keys) => {
                    let whence = match way(&keys) {
                        Some(way) => format!("{source}, {way}"),
                        None => source.to_string(),
                    };
                    return Ok(FoundKeys { keys, whence });
                }
                Err(error @ CredentialsError::CredentialsNotLoaded(_)) => {
                    let why = std::error::Error::source(&error).map(chain);
                    tracing::debug!(%source, why, "no credentials there");
                    // A profile that was asked for by name has to say why it has none.
                    tried.push(match self.0.len() {
                        1 => format!("{source} ({})", why.as_deref().unwrap_or("none there")),
                        _ => source.to_string(),
                    });
                }
                Err(error) => {
                    let mut why = format!("{source}: {}", chain(&error));
                    if is_over(&error) {
                        why.push_str("; log in again: aws sso login");
                    }
                    return Err(NoKeys {
                        is_passing: is_passing(&error),
                        why: Why::because(lacking(&error), why).over(error),
                    });
                }
            }
        }
        let why = format!("no credentials are known; looked at {}", tried.join(", "));
        Err(none(Some(Cause::NoCredentials), why))
    }
}

/// What whoever hands out credentials could not be asked for.
fn lacking(error: &CredentialsError) -> Option<Cause> {
    match cause::<NoTrust>(error) {
        Some(none) => none.why().cause().cloned(),
        // In the SDK's own words, which has no type for it.
        None if chain(error).contains("region was not") => Some(Cause::Region(None)),
        None if is_over(error) => Some(Cause::Expired),
        None => cause_of(error).filter(|cause| *cause != Cause::NotHttp),
    }
}

/// How a profile came to its keys, as far as the SDK's providers note it.
fn way(keys: &Keys) -> Option<&'static str> {
    let features: &Vec<AwsCredentialFeature> = keys.get_property()?;
    features.iter().find_map(|feature| match feature {
        AwsCredentialFeature::CredentialsProcess => Some("by its process"),
        AwsCredentialFeature::CredentialsSso => Some("by SSO"),
        _ => None,
    })
}

/// Whether a session of SSO is over. The SDK has no type for it that others could name.
fn is_over(error: &CredentialsError) -> bool {
    let words = chain(error).to_lowercase();
    // The second is the portal's own message.
    let is_of_sso = words.contains("sso") || words.contains("session token not found");
    is_of_sso && !is_passing(error) && !is_untrusted(error)
}

/// Whether somebody could not be reached, or did not answer in time. Without an authority to trust, nobody
/// ever can.
fn is_passing(error: &CredentialsError) -> bool {
    matches!(error, CredentialsError::ProviderTimedOut(_))
        || (cause::<ConnectorError>(error).is_some() && !is_untrusted(error))
}

fn is_untrusted(error: &CredentialsError) -> bool {
    cause::<NoTrust>(error).is_some()
}

/// The files of profiles: credentials, then configuration.
pub(super) fn profile_files() -> [PathBuf; 2] {
    let file = |variable: &str, name: &str| {
        let home = || std::env::home_dir().unwrap_or_default();
        match std::env::var_os(variable).filter(|path| !path.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => home().join(".aws").join(name),
        }
    };
    [
        file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        file("AWS_CONFIG_FILE", "config"),
    ]
}

/// Whether a name can stand in the header that signs a request. The SDK asserts that it can.
pub(super) fn is_signable(name: &str) -> bool {
    !name.chars().any(char::is_control)
}

/// The longest file of profiles, in bytes.
const LONGEST: u64 = 16 << 20;

/// What of a profile ends in that header: its region, and the key id that a role is asked for with.
const SIGNED: [&str; 2] = ["region", "aws_access_key_id"];

/// Whether the SDK takes what the files of profiles say: it asserts that what it signs with can stand in a
/// header, and that an endpoint is not empty.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn readable(files: &[PathBuf]) -> Result<(), String> {
    for file in files {
        if has_no_end(file) {
            return Err(format!(
                "{} is no file of profiles: it has no end",
                file.display()
            ));
        }
        for (at, (name, value)) in settings(file).iter().enumerate() {
            let wrong = match &**name {
                "endpoint_url" if value.is_empty() => "is empty",
                name if SIGNED.contains(&name) && !is_signable(value) => {
                    "has a control character in it"
                }
                _ => continue,
            };
            let (file, line) = (file.display(), at + 1);
            return Err(format!("{name} in line {line} of {file} {wrong}"));
        }
    }
    Ok(())
}

/// Whether it has more bytes than a file of profiles can have. The SDK reads it whole.
fn has_no_end(file: &Path) -> bool {
    // What a pipe holds can be read only once.
    let is_device = std::fs::metadata(file).is_ok_and(|found| found.file_type().is_char_device());
    let is_longer = |file: std::fs::File| {
        std::io::copy(&mut file.take(LONGEST + 1), &mut std::io::sink())
            .is_ok_and(|bytes| bytes > LONGEST)
    };
    is_device && std::fs::File::open(file).is_ok_and(is_longer)
}

/// The lines of a file of profiles, as names and values; a line that is no such thing is a name.
fn settings(file: &Path) -> Vec<(String, String)> {
    // One that cannot be read says nothing.
    let text = std::fs::read(file).unwrap_or_default();
    let lines = String::from_utf8_lossy(&text);
    let split = |line: &str| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        (name.trim().to_owned(), value.trim().to_owned())
    };
    lines.lines().map(split).collect()
}

/// Where STS and SSO are, if not at AWS.
const ISSUERS: [&str; 4] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL_SSO",
    "AWS_ENDPOINT_URL_SSO_OIDC",
];

/// Whether STS and SSO can be asked, if this link may do so: here too an endpoint must not be empty.
fn askable(source: &KeySource, files: &[PathBuf]) -> Result<(), String> {
    let asks = match source {
        KeySource::WebIdentity => std::env::var_os("AWS_WEB_IDENTITY_TOKEN_FILE").is_some(),
        KeySource::Profile { .. } => files.iter().any(|file| {
            let of_issuer = |name: &str| name == "role_arn" || name.starts_with("sso_");
            settings(file).iter().any(|(name, _)| of_issuer(name))
        }),
        KeySource::Given | KeySource::Environment | KeySource::Container | KeySource::Instance => {
            false
        }
    };
    let is_empty = |name: &&str| std::env::var_os(name).is_some_and(|url| url.is_empty());
    match ISSUERS.iter().find(|name| is_empty(name)) {
        Some(name) if asks => Err(format!("{source}: {name} is set and empty")),
        _ => Ok(()),
    }
}

/// What messages call the profile that counts.
fn profile_source(asked: Option<&str>) -> KeySource {
    let name = match asked {
        Some(name) => name.to_owned(),
        None => std::env::var("AWS_PROFILE").unwrap_or_else(|_| "default".to_owned()),
    };
    let [credentials, config] = profile_files();
    let file = match has_profile(&credentials, &name) {
        true => credentials,
        false => config,
    };
    KeySource::Profile { name, file }
}

/// Whether the file has a section of this name. Only for messages: the SDK reads the files.
fn has_profile(file: &Path, name: &str) -> bool {
    let Ok(text) = std::fs::read_to_string(file) else {
        return false;
    };
    text.lines().any(|line| {
        let section = line.trim().strip_prefix('[');
        section
            .and_then(|rest| rest.split_once(']'))
            .is_some_and(|(found, _)| found.trim() == name)
    })
}
