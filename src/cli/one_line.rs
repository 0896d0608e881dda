//! What is told in one line stays one line: names of keys may hold line feeds, and whoever makes such a key
//! must not be able to add lines to the log of somebody else.

use std::borrow::Cow;
use std::io;

/// A text with its line breaks shown as `\n` and `\r`.
pub(super) fn one_line(text: &str) -> Cow<'_, str> {
    match text.contains(['\n', '\r']) {
        true => Cow::Owned(text.replace('\n', "\\n").replace('\r', "\\r")),
        false => Cow::Borrowed(text),
    }
}

/// A writer of whole lines, one with each `write`.
#[derive(Debug)]
pub(super) struct OneLine<W>(pub(super) W);

impl<W: io::Write> io::Write for OneLine<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        match std::str::from_utf8(text).map(one_line) {
            Ok(Cow::Owned(text)) => self.0.write_all(format!("{text}\n").as_bytes())?,
            _ => self.0.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_line_is_written_as_one_line() {
        let mut log = Vec::new();
        for line in ["plain\n", "two\nlines\r\n", "", "no end"] {
            OneLine(&mut log)
                .write_all(line.as_bytes())
                .expect("memory");
        }
        assert_eq!(log, b"plain\ntwo\\nlines\\r\nno end");
    }
}
