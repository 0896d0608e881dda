//! System calls of another process on a mount, and the errno each came to. A call that hangs is killed
//! and told, so that a hung mount fails its test and does not hang it. See [`super::procs`].
//!
//! ```ignore
//! assert_eq!(attempt(mount.path(), "os.unlink('key')"), "ok");     // Python; `os` is imported
//! assert_eq!(attempt(mount.path(), "os.stat('missing')"), "ENOENT");
//! assert_eq!(attempt(mount.path(), &save("key", "bytes")), "ok");  // r+, write, close
//! ```

use std::path::Path;

use super::procs::Script;

const PRELUDE: &str = "\
import errno, os
def attempt(call):
    try:
        call()
        return 'ok'
    except OSError as error:
        return errno.errorcode[error.errno]
def call():
";

/// What the Python statements (one a line) came to: `ok`, or the name of the errno.
///
/// # Panics
/// When they hang, or fail otherwise than with an OSError.
#[track_caller]
pub(crate) fn attempt(directory: &Path, statements: &str) -> String {
    let body: String = statements
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    // Python begins outside: its start must not depend on the mount.
    let script = format!("{PRELUDE}{body}\nos.chdir({directory:?})\nprint(attempt(call))");
    let out = Script::python(&script).run().ok();
    out.stdout.trim_end().to_owned()
}

/// Statements that save over an existing key what its writer has read.
pub(crate) fn save(key: &str, bytes: &str) -> String {
    writes(key, "os.O_RDWR", bytes)
}

/// Statements that save a new key.
pub(crate) fn create(key: &str, bytes: &str) -> String {
    writes(key, "os.O_WRONLY | os.O_CREAT | os.O_EXCL", bytes)
}

fn writes(key: &str, flags: &str, bytes: &str) -> String {
    format!(
        "f = os.open({key:?}, {flags})\nos.truncate(f, 0)\nos.write(f, b{bytes:?})\nos.close(f)"
    )
}
