//! Clients that are slow, stop in the middle, come in crowds or wait for `100 Continue`: the others are
//! served meanwhile, and no connection carries one request's rest into the next.

use std::process::Command;
use std::time::Duration;

use etagfs_s3_server::Credentials;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::durable::{Process, program};
use super::world::{BUCKET, Running, client, eventually, within};

async fn connect(url: &str) -> TcpStream {
    let stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await;
    stream.unwrap()
}

/// One answer without a body, or with one of a known length; what was read, `None` if the connection ended before.
async fn read_answer(stream: &mut TcpStream) -> Option<String> {
    let mut answer = Vec::new();
    let mut byte = [0];
    loop {
        match stream.read(&mut byte).await {
            Ok(1) => answer.push(byte[0]),
            _ => return None,
        }
        if answer.ends_with(b"\r\n\r\n") {
            if !answer.starts_with(b"HTTP/1.1 100") {
                break;
            }
            answer.clear();
        }
    }
    let text = String::from_utf8(answer).unwrap().to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_upload_that_expects_100_continue_does_not_break_the_next_request() {
    let open = Running::start().await;
    let keyed = Running::start_with(|config| {
        config.credentials = Some(Credentials {
            access_key: "access".to_owned(),
            secret_key: "secret".to_owned(),
        });
    })
    .await;
    let framed = "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n\
                  x-amz-decoded-content-length: 0\r\ncontent-encoding: aws-chunked\r\n";
    let framings = [
        ("content-length: 0\r\n".to_owned(), ""),
        ("transfer-encoding: chunked\r\n".to_owned(), "0\r\n\r\n"),
        (format!("{framed}content-length: 5\r\n"), "0\r\n\r\n"),
        (
            format!("{framed}transfer-encoding: chunked\r\n"),
            "5\r\n0\r\n\r\n\r\n0\r\n\r\n",
        ),
    ];
    let (mut kept, mut closed) = (0, 0);
    for (server, expected) in [(&open, "http/1.1 200"), (&keyed, "http/1.1 403")] {
        for (headers, body) in &framings {
            for waits in [true, false] {
                let mut stream = connect(&server.url).await;
                let head = format!(
                    "PUT /{BUCKET}/empty HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n{headers}\r\n"
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                if !waits || expected.ends_with("200") {
                    stream.write_all(body.as_bytes()).await.unwrap();
                }
                let answer = within("an answer", read_answer(&mut stream)).await.unwrap();
                assert!(answer.starts_with(expected), "{headers}: {answer}");
                if answer.contains("connection: close") {
                    closed += 1;
                    continue;
                }
                let next = format!("HEAD /{BUCKET}/empty HTTP/1.1\r\nhost: localhost\r\n\r\n");
                stream.write_all(next.as_bytes()).await.unwrap();
                let mut line = [0; 12];
                within("the next answer", stream.read_exact(&mut line))
                    .await
                    .unwrap();
                let line = String::from_utf8_lossy(&line).to_ascii_lowercase();
                assert_eq!(line, expected, "after {headers:?}");
                kept += 1;
            }
        }
    }
    println!("100-continue: {kept} connections were used again, {closed} said that they close");
    assert!(kept >= 8, "an accepted upload keeps its connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_heads_and_bodies_do_not_keep_others_from_being_served() {
    let server = Running::start().await;
    let mut slow = Vec::new();
    for number in 0..200 {
        let mut stream = connect(&server.url).await;
        let head = match number % 2 {
            0 => format!("PUT /{BUCKET}/slow HTTP/1.1\r\nhost: localhost\r\n"),
            _ => format!(
                "PUT /{BUCKET}/slow HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\nab"
            ),
        };
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    for n in 0..20 {
        let key = format!("k{n}");
        server.put(&key, "x").await;
        assert_eq!(server.get(&key).await, b"x");
    }
    // A client that goes away in the middle has stored nothing.
    drop(slow);
    let got = server.s3.head_object().bucket(BUCKET).key("slow").send();
    assert!(got.await.is_err());
    println!("half-sent requests: 200 open, 40 requests of others answered");
}

/// A server that is soon impatient.
async fn impatient() -> Running {
    let server = Running::start_with(|config| config.patience = Duration::from_millis(300)).await;
    server
        .s3
        .create_bucket()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap();
    server
}

/// What comes until the connection ends.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A connection that was cut off is at its end too.
    let _ = within("the end of the connection", stream.read_to_end(&mut rest)).await;
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_client_loses_its_connection_wherever_it_stopped() {
    let server = impatient().await;
    let head = format!("PUT /{BUCKET}/k HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9\r\n");
    for (sent, answer) in [
        (String::new(), ""),
        (head.clone(), ""),
        (format!("{head}\r\n"), "RequestTimeout"),
        (format!("{head}\r\n1234"), "RequestTimeout"),
        (
            format!(
                "{}x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n\r\n4\r\nab",
                head
            ),
            "RequestTimeout",
        ),
    ] {
        let mut stream = connect(&server.url).await;
        stream.write_all(sent.as_bytes()).await.unwrap();
        let got = String::from_utf8(rest(&mut stream).await).unwrap();
        assert!(got.contains(answer), "{sent:?}: {got:?}");
        assert!(!got.contains("200 OK"), "{sent:?}: {got:?}");
    }
    let got = server.s3.head_object().bucket(BUCKET).key("k").send().await;
    assert!(got.is_err(), "half of a body was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_takes_is_given_up() {
    let server = impatient().await;
    let size = 64 * 1024 * 1024;
    server.put("large", vec![5; size]).await;
    let mut stream = connect(&server.url).await;
    let get = format!("GET /{BUCKET}/large HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(get.as_bytes()).await.unwrap();
    // The body's file is leased while it is being sent, and goes with its last reader.
    let bodies = server.dir.path().join("blobs");
    let count = || std::fs::read_dir(&bodies).unwrap().count();
    assert_eq!(count(), 1);
    let deleted = server.s3.delete_object().bucket(BUCKET).key("large").send();
    deleted.await.unwrap();
    eventually("the sending to be given up", async || {
        (count() == 0).then_some(())
    })
    .await;
    assert!(rest(&mut stream).await.len() < size);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_beyond_the_descriptors_is_survived() {
    let dir = tempfile::tempdir().unwrap();
    let mut limited = Command::new("prlimit");
    limited.arg("--nofile=64:64").arg(program());
    let server = Process::started(limited, dir.path(), &["--no-sync"]);
    let s3 = client(&server.url, None);
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    let mut crowd = Vec::new();
    // More than there are descriptors, and fewer than the kernel keeps waiting.
    for _ in 0..100 {
        crowd.push(connect(&server.url).await);
    }
    drop(crowd);
    let stored = eventually("an upload after the crowd", async || {
        let body = aws_sdk_s3::primitives::ByteStream::from(vec![3; 100_000]);
        let put = s3.put_object().bucket(BUCKET).key("k").body(body).send();
        put.await.ok()
    });
    stored.await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_address_with_a_broken_signature_is_forbidden() {
    let server = Running::start_with(|config| {
        config.credentials = Some(Credentials {
            access_key: "access".to_owned(),
            secret_key: "secret".to_owned(),
        });
    })
    .await;
    let s3 = client(&server.url, Some(("access", "secret")));
    s3.create_bucket().bucket(BUCKET).send().await.unwrap();
    let body = aws_sdk_s3::primitives::ByteStream::from_static(b"x");
    let put = s3.put_object().bucket(BUCKET).key("k").body(body).send();
    put.await.unwrap();
    let expiry = Duration::from_secs(60);
    let config = aws_sdk_s3::presigning::PresigningConfig::expires_in(expiry).unwrap();
    let signed = s3
        .get_object()
        .bucket(BUCKET)
        .key("k")
        .presigned(config)
        .await;
    let signed = signed.unwrap().uri().to_owned();
    let path = signed.strip_prefix(&server.url).unwrap();
    let (before, signature) = path.split_once("X-Amz-Signature=").unwrap();
    let signature = signature.split('&').next().unwrap();
    let mut flipped = signature.to_owned();
    flipped.replace_range(..1, if signature.starts_with('0') { "1" } else { "0" });
    let status = async |signature: &str| {
        let path = path.replace(
            path.split_once(before).unwrap().1,
            &format!("X-Amz-Signature={signature}"),
        );
        server
            .raw(hyper::Method::GET, &path, &[], "")
            .await
            .0
            .as_u16()
    };
    let right = server.raw(hyper::Method::GET, path, &[], "").await;
    assert_eq!(right.0.as_u16(), 200, "{}", right.2);
    for broken in [
        flipped.as_str(),
        &signature[..63],
        &format!("{signature}0"),
        "",
        "zz",
        &format!("{signature}&X-Amz-Signature={signature}"),
    ] {
        assert_eq!(status(broken).await, 403, "{broken}");
    }
}
