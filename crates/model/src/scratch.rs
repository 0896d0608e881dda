//! Which names are scratch: files of editors and tools that live only in the mount (W9).
//!
//! Matches names against a list of patterns. `vfs/scratch.rs` says what a scratch file is and where it is
//! stored. The list is an option of the mount; its default is [`ScratchNames::DEFAULT`].

use std::fmt;
use std::str::FromStr;

use regex_lite::Regex;
use thiserror::Error;

use super::FileName;

/// How a file got its name, as far as that shows its purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Created as mkstemp(3) does: exclusively, to read and write, and for its owner alone.
    Temporary,
    /// Created in any other way, or renamed.
    Other,
}

/// The names that are scratch.
#[derive(Clone, Debug, Default)]
pub struct ScratchNames(Vec<Pattern>);

/// One pattern: `*` is any text, `?` any character, and `{6}` six random characters as mkstemp(3)
/// makes them: letters and digits, not all of them lower-case letters.
///
/// Random characters count only in names of [`Origin::Temporary`]: a key may well be called `sedation`, and
/// what is copied there must be kept.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    regex: Regex,
    random: bool,
}

/// A text that is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no pattern of file names: `*`, `?` and `{{6}}` stand for other characters, and `/` is in no name"
)]
pub struct BadPattern(String);

impl ScratchNames {
    /// The names that known editors and tools make.
    ///
    /// Sources: the save patterns of vim and nvim (`4913`, swap files, backups), emacs (lock links, auto-save
    /// files, backups; `tmp` and six characters with `file-precious-flag`), nano and joe (locks, backups),
    /// vis and rsync (`.NAME.` and six characters), GIO, LibreOffice, sed and perl with `-i`, each as seen by
    /// strace(1); those of Jupyter (`.~NAME`) by its source, and those of JetBrains (`NAME___jb_tmp___`,
    /// `NAME___jb_old___`) by the reports of others.
    pub const DEFAULT: [&str; 13] = [
        "?*~",
        ".*.sw?",
        ".*.sw?x",
        "4913",
        ".#*",
        "#*#",
        ".goutputstream-*",
        ".~*",
        "?*___jb_???___",
        "sed{6}",
        "XX{6}",
        ".*.{6}",
        "tmp{6}",
    ];

    /// Those that match one of the patterns.
    pub fn new(patterns: impl IntoIterator<Item = Pattern>) -> Self {
        Self(patterns.into_iter().collect())
    }

    /// Whether a file that gets this name in this way is scratch.
    pub fn contains(&self, name: &FileName, origin: Origin) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name, origin))
    }

    /// The patterns, as they were written.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|pattern| &*pattern.text)
    }
}

/// The name of which this one is a backup (`notes` of `notes~`), as editors call it.
pub fn backed_up(name: &FileName) -> Option<FileName> {
    let original = name.as_str().strip_suffix('~')?;
    FileName::new(original.as_ref()).ok()
}

impl Pattern {
    fn matches(&self, name: &FileName, origin: Origin) -> bool {
        if self.random && origin != Origin::Temporary {
            return false;
        }
        let is_random = |text: &str| text.bytes().any(|byte| !byte.is_ascii_lowercase());
        self.regex.captures(name.as_str()).is_some_and(|found| {
            let mut random = found.iter().skip(1).flatten();
            random.all(|part| is_random(part.as_str()))
        })
    }
}

impl FromStr for Pattern {
    type Err = BadPattern;

    fn from_str(text: &str) -> Result<Self, BadPattern> {
        let bad = || BadPattern(text.to_owned());
        if text.is_empty() || text.contains('/') {
            return Err(bad());
        }
        let mut regex = String::from("(?s)^");
        let mut random = false;
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            rest = &rest[next.len_utf8()..];
            match next {
                '*' => regex.push_str(".*"),
                '?' => regex.push('.'),
                '{' => {
                    let (count, behind) = rest.split_once('}').ok_or_else(bad)?;
                    let count: u8 = count.parse().map_err(|_| bad())?;
                    regex.push_str(&format!("([0-9A-Za-z]{{{count}}})"));
                    random = true;
                    rest = behind;
                }
                next => regex.push_str(&regex_lite::escape(next.encode_utf8(&mut [0; 4]))),
            }
        }
        regex.push('$');
        Ok(Self {
            text: text.to_owned(),
            regex: Regex::new(&regex).map_err(|_| bad())?,
            random,
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> ScratchNames {
        let patterns = ScratchNames::DEFAULT.map(|text| text.parse::<Pattern>().unwrap());
        ScratchNames::new(patterns)
    }

    fn name(text: &str) -> FileName {
        FileName::new(text.as_ref()).unwrap()
    }

    fn is_scratch(text: &str, origin: Origin) -> bool {
        names().contains(&name(text), origin)
    }

    #[test]
    fn what_editors_make_is_scratch_however_it_is_made() {
        for text in [
            "notes~",
            ".notes.swp",
            ".notes.swo",
            ".notes.swpx",
            "4913",
            ".#notes",
            "#notes#",
            ".goutputstream-8K2XN3",
            ".~lock.notes.odt#",
            ".~notes.ipynb",
            "notes.txt___jb_tmp___",
            "notes.txt___jb_old___",
        ] {
            assert!(is_scratch(text, Origin::Other), "{text}");
            assert!(is_scratch(text, Origin::Temporary), "{text}");
        }
    }

    #[test]
    fn random_names_are_scratch_only_if_made_as_temporary_files() {
        for text in [
            "sedaB3xyz",
            "XXq1W2e3",
            ".notes.x7Yz01",
            ".notes.vis.aaaaB1",
            "tmpA1b2C3",
        ] {
            assert!(is_scratch(text, Origin::Temporary), "{text}");
            assert!(!is_scratch(text, Origin::Other), "{text}");
        }
    }

    #[test]
    fn keys_that_look_a_little_like_it_are_keys() {
        for text in [
            "notes",
            "sedation",
            "sedatives",
            ".config.backup",
            ".bashrc",
            "swp",
            "a.swp",
            "#1",
            "#",
            "49130",
            "~",
            "x.tmp",
            "README01",
            "Makefile",
            ".profile.d",
            "tmpfiles",
        ] {
            assert!(!is_scratch(text, Origin::Temporary), "{text}");
        }
    }

    #[test]
    fn characters_of_regular_expressions_stand_for_themselves() {
        let pattern: Pattern = "a.b+(c)[d]*".parse().unwrap();
        let names = ScratchNames::new([pattern]);
        assert!(names.contains(&name("a.b+(c)[d]xyz\n"), Origin::Other));
        assert!(!names.contains(&name("aXbb(c)[d]"), Origin::Other));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "a/b", "x{", "x{}", "x{six}", "{999}"] {
            assert!(text.parse::<Pattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_backup_names_its_original() {
        assert_eq!(backed_up(&name("notes~")), Some(name("notes")));
        assert_eq!(backed_up(&name("notes")), None);
        assert_eq!(backed_up(&name("~")), None);
    }
}
