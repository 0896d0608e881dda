//! Listening, connections, and the graceful end.
//!
//! It knows sockets and time, no S3. When it is told to stop it takes no new connection, lets the
//! requests in flight finish for a bounded time, and returns. Read [`super::front`] for requests.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

use super::front::Front;
use super::storage::{Closed, Storage};
use super::{Config, Error};

/// How long requests in flight may take to finish after the server was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How many connections are served at once; those beyond wait to be accepted.
const MOST_CONNECTIONS: u64 = 512;
/// What a connection may need: its socket and a body file. As much again is left for the rest.
const DESCRIPTORS_EACH: u64 = 2;
/// How long to wait when no connection can be accepted, for want of file descriptors for instance.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A server that listens; requests are answered while [`Server::run`] runs.
pub struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    front: Front,
    closed: Closed,
    patience: Duration,
}

impl Server {
    /// Listens, and opens the data directory.
    ///
    /// # Errors
    /// The directory is in use or unusable, or the address is.
    pub async fn bind(config: Config) -> Result<Self, Error> {
        let Config {
            data_dir,
            listen,
            credentials,
            durability,
            patience,
        } = config;
        let in_words = |source| Error::Listen {
            addr: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(in_words)?;
        let addr = listener.local_addr().map_err(in_words)?;
        // Not before it is certain that somebody will ask for it: opening writes.
        let opened = {
            let data_dir = data_dir.clone();
            tokio::task::spawn_blocking(move || Storage::open(&data_dir, durability)).await
        };
        let (storage, closed) = opened.map_err(|e| Error::corrupt(&data_dir, e))??;
        Ok(Self {
            listener,
            addr,
            front: Front::new(storage, credentials, addr, patience),
            closed,
            patience,
        })
    }

    /// Where it listens; the port is the real one if port 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers requests until `shutdown` is ready, then finishes those in flight, for at most ten
    /// seconds, and closes the data directory.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(places()));
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        loop {
            let accepted = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next() => continue,
                accepted = accept(&self.listener, &places) => accepted,
            };
            match accepted {
                Ok((stream, place)) => {
                    let connection = serve(stream, self.front.clone(), self.patience, &graceful);
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        if tokio::time::timeout(GRACE, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!("some requests did not finish in time and were cut off");
        }
        connections.shutdown().await;
        drop(self.front);
        self.closed.wait().await;
    }
}

/// The next connection, once there is a place for it.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    Ok((listener.accept().await?.0, place))
}

/// How many connections the limit of descriptors allows.
fn places() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let places = (limit / (2 * DESCRIPTORS_EACH)).clamp(1, MOST_CONNECTIONS);
    usize::try_from(places).unwrap_or(1)
}

/// Answers the requests of a connection until either side has had enough.
fn serve(
    stream: TcpStream,
    front: Front,
    patience: Duration,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    // Small answers must not wait for the client's acknowledgement of an earlier one.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "could not set TCP_NODELAY");
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(
            TokioIo::new(Box::pin(stream)),
            service_fn(move |request| front.clone().answer(request)),
        );
    let connection = graceful.watch(connection);
    async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}
