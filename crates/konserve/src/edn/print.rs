//! The EDN printer: a value to stable, readable text.
//!
//! What fits into a line stays on it; larger collections have one element a line, aligned behind
//! their bracket, in stored order. It knows nothing of encodings; `tags.rs` spells what has no
//! text of its own.

use std::fmt::Write;

use super::tags::{self, Form};
use crate::number;
use crate::value::Value;

/// How long a line may be.
const WIDTH: usize = 80;
/// Collections that would begin further right are not broken: indentation must not outgrow text.
const MAX_INDENT: usize = 60;

/// The text of a file: over several lines where one is too short, and a newline at the end.
pub fn print(value: &Value) -> String {
    let mut text = String::new();
    lay_out(&mut text, value, 0, 0);
    text.push('\n');
    text
}

/// The same on one line, without a newline.
pub fn print_line(value: &Value) -> String {
    let mut text = Line {
        text: String::new(),
        room: usize::MAX,
    };
    // Fails only when out of room.
    let _ = line(&mut text, value);
    text.text
}

/// A sink that refuses what does not fit.
struct Line {
    text: String,
    room: usize,
}

impl Write for Line {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.room = self.room.checked_sub(s.len()).ok_or(std::fmt::Error)?;
        self.text.push_str(s);
        Ok(())
    }
}

/// `column` is where the value begins, `closing` how many brackets follow it on its last line.
fn lay_out(text: &mut String, value: &Value, column: usize, closing: usize) {
    let broken = column <= MAX_INDENT && is_breakable(value);
    let mut flat = Line {
        text: String::new(),
        room: match broken {
            true => WIDTH.saturating_sub(column + closing),
            false => usize::MAX,
        },
    };
    if line(&mut flat, value).is_ok() {
        text.push_str(&flat.text);
        return;
    }
    drop(flat);
    match value {
        Value::List(items) => lay_out_items(text, "(", ")", items, column, closing),
        Value::Vector(items) => lay_out_items(text, "[", "]", items, column, closing),
        Value::Set(items) => lay_out_items(text, "#{", "}", items, column, closing),
        Value::Map(entries) => lay_out_map(text, entries, column, closing),
        _ => {
            if let Some((tag, form)) = tags::spell(value) {
                let start = text.len();
                text.push('#');
                text.push_str(&tag);
                text.push(' ');
                let width = text[start..].chars().count();
                lay_out_form(text, &form, column + width, closing);
            }
        }
    }
}

fn lay_out_form(text: &mut String, form: &Form<'_>, column: usize, closing: usize) {
    match form {
        Form::Made(value) => lay_out(text, value, column, closing),
        Form::Of(value) => lay_out(text, value, column, closing),
        Form::Items(items) => lay_out_items(text, "[", "]", items, column, closing),
        Form::Pair(head, rest) => {
            text.push('[');
            lay_out(text, head, column + 1, 0);
            new_line(text, column + 1);
            lay_out_form(text, rest, column + 1, closing + 1);
            text.push(']');
        }
    }
}

/// Whether more than one line could help.
fn is_breakable(value: &Value) -> bool {
    match value {
        Value::List(items) | Value::Vector(items) | Value::Set(items) | Value::JavaList(items) => {
            !items.is_empty()
        }
        Value::Map(entries) => !entries.is_empty(),
        Value::Tagged(_) | Value::Struct(_) | Value::Array(_) => true,
        _ => false,
    }
}

fn new_line(text: &mut String, column: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', column));
}

fn lay_out_items(
    text: &mut String,
    open: &str,
    close: &str,
    items: &[Value],
    column: usize,
    closing: usize,
) {
    text.push_str(open);
    let inner = column + open.len();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            new_line(text, inner);
        }
        let last = index + 1 == items.len();
        lay_out(text, item, inner, if last { closing + 1 } else { 0 });
    }
    text.push_str(close);
}

fn lay_out_map(text: &mut String, entries: &[(Value, Value)], column: usize, closing: usize) {
    text.push('{');
    for (index, (key, value)) in entries.iter().enumerate() {
        if index > 0 {
            new_line(text, column + 1);
        }
        let last = index + 1 == entries.len();
        let start = text.len();
        lay_out(text, key, column + 1, 0);
        // Behind a key that is long or broken, a value gets a line of its own.
        let written = &text[start..];
        let behind = column + 2 + written.chars().count();
        let at = if behind > MAX_INDENT || written.contains('\n') {
            new_line(text, column + 1);
            column + 1
        } else {
            text.push(' ');
            behind
        };
        lay_out(text, value, at, if last { closing + 1 } else { 0 });
    }
    text.push('}');
}

