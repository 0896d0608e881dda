//! A server, clients for it, and a counter of checks.

use std::fmt::Debug;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use bytes::Bytes;
use etagfs_s3_server::{Config, Durability, Server};
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Long enough for anything that is not broken, on a busy machine too. It only bounds a hang.
const SOON: Duration = Duration::from_secs(120);

/// The bucket that every server starts with.
pub(super) const BUCKET: &str = "bucket";

/// A server in this process. It ends when this is dropped.
pub(super) struct Running {
    pub(super) url: String,
    pub(super) s3: Client,
    pub(super) dir: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

impl Running {
    /// An open server with one empty bucket.
    pub(super) async fn start() -> Self {
        let running = Self::start_with(|_| {}).await;
        running
            .s3
            .create_bucket()
            .bucket(BUCKET)
            .send()
            .await
            .unwrap();
        running
    }

    /// A server without a bucket, set up as `change` says.
    pub(super) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::new(dir.path());
        config.durability = Durability::ProcessDeath;
        change(&mut config);
        let server = Server::bind(config).await.unwrap();
        let url = format!("http://{}", server.local_addr());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let s3 = client(&url, Some(("any", "thing")));
        Self {
            url,
            s3,
            dir,
            stop: Some(stop),
            task: Some(task),
        }
    }

    /// Tells the server to stop; waits until it has.
    pub(super) async fn stop(mut self) -> tempfile::TempDir {
        drop(self.stop.take());
        self.task.take().unwrap().await.unwrap();
        self.dir
    }

    /// PUT of a body; its ETag, with quotes.
    pub(super) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) -> String {
        let request = self.s3.put_object().bucket(BUCKET).key(key);
        let put = request.body(ByteStream::from(body.into())).send().await;
        put.unwrap().e_tag.unwrap()
    }

    /// GET of a body.
    pub(super) async fn get(&self, key: &str) -> Vec<u8> {
        let got = self.s3.get_object().bucket(BUCKET).key(key).send().await;
        got.unwrap().body.collect().await.unwrap().to_vec()
    }

    /// A request as it is written here; the answer's status, headers and body.
    pub(super) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (StatusCode, hyper::HeaderMap, String) {
        let addr = self.url.strip_prefix("http://").unwrap();
        let stream = TokioIo::new(TcpStream::connect(addr).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", addr);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        connection.abort();
        (
            head.status,
            head.headers,
            String::from_utf8_lossy(&body).into_owned(),
        )
    }
}

/// A client that does not retry, so that an answer is one request's answer.
pub(super) fn client(url: &str, key_pair: Option<(&str, &str)>) -> Client {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(url)
        .region(Region::new("us-east-1"))
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .http_client(http);
    let config = match key_pair {
        Some((access, secret)) => {
            config.credentials_provider(Credentials::new(access, secret, None, None, "test"))
        }
        None => config.allow_no_auth(),
    };
    Client::from_conf(config.build())
}

/// Status and code of an answer: `(200, "")`, or what was refused.
pub(super) fn answer<T, E>(result: &Result<T, SdkError<E>>) -> (u16, String)
where
    E: ProvideErrorMetadata + Debug,
{
    match result {
        Ok(_) => (200, String::new()),
        Err(error) => {
            let status = error.raw_response().map_or(0, |r| r.status().as_u16());
            (status, error.code().unwrap_or_default().to_owned())
        }
    }
}

/// Counts what holds, and remembers what does not.
#[derive(Default)]
pub(super) struct Checks {
    passed: usize,
    failed: Vec<String>,
}

impl Checks {
    pub(super) fn equal<T: PartialEq + Debug>(&mut self, what: &str, got: T, expected: T) {
        if got == expected {
            self.passed += 1;
        } else {
            self.failed
                .push(format!("{what}: got {got:?}, expected {expected:?}"));
        }
    }

    pub(super) fn holds(&mut self, what: &str, holds: bool) {
        self.equal(what, holds, true);
    }

    /// An answer of the client.
    pub(super) fn answers<T, E>(
        &mut self,
        what: &str,
        result: &Result<T, SdkError<E>>,
        expected: (u16, &str),
    ) where
        E: ProvideErrorMetadata + Debug,
    {
        let got = answer(result);
        let error = result.as_ref().err();
        let what = if got.0 == expected.0 {
            what.to_owned()
        } else {
            format!("{what}: {error:?}")
        };
        self.equal(&what, (got.0, got.1.as_str()), expected);
    }

    /// Prints the count; fails if anything failed.
    pub(super) fn done(self, subject: &str) {
        println!("{subject}: {} checks passed", self.passed);
        assert!(self.failed.is_empty(), "{}", self.failed.join("\n"));
    }
}

/// Waits for `probe` to give something; fails when it does not within [`SOON`].
pub(super) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + SOON;
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "not in time: {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for something that must come; fails when it does not within [`SOON`].
pub(super) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let came = tokio::time::timeout(SOON, future).await;
    came.unwrap_or_else(|_| panic!("not in time: {what}"))
}
