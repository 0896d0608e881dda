//! Open mode: a server without credentials takes every request, signed or not.
//!
//! Clients sign with whatever they have, and s3s cannot check a signature without a secret; so the
//! signature is taken off before s3s sees the request, and with it the framing that a signed body
//! may have. It knows HTTP only. Read [`super::chunked`] for the framing.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::BodyStream;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderName};
use hyper::{HeaderMap, Request, Uri};
use s3s::dto::StreamingBlob;
use s3s::{Body, StdError};

use super::chunked::Decoder;
use super::claims::OpenTrailers;
use super::pace::Paced;

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");

/// Takes the signature off a request.
pub(super) fn without_signature(request: Request<Paced>) -> Request<Body> {
    let (mut head, body) = request.into_parts();
    head.headers.remove(AUTHORIZATION);
    if let Some(uri) = without_signed_query(&head.uri) {
        head.uri = uri;
    }
    let framed = is_framed(&head.headers);
    if !framed {
        return Request::from_parts(head, Body::http_body_unsync(body));
    }
    head.headers.remove(CONTENT_LENGTH);
    if let Some(length) = head.headers.remove(DECODED_LENGTH) {
        head.headers.insert(CONTENT_LENGTH, length);
    }
    let trailers = OpenTrailers::default();
    head.extensions.insert(trailers.clone());
    Request::from_parts(
        head,
        Body::from(StreamingBlob::wrap(decoded(body, trailers))),
    )
}

fn is_framed(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_SHA256)
        .is_some_and(|value| value.as_bytes().starts_with(b"STREAMING-"))
}

/// The query without the parameters of a presigned URL; `None` if there are none.
fn without_signed_query(uri: &Uri) -> Option<Uri> {
    const SIGNATURE: [&str; 8] = [
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
        "AWSAccessKeyId",
        "Signature",
    ];
    let is_signature = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default();
        SIGNATURE.contains(&name)
    };
    let query = uri.query()?;
    query.split('&').find(is_signature)?;
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !is_signature(pair))
        .collect();
    let path = match kept.join("&") {
        query if query.is_empty() => uri.path().to_owned(),
        query => format!("{}?{query}", uri.path()),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// A failure while a framed body is read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Broken(#[source] StdError);

struct Framed {
    /// A mutex that is never locked: it makes the body shareable, which s3s asks for.
    body: std::sync::Mutex<BodyStream<Paced>>,
    decoder: Decoder,
    trailers: OpenTrailers,
}

fn decoded(
    body: Paced,
    trailers: OpenTrailers,
) -> impl futures_util::Stream<Item = Result<Bytes, Broken>> + Send + Sync + 'static {
    let body = std::sync::Mutex::new(BodyStream::new(body));
    let framed = Framed {
        body,
        decoder: Decoder::default(),
        trailers,
    };
    stream::try_unfold(Some(framed), |framed| async move {
        let Some(mut framed) = framed else {
            return Ok(None);
        };
        loop {
            if let Some(bytes) = framed.decoder.next().map_err(|e| Broken(e.into()))? {
                return Ok(Some((bytes, Some(framed))));
            }
            let body = framed
                .body
                .get_mut()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            match body.next().await {
                Some(frame) => {
                    if let Ok(data) = frame.map_err(Broken)?.into_data() {
                        framed.decoder.feed(&data);
                    }
                }
                None => {
                    let found = framed.decoder.finish().map_err(|e| Broken(e.into()))?;
                    framed.trailers.set(found);
                    return Ok(None);
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signature_leaves_the_query() {
        let clean = |uri: &str| without_signed_query(&uri.parse().unwrap()).map(|u| u.to_string());
        assert_eq!(clean("/b/k?list-type=2&prefix=a%26b"), None);
        assert_eq!(clean("/b/k"), None);
        assert_eq!(
            clean("/b/k?X-Amz-Signature=1&X-Amz-Date=2"),
            Some("/b/k".into())
        );
        assert_eq!(
            clean("/b/a%2Fb?uploadId=7&X-Amz-Signature=1&partNumber=2"),
            Some("/b/a%2Fb?uploadId=7&partNumber=2".into())
        );
    }
}
