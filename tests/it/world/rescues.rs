//! What a state directory keeps of saves that did not happen, as `etagfs rescue` tells it. It knows the
//! command line, not the files.
//!
//! ```ignore
//! assert_eq!(rescues::of(mount.state_dir())[0].bytes, "losing bytes");
//! ```

use std::path::Path;
use std::process::Command;

/// One rescue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rescued {
    pub(crate) id: String,
    pub(crate) key: String,
    /// `conflict`, `unknown`, `failed` or `unmounted`.
    pub(crate) reason: String,
    /// The bytes, as text.
    pub(crate) bytes: String,
}

/// All rescues, oldest first.
///
/// # Panics
/// When the command fails.
#[track_caller]
pub(crate) fn of(state_dir: &Path) -> Vec<Rescued> {
    let list = etagfs(state_dir, &["ls", "--json"]);
    list.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|record: &serde_json::Value| record["kind"] != "scratch")
        .map(|record| {
            let text = |name: &str| record[name].as_str().unwrap().to_owned();
            let bytes = etagfs(state_dir, &["show", &text("id")]);
            assert_eq!(
                record["size"].as_u64(),
                Some(bytes.len() as u64),
                "{record}"
            );
            Rescued {
                id: text("id"),
                key: text("key"),
                reason: text("reason"),
                bytes,
            }
        })
        .collect()
}

/// The bytes of all rescues of a key, oldest first.
#[track_caller]
pub(crate) fn of_key(state_dir: &Path, key: &str) -> Vec<String> {
    let all = of(state_dir).into_iter();
    all.filter(|one| one.key == key)
        .map(|one| one.bytes)
        .collect()
}

#[track_caller]
fn etagfs(state_dir: &Path, arguments: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_etagfs"))
        .arg("rescue")
        .arg("--state-dir")
        .arg(state_dir)
        .args(arguments)
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout).unwrap()
}
