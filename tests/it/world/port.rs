//! Loopback ports that stay ours, whether anybody listens there or not: nobody who asks the kernel for any
//! free port is given one meanwhile. It does not know who listens. Users: [`super::proxy`],
//! [`super::servers`].
//!
//! A socket that is bound and does not listen is what holds a port. Who names the port may listen there
//! beside it if both have SO_REUSEADDR (socket(7)), which `TcpListener` has, and every server here.
//!
//! ```ignore
//! let port = Port::new();
//! let listener = port.listen();      // and later again; in between connections are refused
//! ```

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use tokio::net::TcpSocket;

/// A port that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    _held: TcpSocket,
}

impl Port {
    /// One that nobody has.
    pub(crate) fn new() -> Self {
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Self {
            address: held.local_addr().unwrap(),
            _held: held,
        }
    }

    /// The loopback address with this port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens there.
    pub(crate) fn listen(&self) -> TcpListener {
        let listener = TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    }
}
