//! The proxy's thread: accepts, forwards, and does what [`super::fault`] says. One upstream
//! connection for each request, bodies whole in memory: slow, simple, and nothing is shared.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use hyper::http::{request, response};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};

use super::fault::Fault;
use super::record::{Op, Record};
use super::{Door, Shared};

/// The connection ends without a (further) answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("the connection ends as told")]
    AsTold,
    #[error("the server cannot be asked: {0}")]
    Upstream(#[from] hyper::Error),
    #[error("input or output failed: {0}")]
    Io(#[from] io::Error),
}

/// A second handle of the client's connection, for bytes that hyper would not send.
pub(super) type Wire = Arc<Mutex<TcpStream>>;

pub(super) type Reply = (response::Parts, Bytes);

/// Serves until the door's sender is gone.
pub(super) fn run(listener: StdListener, shared: &Arc<Shared>, door: watch::Receiver<Door>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(accept(listener, shared, door)).unwrap();
}

async fn accept(
    listener: StdListener,
    shared: &Arc<Shared>,
    mut door: watch::Receiver<Door>,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut listener = Some(TcpListener::from_std(listener)?);
    loop {
        let arrival = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = door.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let now = *door.borrow_and_update();
                match now {
                    Door::Closed => listener = None,
                    Door::Open if listener.is_none() => listener = Some(TcpListener::bind(address).await?),
                    Door::Open => {}
                }
            }
            arrived = arrival => {
                // A client that gave up before it was accepted is no concern of ours.
                if let Ok((stream, _)) = arrived {
                    let (shared, door) = (Arc::clone(shared), door.clone());
                    tokio::spawn(connection(stream, shared, door));
                }
            }
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>, mut door: watch::Receiver<Door>) {
    let Ok((stream, wire)) = twice(stream) else {
        return;
    };
    let service = service_fn(|request| handle(request, Arc::clone(&shared), Arc::clone(&wire)));
    let serving =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let closed = tokio::select! {
        // Its error is ours (End) or the client's, who went away; both are in the log if they matter.
        _ = serving => false,
        // Closed, or the proxy ends.
        _ = door.wait_for(|door| *door == Door::Closed) => true,
    };
    if closed {
        // An exchange that is still on its way would keep the wire, and so the connection, open.
        let _ = wire.lock().await.shutdown().await;
    }
}

fn twice(stream: TcpStream) -> io::Result<(TcpStream, Wire)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let wire = TcpStream::from_std(stream.try_clone()?)?;
    Ok((TcpStream::from_std(stream)?, Arc::new(Mutex::new(wire))))
}

/// Marks the record as done however the request ends, also when its task is dropped.
struct Done(Arc<Shared>, usize);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.amend(self.1, |record| record.done = true);
    }
}

async fn handle(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    wire: Wire,
) -> Result<Response<Full<Bytes>>, End> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let is_below = shared.below(&mut parts.uri);
    let record = Record::new(&parts, &body);
    let op = record.op;
    let fault = match is_below {
        true => shared.fault_for(&record),
        false => Some(Fault::Page(404)),
    };
    let place = shared.note(record);
    let done = Done(Arc::clone(&shared), place);
    if let Some(fault) = &fault {
        shared.amend(place, |record| record.fault = Some(format!("{fault:?}")));
    }
    let exchange = Exchange {
        shared,
        wire,
        place,
        op,
        parts,
        body,
    };
    // A task of its own: a request that was on its way arrives, even if its client gave up meanwhile.
    let exchange = tokio::spawn(async move {
        let _done = done;
        let (parts, body) = exchange.perform(fault).await?;
        exchange.told(parts.status);
        Ok(Response::from_parts(parts, Full::new(body)))
    });
    exchange.await.unwrap_or_else(|_| Err(End::AsTold))
}

/// One request on its way.
#[derive(Clone)]
pub(super) struct Exchange {
    shared: Arc<Shared>,
    pub(super) wire: Wire,
    place: usize,
    op: Op,
    pub(super) parts: request::Parts,
    body: Bytes,
}

