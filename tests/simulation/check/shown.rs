//! What processes were shown of keys.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;

use crate::world::Record;

/// What processes were shown of keys, by the bytes.
#[derive(Default)]
pub(super) struct Shown {
    of: HashMap<(usize, u32, u32, String), Vec<Bytes>>,
    /// Who deleted, of these: they know that there is no such key.
    deleted: HashSet<(usize, u32, u32, String)>,
    /// What whoever makes a call knew when it began, and when it ended, if that is over.
    pub(super) at_call: HashMap<usize, Vec<Option<Vec<Bytes>>>>,
}

impl Shown {
    /// What a process of the same mount as another one was shown.
    pub(super) fn of(&self, mate: &Record, pid: u32, path: &str) -> Option<&Vec<Bytes>> {
        self.of.get(&(mate.mount, mate.epoch, pid, path.to_owned()))
    }

    pub(super) fn has_deleted(&self, mate: &Record, pid: u32, path: &str) -> bool {
        let who = (mate.mount, mate.epoch, pid, path.to_owned());
        self.deleted.contains(&who)
    }

    pub(super) fn delete(&mut self, record: &Record, path: &str) {
        let who = (record.mount, record.epoch, record.pid, path.to_owned());
        self.deleted.insert(who);
    }

    pub(super) fn add(&mut self, record: &Record, path: &str, bytes: Bytes) {
        let who = (record.mount, record.epoch, record.pid, path.to_owned());
        self.deleted.remove(&who);
        let all = self.of.entry(who).or_default();
        if !all.contains(&bytes) {
            all.push(bytes);
        }
    }
}
