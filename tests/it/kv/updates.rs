//! `update`: the read-modify-write loop, on URLs, in mounts and on ordinary files.

use std::path::Path;

use serde_json::Value as Json;

use super::{Desk, fails};
use crate::world::mounts::{self, Mount};
use crate::world::procs::Running;
use crate::world::proxy::{Fault, Gate, Op, When};
use crate::world::report;
use crate::world::servers::Kind;
use crate::world::wait;

#[test]
fn update_pipes_a_value_through_a_command() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "b\na\n");
    desk.says("etagfs update $S/key -- sort");
    assert_eq!(desk.other.text(&desk.object("key")), "a\nb\n");
    assert_eq!(desk.says("etagfs update --print $S/key -- wc -l"), "2\n");
    // What cannot be seen from the value is in the environment.
    desk.says("etagfs update $S/key -- sh -c 'echo $ETAGFS_KEY $ETAGFS_ETAG'");
    let text = desk.other.text(&desk.object("key"));
    assert!(
        text.ends_with("\"\n") && text.starts_with("s3://"),
        "{text}"
    );
}

#[test]
fn update_of_a_missing_key_begins_with_nothing_and_creates_it() {
    let desk = or_skip!(Desk::new());
    let json = desk.says("etagfs update --json $S/key -- cat");
    let json: Json = serde_json::from_str(&json).unwrap();
    assert_eq!(json["changed"], false);
    assert_eq!(desk.other.get(&desk.object("key")), None);
    desk.says("etagfs update $S/key -- sh -c 'wc -c'");
    assert_eq!(desk.other.text(&desk.object("key")), "0\n");
}

#[test]
fn a_command_that_fails_leaves_the_value_and_gives_its_exit_code() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "old");
    for (command, code, words) in [
        ("sh -c 'echo new; exit 9'", 9, "exit status: 9"),
        ("sh -c 'echo new; kill -TERM $$'", 143, "signal: 15"),
        ("/no/such/program", 127, "does not start"),
        ("/etc/passwd", 126, "does not start"),
    ] {
        let out = desk.run(&format!("etagfs update $S/key -- {command}"));
        fails(&out, code, &[words, "/key was left as it was"]);
        assert_eq!(desk.other.text(&desk.object("key")), "old");
    }
    let late = desk.run("etagfs update --timeout 1 $S/key -- sleep 100");
    fails(
        &late,
        75,
        &["time was up", "was left as it was", "--timeout"],
    );
}

#[test]
fn a_command_may_leave_its_input_unread_and_print_much() {
    let desk = or_skip!(Desk::new());
    let much = "x".repeat(3 << 20);
    desk.other.put(&desk.object("key"), much.clone());
    desk.says("etagfs update $S/key -- sh -c 'cat; echo end'");
    assert_eq!(desk.other.text(&desk.object("key")).len(), much.len() + 4);
    desk.says("etagfs update $S/key -- echo new");
    assert_eq!(desk.other.text(&desk.object("key")), "new\n");
}

#[test]
fn who_lost_runs_the_command_again_on_the_new_value() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "a");
    let gate = Gate::new();
    let held = When::op(Op::Put).once();
    desk.proxy.inject(held, Fault::HoldRequest(gate.clone()));
    let update = "etagfs update --json $S/key -- sh -c 'cat; printf x'";
    let running = desk.script(update).start();
    gate.wait_for(1);
    desk.other.put(&desk.object("key"), "b");
    gate.open();
    let json: Json = serde_json::from_str(&running.finish().ok().stdout).unwrap();
    assert_eq!(
        (&json["tries"], &json["changed"]),
        (&2.into(), &true.into())
    );
    assert_eq!(desk.other.text(&desk.object("key")), "bx");
}

