//! The servers start, are what they are said to be, and do not outlive the tests.

use std::collections::BTreeSet;
use std::env;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use crate::world::client::Put;
use crate::world::port::Port;
use crate::world::servers::{self, Kind};
use crate::world::wait;

fn evaluates_conditions(kind: Kind) -> Result<(), String> {
    let client = servers::shared(kind)?.bucket().client();
    let first = client.put_if_absent("key", "1").saved();
    assert_eq!(client.put_if_absent("key", "2"), Put::Refused(412));
    let second = client.put_if_match("key", "2", &first).saved();
    assert_eq!(client.put_if_match("key", "3", &first), Put::Refused(412));
    assert!(matches!(
        client.put_if_match("gone", "3", &second),
        Put::Refused(404 | 412)
    ));
    assert_eq!(client.text("key"), "2");
    Ok(())
}

#[test]
fn ministack_evaluates_conditions() {
    or_skip!(evaluates_conditions(Kind::Ministack));
}

#[test]
fn seaweedfs_evaluates_conditions() {
    or_skip!(evaluates_conditions(Kind::Seaweed));
}

#[test]
fn our_own_server_evaluates_conditions() {
    or_skip!(evaluates_conditions(Kind::Embedded));
}

#[test]
fn s3rver_ignores_conditions() {
    let client = or_skip!(servers::shared(Kind::S3rver)).bucket().client();
    client.put("key", "1");
    client.put_if_absent("key", "2").saved();
    client
        .put_if_match("key", "3", "\"00000000000000000000000000000000\"")
        .saved();
    assert_eq!(client.text("key"), "3");
}

#[test]
fn a_port_stays_ours_and_is_closed_unless_somebody_listens() {
    let ports: Vec<_> = (0..20).map(|_| Port::new()).collect();
    let distinct: BTreeSet<_> = ports.iter().map(Port::address).collect();
    assert_eq!(distinct.len(), ports.len());
    let is_open = || TcpStream::connect(ports[0].address()).is_ok();
    for _ in 0..2 {
        assert!(!is_open());
        let listener = ports[0].listen();
        assert!(is_open());
        drop(listener);
    }
    assert!(!is_open());
}

fn keeps_its_data(kind: Kind) -> Result<(), String> {
    let mut server = servers::start(kind)?;
    let client = server.bucket().client();
    let etag = client.put("key", "value");
    server.stop();
    assert!(client.try_put("key", "lost").is_err());
    server.start_again();
    assert_eq!(client.get("key").unwrap().etag, etag);
    Ok(())
}

#[test]
fn ministack_keeps_its_data_when_killed_and_started_again() {
    or_skip!(keeps_its_data(Kind::Ministack));
}

#[test]
fn our_own_server_keeps_its_data_when_killed_and_started_again() {
    or_skip!(keeps_its_data(Kind::Embedded));
}

/// Not a test: run by the next one in a process of its own, which it ends without any clean-up.
#[test]
#[ignore = "ends its process; run by no_server_outlives_the_test_process"]
fn start_a_server_and_abort() {
    if let Ok(server) = servers::shared(Kind::Ministack) {
        println!("server-pid={}", server.pid().unwrap());
        std::process::abort();
    }
}

#[test]
fn no_server_outlives_the_test_process() {
    or_skip!(servers::shared(Kind::Ministack));
    let out = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "harness::servers::start_a_server_and_abort",
            "--ignored",
            "--nocapture",
        ])
        .output()
        .unwrap();
    assert!(!out.status.success());
    let stdout = String::from_utf8_lossy(&out.stdout);
    let (_, pid) = stdout
        .split_once("server-pid=")
        .expect("the server was started");
    let process = Path::new("/proc").join(pid.lines().next().unwrap());
    wait::until("the server is gone", wait::SOON, || {
        !process.join("exe").exists()
    });
}
