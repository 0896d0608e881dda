//! How mounts end, and how they do not begin: signals, unmounting, crashes, `--daemon`, `demo`, the
//! message and the exit code of everything that can go wrong before. Saves under a healthy mount are
//! not its business.

mod commands;
mod crash;
mod daemon;
mod demo;
mod messages;
mod signals;
mod unmounting;

use std::path::Path;

use crate::world::cli;
use crate::world::procs::{Output, Running, Script};
use crate::world::servers::Bucket;
use crate::world::wait;

const ETAGFS: &str = env!("CARGO_BIN_EXE_etagfs");

/// `etagfs ARGUMENTS` (words of a shell), with the bucket's keys and server in the environment and
/// nothing of the person who runs the tests.
fn command(bucket: &Bucket, state_dir: &Path, arguments: &str) -> Script {
    cli::script(bucket, state_dir, &format!("exec etagfs {arguments}"))
}

/// `etagfs ARGUMENTS` for what needs no bucket.
fn etagfs(arguments: &str) -> Output {
    Script::bash(&format!("exec '{ETAGFS}' {arguments}")).run()
}

/// `etagfs umount ARGUMENTS DIR`.
fn umount(arguments: &str, at: &Path) -> Output {
    etagfs(&format!("umount {arguments} '{}'", at.display()))
}

/// `etagfs umount DIR` of what nobody uses any more, when that is so: see [`when_unused`].
fn umount_when_unused(at: &Path) -> Output {
    when_unused(|| umount("", at))
}

/// Unmounts as soon as the mount is not busy. Short looks make it so: the one that a daemon takes at its own
/// mount once it is there, and those of [`Mounted::unmount`].
///
/// [`Mounted::unmount`]: crate::world::mounts::Mounted::unmount
fn when_unused(unmount: impl Fn() -> Output) -> Output {
    let mut out = unmount();
    let _ = wait::eventually(wait::SOON, || {
        let is_busy = out.stderr.contains("busy");
        if is_busy {
            out = unmount();
        }
        !is_busy
    });
    out
}

/// Asserts the exit code, and that standard error is one message and one line of what to do next,
/// which together hold all these words.
#[track_caller]
fn says(out: &Output, code: i32, words: &[&str]) {
    assert_eq!(out.code, Some(code), "{out:#?}");
    let lines: Vec<_> = out.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{out:#?}");
    assert!(lines[0].starts_with("etagfs: "), "{out:#?}");
    assert!(lines[1].starts_with("  "), "{out:#?}");
    // Nobody wants to read a program's data structures.
    assert!(!out.stderr.contains(" { "), "{out:#?}");
    for word in words {
        assert!(out.stderr.contains(word), "{word:?} is not in {out:#?}");
    }
}

/// A program that has a file of the mount open, and lives until it is killed. `statements` are Python
/// and end with the file open as `f`; when `go` exists, it goes on with `then`.
fn holder(at: &Path, statements: &str, go: &Path, then: &str) -> Running {
    let script = format!(
        "import os, time\nos.chdir({at:?})\n{statements}\nos.chdir('/')\nprint('ready', flush=True)
while not os.path.exists({go:?}): time.sleep(0.01)\n{then}\nprint('done', flush=True)"
    );
    let running = Script::python(&script).start();
    wait::until("the file is open", wait::SOON, || {
        assert!(!running.ended(), "{}", running.stdout_so_far());
        running.stdout_so_far().contains("ready")
    });
    running
}
