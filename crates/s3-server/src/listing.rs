//! One page of a listing: which keys and common prefixes, and where the next page begins.
//!
//! Pure: it sees an ordered sequence that can jump ([`Ordered`]), not a table. A page is a slice of
//! one ordered list of *items* (keys, and common prefixes standing for the keys below them); a
//! common prefix costs one jump, however many keys it stands for. Read `s3/list.rs` for the
//! requests, [`super::storage`] for the sequence.

use std::ops::Bound;

/// Keys in the order of their bytes, with a value each, that can be entered anywhere.
pub(super) trait Ordered {
    /// What stands at a key.
    type Value;
    /// Why reading can fail.
    type Error;
    /// Goes to the first key at or after (or strictly after) some bytes, forwards or backwards.
    fn seek(&mut self, from: Bound<&[u8]>) -> Result<(), Self::Error>;
    /// The key here; moves on by one.
    fn next(&mut self) -> Result<Option<(String, Self::Value)>, Self::Error>;
}

/// What is listed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    /// Only keys that begin so.
    pub(super) prefix: &'a str,
    /// Keys that agree up to and including this (after the prefix) are one item.
    pub(super) delimiter: Option<&'a str>,
    /// Only items after this one, which need not exist. The item is a key or a common prefix.
    pub(super) after: Option<&'a str>,
    /// At most so many items.
    pub(super) limit: usize,
}

/// An item of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item<V> {
    /// A key.
    Key(String, V),
    /// A common prefix.
    Prefix(String),
}

impl<V> Item<V> {
    /// The name that items are ordered by, and that the next page may begin after.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Key(name, _) | Self::Prefix(name) => name,
        }
    }
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page<V> {
    /// In the order of their names.
    pub(super) items: Vec<Item<V>>,
    /// Whether more items follow the last of these.
    pub(super) truncated: bool,
}

/// Reads one page.
pub(super) fn page<O: Ordered>(keys: &mut O, query: Query<'_>) -> Result<Page<O::Value>, O::Error> {
    let delimiter = query.delimiter.filter(|d| !d.is_empty());
    let mut page = Page {
        items: Vec::new(),
        truncated: false,
    };
    if query.limit == 0 {
        return Ok(page);
    }
    enter(keys, query, delimiter)?;
    while let Some((key, value)) = keys.next()? {
        let Some(rest) = key.strip_prefix(query.prefix) else {
            break;
        };
        if page.items.len() == query.limit {
            page.truncated = true;
            break;
        }
        match delimiter.and_then(|d| rest.find(d).map(|at| at + d.len())) {
            Some(end) => {
                let prefix = &key[..query.prefix.len() + end];
                let beyond = successor(prefix);
                let prefix = prefix.to_owned();
                page.items.push(Item::Prefix(prefix));
                match beyond {
                    Some(beyond) => keys.seek(Bound::Included(&beyond))?,
                    None => break,
                }
            }
            None => page.items.push(Item::Key(key, value)),
        }
    }
    Ok(page)
}

/// Goes to the first key of the page: after `after`, and beyond everything that it stands for.
fn enter<O: Ordered>(
    keys: &mut O,
    query: Query<'_>,
    delimiter: Option<&str>,
) -> Result<(), O::Error> {
    let Some(after) = query.after.filter(|after| *after >= query.prefix) else {
        return keys.seek(Bound::Included(query.prefix.as_bytes()));
    };
    // A common prefix is not listed after a name at or behind it: neither after itself (the next
    // page) nor after a key below it (a start inside of it).
    let rolled = after
        .strip_prefix(query.prefix)
        .zip(delimiter)
        .and_then(|(rest, d)| {
            let end = query.prefix.len() + rest.find(d)? + d.len();
            successor(&after[..end])
        });
    match rolled {
        Some(beyond) => keys.seek(Bound::Included(&beyond)),
        None => keys.seek(Bound::Excluded(after.as_bytes())),
    }
}

