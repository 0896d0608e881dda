//! A message of one line stays one line, and no terminal obeys it: names of keys may hold line feeds and escape
//! sequences, and whoever makes such a key must not be able to add lines to somebody else's log, or to change what
//! somebody else's terminal shows.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;

/// A text with its control characters shown: as `\n`, `\r`, `\t`, else as `\u001b`, which is how JSON writes
/// them, too.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    shown(text, |_| false)
}

/// As [`one_line`], of a text of many lines, which may hold tabs.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    shown(text, |char| matches!(char, '\n' | '\t'))
}

/// A text with its control characters shown, but for those that may stay.
fn shown(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_hidden = |char: char| char.is_control() && !stays(char);
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        match char {
            char if !is_hidden(char) => shown.push(char),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            // A string takes all that it is given.
            _ => _ = write!(shown, "\\u{:04x}", u32::from(char)),
        }
    }
    Cow::Owned(shown)
}

/// A writer of whole lines, one with each `write`.
#[derive(Debug)]
pub(super) struct OneLine<W> {
    pub(super) out: W,
    /// The lines have colours of their own, and whoever makes those has seen to it that nothing else
    /// begins like one.
    pub(super) colours: bool,
}

impl<W: io::Write> io::Write for OneLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        const ESCAPE: char = '\x1b';
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let stays = |char| self.colours && char == ESCAPE;
        match std::str::from_utf8(text).map(|text| shown(text, stays)) {
            Ok(Cow::Owned(text)) => self.out.write_all(format!("{text}\n").as_bytes())?,
            _ => self.out.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_line_is_written_as_one_line() {
        let mut out = Vec::new();
        let mut log = OneLine {
            out: &mut out,
            colours: false,
        };
        for line in ["plain\n", "two\nlines\r\n", "", "no end"] {
            log.write_all(line.as_bytes()).expect("memory");
        }
        assert_eq!(out, b"plain\ntwo\\nlines\\r\nno end");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_written() {
        let text = "a\x1b[31mb\x07\u{9b}2J\x7f\t\u{e9}";
        let one = "a\\u001b[31mb\\u0007\\u009b2J\\u007f\\t\u{e9}";
        assert_eq!(one_line(text), one);
        assert_eq!(lines("a\tb\nc\x1b"), "a\tb\nc\\u001b");
        assert_eq!(one_line("100% \u{1f600}"), "100% \u{1f600}");
        for (colours, expected) in [(false, "\\u001b[0m\\u0085\n"), (true, "\x1b[0m\\u0085\n")] {
            let mut out = Vec::new();
            OneLine {
                out: &mut out,
                colours,
            }
            .write_all("\x1b[0m\u{85}\n".as_bytes())
            .expect("memory");
            assert_eq!(String::from_utf8(out).as_deref(), Ok(expected));
        }
    }
}
