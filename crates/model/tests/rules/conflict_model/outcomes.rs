//! What was seen to happen in a world: so that a test can tell that its world was not a dull one.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::BitOrAssign;

/// What was seen to happen, so that a test can tell that its world was not a dull one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outcomes(u16);

impl Outcomes {
    const NAMES: [&'static str; 15] = [
        "saved",
        "conflict",
        "unknown",
        "given up",
        "refused at open",
        "refused locally",
        "saved after a lost message",
        "landed late",
        "deleted",
        "saved after being told",
        "merged",
        "created by appending",
        "found in a trail",
        "refused, and hidden that it happened",
        "created again by a copy",
    ];
    pub(super) const SAVED: Self = Self(1);
    pub(super) const CONFLICT: Self = Self(1 << 1);
    pub(super) const UNKNOWN: Self = Self(1 << 2);
    pub(super) const GIVEN_UP: Self = Self(1 << 3);
    pub(super) const REFUSED_AT_OPEN: Self = Self(1 << 4);
    pub(super) const REFUSED_LOCALLY: Self = Self(1 << 5);
    pub(super) const SAVED_AFTER_LOSS: Self = Self(1 << 6);
    pub(super) const LANDED_LATE: Self = Self(1 << 7);
    pub(super) const DELETED: Self = Self(1 << 8);
    pub(super) const SAVED_AFTER_TELLING: Self = Self(1 << 9);
    pub(super) const MERGED: Self = Self(1 << 10);
    pub(super) const CREATED: Self = Self(1 << 11);
    pub(super) const FOUND_IN_A_TRAIL: Self = Self(1 << 12);
    pub(super) const HIDDEN: Self = Self(1 << 13);
    pub(super) const REVIVED: Self = Self(1 << 14);

    pub(super) fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOrAssign for Outcomes {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// They are what happened on one way to a state, not part of the state.
impl Hash for Outcomes {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.0 >> bit & 1 == 1)
            .map(|(_, name)| *name)
            .collect::<Vec<_>>();
        f.write_str(&names.join(", "))
    }
}
