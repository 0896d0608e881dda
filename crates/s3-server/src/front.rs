//! What stands between a connection and s3s: request ids, open mode and the web pages it refuses, the
//! pace of bodies, the checksums of a batch delete, and repairs, of a header that clients send twice, of
//! XML with control characters, and of the status of a malformed signature.
//!
//! It knows HTTP, no operations. Read [`super::s3`] for those.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue,
};
use hyper::{HeaderMap, Method, Request, Response, Uri};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, S3Result, s3_error};

use super::auth::OneKeyPair;
use super::claims::{Claims, Trailers};
use super::pace::Paced;
use super::s3::Service;
use super::storage::Storage;
use super::{Credentials, open, web};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// The largest body of a batch delete, in bytes: a thousand of the longest keys, every byte escaped.
const MAX_BATCH: usize = 8 * 1024 * 1024;

/// The HTTP service; cheap to clone.
#[derive(Clone)]
pub(super) struct Front {
    s3: S3Service,
    open: bool,
    listen: SocketAddr,
    patience: Duration,
    /// Tells the requests of one run from another's.
    run: Arc<str>,
    count: Arc<std::sync::atomic::AtomicU64>,
}

impl Front {
    /// `listen` is the address that clients use, `patience` how long a body may be silent.
    pub(super) fn new(
        storage: Storage,
        credentials: Option<Credentials>,
        listen: SocketAddr,
        patience: Duration,
    ) -> Self {
        let mut builder = S3ServiceBuilder::new(Service::new(storage));
        let open = credentials.is_none();
        if let Some(credentials) = credentials {
            builder.set_auth(OneKeyPair(credentials));
        }
        let run = uuid::Uuid::new_v4().simple().to_string();
        Self {
            s3: builder.build(),
            open,
            listen,
            patience,
            run: run[..8].into(),
            count: Arc::default(),
        }
    }

    /// Answers a request.
    pub(super) async fn answer(
        self,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, HttpError> {
        join_content_encoding(request.headers_mut());
        let number = self
            .count
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let request = request.map(|body| Paced::new(body, self.patience));
        let ended = request.body().ended();
        let response = match self.admit(request).await {
            Ok(request) => self.s3.call(request).await?,
            Err(refusal) => refusal
                .to_http_response()
                .map_err(|e| HttpError::new(e.into()))?,
        };
        let mut response = with_clean_xml(response);
        if !ended.is_reached() {
            // The rest of the body, or a client that waits for `100 Continue` and then goes on with
            // its next request: nobody could tell the two apart.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        if let Ok(id) = HeaderValue::try_from(format!("{}-{number:08X}", self.run)) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        Ok(response)
    }

    /// What s3s is to see of a request, or why it is refused before that.
    async fn admit(&self, request: Request<Paced>) -> S3Result<Request<Body>> {
        let request = match self.open {
            true => {
                web::refuse_pages(request.headers())
                    .and_then(|()| web::refuse_foreign_names(request.headers(), self.listen))
                    .map_err(|why| s3_error!(AccessDenied, "{why}, or start it with a key pair"))?;
                open::without_signature(request)
            }
            false => {
                if !is_signature_well_formed(request.uri()) {
                    return Err(s3_error!(SignatureDoesNotMatch));
                }
                request.map(Body::http_body_unsync)
            }
        };
        with_true_claims(request).await
    }
}

/// Whether the signature of a presigned URL, if there is one, is 64 hexadecimal digits. s3s calls any
/// other a bad request, and S3 a wrong signature.
fn is_signature_well_formed(uri: &Uri) -> bool {
    let signatures: Vec<&str> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.strip_prefix("X-Amz-Signature="))
        .collect();
    let is_one = |signature: &str| {
        signature.len() == 64 && signature.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match signatures[..] {
        [] => true,
        [signature] => is_one(signature),
        _ => false,
    }
}

/// A client may send its own encoding and `aws-chunked` as two headers, which mean the same as one
/// list (RFC 9110 5.3) and are signed as one, but s3s takes only one.
fn join_content_encoding(headers: &mut HeaderMap) {
    let lines: Vec<&[u8]> = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .map(|v| v.as_bytes())
        .collect();
    if lines.len() > 1
        && let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b','))
    {
        headers.insert(CONTENT_ENCODING, joined);
    }
}

/// A batch delete's body is parsed by s3s before an operation of ours could check what is claimed of
/// it, so that is done here; every other body with claims goes through [`super::receive`].
async fn with_true_claims(request: Request<Body>) -> S3Result<Request<Body>> {
    let query = request.uri().query().unwrap_or_default();
    let is_batch = query
        .split('&')
        .any(|pair| pair == "delete" || pair == "delete=");
    if request.method() != Method::POST || !is_batch {
        return Ok(request);
    }
    let (head, body) = request.into_parts();
    let claims = Claims::of(&head.headers)?;
    let mut sums = claims.hasher();
    let body = Limited::new(body, MAX_BATCH).collect().await;
    let bytes = body.map_err(|e| s3_error!(IncompleteBody, "the body could not be read: {e}"))?;
    let bytes = bytes.to_bytes();
    sums.update(&bytes);
    let md5 = <md5::Md5 as md5::Digest>::digest(&bytes).into();
    claims.check(bytes.len() as u64, md5, sums, Trailers::default())?;
    Ok(Request::from_parts(head, Body::from(bytes)))
}

/// Keys may hold control characters, which XML can only write as references, and s3s writes bare.
fn with_clean_xml(response: Response<Body>) -> Response<Body> {
    let is_xml = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|t| t == "application/xml");
    let Some(xml) = response.body().bytes().filter(|_| is_xml) else {
        return response;
    };
    let Some(clean) = clean_xml(&xml) else {
        return response;
    };
    let (mut head, _) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    Response::from_parts(head, Body::from(clean))
}

/// The document with its control characters as references; `None` if it has none.
fn clean_xml(xml: &[u8]) -> Option<Bytes> {
    // A line feed survives parsing; a carriage return would be read as a line feed.
    let bad = |b: u8| b < 0x20 && b != b'\n' && b != b'\t';
    if !xml.iter().any(|&b| bad(b)) {
        return None;
    }
    let mut clean = BytesMut::with_capacity(xml.len() + 64);
    for &byte in xml {
        if bad(byte) {
            clean.put_slice(format!("&#x{byte:X};").as_bytes());
        } else {
            clean.put_u8(byte);
        }
    }
    Some(clean.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_references() {
        assert_eq!(clean_xml(b"<K>a\nb\tc</K>"), None);
        assert_eq!(clean_xml(b"<K>a\x01\r</K>").unwrap(), "<K>a&#x1;&#xD;</K>");
    }
}
