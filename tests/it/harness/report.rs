//! Reports are files, whole and in place.

use std::fs;

use crate::world::report;
use crate::world::servers::random_name;

#[test]
fn a_report_is_replaced_and_lines_are_added() {
    let name = random_name("harness");
    let file = report::directory().join(format!("{name}.txt"));
    report::write(&name, "old");
    report::write(&name, "new\n");
    report::append_line(&name, "line");
    assert_eq!(fs::read_to_string(&file).unwrap(), "new\nline\n");
    fs::remove_file(file).unwrap();
}