/// The smallest byte string greater than everything that begins with `prefix`.
///
/// `None` for the empty prefix; UTF-8 has no 0xFF, so any other prefix has one.
fn successor(prefix: &str) -> Option<Vec<u8>> {
    let mut bytes = prefix.as_bytes().to_vec();
    *bytes.last_mut()? += 1;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// A map, and how many times it was asked for a key.
    struct Map<'a> {
        map: &'a BTreeMap<String, usize>,
        rest: Vec<(String, usize)>,
        reads: usize,
    }

    impl<'a> Map<'a> {
        fn new(map: &'a BTreeMap<String, usize>) -> Self {
            Self {
                map,
                rest: Vec::new(),
                reads: 0,
            }
        }
    }

    impl Ordered for Map<'_> {
        type Value = usize;
        type Error = Infallible;

        fn seek(&mut self, from: Bound<&[u8]>) -> Result<(), Infallible> {
            let inside = |key: &[u8]| match from {
                Bound::Included(start) => key >= start,
                Bound::Excluded(start) => key > start,
                Bound::Unbounded => true,
            };
            let rest = self.map.iter().filter(|(key, _)| inside(key.as_bytes()));
            self.rest = rest
                .map(|(key, value)| (key.clone(), *value))
                .rev()
                .collect();
            Ok(())
        }

        fn next(&mut self) -> Result<Option<(String, usize)>, Infallible> {
            self.reads += 1;
            Ok(self.rest.pop())
        }
    }

    /// The definition: roll up every key, order the items by name, cut.
    fn reference(map: &BTreeMap<String, usize>, query: Query<'_>) -> (Vec<String>, bool) {
        let names: BTreeSet<String> = map
            .keys()
            .filter_map(|key| {
                let rest = key.strip_prefix(query.prefix)?;
                let cut = query.delimiter.filter(|d| !d.is_empty());
                let cut = cut.and_then(|d| rest.find(d).map(|at| at + d.len()));
                Some(cut.map_or(key.clone(), |end| {
                    key[..query.prefix.len() + end].to_owned()
                }))
            })
            .filter(|name| query.after.is_none_or(|after| name.as_str() > after))
            .collect();
        let truncated = query.limit > 0 && names.len() > query.limit;
        (names.into_iter().take(query.limit).collect(), truncated)
    }

    fn names<V>(page: &Page<V>) -> Vec<String> {
        page.items
            .iter()
            .map(|item| item.name().to_owned())
            .collect()
    }

    fn key() -> impl Strategy<Value = String> {
        // Few letters, so that keys share prefixes; the delimiter's neighbours and the last code
        // point, since they are where a successor goes wrong.
        let letters = prop::sample::select(vec!['a', 'b', '/', '.', '0', '\u{e9}', '\u{10ffff}']);
        prop::collection::vec(letters, 0..6).prop_map(String::from_iter)
    }

    proptest! {
        #[test]
        fn a_page_is_a_slice_of_the_ordered_items(
            keys in prop::collection::btree_set(key().prop_filter("a key has a byte", |k| !k.is_empty()), 0..40),
            prefix in key(),
            delimiter in prop::option::of(prop::sample::select(vec!["/", "a", "b/", "\u{10ffff}", ""])),
            after in prop::option::of(key()),
            limit in 0_usize..8,
        ) {
            let map: BTreeMap<String, usize> = keys.into_iter().zip(0..).collect();
            let query = Query { prefix: &prefix, delimiter, after: after.as_deref(), limit };
            let got = page(&mut Map::new(&map), query).unwrap();
            prop_assert_eq!((names(&got), got.truncated), reference(&map, query));
            for item in &got.items {
                if let Item::Key(key, value) = item {
                    prop_assert_eq!(map.get(key), Some(value));
                }
            }
        }

        #[test]
        fn pages_in_a_row_are_the_whole_listing_once(
            keys in prop::collection::btree_set(key().prop_filter("a key has a byte", |k| !k.is_empty()), 0..60),
            prefix in key(),
            delimiter in prop::option::of(prop::sample::select(vec!["/", "a", "b/"])),
            limit in 1_usize..8,
        ) {
            let map: BTreeMap<String, usize> = keys.into_iter().zip(0..).collect();
            let mut walked = Vec::new();
            let mut after: Option<String> = None;
            loop {
                let query = Query { prefix: &prefix, delimiter, after: after.as_deref(), limit };
                let page = page(&mut Map::new(&map), query).unwrap();
                walked.extend(names(&page));
                after = page.items.last().map(|item| item.name().to_owned());
                if !page.truncated {
                    break;
                }
            }
            let all = Query { prefix: &prefix, delimiter, after: None, limit: usize::MAX };
            prop_assert_eq!(walked, reference(&map, all).0);
        }
    }

    #[test]
    fn a_common_prefix_costs_one_read_however_many_keys_are_below_it() {
        let map: BTreeMap<String, usize> = (0..3)
            .flat_map(|d| (0..1000).map(move |n| (format!("{d}/{n}"), n)))
            .collect();
        let mut keys = Map::new(&map);
        let query = Query {
            prefix: "",
            delimiter: Some("/"),
            after: None,
            limit: 1000,
        };
        assert_eq!(names(&page(&mut keys, query).unwrap()), ["0/", "1/", "2/"]);
        assert!(keys.reads <= 4, "{} reads", keys.reads);
    }
}
