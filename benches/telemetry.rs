//! What it costs an operation that it is counted and told: `cargo bench --bench telemetry`.
//!
//! Each step runs for a second; the best of its rounds is told, since others use the machine too. It
//! asserts nothing.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime};

use etagfs::telemetry::{Access, Subject, Telemetry};
use tracing_subscriber::layer::{Layer, SubscriberExt};

const ROUND: u32 = 10_000;
const FOR: Duration = Duration::from_secs(1);

fn measure(what: &str, step: impl Fn()) {
    let begun = Instant::now();
    let mut best = Duration::MAX;
    while begun.elapsed() < FOR {
        let since = Instant::now();
        for _ in 0..ROUND {
            step();
        }
        best = best.min(since.elapsed() / ROUND);
    }
    println!("{what:<50} {:>6} ns", best.as_nanos());
}

fn subject() -> Subject {
    Subject {
        store: Some("6f1c2d3e-0000-4000-8000-000000000000".to_owned()),
        key: "notes/shopping.txt".to_owned(),
        ..Subject::default()
    }
}

fn span(subject: &Subject) -> tracing::Span {
    let (store, key) = (subject.store.as_deref(), subject.key.as_str());
    tracing::debug_span!("operation", op = "read", store, key, fh = 1, pid = 4711)
}

fn main() {
    let telemetry = Telemetry::default();
    let (took, now) = (Duration::from_micros(17), SystemTime::now());
    let about = subject();
    measure("what it is about, in words", || drop(black_box(subject())));
    measure("counters and histogram of an operation", || {
        telemetry
            .metrics
            .operation(black_box("read"), "OK", 4096, took);
    });
    measure("a line of the access log", || {
        let access = Access {
            op: "read",
            subject: black_box(&about),
            to: None,
            pid: 4711,
            errno: "OK",
            bytes: 4096,
            took,
        };
        telemetry.access.add(access, now);
    });
    measure("a span that nobody wants", || drop(black_box(span(&about))));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(tracing_subscriber::EnvFilter::new(
            "off,etagfs=info,telemetry=info",
        ));
    let subscriber = tracing_subscriber::registry().with(lines);
    tracing::subscriber::with_default(subscriber, || {
        measure("a span that nobody wants, with a log", || {
            drop(black_box(span(&about)));
        });
    });
}
