//! How much of an answer is read: no server can fill the memory of this machine (A4).
//!
//! The SDK reads every answer whole, but for the body of an object, and so does whoever fetches
//! credentials. Here each of them gets an end. How long an object's body may be is known to `read.rs`
//! alone. An answer whose two lengths contradict each other is none (RFC 9112, 6.3).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use aws_sdk_s3::config::interceptors::{
    BeforeDeserializationInterceptorContextMut, BeforeDeserializationInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector,
    http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, Metadata};
use bytes::Bytes;
use hyper::body::{Body, Frame};

/// The longest answer that is read, in bytes. A page of a thousand names of 1024 bytes, three characters
/// for each byte, has less than half of it.
const LONGEST: usize = 8 << 20;

/// So much of an error answer is read, in bytes. S3's have a few hundred.
const LONGEST_ERROR: usize = 64 << 10;

/// An answer that came and cannot be one of S3's.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub(super) struct Unfit {
    pub(super) why: String,
    /// Whether the next answer may be another one: this one lost a part on its way.
    pub(super) is_passing: bool,
}

impl Unfit {
    fn for_good(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_passing: false,
        }
    }
}

/// Ends the answers to all requests but the bodies of objects.
#[derive(Debug)]
pub(super) struct Bounded;

impl Intercept for Bounded {
    fn name(&self) -> &'static str {
        "bounded"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>();
        let is_get = operation.is_some_and(|operation| operation.name() == "GetObject");
        let response = context.response_mut();
        let headers = response.headers();
        if headers.get("content-length").is_some() && headers.get("transfer-encoding").is_some() {
            let why = "it has a length and comes in chunks, which contradict each other";
            return Err(Unfit::for_good(why).into());
        }
        let end = match response.status().is_success() {
            true if is_get => return Ok(()),
            true => End::Refuse,
            // Its status is what matters.
            false => End::CutOff,
        };
        let body = std::mem::replace(response.body_mut(), SdkBody::taken());
        *response.body_mut() = bounded(body, end);
        Ok(())
    }
}

/// What becomes of a body that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is a failure.
    Refuse,
    /// What comes behind is left out.
    CutOff,
}

fn bounded(body: SdkBody, end: End) -> SdkBody {
    let left = match end {
        End::Refuse => LONGEST,
        End::CutOff => LONGEST_ERROR,
    };
    SdkBody::from_body_1_x(Short { body, left, end })
}

/// A body that ends.
struct Short {
    body: SdkBody,
    left: usize,
    end: End,
}

impl Body for Short {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 && self.end == End::CutOff {
            return Poll::Ready(None);
        }
        let frame = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(frame) => frame?,
            None => return Poll::Ready(None),
        };
        let Ok(mut data) = frame.into_data() else {
            // Trailers: nobody reads them.
            return Poll::Ready(None);
        };
        if data.len() > self.left {
            match self.end {
                End::Refuse => {
                    let why = format!("it does not end after {LONGEST} bytes");
                    return Poll::Ready(Some(Err(Unfit::for_good(why).into())));
                }
                End::CutOff => data.truncate(self.left),
            }
        }
        self.left -= data.len();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

/// Notes whether an answer tells where its body ends: by a length, or in chunks. Else it ends with its
/// connection, as it would if that broke.
#[derive(Clone, Debug, Default)]
pub(super) struct Framing(Arc<AtomicBool>);

impl Framing {
    pub(super) fn tells_the_end(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Intercept for Framing {
    fn name(&self) -> &'static str {
        "framing"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.response().headers();
        let tells = ["content-length", "transfer-encoding"]
            .iter()
            .any(|name| headers.get(*name).is_some());
        self.0.store(tells, Ordering::Release);
        Ok(())
    }
}

/// A client whose answers all end: for those who hand out credentials.
pub(super) fn client(client: &SharedHttpClient) -> SharedHttpClient {
    let client = client.clone();
    http_client_fn(move |settings, components| {
        let connector = client.http_connector(settings, components);
        SharedHttpConnector::new(BoundedConnector(connector))
    })
}

#[derive(Debug)]
struct BoundedConnector(SharedHttpConnector);

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let answer = answer.await?;
            let end = match answer.status().is_success() {
                true => End::Refuse,
                false => End::CutOff,
            };
            Ok(answer.map(|body| bounded(body, end)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    async fn read(pieces: usize, piece: usize, end: End) -> Result<usize, BoxError> {
        let pieces = vec![Bytes::from(vec![b'x'; piece]); pieces];
        let frames = pieces
            .into_iter()
            .map(|data| Ok::<_, BoxError>(Frame::data(data)));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        let body = bounded(SdkBody::from_body_1_x(body), end);
        Ok(body.collect().await?.to_bytes().len())
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_none() {
        let fits = read(8, LONGEST / 8, End::Refuse).await.unwrap();
        assert_eq!(fits, LONGEST);
        let error = read(9, LONGEST / 8, End::Refuse).await.unwrap_err();
        assert!(error.to_string().contains("does not end"), "{error}");
    }

    #[tokio::test]
    async fn an_error_answer_that_is_too_long_is_cut_off() {
        for (pieces, piece, left) in [
            (1, LONGEST_ERROR, LONGEST_ERROR),
            (1, LONGEST_ERROR + 1, LONGEST_ERROR),
            (1000, 1000, LONGEST_ERROR),
            (3, 1000, 3000),
        ] {
            assert_eq!(read(pieces, piece, End::CutOff).await.unwrap(), left);
        }
    }
}
