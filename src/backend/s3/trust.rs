//! Which authorities a TLS connection trusts: those of a bundle that was named, else the system's.
//!
//! They are read when the first connection needs them. A server that is reached by http needs none, and
//! a machine without certificates can use it. The HTTP client's own way to the system's certificates is
//! not used: it asserts that there are some. `http.rs` and the traces get theirs from here.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::backend::{Cause, Why};

/// No bundle is larger; what is (a device, say) is not read to its end.
const LARGEST: u64 = 64 << 20;

/// Why there is no authority to trust.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NoTrust(Why);

impl NoTrust {
    /// Which of them, and what is wrong.
    pub(super) fn why(&self) -> &Why {
        &self.0
    }
}

/// The authorities to trust.
#[derive(Clone, Debug)]
pub struct Trust(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// A file in place of the system's.
    bundle: Option<PathBuf>,
    /// Once they were read.
    roots: OnceLock<Vec<CertificateDer<'static>>>,
}

impl Trust {
    /// Those of a file (PEM), else of the file that `AWS_CA_BUNDLE` names, else the system's.
    pub(super) fn of(bundle: Option<&Path>) -> Self {
        let bundle = bundle.map(Path::to_owned).or_else(|| {
            let named = std::env::var_os("AWS_CA_BUNDLE");
            named.filter(|path| !path.is_empty()).map(PathBuf::from)
        });
        Self::reading(bundle)
    }

    /// The system's.
    pub fn of_system() -> Self {
        Self::reading(None)
    }

    fn reading(bundle: Option<PathBuf>) -> Self {
        let roots = OnceLock::new();
        Self(Arc::new(Inner { bundle, roots }))
    }

    /// The authorities' certificates, each of which TLS takes.
    ///
    /// # Errors
    /// There is none, or the bundle is no good. The next call looks again.
    fn roots(&self) -> Result<&[CertificateDer<'static>], NoTrust> {
        if let Some(roots) = self.0.roots.get() {
            return Ok(roots);
        }
        let read = match &self.0.bundle {
            Some(file) => of_bundle(file).map_err(NoTrust)?,
            None => of_system().map_err(NoTrust)?,
        };
        Ok(self.0.roots.get_or_init(|| read))
    }

    /// As rustls has them.
    ///
    /// # Errors
    /// There is none, or the bundle is no good.
    pub fn store(&self) -> Result<RootCertStore, NoTrust> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.roots()?.iter().cloned());
        Ok(store)
    }

    /// As the HTTP client wants them (PEM). It would not refuse politely what it cannot parse: all of
    /// these were parsed before.
    ///
    /// # Errors
    /// There is none, or the bundle is no good.
    pub(super) fn pem(&self) -> Result<String, NoTrust> {
        let armoured = |root: &CertificateDer<'_>| {
            let text = STANDARD.encode(root);
            format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
        };
        Ok(self.roots()?.iter().map(armoured).collect())
    }
}

/// All certificates of a file, each of which has to be good.
fn of_bundle(file: &Path) -> Result<Vec<CertificateDer<'static>>, Why> {
    let shown = file.display();
    let wrong = |words: String| Why::because(Cause::CaBundle, words);
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
        .map_err(|error| wrong(format!("the CA bundle {shown}: {error}")).over(error))?;
    let mut roots = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let certificate = certificate.map_err(|error| {
            wrong(format!("the CA bundle {shown} is damaged: {error}")).over(error)
        })?;
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|error| {
                wrong(format!(
                    "the CA bundle {shown} has a bad certificate: {error}"
                ))
                .over(error)
            })?;
        roots.push(certificate);
    }
    match roots.is_empty() {
        true => Err(wrong(format!(
            "the CA bundle {shown} holds no certificate (PEM)"
        ))),
        false => Ok(roots),
    }
}

/// The good certificates of this machine, or of the places that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
fn of_system() -> Result<Vec<CertificateDer<'static>>, Why> {
    let mut found = rustls_native_certs::load_native_certs();
    let is_good = |root: &CertificateDer<'_>| RootCertStore::empty().add(root.clone()).is_ok();
    found.certs.retain(is_good);
    if !found.certs.is_empty() {
        return Ok(found.certs);
    }
    let mut why = "no certificate of an authority was found on this machine".to_owned();
    for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        if let Some(place) = std::env::var_os(variable) {
            why.push_str(&format!(", {variable} is {}", place.display()));
        }
    }
    let error = found.errors.into_iter().next();
    if let Some(error) = &error {
        why.push_str(&format!(" ({error})"));
    }
    let why = Why::because(Cause::NoAuthorities, why);
    Err(match error {
        Some(error) => why.over(error),
        None => why,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(file: &Path) -> String {
        let trust = Trust::of(Some(file));
        let why = trust.pem().expect_err("refused").to_string();
        assert_eq!(trust.store().expect_err("refused").to_string(), why);
        why
    }

    #[test]
    fn a_bad_bundle_is_refused_politely() {
        assert!(why(Path::new("/nowhere/ca.pem")).contains("/nowhere/ca.pem"));
        assert!(why(Path::new("/")).contains("directory"));
        assert!(why(Path::new("/dev/zero")).contains("no certificate"));
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(why(file.path()).contains("no certificate"));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(file.path(), broken).unwrap();
        assert!(why(file.path()).contains("bad certificate"));
        std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nAAAA\n").unwrap();
        assert!(why(file.path()).contains("is damaged"));
    }

    #[test]
    fn a_bundle_that_was_repaired_is_read_again() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let trust = Trust::of(Some(file.path()));
        assert!(trust.store().is_err());
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        let authority = authority.self_signed(&key).unwrap().pem();
        std::fs::write(file.path(), authority).unwrap();
        assert_eq!(trust.store().unwrap().len(), 1);
        let pem = trust.pem().unwrap();
        assert_eq!(CertificateDer::pem_slice_iter(pem.as_bytes()).count(), 1);
    }
}
