//! What a save that starts from nothing replaces (W1).

use super::{Precondition, Version};

/// The base of a save that starts from nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Replace this.
    Take(Precondition),
    /// The caller was shown another version than the current one: the race is already lost (W4).
    AlreadyLost {
        /// What the caller was shown.
        shown: Precondition,
    },
}

impl Base {
    /// The base of a caller that was last shown this, when the key is now `current`.
    pub fn of(shown: Option<Precondition>, current: &Precondition) -> Self {
        match shown {
            Some(shown) if shown != *current => Self::AlreadyLost { shown },
            _ => Self::Take(current.clone()),
        }
    }

    /// The base of a value that is written anew under a name that was moved away as the version `moved`, by a
    /// caller whose base would be this if that were the current version: just that version, also for a caller
    /// that was shown that there is no key, since it is away; but not for one that was shown another version.
    #[must_use]
    pub fn over_departed(self, moved: Version) -> Self {
        match self {
            lost @ Self::AlreadyLost {
                shown: Precondition::Is(_),
            } => lost,
            Self::AlreadyLost {
                shown: Precondition::Absent,
            }
            | Self::Take(_) => Self::Take(Precondition::Is(moved)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v(n: u32) -> Version {
        Version::new(format!("\"{n}\""))
    }

    fn is(n: u32) -> Precondition {
        Precondition::Is(v(n))
    }

    #[test]
    fn a_value_under_a_departed_name_replaces_what_was_moved_unless_another_was_shown() {
        let lost = |shown| Base::AlreadyLost { shown };
        assert_eq!(Base::Take(is(1)).over_departed(v(1)), Base::Take(is(1)));
        let absent = lost(Precondition::Absent);
        assert_eq!(absent.over_departed(v(1)), Base::Take(is(1)));
        assert_eq!(lost(is(2)).over_departed(v(1)), lost(is(2)));
    }
}
