//! `--otlp` and `--x-ray`: each operation is a span, each request one in it, and the store is told of
//! the trace that its request belongs to.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::collector::{Collector, attribute};
use super::lose_a_race;
use crate::world::counted::Counted;

/// Spans of this name about this key or object.
fn find<'a>(spans: &'a [Span], name: &str, about: &str) -> Vec<&'a Span> {
    let is_about = |span: &Span| {
        let names = ["key", "object"].map(|name| attribute(span, name));
        names.iter().flatten().any(|it| it == about)
    };
    let named = spans.iter().filter(|span| span.name == name);
    named.filter(|span| is_about(span)).collect()
}

#[test]
fn an_operation_is_a_span_and_its_requests_are_spans_in_it() {
    let collector = Collector::start();
    let otlp = format!("--otlp={}", collector.url());
    let ground = or_skip!(Counted::mount(|mount| mount
        .flat()
        .log_level("info")
        .arg(otlp)));
    fs::write(ground.mount.file("key"), "value").unwrap();
    assert_eq!(fs::read(ground.mount.file("key")).unwrap(), b"value");
    let log = ground.unmount().mount_log;
    // Whoever traces does not log more.
    assert!(!log.contains("DEBUG"), "{log}");

    let spans = collector.spans();
    assert!(collector.services().iter().all(|name| name == "etagfs"));
    assert!(
        collector
            .requests()
            .iter()
            .all(|line| line.starts_with("post /v1/traces "))
    );
    let puts = find(&spans, "PUT", "key");
    let [put] = puts.as_slice() else {
        panic!("{spans:#?}");
    };
    // Each close is a flush, that of the reader too, and that of every process which another test forked
    // while the file was open; and a span ends after its answer, so that they come in any order.
    let flushes = find(&spans, "flush", "key").into_iter();
    let mut saves = flushes.filter(|flush| flush.span_id == put.parent_span_id);
    let flush = saves.next().unwrap_or_else(|| panic!("{spans:#?}"));
    assert_eq!(attribute(flush, "errno").as_deref(), Some("OK"));
    assert_eq!(attribute(flush, "store").as_deref(), Some("flat"));
    assert!(attribute(flush, "fh").is_some());
    assert_eq!(flush.kind(), SpanKind::Server);
    assert!(flush.parent_span_id.is_empty());
    assert_eq!(put.trace_id, flush.trace_id);
    assert_eq!(put.kind(), SpanKind::Client);
    assert_eq!(attribute(put, "outcome").as_deref(), Some("ok"));
    assert_eq!(attribute(put, "status").as_deref(), Some("200"));
    assert!(flush.start_time_unix_nano <= put.start_time_unix_nano);
    assert!(put.end_time_unix_nano <= flush.end_time_unix_nano);
    // A read is one too, and another trace.
    let reads = find(&spans, "read", "key");
    assert!(
        reads
            .iter()
            .any(|read| attribute(read, "bytes").as_deref() == Some("5"))
    );
    assert!(reads.iter().all(|read| read.trace_id != flush.trace_id));
}

#[test]
fn what_went_wrong_is_an_error_in_the_trace() {
    let collector = Collector::start();
    let otlp = format!("--otlp={}", collector.url());
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg(otlp)));
    lose_a_race(&ground, "key");
    ground.unmount();
    let spans = collector.spans();
    let syncs = find(&spans, "fsync", "key");
    let status = syncs[0].status.clone().unwrap();
    assert_eq!(
        (status.code(), &*status.message),
        (StatusCode::Error, "EAGAIN")
    );
    // The refusal is an answer, and the conflict is told in the span of its operation.
    let put = find(&spans, "PUT", "key")[0];
    assert_eq!(attribute(put, "outcome").as_deref(), Some("refused"));
    assert_ne!(
        put.status.clone().unwrap_or_default().code(),
        StatusCode::Error
    );
    assert!(
        syncs[0]
            .events
            .iter()
            .any(|event| event.name.contains("somebody else saved first"))
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn x_ray_ids_begin_with_the_time_and_every_request_carries_them_unsigned() {
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let before = now();
    let collector = Collector::start();
    let otlp = format!("--otlp={}", collector.url());
    let ground = or_skip!(Counted::mount(|mount| mount
        .flat()
        .arg(otlp)
        .arg("--x-ray")));
    fs::write(ground.mount.file("key"), "value").unwrap();
    fs::remove_file(ground.mount.file("key")).unwrap();
    let ended = ground.unmount();
    let spans = collector.spans();
    let requests = ended.requests.0;
    assert!(requests.len() >= 3, "{requests:#?}");
    for request in &requests {
        let header = request
            .header("x-amzn-trace-id")
            .unwrap_or_else(|| panic!("{request}"));
        let part = |name: &str| {
            let parts = header
                .split(';')
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
            parts.unwrap_or_else(|| panic!("{header}"))
        };
        let root: Vec<_> = part("Root").split('-').collect();
        assert_eq!(
            (root[0], root[1].len(), root[2].len()),
            ("1", 8, 24),
            "{header}"
        );
        let time = u64::from_str_radix(root[1], 16).unwrap();
        assert!((before..=now()).contains(&time), "{header}");
        assert_eq!(part("Sampled"), "1");
        let signed = request.header("authorization").unwrap();
        assert!(!signed.contains("x-amzn-trace-id"), "{signed}");
        // It is the span of this very request.
        let trace = format!("{}{}", root[1], root[2]);
        let span = spans
            .iter()
            .find(|span| hex(&span.span_id) == part("Parent"));
        let span = span.unwrap_or_else(|| panic!("{request}: no span"));
        assert_eq!(
            (hex(&span.trace_id), span.kind()),
            (trace, SpanKind::Client)
        );
    }
}

#[test]
fn without_a_collector_x_ray_still_tells_the_store() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat().arg("--x-ray")));
    fs::write(ground.mount.file("key"), "value").unwrap();
    let put = ground.log().of(crate::world::proxy::Op::Put)[0].clone();
    assert!(
        put.header("x-amzn-trace-id")
            .is_some_and(|header| header.starts_with("Root=1-"))
    );
}

#[test]
fn without_x_ray_the_store_is_told_nothing() {
    let ground = or_skip!(Counted::mount(|mount| mount.flat()));
    fs::write(ground.mount.file("key"), "value").unwrap();
    let log = ground.proxy.log();
    assert!(
        log.0
            .iter()
            .all(|request| request.header("x-amzn-trace-id").is_none())
    );
}

#[test]
fn a_collector_that_is_gone_holds_nobody_up() {
    // No other test can be given this port.
    let ground = or_skip!(Counted::mount(|mount| {
        mount.flat().arg("--otlp=http://127.0.0.1:1")
    }));
    fs::write(ground.mount.file("key"), "value").unwrap();
    let ended = ground.unmount();
    assert_eq!(ended.puts("key"), ["value"]);
    let told = ended.mount_log.matches("traces cannot be sent").count();
    assert_eq!(told, 1, "{}", ended.mount_log);
}

#[test]
fn what_is_no_url_of_a_collector_is_told_at_once() {
    let ground = or_skip!(super::ground());
    let refused = crate::world::mounts::Mount::of(&ground.bucket)
        .arg("--otlp=127.0.0.1:4318")
        .try_start()
        .unwrap_err();
    assert_eq!(refused.status.and_then(|status| status.code()), Some(2));
    assert!(refused.log.contains("http://HOST:4318"), "{}", refused.log);
}
