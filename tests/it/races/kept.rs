//! What a loser finds afterwards: its bytes, everywhere they are promised to be, and one line about
//! what happened. Users look into the mount; their tools ask the command line. Both are asked here.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::world::mounts::Mounted;

const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

/// A save that did not happen.
pub(super) struct Lost<'a> {
    /// The call that said so, as the log names it; `this|that` if either may.
    pub(super) op: &'a str,
    pub(super) key: &'a str,
    /// What it was to replace; an ETag, or `absent`.
    pub(super) expected: &'a str,
    /// What it found.
    pub(super) found: &'a str,
    /// What was to be saved; `None` when it was lost before a byte was written.
    pub(super) text: Option<&'a str>,
    /// Who saved.
    pub(super) pid: u32,
}

/// Asserts that these and no other saves were lost on this mount, in this order, and that every byte
/// of them was kept.
#[track_caller]
pub(super) fn only(mount: &Mounted, losses: &[Lost<'_>]) {
    let told: Vec<Value> = conflicts(mount);
    assert_eq!(told.len(), losses.len(), "conflicts: {told:#?}");
    let kept: Vec<&str> = losses.iter().filter_map(|lost| lost.text).collect();

    let mut ids = Vec::new();
    for (line, lost) in told.iter().zip(losses) {
        assert!(lost.op.split('|').any(|op| line["op"] == op), "{line:#}");
        assert_eq!(line["key"], lost.key, "{line:#}");
        assert_eq!(line["expected"], lost.expected, "{line:#}");
        assert_eq!(line["found"], lost.found, "{line:#}");
        assert_eq!(line["reason"], "conflict", "{line:#}");
        assert_eq!(line["pid"], lost.pid, "{line:#}");
        assert_eq!(line["rescue"].is_string(), lost.text.is_some(), "{line:#}");
        ids.extend(line["rescue"].as_str().map(str::to_owned));
    }

    // In the mount.
    let directory = mount.file(".etagfs/rescue");
    let mut names: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut sorted = ids.clone();
    sorted.sort();
    assert_eq!(names, sorted, "the directory lists what the journal tells");
    for (id, text) in ids.iter().zip(&kept) {
        assert_eq!(&fs::read_to_string(directory.join(id)).unwrap(), text);
    }

    // By the command line.
    let listed = rescue(mount, &["ls", "--json"]);
    let listed: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(listed.len(), ids.len(), "{listed:#?}");
    for (id, text) in ids.iter().zip(&kept) {
        let record = listed.iter().find(|record| record["id"] == *id).unwrap();
        assert_eq!(record["reason"], "conflict");
        assert_eq!(record["size"], text.len());
        assert_eq!(&rescue(mount, &["show", id]), text);
    }
    let plain = rescue(mount, &["ls"]);
    assert!(ids.iter().all(|id| plain.contains(id)), "{plain}");
}

/// `.etagfs/conflicts`, oldest first.
pub(super) fn conflicts(mount: &Mounted) -> Vec<Value> {
    let text = fs::read_to_string(mount.file(".etagfs/conflicts")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// `etagfs rescue`, with the state directory of this mount.
#[track_caller]
fn rescue(mount: &Mounted, arguments: &[&str]) -> String {
    let output = Command::new(ETAGFS)
        .arg("rescue")
        .arg("--state-dir")
        .arg(mount.state_dir())
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
