//! An index that is missing, empty, old, foreign or damaged, and bodies that are missing or changed: the
//! server refuses to start, or refuses the object; it removes nothing and serves no wrong byte.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use etagfs_s3_server::{Config, Durability, Error, Mismatch, Server};

use super::durable::Process;
use super::world::{BUCKET, Running, answer};

const INDEX: &str = "index.redb";
/// So large that it is a file of its own, of several chunks.
const LARGE: usize = 700_000;

/// A directory that was used and closed, with a small and a large object.
async fn used() -> tempfile::TempDir {
    let server = Running::start().await;
    server.put("small", "s").await;
    server.put("large", vec![7; LARGE]).await;
    server.stop().await
}

async fn open(dir: &Path) -> Result<Server, Error> {
    let mut config = Config::new(dir);
    config.durability = Durability::ProcessDeath;
    Server::bind(config).await
}

/// Why it does not start.
async fn refusal(dir: &Path) -> Error {
    match open(dir).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

/// A server that goes on with the directory.
async fn again(dir: tempfile::TempDir) -> Running {
    let path = dir.path().to_owned();
    let mut running = Running::start_with(|config| config.data_dir = path).await;
    running.dir = dir;
    running
}

/// Every file of the bodies, with its bytes.
fn bodies(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = std::fs::read_dir(dir.join("blobs")).unwrap();
    files
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect()
}

fn body_file(dir: &Path) -> PathBuf {
    let mut files = bodies(dir);
    files.retain(|_, bytes| bytes.len() == LARGE);
    files.pop_first().unwrap().0
}

/// Where a text occurs.
fn memmem<'a>(bytes: &'a [u8], text: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let windows = bytes.windows(text.len()).enumerate();
    windows
        .filter(move |(_, window)| *window == text)
        .map(|(at, _)| at)
}

