//! `--scratch`: the names that never reach the bucket, as an option says them. What they mean is in
//! `crates/model/src/scratch.rs`.

use super::report::Failure;
use crate::model::{BadPattern, Pattern, ScratchNames};

/// The help of `--scratch`, with the list as it can be given.
pub(super) fn help() -> String {
    format!(
        "Files that stay in the mount and never reach the bucket, by name: swap files, backups and temporary files of \
         editors and tools. `*` is any text, `?` any character, `{{6}}` six random characters as mkstemp makes \
         them. Separate patterns by commas. A list that begins with + adds to the default: '+*.tmp,*.bak'; any \
         other list replaces it, and an empty one makes every file a key [default: '{}']",
        ScratchNames::DEFAULT.join(",")
    )
}

/// The patterns that a value of `--scratch`, split at its commas, stands for.
///
/// # Errors
/// A usage failure that names what is no pattern.
pub(super) fn patterns(list: &[String]) -> Result<Vec<Pattern>, Failure> {
    let more = list.first().and_then(|first| first.strip_prefix('+'));
    let default: &[&str] = match more {
        Some(_) => &ScratchNames::DEFAULT,
        None => &[],
    };
    let first = more.or(list.first().map(String::as_str));
    let rest = list.iter().skip(1).map(String::as_str);
    let texts = default.iter().copied().chain(first).chain(rest);
    let patterns = texts.filter(|text| !text.is_empty()).map(str::parse);
    let patterns: Result<_, _> = patterns.collect();
    patterns.map_err(|error: BadPattern| Failure::usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_scratch_names_replaces_the_default_and_one_with_a_plus_adds_to_it() {
        let names = |list: &str| {
            let list: Vec<_> = list.split(',').map(str::to_owned).collect();
            let names = ScratchNames::new(patterns(&list).expect("patterns"));
            names.patterns().map(str::to_owned).collect::<Vec<_>>()
        };
        let default = ScratchNames::DEFAULT.map(str::to_owned);
        assert_eq!(names("*.a,*.b"), ["*.a", "*.b"]);
        assert_eq!(names(""), [""; 0]);
        assert_eq!(
            names("+*.a,*.b"),
            [&default[..], &["*.a".to_owned(), "*.b".to_owned()]].concat()
        );
        assert_eq!(names("+"), default);
        assert_eq!(names(&ScratchNames::DEFAULT.join(",")), default);
    }
}
