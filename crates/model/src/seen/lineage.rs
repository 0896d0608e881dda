//! The readers: each process with its ancestors and its job, stored once, however much it read.

use super::super::who::Caller;
use super::slab::{Heads, Id, NONE, Slab, mixed};

/// A process with its ancestors and its job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lineage {
    pub(super) caller: Caller,
    pub(super) readings: u32,
    /// The list in which its readings wait to be forgotten.
    pub(super) line: Id,
    next: Id,
}

/// The lineages that have readings.
#[derive(Clone, Debug)]
pub(super) struct Lineages {
    all: Slab<Lineage>,
    by_caller: Heads,
}

impl Lineages {
    /// With room for about this many.
    pub(super) fn new(many: usize) -> Self {
        Self {
            all: Slab::default(),
            by_caller: Heads::of(many),
        }
    }

    /// How much memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.all.len() * size_of::<Lineage>() + self.by_caller.len() * size_of::<Id>()
    }

    pub(super) fn get(&self, id: Id) -> &Lineage {
        self.all.get(id)
    }

    pub(super) fn at(&mut self, id: Id) -> &mut Lineage {
        self.all.at(id)
    }

    pub(super) fn find(&self, caller: &Caller) -> Option<Id> {
        let mut at = self.by_caller.peek(hash(caller));
        while at != NONE {
            let lineage = self.all.get(at);
            if lineage.caller == *caller {
                return Some(at);
            }
            at = lineage.next;
        }
        None
    }

    /// A new one, with one reading.
    pub(super) fn add(&mut self, caller: &Caller, line: Id) -> Id {
        let first = self.by_caller.first(hash(caller));
        let id = self.all.add(Lineage {
            caller: *caller,
            readings: 1,
            line,
            next: *first,
        });
        *first = id;
        id
    }

    /// Shortens the lists.
    pub(super) fn grow(&mut self) {
        let all = &mut self.all;
        self.by_caller.grow(|id, follows| {
            let lineage = all.at(id);
            let behind = lineage.next;
            lineage.next = follows.unwrap_or(behind);
            (behind, hash(&lineage.caller))
        });
    }

    /// Removes one that has no readings left.
    pub(super) fn remove(&mut self, id: Id) {
        let &Lineage { caller, next, .. } = self.all.get(id);
        let first = self.by_caller.first(hash(&caller));
        let mut at = *first;
        if at == id {
            *first = next;
        }
        while at != NONE && at != id {
            let it = self.all.at(at);
            at = it.next;
            if at == id {
                it.next = next;
            }
        }
        self.all.remove(id);
    }
}

fn hash(caller: &Caller) -> u64 {
    let own = u64::from(caller.process.id) ^ caller.process.start << 24;
    let all = caller
        .ancestors
        .ids()
        .fold(own, |hash, id| mixed(hash, u64::from(id)));
    mixed(
        all,
        u64::from(caller.job.group) << 32 | u64::from(caller.job.session),
    )
}
