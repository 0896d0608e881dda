//! Appends merge (W7): who only appends never loses a race that it can join, between machines and on
//! one, and no line is ever there twice. The rule alone is explored in `conflict_model`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::actor::{Actor, errno};
use super::kept;
use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::{Running, Script};
use crate::world::proxy::{Fault, Op, Proxy, When};
use crate::world::report;
use crate::world::servers::{self, Kind};

/// A mount, what it sends, two processes on it, and the rest of the world.
struct Machine {
    // Before the mount: an actor's directory keeps it busy.
    a: Actor,
    b: Actor,
    mount: Mounted,
    proxy: Proxy,
    other: Client,
}

impl Machine {
    fn new(arguments: &[&str]) -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        let proxy = Proxy::to(&bucket.endpoint);
        let mount = arguments
            .iter()
            .fold(Mount::of(&bucket).flat().through(&proxy), |mount, one| {
                mount.arg(one)
            })
            .start();
        Ok(Self {
            other: bucket.client(),
            a: Actor::within(mount.path()),
            b: Actor::within(mount.path()),
            proxy,
            mount,
        })
    }
}

#[test]
fn an_append_goes_behind_what_another_machine_saved() {
    let mut m = or_skip!(Machine::new(&[]));
    m.other.put_with("log", "old\n", "text/x-log", &[]);
    let a = m.a.open("log", "a");
    m.a.write(a, "mine\n").unwrap();
    m.other
        .put_with("log", "old\ntheirs\n", "text/x-other", &[("by", "them")]);
    m.a.close(a).unwrap();
    assert_eq!(m.other.text("log"), "old\ntheirs\nmine\n");
    let object = m.other.head("log").unwrap();
    assert_eq!(object.content_type.as_deref(), Some("text/x-other"));
    assert_eq!(object.metadata["by"], "them");
    assert_eq!(fs::metadata(m.mount.file("log")).unwrap().len(), 16);
    assert_eq!(m.a.cat("log"), "old\ntheirs\nmine\n");
    kept::only(&m.mount, &[]);
}

#[test]
fn an_append_goes_behind_what_its_own_machine_saved_and_asks_nobody() {
    let mut m = or_skip!(Machine::new(&[]));
    m.other.put("log", "old\n");
    let (a, b) = (m.a.open("log", "a"), m.b.open("log", "a"));
    m.a.write(a, "first\n").unwrap();
    m.b.write(b, "second\n").unwrap();
    m.b.close(b).unwrap();
    let mark = m.proxy.mark();
    m.a.close(a).unwrap();
    assert_eq!(m.proxy.since(mark).counts().line(), "PUT 1");
    assert_eq!(m.other.text("log"), "old\nsecond\nfirst\n");
    kept::only(&m.mount, &[]);
}

#[test]
fn two_who_create_a_file_by_appending_share_it() {
    let mut m = or_skip!(Machine::new(&[]));
    let (a, b) = (m.a.open("log", "a"), m.b.open("log", "a"));
    m.a.write(a, "a\n").unwrap();
    m.b.write(b, "b\n").unwrap();
    m.other.put("log", "theirs\n");
    m.a.close(a).unwrap();
    m.b.close(b).unwrap();
    assert_eq!(m.other.text("log"), "theirs\na\nb\n");
    // Nothing appended to what somebody else made meanwhile: nothing to save.
    let a = m.a.open("empty", "a");
    m.other.put("empty", "theirs\n");
    m.a.fsync(a).unwrap();
    m.a.close(a).unwrap();
    assert_eq!(m.other.text("empty"), "theirs\n");
    kept::only(&m.mount, &[]);
}

