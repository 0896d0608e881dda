//! Skipping a test, with a reason that is printed and counted. It does not decide what a test needs.
//! `tests/run` prints the list; see [`super::report`] for where it lies.
//!
//! ```ignore
//! let server = or_skip!(servers::shared(Kind::Seaweed)); // Result<_, String>: Err is the reason
//! if !has_vim { skip!("vim is not installed"); }         // returns from the test
//! skip_optional!("ETAGFS_TEST_S3 is not set");           // may happen in CI too
//! ```

use super::report;

/// Ends the test here, as skipped, with a reason. When `CI=true` that is a failure: there everything
/// must be installed.
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::world::skip::needed(&format!($($reason)*));
        return;
    }};
}

/// Ends the test here, as skipped, with a reason; in CI too.
macro_rules! skip_optional {
    ($($reason:tt)*) => {{
        $crate::world::skip::optional(&format!($($reason)*));
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

/// Whether this run has to have everything (`CI=true`).
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

/// The name of the running test, as libtest names its threads.
pub(crate) fn test_name() -> String {
    std::thread::current()
        .name()
        .unwrap_or("unnamed")
        .to_owned()
}

/// Records a skip that CI does not tolerate.
///
/// # Panics
/// When `CI=true`.
pub(crate) fn needed(reason: &str) {
    assert!(
        !in_ci(),
        "this test must not be skipped when CI=true: {reason}"
    );
    optional(reason);
}

/// Records a skip.
pub(crate) fn optional(reason: &str) {
    let line = format!("{}: {}", test_name(), reason.replace('\n', " "));
    println!("SKIPPED {line}");
    report::append_line("skips", &line);
}
