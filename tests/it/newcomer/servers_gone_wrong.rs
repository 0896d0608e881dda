//! Servers that are not what the user thinks: each gives the same answer to whatever it is asked.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

/// A server with one answer; it goes on until the tests end.
pub(super) struct Canned(SocketAddr);

impl Canned {
    fn new(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let answer = answer.clone();
                thread::spawn(move || reply(connection, &answer));
            }
        });
        Self(address)
    }

    /// Its URL.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.0)
    }

    /// As Go's net/http answers a request in clear on a TLS port.
    pub(super) fn https_says_400() -> Self {
        Self::new(
            "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
        )
    }

    /// As a TLS library answers: a fatal alert, `protocol_version` (RFC 8446, 6).
    pub(super) fn https_alerts() -> Self {
        Self::new(b"\x15\x03\x03\x00\x02\x02\x46".to_vec())
    }

    /// Takes connections and ends them.
    pub(super) fn hangs_up() -> Self {
        Self::new("")
    }

    /// Takes requests and never answers.
    pub(super) fn silent() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let connections: Vec<_> = listener.incoming().collect();
            drop(connections);
        });
        Self(address)
    }

    /// S3, asked in another region than the bucket's.
    pub(super) fn bucket_is_in(region: &str) -> Self {
        let body = error(
            "PermanentRedirect",
            "The bucket must be addressed using the specified endpoint.",
        );
        Self::new(format!(
            "HTTP/1.1 301 Moved Permanently\r\nx-amz-bucket-region: {region}\r\ncontent-type: application/xml\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ))
    }

    /// S3, refusing with this code.
    pub(super) fn denies(code: &str) -> Self {
        let body = error(code, "no");
        Self::new(format!(
            "HTTP/1.1 403 Forbidden\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ))
    }
}

fn error(code: &str, message: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>")
}

fn reply(mut connection: TcpStream, answer: &[u8]) {
    // All of a request without a body comes at once on loopback; who hangs up early may cause a reset.
    let mut request = [0; 16 * 1024];
    let _ = connection.read(&mut request);
    let _ = connection.write_all(answer);
    let _ = connection.shutdown(std::net::Shutdown::Write);
}
