//! Web pages of others, in a browser on this machine: they can neither read nor change what a server
//! without keys holds.

use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::{BUCKET, Checks, Running};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_a_page_of_others_sends_is_forbidden() {
    let server = Running::start().await;
    server.put("k", "secret").await;
    let mut checks = Checks::default();
    let key = format!("/{BUCKET}/k");
    let foreign: [&[(&str, &str)]; 5] = [
        &[("origin", "https://evil.test")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[
            ("sec-fetch-site", "same-site"),
            ("sec-fetch-mode", "navigate"),
        ],
        &[
            ("origin", "http://127.0.0.1:1"),
            ("sec-fetch-site", "cross-site"),
        ],
    ];
    for headers in foreign {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::DELETE,
            Method::POST,
        ] {
            let answer = server.raw(method.clone(), &key, headers, "").await;
            checks.equal(&format!("{method} {headers:?}"), answer.0.as_u16(), 403);
            checks.holds("no body leaks", !answer.2.contains("secret"));
            checks.holds(
                "no CORS",
                !answer.1.contains_key("access-control-allow-origin"),
            );
        }
    }
    assert_eq!(server.get("k").await, b"secret");
    checks.done("pages of others");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_pointed_here_is_forbidden() {
    let server = Running::start().await;
    server.put("k", "secret").await;
    let addr = server.url.strip_prefix("http://").unwrap();
    for (host, status) in [
        ("evil.test", "403"),
        ("127.0.0.1.nip.test:80", "403"),
        ("localhost:1", "200"),
        (addr, "200"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        let request =
            format!("GET /{BUCKET}/k HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{host}: {head}"
        );
        assert_eq!(body == "secret", status == "200", "{host}: {body}");
    }
}