fn why(error: &Error) -> Option<Mismatch> {
    match error {
        Error::Mismatch { why, .. } => Some(*why),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_empty_index_is_no_new_store() {
    for is_empty in [false, true] {
        let dir = used().await;
        let before = bodies(dir.path());
        std::fs::remove_file(dir.path().join(INDEX)).unwrap();
        if is_empty {
            std::fs::write(dir.path().join(INDEX), b"").unwrap();
        }
        for _ in 0..2 {
            let error = refusal(dir.path()).await;
            assert_eq!(why(&error), Some(Mismatch::NoIndex), "{error}");
        }
        assert_eq!(bodies(dir.path()), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_without_any_body_file_is_noticed_too() {
    let server = Running::start().await;
    server.put("small", "s").await;
    let dir = server.stop().await;
    std::fs::remove_file(dir.path().join(INDEX)).unwrap();
    let error = refusal(dir.path()).await;
    assert_eq!(why(&error), Some(Mismatch::NoIndex), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_index_is_refused_whether_it_was_copied_while_the_server_ran_or_stood() {
    let first = Running::start().await;
    first.put("small", "s").await;
    let running = std::fs::read(first.dir.path().join(INDEX)).unwrap();
    first.put("large", vec![7; LARGE]).await;
    let dir = first.stop().await;
    let standing = std::fs::read(dir.path().join(INDEX)).unwrap();
    let second = again(dir).await;
    second.put("larger", vec![8; LARGE]).await;
    let dir = second.stop().await;
    let newest = std::fs::read(dir.path().join(INDEX)).unwrap();
    let before = bodies(dir.path());
    for (older, what) in [(running, "running"), (standing, "standing")] {
        std::fs::write(dir.path().join(INDEX), older).unwrap();
        let error = refusal(dir.path()).await;
        assert_eq!(why(&error), Some(Mismatch::OldIndex), "{what}: {error}");
        assert_eq!(bodies(dir.path()), before);
    }
    // What the message says to do works.
    std::fs::write(dir.path().join(INDEX), newest).unwrap();
    let server = again(dir).await;
    assert_eq!(server.get("larger").await, vec![8; LARGE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_of_another_store_is_refused() {
    let (dir, other) = (used().await, used().await);
    std::fs::copy(other.path().join(INDEX), dir.path().join(INDEX)).unwrap();
    let error = refusal(dir.path()).await;
    assert_eq!(why(&error), Some(Mismatch::OtherIndex), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_whose_bodies_are_missing_is_refused() {
    let dir = used().await;
    std::fs::remove_file(body_file(dir.path())).unwrap();
    let error = refusal(dir.path()).await;
    assert_eq!(why(&error), Some(Mismatch::NoBodies(1)), "{error}");
    assert!(error.to_string().contains("index.redb"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_index_never_serves_a_wrong_value() {
    let whole = used().await;
    let index = std::fs::read(whole.path().join(INDEX)).unwrap();
    let (mut refused, mut failed, mut right) = (0, 0, 0);
    // Here and there, and in every record of an object.
    let anywhere = (0..index.len()).step_by(index.len() / 40);
    let records = memmem(&index, b"\"etag\"").chain(memmem(&index, b"small"));
    for at in anywhere.chain(records) {
        let dir = tempfile::tempdir().unwrap();
        let copied = Command::new("cp")
            .arg("-a")
            .arg(whole.path().join("blobs"))
            .arg(dir.path())
            .status();
        assert!(copied.unwrap().success());
        let mut damaged = index.clone();
        for byte in &mut damaged[at..(at + 64).min(index.len())] {
            *byte = !*byte;
        }
        std::fs::write(dir.path().join(INDEX), damaged).unwrap();
        match open(dir.path()).await {
            Err(Error::Corrupt { .. } | Error::Mismatch { .. }) => refused += 1,
            Err(error) => panic!("at {at}: {error}"),
            Ok(server) => {
                server.run(async {}).await;
                let server = again(dir).await;
                for (key, bytes) in [("small", b"s".to_vec()), ("large", vec![7; LARGE])] {
                    let got = server.s3.get_object().bucket(BUCKET).key(key).send().await;
                    match got {
                        Err(_) => {
                            let (status, code) = answer(&got);
                            assert_eq!(status, 500, "{key} with damage at {at}: {code}");
                            failed += 1;
                        }
                        Ok(got) => {
                            assert_eq!(got.body.collect().await.unwrap().to_vec(), bytes);
                            right += 1;
                        }
                    }
                }
            }
        }
    }
    println!("damaged indexes: {refused} refused, {failed} objects refused, {right} read whole");
    assert!(refused > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_not_those_that_were_stored_are_not_served() {
    let dir = used().await;
    let file = body_file(dir.path());
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[300_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let server = again(dir).await;
    let get_of = |key: &str, range: Option<&'static str>| {
        let request = server.s3.get_object().bucket(BUCKET).key(key);
        let sent = request.set_range(range.map(str::to_owned)).send();
        async {
            let got = sent.await.map_err(|error| format!("{error:?}"))?;
            let bytes = got.body.collect().await;
            Ok::<_, String>(bytes.map_err(|error| error.to_string())?.to_vec())
        }
    };
    let get = |range| get_of("large", range);
    let whole = get(None).await;
    assert!(whole.is_err(), "{} bytes", whole.map_or(0, |b| b.len()));
    assert!(get(Some("bytes=299990-300010")).await.is_err());
    // The damage is in the second chunk; the others are what they were.
    assert_eq!(get(Some("bytes=10-19")).await, Ok(vec![7; 10]));
    assert_eq!(get(Some("bytes=699990-")).await, Ok(vec![7; 10]));
    let copy = server.s3.copy_object().bucket(BUCKET).key("copy");
    let copied = copy.copy_source(format!("{BUCKET}/large")).send().await;
    if copied.is_ok() {
        // The connection may end before its head has been sent.
        let got = get_of("copy", None).await;
        assert!(got.is_err(), "a copy of damaged bytes was served");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_no_object_has_is_moved_away_and_never_removed() {
    let dir = used().await;
    let stray = dir.path().join("blobs/00000000000000ff");
    std::fs::write(&stray, b"whose?").unwrap();
    std::fs::write(dir.path().join("blobs/00000000000000fe.part"), b"half").unwrap();
    let server = again(dir).await;
    let blobs = server.dir.path().join("blobs");
    assert_eq!(
        std::fs::read(blobs.join("unclaimed/00000000000000ff")).unwrap(),
        b"whose?"
    );
    assert!(!stray.exists() && !blobs.join("00000000000000fe.part").exists());
    assert_eq!(server.get("large").await, vec![7; LARGE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_is_no_reason_to_refuse_the_index() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let mut server = Process::start(dir.path(), &["--no-sync"]);
        let s3 = super::world::client(&server.url, None);
        let made = s3.create_bucket().bucket(BUCKET).send().await;
        assert!(matches!(answer(&made).0, 200 | 409));
        let body = aws_sdk_s3::primitives::ByteStream::from(vec![1; LARGE]);
        let put = s3
            .put_object()
            .bucket(BUCKET)
            .key("large")
            .body(body)
            .send();
        put.await.unwrap();
        server.kill();
    }
}
