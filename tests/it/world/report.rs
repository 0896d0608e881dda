//! Reports that a person reads after a run: measured counts, tables, lists. They are files in
//! `target/test-report`, which `tests/run` empties first and prints at the end. They assert nothing.
//!
//! ```ignore
//! report::write("requests-per-operation", &proxy.log().counts().to_string());
//! ```

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

/// Where the reports lie.
pub(crate) fn directory() -> PathBuf {
    let directory = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/test-report"));
    fs::create_dir_all(&directory).unwrap();
    directory
}

fn file(name: &str) -> PathBuf {
    directory().join(format!("{name}.txt"))
}

/// Writes the report `name`, over an older one.
pub(crate) fn write(name: &str, text: &str) {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    fs::write(file(name), format!("{text}{end}")).unwrap();
}

/// Adds a line to the report `name`. Lines of concurrent tests do not mix: one write each, O_APPEND.
pub(crate) fn append_line(name: &str, line: &str) {
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(file(name))
        .and_then(|mut report| report.write_all(format!("{line}\n").as_bytes()))
        .unwrap();
}
