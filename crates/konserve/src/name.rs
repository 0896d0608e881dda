//! File names of keys: a key's text, escaped where a file name cannot hold it.
//!
//! Pure, and one to one: what a listing shows is read back as the same object. It knows of keys and
//! the names of their objects, nothing of listings and requests; `object.rs` has the names that
//! objects have in a bucket. The rules, in the user's words, are in `docs/konserve.md`.
//!
//! A name is `TEXT`, or `TEXT%~UUID` where the text alone does not lead to the object, and then
//! perhaps `%.raw`. No escape looks like the last two.

use std::fmt::Write;

use thiserror::Error;
use uuid::Uuid;

use super::value::Value;
use super::{edn, hasch};

/// No file name is longer, in bytes (NAME_MAX of Linux).
pub const MAX_NAME_BYTES: usize = 255;

/// Before the UUID of an object.
const OBJECT: &str = "%~";
/// At the end of the name of stored bytes.
const RAW: &str = "%.raw";
/// Names that a directory has already, or that the mount uses itself.
const TAKEN: [(&str, &str); 3] = [(".", "%2E"), ("..", "%2E%2E"), (".etagfs", "%2Eetagfs")];

const NO_OBJECT: NoKey =
    NoKey("behind %~ stands the UUID of an object, in lower case with hyphens");
const NO_KEY: NoKey = NoKey("konserve takes no such value for a key");
const NO_ESCAPE: NoKey = NoKey(
    "a % begins an escape: %25 is the sign itself, %2F a slash, %00 to %1F and %7F control characters",
);

/// Why no key has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NoKey(pub &'static str);

/// How keys are spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Spelling {
    /// Strings as they are, unless that would be read as something else; symbols behind a quote;
    /// everything else as EDN.
    #[default]
    Bare,
    /// Everything as EDN: strings in quotes.
    Edn,
}

/// What a name asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// The object.
    pub object: Uuid,
    /// The key, if the name says it all.
    pub key: Option<Value>,
    /// Its stored bytes are asked for.
    pub raw: bool,
}

impl Spelling {
    /// The name of an object whose metadata has this key, if it has any that can be read.
    pub fn name(self, key: Option<&Value>, object: Uuid, raw: bool) -> String {
        let text = key.map(|key| escape(&self.print(key))).unwrap_or_default();
        let leads = key.is_some_and(|key| hasch::uuid(key) == Ok(object));
        let tail = if raw { RAW } else { "" };
        match leads && text.len() + tail.len() <= MAX_NAME_BYTES {
            true => format!("{text}{tail}"),
            false => {
                let tail = format!("{OBJECT}{object}{tail}");
                format!("{}{tail}", cut(&text, MAX_NAME_BYTES - tail.len()))
            }
        }
    }

    /// What a name asks for.
    ///
    /// # Errors
    /// [`NoKey`] if no key can have it.
    pub fn read(self, name: &str) -> Result<Asked, NoKey> {
        let (text, raw) = match name.strip_suffix(RAW) {
            Some(text) => (text, true),
            None => (name, false),
        };
        if let Some((_, id)) = text.rsplit_once(OBJECT) {
            let object = Uuid::try_parse(id).map_err(|_| NO_OBJECT)?;
            return match object.to_string() == id {
                true => Ok(Asked {
                    object,
                    key: None,
                    raw,
                }),
                false => Err(NO_OBJECT),
            };
        }
        let text = unescape(text)?;
        let key = self.parse(&text).ok_or_else(|| self.fault(&text))?;
        let object = hasch::uuid(&key).map_err(|_| NO_KEY)?;
        Ok(Asked {
            object,
            key: Some(key),
            raw,
        })
    }

    /// What is wrong with a text that is no key.
    fn fault(self, text: &str) -> NoKey {
        NoKey(match text.chars().next() {
            _ if self == Self::Edn => {
                "it is not one EDN form (a string is written in double quotes)"
            }
            Some(':') => {
                "what begins with a colon is a keyword, and this is none that Clojure reads; a string is written in double quotes"
            }
            Some('\'') => {
                "what begins with a quote is a symbol, and this is none that Clojure reads; a string is written in double quotes"
            }
            _ => {
                "what begins so is one EDN form, and this is not (a string that begins so is written in double quotes)"
            }
        })
    }

