//! The `aws-chunked` framing of a body, decoded without looking at its signatures.
//!
//! It is needed in open mode only, where s3s, which decodes this framing as part of checking a
//! signature, does not see the request as signed. Source: S3 API reference, "Signature calculations:
//! transferring payload in multiple chunks". Read [`super::open`] for where it is put in.

use bytes::{Buf, Bytes, BytesMut};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

/// The longest line of the framing: a chunk header with a signature, or a trailer.
const MAX_LINE: usize = 8 * 1024;

/// What the framing turned out to be wrong about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed aws-chunked body: {0}")]
pub(super) struct Malformed(&'static str);

/// A decoder: fed with bytes as they arrive, it gives them back without the framing.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    buffer: BytesMut,
    state: State,
    trailers: HeaderMap,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before `SIZE;chunk-signature=...`.
    #[default]
    Header,
    /// So much of a chunk is still to come.
    Data(u64),
    /// Before the line end that closes a chunk.
    DataEnd,
    /// After the last chunk.
    Trailers,
    /// After the empty line that ends it all.
    Done,
}

impl Decoder {
    /// Takes in more of the body.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next piece of the content; `None` when more of the body is needed first.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Malformed> {
        loop {
            match self.state {
                State::Header => {
                    let Some(line) = self.line()? else {
                        return Ok(None);
                    };
                    let size = line.split(|&b| b == b';').next().unwrap_or_default();
                    let size = std::str::from_utf8(size).ok();
                    let size = size.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
                    self.state = match size.ok_or(Malformed("chunk size"))? {
                        0 => State::Trailers,
                        size => State::Data(size),
                    };
                }
                State::Data(left) => {
                    if self.buffer.is_empty() {
                        return Ok(None);
                    }
                    let here = left.min(self.buffer.len() as u64);
                    self.state = if left == here {
                        State::DataEnd
                    } else {
                        State::Data(left - here)
                    };
                    // `here` is at most the length of the buffer.
                    return Ok(Some(self.buffer.split_to(here as usize).freeze()));
                }
                State::DataEnd => {
                    let Some(line) = self.line()? else {
                        return Ok(None);
                    };
                    if !line.is_empty() {
                        return Err(Malformed("chunk end"));
                    }
                    self.state = State::Header;
                }
                State::Trailers => {
                    let Some(line) = self.line()? else {
                        return Ok(None);
                    };
                    if line.is_empty() {
                        self.state = State::Done;
                    } else {
                        self.trailer(&line)?;
                    }
                }
                State::Done if self.buffer.is_empty() => return Ok(None),
                State::Done => return Err(Malformed("bytes after the end")),
            }
        }
    }

    /// The trailers of a body that is over. Some clients leave out the last empty line.
    pub(super) fn finish(mut self) -> Result<HeaderMap, Malformed> {
        if self.state == State::Trailers && !self.buffer.is_empty() {
            let line = self.buffer.split();
            self.trailer(&line)?;
            self.state = State::Done;
        }
        match self.state {
            State::Done | State::Trailers => Ok(self.trailers),
            _ => Err(Malformed("it ends too early")),
        }
    }

    fn line(&mut self) -> Result<Option<Bytes>, Malformed> {
        match self.buffer.windows(2).position(|two| two == b"\r\n") {
            Some(end) => {
                let line = self.buffer.split_to(end).freeze();
                self.buffer.advance(2);
                Ok(Some(line))
            }
            None if self.buffer.len() > MAX_LINE => Err(Malformed("line too long")),
            None => Ok(None),
        }
    }

    fn trailer(&mut self, line: &[u8]) -> Result<(), Malformed> {
        let colon = line
            .iter()
            .position(|&b| b == b':')
            .ok_or(Malformed("trailer"))?;
        let name = HeaderName::from_bytes(line[..colon].trim_ascii());
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        match (name, value) {
            (Ok(name), Ok(value)) => {
                self.trailers.insert(name, value);
                Ok(())
            }
            _ => Err(Malformed("trailer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(body: &[u8], piece: usize) -> Result<(Vec<u8>, HeaderMap), Malformed> {
        let (mut decoder, mut content) = (Decoder::default(), Vec::new());
        for piece in body.chunks(piece) {
            decoder.feed(piece);
            while let Some(bytes) = decoder.next()? {
                content.extend_from_slice(&bytes);
            }
        }
        Ok((content, decoder.finish()?))
    }

    #[test]
    fn the_framing_goes_and_the_trailers_stay() {
        let body = b"5;chunk-signature=00ff\r\nhello\r\n1\r\n!\r\n0;chunk-signature=1\r\n\
                     x-amz-checksum-crc32:abc=\r\nx-amz-trailer-signature:beef\r\n\r\n";
        for piece in 1..body.len() {
            let (content, trailers) = decode(body, piece).unwrap();
            assert_eq!(content, b"hello!");
            assert_eq!(trailers["x-amz-checksum-crc32"], "abc=");
        }
    }

    #[test]
    fn a_body_that_is_cut_or_malformed_is_an_error() {
        for body in [
            &b""[..],
            b"5\r\nhel",
            b"5\r\nhello",
            b"5\r\nhello\r\n",
            b"x\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloo\r\n0\r\n\r\n",
            b"0\r\n\r\nmore",
            b"0\r\nno colon\r\n\r\n",
            b"ffffffffffffffffff\r\n",
        ] {
            assert!(
                decode(body, 7).is_err(),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
        assert!(decode(&vec![b'0'; 20_000], 4096).is_err());
    }

    proptest! {
        #[test]
        fn any_content_survives_any_chunking(
            content in prop::collection::vec(any::<u8>(), 0..200),
            chunk in 1_usize..50,
            piece in 1_usize..50,
        ) {
            let mut body = Vec::new();
            for chunk in content.chunks(chunk) {
                body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                body.extend_from_slice(chunk);
                body.extend_from_slice(b"\r\n");
            }
            body.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(decode(&body, piece).unwrap().0, content);
        }

        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&body, 13);
        }
    }
}
