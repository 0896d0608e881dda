//! The document and its tests agree: every number has a test, and every test quotes the document.

use std::collections::BTreeSet;

use crate::world::report;

const DOCUMENT: &str = include_str!("../../../docs/semantics.md");

const TESTS: [&str; 8] = [
    include_str!("alive.rs"),
    include_str!("names_and_results.rs"),
    include_str!("reading.rs"),
    include_str!("room.rs"),
    include_str!("saving.rs"),
    include_str!("scratch.rs"),
    include_str!("shown.rs"),
    include_str!("view.rs"),
];

/// The numbers of the contract: letter and count.
const SECTIONS: [(char, usize); 4] = [('V', 5), ('R', 3), ('W', 16), ('A', 6)];

fn all_numbers() -> Vec<String> {
    let numbers = SECTIONS
        .iter()
        .flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}")));
    numbers.collect()
}

/// The paragraph of a number.
fn paragraph(number: &str) -> Option<&'static str> {
    let begin = format!("- **{number}** ");
    let at = DOCUMENT.find(&begin)? + begin.len();
    let text = &DOCUMENT[at..];
    let ends = ["\n- **", "\n## "].map(|end| text.find(end).unwrap_or(text.len()));
    Some(&text[..ends.into_iter().min()?])
}

/// A test: its name, and its comment.
fn tests() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for text in TESTS {
        let mut comment = Vec::new();
        for line in text.lines() {
            if let Some(words) = line.strip_prefix("/// ") {
                comment.push(words);
            } else if let Some(rest) = line.strip_prefix("fn ") {
                let name = rest.split('(').next().unwrap().to_owned();
                if line.ends_with("() {") {
                    found.push((name, comment.join(" ")));
                }
                comment.clear();
            } else if line != "#[test]" {
                comment.clear();
            }
        }
    }
    found
}

/// Words only: no marks, one blank between.
fn plain(text: &str) -> String {
    let text = text.replace("](#names)", "").replace(['`', '*', '['], "");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_number_of_the_document_has_a_test_or_is_planned() {
    let tests = tests();
    let mut planned = Vec::new();
    let mut tested = 0;
    for number in all_numbers() {
        let text = paragraph(&number).unwrap_or_else(|| panic!("{number} is not in the document"));
        let prefix = format!("{}_", number.to_lowercase());
        let of_number = tests
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix))
            .count();
        if text.starts_with("**Planned:**") {
            planned.push(number);
        } else {
            assert!(of_number > 0, "{number} has no test named {prefix}...");
            tested += 1;
        }
    }
    report::write(
        "semantics",
        &format!(
            "{tested} numbers with {} tests; planned: {}\n",
            tests.len(),
            planned.join(", ")
        ),
    );
    assert!(planned.len() < 5, "{planned:?}");
}

#[test]
fn every_test_quotes_the_paragraph_of_its_number() {
    let tests = tests();
    assert!(tests.len() > 24, "{tests:?}");
    for (name, comment) in tests {
        let number = name.split('_').next().unwrap().to_uppercase();
        let text =
            paragraph(&number).unwrap_or_else(|| panic!("{name}: no {number} in the document"));
        assert!(!comment.is_empty(), "{name} quotes nothing");
        assert!(
            plain(text).contains(&plain(&comment)),
            "{name} quotes what {number} does not say:\n{comment}"
        );
    }
}

#[test]
fn the_document_has_no_other_numbers() {
    let numbers: BTreeSet<_> = all_numbers().into_iter().collect();
    for line in DOCUMENT.lines() {
        if let Some(number) = line
            .strip_prefix("- **")
            .and_then(|rest| rest.split("**").next())
        {
            assert!(
                numbers.contains(number),
                "{number} is not a number of the contract"
            );
        }
    }
}
