//! The counter: many processes read a number, add one and save it, in the three ways that programs
//! save. Every acknowledged increment is kept, and nothing but EAGAIN is heard.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::world::client::{Client, Put};
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::{Output, Running, Script};
use crate::world::proxy::{Fault, Proxy, When};
use crate::world::report;
use crate::world::servers::{self, Bucket, Kind};

const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/races/increments.py");

/// The ways to save that `increments.py` knows.
const STYLES: [&str; 3] = ["in-place", "reopen", "rename"];

const KEY: &str = "counter";

/// Far more than it takes, also with a busy neighbour.
const DEADLINE: Duration = Duration::from_secs(900);

/// What one process did.
#[derive(Debug, Deserialize)]
struct Tally {
    /// The values it saved, in order.
    values: Vec<u64>,
    /// How often each call said EAGAIN.
    refused: BTreeMap<String, u64>,
    /// The error that ended it.
    failed: Option<String>,
}

/// What all processes did.
#[derive(Debug, Default)]
struct Total {
    acknowledged: Vec<u64>,
    refused: BTreeMap<String, u64>,
}

impl Total {
    fn of(outputs: Vec<Output>) -> Self {
        let mut total = Self::default();
        for output in outputs {
            for line in output.stdout.lines() {
                let tally: Tally = serde_json::from_str(line).unwrap();
                assert_eq!(tally.failed, None, "only EAGAIN may be heard");
                assert!(
                    tally.values.is_sorted_by(|one, next| one < next),
                    "a process saw an older number than it had saved: {:?}",
                    tally.values
                );
                total.acknowledged.extend(tally.values);
                for (call, times) in tally.refused {
                    *total.refused.entry(call).or_default() += times;
                }
            }
            output.ok();
        }
        total
    }

    /// Every number up to the last was saved by exactly one process, and the last one is there.
    fn check(&self, wanted: usize, client: &Client) {
        let kept: usize = client.text(KEY).trim().parse().unwrap();
        let distinct: BTreeSet<_> = self.acknowledged.iter().collect();
        assert_eq!(self.acknowledged.len(), wanted);
        assert_eq!(distinct.len(), wanted, "a number was saved twice");
        assert_eq!(kept, wanted, "an update was lost");
    }

    fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }

    fn report(&self, what: &str, style: &str, client: &Client, took: Duration) {
        let mut line = format!(
            "{what}, {style}: {} acknowledged, {} kept, {} EAGAIN",
            self.acknowledged.len(),
            client.text(KEY).trim(),
            self.refusals(),
        );
        for (call, times) in &self.refused {
            let _ = write!(line, ", {times} from {call}");
        }
        let _ = write!(line, " ({:.1} s)", took.as_secs_f32());
        report::append_line("counter", &line);
    }
}

fn increments(style: &str, directory: &Path, count: usize) -> Script {
    script(
        &format!("exec python3 {PROGRAM} {style} {KEY} {count}"),
        directory,
    )
}

fn script(text: &str, directory: &Path) -> Script {
    Script::dash(text).within(directory).deadline(DEADLINE)
}

/// Runs these at the same time.
fn at_once(scripts: Vec<Script>) -> Total {
    let running: Vec<_> = scripts.into_iter().map(Script::start).collect();
    Total::of(running.into_iter().map(Running::finish).collect())
}

/// Two mounts of one bucket, one process on each, `count` increments by each in each style.
fn two_mounts(kind: Kind, count: usize) {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(kind)).bucket();
    let start = || Mount::of(&bucket).flat().start();
    on_two(
        &format!("{kind:?}, two mounts"),
        &bucket,
        [start(), start()],
        count,
    );
}

fn on_two(what: &str, bucket: &Bucket, mounts: [Mounted; 2], count: usize) {
    let client = bucket.client();
    let mut refusals = 0;
    for style in STYLES {
        let begun = Instant::now();
        client.put(KEY, "0\n");
        let each = |mount: &Mounted| increments(style, mount.path(), count);
        let total = at_once(mounts.iter().map(each).collect());
        total.report(what, style, &client, begun.elapsed());
        total.check(2 * count, &client);
        refusals += total.refusals();
    }
    assert!(refusals > 0, "the writers never met: this proves nothing");
    assert_eq!(client.keys(), [KEY], "no temporary file stays");
}

