//! The lines of standard input, each with its number: what is wrong with one is a failure of that one.
//!
//! A line is a key, or an object of JSON. It knows no targets; `item.rs` reads the objects.

use std::io::{BufRead, BufReader};

use futures_util::stream::{self, Stream};
use tokio::sync::mpsc;

use crate::cli::output::input;
use crate::cli::report::Failure;

/// So many lines of input wait to be worked on.
const WAITING: usize = 64;

/// What some programs put before a text.
const MARK: char = '\u{feff}';

/// What the input consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Keys, one a line.
    Keys,
    /// Keys as they are, each with a NUL behind it.
    Null,
    /// Objects of JSON, one a line.
    Json,
}

impl Form {
    fn end(self) -> u8 {
        match self {
            Self::Null => b'\0',
            Self::Keys | Self::Json => b'\n',
        }
    }

    /// The text of a line.
    fn text(self, number: u64, line: Vec<u8>) -> Result<String, Failure> {
        let wrong = |why: &str| Err(Failure::usage(format!("line {number} {why}")));
        let Ok(text) = String::from_utf8(line) else {
            return wrong("is not UTF-8");
        };
        match self {
            Self::Null => Ok(text),
            _ if text.starts_with(MARK) => {
                wrong("begins with a byte order mark; a key that does goes with --null")
            }
            // The end of a line, as others write it.
            Self::Keys if text == "\r" => {
                wrong("is a carriage return; a key that is one goes with --null")
            }
            _ => Ok(text),
        }
    }
}

/// The lines of standard input but empty ones. A thread waits for them, so that nothing else does.
pub(super) fn lines(form: Form) -> impl Stream<Item = Result<String, Failure>> {
    let (send, receive) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        let input = match input() {
            Ok(input) => input,
            Err(failure) => return drop(send.blocking_send(Err(failure))),
        };
        // Not `lines()`: a key may end with a carriage return.
        for (number, line) in (1..).zip(BufReader::new(input).split(form.end())) {
            let is_last = line.is_err();
            let line = match line {
                Ok(line) if line.is_empty() => continue,
                Ok(line) => form.text(number, line),
                Err(error) => Err(Failure::new(format!("standard input: {error}"))),
            };
            if send.blocking_send(line).is_err() || is_last {
                break;
            }
        }
    });
    stream::unfold(receive, async |mut receive| {
        let line = receive.recv().await?;
        Some((line, receive))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_taken_for_nothing_that_it_is_not() {
        for (form, line, is_good) in [
            (Form::Keys, &b"key"[..], true),
            (Form::Keys, b"key\r", true),
            (Form::Keys, b"\r", false),
            (Form::Keys, b"\xef\xbb\xbfkey", false),
            (Form::Keys, b"\xff", false),
            (Form::Json, b"\xef\xbb\xbf{}", false),
            (Form::Json, b"{}\r", true),
            (Form::Null, b"\r", true),
            (Form::Null, b"a\nb", true),
            (Form::Null, b"\xef\xbb\xbfkey", true),
            (Form::Null, b"\xff", false),
        ] {
            let text = form.text(7, line.to_vec());
            assert_eq!(text.is_ok(), is_good, "{form:?} {line:?}");
            if let Err(failure) = text {
                assert!(failure.message().contains("line 7 "), "{failure:?}");
            }
        }
    }
}
