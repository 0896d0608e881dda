//! The proxy forwards faithfully, counts truly, and breaks exactly what it is told to.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use super::upstream::Upstream;
use crate::world::client::Put;
use crate::world::proxy::{Fault, Gate, Op, Proxy, When};
use crate::world::servers::{self, Bucket, Kind};
use crate::world::wait;

/// Sends these bytes and tells all that comes back until the end of the connection.
fn raw(proxy: &Proxy, request: &str) -> String {
    let mut stream = open(proxy, request);
    let mut answer = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn open(proxy: &Proxy, request: &str) -> TcpStream {
    let address = proxy.endpoint().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

const GET: &str = "GET /bucket/key HTTP/1.1\r\nHost: signed.example:1\r\nConnection: close\r\n\r\n";
const PUT: &str = "PUT /bucket/key HTTP/1.1\r\nHost: signed.example:1\r\nConnection: close\r\n\
                   Content-Length: 5\r\nIf-Match: \"e\"\r\n\r\nhello";

#[test]
fn a_request_arrives_unchanged_with_its_host() {
    let upstream = Upstream::answering("reply");
    let proxy = Proxy::to(&upstream.endpoint());
    let answer = raw(&proxy, PUT);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nreply"), "{answer}");
    let arrived = upstream.requests().remove(0);
    assert!(
        arrived.starts_with("PUT /bucket/key HTTP/1.1\r\n"),
        "{arrived}"
    );
    assert!(
        arrived
            .to_lowercase()
            .contains("\r\nhost: signed.example:1\r\n"),
        "{arrived}"
    );
    assert!(arrived.ends_with("\r\n\r\nhello"), "{arrived}");

    let record = proxy.log().0.remove(0);
    assert_eq!(
        (record.op, record.bucket.as_str(), record.key.as_str()),
        (Op::Put, "bucket", "key")
    );
    assert_eq!(
        (record.body().as_str(), record.if_match()),
        ("hello", Some("\"e\""))
    );
    assert_eq!(
        (record.upstream.as_slice(), record.status),
        ([200].as_slice(), Some(200))
    );
    assert_eq!((record.sent, record.received), (5, 5));
}

#[test]
fn requests_are_told_apart() {
    let upstream = Upstream::answering("");
    let proxy = Proxy::to(&upstream.endpoint());
    let cases = [
        ("GET /", Op::ListBuckets),
        ("GET /b?list-type=2&prefix=p%2F", Op::List),
        ("GET /b/?list-type=2", Op::List),
        ("GET /b?versions", Op::List),
        ("GET /b?versioning", Op::Other),
        ("GET /b/k?tagging", Op::Other),
        ("GET /b/k?x-id=GetObject", Op::Get),
        ("HEAD /b/k", Op::Head),
        ("HEAD /b", Op::HeadBucket),
        ("PUT /b", Op::CreateBucket),
        ("PUT /b/k", Op::Put),
        ("PUT /b/k?partNumber=1&uploadId=u", Op::MultipartPart),
        ("POST /b/k?uploads", Op::MultipartCreate),
        ("POST /b/k?uploadId=u", Op::MultipartComplete),
        ("DELETE /b/k?uploadId=u", Op::MultipartAbort),
        ("DELETE /b/k", Op::Delete),
        ("POST /b?delete", Op::DeleteMany),
    ];
    for (line, op) in cases {
        let mark = proxy.mark();
        raw(
            &proxy,
            &format!("{line} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"),
        );
        assert_eq!(proxy.since(mark).0[0].op, op, "{line}");
    }
    let copy = "PUT /b/a%20b%2Fc HTTP/1.1\r\nHost: h\r\nConnection: close\r\nx-amz-copy-source: b/k\r\n\r\n";
    raw(&proxy, copy);
    let record = proxy.log().0.pop().unwrap();
    assert_eq!((record.op, record.key.as_str()), (Op::Copy, "a b/c"));
    let list = &proxy.log().of(Op::List)[0];
    assert_eq!(list.parameter("prefix"), Some("p/"));
    assert_eq!(proxy.log().counts().of(Op::List), 3);
    assert_eq!(proxy.log().counts().total(), cases.len() + 1);
}

#[test]
fn chunk_signatures_are_no_part_of_the_body() {
    let upstream = Upstream::answering("");
    let proxy = Proxy::to(&upstream.endpoint());
    let body = "5;chunk-signature=abc\r\nhello\r\n6;chunk-signature=abc\r\n world\r\n0\r\nx-amz-checksum: y\r\n\r\n";
    raw(
        &proxy,
        &format!(
            "PUT /b/k HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Encoding: aws-chunked\r\n\
             x-amz-decoded-content-length: 11\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    );
    let record = proxy.log().0.remove(0);
    assert_eq!(
        (record.body().as_str(), record.sent),
        ("hello world", body.len())
    );
    assert!(upstream.requests()[0].ends_with(body));
}

#[test]
fn an_injected_answer_does_not_reach_the_server() {
    let upstream = Upstream::answering("reply");
    let proxy = Proxy::to(&upstream.endpoint());
    for (fault, start, code) in [
        (
            Fault::internal_error(),
            "HTTP/1.1 500 ",
            "<Code>InternalError</Code>",
        ),
        (Fault::slow_down(), "HTTP/1.1 503 ", "<Code>SlowDown</Code>"),
        (
            Fault::access_denied(),
            "HTTP/1.1 403 ",
            "<Code>AccessDenied</Code>",
        ),
    ] {
        let injected = proxy.inject(When::op(Op::Get).key("key").once(), fault);
        let answer = raw(&proxy, GET);
        assert!(
            answer.starts_with(start) && answer.contains(code),
            "{answer}"
        );
        assert_eq!(injected.struck(), 1);
    }
    for fault in [Fault::Refuse, Fault::garbage()] {
        proxy.inject(When::any().once(), fault);
        assert!(!raw(&proxy, GET).starts_with("HTTP/"));
    }
    assert_eq!(upstream.requests().len(), 0);
    assert!(raw(&proxy, GET).ends_with("reply"));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn replies_can_be_cut_misdeclared_garbled_and_edited() {
    let upstream = Upstream::answering("0123456789");
    let proxy = Proxy::to(&upstream.endpoint());
    let with = |fault| {
        proxy.inject(When::any().once(), fault);
        raw(&proxy, GET).to_lowercase()
    };
    let cut = with(Fault::CutBody);
    assert!(
        cut.contains("content-length: 10\r\n") && cut.ends_with("\r\n\r\n01234"),
        "{cut}"
    );
    let long = with(Fault::WrongLength(7));
    assert!(
        long.contains("content-length: 17\r\n") && long.ends_with("\r\n\r\n0123456789"),
        "{long}"
    );
    let short = with(Fault::WrongLength(-7));
    assert!(
        short.contains("content-length: 3\r\n") && short.ends_with("\r\n\r\n0123456789"),
        "{short}"
    );
    let garbled = with(Fault::GarbageBody);
    assert!(
        garbled.contains("content-length: 10\r\n") && !garbled.contains("0123456789"),
        "{garbled}"
    );
    let edited = with(Fault::edit(|head, body| {
        head.headers.insert("etag", "\"other\"".parse().unwrap());
        *body = "edited!".into();
    }));
    assert!(
        edited.contains("etag: \"other\"\r\n") && edited.ends_with("\r\n\r\nedited!"),
        "{edited}"
    );
    assert_eq!(upstream.requests().len(), 5);
    assert!(
        proxy
            .log()
            .0
            .iter()
            .all(|record| record.upstream == [200] && record.fault.is_some())
    );
}

#[test]
fn only_the_nth_request_is_struck() {
    let upstream = Upstream::answering("");
    let proxy = Proxy::to(&upstream.endpoint());
    let second = proxy.inject(When::op(Op::Get).nth(2), Fault::slow_down());
    let statuses = |count| -> Vec<_> {
        (0..count)
            .map(|_| raw(&proxy, GET)[9..12].to_owned())
            .collect()
    };
    assert_eq!(statuses(4), ["200", "503", "200", "200"]);
    assert_eq!(second.struck(), 1);
    let later = proxy.inject(When::any().after(1), Fault::internal_error());
    assert_eq!(statuses(3), ["200", "500", "500"]);
    later.remove();
    assert_eq!(statuses(1), ["200"]);
    proxy.inject(When::any(), Fault::internal_error());
    proxy.heal();
    assert_eq!(statuses(1), ["200"]);
}

#[test]
fn a_held_request_waits_for_the_gate_and_a_held_reply_does_not() {
    let upstream = Upstream::answering("reply");
    let proxy = Proxy::to(&upstream.endpoint());
    let (before, after) = (Gate::new(), Gate::new());
    proxy.inject(When::op(Op::Get), Fault::HoldRequest(before.clone()));
    proxy.inject(When::op(Op::Put), Fault::HoldReply(after.clone()));
    std::thread::scope(|scope| {
        let get = scope.spawn(|| raw(&proxy, GET));
        before.wait_for(1);
        assert_eq!(upstream.requests().len(), 0);
        let put = scope.spawn(|| raw(&proxy, PUT));
        after.wait_for(1);
        assert_eq!(upstream.requests().len(), 1);
        assert!(!get.is_finished() && !put.is_finished());
        before.open();
        after.open();
        assert!(get.join().unwrap().ends_with("reply"));
        assert!(put.join().unwrap().ends_with("reply"));
    });
    proxy.settle();
}

#[test]
fn a_held_request_arrives_even_if_its_client_has_given_up() {
    let upstream = Upstream::answering("reply");
    let proxy = Proxy::to(&upstream.endpoint());
    let gate = Gate::new();
    proxy.inject(When::any(), Fault::HoldRequest(gate.clone()));
    let client = open(&proxy, PUT);
    gate.wait_for(1);
    client.shutdown(Shutdown::Both).unwrap();
    drop(client);
    gate.open();
    wait::until("the late request arrives", wait::SOON, || {
        upstream.requests().len() == 1
    });
    proxy.settle();
}

#[test]
fn a_black_hole_says_nothing_until_released() {
    let upstream = Upstream::answering("reply");
    let proxy = Proxy::to(&upstream.endpoint());
    let gate = Gate::new();
    proxy.inject(When::any().once(), Fault::BlackHole(gate.clone()));
    std::thread::scope(|scope| {
        let swallowed = scope.spawn(|| raw(&proxy, GET));
        gate.wait_for(1);
        assert!(raw(&proxy, GET).ends_with("reply"));
        assert!(!swallowed.is_finished());
        gate.open();
        assert_eq!(swallowed.join().unwrap(), "");
    });
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_proxy_that_is_down_refuses_connections_and_drops_those_it_has() {
    let upstream = Upstream::answering("reply");
    let proxy = Proxy::to(&upstream.endpoint());
    let mut idle = open(&proxy, "");
    proxy.inject(When::any().once(), Fault::BlackHole(Gate::new()));
    let mut swallowed = open(&proxy, GET);
    wait::until("the request is in the black hole", wait::SOON, || {
        proxy.log().0.len() == 1
    });
    proxy.down();
    for stream in [&mut idle, &mut swallowed] {
        assert_eq!(stream.read(&mut [0; 10]).unwrap_or(0), 0);
    }
    let address = proxy.endpoint().trim_start_matches("http://").to_owned();
    assert!(TcpStream::connect(&address).is_err());
    proxy.up();
    assert!(raw(&proxy, GET).ends_with("reply"));
}

/// A new bucket of a real server, and a proxy to it.
fn proxied(kind: Kind) -> Result<(Bucket, Proxy), String> {
    let server = servers::shared(kind)?;
    Ok((server.bucket(), Proxy::to(server.endpoint())))
}

#[test]
fn a_server_that_checks_signatures_accepts_what_comes_through_the_proxy() {
    let (bucket, proxy) = or_skip!(proxied(Kind::Seaweed));
    let client = bucket.client_at(&proxy.endpoint());
    let etag = client.put("a key/+\u{e4}", "value");
    assert_eq!(client.get("a key/+\u{e4}").unwrap().etag, etag);
    assert_eq!(proxy.log().counts().line(), "GET 1, PUT 1");
    assert_eq!(proxy.log().key("a key/+\u{e4}").0.len(), 2);
    assert_eq!(proxy.log().of(Op::Put)[0].body(), "value");
}

#[test]
fn a_put_whose_reply_is_lost_has_landed() {
    let (bucket, proxy) = or_skip!(proxied(Kind::Ministack));
    let client = bucket.client_at(&proxy.endpoint());
    let lost = proxy.inject(When::op(Op::Put).once(), Fault::LoseReply);
    assert!(client.try_put("key", "landed").is_err());
    assert_eq!(lost.struck(), 1);
    assert_eq!(bucket.client().text("key"), "landed");
    let record = proxy.log().0.remove(0);
    assert_eq!(
        (record.upstream.as_slice(), record.status),
        ([200].as_slice(), None)
    );
}

#[test]
fn a_create_that_is_forwarded_twice_is_refused_the_second_time() {
    let (bucket, proxy) = or_skip!(proxied(Kind::Ministack));
    let client = bucket.client_at(&proxy.endpoint());
    proxy.inject(When::op(Op::Put).once(), Fault::ForwardTwice);
    assert_eq!(client.put_if_absent("key", "1"), Put::Refused(412));
    assert_eq!(bucket.client().text("key"), "1");
    assert_eq!(proxy.log().0[0].upstream, [200, 412]);
}

#[test]
fn a_policy_can_demand_conditions() {
    let (bucket, proxy) = or_skip!(proxied(Kind::Ministack));
    let client = bucket.client_at(&proxy.endpoint());
    let policy = proxy.require_conditions();
    assert!(
        client
            .try_put("key", "blind")
            .unwrap_err()
            .contains("AccessDenied")
    );
    let etag = client.put_if_absent("key", "1").saved();
    client.put_if_match("key", "2", &etag).saved();
    assert_eq!(policy.struck(), 1);
    assert_eq!(client.text("key"), "2");
}

#[test]
fn faults_in_bodies_are_failures_to_a_real_client() {
    let (bucket, proxy) = or_skip!(proxied(Kind::Ministack));
    bucket.client().put("key", "0123456789");
    let client = bucket.client_at(&proxy.endpoint());
    let get = || {
        let request = client
            .sdk()
            .get_object()
            .bucket(client.bucket())
            .key("key")
            .send();
        match client.block_on(request) {
            Ok(answer) => client
                .block_on(answer.body.collect())
                .map(drop)
                .map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        }
    };
    for fault in [
        Fault::CutBody,
        Fault::WrongLength(3),
        Fault::garbage(),
        Fault::Refuse,
    ] {
        proxy.inject(When::op(Op::Get).once(), fault.clone());
        assert!(get().is_err(), "{fault:?}");
    }
    assert_eq!(get(), Ok(()));
}
