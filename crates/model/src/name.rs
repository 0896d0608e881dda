//! File names, and the escape between a part of a key and a file name.
//!
//! The escape is a bijection and touches as few names as it can: nearly every key segment is its own file
//! name. `store/dir.rs` builds paths from it. The rules, in the user's words, are V3 of `docs/semantics.md`.
//!
//! An escape is `%`, then any number of `25`, then a tail from one of the tables below. With no
//! `25` it stands for the special thing its tail names; with one or more it stands for the same
//! text with one `25` less. So `%00` is the NUL character, `%2500` is the text `%00`, and `100%`
//! is just itself.

use std::ffi::OsStr;
use std::fmt;

use thiserror::Error;

/// The longest file name that the kernel passes on, in bytes (NAME_MAX). FUSE itself does not
/// enforce it.
pub const MAX_NAME_BYTES: usize = 255;

/// Tails that are escapes anywhere in a name: characters that a file name cannot hold.
const ANYWHERE: [(&str, char); 2] = [("00", '\0'), ("2F", '/')];
/// Tails that are escapes if they are the whole name: segments that cannot be a file name, or that the mount
/// uses itself.
const WHOLE: [(&str, &str); 4] = [
    ("", ""),
    ("2E", "."),
    ("2E.", ".."),
    ("2Eetagfs", ".etagfs"),
];
/// Tail at the end of a name: the segment continues in the directory of this name.
const CONTINUES: char = '+';
/// Tail at the end of a name: the key, where the plain name is taken by a directory.
const SHADOWED: char = '.';

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadName {
    /// Longer than the limit (ENAMETOOLONG).
    #[error("the name is too long")]
    TooLong,
    /// Not a name that any key has (EINVAL).
    #[error("no key can have this name")]
    Illegal,
    /// As [`Illegal`](Self::Illegal), for this reason.
    #[error("no key can have this name: {0}")]
    Unspelled(&'static str),
}

/// A name that a directory may hold: UTF-8, 1 to [`MAX_NAME_BYTES`] bytes, no `/`, no NUL,
/// neither `.` nor `..`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName(String);

/// What a file name says about the key it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This is a whole segment of the key.
    Whole(String),
    /// A segment begins with this and continues in the directory of this name.
    Part(String),
    /// A whole segment, of a key whose plain name is taken by a directory.
    Shadowed(String),
}

