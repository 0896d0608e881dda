//! The program `etagfs serve`: how it begins and ends, and what a page in a real browser can do to it.
//! What it answers as an S3 server is tested where that is written, in `crates/s3-server`.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::client::{Client, Keys};
use crate::world::procs::{Output, Running, Script};
use crate::world::servers::{self, Kind};
use crate::world::wait::{self, SOON};

const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

fn serve(dir: &Path, listen: &str) -> Script {
    Script::bash(&format!(
        "exec '{ETAGFS}' serve '{}' --listen {listen} --no-sync",
        dir.display()
    ))
}

/// A server on a directory, and its address.
fn started(dir: &Path) -> (Running, String) {
    let server = serve(dir, "127.0.0.1:0").start();
    let mut address = None;
    wait::until("it listens", SOON, || {
        let said = server.stdout_so_far();
        let first = said.split_once('\n').map(|(line, _)| line);
        address = first.map(|line| {
            line.strip_prefix("listening on http://")
                .unwrap()
                .to_owned()
        });
        address.is_some()
    });
    (server, address.unwrap())
}

/// A server without keys takes any.
fn keys() -> Keys {
    Keys {
        id: "any".to_owned(),
        secret: "thing".to_owned(),
    }
}

fn client(address: &str) -> Client {
    let client = Client::new(&format!("http://{address}"), &keys(), "bucket");
    client.create_bucket().unwrap();
    client
}

/// Asserts that it failed, and that its message holds these words.
#[track_caller]
fn refuses(out: &Output, words: &[&str]) {
    assert_eq!(out.code, Some(1), "{out:#?}");
    for word in words {
        assert!(out.stderr.contains(word), "{word:?} is not in {out:#?}");
    }
    assert!(!out.stderr.contains("panicked"), "{out:#?}");
}

#[test]
fn an_address_that_others_can_reach_needs_a_flag() {
    let dir = tempfile::tempdir().unwrap();
    let out = serve(dir.path(), "0.0.0.0:0").run();
    assert_eq!(out.code, Some(2), "{out:#?}");
    assert!(out.stderr.contains("--allow-remote"), "{out:#?}");
}

#[test]
fn nothing_is_written_before_it_listens_nor_among_other_things() {
    let dir = tempfile::tempdir().unwrap();
    let (_first, address) = started(&dir.path().join("data"));
    let new = dir.path().join("made/new");
    refuses(
        &serve(&new, &address).run(),
        &["cannot listen on", &address],
    );
    assert!(!dir.path().join("made").exists());
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join("notes.txt"), "x").unwrap();
    refuses(
        &serve(&home, "127.0.0.1:0").run(),
        &["other things (notes.txt)", "an empty directory"],
    );
    let left: Vec<_> = fs::read_dir(&home).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (first, address) = started(dir.path());
    let client = client(&address);
    let out = serve(dir.path(), "127.0.0.1:0").run();
    refuses(&out, &["in use by another server"]);
    client.put("k", "still here");
    first.kill();
}

#[test]
fn a_lost_index_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (server, address) = started(dir.path());
    client(&address).put("large", vec![7; 300_000]);
    server.signal(Signal::TERM);
    server.finish().ok();
    fs::remove_file(dir.path().join("index.redb")).unwrap();
    let out = serve(dir.path(), "127.0.0.1:0").run();
    let words = ["index.redb", "missing", "backup", "Nothing was removed"];
    refuses(&out, &words);
}

#[test]
fn sigterm_ends_it_after_the_requests_in_flight() {
    let dir = tempfile::tempdir().unwrap();
    let (server, address) = started(dir.path());
    client(&address);
    let mut slow = TcpStream::connect(&address).unwrap();
    let head = "PUT /bucket/slow HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n";
    slow.write_all(head.as_bytes()).unwrap();
    // The server asks for the body: the request is in flight.
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    slow.write_all(b"01234").unwrap();
    server.signal(Signal::TERM);
    wait::until("it stops listening", SOON, || {
        TcpStream::connect(&address).is_err()
    });
    slow.write_all(b"56789").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.finish().ok();

    let (again, address) = started(dir.path());
    let client = Client::new(&format!("http://{address}"), &keys(), "bucket");
    assert_eq!(client.text("slow"), "0123456789");
    again.kill();
}

/// A page that tries everything a page can, and reports what it got.
fn page(target: &str, report: &str) -> String {
    format!(
        r#"<!doctype html><title>t</title><body><script>
const target = "{target}", got = [];
async function attempt(name, options) {{
  try {{
    const answer = await fetch(target, options);
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

/// Serves the page, and gives what it reports.
async fn report_of_page(site: TcpListener, html: String) -> String {
    loop {
        let (mut client, _) = site.accept().await.unwrap();
        let mut request = vec![0; 16 * 1024];
        let read = client.read(&mut request).await.unwrap_or(0);
        let request = String::from_utf8_lossy(&request[..read]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or("/");
        if let Some(report) = path.strip_prefix("/report?") {
            let report = percent_encoding::percent_decode_str(report);
            return report.decode_utf8_lossy().into_owned();
        }
        let body = if path == "/" { html.as_str() } else { "" };
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let _ = client.write_all(answer.as_bytes()).await;
    }
}

#[test]
fn a_page_in_a_real_browser_can_neither_read_nor_delete() {
    let Some(browser) = ["chromium", "chromium-browser"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok())
    else {
        skip!("there is no chromium");
    };
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    bucket.client().put("k", "secret");
    let target = format!("{}/{}/k", bucket.endpoint, bucket.name);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let site = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let origin = format!("http://{}", site.local_addr().unwrap());
    let html = page(&target, &format!("{origin}/report"));
    let profile = tempfile::tempdir().unwrap();
    let mut child = Command::new(browser)
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
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let report =
        runtime.block_on(async { tokio::time::timeout(SOON, report_of_page(site, html)).await });
    child.kill().unwrap();
    child.wait().unwrap();
    let report = report.expect("the page reports in time");
    println!("a page in {browser}: {report}");
    let attempts: Vec<&str> = report.split('|').collect();
    assert_eq!(attempts.len(), 5, "{report}");
    // What is blind learns nothing: an opaque answer has neither status nor body.
    for attempt in attempts {
        let (_, result) = attempt.split_once('=').unwrap();
        assert!(matches!(result, "refused" | "opaque:0:"), "{report}");
    }
    assert_eq!(bucket.client().text("k"), "secret");
}
