//! What is forgotten when there is no room: first the readings that no living process will ask for, then
//! misses if there are too many, then the oldest readings of the job that has the most.

use std::sync::Arc;

use super::super::order::{Linked, OF_MISSES, OF_NOBODY};
use super::super::slab::{Id, NONE};
use super::{Levels, ReadMemory};

/// How many of the oldest readings are searched for one that no living process will ask for.
const LOOKS: usize = 16;

/// The share of misses among all that is remembered when there is no room: one in this many.
const SHARE_OF_MISSES: usize = 8;

impl ReadMemory {
    /// Forgets a reading other than this one, if there is another.
    pub(super) fn forget_one(&mut self, but: Id) -> bool {
        let Some((id, is_of_nobody)) = self.choose(but) else {
            return false;
        };
        self.forgotten += u64::from(!is_of_nobody);
        self.keep_only(id, Levels::NONE);
        true
    }

    /// The next one to be forgotten, and whether no living process will ask for it.
    fn choose(&mut self, but: Id) -> Option<(Id, bool)> {
        if self.order.line(OF_NOBODY).count == 0 {
            let living = Arc::clone(&self.living);
            self.order
                .look_around(LOOKS, |job| living.job_has_ended(job));
        }
        let first = self.order.line(OF_NOBODY).oldest;
        if first != NONE && first != but {
            return Some((first, true));
        }
        while let Some(line) = self.order.ended() {
            match self.dead_in(line, but) {
                Some(id) => return Some((id, true)),
                None => self.order.goes_on(line),
            }
        }
        let misses = self.order.line(OF_MISSES).count as usize;
        let line = match misses > self.readings.0.len() / SHARE_OF_MISSES {
            true => OF_MISSES,
            false => self.order.longest()?,
        };
        if let Some(id) = self.dead_in(line, but) {
            return Some((id, true));
        }
        let mut oldest = self.order.line(line).oldest;
        if oldest == but {
            oldest = self.readings.place(but).newer;
        }
        if oldest == NONE {
            let other = self.order.others(line).next()?;
            oldest = self.order.line(other).oldest;
        }
        Some((oldest, false))
    }

    /// One of the oldest of a list that no living process will ask for.
    fn dead_in(&mut self, line: Id, but: Id) -> Option<Id> {
        let mut at = self.order.line(line).oldest;
        for _ in 0..LOOKS {
            if at == NONE {
                break;
            }
            if at != but && self.is_of_nobody(at) {
                return Some(at);
            }
            at = self.readings.place(at).newer;
        }
        None
    }
}
