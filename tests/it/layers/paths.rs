//! Reads Rust text just well enough: which paths (`a::b::c`) its code names, comments and literals
//! left out. It knows nothing of the rules; those are in the module above.

/// A path, and the line it begins in, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: Vec<String>,
    pub(super) line: usize,
}

impl Named {
    /// The path as it would be written.
    pub(super) fn text(&self) -> String {
        self.path.join("::")
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Number(String),
    /// `::`
    Colons,
    Other(char),
}

/// All paths of a text, groups of a `use` taken apart. A single word is a path too.
pub(super) fn paths(text: &str) -> Vec<Named> {
    let tokens = tokens(text);
    let mut found = Vec::new();
    // What the words inside of each open brace begin with, if it is the brace of a `use` group.
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let (token, line) = &tokens[at];
        at += 1;
        match token {
            Token::Word(word) => {
                let mut path = groups.last().cloned().unwrap_or_default();
                path.push(word.clone());
                while let (Some((Token::Colons, _)), Some((next, _))) =
                    (tokens.get(at), tokens.get(at + 1))
                {
                    match next {
                        Token::Word(word) => path.push(word.clone()),
                        Token::Other('{') => {
                            groups.push(path.clone());
                            at += 2;
                            break;
                        }
                        _ => break,
                    }
                    at += 2;
                }
                found.push(Named { path, line: *line });
            }
            Token::Other('{') => groups.push(Vec::new()),
            Token::Other('}') => drop(groups.pop()),
            Token::Number(_) | Token::Colons | Token::Other(_) => {}
        }
    }
    found
}

/// All whole numbers of a text.
pub(super) fn numbers(text: &str) -> Vec<(String, usize)> {
    let numbers = tokens(text)
        .into_iter()
        .filter_map(|(token, line)| match token {
            Token::Number(digits) => Some((digits, line)),
            _ => None,
        });
    numbers.collect()
}

fn tokens(text: &str) -> Vec<(Token, usize)> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (text, 1);
    while let Some(first) = rest.chars().next() {
        let skipped = literal_or_comment(rest);
        let length = if skipped > 0 {
            skipped
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            let word = &rest[..end.unwrap_or(rest.len())];
            let token = match first.is_ascii_digit() {
                true => Token::Number(word.to_owned()),
                false => Token::Word(word.to_owned()),
            };
            tokens.push((token, line));
            word.len()
        } else if rest.starts_with("::") {
            tokens.push((Token::Colons, line));
            2
        } else {
            if !first.is_whitespace() {
                tokens.push((Token::Other(first), line));
            }
            first.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    tokens
}

/// The length of the comment or literal that a text begins with; 0 if it begins with neither.
fn literal_or_comment(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(text.len(), |end| end + 2);
    }
    let raw = text.strip_prefix('b').unwrap_or(text);
    if let Some(hashes) = raw
        .strip_prefix('r')
        .map(|raw| raw.len() - raw.trim_start_matches('#').len())
        && raw[1 + hashes..].starts_with('"')
    {
        let end = format!("\"{}", "#".repeat(hashes));
        let begun = text.len() - raw.len() + 2 + hashes;
        return text[begun..]
            .find(&end)
            .map_or(text.len(), |at| begun + at + end.len());
    }
    match text.chars().next() {
        Some('"') => quoted(text, '"').unwrap_or(text.len()),
        // A lifetime has no second quote; a char literal has it two or more characters on.
        Some('\'') if text[1..].starts_with('\\') => quoted(text, '\'').unwrap_or(1),
        Some('\'') => {
            let mut chars = text[1..].chars();
            match (chars.next(), chars.next()) {
                (Some(char), Some('\'')) => 2 + char.len_utf8(),
                _ => 0,
            }
        }
        _ => 0,
    }
}

fn quoted(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[test]
fn paths_are_found_in_code_and_in_groups_and_nowhere_else() {
    let text = r##"
        //! crate::no
        use crate::{store::{Store, plain::Dir}, model};
        /* crate::no */ fn f<'a>(x: &'a str) { let c = '"'; crate::backend::put("crate::no", 'x', r#"crate::"no"#) }
    "##;
    let found: Vec<_> = paths(text).iter().map(Named::text).collect();
    for path in [
        "crate::store::Store",
        "crate::store::plain::Dir",
        "crate::model",
        "crate::backend::put",
    ] {
        assert!(
            found.iter().any(|text| text == path),
            "{path} is not in {found:?}"
        );
    }
    assert!(!found.iter().any(|text| text.contains("no")), "{found:?}");
    assert_eq!(
        paths(text)
            .iter()
            .find(|named| named.text() == "crate::model")
            .unwrap()
            .line,
        3
    );
}

#[test]
fn numbers_are_found_in_code_and_not_in_words() {
    assert_eq!(
        numbers("match x { 404 => y404, _ => \"412\" } // 500"),
        [("404".to_owned(), 1)]
    );
}
