//! A bucket policy that demands conditions: 403 for whatever writes or deletes without one. As a rule of
//! one proxy, for whoever comes by it; or, with `ETAGFS_TEST_POLICY=FILE`, as the world of a whole test
//! run: then every mount goes by a proxy, every proxy has the policy for requests of etagfs (the other
//! machines of the tests write as they like), and what it let pass is noted in the file.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::record::{Op, Record};

const VARIABLE: &str = "ETAGFS_TEST_POLICY";

/// How requests of etagfs call themselves (`AppName` of the SDK).
const OURS: &str = "app/etagfs";

/// Whether a request writes or deletes whatever is there. What cannot carry a condition does.
pub(crate) fn is_unconditional(request: &Record) -> bool {
    let matches = request.if_match().is_some();
    match request.op {
        Op::Put | Op::MultipartComplete => !matches && request.if_none_match().is_none(),
        Op::Delete => !matches,
        Op::Copy | Op::DeleteMany => true,
        _ => false,
    }
}

/// Whether this run's mounts have to go by a proxy.
pub(crate) fn is_world() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// The policy of a whole run, in one proxy.
#[derive(Debug)]
pub(super) struct World {
    file: PathBuf,
    puts: AtomicUsize,
    deletes: AtomicUsize,
    refused: AtomicUsize,
}

impl World {
    pub(super) fn of_this_run() -> Option<Self> {
        Some(Self {
            file: PathBuf::from(std::env::var_os(VARIABLE)?),
            puts: AtomicUsize::new(0),
            deletes: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        })
    }

    /// Whether a request passes.
    pub(super) fn admits(&self, request: &Record) -> bool {
        let agent = ["user-agent", "x-amz-user-agent"];
        let is_ours = agent.into_iter().any(|name| {
            request
                .header(name)
                .is_some_and(|agent| agent.contains(OURS))
        });
        if !is_ours {
            return true;
        }
        let count = match request.op {
            _ if is_unconditional(request) => {
                self.refused.fetch_add(1, Ordering::SeqCst);
                return false;
            }
            Op::Put => &self.puts,
            Op::Delete => &self.deletes,
            _ => return true,
        };
        count.fetch_add(1, Ordering::SeqCst);
        true
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let line = format!(
            "{} {} {}\n",
            self.puts.load(Ordering::SeqCst),
            self.deletes.load(Ordering::SeqCst),
            self.refused.load(Ordering::SeqCst)
        );
        // One write: lines of other proxies do not mix with it.
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.file);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .unwrap();
    }
}

/// What the proxies of a run noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noted {
    /// Conditional puts that passed.
    pub(crate) puts: usize,
    /// Conditional deletes that passed.
    pub(crate) deletes: usize,
    /// Requests that did not.
    pub(crate) refused: usize,
    /// How many proxies noted it.
    pub(crate) proxies: usize,
}

impl Noted {
    /// Adds up the lines of a file.
    pub(crate) fn sum(text: &str) -> Self {
        text.lines().fold(Self::default(), |sum, line| {
            let counts: Vec<usize> = line.split(' ').map(|word| word.parse().unwrap()).collect();
            Self {
                puts: sum.puts + counts[0],
                deletes: sum.deletes + counts[1],
                refused: sum.refused + counts[2],
                proxies: sum.proxies + 1,
            }
        })
    }
}

/// The variable's setting for a run whose notes go to this file.
pub(crate) fn setting(file: &std::path::Path) -> (&'static str, &std::path::Path) {
    (VARIABLE, file)
}
