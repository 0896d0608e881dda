//! The lines of standard input, each with its number: what is wrong with one is a failure of that one.
//!
//! A line is a key, or an object of JSON. It knows no targets; `item.rs` reads the objects.

use std::io::{BufRead, BufReader, Read};

use futures_util::stream::{self, Stream};
use tokio::sync::mpsc;

use crate::cli::output::input;
use crate::cli::report::Failure;

/// How many lines of input may wait for work.
const WAITING: usize = 64;

/// The longest key, in bytes; S3's have 1024, and paths not many more.
const LONGEST_KEY: u64 = 64 << 10;
/// The longest object of JSON, in bytes: it is in memory, more than once.
const LONGEST_OBJECT: u64 = 256 << 20;

/// What some programs put before a text.
const MARK: char = '\u{feff}';

/// What the input consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFormat {
    /// Keys, one a line.
    Keys,
    /// Keys as they are, each with a NUL behind it.
    Null,
    /// Objects of JSON, one a line.
    Json,
}

impl LineFormat {
    fn end(self) -> u8 {
        match self {
            Self::Null => b'\0',
            Self::Keys | Self::Json => b'\n',
        }
    }

    fn longest(self) -> u64 {
        match self {
            Self::Keys | Self::Null => LONGEST_KEY,
            Self::Json => LONGEST_OBJECT,
        }
    }

    /// The next line, without its end; none at the end of the input.
    fn next(self, number: u64, input: &mut impl BufRead) -> Result<Option<Vec<u8>>, Failure> {
        let mut line = Vec::new();
        let most = self.longest();
        input
            .take(most + 1)
            .read_until(self.end(), &mut line)
            .map_err(|error| Failure::new(format!("standard input: {error}")))?;
        let has_end = line.last() == Some(&self.end());
        match (line.len() as u64 > most, has_end) {
            (_, true) => {
                line.pop();
                Ok(Some(line))
            }
            (true, false) => Err(Failure::usage(format!(
                "line {number} is longer than {most} bytes; nothing after it was read"
            ))),
            (false, false) => Ok((!line.is_empty()).then_some(line)),
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
pub(super) fn lines(form: LineFormat) -> impl Stream<Item = Result<String, Failure>> {
    let (send, receive) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        let input = match input() {
            Ok(input) => input,
            Err(failure) => return drop(send.blocking_send(Err(failure))),
        };
        // Not `lines()`: a key may end with a carriage return.
        let mut input = BufReader::new(input);
        for number in 1.. {
            let line = match form.next(number, &mut input) {
                Ok(None) => break,
                Ok(Some(line)) if line.is_empty() => continue,
                Ok(Some(line)) => Ok(form.text(number, line)),
                Err(failure) => Err(failure),
            };
            let is_last = line.is_err();
            if send.blocking_send(line.unwrap_or_else(Err)).is_err() || is_last {
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
            (LineFormat::Keys, &b"key"[..], true),
            (LineFormat::Keys, b"key\r", true),
            (LineFormat::Keys, b"\r", false),
            (LineFormat::Keys, b"\xef\xbb\xbfkey", false),
            (LineFormat::Keys, b"\xff", false),
            (LineFormat::Json, b"\xef\xbb\xbf{}", false),
            (LineFormat::Json, b"{}\r", true),
            (LineFormat::Null, b"\r", true),
            (LineFormat::Null, b"a\nb", true),
            (LineFormat::Null, b"\xef\xbb\xbfkey", true),
            (LineFormat::Null, b"\xff", false),
        ] {
            let text = form.text(7, line.to_vec());
            assert_eq!(text.is_ok(), is_good, "{form:?} {line:?}");
            if let Err(failure) = text {
                assert!(failure.message().contains("line 7 "), "{failure:?}");
            }
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_read_to_its_end() {
        let mut zeros = BufReader::new(std::io::repeat(b'x'));
        for form in [LineFormat::Keys, LineFormat::Null] {
            let failure = form.next(3, &mut zeros).unwrap_err();
            assert!(
                failure
                    .message()
                    .contains("line 3 is longer than 65536 bytes")
            );
        }
        let longest = vec![b'k'; 64 << 10];
        for end in [&b"\n"[..], b""] {
            let input = [&longest, end].concat();
            let line = LineFormat::Keys.next(1, &mut &*input).unwrap();
            assert_eq!(line.as_ref(), Some(&longest));
        }
        assert!(
            LineFormat::Keys
                .next(1, &mut &*[&longest[..], b"k\n"].concat())
                .is_err()
        );
    }

    #[test]
    fn lines_end_with_their_ends_and_the_last_one_with_the_input() {
        let mut input = &b"a\n\nb"[..];
        let mut next = || LineFormat::Keys.next(1, &mut input).unwrap();
        assert_eq!(next().as_deref(), Some(&b"a"[..]));
        assert_eq!(next().as_deref(), Some(&b""[..]));
        assert_eq!(next().as_deref(), Some(&b"b"[..]));
        assert_eq!(next(), None);
    }
}
