//! How fast konserve's values are decoded and encoded, in MB/s: `cargo bench -p konserve-codec`.
//!
//! Two documents: what applications keep (maps of keywords, short strings, numbers), and long strings.
//! Each step runs for a second; the best of its rounds is told, since others use the machine too. It
//! asserts nothing.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use konserve_codec::{Value, edn, fressian, hasch};

const LIMIT: usize = 1 << 30;
const FOR: Duration = Duration::from_secs(1);

/// About so many bytes of Fressian.
const SIZE: usize = 4 << 20;

fn record(n: i64) -> Value {
    let text = format!(
        "{{:user/id {n}, :name \"somebody number {n}\", :tags #{{:a :b}}, :score {}.5, \
         :at #inst \"2026-11-21T09:25:16.274-00:00\", :nested [{{:x {n} :y -1}} nil true]}}",
        n % 1000
    );
    edn::read(&text).expect("it is EDN")
}

fn documents() -> [(&'static str, Value); 2] {
    let records = (0..(SIZE / 120) as i64).map(record).collect();
    let line = "A line of text that is as long as lines of text tend to be, more or less.\n";
    let strings = (0..SIZE / 8192).map(|_| Value::string(&line.repeat(8192 / line.len())));
    [
        ("records", Value::Vector(records)),
        ("strings", Value::Vector(strings.collect())),
    ]
}

fn measure(what: &str, bytes: usize, step: impl Fn()) {
    let begun = Instant::now();
    let mut best = Duration::MAX;
    let mut rounds = 0;
    while begun.elapsed() < FOR || rounds == 0 {
        let round = Instant::now();
        step();
        best = best.min(round.elapsed());
        rounds += 1;
    }
    let speed = bytes as f64 / best.as_secs_f64() / 1e6;
    println!("{what:<28} {speed:>8.0} MB/s  ({bytes} bytes, {rounds} rounds)");
}

fn main() {
    for (name, value) in documents() {
        let stored = fressian::encode(&value).expect("it can be stored");
        let text = edn::print(&value);
        measure(&format!("fressian decode {name}"), stored.len(), || {
            black_box(fressian::decode(black_box(&stored), LIMIT)).expect("it was stored");
        });
        measure(&format!("fressian encode {name}"), stored.len(), || {
            black_box(fressian::encode(black_box(&value))).expect("it can be stored");
        });
        measure(&format!("edn read {name}"), text.len(), || {
            black_box(edn::read(black_box(&text))).expect("it was printed");
        });
        measure(&format!("edn print {name}"), text.len(), || {
            black_box(edn::print(black_box(&value)));
        });
    }
    let keys: Vec<_> = (0..100_000)
        .map(|n| Value::keyword(&format!("key-{n}")))
        .collect();
    let begun = Instant::now();
    for key in &keys {
        black_box(hasch::uuid(key)).expect("it has a hash");
    }
    let each = begun.elapsed() / u32::try_from(keys.len()).expect("they are few");
    println!("hasch of a keyword           {each:?}");
}
