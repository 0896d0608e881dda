//! Corners of POSIX: what programs may do with files besides reading and writing them. Each script is
//! a Python program that asserts what it sees; it runs at the root of a mount of its own.
//!
//! `files` is about the bytes of one file, `names` about directories and names, `maps` about memory.

mod files;
mod maps;
mod names;

use crate::world::counted::Counted;
use crate::world::procs::{Output, Script};

/// What every script has.
const PRELUDE: &str = r#"
import ctypes, errno, fcntl, mmap, os, stat, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)

def refused(wanted, call, *arguments, **named):
    """Asserts that a call fails with one of these errnos."""
    wanted = {wanted} if isinstance(wanted, int) else set(wanted)
    try:
        result = call(*arguments, **named)
    except OSError as error:
        assert error.errno in wanted, f"{error!r}, not {[errno.errorcode[one] for one in wanted]}"
    else:
        assert False, f"{call} came to {result!r}"

def checked(result):
    """The result of a function of the C library, as an exception if it failed."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result

def put(path, text):
    with open(path, "w") as f:
        f.write(text)

def cat(path):
    with open(path) as f:
        return f.read()

def in_child(act):
    """What a forked child came to: its exit code."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"#;

/// A mount to run scripts in.
struct Ground(Counted);

impl Ground {
    fn new() -> Result<Self, String> {
        Self::with("--ttl=1")
    }

    fn with(argument: &str) -> Result<Self, String> {
        Counted::mount(|mount| mount.flat().arg(argument)).map(Self)
    }

    /// Runs a script that must succeed.
    #[track_caller]
    fn run(&self, script: &str) -> Output {
        let out = self.0.run(Script::python(&format!("{PRELUDE}\n{script}")));
        assert!(out.code == Some(0), "{}\n{script}", out.stderr);
        out
    }
}

/// Runs a script in a mount of its own; what is in the bucket then.
macro_rules! script {
    ($text:expr) => {{
        let ground = or_skip!(super::Ground::new());
        ground.run($text);
        ground
    }};
}
use script;
