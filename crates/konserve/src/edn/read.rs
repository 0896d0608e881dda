//! The EDN reader: text to one value.
//!
//! Memory and time in proportion to the text, recursion limited by `MAX_DEPTH`, every error with
//! line and column. It knows nothing of tags but that they are followed by a form; `tags.rs` gives
//! them a meaning.

use std::sync::Arc;

use thiserror::Error;

use super::{names, tags};
use crate::value::{Name, Value};
use crate::{MAX_DEPTH, number, same};

/// Every key of `#:ns{..}` repeats the namespace, so a long one is not taken.
const MAX_MAP_NAMESPACE: usize = 256;

/// Why text is not one EDN value, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct ReadError {
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

/// Reads exactly one form; white space and comments may surround it.
pub fn read(text: &str) -> Result<Value, ReadError> {
    let mut reader = Reader { text, at: 0 };
    let result = reader.form(0).and_then(|value| {
        reader.skip(0)?;
        match reader.peek() {
            None => Ok(value),
            Some(_) => reader.fail("a second form; a file holds one value"),
        }
    });
    result.map_err(|Failure { at, reason }| {
        let before = &text[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        ReadError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason: reason.into_owned(),
        }
    })
}

/// An error at a byte offset, which lies on a character boundary.
struct Failure {
    at: usize,
    reason: std::borrow::Cow<'static, str>,
}

