//! The trail of a value: the saves that it came after, as far as its writer knew them (W6).
//!
//! A refused save may have happened: an intermediary sent it twice, the first copy succeeded, and the second
//! was refused. A put-id that is still on the key proves that. If another mount saved over it meanwhile, the
//! newest value carries the put-ids of the values it replaced, which proves it too. A write without a trail
//! (another program, a delete) ends the trail: then nothing is proved. This module has no backend;
//! `backend/settle/trails.rs` keeps trails.

use std::fmt::{self, Write as _};

use super::{PutId, Version};

/// How many saves a trail goes back: as many as may happen between a save that was refused and its check.
const LENGTH: usize = 8;

/// A longer ETag, in bytes, ends a trail: the trail must fit into a header.
const LONGEST: usize = 72;

/// Successive saves, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Trail(Vec<(PutId, Version)>);

impl Trail {
    /// The trail for a save that replaces the version that this save made, which has the trail `before`.
    #[must_use]
    pub fn after(id: PutId, version: &Version, before: &Self) -> Self {
        let fits = |version: &Version| {
            let etag = version.etag();
            // It is written between spaces.
            etag.len() <= LONGEST && !etag.is_empty() && etag.bytes().all(|b| b.is_ascii_graphic())
        };
        if !fits(version) {
            return Self::default();
        }
        let newest = std::iter::once((id, version.clone()));
        Self(
            newest
                .chain(before.0.iter().cloned())
                .take(LENGTH)
                .collect(),
        )
    }

    /// The version that a save made, if the trail has it.
    pub fn version_of(&self, id: PutId) -> Option<&Version> {
        let mut saves = self.0.iter();
        saves.find_map(|(save, version)| (*save == id).then_some(version))
    }

    /// Whether it has no save.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As text of at most this many bytes, which [`parse`](Self::parse) reads; older saves that do not fit
    /// are left out.
    pub fn to_text(&self, most: usize) -> String {
        let mut text = String::new();
        for (id, version) in &self.0 {
            let before = text.len();
            let gap = if before == 0 { "" } else { " " };
            // Writing to a string cannot fail.
            let _ = write!(text, "{gap}{id}:{version}");
            if text.len() > most {
                text.truncate(before);
                break;
            }
        }
        text
    }

    /// Reads what [`to_text`](Self::to_text) wrote. Any other text is an empty trail: anyone can write
    /// anything there.
    pub fn parse(text: &str) -> Self {
        let save = |word: &str| {
            let (id, etag) = word.split_once(':')?;
            Some((PutId::parse(id)?, Version::told(etag)?))
        };
        let saves = text.split(' ').map(save).take(LENGTH);
        Self(saves.collect::<Option<_>>().unwrap_or_default())
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(n: usize) -> Version {
        Version::new(format!("\"{n}\""))
    }

    fn id(n: usize) -> PutId {
        PutId::new(n as u128)
    }

    fn of(saves: usize) -> Trail {
        (0..saves).fold(Trail::default(), |before, n| {
            Trail::after(id(n), &version(n), &before)
        })
    }

    #[test]
    fn a_trail_knows_the_newest_saves_and_forgets_the_older() {
        let trail = of(LENGTH + 3);
        for n in 0..LENGTH + 3 {
            let known = trail.version_of(id(n)).cloned();
            assert_eq!(known, (n >= 3).then(|| version(n)), "{n}");
        }
    }

    #[test]
    fn a_trail_comes_back_from_its_text_as_far_as_there_was_room() {
        for saves in 0..=LENGTH {
            let trail = of(saves);
            assert_eq!(Trail::parse(&trail.to_string()), trail);
            for most in 0..400 {
                let text = trail.to_text(most);
                assert!(text.len() <= most);
                let kept = Trail::parse(&text).0;
                assert_eq!(kept[..], trail.0[..kept.len()]);
            }
        }
    }

    #[test]
    fn what_is_no_trail_proves_nothing() {
        for text in ["", " ", "x", "a:b", &format!("{} ", of(1)), "0:\"1\""] {
            assert!(Trail::parse(text).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn an_etag_that_has_no_place_in_a_header_ends_the_trail() {
        for etag in ["", "\"a b\"", "\"\u{e4}\"", &"x".repeat(LONGEST + 1)] {
            let ended = Trail::after(id(9), &Version::new(etag), &of(3));
            assert!(ended.is_empty(), "{etag:?}");
        }
    }
}
