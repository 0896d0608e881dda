//! The table of `docs/editors.md`: what each editor was seen to do. It compares, and with
//! `ETAGFS_BLESS=1` in the environment it rewrites the row instead. It does not know what a row means.

use std::fs;
use std::sync::{Mutex, PoisonError};

use super::EDITORS;
use super::editor::Editor;
use crate::world::report;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/editors.md");

/// The lines around the rows.
const BEGIN: &str = "| --- |";
const END: &str = "<!-- end of the table -->";

/// Compares an editor's row of the page with these cells.
///
/// # Panics
/// When they differ, unless the page is to be rewritten.
#[track_caller]
pub(super) fn compare(editor: &Editor, cells: &[String]) {
    let observed = format!("| {} | {} |", editor.name, cells.join(" | "));
    report::append_line("editors", &observed);
    if std::env::var("ETAGFS_BLESS").is_ok_and(|bless| bless == "1") {
        bless(editor, &observed);
    }
    let rows = rows(&read());
    let documented = rows.iter().find(|row| name(row) == editor.name);
    assert_eq!(
        documented.map(String::as_str),
        Some(observed.as_str()),
        "docs/editors.md says something else of {} than was observed; ETAGFS_BLESS=1 corrects the page",
        editor.name
    );
}

/// Rewrites one row of the page.
fn bless(editor: &Editor, observed: &str) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let page = read();
    let mut rows = rows(&page);
    rows.retain(|row| name(row) != editor.name);
    rows.push(observed.to_owned());
    let place = |row: &String| EDITORS.iter().position(|one| one.name == name(row));
    rows.retain(|row| place(row).is_some());
    rows.sort_by_key(place);
    let (before, _, after) = parts(&page);
    fs::write(PAGE, format!("{before}{}\n{after}", rows.join("\n"))).unwrap();
}

fn read() -> String {
    fs::read_to_string(PAGE).unwrap()
}

/// The page up to the rows, the rows, and what follows them.
fn parts(page: &str) -> (&str, &str, &str) {
    let rule = page.find(BEGIN).expect("the page has a table");
    let first = rule + page[rule..].find('\n').expect("the table has rows") + 1;
    let end = page.find(END).expect("the table has an end");
    (&page[..first], &page[first..end], &page[end..])
}

fn rows(page: &str) -> Vec<String> {
    let (_, rows, _) = parts(page);
    rows.lines().map(str::to_owned).collect()
}

/// The editor a row is about.
fn name(row: &str) -> &str {
    row.split('|').nth(1).unwrap_or_default().trim()
}

#[test]
fn the_page_has_one_row_for_each_editor_in_the_order_of_the_tests() {
    let rows = rows(&read());
    let names: Vec<_> = rows.iter().map(|row| name(row)).collect();
    let expected: Vec<_> = EDITORS.iter().map(|editor| editor.name).collect();
    assert_eq!(names, expected);
}
