//! How bytes get to a server: with TLS or without, and by way of which proxy.
//!
//! One TLS stack, rustls with ring, and connection pools for each of two kinds of servers: far ones, and those on
//! this machine that hand out credentials, which no proxy can reach. It knows no request. `connect.rs` builds what
//! it needs from here; `trust.rs` decides which authorities to trust.

use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Connector, ConnectorBuilder, HttpClientError};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;

use super::trust::{NoTrust, Trust};
use crate::backend::{Cause, Why};

/// S3 closes idle connections after some seconds; ours go first, since a request on a connection
/// that is being closed may get no answer.
const IDLE: Duration = Duration::from_secs(15);

/// Whoever hands out credentials on this machine answers at once, or is not there.
const NEARBY: Duration = Duration::from_secs(1);

/// What is said of a proxy that cannot be one.
const NO_PROXY: &str = "the proxy is no URL like http://HOST:PORT";

/// How to get to the server.
#[derive(Clone, Default)]
pub struct Network {
    /// A file with the certificates to trust (PEM), in place of the system's. Else
    /// `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
    /// URL of an HTTP proxy for all requests to far servers. Else `HTTPS_PROXY`, `HTTP_PROXY`,
    /// `ALL_PROXY`, but for loopback addresses. `NO_PROXY` names exceptions to either.
    pub proxy: Option<String>,
}

/// For far servers, and for those of this machine.
pub(super) struct Clients {
    pub(super) remote: SharedHttpClient,
    pub(super) local: SharedHttpClient,
    trust: Trust,
    /// Whether the remote one speaks TLS whatever the URL says: to a proxy.
    is_always_secured: bool,
}

impl Clients {
    /// Makes sure that a server at this URL, or the proxy before it, could be trusted.
    ///
    /// # Errors
    /// It could not: there is no certificate of an authority.
    pub(super) fn can_trust(&self, url: &str) -> Result<(), NoTrust> {
        match self.is_always_secured || !has_scheme(url, "http://") {
            true => self.trust.store().map(drop),
            false => Ok(()),
        }
    }
}

/// The proxy's URL may hold a password.
impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("ca_bundle", &self.ca_bundle)
            .field("has_proxy", &self.proxy.is_some())
            .finish()
    }
}

impl Network {
    /// Makes sure that the proxy can be one: a port that there is not would only look like a server that
    /// does not answer.
    ///
    /// # Errors
    /// It cannot. The words do not repeat the URL, which may hold a password.
    pub fn check(&self) -> Result<(), String> {
        match self.proxy.as_deref().is_none_or(has_port) {
            true => Ok(()),
            false => Err(NO_PROXY.to_owned()),
        }
    }

    /// Makes both. `endpoint` is where S3 is, if not at AWS.
    ///
    /// # Errors
    /// What is wrong with the proxy.
    pub(super) fn clients(
        &self,
        endpoint: Option<&str>,
        connect: Duration,
    ) -> Result<Clients, Why> {
        let trust = Trust::of(self.ca_bundle.as_deref());
        let proxy = self.proxy(endpoint)?;
        let is_always_secured = self.has_secured_proxy(endpoint);
        let local = Route::new(trust.clone(), ProxyConfig::disabled(), NEARBY.min(connect))?;
        let mut remote = Route::new(trust.clone(), proxy, connect)?;
        remote.is_always_secured = is_always_secured;
        Ok(Clients {
            remote: remote.client(),
            local: local.client(),
            trust,
            is_always_secured,
        })
    }

    fn proxy(&self, endpoint: Option<&str>) -> Result<ProxyConfig, Why> {
        let Some(url) = &self.proxy else {
            if endpoint.is_some_and(is_loopback) {
                return Ok(ProxyConfig::disabled());
            }
            check_variables(endpoint, |name| std::env::var(name).ok())?;
            return Ok(ProxyConfig::from_env());
        };
        let proxy = ProxyConfig::all(url.as_str())
            // Its message would repeat the URL, which may hold a password.
            .map_err(|_| Why::because(Cause::Proxy, NO_PROXY))?;
        let exceptions = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy"));
        Ok(match exceptions {
            Ok(exceptions) => proxy.no_proxy(exceptions),
            Err(_) => proxy,
        })
    }

