//! `tail -f` and `tail -F` of a log that many machines append to (R2): every line once, in order, and at
//! most one request in the TTL.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use tempfile::NamedTempFile;

use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::proxy::{Mark, Op, Proxy};
use crate::world::servers::{self, Bucket, Kind};
use crate::world::tied::{self, OnOurDeath, Tied};
use crate::world::{cli, report, wait};

/// A mount of a bucket, through a proxy that counts.
struct Machine {
    mount: Mounted,
    proxy: Proxy,
    start: Mark,
}

impl Machine {
    fn of(bucket: &Bucket) -> Self {
        Self::with(bucket, &[])
    }

    fn with(bucket: &Bucket, arguments: &[&str]) -> Self {
        let proxy = Proxy::to(&bucket.endpoint);
        let mount = Mount::of(bucket).through(&proxy).flat().args(arguments);
        Self {
            mount: mount.start(),
            start: proxy.mark(),
            proxy,
        }
    }

    /// Runs a script in the mount.
    fn run(&self, script: &str) -> String {
        let script = Script::bash(script).within(self.mount.path());
        script.run().ok().stdout
    }

    /// `tail` of a file of the mount, from its first line on.
    fn tail(&self, how: &str, name: &str) -> Tail {
        let [out, err] = [(); 2].map(|()| NamedTempFile::new().unwrap());
        let mut tail = tied::command("tail", OnOurDeath::Kill);
        tail.args(["-n", "+1", "-s", "0.1", how])
            .arg(self.mount.file(name))
            .stdin(Stdio::null())
            .stdout(out.reopen().unwrap())
            .stderr(err.reopen().unwrap());
        Tail {
            out,
            err,
            _process: tied::spawn(tail),
        }
    }

    /// How often a key was read, and how often on condition, since a moment.
    fn readings(&self, key: &str, since: Mark) -> (usize, usize) {
        let gets = self.proxy.since(since).key(key).of(Op::Get);
        let conditional = gets.iter().filter(|get| get.if_none_match().is_some());
        (gets.len(), conditional.count())
    }
}

struct Tail {
    out: NamedTempFile,
    err: NamedTempFile,
    _process: Tied,
}

impl Tail {
    fn shown(&self) -> String {
        fs::read_to_string(self.out.path()).unwrap()
    }

    fn said(&self) -> String {
        fs::read_to_string(self.err.path()).unwrap()
    }

    #[track_caller]
    fn shows(&self, all: &str) {
        wait::until("tail shows all", wait::SOON, || {
            self.shown().len() >= all.len()
        });
        assert_eq!(self.shown(), all, "{}", self.said());
    }
}

fn bucket() -> Result<(Bucket, Client), String> {
    mounts::possible()?;
    let bucket = servers::shared(Kind::Embedded)?.bucket();
    let client = bucket.client();
    Ok((bucket, client))
}

#[test]
fn tail_on_two_machines_shows_every_line_once_and_in_order_whoever_appends() {
    let (bucket, other) = or_skip!(bucket());
    let state = tempfile::tempdir().unwrap();
    other.put("log", "first\n");
    let machines = [Machine::of(&bucket), Machine::of(&bucket)];
    let tails = machines
        .each_ref()
        .map(|machine| ["-f", "-F"].map(|how| machine.tail(how, "log")));
    for tail in tails.iter().flatten() {
        tail.shows("first\n");
    }

    // Nobody but the command appends: what the mounts send now, they send to follow.
    let marks = machines.each_ref().map(|machine| machine.proxy.mark());
    let began = Instant::now();
    let append = "for n in $(seq 40); do echo \"line $n\" | etagfs append --flat $S; done";
    cli::script(&bucket, state.path(), append)
        .env("S", format!("s3://{}/log", bucket.name))
        .run()
        .ok();
    let all = other.text("log");
    assert_eq!(all.lines().count(), 41);
    for tail in tails.iter().flatten() {
        tail.shows(&all);
    }
    let seconds = began.elapsed().as_secs() + 1;
    for (machine, mark) in machines.iter().zip(marks) {
        let (gets, conditional) = machine.readings("log", mark);
        let counts = machine.proxy.since(mark).counts();
        report::append_line(
            "tail",
            &format!(
                "40 lines by `etagfs append`, 2 tails of a mount: {gets} GETs ({conditional} conditional) in {seconds} s; all: {}",
                counts.line()
            ),
        );
        // Of `tail -F`, which opens the file anew when nothing has changed, there are look-ups too.
        assert!(gets as u64 <= 2 * seconds + 2, "{gets} in {seconds} s");
        assert_eq!(gets, conditional);
    }

    // Now everybody.
    let append = "for n in $(seq 10); do echo \"$NAME $n\" >> log; done";
    std::thread::scope(|scope| {
        for (machine, name) in machines.iter().zip(["one", "two"]) {
            scope.spawn(move || machine.run(&format!("NAME={name}; {append}")));
        }
        let append = "for n in $(seq 10); do echo \"command $n\" | etagfs append --flat $S; done";
        cli::script(&bucket, state.path(), append)
            .env("S", format!("s3://{}/log", bucket.name))
            .run()
            .ok();
    });
    let all = other.text("log");
    assert_eq!(all.lines().count(), 71);
    for tail in tails.iter().flatten() {
        tail.shows(&all);
        assert_eq!(tail.said(), "");
    }
}

