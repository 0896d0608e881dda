//! The same thing has the same name in every log line: the fields of all `tracing` calls in `src/`, as
//! text, against the table of the documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// The arguments of a call, from behind its opening parenthesis: separated by commas of its own level.
fn arguments(text: &str) -> Vec<String> {
    let (mut depth, mut in_text, mut escaped) = (0_u32, false, false);
    let mut found = vec![String::new()];
    for c in text.chars() {
        match c {
            _ if in_text => {
                in_text = c != '"' || escaped;
                escaped = c == '\\' && !escaped;
            }
            '"' => in_text = true,
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        found.last_mut().unwrap().push(c);
    }
    found
        .iter()
        .map(|argument| argument.trim().to_owned())
        .collect()
}

/// The name of the field that an argument is; none for the message and what it is made of.
fn field(argument: &str) -> Option<&str> {
    let name = argument.split('=').next()?.trim();
    let name = name.trim_start_matches(['%', '?']);
    let name = name.rsplit('.').next()?;
    let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !name.is_empty();
    is_name.then_some(name)
}

/// How lines and spans are made, and how many of the arguments come before the fields: `tell!` of
/// `mount/op.rs` is given the level and the operation first.
fn makers() -> Vec<(String, usize)> {
    let spans = LEVELS.map(|level| (format!("tracing::{level}_span!("), 1));
    let lines = LEVELS.map(|level| (format!("tracing::{level}!("), 0));
    let tell = ("tell!(".to_owned(), 2);
    spans.into_iter().chain(lines).chain([tell]).collect()
}

/// The fields that a file uses, and the number of its calls.
fn used(text: &str) -> (BTreeSet<String>, usize) {
    let (mut fields, mut calls) = (BTreeSet::new(), 0);
    for (maker, before) in makers() {
        for (at, _) in text.match_indices(&maker) {
            calls += 1;
            let arguments = arguments(&text[at + maker.len()..]);
            let arguments = arguments.iter().skip(before);
            let own = arguments.take_while(|argument| !argument.starts_with('"'));
            fields.extend(
                own.filter_map(|argument| field(argument))
                    .map(str::to_owned),
            );
        }
    }
    (fields, calls)
}

#[test]
fn the_fields_of_the_log_are_those_that_the_documentation_lists() {
    let mut paths = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut paths,
    );
    let (mut fields, mut calls) = (BTreeSet::new(), 0);
    for path in paths {
        // It is no part of the mount, and speaks of connections.
        if path.components().any(|part| part.as_os_str() == "server") {
            continue;
        }
        let (some, count) = used(&fs::read_to_string(path).unwrap());
        fields.extend(some);
        calls += count;
    }
    assert!(calls > 40, "{calls} calls");
    let document = include_str!("../../../docs/operations.md");
    let table = document.split("### Log fields").nth(1).unwrap();
    let table = table.split("\n### ").next().unwrap();
    let cells = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split('|').next());
    let listed: BTreeSet<_> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    assert_eq!(fields, listed);
}

#[test]
fn fields_are_found_in_calls_and_messages_are_not() {
    let text = r#"tracing::warn!(op, %key, store = %f(a, "x,y"), why = ?x, "told {op}, {}", other); tracing::debug!("only")"#;
    let (fields, calls) = used(text);
    assert_eq!(
        fields.into_iter().collect::<Vec<_>>(),
        ["key", "op", "store", "why"]
    );
    assert_eq!(calls, 2);
}
