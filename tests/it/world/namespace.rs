//! Mount namespaces of a test's own. A new one has copies of all mounts, those of the tests that run at the
//! same time too, and a filesystem ends with its last mount: as long as there is a copy, the daemon of a
//! mount that its test has unmounted goes on. It does not know what the namespaces are for.
//!
//! ```ignore
//! let script = format!("{}\n{script}", namespace::ALONE);
//! Script::bash(r#"exec unshare --mount --propagation private bash -c "$SCRIPT""#).env("SCRIPT", script)
//! ```

/// What a script does first in a mount namespace of its own, and nowhere else: it takes all mounts of FUSE
/// out of it. It has no single quotes, and asks none of the mounts, whose daemons may stand still.
pub(crate) const ALONE: &str = r#"for at in $(sed -n "s/^\([^ ]* \)\{4\}\([^ ]*\) .* - fuse.*/\2/p" /proc/self/mountinfo); do umount --lazy --internal-only --no-canonicalize "$at"; done 2> /dev/null"#;
