//! `--metrics`: what Prometheus fetches, judged by its own client library's parser.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;

use super::{ground, lose_a_race};
use crate::world::counted::Counted;
use crate::world::mounts::{Mount, Mounted};
use crate::world::procs::Script;
use crate::world::servers::{self, Kind};
use crate::world::{mounts, wait};

fn serving() -> Result<Counted, String> {
    Counted::mount(|mount| mount.flat().arg("--metrics=0"))
}

/// Where the metrics are, as the log tells.
fn address(mount: &Mounted) -> SocketAddr {
    let mut address = None;
    wait::until("metrics are served", wait::SOON, || {
        let log = mount.log();
        let line = log.lines().find(|line| line.contains("metrics are served"));
        address = line.and_then(|line| line.split("at=").nth(1)?.trim().parse().ok());
        address.is_some()
    });
    address.unwrap()
}

/// Head and body of the answer to a request.
fn ask(address: SocketAddr, method: &str, path: &str) -> (String, String) {
    ask_as(address, method, path, &format!("Host: {address}"))
}

/// Head and body of the answer to a request with these headers.
fn ask_as(address: SocketAddr, method: &str, path: &str, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\n{headers}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

/// A Python that has Prometheus's client library.
fn python() -> Result<PathBuf, String> {
    let python = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("target/test-servers/prometheus_client/bin/python3");
    match python.exists() {
        true => Ok(python),
        false => Err("prometheus_client is not installed: run tests/setup".to_owned()),
    }
}

/// Parses, and holds the text to the rules that `promtool check metrics` has.
const JUDGE: &str = r#"
import re, sys
from prometheus_client.parser import text_string_to_metric_families
text = open(sys.argv[1]).read()
assert text.endswith("\n")
assert not re.search(r"^# (?!HELP |TYPE )", text, re.M), "only HELP and TYPE"
order = re.findall(r"^# (HELP|TYPE) (\S+)", text, re.M)
names = [name for _, name in order]
assert order == [(kind, name) for name in names[::2] for kind in ("HELP", "TYPE")], "HELP, then TYPE, once for each"
families = list(text_string_to_metric_families(text))
assert len(set(family.name for family in families)) == len(families) > 25, "each family once"
for family in families:
    assert family.samples, family.name
    assert family.documentation.endswith("."), family.name
    assert re.fullmatch(r"etagfs(_[a-z]+)+", family.name), family.name
    for wrong in "_milliseconds", "_ms", "_megabytes", "_kb", "_count", "_gauge", "_counter":
        assert not family.name.endswith(wrong), family.name
    if family.type == "gauge":
        assert not family.name.endswith("_total"), family.name
    if family.type == "counter":
        assert all(sample.name == family.name + "_total" for sample in family.samples), family.name
        assert all(sample.value >= 0 for sample in family.samples), family.name
    seen = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
    assert len(set(seen)) == len(seen), family.name
    if family.type == "histogram":
        assert family.name.endswith("_seconds"), family.name
        series = {}
        for sample in family.samples:
            key = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            series.setdefault(key, []).append(sample)
        for samples in series.values():
            buckets = [(float(s.labels["le"]), s.value) for s in samples if s.name.endswith("_bucket")]
            count = [s.value for s in samples if s.name.endswith("_count")]
            assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), family.name
            assert [v for _, v in buckets] == sorted(v for _, v in buckets), family.name
            assert count == [buckets[-1][1]], family.name
    assert family.type in ("counter", "gauge", "histogram"), family.name
print(len(families), "families")
"#;

#[test]
fn the_metrics_are_what_the_parser_of_prometheus_expects() {
    let ground = or_skip!(serving());
    let python = or_skip!(python());
    lose_a_race(&ground, "key");
    let _ = fs::read(ground.mount.file("missing"));
    let (head, text) = ask(address(&ground.mount), "GET", "/metrics");
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert!(
        head.contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let page = tempfile::NamedTempFile::new().unwrap();
    fs::write(page.path(), &text).unwrap();
    let judge = tempfile::NamedTempFile::new().unwrap();
    fs::write(judge.path(), JUDGE).unwrap();
    let command = format!(
        "'{}' '{}' '{}'",
        python.display(),
        judge.path().display(),
        page.path().display()
    );
    let out = Script::bash(&command).run().ok();
    assert!(out.stdout.contains("families"), "{out:#?}");
    assert!(text.contains("\netagfs_conflicts_total 1\n"), "{text}");
}

#[test]
fn there_is_one_page_and_what_is_no_question_gets_no_answer() {
    let ground = or_skip!(serving());
    let at = address(&ground.mount);
    assert!(ask(at, "GET", "/").0.starts_with("http/1.1 404 "));
    assert!(ask(at, "POST", "/metrics").0.starts_with("http/1.1 405 "));
    assert_eq!(ask(at, "HEAD", "/metrics").1, "");
    // Whoever says nothing holds nobody up, also not the end.
    let silent: Vec<_> = (0..4).map(|_| TcpStream::connect(at).unwrap()).collect();
    assert!(ask(at, "GET", "/metrics").1.contains("etagfs_build_info"));
    ground.unmount();
    drop(silent);
}

#[test]
fn other_machines_do_not_see_the_metrics_unless_one_says_so() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let refused = Mount::of(&bucket)
        .arg("--metrics=0.0.0.0:0")
        .try_start()
        .unwrap_err();
    assert_eq!(refused.status.and_then(|status| status.code()), Some(2));
    assert!(refused.log.contains("--metrics-public"), "{}", refused.log);
}

#[test]
fn an_address_that_is_taken_is_told_before_anything_is_mounted() {
    let ground = or_skip!(ground());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = Mount::of(&ground.bucket)
        .arg(format!("--metrics={port}"))
        .try_start()
        .unwrap_err();
    assert_eq!(refused.status.and_then(|status| status.code()), Some(1));
    assert!(refused.log.contains(&port.to_string()), "{}", refused.log);
}

#[test]
fn web_pages_of_others_cannot_read_the_metrics() {
    let mount = or_skip!(serving());
    let at = address(&mount.mount);
    for headers in [
        format!("Host: {at}\r\nOrigin: https://evil.test"),
        format!("Host: {at}\r\nSec-Fetch-Site: cross-site"),
        "Host: evil.test".to_owned(),
    ] {
        let (head, body) = ask_as(at, "GET", "/metrics", &headers);
        assert!(head.starts_with("http/1.1 403"), "{headers}: {head}");
        assert!(!body.contains("etagfs_"), "{headers}: {body}");
    }
    let local = format!("Host: localhost:{}", at.port());
    let (head, _) = ask_as(at, "GET", "/metrics", &local);
    assert!(head.starts_with("http/1.1 200"), "{head}");
}
