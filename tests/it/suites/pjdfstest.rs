//! `pjdfstest`: what POSIX says of each call, one test for each sentence. What a bucket cannot do fails,
//! and `pjdfstest-expected.txt` says which tests those are and why; nothing else may fail, and none of
//! those may pass unseen.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::Ground;
use crate::world::installed::built;
use crate::world::procs::Script;
use crate::world::report;

const EXPECTED: &str = include_str!("pjdfstest-expected.txt");

/// The calls that a mount offers. Left out: link, symlink, mkfifo, mknod (refused with EPERM), utimensat
/// (times are not stored), posix_fallocate, chflags and ACLs.
const CALLS: [&str; 9] = [
    "chmod",
    "chown",
    "ftruncate",
    "mkdir",
    "open",
    "rename",
    "rmdir",
    "truncate",
    "unlink",
];

/// The users exist on every Debian.
const CONFIGURATION: &str = r#"
[features]
[settings]
naptime = 0.02
allow_remount = false
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
"#;

/// Why a test may be skipped: it says so itself.
const SKIPS: [&str; 4] = [
    "requires features: rename_ctime",
    "Remounts (allow_remount) are not allowed",
    "requires features: file_flags",
    "Cannot get value for LINK_MAX",
];

/// Generous: it takes ten seconds on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(900);

/// A reason, and the tests that fail for it.
struct Reason {
    text: String,
    tests: Vec<&'static str>,
}

fn reasons() -> Vec<Reason> {
    // The first paragraph is about the file itself.
    let paragraphs = EXPECTED.split("\n\n").skip(1);
    paragraphs
        .map(|paragraph| {
            let (text, tests): (Vec<_>, Vec<_>) = paragraph
                .lines()
                .filter(|line| !line.is_empty())
                .partition(|line| line.starts_with("# "));
            let text = text.join(" ").replace("# ", "");
            assert!(!text.is_empty(), "no reason: {tests:?}");
            assert!(!tests.is_empty(), "nothing fails: {text}");
            Reason { text, tests }
        })
        .collect()
}

fn stands_for(expected: &str, name: &str) -> bool {
    match expected.strip_prefix('*') {
        Some(end) => name.ends_with(end),
        None => name == expected,
    }
}

/// What a test came to, and what it said.
struct Ended<'a> {
    verdict: &'a str,
    said: &'a str,
}

fn results(output: &str) -> BTreeMap<&str, Ended<'_>> {
    let mut results = BTreeMap::new();
    let mut lines = output.lines().peekable();
    while let Some(line) = lines.next() {
        let words: Vec<_> = line.split_whitespace().collect();
        if let [name, verdict @ ("ok" | "FAILED" | "skipped")] = words[..] {
            let said = lines.next_if(|line| line.starts_with('\t'));
            let said = said.unwrap_or_default().trim();
            results.insert(name, Ended { verdict, said });
        }
    }
    results
}

/// What is not as expected.
fn surprises(results: &BTreeMap<&str, Ended<'_>>, reasons: &[Reason]) -> Vec<String> {
    let mut surprises = Vec::new();
    let expected: Vec<_> = reasons.iter().flat_map(|reason| &reason.tests).collect();
    for (name, ended) in results {
        let is_expected = expected.iter().any(|it| stands_for(it, name));
        match (ended.verdict, is_expected) {
            ("FAILED", false) => surprises.push(format!("{name} fails: {}", ended.said)),
            ("ok", true) => surprises.push(format!("{name} passes: take it from the list")),
            ("skipped", _) if !SKIPS.iter().any(|skip| ended.said.starts_with(skip)) => {
                surprises.push(format!("{name} is skipped: {}", ended.said));
            }
            _ => {}
        }
    }
    for stale in expected {
        let fails = |(name, ended): (&&str, &Ended<'_>)| {
            ended.verdict == "FAILED" && stands_for(stale, name)
        };
        if !results.iter().any(fails) {
            surprises.push(format!("{stale}: there is no such failure"));
        }
    }
    surprises
}

#[test]
fn pjdfstest_fails_where_a_bucket_is_no_disk_and_nowhere_else() {
    if !rustix::process::geteuid().is_root() {
        skip!("pjdfstest has to change users: it needs root");
    }
    let pjdfstest = or_skip!(built("pjdfstest"));
    // Programs are run from it.
    let ground = or_skip!(Ground::mount(|mount| {
        mount.arg("--allow-other").arg("--file-mode=755")
    }));
    let own = tempfile::tempdir().unwrap();
    fs::write(own.path().join("pjdfstest.toml"), CONFIGURATION).unwrap();
    fs::create_dir(own.path().join("other")).unwrap();
    let modules: Vec<_> = CALLS
        .iter()
        .map(|call| format!("tests::{call}::"))
        .collect();
    // A write beyond the limit (KiB) is to be an error, not a signal.
    let script = format!(
        "trap '' XFSZ; ulimit -f 262144; exec {pjdfstest:?} -c pjdfstest.toml -s $PWD/other -p {:?} {}",
        ground.mount.path(),
        modules.join(" ")
    );
    let out = Script::bash(&script)
        .within(own.path())
        .env("NO_COLOR", "1")
        .env("RUST_BACKTRACE", "0")
        .deadline(DEADLINE)
        .run();
    assert!(!out.timed_out, "{out:#?}");

    let (results, reasons) = (results(&out.stdout), reasons());
    assert!(results.len() > 200, "{out:#?}");
    let summary = format!("{} total", results.len());
    assert!(out.stdout.contains(&summary), "not all were read: {out:#?}");
    let surprises = surprises(&results, &reasons);
    assert!(surprises.is_empty(), "{surprises:#?}");

    let count = |verdict| results.values().filter(|it| it.verdict == verdict).count();
    let (passed, failed) = (count("ok"), count("FAILED"));
    report::append_line(
        "suites",
        &format!(
            "pjdfstest: {passed} pass, {failed} fail as expected, {} skipped; of {}",
            count("skipped"),
            results.len()
        ),
    );
    for reason in &reasons {
        let failing = results.iter().filter(|(name, ended)| {
            ended.verdict == "FAILED" && reason.tests.iter().any(|it| stands_for(it, name))
        });
        let line = format!("  {:3} {}", failing.count(), reason.text);
        report::append_line("suites", &line);
    }
    // That is what `ftruncate::shrink_not_empty` loses.
    ground.end(1);
}
