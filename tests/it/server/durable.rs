//! The program `etagfs serve`: what survives its violent end, and how it begins and ends.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use aws_sdk_s3::primitives::ByteStream;
use etagfs::server::{Config, Error, Server};
use tokio::task::JoinSet;

use super::world::{BUCKET, Running, client, eventually};

/// The program, killed when this is dropped.
pub(super) struct Process {
    child: Child,
    pub(super) url: String,
}

impl Process {
    pub(super) fn start(dir: &Path, more: &[&str]) -> Self {
        Self::started(Command::new(env!("CARGO_BIN_EXE_etagfs")), dir, more)
    }

    /// By a command that ends in the program, such as one that limits it first.
    pub(super) fn started(mut command: Command, dir: &Path, more: &[&str]) -> Self {
        let mut child = command
            .arg("serve")
            .arg(dir)
            .args(["--listen", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("listening on ")
            .expect(&line)
            .to_owned();
        Self { child, url }
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A body that names its key and version, small or large.
fn body(key: usize, version: usize) -> Vec<u8> {
    let size = if (key + version).is_multiple_of(3) {
        150_000
    } else {
        300
    };
    format!("{key}:{version};")
        .into_bytes()
        .into_iter()
        .cycle()
        .take(size)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_no_acknowledged_write_and_tears_none() {
    for mode in [&[][..], &["--no-sync"]] {
        let dir = tempfile::tempdir().unwrap();
        let mut server = Process::start(dir.path(), mode);
        let s3 = client(&server.url, None);
        s3.create_bucket().bucket(BUCKET).send().await.unwrap();
        let acknowledged: Arc<Mutex<HashMap<usize, usize>>> = Arc::default();
        let mut writers = JoinSet::new();
        for key in 0..100 {
            let (s3, acknowledged) = (s3.clone(), Arc::clone(&acknowledged));
            writers.spawn(async move {
                for version in 1.. {
                    let put = s3.put_object().bucket(BUCKET).key(format!("k{key}"));
                    let put = put.body(ByteStream::from(body(key, version)));
                    if put.send().await.is_err() {
                        return version;
                    }
                    acknowledged.lock().unwrap().insert(key, version);
                }
                0
            });
        }
        // In the middle: every writer has written some, and all are writing.
        eventually("300 writes", async || {
            let total: usize = acknowledged.lock().unwrap().values().sum();
            (total >= 300).then_some(())
        })
        .await;
        server.kill();
        let attempted: Vec<usize> = writers.join_all().await;
        let acknowledged = acknowledged.lock().unwrap().clone();
        let total: usize = acknowledged.values().sum();
        assert!(attempted.iter().all(|version| *version > 0));

        let server = Process::start(dir.path(), mode);
        let s3 = client(&server.url, None);
        let mut newer = 0;
        for key in 0..100 {
            let least = acknowledged.get(&key).copied().unwrap_or(0);
            let got = s3
                .get_object()
                .bucket(BUCKET)
                .key(format!("k{key}"))
                .send()
                .await;
            let Ok(got) = got else {
                assert_eq!(
                    least, 0,
                    "k{key}: version {least} was acknowledged and is gone"
                );
                continue;
            };
            let bytes = got.body.collect().await.unwrap().to_vec();
            // The write that was in flight may have landed; nothing else may stand there.
            let whole = [least, least + 1]
                .into_iter()
                .find(|v| *v > 0 && bytes == body(key, *v));
            let whole = whole.unwrap_or_else(|| panic!("k{key}: torn or old, {}", bytes.len()));
            newer += whole - least;
        }
        let live = dir.path().join("blobs");
        println!(
            "kill -9 {mode:?}: {total} acknowledged, none lost, none torn; {newer} more had landed; {} files",
            std::fs::read_dir(live).unwrap().count()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_leaves_everything_for_the_next() {
    let server = Running::start().await;
    server.put("small", "s").await;
    server.put("large", vec![7; 300_000]).await;
    let dir = server.stop().await;
    let again = Server::bind(Config::new(dir.path())).await.unwrap();
    let url = format!("http://{}", again.local_addr());
    let task = tokio::spawn(again.run(std::future::pending()));
    let s3 = client(&url, None);
    for (key, size) in [("small", 1), ("large", 300_000)] {
        let got = s3
            .get_object()
            .bucket(BUCKET)
            .key(key)
            .send()
            .await
            .unwrap();
        assert_eq!(got.body.collect().await.unwrap().to_vec().len(), size);
    }
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_directory_is_refused() {
    let server = Running::start().await;
    let second = Server::bind(Config::new(server.dir.path())).await;
    assert!(matches!(second, Err(Error::InUse(_))));
    let out = Command::new(env!("CARGO_BIN_EXE_etagfs"))
        .arg("serve")
        .arg(server.dir.path())
        .args(["--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let message = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{message}");
    assert!(message.contains("in use by another server"), "{message}");
    server.put("k", "still here").await;
}

#[test]
fn a_directory_that_is_not_a_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("index.redb"), b"not an index").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let opened = runtime.block_on(Server::bind(Config::new(dir.path())));
    assert!(matches!(opened, Err(Error::Corrupt { .. })));
}

#[test]
fn an_address_that_others_can_reach_needs_a_flag() {
    let dir = tempfile::tempdir().unwrap();
    let out = Command::new(env!("CARGO_BIN_EXE_etagfs"))
        .arg("serve")
        .arg(dir.path())
        .args(["--listen", "0.0.0.0:0"])
        .output()
        .unwrap();
    let message = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{message}");
    assert!(message.contains("--allow-remote"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_the_program_after_the_requests_in_flight() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dir = tempfile::tempdir().unwrap();
    let mut server = Process::start(dir.path(), &["--no-sync"]);
    let s3 = client(&server.url, None);
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    let addr: SocketAddr = server.url.strip_prefix("http://").unwrap().parse().unwrap();
    let mut slow = tokio::net::TcpStream::connect(addr).await.unwrap();
    let head = "PUT /bucket/slow HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\nexpect: 100-continue\r\n\r\n";
    slow.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is in flight.
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).await.unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    slow.write_all(b"01234").await.unwrap();
    let pid = server.child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    eventually("it to stop listening", async || {
        tokio::net::TcpStream::connect(addr)
            .await
            .is_err()
            .then_some(())
    })
    .await;
    slow.write_all(b"56789").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let status = eventually("it to end", async || server.child.try_wait().unwrap()).await;
    assert!(status.success(), "{status}");
    let mut rest = String::new();
    server
        .child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut rest)
        .unwrap();

    let server = Process::start(dir.path(), &["--no-sync"]);
    let got = client(&server.url, None)
        .get_object()
        .bucket(BUCKET)
        .key("slow")
        .send()
        .await;
    assert_eq!(
        got.unwrap().body.collect().await.unwrap().to_vec(),
        b"0123456789"
    );
}
