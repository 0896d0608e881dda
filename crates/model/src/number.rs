//! The numbers that files show (`st_ino`). They derive from what the files are: the store and the key.
//!
//! A number never changes: it is the same on every mount, after every save, in every version of this program.
//! Programs remember it to see whether a file is still that file.

use sha2::{Digest, Sha256};

/// What a name stands for, in a few bytes: two names of the same identity name one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    digest: u128,
    is_dir: bool,
}

/// Programs keep these numbers in 64 bits, some of them with a sign.
const BITS: u64 = u64::MAX >> 1;

/// 0 means that there is none, 1 is the root.
const FIRST: u64 = 2;

impl Identity {
    /// Of a key of a store.
    pub fn of_key(store: &str, key: &str) -> Self {
        Self::new("key", store, key, false)
    }

    /// Of a file that one process must take for another one: the `nth` of a mount.
    pub fn of_another(nth: u64) -> Self {
        Self::new("another", "", &nth.to_string(), false)
    }

    /// Of a directory of a store; its path ends with a slash, that of the store itself is empty.
    pub fn of_dir(store: &str, path: &str) -> Self {
        Self::new("directory", store, path, true)
    }

    /// Of a file or directory that is the mount's own.
    pub fn of_own(path: &str, is_dir: bool) -> Self {
        Self::new("own", "", path, is_dir)
    }

    /// The name of a store holds no NUL, so that two things never have the same input.
    fn new(kind: &str, store: &str, path: &str, is_dir: bool) -> Self {
        let hash = Sha256::new()
            .chain_update(kind)
            .chain_update([0])
            .chain_update(store)
            .chain_update([0])
            .chain_update(path)
            .finalize();
        let digest = hash
            .iter()
            .take(16)
            .fold(0, |digest: u128, byte| digest << 8 | u128::from(*byte));
        Self { digest, is_dir }
    }

    /// Whether it is the identity of a directory.
    pub(super) fn is_dir(self) -> bool {
        self.is_dir
    }

    /// The numbers for it, the best first. Of a million names of one mount, two have the same first
    /// number with a chance of one in twenty million; then one of them gets its second.
    pub(super) fn numbers(self) -> impl Iterator<Item = u64> {
        let [first, step] = [self.digest >> 64, self.digest | 1].map(|half| half as u64);
        (0..u64::MAX)
            .map(move |nth| first.wrapping_add(step.wrapping_mul(nth)) & BITS)
            .filter(|number| *number >= FIRST)
    }

    /// One that has this number first, and the following ones after it.
    #[cfg(test)]
    pub(super) fn with_number(number: u64, other: u64) -> Self {
        Self {
            digest: u128::from(number) << 64 | u128::from(other),
            is_dir: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn number(identity: Identity) -> u64 {
        identity.numbers().next().expect("there are many")
    }

    /// A change here makes every backup of every mount start from the beginning.
    #[test]
    fn numbers_are_the_same_in_every_version() {
        let store = "6d1a3c5e-0f5b-4d2e-9d31-0b6a3f1c2d4e";
        let all = [
            Identity::of_key(store, "key"),
            Identity::of_key("flat", "a/b"),
            Identity::of_dir(store, ""),
            Identity::of_dir("flat", "a/"),
            Identity::of_own("/.etagfs/status", false),
        ];
        let numbers = [
            2_411_022_266_160_940_336,
            123_161_669_218_004_542,
            5_257_343_053_186_256_290,
            3_821_622_377_658_914_329,
            4_922_011_968_092_419_761,
        ];
        assert_eq!(all.map(number), numbers);
    }

    #[test]
    fn different_things_have_different_numbers() {
        let things = [
            Identity::of_key("flat", "a"),
            Identity::of_key("flat", "b"),
            Identity::of_key("flat", "a/"),
            Identity::of_dir("flat", "a/"),
            Identity::of_dir("flat", "a"),
            Identity::of_key("f", "lata"),
            Identity::of_own("a", false),
        ];
        let numbers: HashSet<_> = things.into_iter().map(number).collect();
        assert_eq!(numbers.len(), things.len());
    }

    #[test]
    fn no_number_is_reserved_or_negative_and_none_comes_twice() {
        for identity in [
            Identity::with_number(0, 0),
            Identity::with_number(1, 3),
            Identity::with_number(u64::MAX, u64::MAX),
            Identity::of_key("flat", "a"),
        ] {
            let numbers: HashSet<_> = identity.numbers().take(1000).collect();
            assert_eq!(numbers.len(), 1000);
            assert!(numbers.iter().all(|number| (FIRST..=BITS).contains(number)));
        }
    }
}
