//! A tiny HTTP server that remembers the bytes of each request and always answers the same.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

type Requests = Arc<Mutex<Vec<String>>>;

pub(super) struct Upstream {
    address: SocketAddr,
    requests: Requests,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Answers every request with 200 and this body, one request a connection.
    pub(super) fn answering(body: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Requests::default();
        let noted = Arc::clone(&requests);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                // An empty connection is the sign to end, see Drop.
                match stream.and_then(|stream| serve(stream, body)) {
                    Ok(request) if request.is_empty() => return,
                    Ok(request) => noted.lock().unwrap().push(request),
                    Err(error) => eprintln!("upstream: {error}"),
                }
            }
        });
        Self {
            address,
            requests,
            thread: Some(thread),
        }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, head and body as they came.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, body: &str) -> io::Result<String> {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !complete(&request) {
        match stream.read(&mut buffer)? {
            0 => break,
            read => request.extend_from_slice(&buffer[..read]),
        }
    }
    if request.is_empty() {
        return Ok(String::new());
    }
    let head_only = request.starts_with(b"HEAD ");
    let sent = if head_only { "" } else { body };
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"e\"\r\nConnection: close\r\n\r\n{sent}",
        body.len()
    )?;
    Ok(String::from_utf8_lossy(&request).into_owned())
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .split_once("content-length: ")
        .and_then(|(_, rest)| rest.lines().next()?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