impl Exchange {
    async fn perform(&self, fault: Option<Fault>) -> Result<Reply, End> {
        match fault {
            None => self.forward().await,
            Some(Fault::Answer(status, code)) => Ok(self.error(status, code)),
            Some(Fault::Page(status)) => Ok(self.page(status)),
            Some(Fault::Raw(bytes)) => self.write_and_end(&bytes).await,
            Some(Fault::Refuse) => Err(End::AsTold),
            Some(Fault::BlackHole(gate)) => {
                gate.pass().await;
                Err(End::AsTold)
            }
            Some(Fault::HoldRequest(gate)) => {
                gate.pass().await;
                self.forward().await
            }
            Some(Fault::HoldReply(gate)) => {
                let reply = self.forward().await?;
                gate.pass().await;
                Ok(reply)
            }
            Some(Fault::LoseReply) => {
                self.forward().await?;
                Err(End::AsTold)
            }
            Some(Fault::ForwardTwice) => {
                self.forward().await?;
                self.forward().await
            }
            Some(Fault::ForwardAgain(gate)) => {
                let reply = self.forward().await?;
                let late = self.clone();
                tokio::spawn(async move {
                    gate.pass().await;
                    // Nobody waits for it; what it came to is in the record.
                    let _ = late.forward().await;
                });
                Ok(reply)
            }
            Some(Fault::CutBody) => {
                let (parts, body) = self.forward().await?;
                let half = body.slice(..body.len() / 2);
                self.write_reply(&parts, &half, body.len()).await
            }
            Some(Fault::WrongLength(off)) => {
                let (parts, body) = self.forward().await?;
                let claimed = body.len().saturating_add_signed(off);
                self.write_reply(&parts, &body, claimed).await
            }
            Some(Fault::GarbageBody) => {
                let (parts, body) = self.forward().await?;
                Ok((parts, body.iter().map(|byte| !byte | 0x80).collect()))
            }
            Some(Fault::Edit(edit)) => {
                let (mut parts, mut body) = self.forward().await?;
                edit(&mut parts, &mut body);
                if self.parts.method != Method::HEAD {
                    // Full tells hyper the length.
                    parts.headers.remove(CONTENT_LENGTH);
                }
                Ok((parts, body))
            }
            Some(Fault::Framed(framing)) => {
                let (parts, body) = self.forward().await?;
                self.write_framed(&parts, &body, framing).await
            }
            Some(Fault::Endless) => {
                let (parts, body) = self.forward().await?;
                self.write_without_end(&parts, &body).await
            }
            Some(Fault::EndlessAnswer(status)) => {
                let code = match status {
                    403 => "AccessDenied",
                    404 => "NoSuchKey",
                    412 => "PreconditionFailed",
                    _ => "InternalError",
                };
                let (parts, body) = self.error(status, code);
                self.write_without_end(&parts, &body).await
            }
            Some(Fault::Compose(compose)) => {
                let (status, xml) = compose(&Record::new(&self.parts, &self.body));
                let (mut parts, _) = self.error(status, "");
                parts
                    .headers
                    .insert("x-amz-request-id", HeaderValue::from_static("0"));
                Ok((parts, Bytes::from(xml)))
            }
            Some(Fault::Redirect(status, url)) => {
                let (mut parts, body) = self.error(status, "TemporaryRedirect");
                let at = format!("{url}{}", self.parts.uri);
                let at = HeaderValue::from_str(&at).expect("a URL is a header's value");
                parts.headers.insert("location", at);
                let id = HeaderValue::from_static("0");
                parts.headers.insert("x-amz-request-id", id);
                Ok((parts, body))
            }
            Some(Fault::Elsewhere(from, to)) => {
                let path = self.parts.uri.to_string();
                let path = path.strip_prefix(&from).map(|rest| format!("{to}{rest}"));
                let mut there = self.clone();
                if let Some(path) = path {
                    there.parts.uri = path.parse().expect("a path stays one");
                }
                there.forward().await
            }
        }
    }

    pub(super) fn told(&self, status: StatusCode) {
        self.shared
            .amend(self.place, |record| record.status = Some(status.as_u16()));
    }

    /// Asks the server.
    async fn forward(&self) -> Result<Reply, End> {
        let stream = TcpStream::connect(self.shared.upstream).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.parts.method.clone();
        *request.uri_mut() = self.parts.uri.clone();
        *request.headers_mut() = self.parts.headers.clone();
        // The body is whole here, and Full tells its length. Neither header is ever signed.
        request.headers_mut().remove(TRANSFER_ENCODING);
        request.headers_mut().remove(CONNECTION);

        let (mut parts, body) = sender.send_request(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        connection.abort();
        self.shared.amend(self.place, |record| {
            record.upstream.push(parts.status.as_u16());
            record.received = body.len();
        });
        parts.headers.remove(TRANSFER_ENCODING);
        parts.headers.remove(CONNECTION);
        Ok((parts, body))
    }

    /// An S3 error answer of our own.
    fn error(&self, status: u16, code: &str) -> Reply {
        let status = StatusCode::from_u16(status).expect("a fault has a valid status");
        let head_request = matches!(self.op, Op::Head | Op::HeadBucket);
        let xml = if head_request {
            String::new()
        } else {
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
                 <Message>injected by the test</Message><RequestId>0</RequestId></Error>"
            )
        };
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = status;
        parts
            .headers
            .insert("content-type", HeaderValue::from_static("application/xml"));
        (parts, Bytes::from(xml))
    }

    /// What a web server says that is no S3.
    fn page(&self, status: u16) -> Reply {
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = StatusCode::from_u16(status).expect("a fault has a valid status");
        let html = HeaderValue::from_static("text/html");
        parts.headers.insert("content-type", html);
        let is_bare = self.parts.method == Method::HEAD || status == 304;
        let page = match is_bare {
            true => "",
            false => "<html><body><h1>This is not the page that you look for</h1></body></html>\n",
        };
        (parts, Bytes::from_static(page.as_bytes()))
    }

    /// Writes a reply whose Content-Length may be a lie, and ends the connection.
    async fn write_reply(
        &self,
        parts: &response::Parts,
        body: &[u8],
        claimed: usize,
    ) -> Result<Reply, End> {
        let mut bytes = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
        for (name, value) in parts
            .headers
            .iter()
            .filter(|(name, _)| *name != CONTENT_LENGTH)
        {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("content-length: {claimed}\r\n\r\n").as_bytes());
        bytes.extend_from_slice(body);
        self.told(parts.status);
        self.write_and_end(&bytes).await
    }

    pub(super) async fn write_and_end(&self, bytes: &[u8]) -> Result<Reply, End> {
        let mut wire = self.wire.lock().await;
        wire.write_all(bytes).await?;
        wire.shutdown().await?;
        Err(End::AsTold)
    }
}
