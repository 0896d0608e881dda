//! Skipping a test, with a reason that is printed and counted. It does not decide what a test needs.
//! `tests/run` prints the list; see [`super::report`] for where it lies.
//!
//! ```ignore
//! let server = or_skip!(servers::shared(Kind::Seaweed)); // Result<_, String>: Err is the reason
//! if !has_vim { skip!("vim is not installed"); }         // returns from the test
//! ```
//!
//! Where `CI=true` everything must be installed: a skip there is a failure, but for the ones that
//! `tests/known-skips.txt` names.

use super::report;

/// What may be skipped everywhere, one `TEST: REASON` a line.
pub(crate) const KNOWN: &str = include_str!("../../known-skips.txt");

/// Ends the test here, as skipped, with a reason.
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::world::skip::note(&format!($($reason)*));
        return;
    }};
}

/// The value of an `Ok`; an `Err` is the reason to [`skip!`] the test.
macro_rules! or_skip {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(reason) => skip!("{reason}"),
        }
    };
}

/// The name of the running test, as libtest names its threads.
pub(crate) fn test_name() -> String {
    std::thread::current()
        .name()
        .unwrap_or("unnamed")
        .to_owned()
}

/// Records a skip.
///
/// # Panics
/// When `CI=true`, and the skip is not on the list of known ones.
pub(crate) fn note(reason: &str) {
    let line = format!("{}: {}", test_name(), reason.replace('\n', " "));
    let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(
        !in_ci || is_known(&line),
        "CI=true, and this skip is not in tests/known-skips.txt: {line}"
    );
    println!("SKIPPED {line}");
    report::append_line("skips", &line);
}

/// Whether a skip is on the list.
pub(crate) fn is_known(line: &str) -> bool {
    known().any(|known| known == line)
}

/// The lines of the list.
pub(crate) fn known() -> impl Iterator<Item = &'static str> {
    let is_line = |line: &&str| !line.is_empty() && !line.starts_with('#');
    KNOWN.lines().filter(is_line)
}