#[test]
fn an_append_to_a_key_that_was_deleted_creates_it() {
    let mut m = or_skip!(Machine::new(&[]));
    m.other.put("log", "old\n");
    let a = m.a.open("log", "a");
    m.a.write(a, "mine\n").unwrap();
    m.other.delete("log");
    m.a.close(a).unwrap();
    assert_eq!(m.other.text("log"), "mine\n");
    // Even by a process that has seen it.
    assert_eq!(m.b.cat("log"), "mine\n");
    m.other.delete("log");
    let b = m.b.open("log", "a");
    m.b.write(b, "again\n").unwrap();
    m.b.close(b).unwrap();
    assert_eq!(m.other.text("log"), "again\n");
    kept::only(&m.mount, &[]);
}

#[test]
fn only_what_was_appended_since_the_last_save_is_appended_again() {
    let mut m = or_skip!(Machine::new(&[]));
    m.other.put("log", "old\n");
    let a = m.a.open("log", "a");
    m.a.write(a, "one\n").unwrap();
    m.a.fsync(a).unwrap();
    m.other.put("log", "rotated\n");
    m.a.write(a, "two\n").unwrap();
    m.a.fsync(a).unwrap();
    assert_eq!(m.other.text("log"), "rotated\ntwo\n");
    m.a.write(a, "three\n").unwrap();
    m.a.close(a).unwrap();
    assert_eq!(m.other.text("log"), "rotated\ntwo\nthree\n");
    kept::only(&m.mount, &[]);
}

/// The size that the kernel remembers is that of the file with the loser's bytes in it.
#[test]
fn an_append_after_a_lost_one_begins_where_the_file_ends() {
    let mut m = or_skip!(Machine::new(&["--append-retries=2"]));
    m.other.put("log", "old\n");
    m.proxy.inject(
        When::op(Op::Put).key("log").times(3),
        Fault::Answer(412, "PreconditionFailed"),
    );
    let a = m.a.open("log", "a");
    let lost = "a line that is longer than the others\n";
    m.a.write(a, lost).unwrap();
    assert_eq!(m.a.close(a), errno("EAGAIN"));
    Script::bash("echo b >> log")
        .within(m.mount.path())
        .run()
        .ok();
    assert_eq!(m.other.text("log"), "old\nb\n");
    // What is kept is what was appended, and it says so.
    let kept = crate::world::rescues::of(m.mount.state_dir());
    assert_eq!(kept.len(), 1);
    assert_eq!(
        (kept[0].reason.as_str(), kept[0].bytes.as_str()),
        ("conflict", lost)
    );
    let json = m
        .mount
        .state_dir()
        .join("rescue")
        .join(format!("{}.json", kept[0].id));
    let record: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(record["appended"], true);
    assert_eq!(m.proxy.log().key("log").of(Op::Put).len(), 4);
}

#[test]
fn who_does_more_than_append_is_refused_like_anybody() {
    let mut m = or_skip!(Machine::new(&[]));
    for (key, mode) in [("cut", "a"), ("written", "r+"), ("exclusive", "xa")] {
        if mode != "xa" {
            m.other.put(key, "old\n");
        }
        let fd = m.a.open(key, mode);
        if key == "cut" {
            m.a.truncate(fd).unwrap();
        }
        m.a.write(fd, "mine\n").unwrap();
        m.other.put(key, "theirs\n");
        assert_eq!(m.a.close(fd), errno("EAGAIN"), "{key}");
        assert_eq!(m.other.text(key), "theirs\n");
    }
    let all = crate::world::rescues::of(m.mount.state_dir());
    assert_eq!(all.len(), 3);
}

#[test]
fn without_retries_an_append_is_refused_like_anything() {
    let mut m = or_skip!(Machine::new(&["--append-retries=0"]));
    m.other.put("log", "old\n");
    let a = m.a.open("log", "a");
    m.a.write(a, "mine\n").unwrap();
    m.other.put("log", "theirs\n");
    assert_eq!(m.a.close(a), errno("EAGAIN"));
    assert_eq!(m.other.text("log"), "theirs\n");
    assert_eq!(
        crate::world::rescues::of_key(m.mount.state_dir(), "log"),
        ["old\nmine\n"]
    );
}

