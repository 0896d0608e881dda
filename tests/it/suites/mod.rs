//! File system test suites of others, on a real mount over the embedded server: they know nothing of
//! buckets, and find what our own tests did not think of. `fsx` compares every read with a model,
//! `pjdfstest` asks for POSIX call by call, `load` is what many programs do at once.
//!
//! `tests/setup` installs them. What they did is in the report of `tests/run`.

mod fsx;
mod load;
mod pjdfstest;

use crate::world::client::Client;
use crate::world::mounts::{self, Mount, Mounted};
use crate::world::procs::Script;
use crate::world::rescues;
use crate::world::servers::{self, Kind};

/// A program that Debian has.
///
/// # Errors
/// It is not there: the reason, for `or_skip!`.
fn packaged(name: &str) -> Result<(), String> {
    let found = Script::bash(&format!("command -v {name}")).run();
    match found.code {
        Some(0) => Ok(()),
        _ => Err(format!("{name} is not installed: run tests/setup")),
    }
}

/// A mount of a bucket of its own, for one suite.
struct Ground {
    mount: Mounted,
    other: Client,
}

impl Ground {
    fn mount(options: impl FnOnce(Mount) -> Mount) -> Result<Self, String> {
        mounts::possible()?;
        let bucket = servers::shared(Kind::Embedded)?.bucket();
        Ok(Self {
            other: bucket.client(),
            mount: options(Mount::of(&bucket).flat()).start(),
        })
    }

    /// Ends it. A suite is alone with its files: it lost no race but so many with itself, and nothing
    /// went wrong.
    #[track_caller]
    fn end(self, conflicts: usize) {
        let told = std::fs::read_to_string(self.mount.file(".etagfs/conflicts")).unwrap();
        assert_eq!(told.lines().count(), conflicts, "{told}");
        let rescued = rescues::of(self.mount.state_dir());
        let failed = rescued.iter().filter(|one| one.reason != "conflict");
        let failed: Vec<_> = failed.map(|one| (&one.key, &one.reason)).collect();
        assert!(failed.is_empty(), "{failed:?}");
        let log = self.mount.unmount();
        for wrong in [" ERROR ", "panicked"] {
            let told: Vec<_> = log.lines().filter(|line| line.contains(wrong)).collect();
            assert!(told.is_empty(), "{told:#?}");
        }
    }
}
