//! docs/cli.md, made of the help of every command. Most commands share their options for the bucket, the
//! credentials and so on: what several say in the same words is said once, and they refer to it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// How many commands must say the same, for it to be said once.
const SEVERAL: usize = 5;
/// Less is not worth a look elsewhere.
const LONG: usize = 8;

const BEGINNING: &str = "# The command line

Made of the program's own definition, as its `--help`, its manual pages (`etagfs man`) and its
completions (`etagfs completions`) are. Not to be edited: see `tests/it/help/`. What several commands
have in common is at the [end](#options-of-several-commands).
";

/// The page, of the help of each command by its full name.
pub(super) fn of(helps: &BTreeMap<String, String>) -> String {
    let helps: BTreeMap<_, _> = helps
        .iter()
        .map(|(name, help)| (name.as_str(), sections(help)))
        .collect();
    let common = common(&helps);
    let mut page = format!("{BEGINNING}\n");
    for name in helps.keys() {
        writeln!(page, "- [{name}](#{})", anchor(name)).unwrap();
    }
    for (name, sections) in &helps {
        let is_common = |section: &&str| common.contains(section);
        let (shared, own): (Vec<_>, Vec<_>) = sections.iter().copied().partition(is_common);
        chapter(&mut page, "##", name, &own.concat());
        if !shared.is_empty() {
            let links = shared.iter().map(|section| {
                let heading = heading(section);
                format!("[{heading}](#{})", anchor(heading))
            });
            let links = links.collect::<Vec<_>>().join(", ");
            writeln!(page, "\nOptions that others have, too: {links}.").unwrap();
        }
    }
    page.push_str("\n## Options of several commands\n");
    for section in common {
        let (heading, options) = section.split_once(":\n").unwrap();
        chapter(&mut page, "###", heading, options);
    }
    page
}

fn chapter(page: &mut String, level: &str, heading: &str, text: &str) {
    let text = text.trim_end();
    write!(page, "\n{level} {heading}\n\n```text\n{text}\n```\n").unwrap();
}

/// As the anchors of headings are spelled.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}

/// A section is a heading and the indented lines below it; what is in between is one, too.
fn sections(help: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let mut at = 0;
    let mut is_below_heading = false;
    for line in help.split_inclusive('\n') {
        let is_indented = line.starts_with([' ', '\n']);
        let is_heading = !is_indented && line.ends_with(":\n");
        if at > 0 && (is_heading || is_below_heading && !is_indented) {
            starts.push(at);
        }
        is_below_heading = is_heading || is_below_heading && is_indented;
        at += line.len();
    }
    let ends = starts.iter().skip(1).chain([&at]);
    starts
        .iter()
        .zip(ends)
        .map(|(&start, &end)| &help[start..end])
        .collect()
}

fn heading(section: &str) -> &str {
    section
        .lines()
        .next()
        .unwrap_or_default()
        .trim_end_matches(':')
}

/// The sections that several commands have in the same words, in the order of their first appearance.
fn common<'a>(helps: &BTreeMap<&str, Vec<&'a str>>) -> Vec<&'a str> {
    let all: Vec<&str> = helps.values().flatten().copied().collect();
    let mut found: Vec<&str> = Vec::new();
    for section in &all {
        let count = all.iter().filter(|other| *other == section).count();
        let is_long = section.lines().count() >= LONG;
        if count >= SEVERAL && is_long && !found.contains(section) {
            found.push(section);
        }
    }
    found
}

#[test]
fn what_several_commands_say_is_said_once() {
    let options = (0..LONG)
        .map(|n| format!("  --option-{n}\n"))
        .collect::<String>();
    let helps = (0..SEVERAL).map(|n| {
        let help = format!("Does {n}\n\nUsage: {n}\n\nBucket:\n{options}\nExamples: {n}\n");
        (format!("etagfs {n}"), help)
    });
    let page = of(&helps.collect());
    assert_eq!(page.matches("--option-3").count(), 1, "{page}");
    assert!(
        page.contains("\n### Bucket\n\n```text\n  --option-0\n"),
        "{page}"
    );
    assert!(
        page.contains("```text\nDoes 1\n\nUsage: 1\n\nExamples: 1\n```\n\nOptions that others have, too: [Bucket](#bucket).\n"),
        "{page}"
    );
}