type Read<T> = Result<T, Failure>;

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn fail<T>(&self, reason: impl Into<std::borrow::Cow<'static, str>>) -> Read<T> {
        fail_at(self.at, reason)
    }

    /// White space, commas, comments and discarded forms.
    fn skip(&mut self, depth: usize) -> Read<()> {
        loop {
            let rest = &self.text[self.at..];
            match rest.chars().next() {
                Some(c) if c.is_whitespace() || c == ',' => self.at += c.len_utf8(),
                Some(';') => self.at += rest.find('\n').unwrap_or(rest.len()),
                Some('#') if rest.starts_with("#_") => {
                    self.at += 2;
                    self.form(depth + 1)?;
                }
                _ => return Ok(()),
            }
        }
    }

    fn form(&mut self, depth: usize) -> Read<Value> {
        if depth > MAX_DEPTH {
            return self.fail(format!("nested more than {MAX_DEPTH} deep"));
        }
        self.skip(depth)?;
        match self.peek() {
            None => self.fail("the text ends where a form is expected"),
            Some('(') => self.items(')', depth).map(|(items, _)| Value::List(items)),
            Some('[') => self
                .items(']', depth)
                .map(|(items, _)| Value::Vector(items)),
            Some('{') => self.map(depth).map(Value::Map),
            Some('"') => self.string(),
            Some('\\') => self.character(),
            Some('#') => self.dispatch(depth),
            Some(c @ (')' | ']' | '}')) => self.fail(format!("{c} closes nothing")),
            Some('^') => self.fail("metadata is not stored; remove it"),
            Some(c) if names::is_token(c) => self.atom(),
            Some(c) => self.fail(format!("{c:?} begins no form")),
        }
    }

    /// The forms up to the closing bracket, and where they begin.
    fn items(&mut self, close: char, depth: usize) -> Read<(Vec<Value>, Vec<usize>)> {
        let open = self.at;
        self.next();
        let (mut items, mut starts) = (Vec::new(), Vec::new());
        loop {
            self.skip(depth)?;
            match self.peek() {
                None => return fail_at(open, format!("{close} is missing to what begins here")),
                Some(c) if c == close => {
                    self.next();
                    return Ok((items, starts));
                }
                Some(c @ (')' | ']' | '}')) => {
                    return self.fail(format!("{c} where {close} is expected"));
                }
                Some(_) => {
                    starts.push(self.at);
                    items.push(self.form(depth + 1)?);
                }
            }
        }
    }

    fn map(&mut self, depth: usize) -> Read<Vec<(Value, Value)>> {
        let (items, starts) = self.items('}', depth)?;
        if items.len() % 2 == 1 {
            return fail_at(starts[starts.len() - 1], "a key without a value");
        }
        let mut items = items.into_iter();
        let mut entries = Vec::with_capacity(starts.len() / 2);
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            entries.push((key, value));
        }
        no_duplicate_keys(&entries, |index| starts[2 * index])?;
        Ok(entries)
    }

    fn dispatch(&mut self, depth: usize) -> Read<Value> {
        let start = self.at;
        self.next();
        match self.peek() {
            Some('{') => {
                let (items, starts) = self.items('}', depth)?;
                match same::duplicate(items.iter()) {
                    Some(index) => fail_at(starts[index], "an element that the set already has"),
                    None => Ok(Value::Set(items)),
                }
            }
            Some('#') => {
                self.next();
                match self.token() {
                    "Inf" => Ok(Value::Double(f64::INFINITY)),
                    "-Inf" => Ok(Value::Double(f64::NEG_INFINITY)),
                    "NaN" => Ok(Value::Double(f64::NAN)),
                    _ => fail_at(start, "only ##Inf, ##-Inf and ##NaN begin with ##"),
                }
            }
            Some(':') => self.namespaced_map(start, depth),
            Some('"') => fail_at(start, "write a regex as #etagfs/regex \"..\""),
            Some(c) if c.is_alphabetic() => self.tagged(start, depth),
            _ => fail_at(start, "# begins no form here"),
        }
    }

    fn tagged(&mut self, start: usize, depth: usize) -> Read<Value> {
        let tag = names::split(self.token());
        if !names::is_tag(&tag) {
            return fail_at(start, "not a tag");
        }
        let value = self.form(depth + 1)?;
        tags::apply(tag, value).or_else(|reason| fail_at(start, reason))
    }

    /// `#:ns{:a 1 :_/b 2}` is `{:ns/a 1 :b 2}`.
    fn namespaced_map(&mut self, start: usize, depth: usize) -> Read<Value> {
        self.next();
        let ns = Name::plain(self.token());
        if !names::is_symbol(&ns) || ns.name.len() > MAX_MAP_NAMESPACE {
            return fail_at(start, "not a namespace");
        }
        self.skip(depth)?;
        if self.peek() != Some('{') {
            return self.fail("a namespace is followed by a map");
        }
        let mut entries = self.map(depth)?;
        for (key, _) in &mut entries {
            if let Value::Keyword(name) | Value::Symbol(name) = key {
                qualify(name, &ns.name);
            }
        }
        no_duplicate_keys(&entries, |_| start)?;
        Ok(Value::Map(entries))
    }

    fn token(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !names::is_token(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn atom(&mut self) -> Read<Value> {
        let start = self.at;
        let token = self.token();
        match token {
            "nil" => return Ok(Value::Nil),
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            _ => {}
        }
        let unsigned = token.strip_prefix(['+', '-']).unwrap_or(token);
        if unsigned.starts_with(|c: char| c.is_ascii_digit()) {
            return number::parse(token).or_else(|reason| fail_at(start, reason));
        }
        if let Some(name) = token.strip_prefix(':') {
            let name = names::split(name);
            return match names::is_keyword(&name) {
                true => Ok(Value::Keyword(name)),
                false => fail_at(start, "not a keyword that Clojure could read"),
            };
        }
        let name = names::split(token);
        match names::is_symbol(&name) {
            true => Ok(Value::Symbol(name)),
            false => fail_at(start, "not a symbol that Clojure could read"),
        }
    }

    fn character(&mut self) -> Read<Value> {
        let start = self.at;
        self.next();
        let Some(first) = self.next().filter(|c| !c.is_whitespace()) else {
            return fail_at(start, "a backslash is followed by a character");
        };
        let others = self.token();
        let token = &self.text[start + 1..self.at];
        let unit = match token {
            "newline" => 0x0a,
            "return" => 0x0d,
            "space" => 0x20,
            "tab" => 0x09,
            "formfeed" => 0x0c,
            "backspace" => 0x08,
            _ if others.is_empty() => match u16::try_from(u32::from(first)) {
                Ok(unit) => unit,
                Err(_) => return fail_at(start, "a character above \\uffff is two: use a string"),
            },
            _ => match code_unit(token) {
                Some(unit) if tags::is_half(unit) => {
                    let why = "half of a surrogate pair is no character that Clojure reads; it is written as #etagfs/char and its number";
                    return fail_at(start, why);
                }
                Some(unit) => unit,
                None => return fail_at(start, "not a character"),
            },
        };
        Ok(Value::Char(unit))
    }

    fn string(&mut self) -> Read<Value> {
        let open = self.at;
        self.next();
        let start = self.at;
        let mut units: Option<Vec<u16>> = None;
        loop {
            let at = self.at;
            let Some(c) = self.next() else {
                return fail_at(open, "the string that begins here has no end");
            };
            match c {
                '"' => {
                    return Ok(match units {
                        Some(units) => Value::utf16(&units),
                        None => Value::string(&self.text[start..at]),
                    });
                }
                '\\' => {
                    let units =
                        units.get_or_insert_with(|| self.text[start..at].encode_utf16().collect());
                    match self.escape() {
                        Some(unit) => units.push(unit),
                        None => return fail_at(at, "no such escape in a string"),
                    }
                }
                c => {
                    if let Some(units) = &mut units {
                        units.extend_from_slice(c.encode_utf16(&mut [0; 2]));
                    }
                }
            }
        }
    }

    /// What follows a backslash in a string.
    fn escape(&mut self) -> Option<u16> {
        let rest = &self.text[self.at..];
        match self.next()? {
            'n' => Some(0x0a),
            't' => Some(0x09),
            'r' => Some(0x0d),
            'b' => Some(0x08),
            'f' => Some(0x0c),
            '"' => Some(0x22),
            '\\' => Some(0x5c),
            'u' => {
                let unit = code_unit(rest.get(..5)?)?;
                self.at += 4;
                Some(unit)
            }
            '0'..='7' => {
                let octal = rest
                    .bytes()
                    .take(3)
                    .take_while(|b| (b'0'..=b'7').contains(b));
                let digits = octal.count();
                self.at += digits - 1;
                u16::from_str_radix(&rest[..digits], 8)
                    .ok()
                    .filter(|unit| *unit <= 0o377)
            }
            _ => None,
        }
    }
}

/// `uXXXX`, and `oNNN` of character literals.
fn code_unit(token: &str) -> Option<u16> {
    if let Some(digits) = token.strip_prefix('u') {
        let hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        return hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten();
    }
    let digits = token.strip_prefix('o')?;
    let octal = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    octal
        .then(|| u16::from_str_radix(digits, 8).ok())
        .flatten()
        .filter(|unit| *unit <= 0o377)
}

fn qualify(name: &mut Name, ns: &Arc<str>) {
    match &name.ns {
        None => name.ns = Some(Arc::clone(ns)),
        Some(none) if &**none == "_" => name.ns = None,
        Some(_) => {}
    }
}

fn no_duplicate_keys(entries: &[(Value, Value)], place: impl Fn(usize) -> usize) -> Read<()> {
    match same::duplicate(entries.iter().map(|(key, _)| key)) {
        Some(index) => fail_at(place(index), "a key that the map already has"),
        None => Ok(()),
    }
}

fn fail_at<T>(at: usize, reason: impl Into<std::borrow::Cow<'static, str>>) -> Read<T> {
    Err(Failure {
        at,
        reason: reason.into(),
    })
}
