//! Which tokens are keywords and symbols.
//!
//! Narrower than Clojure's reader, so that everything accepted is read everywhere; what does not
//! fit is printed under a tag. It knows of names only. Reader and printer share it.

use crate::value::Name;

/// Whether the character may stand in a token.
pub(crate) fn is_token(c: char) -> bool {
    match c {
        '(' | ')' | '[' | ']' | '{' | '}' | '"' | ';' | '\\' | '^' | '`' | '~' | '@' | ',' => false,
        c => !c.is_whitespace() && !c.is_control(),
    }
}

fn is_part(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| is_token(c) && c != '/')
        && !text.ends_with(':')
        && !text.contains("::")
}

/// What could be taken for a number, a keyword, a dispatch or a quote must not come first.
fn is_start(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars.next().unwrap_or('0');
    let second = chars.next().unwrap_or(' ');
    match first {
        ':' | '#' | '\'' | '%' => false,
        '+' | '-' | '.' => !second.is_numeric(),
        first => !first.is_numeric(),
    }
}

fn is_symbol_part(text: &str) -> bool {
    is_part(text) && is_start(text)
}

/// Whether `ns/name` as text is read back as this symbol.
pub(super) fn is_symbol(symbol: &Name) -> bool {
    match (&symbol.ns, &*symbol.name) {
        (None, "nil" | "true" | "false") => false,
        (None, "/") => true,
        (Some(ns), "/") => is_symbol_part(ns),
        (None, name) => is_symbol_part(name),
        (Some(ns), name) => is_symbol_part(ns) && is_symbol_part(name),
    }
}

/// Whether `:ns/name` as text is read back as this keyword.
pub(super) fn is_keyword(keyword: &Name) -> bool {
    match &keyword.ns {
        None => is_part(&keyword.name) && !keyword.name.starts_with([':', '#', '\'', '%']),
        Some(ns) => is_symbol_part(ns) && is_symbol_part(&keyword.name),
    }
}

/// Splits a token at its slash; a lone slash is a name.
pub(super) fn split(token: &str) -> Name {
    match token.split_once('/') {
        Some((ns, name)) if !ns.is_empty() && !name.is_empty() => Name::qualified(ns, name),
        _ => Name::plain(token),
    }
}

/// Whether it may follow `#` as a tag.
pub(super) fn is_tag(tag: &Name) -> bool {
    let first = tag.ns.as_ref().unwrap_or(&tag.name).chars().next();
    is_symbol(tag) && first.is_some_and(|c| c.is_alphabetic()) && &*tag.name != "/"
}
