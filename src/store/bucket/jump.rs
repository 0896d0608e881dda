//! Which names of a bucket no store can lie between, so that a listing of stores need not ask for them.
//!
//! Pure: a listing ends with a name, and goes on behind the least name that is not worth looking at.

use crate::model::StoreId;

/// The length of a store's name in bytes.
const ID_LEN: usize = 36;

/// The store whose objects' names begin as this one does, and the rest of the name.
pub(super) fn split(name: &str) -> Option<(StoreId, &str)> {
    let (id, after) = name.split_at_checked(ID_LEN)?;
    Some((StoreId::parse(id)?, after))
}

/// Where to go on after a page that ended with `last`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Jump {
    /// Right after it: a store may come next.
    None,
    /// After this name; no store lies between.
    To(String),
    /// No store can follow.
    End,
}

pub(super) fn jump_behind(last: &str, separators: &[char]) -> Jump {
    let target = match split(last) {
        Some((id, after)) if after.starts_with(separators) => {
            let separator = &after[..after.chars().next().map_or(0, char::len_utf8)];
            format!("{id}{separator}~")
        }
        _ => match next_possible_store(last) {
            None => return Jump::End,
            Some(next) if last.starts_with(&next) => return Jump::None,
            Some(next) => just_before(&next),
        },
    };
    // Names beyond ASCII may lie behind the target; they are listed like any other.
    match *target > *last {
        true => Jump::To(target),
        false => Jump::None,
    }
}

/// The least text, not less than `name`, that a store's name could begin with; none after the
/// last. A store's name is 8, 4, 4, 4 and 12 digits `0-9a-f` with hyphens between.
fn next_possible_store(name: &str) -> Option<String> {
    let bytes = name.as_bytes();
    let mut next = String::new();
    for at in 0..ID_LEN {
        let Some(&byte) = bytes.get(at) else {
            return Some(next);
        };
        let allowed: &[u8] = match at {
            8 | 13 | 18 | 23 => b"-",
            _ => b"0123456789abcdef",
        };
        match allowed.iter().find(|allowed| **allowed >= byte) {
            Some(&same) if same == byte => next.push(char::from(byte)),
            Some(&greater) => {
                next.push(char::from(greater));
                return Some(next);
            }
            None => return increment(&next),
        }
    }
    Some(next)
}

/// The least text greater than every text that begins with `prefix`, of the same alphabet.
fn increment(prefix: &str) -> Option<String> {
    let mut digits = prefix.as_bytes().to_vec();
    while let Some(last) = digits.pop() {
        let greater = match last {
            b'-' | b'f' => continue,
            b'9' => b'a',
            digit => digit + 1,
        };
        digits.push(greater);
        return String::from_utf8(digits).ok();
    }
    None
}

/// A text less than `next` behind which `next` is the first that a store's name could begin with.
fn just_before(next: &str) -> String {
    let (head, last) = next.split_at(next.len().saturating_sub(1));
    let before = last.bytes().next().map(|byte| char::from(byte - 1));
    format!("{head}{}~", before.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    #[test]
    fn the_next_possible_store_skips_names_that_are_none() {
        for (name, next) in [
            ("", Some("")),
            ("2024-01-01.log", Some("20240")),
            ("abc", Some("abc")),
            ("logs", None),
            ("a-foo", Some("a0")),
            ("ag", Some("b")),
            ("ffg", None),
            ("99g", Some("9a")),
            ("README", Some("a")),
            ("0123456789", Some("01234568")),
            ("01234567-zz", Some("01234568")),
        ] {
            assert_eq!(next_possible_store(name).as_deref(), next, "{name}");
        }
    }

    #[test]
    fn a_store_whose_objects_are_not_folded_is_jumped_over() {
        let id = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";
        let object = format!("{id}_0f5b.ksv");
        assert_eq!(jump_behind(&object, &['_']), Jump::To(format!("{id}_~")));
        assert_eq!(jump_behind(&format!("{id}0"), &['_']), Jump::None);
    }

    proptest! {
        #[test]
        fn no_jump_skips_a_store(last in "[0-9a-g._~-]{0,12}", id in any::<u128>()) {
            let store = StoreId::new(Uuid::from_u128(id)).to_string();
            if *store > *last {
                match jump_behind(&last, &['_']) {
                    Jump::None => {}
                    Jump::To(name) => prop_assert!(name < store && name > last),
                    Jump::End => prop_assert!(false, "{last} is not behind {store}"),
                }
            }
        }
    }
}
