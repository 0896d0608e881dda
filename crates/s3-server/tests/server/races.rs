//! Races: of all who hold the same version exactly one wins, and nobody reads a mixture.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use tokio::task::JoinSet;

use super::world::{BUCKET, Running, answer, client, eventually};

const TASKS: usize = 8;
const ROUNDS: usize = 200;

/// Clients with connections of their own.
fn clients(server: &Running) -> Vec<Client> {
    (0..TASKS).map(|_| client(&server.url, None)).collect()
}

async fn put(s3: &Client, key: &str, body: Vec<u8>, expect: &Option<String>) -> (u16, String) {
    let put = s3
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(ByteStream::from(body));
    let put = match expect {
        Some(etag) => put.if_match(etag),
        None => put.if_none_match("*"),
    };
    answer(&put.send().await)
}

async fn race(server: &Running, clients: &[Client], key: &str, expect: Option<String>) -> usize {
    let mut tasks = JoinSet::new();
    for (number, s3) in clients.iter().cloned().enumerate() {
        let (key, expect) = (key.to_owned(), expect.clone());
        tasks.spawn(async move {
            let body = format!("{key} by {number}").into_bytes();
            (number, put(&s3, &key, body, &expect).await)
        });
    }
    let answers = tasks.join_all().await;
    let winners: Vec<usize> = answers
        .iter()
        .filter(|(_, a)| a.0 == 200)
        .map(|(number, _)| *number)
        .collect();
    assert!(
        answers.iter().all(|(_, a)| a.0 == 200 || a.0 == 412),
        "{answers:?}"
    );
    if let [winner] = winners[..] {
        let stands = server.get(key).await;
        assert_eq!(
            stands,
            format!("{key} by {winner}").into_bytes(),
            "the winner stands"
        );
    }
    winners.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_who_replace_the_same_version_one_wins() {
    let server = Running::start().await;
    let clients = clients(&server);
    for round in 0..ROUNDS {
        let etag = server.put("k", format!("round {round}")).await;
        assert_eq!(
            race(&server, &clients, "k", Some(etag)).await,
            1,
            "round {round}"
        );
    }
    println!("If-Match races: {ROUNDS} of {ROUNDS} rounds had one winner");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_who_create_the_same_key_one_wins() {
    let server = Running::start().await;
    let clients = clients(&server);
    for round in 0..ROUNDS {
        let key = format!("k{round}");
        assert_eq!(
            race(&server, &clients, &key, None).await,
            1,
            "round {round}"
        );
    }
    println!("If-None-Match races: {ROUNDS} of {ROUNDS} rounds had one winner");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_counter_loses_no_increment() {
    let server = Running::start().await;
    server.put("counter", "0").await;
    let refused = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for s3 in clients(&server) {
        let refused = Arc::clone(&refused);
        tasks.spawn(async move {
            for _ in 0..20 {
                loop {
                    let got = s3
                        .get_object()
                        .bucket(BUCKET)
                        .key("counter")
                        .send()
                        .await
                        .unwrap();
                    let etag = got.e_tag.clone();
                    let bytes = got.body.collect().await.unwrap().to_vec();
                    let count: usize = String::from_utf8(bytes).unwrap().parse().unwrap();
                    let next = (count + 1).to_string().into_bytes();
                    match put(&s3, "counter", next, &etag).await.0 {
                        200 => break,
                        412 => refused.fetch_add(1, Ordering::Relaxed),
                        other => panic!("{other}"),
                    };
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(server.get("counter").await, b"160");
    println!(
        "counter: 160 of 160, {} refusals",
        refused.load(Ordering::Relaxed)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_and_a_put_of_the_same_version_do_not_both_succeed() {
    let server = Running::start().await;
    let (writer, remover) = (client(&server.url, None), client(&server.url, None));
    let mut deleted = 0;
    for round in 0..ROUNDS {
        let etag = server.put("k", format!("round {round}")).await;
        let expect = Some(etag.clone());
        let delete = remover
            .delete_object()
            .bucket(BUCKET)
            .key("k")
            .if_match(&etag)
            .send();
        let (put, delete) = tokio::join!(put(&writer, "k", b"new".to_vec(), &expect), delete);
        let delete = answer(&delete);
        match (put.0, delete.0) {
            (200, 412) => assert_eq!(server.get("k").await, b"new"),
            // A put that comes second finds no key.
            (404, 200) => deleted += 1,
            other => panic!("round {round}: {other:?}"),
        }
    }
    println!("DELETE against PUT: {ROUNDS} rounds, one winner each, {deleted} deletes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_and_a_put_onto_the_same_version_do_not_both_succeed() {
    let server = Running::start().await;
    server.put("from", "copied").await;
    let writer = client(&server.url, None);
    for round in 0..50 {
        let expect = Some(server.put("k", format!("round {round}")).await);
        let condition = ("if-match", expect.as_deref().unwrap());
        let headers = [("x-amz-copy-source", "bucket/from"), condition];
        let copy = server.raw(hyper::Method::PUT, "/bucket/k", &headers, "");
        let (put, (copy, ..)) = tokio::join!(put(&writer, "k", b"put".to_vec(), &expect), copy);
        let stands = server.get("k").await;
        match (put.0, copy.as_u16()) {
            (200, 412) => assert_eq!(stands, b"put"),
            (412, 200) => assert_eq!(stands, b"copied"),
            other => panic!("round {round}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_who_complete_an_upload_onto_a_new_key_one_wins() {
    use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
    let server = Running::start().await;
    let clients = clients(&server);
    for round in 0..20 {
        let mut tasks = JoinSet::new();
        for s3 in clients.clone() {
            let key = format!("k{round}");
            tasks.spawn(async move {
                let upload = s3.create_multipart_upload().bucket(BUCKET).key(&key);
                let id = upload.send().await.unwrap().upload_id.unwrap();
                let part = s3.upload_part().bucket(BUCKET).key(&key).upload_id(&id);
                let part = part.part_number(1).body(ByteStream::from_static(b"x"));
                let etag = part.send().await.unwrap().e_tag.unwrap();
                let part = CompletedPart::builder().part_number(1).e_tag(etag).build();
                let parts = CompletedMultipartUpload::builder().parts(part).build();
                let complete = s3.complete_multipart_upload().bucket(BUCKET).key(&key);
                let complete = complete.upload_id(id).multipart_upload(parts);
                answer(&complete.if_none_match("*").send().await)
            });
        }
        let answers = tasks.join_all().await;
        let winners = answers.iter().filter(|a| a.0 == 200).count();
        let refused = answers.iter().filter(|a| a.0 == 412).count();
        assert_eq!((winners, refused), (1, TASKS - 1), "round {round}");
    }
    println!("completion races: 20 of 20 rounds had one winner");
}

/// Readers while the object is replaced: every body is of one version, and of the one it says.
#[tokio::test(flavor = "multi_thread")]
async fn no_read_is_torn() {
    let server = Running::start().await;
    let (stop, reads) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    // Small bodies in the index and large ones in files, alternating under the readers.
    let body = |n: usize| vec![(n % 251) as u8; if n.is_multiple_of(2) { 700_000 } else { 5_000 }];
    server.put("k", body(0)).await;
    let mut tasks = JoinSet::new();
    for s3 in clients(&server).into_iter().take(4) {
        let (stop, reads) = (Arc::clone(&stop), Arc::clone(&reads));
        tasks.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let got = s3
                    .get_object()
                    .bucket(BUCKET)
                    .key("k")
                    .send()
                    .await
                    .unwrap();
                let etag = got.e_tag.clone().unwrap();
                let bytes = got.body.collect().await.expect("a read broke off").to_vec();
                let digest: [u8; 16] = <md5::Md5 as md5::Digest>::digest(&bytes).into();
                let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
                assert_eq!(etag, format!("\"{hex}\""), "torn: {} bytes", bytes.len());
                reads.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let mut writes = 0;
    while writes < 100 || reads.load(Ordering::Relaxed) < 100 {
        writes += 1;
        server.put("k", body(writes)).await;
    }
    stop.store(true, Ordering::Relaxed);
    tasks.join_all().await;
    let count = reads.load(Ordering::Relaxed);
    println!("torn reads: 0 of {count} during {writes} writes");
    let dir = server.dir.path().join("blobs");
    eventually("one file at most for one object", async || {
        (std::fs::read_dir(&dir).unwrap().count() <= 1).then_some(())
    })
    .await;
}

/// The reader has the head of the answer and little of its body when the object is replaced.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_the_version_it_began_with() {
    let server = Running::start().await;
    // More than the sockets can hold.
    let first = vec![1_u8; 30_000_000];
    server.put("k", first.clone()).await;
    let slow = server
        .s3
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    server.put("k", vec![2; 100_000]).await;
    server
        .s3
        .delete_object()
        .bucket(BUCKET)
        .key("k")
        .send()
        .await
        .unwrap();
    let bytes = slow.body.collect().await.unwrap().to_vec();
    assert!(bytes == first, "{} bytes", bytes.len());
    let dir = server.dir.path().join("blobs");
    eventually("the read file to go", async || {
        (std::fs::read_dir(&dir).unwrap().count() == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_listed_and_read_at_once() {
    let server = Running::start().await;
    let mut tasks = JoinSet::new();
    for (number, s3) in clients(&server).into_iter().enumerate() {
        tasks.spawn(async move {
            for round in 0..20 {
                let key = format!("{number}/{round:02}");
                let put = s3
                    .put_object()
                    .bucket(BUCKET)
                    .key(&key)
                    .send()
                    .await
                    .unwrap();
                let list = s3
                    .list_objects_v2()
                    .bucket(BUCKET)
                    .prefix(format!("{number}/"));
                let list = list.send().await.unwrap();
                assert_eq!(list.contents().len(), round + 1);
                let last = list.contents().last().unwrap();
                assert_eq!(
                    (last.key(), last.e_tag()),
                    (Some(key.as_str()), put.e_tag())
                );
            }
        });
    }
    tasks.join_all().await;
}
