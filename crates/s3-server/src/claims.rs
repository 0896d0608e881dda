//! What a client claims of the body it sends (length, MD5, checksums), and whether it is true.
//!
//! It knows headers and hashes, no storage. A claim may come before the body, in a header, or after
//! it, in a trailer that a header announced. Source: S3 user guide, "Checking object integrity".
//! Read [`super::receive`] for when it is asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::HeaderMap;
use hyper::header::HeaderName;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::{S3Request, S3Result, TrailingHeaders, s3_error};

const PREFIX: &str = "x-amz-checksum-";
const ALGORITHMS: [&str; 5] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

/// The trailers of a body: there once it has been read to its end.
#[derive(Clone, Default)]
pub(super) struct Trailers {
    /// Filled by s3s, for a signed request.
    signed: Option<TrailingHeaders>,
    /// Filled by us, for a request whose signature is not looked at.
    open: Option<OpenTrailers>,
}

/// Trailers of a body that was decoded in open mode.
#[derive(Clone, Default, Debug)]
pub(super) struct OpenTrailers(Arc<Mutex<Option<HeaderMap>>>);

impl OpenTrailers {
    /// Keeps the trailers of a body that has ended.
    pub(super) fn set(&self, trailers: HeaderMap) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(trailers);
    }

    fn get(&self) -> Option<HeaderMap> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Trailers {
    /// Where the trailers of this request will appear.
    pub(super) fn of<T>(request: &S3Request<T>) -> Self {
        Self {
            signed: request.trailing_headers.clone(),
            open: request.extensions.get::<OpenTrailers>().cloned(),
        }
    }

    fn get(&self, name: &str) -> Option<String> {
        let text = |map: &HeaderMap| Some(map.get(name)?.to_str().ok()?.trim().to_owned());
        let signed = self.signed.as_ref().and_then(|t| t.read(text).flatten());
        signed.or_else(|| text(&self.open.as_ref()?.get()?))
    }
}

/// The claims of one request.
#[derive(Debug, Default)]
pub(super) struct Claims {
    length: Option<u64>,
    /// Base64.
    md5: Option<String>,
    /// Hexadecimal; what a signature would cover.
    sha256_of_payload: Option<String>,
    /// By algorithm: the base64 value, or `None` when only the algorithm was named.
    checksums: BTreeMap<&'static str, Option<String>>,
    /// Algorithms whose value comes in a trailer.
    announced: Vec<&'static str>,
}

impl Claims {
    /// Reads the claims out of the headers.
    pub(super) fn of(headers: &HeaderMap) -> S3Result<Self> {
        let text = |name: &str| -> S3Result<Option<String>> {
            let Some(value) = headers.get(name) else {
                return Ok(None);
            };
            let value = value
                .to_str()
                .map_err(|e| s3_error!(e, InvalidRequest, "{name}"))?;
            Ok(Some(value.trim().to_owned()))
        };
        let mut claims = Self {
            md5: text("content-md5")?,
            ..Self::default()
        };
        if claims
            .md5
            .as_ref()
            .is_some_and(|md5| BASE64.decode(md5).is_ok_and(|b| b.len() == 16))
        {
            // As it should be.
        } else if claims.md5.is_some() {
            return Err(s3_error!(InvalidDigest));
        }
        claims.length = text("content-length")?.and_then(|length| length.parse().ok());
        claims.sha256_of_payload = text("x-amz-content-sha256")?
            .filter(|hash| hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()));
        for algorithm in ALGORITHMS {
            if let Some(value) = text(&format!("{PREFIX}{algorithm}"))? {
                claims.checksums.insert(algorithm, Some(value));
            }
        }
        if let Some(named) = text("x-amz-sdk-checksum-algorithm")?
            && let Some(algorithm) = ALGORITHMS
                .into_iter()
                .find(|a| named.eq_ignore_ascii_case(a))
        {
            claims.checksums.entry(algorithm).or_default();
        }
        for line in headers.get_all(HeaderName::from_static("x-amz-trailer")) {
            let line = line
                .to_str()
                .map_err(|e| s3_error!(e, InvalidRequest, "x-amz-trailer"))?;
            for name in line.split(',').map(|name| name.trim().to_ascii_lowercase()) {
                let known = name.strip_prefix(PREFIX);
                if let Some(known) = ALGORITHMS.into_iter().find(|a| known == Some(a)) {
                    claims.announced.push(known);
                }
            }
        }
        Ok(claims)
    }

    /// A hasher for everything that is claimed.
    pub(super) fn hasher(&self) -> Sums {
        let wanted = |name| self.checksums.contains_key(name) || self.announced.contains(&name);
        Sums {
            checksums: ChecksumHasher {
                crc32: wanted("crc32").then(Crc32::new),
                crc32c: wanted("crc32c").then(Crc32c::new),
                crc64nvme: wanted("crc64nvme").then(Crc64Nvme::new),
                sha1: wanted("sha1").then(Sha1::new),
                sha256: wanted("sha256").then(Sha256::new),
            },
            payload: self.sha256_of_payload.is_some().then(Sha256::new),
        }
    }

    /// Compares the claims with what arrived; returns the checksums that are now known to be right.
    pub(super) fn check(
        self,
        size: u64,
        md5: [u8; 16],
        sums: Sums,
        trailers: Trailers,
    ) -> S3Result<BTreeMap<String, String>> {
        if self.length.is_some_and(|length| length != size) {
            return Err(s3_error!(IncompleteBody));
        }
        if self
            .md5
            .is_some_and(|claimed| claimed != BASE64.encode(md5))
        {
            return Err(s3_error!(
                BadDigest,
                "The Content-MD5 you specified did not match."
            ));
        }
        if let (Some(claimed), Some(hasher)) = (&self.sha256_of_payload, sums.payload)
            && !claimed.eq_ignore_ascii_case(&hex::encode(hasher.finalize()))
        {
            return Err(s3_error!(
                BadDigest,
                "The provided x-amz-content-sha256 does not match what was computed."
            ));
        }
        let computed = by_name(sums.checksums.finalize());
        let mut claimed = self.checksums;
        for algorithm in self.announced {
            let value = trailers.get(&format!("{PREFIX}{algorithm}"));
            let value = value.ok_or_else(|| {
                s3_error!(
                    InvalidRequest,
                    "the announced trailer {PREFIX}{algorithm} is missing"
                )
            })?;
            claimed.insert(algorithm, Some(value));
        }
        for (algorithm, value) in claimed {
            if value.is_some() && value.as_ref() != computed.get(algorithm) {
                let name = algorithm.to_ascii_uppercase();
                return Err(s3_error!(
                    BadDigest,
                    "The {name} you specified did not match the calculated checksum."
                ));
            }
        }
        Ok(computed)
    }
}

