//! The hottest keys: how often each path was in the access log of late.
//!
//! Pure; `mount.rs` reads the log. A line is what `telemetry/access.rs` writes.

use std::collections::{HashMap, VecDeque};

use serde::Serialize;

/// Over how many looks a key is remembered.
const LOOKS: usize = 10;

/// How often something was done to a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Heat {
    /// Store and key.
    pub(super) key: String,
    /// All operations.
    pub(super) operations: u64,
    /// Those that were answered with an errno.
    pub(super) errors: u64,
    /// Conflicts among them.
    pub(super) conflicts: u64,
    /// Bytes read and written.
    pub(super) bytes: u64,
}

/// What the log told at the latest looks.
#[derive(Debug, Default)]
pub(super) struct BusyKeys {
    looks: VecDeque<HashMap<String, Heat>>,
    /// The beginning of a line whose end has not come yet.
    rest: String,
}

impl BusyKeys {
    /// Takes in what the log told since the last look.
    pub(super) fn look(&mut self, text: &str) {
        let text = std::mem::take(&mut self.rest) + text;
        let (lines, rest) = text.rsplit_once('\n').unwrap_or(("", &text));
        rest.clone_into(&mut self.rest);
        let mut seen = HashMap::<String, Heat>::new();
        for line in lines.lines() {
            let columns: Vec<_> = line.splitn(7, ' ').collect();
            let [_, _, _, errno, bytes, _, path] = columns.as_slice() else {
                continue;
            };
            // Directories and attributes of all that is listed are not what anybody works on.
            if line.starts_with('#') || path.ends_with('/') {
                continue;
            }
            let heat = seen.entry((*path).to_owned()).or_default();
            heat.operations += 1;
            heat.errors += u64::from(*errno != "OK");
            heat.conflicts += u64::from(*errno == "EAGAIN");
            heat.bytes += bytes.parse::<u64>().unwrap_or(0);
        }
        if self.looks.len() == LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back(seen);
    }

    /// The hottest keys, hottest first.
    pub(super) fn hottest(&self, count: usize) -> Vec<Heat> {
        let mut all = HashMap::<&str, Heat>::new();
        for (key, heat) in self.looks.iter().flatten() {
            let sum = all.entry(key).or_default();
            sum.operations += heat.operations;
            sum.errors += heat.errors;
            sum.conflicts += heat.conflicts;
            sum.bytes += heat.bytes;
        }
        let mut hottest: Vec<_> = all
            .into_iter()
            .map(|(key, heat)| Heat {
                key: key.to_owned(),
                ..heat
            })
            .collect();
        hottest.sort_by(|one, two| {
            let by = two.operations.cmp(&one.operations);
            by.then_with(|| one.key.cmp(&two.key))
        });
        hottest.truncate(count);
        hottest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_ordered_by_what_was_done_to_them_of_late() {
        let mut keys = BusyKeys::default();
        keys.look("T read 1 OK 5 0.1 s/a\nT flush 1 EAGAIN 0 0.1 s/b c\nT re");
        keys.look("ad 1 OK 5 0.1 s/a\n# 3 lines lost\nT getattr 1 OK 0 0.1 s/\n");
        let hottest = keys.hottest(9);
        let told: Vec<_> = hottest
            .iter()
            .map(|heat| (&*heat.key, heat.operations, heat.conflicts, heat.bytes))
            .collect();
        assert_eq!(told, [("s/a", 2, 0, 10), ("s/b c", 1, 1, 0)]);
        for _ in 0..LOOKS {
            keys.look("");
        }
        assert!(keys.hottest(9).is_empty());
    }
}
