//! A small HTTP server that hands out credentials, in the place of STS, SSO, ECS or IMDS: it answers
//! as a function says and remembers what it was asked. It knows nothing of S3.
//!
//! ```ignore
//! let issuer = Issuer::start(|asked| (200, format!("{} {}", asked.method, asked.path)));
//! .. env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("{}/keys", issuer.url())) ..
//! assert_eq!(issuer.asked()[0].path, "/keys");
//! ```

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use super::tunnel::{Thread, listen};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;

/// One question.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

type Answer = dyn Fn(&Asked) -> (u16, String) + Send + Sync;

struct Shared {
    answer: Box<Answer>,
    asked: Mutex<Vec<Asked>>,
}

/// A running issuer on a loopback port of its own; it ends on drop.
pub(crate) struct Issuer {
    address: SocketAddr,
    shared: Arc<Shared>,
    _thread: Thread,
}

impl Issuer {
    /// Starts it; `answer` makes status and body of each question.
    pub(crate) fn start(answer: impl Fn(&Asked) -> (u16, String) + Send + Sync + 'static) -> Self {
        let (listener, address) = listen();
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            asked: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let thread = Thread::run(move || accept(listener, serving));
        Self {
            address,
            shared,
            _thread: thread,
        }
    }

    /// Its URL, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All questions so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

async fn accept(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &shared));
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body.unwrap_or_default()).into_owned(),
    };
    let (status, text) = (shared.answer)(&asked);
    shared.asked.lock().unwrap().push(asked);
    let response = Response::builder()
        .status(status)
        // IMDSv2 demands it of the answer that brings its token; nobody else minds.
        .header("x-aws-ec2-metadata-token-ttl-seconds", "600");
    Ok(response.body(Full::new(Bytes::from(text))).unwrap())
}
