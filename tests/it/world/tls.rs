//! TLS in front of a server: an authority of our own, a certificate for the names a client may use, and
//! bytes passed on as they are. It knows nothing of HTTP.
//!
//! ```ignore
//! let tls = Tls::before(&bucket.endpoint, &["127.0.0.1"]);
//! .. --endpoint-url tls.url() --ca-bundle tls.authority() ..
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::NamedTempFile;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::tunnel::{Thread, listen};

/// A running TLS endpoint on a loopback port of its own; it ends on drop.
pub(crate) struct Tls {
    address: SocketAddr,
    authority: NamedTempFile,
    _thread: Thread,
}

impl Tls {
    /// Starts it before the server at `http://HOST:PORT`, with a certificate for these names.
    pub(crate) fn before(endpoint: &str, names: &[&str]) -> Self {
        let upstream: SocketAddr = endpoint
            .trim_start_matches("http://")
            .parse()
            .expect("an address and a port");
        let (authority, issuer) = make_authority();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let certificate = CertificateParams::new(names)
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), authority.pem()).unwrap();

        let (listener, address) = listen();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let thread = Thread::run(move || serve(listener, acceptor, upstream));
        Self {
            address,
            authority: file,
            _thread: thread,
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("https://{}:{}", Ipv4Addr::LOCALHOST, self.address.port())
    }

    /// Its address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the authority's certificate.
    pub(crate) fn authority(&self) -> &Path {
        self.authority.path()
    }
}

fn make_authority() -> (Certificate, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    (authority, Issuer::new(params, key))
}

/// The certificate of an authority that has signed nothing (PEM).
pub(crate) fn authority() -> String {
    make_authority().0.pem()
}

async fn serve(listener: std::net::TcpListener, acceptor: TlsAcceptor, upstream: SocketAddr) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            // A client that does not trust us ends here.
            let Ok(mut secured) = acceptor.accept(stream).await else {
                return;
            };
            if let Ok(mut server) = TcpStream::connect(upstream).await {
                let _ = tokio::io::copy_bidirectional(&mut secured, &mut server).await;
            }
        });
    }
}