#[test]
fn two_mounts_lose_no_increment_on_the_embedded_server() {
    two_mounts(Kind::Embedded, 200);
}

#[test]
fn two_mounts_lose_no_increment_on_ministack() {
    two_mounts(Kind::Ministack, 200);
}

#[test]
fn two_mounts_lose_no_increment_on_seaweedfs() {
    two_mounts(Kind::Seaweed, 40);
}

/// Each put and delete is sent twice, and the second answer is passed on.
#[test]
fn two_mounts_lose_and_double_no_increment_through_a_duplicating_proxy() {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    let twice = proxy.inject(When::write(), Fault::ForwardTwice);
    let start = || Mount::of(&bucket).flat().through(&proxy).start();
    on_two(
        "every write sent twice, two mounts",
        &bucket,
        [start(), start()],
        60,
    );
    assert!(twice.struck() > 3 * 120);
}

/// Every style on each of two mounts, one that trusts nothing it knows and one that trusts it for a
/// minute, and a client that knows nothing of etagfs but saves conditionally too.
#[test]
fn all_styles_on_two_mounts_and_a_foreign_client_lose_no_increment() {
    const EACH: usize = 20;
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let client = bucket.client();
    let start = |ttl| Mount::of(&bucket).flat().arg(ttl).start();
    let mounts = [start("--ttl=0"), start("--ttl=60")];
    client.put(KEY, "0\n");
    let begun = Instant::now();
    let all = STYLES.iter().flat_map(|style| {
        let each = |mount: &Mounted| increments(style, mount.path(), EACH);
        mounts.iter().map(each)
    });
    let running: Vec<_> = all.map(Script::start).collect();
    let mut foreign = Vec::new();
    while foreign.len() < EACH {
        let now = client.get(KEY).unwrap();
        let value = now.text().trim().parse::<u64>().unwrap() + 1;
        if let Put::Saved(_) = client.put_if_match(KEY, format!("{value}\n"), &now.etag) {
            foreign.push(value);
        }
    }
    let mut total = Total::of(running.into_iter().map(Running::finish).collect());
    total.acknowledged.extend(foreign);
    let styles = "all styles at once";
    total.report(
        "two mounts and a foreign client",
        styles,
        &client,
        begun.elapsed(),
    );
    total.check(7 * EACH, &client);
    assert!(total.refusals() > 0, "the writers never met");
    assert_eq!(client.keys(), [KEY], "no temporary file stays");
}

const PROCESSES: usize = 8;
const EACH: usize = 25;

/// Eight processes on one mount.
fn one_mount(what: &str, scripts: impl Fn(&str, &Path) -> Vec<Script>) {
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let client = bucket.client();
    let mount = Mount::of(&bucket).flat().start();
    for style in STYLES {
        let begun = Instant::now();
        client.put(KEY, "0\n");
        let total = at_once(scripts(style, mount.path()));
        total.report(what, style, &client, begun.elapsed());
        total.check(PROCESSES * EACH, &client);
        assert!(total.refusals() > 0, "the writers never met");
    }
    assert_eq!(client.keys(), [KEY], "no temporary file stays");
}

#[test]
fn eight_processes_of_one_script_lose_no_increment() {
    one_mount("one mount, 8 processes of one group", |style, directory| {
        let one = format!("python3 {PROGRAM} {style} {KEY} {EACH} &\n");
        // `wait PID` tells the status of that process, plain `wait` does not.
        let each = format!("{one}pids=\"$pids $!\"\n").repeat(PROCESSES);
        let text =
            format!("{each}for pid in $pids; do wait $pid || failed=1; done\nexit ${{failed:-0}}");
        vec![script(&text, directory)]
    });
}

#[test]
fn eight_processes_at_eight_prompts_lose_no_increment() {
    one_mount("one mount, 8 processes of 8 groups", |style, directory| {
        (0..PROCESSES)
            .map(|_| increments(style, directory, EACH))
            .collect()
    });
}