impl FileName {
    /// Checks a name from outside.
    ///
    /// # Errors
    /// [`BadName`].
    pub fn new(name: &OsStr) -> Result<Self, BadName> {
        if name.len() > MAX_NAME_BYTES {
            return Err(BadName::TooLong);
        }
        match name.to_str() {
            None | Some("" | "." | "..") => Err(BadName::Illegal),
            Some(text) if text.contains(['/', '\0']) => Err(BadName::Illegal),
            Some(text) => Ok(Self(text.to_owned())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of a segment; if the segment is too long for a name, the name of the directory in which it
    /// continues, and how many of its bytes that name covers.
    pub fn of_segment(segment: &str) -> (Self, Option<usize>) {
        let whole = encode_whole(segment);
        if whole.len() <= MAX_NAME_BYTES {
            return (Self(whole), None);
        }
        let covered = part_len(segment);
        let name = format!("{}%{CONTINUES}", encode_anywhere(&segment[..covered]));
        (Self(name), Some(covered))
    }

    /// The name of a key's last segment when its plain name is taken by a directory. `None` when
    /// the segment is so long that the name would not fit.
    pub fn of_shadowed(segment: &str) -> Option<Self> {
        let name = format!("{}%{SHADOWED}", encode_whole(segment));
        (name.len() <= MAX_NAME_BYTES).then_some(Self(name))
    }

    /// What the name says.
    pub fn piece(&self) -> Piece {
        let name = self.0.as_str();
        if let Some((before, escapes, tail)) = trailing_run(name)
            && escapes == 0
        {
            return match tail {
                CONTINUES => Piece::Part(decode_anywhere(before)),
                _ => Piece::Shadowed(decode_whole(before)),
            };
        }
        Piece::Whole(decode_whole(name))
    }
}

impl AsRef<OsStr> for FileName {
    fn as_ref(&self) -> &OsStr {
        OsStr::new(&self.0)
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How many bytes of a segment the name of a part covers: just enough to fill the name so far that any
/// further character might not fit. The rest of the segment does not matter, so that all longer segments with
/// the same beginning have their names in the same directory.
fn part_len(segment: &str) -> usize {
    // A further character takes up to four bytes, also as an escape.
    let full = MAX_NAME_BYTES - 2 - 3;
    let is_full = |end: &usize| encode_anywhere(&segment[..*end]).len() >= full;
    // Encoding never shrinks a text, so that it is full within its first bytes.
    (1..=segment.len().min(MAX_NAME_BYTES - 2))
        .rev()
        .filter(|end| segment.is_char_boundary(*end))
        .take_while(is_full)
        .last()
        .unwrap_or(0)
}

fn encode_whole(segment: &str) -> String {
    if let Some((tail, _)) = WHOLE.iter().find(|(_, special)| *special == segment) {
        return format!("%{tail}");
    }
    if let Some((_, tail)) = leading_run(segment)
        && WHOLE.iter().any(|(special, _)| *special == tail)
    {
        return format!("%25{}", &segment[1..]);
    }
    match trailing_run(segment) {
        Some((before, _, _)) => {
            let run = &segment[before.len() + 1..];
            format!("{}%25{run}", encode_anywhere(before))
        }
        None => encode_anywhere(segment),
    }
}

fn decode_whole(name: &str) -> String {
    if let Some((escapes, tail)) = leading_run(name)
        && let Some((_, special)) = WHOLE.iter().find(|(special, _)| *special == tail)
    {
        return match escapes {
            0 => (*special).to_owned(),
            _ => format!("%{}", &name[3..]),
        };
    }
    match trailing_run(name) {
        Some((before, escapes, _)) if escapes > 0 => {
            let run = &name[before.len() + 3..];
            format!("{}%{run}", decode_anywhere(before))
        }
        _ => decode_anywhere(name),
    }
}

fn encode_anywhere(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        if let Some((tail, _)) = ANYWHERE.iter().find(|(_, special)| *special == first) {
            out.push('%');
            out.push_str(tail);
        } else {
            out.push(first);
            if is_run_anywhere(rest) {
                out.push_str("25");
            }
        }
        rest = after;
    }
    out
}

fn decode_anywhere(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let mut used = first.len_utf8();
        match leading_run(rest) {
            Some((0, tail)) if let Some(special) = special_at(tail) => {
                out.push(special);
                used += 2;
            }
            Some((_, tail)) if special_at(tail).is_some() => {
                out.push('%');
                used += 2;
            }
            _ => out.push(first),
        }
        rest = &rest[used..];
    }
    out
}

/// The character that an escape with this tail stands for, and the text after it.
fn special_at(tail: &str) -> Option<char> {
    let found = ANYWHERE.iter().find(|(code, _)| tail.starts_with(code))?;
    Some(found.1)
}

fn is_run_anywhere(text: &str) -> bool {
    leading_run(text).is_some_and(|(_, tail)| special_at(tail).is_some())
}

/// Splits a text that begins with `%` into the number of `25` that follow and the rest.
fn leading_run(text: &str) -> Option<(usize, &str)> {
    let mut tail = text.strip_prefix('%')?;
    let mut escapes = 0;
    while let Some(rest) = tail.strip_prefix("25") {
        tail = rest;
        escapes += 1;
    }
    Some((escapes, tail))
}

/// Splits a text that ends with an escape for the end of a name into what is before it, the
/// number of `25` in it, and its tail.
fn trailing_run(text: &str) -> Option<(&str, usize, char)> {
    let tail = text.chars().next_back()?;
    if tail != CONTINUES && tail != SHADOWED {
        return None;
    }
    let mut before = &text[..text.len() - 1];
    let mut escapes = 0;
    while let Some(rest) = before.strip_suffix("25") {
        before = rest;
        escapes += 1;
    }
    Some((before.strip_suffix('%')?, escapes, tail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name_of(segment: &str) -> String {
        FileName::of_segment(segment).0.0
    }

    #[test]
    fn ordinary_keys_are_their_own_names() {
        for segment in [
            "a",
            "100%",
            "a b",
            "50%25x",
            "%41",
            "caf\u{e9}",
            "a\nb",
            "%2",
            "...",
            ".x",
        ] {
            assert_eq!(name_of(segment), segment);
        }
    }

    #[test]
    fn segments_that_are_no_file_name_are_escaped() {
        for (segment, name) in [
            ("", "%"),
            ("%", "%25"),
            (".", "%2E"),
            ("..", "%2E."),
            (".etagfs", "%2Eetagfs"),
            ("%2E", "%252E"),
            ("a\0b", "a%00b"),
            ("a%00b", "a%2500b"),
            ("user/name", "user%2Fname"),
            ("x%+", "x%25+"),
            ("x%.", "x%25."),
        ] {
            assert_eq!(name_of(segment), name);
        }
    }

    #[test]
    fn a_segment_of_255_bytes_is_a_name_and_one_of_256_goes_on_in_a_directory() {
        let (name, rest) = FileName::of_segment(&"k".repeat(255));
        assert_eq!((name.0.len(), rest), (255, None));
        let (name, rest) = FileName::of_segment(&"k".repeat(256));
        assert_eq!(
            (name.0, rest),
            (format!("{}%+", "k".repeat(250)), Some(250))
        );
    }

    #[test]
    fn what_comes_behind_a_part_has_no_say_in_where_it_ends() {
        for char in ["k", "\u{e9}", "\u{20ac}", "\u{1f600}", "\0", "%00"] {
            let long = char.repeat(300);
            let (part, covered) = FileName::of_segment(&long);
            let covered = covered.expect("it is long");
            for behind in [
                "sedABCDEF",
                ".swp-name",
                "\u{e9}\u{e9}\u{e9}",
                "\u{1f600}\u{1f600}",
                "00 00 00",
            ] {
                let other = format!("{}{behind}", &long[..covered]);
                assert_eq!(
                    FileName::of_segment(&other),
                    (part.clone(), Some(covered)),
                    "{other}"
                );
            }
        }
    }

    #[test]
    fn names_from_outside_are_checked() {
        use std::os::unix::ffi::OsStrExt;
        let check = |bytes: &[u8]| FileName::new(OsStr::from_bytes(bytes)).map(|name| name.0);
        assert_eq!(check(b"ok"), Ok("ok".to_owned()));
        assert_eq!(check(b"\xff"), Err(BadName::Illegal));
        assert_eq!(check(b".."), Err(BadName::Illegal));
        assert_eq!(check(&[b'n'; 256]), Err(BadName::TooLong));
    }

    /// Texts made of the characters that the escape is about.
    fn tricky() -> impl Strategy<Value = String> {
        prop_oneof![
            proptest::collection::vec(
                prop_oneof![
                    Just("%"),
                    Just("25"),
                    Just("2E"),
                    Just("2F"),
                    Just("00"),
                    Just("."),
                    Just("+"),
                    Just("a"),
                    Just("/"),
                    Just("\0"),
                    Just("etagfs"),
                    Just("\u{1f600}"),
                ],
                0..8
            )
            .prop_map(|parts| parts.concat()),
            "\\PC{0,300}",
        ]
    }

    proptest! {
        #[test]
        fn every_segment_comes_back_from_its_name(segment in tricky()) {
            let (name, rest) = FileName::of_segment(&segment);
            prop_assert!(FileName::new(OsStr::new(&name.0)).is_ok(), "{:?}", name);
            match rest {
                None => prop_assert_eq!(name.piece(), Piece::Whole(segment)),
                Some(covered) => {
                    prop_assert!(covered > 0);
                    prop_assert_eq!(name.piece(), Piece::Part(segment[..covered].to_owned()));
                }
            }
        }

        #[test]
        fn every_shadowed_segment_comes_back_from_its_name(segment in tricky()) {
            if let Some(name) = FileName::of_shadowed(&segment) {
                prop_assert_eq!(name.piece(), Piece::Shadowed(segment));
            }
        }

        #[test]
        fn every_name_of_a_whole_segment_is_the_name_of_what_it_says(text in tricky()) {
            // `.etagfs` is the mount's own name, no key's.
            if let Ok(name) = FileName::new(OsStr::new(&text))
                && text != ".etagfs"
                && let Piece::Whole(segment) = name.piece()
            {
                let (again, rest) = FileName::of_segment(&segment);
                prop_assert_eq!((again, rest), (name, None));
            }
        }
    }
}
