//! The list of known skips: every line of it is about a test that there is, for a reason that there is.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::world::skip;

#[test]
fn only_a_test_on_the_list_is_skipped_where_everything_is_installed() {
    let known = skip::known().next().unwrap();
    assert!(skip::is_known(known));
    let (test, reason) = known.split_once(": ").unwrap();
    assert!(!skip::is_known(test));
    assert!(!skip::is_known(&format!("{test}: {reason} or so")));
    assert!(!skip::is_known(&format!("another::{test}: {reason}")));
    // And a skip that is not on it fails.
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "harness::skips::skips_itself_when_asked"])
        .arg("--nocapture")
        .env("ETAGFS_TEST_SKIP", "a reason that nobody knows")
        .env("CI", "true")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(
        !out.status.success() && told.contains("known-skips.txt"),
        "{told}"
    );
}

/// The subject of the test above.
#[test]
fn skips_itself_when_asked() {
    if let Ok(reason) = std::env::var("ETAGFS_TEST_SKIP") {
        skip!("{reason}");
    }
}

#[test]
fn every_known_skip_is_of_a_test_and_for_a_reason_that_exist() {
    let out = Command::new(std::env::current_exe().unwrap())
        .args(["--list", "--format", "terse"])
        .output()
        .unwrap();
    let list = String::from_utf8(out.stdout).unwrap();
    let tests: BTreeSet<_> = list
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .collect();
    let sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"));
    let mut before = "";
    for line in skip::known() {
        let (test, reason) = line.split_once(": ").unwrap_or((line, ""));
        assert!(tests.contains(test), "there is no test {test}");
        let is_given = !reason.is_empty() && sources.contains(&format!("\"{reason}\""));
        assert!(is_given, "no test is skipped since {reason:?}");
        assert!(before < line, "sorted: {line}");
        before = line;
    }
}

fn sources(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => text.push_str(&sources(&path)),
            false if path.extension().is_some_and(|end| end == "rs") => {
                text.push_str(&fs::read_to_string(&path).unwrap());
            }
            false => {}
        }
    }
    text
}