#[test]
fn a_tail_that_waits_asks_once_in_the_ttl_however_many_wait() {
    let (bucket, other) = or_skip!(bucket());
    other.put("log", "first\n");
    let machine = Machine::with(&bucket, &["--ttl=2"]);
    let tails = [(); 3].map(|()| machine.tail("-f", "log"));
    for tail in &tails {
        tail.shows("first\n");
    }
    let mark = machine.proxy.mark();
    let began = Instant::now();
    wait::until("three questions", wait::SOON, || {
        machine.readings("log", mark).0 >= 3
    });
    let waited = began.elapsed().as_secs_f64();
    let (gets, conditional) = machine.readings("log", mark);
    report::append_line(
        "tail",
        &format!("3 tails of a mount wait, --ttl=2: {gets} conditional GETs in {waited:.1} s"),
    );
    assert_eq!((gets, conditional), (3, 3));
    assert!(waited >= 3.9, "{waited}");
    assert_eq!(machine.proxy.since(mark).counts().total(), 3);
}

#[test]
fn a_log_that_was_emptied_or_replaced_or_rotated_is_read_anew_by_tail_of_its_name() {
    let (bucket, other) = or_skip!(bucket());
    let machine = Machine::of(&bucket);
    let begins = "the old log, which is longer\n";
    type Way<'a> = (&'a str, &'a dyn Fn(&str));
    let ways: [Way; 4] = [
        ("emptied", &|log| {
            machine.run(&format!("echo new > {log}"));
        }),
        ("replaced", &|log| {
            other.put(log, "new\n");
        }),
        ("removed", &|log| {
            machine.run(&format!("rm {log}; echo new > {log}"));
        }),
        ("rotated", &|log| {
            machine.run(&format!("mv {log} {log}.1; echo new >> {log}"));
        }),
    ];
    for (log, change) in ways {
        other.put(log, begins);
        let by_name = machine.tail("-F", log);
        let by_descriptor = machine.tail("-f", log);
        for tail in [&by_name, &by_descriptor] {
            tail.shows(begins);
        }
        change(log);
        by_name.shows(&format!("{begins}new\n"));
        let said = by_name.said();
        assert!(said.contains("following new file"), "{said}");
        machine.run(&format!("echo newer >> {log}"));
        by_name.shows(&format!("{begins}new\nnewer\n"));
        // Whoever holds the descriptor holds what it read, and nothing of it mixes with the new one.
        let said = by_descriptor.said();
        assert_eq!(
            (by_descriptor.shown().as_str(), said.as_str()),
            (begins, ""),
            "{log}"
        );
    }
}

#[test]
fn a_log_that_begins_while_it_is_followed_is_shown_from_its_first_line() {
    let (bucket, other) = or_skip!(bucket());
    let machine = Machine::of(&bucket);
    other.put("empty", "");
    let empty = machine.tail("-f", "empty");
    let absent = machine.tail("-F", "absent");
    wait::until("it says that there is none", wait::SOON, || {
        absent.said().contains("cannot open")
    });
    other.put("empty", "one\n");
    empty.shows("one\n");
    other.put("absent", "two\n");
    absent.shows("two\n");
    // A file that was created here and is not saved yet.
    let script = Script::python(
        "
import os, sys
log = open('created', 'a')
print('created', flush=True)
while not os.path.exists(os.environ['GO']): pass
log.write('three\\n'); log.close()",
    );
    let outside = tempfile::tempdir().unwrap();
    let go = outside.path().join("go");
    let writer = script.env("GO", &go).within(machine.mount.path()).start();
    wait::until("it is created", wait::SOON, || {
        writer.stdout_so_far() == "created\n"
    });
    let created = machine.tail("-f", "created");
    wait::until("tail has opened it", wait::SOON, || {
        fs::read_link(format!("/proc/{}/fd/3", created._process.pid())).is_ok()
    });
    fs::write(&go, "").unwrap();
    writer.finish().ok();
    created.shows("three\n");
}

#[test]
fn an_outage_does_not_end_a_tail() {
    let (bucket, other) = or_skip!(bucket());
    other.put("log", "first\n");
    let machine = Machine::with(&bucket, &["--deadline=1", "--ttl=0"]);
    let tail = machine.tail("-f", "log");
    tail.shows("first\n");
    let mark = machine.proxy.mark();
    machine.proxy.down();
    wait::until("it asks in vain", wait::SOON, || {
        machine.mount.log().contains("whether there is more")
    });
    machine.proxy.up();
    other.put("log", "first\nsecond\n");
    tail.shows("first\nsecond\n");
    assert_eq!(tail.said(), "");
    assert!(machine.readings("log", mark).0 > 0);
}

#[test]
fn a_cat_sends_nothing_more_for_the_end_that_it_comes_to() {
    let (bucket, other) = or_skip!(bucket());
    other.put("key", "value\n");
    let machine = Machine::with(&bucket, &["--ttl=0"]);
    assert_eq!(machine.run("cat key"), "value\n");
    let counts = machine.proxy.since(machine.start).counts();
    assert_eq!(
        (counts.of(Op::List), counts.of(Op::Get)),
        (1, 1),
        "{}",
        counts.line()
    );
}
