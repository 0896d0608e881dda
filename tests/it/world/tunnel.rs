//! An HTTP proxy as companies have one: CONNECT for https, absolute URLs for http. It remembers whom it
//! was asked for, and goes to one address instead, whatever the name: no name is ever looked up.
//!
//! ```ignore
//! let proxy = Tunnel::to(tls.address());
//! .. env("HTTPS_PROXY", proxy.url()) ..
//! assert_eq!(proxy.asked()[0].target, "s3.eu-west-1.amazonaws.com:443");
//! ```

use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// A listener on a free loopback port.
pub(super) fn listen() -> (StdListener, SocketAddr) {
    let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A thread with a runtime, until it is dropped.
pub(super) struct Thread {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Thread {
    pub(super) fn run<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> Self {
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = work() => {}
                    _ = ended => {}
                }
            });
        });
        Self {
            end: Some(end),
            thread: Some(thread),
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A connection that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// HOST:PORT of a CONNECT; the whole URL of a plain request.
    pub(crate) target: String,
    /// The first request's head.
    pub(crate) head: String,
}

/// A running proxy on a loopback port of its own; it ends on drop.
pub(crate) struct Tunnel {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Wish>>>,
    _thread: Thread,
}

impl Tunnel {
    /// Starts a proxy that reaches this address whoever is asked for.
    pub(crate) fn to(upstream: SocketAddr) -> Self {
        let (listener, address) = listen();
        let asked = Arc::default();
        let noting = Arc::clone(&asked);
        let thread = Thread::run(move || serve(listener, upstream, noting));
        Self {
            address,
            asked,
            _thread: thread,
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// HOST:PORT.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whom it was asked for so far.
    pub(crate) fn asked(&self) -> Vec<Wish> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(listener: StdListener, upstream: SocketAddr, asked: Arc<Mutex<Vec<Wish>>>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(pass_on(stream, upstream, Arc::clone(&asked)));
        }
    }
}

async fn pass_on(
    mut client: TcpStream,
    upstream: SocketAddr,
    asked: Arc<Mutex<Vec<Wish>>>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let head = loop {
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let mut words = text.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    asked.lock().unwrap().push(Wish {
        target: target.to_owned(),
        head: text.clone(),
    });
    let mut server = TcpStream::connect(upstream).await?;
    if method == "CONNECT" {
        client
            .write_all(b"HTTP/1.1 200 established\r\n\r\n")
            .await?;
        server.write_all(&bytes[head..]).await?;
    } else {
        // The server wants the path alone (RFC 9112, 3.2.1).
        let path = target
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
        let head_alone = text.replacen(target, path.unwrap_or("/"), 1);
        server.write_all(head_alone.as_bytes()).await?;
        server.write_all(&bytes[head..]).await?;
    }
    // Further requests of the same connection are passed on with their absolute URLs; every server
    // must take those.
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
