//! Rescues that are not in this state directory: those of the mounts of this machine that keep theirs in
//! another one, or still in memory.
//!
//! It asks the mounts themselves, and only those that this user may read; one that does not answer at once is
//! passed over.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::quoted::quoted;
use crate::mount::mount_points;

/// How long all mounts together may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a mount says of its rescues in `.etagfs/status`.
#[derive(Debug, Deserialize)]
struct Status {
    state_directory: Option<PathBuf>,
    rescues: u64,
    rescues_in_memory: u64,
}

/// A line for each mount whose rescues are not all in this state directory, with the command that shows them.
pub(super) fn rescues(here: &Path) -> Vec<String> {
    let (answer, answers) = mpsc::channel();
    let mut asked = 0;
    for at in mount_points().unwrap_or_default() {
        let answer = answer.clone();
        asked += 1;
        // A mount that does not answer holds up its thread, which ends with the program.
        std::thread::spawn(move || {
            let text = std::fs::read(at.join(".etagfs/status")).ok();
            let status = text.and_then(|text| serde_json::from_slice::<Status>(&text).ok());
            // Nobody waits any more.
            let _ = answer.send((at, status));
        });
    }
    let end = Instant::now() + PATIENCE;
    let mut lines = Vec::new();
    for _ in 0..asked {
        let left = end.saturating_duration_since(Instant::now());
        match answers.recv_timeout(left) {
            Ok((at, Some(status))) => lines.extend(of(&at, &status, here)),
            Ok((_, None)) => {}
            Err(_) => break,
        }
    }
    lines.sort();
    lines
}

/// What is to be said of one mount.
fn of(at: &Path, status: &Status, here: &Path) -> Vec<String> {
    let shown = at.display();
    let on_disk = status.rescues.saturating_sub(status.rescues_in_memory);
    let mut lines = Vec::new();
    if let Some(dir) = status.state_directory.as_deref().filter(|dir| *dir != here)
        && on_disk > 0
    {
        lines.push(format!(
            "rescues of the mount at {shown} are elsewhere ({on_disk}): etagfs rescue ls --state-dir {}",
            quoted(dir.display())
        ));
    }
    if status.rescues_in_memory > 0 {
        lines.push(format!(
            "rescues of the mount at {shown} are in its memory only ({}): ls -l {}",
            status.rescues_in_memory,
            quoted(at.join(".etagfs/rescue").display())
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_elsewhere_or_in_memory_is_told_with_the_command_that_shows_it() {
        let here = Path::new("/var/lib/etagfs");
        let status = |dir: &str, rescues, rescues_in_memory| Status {
            state_directory: Some(dir.into()),
            rescues,
            rescues_in_memory,
        };
        let lines = |status: &Status| of(Path::new("/mnt/a b"), status, here);
        assert!(lines(&status("/var/lib/etagfs", 3, 0)).is_empty());
        assert!(lines(&status("/other", 0, 0)).is_empty());
        let elsewhere = lines(&status("/other", 3, 1));
        assert_eq!(elsewhere.len(), 2);
        assert!(elsewhere[0].ends_with("(2): etagfs rescue ls --state-dir /other"));
        assert!(elsewhere[1].ends_with("(1): ls -l '/mnt/a b/.etagfs/rescue'"));
    }
}
