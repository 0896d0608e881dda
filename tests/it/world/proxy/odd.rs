//! Replies that no HTTP library would send: bodies that do not end, or do not say where.

use bytes::Bytes;
use hyper::Method;
use hyper::header::CONTENT_LENGTH;
use hyper::http::response;
use tokio::io::AsyncWriteExt as _;

use super::fault::Framing;
use super::serve::{End, Exchange, Reply};

/// At most so much is sent of a body without end: a client that reads it all fails all the same, and the
/// machine that runs the tests survives.
const END: usize = 2 << 30;

/// A piece of it: names, for whoever takes it for a listing.
const PIECE: &str = "<Contents><Key>k</Key><Size>1</Size></Contents>\n";

impl Exchange {
    /// Writes a reply with this framing, and ends the connection.
    pub(super) async fn write_framed(
        &self,
        parts: &response::Parts,
        body: &Bytes,
        framing: Framing,
    ) -> Result<Reply, End> {
        let body = match self.parts.method == Method::HEAD {
            true => &[],
            false => &body[..],
        };
        let half = &body[..body.len() / 2];
        let mut bytes = head(parts);
        if framing == Framing::Both {
            bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        let is_chunked = !matches!(framing, Framing::None | Framing::NoneAndCut);
        if is_chunked && self.parts.method != Method::HEAD {
            bytes.extend_from_slice(b"transfer-encoding: chunked\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        match framing {
            _ if self.parts.method == Method::HEAD => {}
            Framing::Chunked | Framing::Both => {
                for piece in body.chunks(body.len().div_ceil(3).max(1)) {
                    bytes.extend_from_slice(&chunk(piece));
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            Framing::ChunkedAndCut => bytes.extend_from_slice(&chunk(half)),
            Framing::None => bytes.extend_from_slice(body),
            Framing::NoneAndCut => bytes.extend_from_slice(half),
        }
        self.told(parts.status);
        self.write_and_end(&bytes).await
    }

    /// Writes a reply whose body goes on in chunks for as long as somebody reads.
    pub(super) async fn write_without_end(
        &self,
        parts: &response::Parts,
        body: &Bytes,
    ) -> Result<Reply, End> {
        let mut bytes = head(parts);
        bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        if !body.is_empty() {
            bytes.extend_from_slice(&chunk(body));
        }
        self.told(parts.status);
        let mut wire = self.wire.lock().await;
        wire.write_all(&bytes).await?;
        let piece = chunk(PIECE.repeat((64 << 10) / PIECE.len()).as_bytes());
        let mut sent = 0;
        while sent < END {
            wire.write_all(&piece).await?;
            sent += piece.len();
        }
        Err(End::AsTold)
    }
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

/// The head of a reply, but for its length and its end.
fn head(parts: &response::Parts) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {}\r\nconnection: close\r\n", parts.status).into_bytes();
    let headers = parts.headers.iter();
    for (name, value) in headers.filter(|(name, _)| *name != CONTENT_LENGTH) {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