#[test]
fn who_loses_too_often_gives_up() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "a");
    desk.proxy
        .inject(When::op(Op::Put), Fault::Answer(412, "PreconditionFailed"));
    let out = desk.run("etagfs update --retries 2 $S/key -- echo x");
    fails(
        &out,
        75,
        &["/key was saved by others", "after 3 tries", "--timeout"],
    );
    // Whatever it is doing when the time is up.
    let out = desk.run("etagfs update --timeout 0.2 $S/key -- echo x");
    fails(&out, 75, &["/key", "--timeout"]);
}

#[test]
fn updates_of_an_ordinary_file_exclude_each_other() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(dir.path().join("counter"), &link).unwrap();
    let start = |file: &Path| -> Running {
        let text = "for i in $(seq 20); do etagfs update $F -- sh -c 'read n; echo $((n + 1))' || exit 1; done";
        desk.script(text).env("F", file).within(dir.path()).start()
    };
    // Nobody has made it yet, and it has more than one name.
    let names = [Path::new("counter"), &link, Path::new("./counter")];
    let all: Vec<_> = names.into_iter().map(start).collect();
    for running in all {
        running.finish().ok();
    }
    let counter = std::fs::read_to_string(dir.path().join("counter")).unwrap();
    assert_eq!(counter, "60\n");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!(link.is_symlink());
}

/// Eight processes, fifty increments each, half of them without a mount, the other half through two.
#[test]
fn no_update_is_lost_under_contention() {
    const WRITERS: usize = 8;
    const TIMES: usize = 50;
    or_skip!(mounts::possible());
    let desk = or_skip!(Desk::on(Kind::Ministack));
    desk.other.put(&desk.object("counter"), "0\n");
    let mount = || Mount::of(&desk.bucket).store(&desk.store).start();
    let (one, other) = (mount(), mount());
    let run = |target: &Path| {
        let text = format!(
            "for i in $(seq {TIMES}); do
               etagfs update --timeout 600 --json '{}' -- sh -c 'echo $(($(cat) + 1))' || exit
             done",
            target.display()
        );
        let script = desk.script(&text.replace("'$S/counter'", "$S/counter"));
        script.deadline(std::time::Duration::from_secs(900)).start()
    };
    let url = Path::new("$S/counter").to_owned();
    let (first, second) = (one.file("counter"), other.file("counter"));
    let targets = [&url, &first, &url, &second];
    let started = std::time::Instant::now();
    let all: Vec<_> = (0..WRITERS)
        .map(|writer| (writer, run(targets[writer % targets.len()])))
        .collect();
    let mut tries = [0, 0];
    for (writer, running) in all {
        let out = running.finish().ok();
        let lines: Vec<Json> = out
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), TIMES, "{out:#?}");
        let own: u64 = lines
            .iter()
            .map(|line| line["tries"].as_u64().unwrap())
            .sum();
        tries[writer % 2] += own;
    }
    assert_eq!(desk.other.text(&desk.object("counter")), "400\n");
    let each = |tries: u64| tries as f64 / (WRITERS * TIMES / 2) as f64;
    let line = format!(
        "update, {WRITERS} processes x {TIMES}: 400 of 400 in {:.0} s; tries per success: {:.2} by URL, {:.2} in mounts",
        started.elapsed().as_secs_f32(),
        each(tries[0]),
        each(tries[1]),
    );
    println!("{line}");
    report::append_line("contention", &line);
    one.unmount();
    other.unmount();
}

/// The command lines of processes that hold this word.
pub(super) fn running(word: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|process| std::fs::read(process.ok()?.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(word))
        .count()
}

/// A word that no other process has in its arguments: a number of seconds.
pub(super) fn seconds() -> String {
    format!("9{}", uuid::Uuid::new_v4().as_u128() % 1_000_000_000)
}

