//! `watch`: every change is told, by a line or by a command.

use super::{Desk, fails};
use crate::world::proxy::{Fault, Op, When};
use crate::world::wait;

#[test]
fn watch_tells_of_changes_of_a_key() {
    let desk = or_skip!(Desk::new());
    let watch = "etagfs watch --initial --interval 0.01 --count 4 $S/key";
    let running = desk.script(watch).start();
    let seen = |lines: usize| {
        wait::until("the watcher has told", wait::SOON, || {
            running.stdout_so_far().lines().count() >= lines
        });
    };
    let first = desk.other.put(&desk.object("key"), "1");
    seen(1);
    desk.other.put(&desk.object("key"), "");
    seen(2);
    desk.other.delete(&desk.object("key"));
    seen(3);
    desk.other.put(&desk.object("key"), "3");
    let out = running.finish().ok();
    let lines: Vec<serde_json::Value> = out
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<_> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(events, ["created", "changed", "deleted", "created"]);
    assert_eq!(
        (&lines[0]["etag"], lines[2]["etag"].is_null()),
        (&first.into(), true)
    );
}

#[test]
fn watch_of_a_prefix_runs_a_command_for_each_change() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("jobs/old"), "1");
    desk.other.put(&desk.object("else"), "1");
    let watch = "etagfs watch --interval 0.01 --count 3 $S/jobs/ -- sh -c 'echo $ETAGFS_EVENT ${ETAGFS_KEY##*/} $ETAGFS_ETAG; exit 1'";
    let mark = desk.proxy.mark();
    let running = desk.script(watch).start();
    // The beginning has been seen when it asks a second time.
    wait::until("it watches", wait::SOON, || {
        desk.proxy.since(mark).of(Op::List).len() > 2
    });
    desk.other.put(&desk.object("jobs/a"), "1");
    desk.other.put(&desk.object("else"), "2");
    wait::until("the watcher has told", wait::SOON, || {
        running.stdout_so_far().lines().count() >= 1
    });
    // An outage is told once and waited out.
    let outage = desk
        .proxy
        .inject(When::op(Op::List), Fault::access_denied());
    outage.wait_for(3);
    desk.other.delete(&desk.object("jobs/old"));
    outage.remove();
    wait::until("the watcher has told", wait::SOON, || {
        running.stdout_so_far().lines().count() >= 2
    });
    let etag = desk.other.put(&desk.object("jobs/a"), "2");
    let out = running.finish().ok();
    let lines: Vec<_> = out.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{out:#?}");
    assert!(lines[0].starts_with("created a \""), "{out:#?}");
    assert_eq!(
        (lines[1], lines[2]),
        ("deleted old", &*format!("changed a {etag}"))
    );
    assert_eq!(out.stderr.matches("going on").count(), 1, "{out:#?}");
}

#[test]
fn what_cannot_be_watched_from_the_beginning_is_no_outage() {
    let desk = or_skip!(Desk::new());
    for options in ["", "--initial", "--since x"] {
        let out = desk.run(&format!(
            "timeout 20 etagfs watch {options} s3://no-such-bucket-here/${{S##*/}}/key"
        ));
        fails(&out, 1, &["no-such-bucket-here"]);
    }
}

#[test]
fn watch_since_a_version_misses_nothing() {
    let desk = or_skip!(Desk::new());
    let old = desk.other.put(&desk.object("key"), "1");
    desk.other.put(&desk.object("key"), "2");
    let out = desk
        .run(&format!("etagfs watch --count 1 --since '{old}' $S/key"))
        .ok();
    assert!(out.stdout.contains("changed"), "{out:#?}");
    let many = desk.run(&format!("etagfs watch --since '{old}' $S/"));
    assert_eq!(many.code, Some(2), "{many:#?}");
}

#[test]
fn watching_an_unchanged_key_moves_no_bytes_and_ends_with_its_reader() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "x".repeat(100_000));
    let mark = desk.proxy.mark();
    let running = desk.script("etagfs watch --interval 0.01 $S/key").start();
    wait::until("it asks", wait::SOON, || {
        desk.proxy.since(mark).of(Op::Get).len() > 4
    });
    let asked = desk.proxy.since(mark).of(Op::Get);
    assert!(asked.iter().all(|get| get.received < 1000), "{asked:#?}");
    assert_eq!(asked[2].status, Some(304));
    running.kill();
    // Whoever has read enough leaves.
    let change = "(while :; do echo $RANDOM | etagfs put $S/key >/dev/null; done) & writer=$!
        etagfs watch --interval 0.01 $S/key | head -n 1 > /dev/null; kill $writer";
    desk.run(change).ok();
}

#[test]
fn watch_of_a_file_tells_of_its_changes_and_a_directory_is_refused() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let watch = "etagfs watch --initial --interval 0.01 --count 2 f";
    let running = desk.script(watch).within(dir.path()).start();
    // At once: empty first and then written would be two changes to who looks in between.
    std::fs::write(dir.path().join("new"), "1").unwrap();
    std::fs::rename(dir.path().join("new"), dir.path().join("f")).unwrap();
    wait::until("the watcher has told", wait::SOON, || {
        running.stdout_so_far().lines().count() >= 1
    });
    std::fs::remove_file(dir.path().join("f")).unwrap();
    let out = running.finish().ok();
    assert!(
        out.stdout.contains("created") && out.stdout.contains("deleted"),
        "{out:#?}"
    );
    let out = desk.script("etagfs watch .").within(dir.path()).run();
    fails(&out, 2, &["is a directory"]);
}

#[test]
fn a_file_without_a_version_is_told_without_an_etag() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let watch = "echo 1 > f; etagfs watch --initial --count 1 f; echo 2 > $'g\\xff'
        etagfs watch --initial --count 1 $'g\\xff'
        etagfs watch --initial --count 1 f -- sh -c 'echo \"[$ETAGFS_ETAG]\"'";
    let out = desk.script(watch).within(dir.path()).run().ok();
    let lines: Vec<_> = out.stdout.lines().collect();
    let told = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    assert_eq!(
        (&told(lines[0])["target"], &told(lines[0])["etag"]),
        (&"f".into(), &serde_json::Value::Null)
    );
    assert_eq!(told(lines[1])["target_base64"], "Z/8=");
    assert_eq!(lines[2], "[]");
    let since = desk
        .script("etagfs watch --since x f")
        .within(dir.path())
        .run();
    fails(&since, 2, &["f has no version"]);
}