/// The value on one line.
fn line(out: &mut Line, value: &Value) -> std::fmt::Result {
    match value {
        Value::Nil => out.write_str("nil"),
        Value::Bool(b) => write!(out, "{b}"),
        Value::Int(n) => write!(out, "{n}"),
        Value::BigInt(n) => write!(out, "{n}N"),
        Value::Double(d) if d.is_nan() => out.write_str("##NaN"),
        Value::Double(d) if d.is_infinite() => {
            out.write_str(if *d > 0.0 { "##Inf" } else { "##-Inf" })
        }
        Value::Double(d) => out.write_str(&number::double_text(*d)),
        Value::Decimal(decimal) => write!(out, "{}M", number::decimal_text(decimal)),
        Value::Ratio(ratio) => write!(out, "{}/{}", ratio.numerator, ratio.denominator),
        Value::Char(unit) if !tags::is_half(*unit) => character(out, *unit),
        Value::Str(text) => string(out, char::decode_utf16(text.encode_utf16())),
        Value::Utf16(units) => string(out, char::decode_utf16(units.iter().copied())),
        Value::List(items) => sequence(out, "(", items, ")"),
        Value::Vector(items) => sequence(out, "[", items, "]"),
        Value::Set(items) => sequence(out, "#{", items, "}"),
        Value::Map(entries) => {
            out.write_str("{")?;
            for (index, (key, value)) in entries.iter().enumerate() {
                out.write_str(if index > 0 { ", " } else { "" })?;
                line(out, key)?;
                out.write_str(" ")?;
                line(out, value)?;
            }
            out.write_str("}")
        }
        other => match (tags::spell(other), other) {
            (Some((tag, form)), _) => {
                write!(out, "#{tag} ")?;
                line_form(out, &form)
            }
            (None, Value::Keyword(name)) => write!(out, ":{name}"),
            (None, Value::Symbol(name)) => write!(out, "{name}"),
            (None, _) => Ok(()),
        },
    }
}

fn line_form(out: &mut Line, form: &Form<'_>) -> std::fmt::Result {
    match form {
        Form::Made(value) => line(out, value),
        Form::Of(value) => line(out, value),
        Form::Items(items) => sequence(out, "[", items, "]"),
        Form::Pair(head, rest) => {
            out.write_str("[")?;
            line(out, head)?;
            out.write_str(" ")?;
            line_form(out, rest)?;
            out.write_str("]")
        }
    }
}

fn sequence(out: &mut Line, open: &str, items: &[Value], close: &str) -> std::fmt::Result {
    out.write_str(open)?;
    for (index, item) in items.iter().enumerate() {
        out.write_str(if index > 0 { " " } else { "" })?;
        line(out, item)?;
    }
    out.write_str(close)
}

fn character(out: &mut Line, unit: u16) -> std::fmt::Result {
    let name = match unit {
        0x0a => "newline",
        0x0d => "return",
        0x20 => "space",
        0x09 => "tab",
        0x0c => "formfeed",
        0x08 => "backspace",
        _ => match char::from_u32(u32::from(unit)) {
            Some(c) if !is_hidden(c) && !c.is_whitespace() => return write!(out, "\\{c}"),
            _ => return write!(out, "\\u{unit:04x}"),
        },
    };
    write!(out, "\\{name}")
}

/// What an editor would not show, or would take for a line's end.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn string(
    out: &mut Line,
    text: impl Iterator<Item = Result<char, std::char::DecodeUtf16Error>>,
) -> std::fmt::Result {
    out.write_str("\"")?;
    for c in text {
        match c {
            Ok('"') => out.write_str("\\\"")?,
            Ok('\\') => out.write_str("\\\\")?,
            Ok('\n') => out.write_str("\\n")?,
            Ok('\t') => out.write_str("\\t")?,
            Ok('\r') => out.write_str("\\r")?,
            Ok('\u{8}') => out.write_str("\\b")?,
            Ok('\u{c}') => out.write_str("\\f")?,
            Ok(c) if is_hidden(c) => write!(out, "\\u{:04x}", u32::from(c))?,
            Ok(c) => out.write_char(c)?,
            Err(lone) => write!(out, "\\u{:04x}", lone.unpaired_surrogate())?,
        }
    }
    out.write_str("\"")
}