/// The running hashes of one body.
pub(super) struct Sums {
    checksums: ChecksumHasher,
    payload: Option<Sha256>,
}

impl Sums {
    /// Takes in more of the body.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.checksums.update(bytes);
        if let Some(payload) = &mut self.payload {
            payload.update(bytes);
        }
    }
}

/// The checksums that are there, by algorithm.
fn by_name(sums: s3s::dto::Checksum) -> BTreeMap<String, String> {
    let values = [
        sums.checksum_crc32,
        sums.checksum_crc32c,
        sums.checksum_crc64nvme,
        sums.checksum_sha1,
        sums.checksum_sha256,
    ];
    let named = ALGORITHMS.into_iter().zip(values);
    named
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO_CRC32: &str = "NhCmhg==";
    const HELLO_MD5: &str = "XUFAKrxLKna5cZ2REBfFkg==";

    fn check(headers: &[(&'static str, &str)], body: &[u8], trailers: Trailers) -> S3Result<usize> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let claims = Claims::of(&headers)?;
        let mut sums = claims.hasher();
        sums.update(body);
        let md5 = <md5::Md5 as md5::Digest>::digest(body).into();
        claims
            .check(body.len() as u64, md5, sums, trailers)
            .map(|known| known.len())
    }

    fn code(result: S3Result<usize>) -> String {
        result.unwrap_err().code().as_str().to_owned()
    }

    #[test]
    fn true_claims_pass_and_are_kept() {
        let none = Trailers::default;
        assert_eq!(check(&[], b"hello", none()).unwrap(), 0);
        let claims = [
            ("x-amz-checksum-crc32", HELLO_CRC32),
            ("content-md5", HELLO_MD5),
        ];
        assert_eq!(check(&claims, b"hello", none()).unwrap(), 1);
        let named = [
            ("x-amz-sdk-checksum-algorithm", "SHA256"),
            ("content-length", "5"),
        ];
        assert_eq!(check(&named, b"hello", none()).unwrap(), 1);
    }

    #[test]
    fn false_claims_are_refused() {
        for (name, value, expected) in [
            ("x-amz-checksum-crc32", "AAAAAA==", "BadDigest"),
            ("x-amz-checksum-sha256", HELLO_CRC32, "BadDigest"),
            ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==", "BadDigest"),
            ("content-md5", "not base64", "InvalidDigest"),
            ("content-length", "4", "IncompleteBody"),
            ("x-amz-content-sha256", &"0".repeat(64), "BadDigest"),
        ] {
            let refused = check(&[(name, value)], b"hello", Trailers::default());
            assert_eq!(code(refused), expected, "{name}: {value}");
        }
    }

    #[test]
    fn an_announced_trailer_must_come_and_be_true() {
        let announce = [("x-amz-trailer", "x-amz-checksum-crc32")];
        let with = |value: &str| {
            let open = OpenTrailers::default();
            let name = HeaderName::from_static("x-amz-checksum-crc32");
            open.set(HeaderMap::from_iter([(name, value.parse().unwrap())]));
            Trailers {
                open: Some(open),
                signed: None,
            }
        };
        assert_eq!(check(&announce, b"hello", with(HELLO_CRC32)).unwrap(), 1);
        assert_eq!(
            code(check(&announce, b"hello", with("AAAAAA=="))),
            "BadDigest"
        );
        assert_eq!(
            code(check(&announce, b"hello", Trailers::default())),
            "InvalidRequest"
        );
    }
}
