//! `mget`, `mput` and `mrm` below a directory (`--in DIR`): what a bucket holds is written there, or nowhere.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value as Json;

use super::Desk;
use crate::world::procs::Output;

fn told(out: &Output, field: &str) -> Vec<String> {
    let lines = out.stdout.lines();
    lines
        .map(|line| {
            let line: Json = serde_json::from_str(line).unwrap();
            line[field].as_str().unwrap_or_default().to_owned()
        })
        .collect()
}

/// Whoever may write in the directory changes what a name is, from a file to a link and back, as fast as it can.
#[test]
fn a_name_that_changes_meanwhile_leads_nowhere_else() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("in")).unwrap();
    fs::write(at("victim"), "secret").unwrap();
    let done = AtomicBool::new(false);
    let (written, read, deleted, flips) = thread::scope(|scope| {
        let flipping = scope.spawn(|| {
            let mut flips = 0_u64;
            while !done.load(Ordering::Relaxed) {
                fs::write(at("in/file"), "").unwrap();
                fs::rename(at("in/file"), at("in/x")).unwrap();
                symlink("../victim", at("in/link")).unwrap();
                fs::rename(at("in/link"), at("in/x")).unwrap();
                flips += 1;
            }
            flips
        });
        let run = |text: &str| desk.script(text).within(dir.path()).run();
        let written = run(
            "seq 1500 | jq -c '{key: \"x\", value: (\"EVIL\" + tostring)}' | etagfs mput --in in",
        );
        let read = run("seq 1500 | sed 's/.*/x/' | etagfs mget --in in");
        let deleted = run("seq 300 | sed 's/.*/x/' | etagfs mrm --in in");
        done.store(true, Ordering::Relaxed);
        (written, read, deleted, flipping.join().unwrap())
    });
    let count = |out: &Output, status: &str| {
        let found = told(out, "status");
        found.iter().filter(|one| *one == status).count()
    };
    println!(
        "{flips} changes: {} of 1500 written, {} read, {} of 300 deleted; the others failed",
        count(&written, "saved"),
        count(&read, "found"),
        count(&deleted, "removed"),
    );
    assert_eq!(fs::read_to_string(at("victim")).unwrap(), "secret");
    let lines = [&written, &read, &deleted].map(|out| out.stdout.lines().count());
    assert_eq!(lines, [1500, 1500, 300], "{:.900}", written.stderr);
    assert!(!read.stdout.contains("secret"), "{:.900}", read.stdout);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_name_that_no_file_can_have_is_not_taken_for_another() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| desk.script(text).within(dir.path()).run();
    run("mkdir -p in/d; echo old > in/a; echo old > in/d/b").ok();
    let names = ["a/", "a/.", "./a", "d//b", "d/./b", "d/b/", "d/", "."];
    let quoted = names.map(|name| format!("{name:?}")).join(" ");
    let keys = format!("printf '%s\\n' {quoted}");
    let with_values =
        "jq -Rc '{key: ., value: \"new\"}'; echo '{\"key\": \"\", \"value\": \"new\"}'";
    for (script, lines) in [
        (format!("{keys} | etagfs mget --in in"), 8),
        (format!("{keys} | etagfs mrm --in in"), 8),
        (format!("{keys} | ({with_values}) | etagfs mput --in in"), 9),
    ] {
        let out = run(&script);
        assert_eq!(told(&out, "status"), vec!["failed"; lines], "{out:#?}");
        for message in told(&out, "message") {
            assert!(message.contains("names no file"), "{message}");
        }
    }
    assert_eq!(run("cat in/a in/d/b").ok().stdout, "old\nold\n");
    // In a bucket they are keys like all others.
    let out =
        run("printf '%s\\n' a/ d//b ./a | jq -Rc '{key: ., value: \"new\"}' | etagfs mput --in $S")
            .ok();
    assert_eq!(told(&out, "status"), ["saved"; 3]);
    let keys = ["", "./a", "a/", "d//b"].map(|key| desk.object(key));
    assert_eq!(desk.other.keys(), keys);
}

#[test]
fn below_a_directory_nobody_waits_for_a_pipe() {
    let desk = or_skip!(Desk::new());
    let dir = tempfile::tempdir().unwrap();
    let run = |text: &str| desk.script(text).within(dir.path()).run();
    run("mkdir in; mkfifo in/pipe; mkdir in/dir; ln -s pipe in/link; echo 1 > in/file").ok();
    let keys = "printf '%s\\n' pipe dir link file";
    for (script, last) in [
        (format!("{keys} | timeout 30 etagfs mget --in in"), "found"),
        (
            format!("{keys} | jq -Rc '{{key: ., value: \"2\"}}' | timeout 30 etagfs mput --in in"),
            "saved",
        ),
        (
            format!(
                "{keys} | jq -Rc '{{key: ., value: \"2\"}}' | timeout 30 etagfs mput --create --in in"
            ),
            "conflict",
        ),
        (format!("{keys} | timeout 30 etagfs mrm --in in"), "removed"),
    ] {
        let out = run(&script);
        let (refused, code) = match last {
            // They exist, whatever they are.
            "conflict" => ("conflict", 75),
            _ => ("failed", 1),
        };
        assert_eq!(out.code, Some(code), "{out:#?}");
        let status = told(&out, "status");
        assert_eq!(status, [refused, refused, refused, last], "{out:#?}");
    }
    assert_eq!(run("ls in").ok().stdout, "dir\nlink\npipe\n");
    // A pipe that the user names is read like any file.
    let script = "etagfs cp <(printf piped) $S/k; etagfs get $S/k; printf more | etagfs cp /dev/stdin $S/k; etagfs get $S/k";
    assert_eq!(run(script).ok().stdout, "pipedmore");
}
