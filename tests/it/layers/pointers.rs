//! Comments point to files that exist: whoever follows one must not find that it moved.

use std::collections::BTreeSet;

use super::files;
use crate::world::report;

/// Where files may be that a comment names.
const FOLDERS: [&str; 6] = ["src", "tests", "crates", "docs", "examples", "benches"];
/// How files end that are pointed to.
const ENDINGS: [&str; 4] = [".rs", ".md", ".sh", ".py"];

/// What a line says in a comment between backticks, if that looks like the path of a file or a folder.
fn pointers(line: &str) -> Vec<&str> {
    let Some((_, comment)) = line.split_once("//") else {
        return Vec::new();
    };
    let is_path = |word: &&str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
        let is_file = ENDINGS.iter().any(|ending| word.ends_with(ending));
        let (first, is_folder) = match word.split_once('/') {
            Some((first, _)) => (first, word.ends_with('/')),
            None => ("", false),
        };
        word.len() > 3
            && word.chars().all(plain)
            && (is_file || is_folder && FOLDERS.contains(&first))
    };
    comment
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(is_path)
        .collect()
}

/// Every path of the project below these folders, and each of its ends: of a/b.rs also b.rs.
fn ends(paths: &[String]) -> BTreeSet<&str> {
    let mut ends = BTreeSet::new();
    for path in paths {
        ends.insert(path.as_str());
        ends.extend(path.match_indices('/').map(|(at, _)| &path[at + 1..]));
    }
    ends
}

#[test]
fn files_that_comments_name_exist() {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        for path in super::paths_below(folder) {
            let folders = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
            paths.extend(folders);
            paths.push(path.clone());
        }
    }
    let ends = ends(&paths);
    let (mut found, mut dead) = (0, Vec::new());
    for folder in ["src", "tests", "crates", "examples", "benches"] {
        for (path, text) in files(folder) {
            for (number, line) in text.lines().enumerate() {
                for pointer in pointers(line) {
                    found += 1;
                    if !ends.contains(pointer.trim_end_matches('/')) {
                        dead.push(format!("{path}:{}: `{pointer}` does not exist", number + 1));
                    }
                }
            }
        }
    }
    report::write(
        "pointers",
        &format!("{found} files and folders are named in comments\n"),
    );
    assert!(found > 100, "{found}");
    assert!(dead.is_empty(), "\n{}", dead.join("\n"));
}

#[test]
fn a_pointer_is_a_path_between_backticks_in_a_comment() {
    assert_eq!(
        pointers("//! See `save.rs`, and `docs/design.md`."),
        ["save.rs", "docs/design.md"]
    );
    assert_eq!(
        pointers("    /// Below `tests/it/`, not `a/b` or `mkdir -p x.rs`."),
        ["tests/it/"]
    );
    assert!(pointers("let path = \"`save.rs`\";").is_empty());
}
