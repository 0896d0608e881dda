//! `--metrics`: the metrics over HTTP, for Prometheus to fetch, on this machine alone unless one says
//! otherwise.
//!
//! One page, `/metrics`, which web pages of others cannot read through a browser on this machine. It knows no metric: `telemetry/metrics.rs` does. A client that is slow or
//! silent is let go after a while, and only few are served at once.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::report::Failure;
use crate::vfs::Vfs;
use etagfs_s3_server::web;

/// The text format that `telemetry/metrics.rs` writes (Prometheus, exposition formats).
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How many clients are served at once.
const CLIENTS: usize = 8;
/// How long a client may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads `ADDRESS:PORT`, or a port of this machine.
///
/// # Errors
/// A message that says what is expected.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let expected = || "give a port, or ADDRESS:PORT as in 127.0.0.1:9464 or [::1]:9464".to_owned();
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    match port.parse() {
        Ok(port) => Ok((Ipv4Addr::LOCALHOST, port).into()),
        Err(_) => text.parse().map_err(|_| expected()),
    }
}

/// Serves the metrics until it is dropped.
#[derive(Debug)]
pub(super) struct Serving(AbortHandle);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A place where metrics will be served: nobody is answered yet, but nobody else can have it.
pub(super) struct Listening(TcpListener);

impl Listening {
    /// Takes the address. `is_public` says that it need not be one of this machine alone.
    ///
    /// # Errors
    /// A failure that says what to do.
    pub(super) async fn at(address: SocketAddr, is_public: bool) -> Result<Self, Failure> {
        if !is_local(address.ip()) && !is_public {
            return Err(Failure::usage(format!(
                "--metrics {address}: other machines could read the metrics there without authentication"
            ))
            .hint("choose a loopback address (127.0.0.1:PORT), or say --metrics-public too"));
        }
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Failure::new(format!("--metrics {address}: {error}"))
                .hint("choose another port; 0 takes any free one, and the log says which")
        })?;
        Ok(Self(listener))
    }

    /// Begins to serve the metrics of `vfs`.
    ///
    /// # Errors
    /// When the address cannot be told.
    pub(super) fn serve(self, vfs: Arc<Vfs>) -> Result<Serving, Failure> {
        let address = self.0.local_addr()?;
        tracing::info!(at = %address, "metrics are served");
        let places = Arc::new(Semaphore::new(CLIENTS));
        let listening = tokio::spawn(async move {
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                // An error concerns one client; a lack of descriptors passes.
                let Ok((client, _)) = self.0.accept().await else {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                };
                let vfs = Arc::clone(&vfs);
                tokio::spawn(async move {
                    let _place = place;
                    // What goes wrong is the client's concern.
                    let _ = timeout(PATIENCE, talk(client, vfs, address)).await;
                });
            }
        });
        Ok(Serving(listening.abort_handle()))
    }
}

fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback()
}

async fn talk(client: TcpStream, vfs: Arc<Vfs>, address: SocketAddr) -> hyper::Result<()> {
    let answer = |request: Request<Incoming>| {
        let answer = match admit(request.headers(), address) {
            Ok(()) => answer(request.method(), request.uri().path(), || vfs.metrics()),
            Err(why) => refusal(why),
        };
        async { Ok::<_, Infallible>(answer) }
    };
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        // One page for each connection: a client that stays would keep its place.
        .keep_alive(false)
        .serve_connection(TokioIo::new(client), service_fn(answer))
        .await
}

/// Whether a request may be answered. What is public has whatever names its machine has.
fn admit(headers: &HeaderMap, address: SocketAddr) -> Result<(), String> {
    web::refuse_pages(headers)?;
    match is_local(address.ip()) {
        true => web::refuse_foreign_names(headers, address),
        false => Ok(()),
    }
}

fn refusal(why: String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new((why + "\n").into()));
    *answer.status_mut() = StatusCode::FORBIDDEN;
    answer
}

fn answer(method: &Method, path: &str, text: impl FnOnce() -> String) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    let headers = answer.headers_mut();
    let (status, text) = match (method, path) {
        (&Method::GET | &Method::HEAD, "/metrics") => {
            headers.insert(
                CONTENT_TYPE,
                hyper::header::HeaderValue::from_static(FORMAT),
            );
            (StatusCode::OK, text())
        }
        (&Method::GET | &Method::HEAD, _) => {
            let hint = "the metrics are at /metrics\n";
            (StatusCode::NOT_FOUND, hint.to_owned())
        }
        _ => {
            headers.insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
            (StatusCode::METHOD_NOT_ALLOWED, String::new())
        }
    };
    *answer.status_mut() = status;
    *answer.body_mut() = Full::new(text.into());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        for (text, expected) in [
            ("9464", "127.0.0.1:9464"),
            ("localhost:9464", "127.0.0.1:9464"),
            ("127.0.0.1:9464", "127.0.0.1:9464"),
            ("[::1]:9464", "[::1]:9464"),
            ("0.0.0.0:9464", "0.0.0.0:9464"),
        ] {
            assert_eq!(
                address(text).map(|at| at.to_string()).as_deref(),
                Ok(expected)
            );
        }
        for text in ["", "host:9464", "99999", "127.0.0.1", ":9464"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn there_is_one_page() {
        let status = |method, path| answer(&method, path, || "m 1\n".to_owned()).status();
        assert_eq!(status(Method::GET, "/metrics"), StatusCode::OK);
        assert_eq!(status(Method::GET, "/"), StatusCode::NOT_FOUND);
        assert_eq!(
            status(Method::POST, "/metrics"),
            StatusCode::METHOD_NOT_ALLOWED
        );
    }
}
