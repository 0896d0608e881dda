//! Scripts: results, deadlines, and that nothing of them stays.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::world::procs::Script;
use crate::world::wait;

#[test]
fn a_script_tells_its_exit_code_and_both_outputs() {
    let directory = tempfile::tempdir().unwrap();
    for script in [Script::bash, Script::dash] {
        let out = script("pwd; echo $NAME >&2; exit 3")
            .within(directory.path())
            .env("NAME", "x")
            .run();
        assert_eq!(out.code, Some(3));
        assert_eq!(
            Path::new(out.stdout.trim()),
            directory.path().canonicalize().unwrap()
        );
        assert_eq!(out.stderr, "x\n");
        assert!(!out.timed_out);
    }
    assert_eq!(Script::python("print(6 * 7)").run().ok().stdout, "42\n");
}

#[test]
#[should_panic(expected = "the script failed")]
fn ok_does_not_accept_a_failure() {
    Script::dash("false").run().ok();
}

#[test]
fn a_script_past_its_deadline_is_killed_with_its_descendants() {
    let out = Script::bash("sleep 1000 & echo $!; wait")
        .deadline(Duration::from_millis(300))
        .run();
    assert!(out.timed_out);
    assert_eq!((out.code, out.signal), (None, Some(9)));
    gone(&out.stdout);
}

#[test]
fn what_a_script_leaves_behind_is_killed() {
    let out = Script::dash("sleep 1000 & echo $!").run().ok();
    gone(&out.stdout);
}

#[test]
fn a_script_in_the_background_can_be_watched_and_killed() {
    let running = Script::dash("echo ready; sleep 1000").start();
    wait::until("it says ready", wait::SOON, || {
        running.stdout_so_far() == "ready\n"
    });
    assert!(!running.ended());
    running.kill();
    assert_eq!(running.finish().signal, Some(9));
}

/// The process whose pid this is ends (or is a zombie that its new parent has not reaped).
fn gone(pid: &str) {
    let stat = format!("/proc/{}/stat", pid.trim());
    wait::until(
        "the descendant is gone",
        wait::SOON,
        || match fs::read_to_string(&stat) {
            Err(_) => true,
            Ok(stat) => stat
                .rsplit(')')
                .next()
                .is_some_and(|state| state.trim_start().starts_with('Z')),
        },
    );
}
