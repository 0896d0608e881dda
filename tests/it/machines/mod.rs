//! Machines that lack what others have, and environments that say nonsense: a command ends with a line that
//! says what is wrong, and never with a panic. The binary is a debug build, whose libraries assert more.

mod certificates;
mod lacking;
mod variables;

use crate::world::procs::Output;

/// It ended by itself, without a panic; whatever it said.
#[track_caller]
fn ended_in_order(what: &str, out: &Output) {
    let is_panic = [&out.stdout, &out.stderr]
        .iter()
        .any(|text| text.contains("panicked") || text.contains("fatal runtime error"));
    assert!(
        !is_panic && out.code.is_some_and(|code| code != 101),
        "{what}: {out:#?}"
    );
}

/// It failed with one line of what happened, and one of what to do, with these words.
#[track_caller]
fn refused(what: &str, out: &Output, words: &[&str]) {
    ended_in_order(what, out);
    assert_eq!(out.code, Some(1), "{what}: {out:#?}");
    assert_eq!(out.stderr.lines().count(), 2, "{what}: {out:#?}");
    for word in words {
        assert!(out.stderr.contains(word), "{what}: no {word:?}: {out:#?}");
    }
}