    /// Whether the way to the proxy of plain http is by TLS.
    fn has_secured_proxy(&self, endpoint: Option<&str>) -> bool {
        match &self.proxy {
            Some(url) => has_scheme(url, "https://"),
            None if endpoint.is_some_and(is_loopback) => false,
            None => PROXIES
                .iter()
                .any(|name| std::env::var(name).is_ok_and(|url| has_scheme(&url, "https://"))),
        }
    }
}

/// Whether a URL names a host and, if it says one, a port that exists.
fn has_port(url: &str) -> bool {
    let Ok(url) = url.parse::<hyper::Uri>() else {
        return false;
    };
    let (Some(_), Some(server)) = (url.scheme(), url.authority()) else {
        return false;
    };
    let (_, server_alone) = server
        .as_str()
        .rsplit_once('@')
        .unwrap_or(("", server.as_str()));
    // The colons of an IPv6 address are in brackets.
    let behind = server_alone.rsplit(']').next().unwrap_or_default();
    !server.host().is_empty()
        && (!behind.contains(':') || server.port_u16().is_some_and(|port| port > 0))
}

/// Makes sure that the proxies which the environment names for this endpoint can be proxies. The client would pass
/// over one that cannot, and go without.
///
/// # Errors
/// One cannot. The words name the variable, and do not repeat the URL, which may hold a password.
fn check_variables(
    endpoint: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(), Why> {
    let is_plain = endpoint.is_some_and(|url| has_scheme(url, "http://"));
    let names = match is_plain {
        true => PROXIES,
        false => SECURED_PROXIES,
    };
    // There a scheme may be left out.
    let is_good = |url: &str| match url.contains("://") {
        true => has_port(url),
        false => has_port(&format!("http://{url}")),
    };
    let is_bad = |name: &&str| {
        let url = variable(name).filter(|url| !url.is_empty());
        url.is_some_and(|url| !is_good(&url))
    };
    match names.into_iter().find(is_bad) {
        Some(name) => {
            let words = format!("{name}: {NO_PROXY}");
            Err(Why::because(Cause::Proxy, words))
        }
        None => Ok(()),
    }
}

/// The variables that name a proxy for https.
const SECURED_PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The variables that name a proxy for plain http.
const PROXIES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// One way to servers. TLS, with the trusted authorities, is set up by the first request that needs it.
#[derive(Debug)]
struct Route {
    trust: Trust,
    proxy: ProxyConfig,
    connect: Duration,
    /// Whether plain http goes by TLS too: to the proxy.
    is_always_secured: bool,
    plain: SharedHttpConnector,
    secured: OnceLock<SharedHttpConnector>,
}

impl Route {
    fn new(trust: Trust, proxy: ProxyConfig, connect: Duration) -> Result<Self, Why> {
        let plain = connector(TrustStore::empty(), proxy.clone(), connect);
        Ok(Self {
            trust,
            plain: plain.map_err(|error| Why::from(error.to_string()).over(error))?,
            secured: OnceLock::new(),
            proxy,
            connect,
            is_always_secured: false,
        })
    }

    fn client(self) -> SharedHttpClient {
        let connector = SharedHttpConnector::new(self);
        http_client_fn(move |_, _| connector.clone())
    }

    fn secured(&self) -> Result<&SharedHttpConnector, BoxError> {
        if let Some(connector) = self.secured.get() {
            return Ok(connector);
        }
        let trusted = TrustStore::empty().with_pem_certificate(self.trust.pem()?);
        let made = connector(trusted, self.proxy.clone(), self.connect)?;
        Ok(self.secured.get_or_init(|| made))
    }
}

impl HttpConnector for Route {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let is_secured = self.is_always_secured || !has_scheme(request.uri(), "http://");
        let connector = match is_secured {
            true => self.secured(),
            false => Ok(&self.plain),
        };
        match connector {
            Ok(connector) => connector.call(request),
            // Nothing is sent, and another attempt would end likewise.
            Err(error) => HttpConnectorFuture::ready(Err(ConnectorError::user(error))),
        }
    }
}

