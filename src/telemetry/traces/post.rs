//! The HTTP client that spans leave by: hyper, with the TLS that the rest of the program has.
//!
//! It knows no trace, and is given the trusted authorities. The exporter calls it from a thread of its own, and the requests
//! run where all others do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;
use tokio::time::timeout;

/// How long a collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of its answer is looked at.
const ANSWER: usize = 64 * 1024;

/// Sends what the exporter gives it.
#[derive(Debug)]
pub(super) struct Post {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Handle,
    /// Whether the last ones did not arrive.
    is_lost: AtomicBool,
}

impl Post {
    /// One that trusts these authorities; http needs none.
    ///
    /// # Errors
    /// TLS cannot be had.
    pub(super) fn new(runtime: Handle, roots: RootCertStore) -> Result<Self, rustls::Error> {
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            runtime,
            is_lost: AtomicBool::new(false),
        })
    }
}

#[async_trait]
impl HttpClient for Post {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = self.client.request(request.map(Full::new));
        let answered = async move {
            let (head, body) = sending.await?.into_parts();
            let body = Limited::new(body, ANSWER).collect().await?;
            Ok(Response::from_parts(head, body.to_bytes()))
        };
        let sent = self.runtime.spawn(async move {
            let answered: Result<_, HttpError> = timeout(PATIENCE, answered).await?;
            answered
        });
        let answer = sent.await.map_err(HttpError::from).flatten();
        let is_lost = answer.is_err();
        // Once for each outage: the exporter says nothing, and drops what it cannot send.
        if self.is_lost.swap(is_lost, Ordering::Relaxed) != is_lost {
            match &answer {
                Err(error) => tracing::warn!(error = %error, "traces cannot be sent"),
                Ok(_) => tracing::info!("traces are sent again"),
            }
        }
        answer
    }
}
