//! Web pages of others, in a browser on this machine: they can neither read nor change what a server
//! without keys holds.

use std::process::Command;

use hyper::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::world::{BUCKET, Checks, Running, within};

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

/// A page that tries everything a page can, and reports what it got.
fn page(target: &str, report: &str) -> String {
    format!(
        r#"<!doctype html><title>t</title><body><script>
const target = "{target}", got = [];
async function attempt(name, options) {{
  try {{
    const answer = await fetch(target + "/{BUCKET}/k", options);
    got.push(name + "=" + answer.type + ":" + answer.status + ":" + (await answer.text()));
  }} catch (error) {{ got.push(name + "=refused"); }}
}}
(async () => {{
  await attempt("read", {{}});
  await attempt("blind-read", {{mode: "no-cors"}});
  await attempt("delete", {{method: "DELETE"}});
  await attempt("put", {{method: "PUT", body: "evil"}});
  await attempt("blind-post", {{method: "POST", mode: "no-cors", body: "evil"}});
  await fetch("{report}?" + encodeURIComponent(got.join("|")));
  document.title = "done";
}})();
</script>"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_a_real_browser_can_neither_read_nor_delete() {
    let Some(browser) = ["chromium", "chromium-browser"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
    else {
        skip!("there is no chromium");
    };
    let server = Running::start().await;
    server.put("k", "secret").await;
    let site = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", site.local_addr().unwrap());
    let html = page(&server.url, &format!("{origin}/report"));
    let (tell, told) = tokio::sync::oneshot::channel::<String>();
    let serving = tokio::spawn(async move {
        let mut tell = Some(tell);
        loop {
            let (mut client, _) = site.accept().await.unwrap();
            let mut request = vec![0; 16 * 1024];
            let read = client.read(&mut request).await.unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
            if let Some(report) = path.strip_prefix("/report?")
                && let Some(tell) = tell.take()
            {
                let _ = tell.send(report.to_owned());
            }
            let body = if path == "/" { html.as_str() } else { "" };
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = client.write_all(answer.as_bytes()).await;
        }
    });
    let profile = tempfile::tempdir().unwrap();
    let mut child = tokio::process::Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--remote-debugging-port=0",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(&origin)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let report = within("the page's report", told).await.unwrap();
    child.kill().await.unwrap();
    serving.abort();
    let report = percent_encoding::percent_decode_str(&report).decode_utf8_lossy();
    println!("a page in {browser}: {report}");
    let attempts: Vec<&str> = report.split('|').collect();
    assert_eq!(attempts.len(), 5, "{report}");
    // What is blind learns nothing: an opaque answer has neither status nor body.
    for attempt in attempts {
        let (_, result) = attempt.split_once('=').unwrap();
        assert!(matches!(result, "refused" | "opaque:0:"), "{report}");
    }
    assert_eq!(server.get("k").await, b"secret");
}
