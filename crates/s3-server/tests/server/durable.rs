//! What survives the violent end of a program that runs the server, here `examples/serve.rs`; and how a
//! server begins.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use aws_sdk_s3::primitives::ByteStream;
use etagfs_s3_server::{Config, Error, Server};
use tokio::task::JoinSet;

use super::world::{BUCKET, Running, client, eventually};

/// The program; `cargo test` builds it beside the tests.
pub(super) fn program() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let built = tests.ancestors().nth(2).unwrap();
    built.join("examples").join("serve")
}

/// The program, killed when this is dropped.
pub(super) struct Process {
    child: Child,
    pub(super) url: String,
}

impl Process {
    pub(super) fn start(dir: &Path, more: &[&str]) -> Self {
        Self::started(Command::new(program()), dir, more)
    }

    /// By a command that ends in the program, such as one that limits it first.
    pub(super) fn started(mut command: Command, dir: &Path, more: &[&str]) -> Self {
        let mut child = command
            .arg(dir)
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
    let Err(refused @ Error::InUse(_)) = second else {
        panic!("it was not refused");
    };
    let message = refused.to_string();
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