fn connector(
    trusted: TrustStore,
    proxy: ProxyConfig,
    connect: Duration,
) -> Result<SharedHttpConnector, HttpClientError> {
    let settings = HttpConnectorSettings::builder().connect_timeout(connect);
    let builder: ConnectorBuilder = Connector::builder();
    let connector = builder
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(TlsContext::builder().with_trust_store(trusted).build()?)
        .proxy_config(proxy)
        .connector_settings(settings.build())
        .pool_idle_timeout(IDLE)
        .build();
    Ok(SharedHttpConnector::new(connector))
}

/// Whether a URL begins like this; schemes have no case.
fn has_scheme(url: &str, scheme: &str) -> bool {
    url.get(..scheme.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// Whether a URL's host is this machine: no proxy elsewhere could reach it.
fn is_loopback(url: &str) -> bool {
    let after = url.split_once("://").map_or(url, |(_, after)| after);
    let authority = after.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let is_loopback_address = |address: std::net::IpAddr| address.is_loopback();
    host == "localhost" || host.parse().is_ok_and(is_loopback_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_are_known() {
        for url in [
            "http://127.0.0.1:9000",
            "https://localhost/",
            "http://[::1]:80/x",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "https://s3.example.com",
            "http://10.0.0.1",
            "http://[fe80::1]",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn a_proxy_has_a_host_and_a_port_that_exists() {
        let check = |url: &str| {
            let proxy = Some(url.to_owned());
            Network {
                proxy,
                ..Network::default()
            }
            .check()
        };
        assert_eq!(Network::default().check(), Ok(()));
        for good in [
            "http://h:3128",
            "http://h",
            "https://user:pass@h:1/",
            "http://[::1]:8080",
            "http://[::1]",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "http://h:99999",
            "http://h:0",
            "http://u:p@h:x",
            "http://",
            "h",
            "/x",
            "",
        ] {
            let why = check(bad).expect_err(bad);
            assert!(!why.contains("u:p"), "{why}");
        }
    }

    #[test]
    fn a_proxy_that_is_no_url_is_refused_without_repeating_it() {
        let network = Network {
            proxy: Some("http://user:geheim@ho st".into()),
            ..Network::default()
        };
        let why = network.proxy(None).unwrap_err();
        let shown = format!("{why} {why:?} {network:?}");
        assert!(!shown.contains("geheim"), "{shown}");
        assert_eq!(why.cause(), Some(&Cause::Proxy));
    }

    #[test]
    fn a_bad_proxy_of_the_environment_is_an_error_that_names_its_variable() {
        let check = |endpoint: Option<&str>, set: &str, url: &str| {
            check_variables(endpoint, |name| (name == set).then(|| url.to_owned()))
        };
        let plain = Some("http://s3.example");
        for bad in ["http://u:geheim@h:99999", "http://h:0", "h:x", "http://"] {
            for (endpoint, name) in [
                (None, "HTTPS_PROXY"),
                (Some("https://s3.example"), "https_proxy"),
                (None, "ALL_PROXY"),
                (plain, "HTTP_PROXY"),
            ] {
                let why = check(endpoint, name, bad).expect_err(bad);
                assert_eq!(why.cause(), Some(&Cause::Proxy));
                let shown = why.to_string();
                assert!(shown.contains(name) && !shown.contains("geheim"), "{shown}");
            }
            // It is not asked.
            assert!(check(plain, "HTTPS_PROXY", bad).is_ok());
            assert!(check(None, "HTTP_PROXY", bad).is_ok());
        }
        for good in ["http://h:3128", "h:3128", "h", "http://u:p@[::1]:80/", ""] {
            assert!(check(None, "HTTPS_PROXY", good).is_ok(), "{good}");
        }
    }
}