    fn print(self, key: &Value) -> String {
        let text = edn::print_line(key);
        match (self, key) {
            (Self::Bare, Value::Str(bare)) if self.parse(bare).as_ref() == Some(key) => {
                bare.to_string()
            }
            // What is no symbol in EDN comes under a tag.
            (Self::Bare, Value::Symbol(_)) if !text.starts_with('#') => format!("'{text}"),
            _ => text,
        }
    }

    fn parse(self, text: &str) -> Option<Value> {
        if self == Self::Edn {
            return edn::read(text).ok();
        }
        let is_token = text.chars().all(edn::is_token);
        let token = || edn::read(text).ok().filter(|_| is_token);
        match text.chars().next()? {
            ':' => token().filter(|key| matches!(key, Value::Keyword(_))),
            '"' | '(' | '[' | '{' | '#' | '\\' => edn::read(text).ok(),
            '\'' if is_token => edn::read(&text[1..])
                .ok()
                .filter(|key| matches!(key, Value::Symbol(_))),
            '\'' => None,
            _ => Some(match token() {
                Some(
                    key @ (Value::Nil
                    | Value::Bool(_)
                    | Value::Int(_)
                    | Value::BigInt(_)
                    | Value::Double(_)
                    | Value::Decimal(_)
                    | Value::Ratio(_)),
                ) => key,
                _ => Value::string(text),
            }),
        }
    }
}

/// Whether a file name cannot hold the character, or the escape needs it.
fn is_special(c: char) -> bool {
    matches!(c, '%' | '/' | '\0'..='\x1f' | '\x7f')
}

fn escape(text: &str) -> String {
    if let Some((_, escaped)) = TAKEN.iter().find(|(taken, _)| *taken == text) {
        return (*escaped).to_owned();
    }
    let mut name = String::with_capacity(text.len());
    for c in text.chars() {
        match is_special(c) {
            // Writing to a string does not fail.
            true => _ = write!(name, "%{:02X}", u32::from(c)),
            false => name.push(c),
        }
    }
    name
}

/// Only what [`escape`] writes is read: every text has one name.
fn unescape(name: &str) -> Result<String, NoKey> {
    if let Some((taken, _)) = TAKEN.iter().find(|(_, escaped)| *escaped == name) {
        return Ok((*taken).to_owned());
    }
    let mut parts = name.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..2).ok_or(NO_ESCAPE)?;
        let byte = u8::from_str_radix(code, 16).map_err(|_| NO_ESCAPE)?;
        text.push(char::from(byte));
        text.push_str(&part[2..]);
    }
    match escape(&text) == name {
        true => Ok(text),
        false => Err(NO_ESCAPE),
    }
}