#[test]
fn to_append_is_not_to_read() {
    let mut m = or_skip!(Machine::new(&[]));
    // Who never read it stays blind.
    m.other.put("log", "old\n");
    let a = m.a.open("log", "a");
    m.a.write(a, "mine\n").unwrap();
    m.other.put("log", "theirs\n");
    m.a.close(a).unwrap();
    m.other.put("log", "newer\n");
    m.a.save("log", "replaced\n").unwrap();
    assert_eq!(m.other.text("log"), "replaced\n");
    // Who read it has not read what it appended to.
    m.other.put("log", "one\n");
    assert_eq!(m.b.cat("log"), "one\n");
    let b = m.b.open("log", "a");
    m.b.write(b, "mine\n").unwrap();
    m.other.put("log", "one\ntwo\n");
    m.b.close(b).unwrap();
    assert_eq!(m.b.save("log", "replaced\n"), errno("EAGAIN"));
    assert_eq!(m.other.text("log"), "one\ntwo\nmine\n");
}

#[test]
fn an_append_whose_reply_was_lost_is_there_once() {
    let mut m = or_skip!(Machine::new(&["--deadline=5"]));
    m.other.put("log", "old\n");
    let a = m.a.open("log", "a");
    m.a.write(a, "mine\n").unwrap();
    m.other.put("log", "old\ntheirs\n");
    // The first attempt is refused, and the answer to the merged one is lost.
    m.proxy
        .inject(When::op(Op::Put).key("log").nth(2), Fault::LoseReply);
    m.a.close(a).unwrap();
    assert_eq!(m.other.text("log"), "old\ntheirs\nmine\n");
    kept::only(&m.mount, &[]);
}

/// Nothing proves whether the line that was buried under other versions is in them: it is not put
/// there again.
#[test]
fn an_append_of_unknown_fate_is_not_repeated() {
    let mut m = or_skip!(Machine::new(&["--deadline=5"]));
    m.other.put("log", "old\n");
    let a = m.a.open("log", "a");
    m.a.write(a, "mine\n").unwrap();
    m.proxy
        .inject(When::op(Op::Put).key("log").once(), Fault::LoseReply);
    // The look that follows finds another version on top.
    let bury = crate::world::proxy::Gate::new();
    m.proxy.inject(
        When::any()
            .key("log")
            .and(|request| matches!(request.op, Op::Head | Op::Get))
            .once(),
        Fault::HoldRequest(bury.clone()),
    );
    m.a.begin(&serde_json::json!(["close", a]));
    bury.wait_for(1);
    m.other.put("log", "old\nmine\ntheirs\n");
    bury.open();
    assert_eq!(m.a.end().map(drop), errno("EIO"));
    assert_eq!(m.other.text("log"), "old\nmine\ntheirs\n");
    assert_eq!(
        crate::world::rescues::of_key(m.mount.state_dir(), "log"),
        ["mine\n"]
    );
}

/// How often each line is in the log.
fn lines(log: &str) -> BTreeMap<&str, usize> {
    let mut lines = BTreeMap::new();
    for line in log.lines() {
        *lines.entry(line).or_default() += 1;
    }
    lines
}

/// Says which lines were acknowledged, each by exit code 0.
const APPENDER: &str = "
for i in $(seq $TIMES); do
    if /bin/echo \"$NAME $i\" >> log; then echo \"$NAME $i\"; else echo \"FAILED $NAME $i\"; fi
done";