#[test]
fn what_a_command_has_started_ends_with_it_when_the_time_is_up() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "old");
    let long = seconds();
    for command in [
        format!("sh -c 'sleep {long} & sleep {long}'"),
        format!("sh -c 'trap \"\" TERM; sleep {long}; sleep {long}'"),
        format!("sh -c 'sleep {long} | sleep {long}'"),
        format!("timeout 99 sleep {long}"),
    ] {
        let out = desk.run(&format!("etagfs update --timeout 1 $S/key -- {command}"));
        let words = ["time was up", "was left as it was", "--timeout"];
        fails(&out, 75, &words);
        wait::until("all have ended", wait::SOON, || running(&long) == 0);
    }
    assert_eq!(desk.other.text(&desk.object("key")), "old");
}

#[test]
fn a_signal_ends_the_command_too_and_leaves_the_value() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "old");
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let long = seconds();
        let script = format!(
            "exec python3 -c 'import signal, os; signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execvp(\"etagfs\", [\"etagfs\", \"update\", os.environ[\"S\"] + \"/key\", \"--\", \"sh\", \"-c\", \"sleep {long} & sleep {long}\"])'"
        );
        let started = desk.script(&script).start();
        wait::until("the command runs", wait::SOON, || {
            running(&format!("sleep\0{long}")) == 2
        });
        desk.run(&format!("kill -{signal} {}", started.pid())).ok();
        wait::until("it ends", wait::SOON, || started.ended());
        wait::until("all have ended", wait::SOON, || running(&long) == 0);
        let out = started.finish();
        fails(&out, code, &["ended by signal", "/key was left as it was"]);
    }
    assert_eq!(desk.other.text(&desk.object("key")), "old");
}

#[test]
fn what_a_command_leaves_running_is_not_waited_for() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "old");
    let long = seconds();
    let update =
        format!("etagfs update --timeout 20 $S/key -- sh -c 'cat; echo new; sleep {long} &'");
    desk.says(&update);
    assert_eq!(desk.other.text(&desk.object("key")), "oldnew\n");
    assert_eq!(running(&format!("sleep\0{long}")), 1);
    desk.run(&format!("kill $(pgrep -f '^sleep {long}$')")).ok();
    // All that was printed before counts, however much.
    let much = "etagfs update --timeout 60 $S/key -- sh -c 'head -c 3000000 /dev/zero; exit 0'";
    desk.says(much);
    assert_eq!(
        desk.other.get(&desk.object("key")).unwrap().bytes.len(),
        3_000_000
    );
}

#[test]
fn a_command_that_prints_without_end_is_ended() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "old");
    for command in [
        "cat /dev/zero",
        "yes",
        "sh -c 'yes; true'",
        "sh -c 'head -c 2M /dev/zero'",
    ] {
        let out = desk.run(&format!(
            "etagfs update --max-output 1M $S/key -- {command}"
        ));
        fails(
            &out,
            1,
            &[
                "printed more than 1048576 bytes",
                "was left as it was",
                "--max-output",
            ],
        );
    }
    assert_eq!(desk.other.text(&desk.object("key")), "old");
    desk.says("etagfs update --max-output 1M $S/key -- head -c 1M /dev/zero");
}

#[test]
fn a_command_that_wants_the_terminal_is_told_how_to_have_it() {
    let desk = or_skip!(Desk::new());
    desk.other.put(&desk.object("key"), "old");
    // script(1) makes a terminal, as whose owner a shell would run it.
    let with_terminal = |update: &str| {
        let script = format!("echo typed | script -qec '{update}' /dev/null");
        desk.run(&script)
    };
    let out = with_terminal(
        "etagfs update --timeout 30 $S/key -- sh -c \"read line < /dev/tty; echo \\$line\"",
    );
    assert_eq!(out.code, Some(1), "{out:#?}");
    assert!(
        out.stdout.contains("wants the terminal") && out.stdout.contains("--foreground"),
        "{out:#?}"
    );
    assert_eq!(desk.other.text(&desk.object("key")), "old");
    let out = with_terminal(
        "etagfs update --foreground --timeout 30 $S/key -- sh -c \"read line < /dev/tty; echo \\$line\"",
    );
    assert_eq!(out.code, Some(0), "{out:#?}");
    assert_eq!(desk.other.text(&desk.object("key")), "typed\n");
}
