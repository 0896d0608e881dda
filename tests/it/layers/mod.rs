//! The walls of the house: who may name whom in `src/`, and how long a file may be. It reads the
//! sources as text. The rules are the table of `docs/design.md`; `paths` reads the Rust.

mod circles;
mod paths;
mod pointers;
mod sentences;

use std::fs;
use std::path::Path;

use paths::{numbers, paths};

use crate::world::report;

/// No file is longer: if one grows, a noun is missing.
const MAX_LINES: usize = 500;

/// Each layer, and the layers it may name. The binary and `lib.rs` stand above them all.
const LAYERS: [(&str, &[&str]); 8] = [
    (
        "cli",
        &[
            "client",
            "mount",
            "vfs",
            "store",
            "backend",
            "model",
            "telemetry",
        ],
    ),
    // It makes connections, and headers are the backend's; see `src/client/mod.rs`.
    ("client", &["store", "backend", "model", "telemetry"]),
    ("mount", &["vfs", "model", "telemetry"]),
    ("vfs", &["store", "model", "telemetry"]),
    ("store", &["backend", "model", "telemetry"]),
    ("backend", &["model", "telemetry"]),
    // A leaf like the model, but with a clock and locks: what is counted knows nothing of who counts.
    ("telemetry", &[]),
    // A crate, `crates/model`: cargo sees to it that it names no layer.
    ("model", &[]),
];

/// Crates that not every layer may name: what their names begin with, and the layers that may.
const CRATES: [(&str, &[&str]); 10] = [
    ("fuser", &["mount"]),
    ("aws_config", &["backend"]),
    ("aws_credential_types", &["backend"]),
    ("aws_runtime", &["backend"]),
    ("aws_sdk_", &["backend"]),
    ("aws_smithy_", &["backend"]),
    ("clap", &["cli"]),
    ("prometheus", &["telemetry"]),
    ("opentelemetry", &["telemetry"]),
    ("etagfs_s3_server", &["cli"]),
];

/// Files that do no I/O, know no time, and wait for nothing.
const PURE: [&str; 6] = [
    "crates/items/src/",
    "crates/konserve/src/",
    "crates/model/src/",
    "src/store/dir.rs",
    "src/store/metadata.rs",
    "src/store/bucket/jump.rs",
];

/// The tests in a pure folder that read files: what the real library wrote.
const FIXTURES: &str = "crates/konserve/src/tests.rs";

/// The folder of a layout, and who may name it besides: the list of layouts, and its options. So nothing else
/// can ask which layout a store has, and do one thing or the other.
const KONSERVE: [&str; 4] = [
    "src/store/konserve/",
    "src/store/mod.rs",
    "src/store/bucket/layouts.rs",
    "src/cli/konserve.rs",
];

/// The only file that chooses errnos.
const ERRNOS: &str = "src/mount/errno.rs";

/// The only places that know HTTP.
const HTTP: [&str; 2] = ["src/backend/s3", "src/cli/metrics.rs"];
/// Those that are no round numbers: nothing else is called that.
const STATUS_CODES: [&str; 7] = ["304", "403", "404", "409", "412", "416", "503"];

/// How much was looked at, so that a checker that reads nothing is seen.
#[derive(Debug, Default)]
struct Checked {
    files: usize,
    lines: usize,
    arrows: usize,
    violations: Vec<String>,
}

impl Checked {
    /// Checks one file of `src/`.
    fn source(&mut self, path: &str, text: &str) {
        self.length(path, text);
        let layer = path
            .trim_start_matches("src/")
            .split('/')
            .next()
            .unwrap_or_default();
        let layer = layer.trim_end_matches(".rs");
        for named in paths(text) {
            let place = format!("{path}:{}: `{}`", named.line, named.text());
            if let Some(other) = other_layer(path, layer, &named.path) {
                self.arrows += 1;
                let allowed = LAYERS.iter().find(|(name, _)| *name == layer);
                if allowed.is_some_and(|(_, below)| !below.contains(&other)) {
                    self.violations
                        .push(format!("{place}: {layer} may not name {other}"));
                }
            }
            for (name, homes) in CRATES {
                if named.path[0].starts_with(name) && !homes.contains(&layer) {
                    self.violations
                        .push(format!("{place}: only {homes:?} may name {name}"));
                }
            }
            let is_layout = named.path[0] == "konserve_codec"
                || named
                    .path
                    .windows(2)
                    .any(|pair| pair == ["store", "konserve"])
                || path.starts_with("src/store/")
                    && named.path.iter().any(|word| word == "konserve");
            if is_layout && !KONSERVE.iter().any(|home| path.starts_with(home)) {
                self.violations
                    .push(format!("{place}: only {KONSERVE:?} name this layout"));
            }
            let is_errno = named.path.windows(2).any(|pair| {
                let [family, name] = pair else { return false };
                (family == "libc" || family == "Errno") && is_errno(name)
            });
            if is_errno && path != ERRNOS {
                self.violations
                    .push(format!("{place}: errnos are chosen in {ERRNOS}"));
            }
            let knows_http = HTTP.iter().any(|home| path.starts_with(home));
            if !knows_http && named.path.iter().any(|word| word == "StatusCode") {
                self.violations
                    .push(format!("{place}: only {HTTP:?} know HTTP"));
            }
        }
        if !HTTP.iter().any(|home| path.starts_with(home)) {
            for (number, line) in numbers(text) {
                if STATUS_CODES.contains(&&*number) {
                    let place = format!("{path}:{line}");
                    self.violations
                        .push(format!("{place}: {number} looks like a status code"));
                }
            }
        }
        self.purity(path, text);
        self.unwraps(path, text);
    }