fn appenders(mounts: &[Mounted], each: usize, times: usize) -> Vec<String> {
    let running: Vec<_> = mounts
        .iter()
        .enumerate()
        .flat_map(|(m, mount)| {
            (0..each).map(move |n| (mount, format!("mount {m} process {n} line")))
        })
        .map(|(mount, name)| {
            Script::bash(APPENDER)
                .within(mount.path())
                .env("NAME", name)
                .env("TIMES", times.to_string())
                .deadline(Duration::from_secs(900))
                .start()
        })
        .collect();
    let outputs = running.into_iter().map(Running::finish);
    outputs
        .flat_map(|out| {
            out.ok()
                .stdout
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn every_line_of_many_appenders_on_two_machines_is_there_once() {
    const EACH: usize = 3;
    const TIMES: usize = 12;
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let mounts = [
        Mount::of(&bucket).flat().start(),
        Mount::of(&bucket).flat().start(),
    ];
    let acknowledged = appenders(&mounts, EACH, TIMES);
    let log = bucket.client().text("log");
    let found = lines(&log);
    assert_eq!(acknowledged.len(), 2 * EACH * TIMES);
    for line in &acknowledged {
        assert!(!line.starts_with("FAILED"), "{line}");
        assert_eq!(found.get(line.as_str()), Some(&1), "{line}\n{log}");
    }
    assert_eq!(found.len(), acknowledged.len());
    for mount in &mounts {
        kept::only(mount, &[]);
    }
}

/// Each put is sent twice, and the second answer, a refusal, is passed on.
#[test]
fn through_a_duplicating_proxy_there_are_as_many_lines_as_were_acknowledged() {
    or_skip!(mounts::possible());
    for (each, times) in [(1, 30), (3, 12)] {
        let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
        let proxy = Proxy::to(&bucket.endpoint);
        let twice = proxy.inject(When::write(), Fault::ForwardTwice);
        let start = || Mount::of(&bucket).flat().through(&proxy).start();
        let mounts = [start(), start()];
        let acknowledged = appenders(&mounts, each, times);
        let log = bucket.client().text("log");
        let found = lines(&log);
        let line = format!(
            "appends through a duplicating proxy, {each} on each of two machines: {} acknowledged = {} lines; {} writes sent twice",
            acknowledged.len(),
            log.lines().count(),
            twice.struck(),
        );
        println!("{line}");
        report::append_line("doubled", &line);
        assert_eq!(acknowledged.len(), 2 * each * times);
        for line in &acknowledged {
            assert_eq!(found.get(line.as_str()), Some(&1), "{line}\n{log}");
        }
        assert_eq!(log.lines().count(), acknowledged.len());
        for mount in &mounts {
            kept::only(mount, &[]);
        }
    }
}

#[test]
fn lost_replies_never_duplicate_a_line() {
    const EACH: usize = 2;
    const TIMES: usize = 12;
    or_skip!(mounts::possible());
    let bucket = or_skip!(servers::shared(Kind::Embedded)).bucket();
    let proxy = Proxy::to(&bucket.endpoint);
    bucket.client().put("log", "");
    for (nth, fault) in (4..200)
        .step_by(5)
        .zip([Fault::LoseReply, Fault::Refuse].into_iter().cycle())
    {
        proxy.inject(When::op(Op::Put).key("log").nth(nth), fault);
    }
    let start = || {
        Mount::of(&bucket)
            .flat()
            .through(&proxy)
            .arg("--deadline=5")
            .start()
    };
    let mounts = [start(), start()];
    let all = appenders(&mounts, EACH, TIMES);
    let log = bucket.client().text("log");
    let found = lines(&log);
    assert_eq!(all.len(), 2 * EACH * TIMES);
    let mut failed = 0;
    for line in &all {
        match line.strip_prefix("FAILED ") {
            // In doubt: perhaps there, but not twice.
            Some(line) => {
                failed += 1;
                assert!(*found.get(line).unwrap_or(&0) <= 1, "{line}\n{log}");
            }
            None => assert_eq!(found.get(line.as_str()), Some(&1), "{line}\n{log}"),
        }
    }
    assert!(
        failed < all.len() / 2,
        "{failed} of {} are in doubt",
        all.len()
    );
}
