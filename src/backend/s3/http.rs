//! How bytes get to a server: TLS, whom to trust, and by way of which proxy.
//!
//! One TLS stack, rustls with ring, and one connection pool for each of two kinds of servers: far
//! ones, and those on this machine that hand out credentials, which no proxy can reach. It knows no
//! request. `connect.rs` builds what it needs from here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Connector, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// S3 closes idle connections after some seconds; ours go first, since a request on a connection
/// that is being closed may get no answer.
const IDLE: Duration = Duration::from_secs(15);

/// Whoever hands out credentials on this machine answers at once, or is not there.
const NEARBY: Duration = Duration::from_secs(1);

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
    /// Makes both. `endpoint` is where S3 is, if not at AWS.
    ///
    /// # Errors
    /// What is wrong with the certificates or the proxy.
    pub(super) fn clients(
        &self,
        endpoint: Option<&str>,
        connect: Duration,
    ) -> Result<Clients, String> {
        let trust = self.trust()?;
        let proxy = self.proxy(endpoint)?;
        let local = ProxyConfig::disabled();
        Ok(Clients {
            remote: client(trust.clone(), proxy, connect),
            local: client(trust, local, NEARBY.min(connect)),
        })
    }

    fn trust(&self) -> Result<TlsContext, String> {
        let bundle = self.ca_bundle.clone().or_else(|| {
            let named = std::env::var_os("AWS_CA_BUNDLE");
            named.filter(|path| !path.is_empty()).map(PathBuf::from)
        });
        let store = match bundle {
            Some(file) => TrustStore::empty().with_pem_certificate(certificates(&file)?),
            None => TrustStore::default(),
        };
        let context = TlsContext::builder().with_trust_store(store).build();
        context.map_err(|error| error.to_string())
    }

    fn proxy(&self, endpoint: Option<&str>) -> Result<ProxyConfig, String> {
        let Some(url) = &self.proxy else {
            return Ok(match endpoint.is_some_and(is_loopback) {
                true => ProxyConfig::disabled(),
                false => ProxyConfig::from_env(),
            });
        };
        let proxy = ProxyConfig::all(url.as_str())
            // Its message would repeat the URL, which may hold a password.
            .map_err(|_| "the proxy is no URL like http://HOST:PORT".to_owned())?;
        let exceptions = std::env::var("NO_PROXY").or_else(|_| std::env::var("no_proxy"));
        Ok(match exceptions {
            Ok(exceptions) => proxy.no_proxy(exceptions),
            Err(_) => proxy,
        })
    }
}

fn client(trust: TlsContext, proxy: ProxyConfig, connect: Duration) -> SharedHttpClient {
    let settings = HttpConnectorSettings::builder().connect_timeout(connect);
    let builder: ConnectorBuilder = Connector::builder();
    let connector = builder
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(trust)
        .proxy_config(proxy)
        .connector_settings(settings.build())
        .pool_idle_timeout(IDLE)
        .build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

/// The file's bytes, if they are what the TLS library will take: it would not refuse politely.
fn certificates(file: &Path) -> Result<Vec<u8>, String> {
    let shown = file.display();
    let bytes = std::fs::read(file).map_err(|error| format!("the CA bundle {shown}: {error}"))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate =
            certificate.map_err(|error| format!("the CA bundle {shown} is damaged: {error}"))?;
        roots
            .add(certificate)
            .map_err(|error| format!("the CA bundle {shown} has a bad certificate: {error}"))?;
    }
    match roots.is_empty() {
        true => Err(format!("the CA bundle {shown} holds no certificate (PEM)")),
        false => Ok(bytes),
    }
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
    fn a_bad_bundle_is_refused_politely() {
        let network = |file: &Path| Network {
            ca_bundle: Some(file.to_owned()),
            ..Network::default()
        };
        let why = |file: &Path| network(file).trust().expect_err("refused");
        assert!(why(Path::new("/nowhere/ca.pem")).contains("/nowhere/ca.pem"));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(why(file.path()).contains("no certificate"));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(file.path(), broken).unwrap();
        assert!(why(file.path()).contains("bad certificate"));
    }

    #[test]
    fn a_proxy_that_is_no_url_is_refused_without_repeating_it() {
        let network = Network {
            proxy: Some("http://user:geheim@ho st".into()),
            ..Network::default()
        };
        let why = network.proxy(None).unwrap_err();
        let shown = format!("{why} {network:?}");
        assert!(!shown.contains("geheim"), "{shown}");
    }
}