/// As much of an escaped text as fits; no escape is cut in two.
fn cut(text: &str, room: usize) -> &str {
    let mut end = text.len().min(room);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    match text[..end].rfind('%') {
        Some(at) if end - at < 3 && end < text.len() => &text[..at],
        _ => &text[..end],
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples;

    fn name_of(spelling: Spelling, key: &str) -> String {
        let key = edn::read(key).unwrap();
        let object = hasch::uuid(&key).unwrap();
        spelling.name(Some(&key), object, false)
    }

    fn named(name: &str) -> Result<Asked, NoKey> {
        Spelling::Bare.read(name)
    }

    #[test]
    fn keys_are_spelled_as_people_write_them() {
        for (key, bare, plain) in [
            (":foo", ":foo", ":foo"),
            (":my.app/user", ":my.app%2Fuser", ":my.app%2Fuser"),
            ("\"config.edn\"", "config.edn", "\"config.edn\""),
            ("\"a/b c\"", "a%2Fb c", "\"a%2Fb c\""),
            ("\"42\"", "\"42\"", "\"42\""),
            ("42", "42", "42"),
            ("\"nil\"", "\"nil\"", "\"nil\""),
            ("nil", "nil", "nil"),
            ("\":a\"", "\":a\"", "\":a\""),
            ("\"'q\"", "\"'q\"", "\"'q\""),
            ("\"\"", "\"\"", "\"\""),
            ("\".\"", "%2E", "\".\""),
            ("\".etagfs\"", "%2Eetagfs", "\".etagfs\""),
            ("\"50%\"", "50%25", "\"50%25\""),
            ("\"2024-01-01\"", "2024-01-01", "\"2024-01-01\""),
            ("\"42 \"", "42 ", "\"42 \""),
            ("sym", "'sym", "sym"),
            ("[:user 42]", "[:user 42]", "[:user 42]"),
            ("\"a\\nb\"", "a%0Ab", "\"a\\nb\""),
        ] {
            assert_eq!(name_of(Spelling::Bare, key), bare);
            assert_eq!(name_of(Spelling::Edn, key), plain);
        }
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said() {
        for (name, why) in [
            ("50%", "%25 is the sign itself"),
            ("a%2fb", "a % begins an escape"),
            (":a b", "a keyword"),
            ("'a b", "a symbol"),
            ("(draft", "one EDN form"),
            ("#tag", "one EDN form"),
            ("a%~b", "the UUID of an object"),
            ("\"a", "one EDN form"),
        ] {
            let told = named(name).unwrap_err().to_string();
            assert!(told.contains(why), "{name}: {told}");
        }
    }

    #[test]
    fn a_name_is_one_way_of_writing_a_string_and_any_way_of_writing_a_collection() {
        for bad in [
            "a%2fb", "%41", "%", "a%2", "%2Ex", ":a b", "'", "'a b", "(", "a%~b", "1%2F2",
        ] {
            assert!(named(bad).is_err(), "{bad}");
        }
        let one = named("#{1 2}").unwrap();
        assert_eq!(named("#{2, 1N}").unwrap().object, one.object);
    }

    #[test]
    fn a_key_too_long_for_a_name_and_one_that_leads_elsewhere_have_their_object_in_it() {
        let key = Value::string(&"\u{e9}%".repeat(200));
        let object = hasch::uuid(&key).unwrap();
        for raw in [false, true] {
            let name = Spelling::Bare.name(Some(&key), object, raw);
            assert!(name.len() <= 255 && name.len() > 248, "{name}");
            let asked = Asked {
                object,
                key: None,
                raw,
            };
            assert_eq!(Spelling::Bare.read(&name), Ok(asked));
        }
        let other = Uuid::from_u128(7);
        let name = Spelling::Bare.name(Some(&Value::Double(0.0)), other, false);
        assert_eq!(name, format!("0.0%~{other}"));
        assert_eq!(
            Spelling::Bare.name(None, other, true),
            format!("%~{other}%.raw")
        );
    }

    proptest! {
        #[test]
        fn every_key_has_a_name_that_leads_to_its_object(key in samples::value(), raw in any::<bool>()) {
            let Ok(object) = hasch::uuid(&key) else { return Ok(()) };
            for spelling in [Spelling::Bare, Spelling::Edn] {
                let name = spelling.name(Some(&key), object, raw);
                let asked = spelling.read(&name);
                prop_assert_eq!(asked.as_ref().map(|asked| (asked.object, asked.raw)), Ok((object, raw)));
                if let Some(read) = asked.unwrap().key {
                    prop_assert_eq!(spelling.name(Some(&read), object, raw), name);
                }
            }
        }

        #[test]
        fn every_string_comes_back_from_its_name(text in "[%~./0-9a-c:'\"\\[ \u{e9}\n]{0,30}") {
            let key = Value::string(&text);
            let object = hasch::uuid(&key).unwrap();
            for spelling in [Spelling::Bare, Spelling::Edn] {
                let asked = spelling.read(&spelling.name(Some(&key), object, false)).unwrap();
                prop_assert_eq!(asked.key.as_ref(), Some(&key));
            }
        }

        #[test]
        fn names_of_any_kind_are_read_or_refused(text in "[%~.a2F5E:\"(\\[{#\\\\ ]{1,20}") {
            for spelling in [Spelling::Bare, Spelling::Edn] {
                let _ = spelling.read(&text);
            }
        }
    }
}