    /// Checks one file of `crates/`.
    fn library(&mut self, path: &str, text: &str) {
        self.length(path, text);
        // What is in a folder of tests may fail as tests do.
        if !path.contains("/tests/") && !path.contains("/benches/") {
            self.purity(path, text);
            self.unwraps(path, text);
        }
    }

    fn purity(&mut self, path: &str, text: &str) {
        let is_pure = PURE.iter().any(|pure| path.starts_with(pure));
        if !is_pure || path == FIXTURES {
            return;
        }
        for named in paths(text).iter().filter(|named| is_impure(&named.path)) {
            let place = format!("{path}:{}: `{}`", named.line, named.text());
            self.violations.push(format!("{place}: this file is pure"));
        }
    }

    fn length(&mut self, path: &str, text: &str) {
        let lines = text.lines().count();
        self.files += 1;
        self.lines += lines;
        if lines > MAX_LINES {
            self.violations.push(format!(
                "{path}: {lines} lines; no file has more than {MAX_LINES}"
            ));
        }
    }

    fn unwraps(&mut self, path: &str, text: &str) {
        if path.ends_with("/tests.rs") {
            return;
        }
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for (at, line) in code.lines().enumerate() {
            let line = line.split("//").next().unwrap_or_default();
            if line.contains(".unwrap()") {
                self.violations.push(format!("{path}:{}: unwrap()", at + 1));
            }
        }
    }
}

/// The layer that a path leads to, if it leads out of `layer`.
fn other_layer(file: &str, layer: &str, path: &[String]) -> Option<&'static str> {
    let depth = file.split('/').count() - 1 - usize::from(file.ends_with("/mod.rs"));
    let supers = path.iter().take_while(|word| *word == "super").count();
    let first = match path.first()?.as_str() {
        "crate" | "etagfs" => path.get(1)?,
        "super" if supers >= depth => path.get(supers)?,
        _ => return None,
    };
    let (other, _) = LAYERS.iter().find(|(name, _)| name == first)?;
    (*other != layer).then_some(*other)
}

fn is_errno(name: &str) -> bool {
    name.len() > 2
        && name.starts_with('E')
        && name
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

fn is_impure(path: &[String]) -> bool {
    let begins =
        |names: &[&str]| path.len() >= names.len() && path.iter().zip(names).all(|(a, b)| a == b);
    begins(&["tokio"])
        || begins(&["std", "fs"])
        || begins(&["async"])
        || path.iter().any(|word| word == "await")
}

/// The path of every file below a folder of the project, from the top.
fn paths_below(folder: &str) -> Vec<String> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![top.join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(top).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Every Rust file below a folder of the project.
fn files(folder: &str) -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rust = paths_below(folder)
        .into_iter()
        .filter(|path| path.ends_with(".rs"));
    rust.map(|path| {
        let text = fs::read_to_string(top.join(&path)).unwrap();
        (path, text)
    })
    .collect()
}

#[test]
fn every_layer_names_only_those_below_it_and_no_file_is_too_long() {
    let mut checked = Checked::default();
    for (path, text) in files("src") {
        checked.source(&path, &text);
    }
    let sources = (checked.files, checked.lines);
    for (path, text) in files("crates") {
        checked.library(&path, &text);
    }
    let libraries = (checked.files - sources.0, checked.lines - sources.1);
    for (path, text) in files("tests") {
        checked.length(&path, &text);
    }
    report::write(
        "layers",
        &format!(
            "src: {} files, {} lines, {} arrows between layers; crates: {} files, {} lines; tests: {} files, {} lines\n",
            sources.0,
            sources.1,
            checked.arrows,
            libraries.0,
            libraries.1,
            checked.files - sources.0 - libraries.0,
            checked.lines - sources.1 - libraries.1,
        ),
    );
    assert!(checked.files > 100 && checked.arrows > 50, "{checked:?}");
    assert!(
        checked.violations.is_empty(),
        "\n{}",
        checked.violations.join("\n")
    );
}

#[test]
fn every_rule_is_broken_by_what_it_forbids() {
    for (path, text) in [
        ("src/vfs/save.rs", "use crate::mount::Options;"),
        ("src/vfs/save.rs", "use crate::{model, backend::Backend};"),
        ("src/vfs/mod.rs", "use super::backend::Backend;"),
        (
            "src/store/dir.rs",
            "fn f() { super::super::vfs::Vfs::new() }",
        ),
        ("src/backend/s3.rs", "use etagfs_s3_server::Server;"),
        ("src/vfs/open.rs", "use crate::store::konserve::LAYOUT;"),
        (
            "src/store/bucket/mod.rs",
            "use super::super::konserve::Konserve;",
        ),
        ("src/store/plain/mod.rs", "use konserve_codec::Value;"),
        ("src/cli/kv/ls.rs", "use konserve_codec::edn;"),
        ("src/telemetry/access.rs", "use crate::model::Key;"),
        ("src/vfs/stats.rs", "use prometheus::Registry;"),
        ("src/vfs/open.rs", "use fuser::Errno;"),
        ("src/store/mod.rs", "use aws_sdk_s3::Client;"),
        ("src/mount/mod.rs", "use clap::Args;"),
        ("src/client/put.rs", "use clap::Args;"),
        ("src/client/file.rs", "use crate::vfs::Vfs;"),
        ("src/client/error.rs", "use crate::cli::report::Failure;"),
        ("src/vfs/save.rs", "use crate::client::Retry;"),
        ("src/mount/fs.rs", "fn f() { reply.error(Errno::EPERM) }"),
        ("src/vfs/error.rs", "const NO: i32 = libc::EAGAIN;"),
        ("src/store/mod.rs", "fn f() { if status == 412 {} }"),
        ("src/vfs/mod.rs", "use hyper::StatusCode;"),
        ("src/store/metadata.rs", "use std::{fs, fmt};"),
        ("src/vfs/io.rs", "fn f() { x.unwrap(); }"),
        ("src/vfs/io.rs", &"\n".repeat(MAX_LINES + 1)),
    ] {
        let mut checked = Checked::default();
        checked.source(path, text);
        assert_eq!(checked.violations.len(), 1, "{path}: {text}: {checked:?}");
    }
    for (path, text) in [
        ("crates/model/src/draft.rs", "async fn save() {}"),
        ("crates/model/src/seen.rs", "use tokio::sync::Mutex;"),
        ("crates/items/src/json.rs", "use std::fs;"),
        ("crates/konserve/src/edn.rs", "use std::{fs, fmt};"),
        ("crates/konserve/src/edn.rs", "fn f() { x.unwrap(); }"),
        ("crates/model/tests/a.rs", &"\n".repeat(MAX_LINES + 1)),
    ] {
        let mut checked = Checked::default();
        checked.library(path, text);
        assert_eq!(checked.violations.len(), 1, "{path}: {text}: {checked:?}");
    }
}

#[test]
fn what_is_allowed_is_not_a_violation() {
    for (path, text) in [
        (
            "src/cli/mount.rs",
            "use crate::{mount::Mounted, store::Store}; use etagfs_s3_server::Server; use clap::Args;",
        ),
        (
            "src/vfs/save.rs",
            "use crate::model::Draft; use super::super::vfs; // crate::mount, 412",
        ),
        (
            "src/mount/fs.rs",
            "use fuser::Errno; use libc::O_TRUNC; fn f() { Errno::from(x) }",
        ),
        (
            "src/vfs/io.rs",
            "fn f() {} #[cfg(test)] mod tests { fn f() { x.unwrap(); } }",
        ),
        ("src/backend/s3/failure.rs", "match x { 412 => Refused }"),
    ] {
        let mut checked = Checked::default();
        checked.source(path, text);
        assert!(checked.violations.is_empty(), "{checked:?}");
    }
}

#[test]
fn the_map_of_the_house_names_every_file() {
    let map = include_str!("../../../docs/design.md");
    let mut folder = String::new();
    let mut named = std::collections::BTreeSet::new();
    for line in map.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            heading
                .split(' ')
                .next()
                .unwrap_or_default()
                .clone_into(&mut folder);
        }
        for word in line.split('`').filter(|word| word.ends_with(".rs")) {
            named.insert(format!("{folder}{word}"));
            named.insert(word.to_owned());
        }
    }
    let of_crates = files("crates").into_iter();
    let of_crates = of_crates.filter(|(path, _)| path.split('/').nth(2) == Some("src"));
    for (path, _) in files("src").into_iter().chain(of_crates) {
        let (parent, name) = path.rsplit_once('/').unwrap();
        // A folder of sources whose files are named under the heading of the folder above it.
        let top = if path.starts_with("crates/") { 2 } else { 1 };
        let in_own_folder = parent.matches('/').count() > top && named.contains(name);
        assert!(
            named.contains(&path) || in_own_folder,
            "docs/design.md does not name {path}"
        );
    }
}
