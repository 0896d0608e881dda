//! Bytes that are taken from the front, and how much memory what is made of them may take.
//!
//! The readers of binary values, `fressian/reader.rs` and `cbor.rs`, stand on it. It knows no format.

use std::borrow::Cow;

use thiserror::Error;

/// Why bytes are not a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("at byte {at}: {reason}")]
pub struct Corrupt {
    /// Offset of the byte that does not fit.
    pub at: usize,
    /// What is wrong with it.
    pub reason: Cow<'static, str>,
}

/// What a reader makes of the next bytes.
pub(super) type Read<T> = Result<T, Corrupt>;

/// A place in bytes.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many bytes of memory are left.
    left: usize,
}

impl<'a> Cursor<'a> {
    /// At the first byte; what is read may take `limit` bytes of memory.
    pub(super) fn new(bytes: &'a [u8], limit: usize) -> Self {
        Self {
            bytes,
            at: 0,
            left: limit,
        }
    }

    pub(super) fn fail<T>(&self, reason: impl Into<Cow<'static, str>>) -> Read<T> {
        Err(Corrupt {
            at: self.at,
            reason: reason.into(),
        })
    }

    /// The bytes that were not taken yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// How many bytes of memory are left.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// Something of so many bytes is kept in memory.
    pub(super) fn weigh(&mut self, bytes: usize) -> Read<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => self.fail("the value is too large"),
        }
    }

    /// So many bytes, or things of a byte at least, must follow.
    pub(super) fn expect(&self, count: usize) -> Read<()> {
        match count > self.rest().len() {
            true => self.fail("ends too early"),
            false => Ok(()),
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        self.expect(count)?;
        let (taken, _) = self.rest().split_at(count);
        self.at += count;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Read<u8> {
        Ok(self.take(1)?[0])
    }

    /// Takes the next byte if it is this one.
    pub(super) fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.rest().first() == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// The last byte that was taken was not what was expected.
    pub(super) fn refuse<T>(&mut self, reason: impl Into<Cow<'static, str>>) -> Read<T> {
        self.at = self.at.saturating_sub(1);
        self.fail(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_taken_once_and_not_beyond_the_end() {
        let mut cursor = Cursor::new(b"abc", 10);
        assert_eq!(cursor.byte(), Ok(b'a'));
        assert!(!cursor.takes(b'c') && cursor.takes(b'b'));
        for too_many in [2, usize::MAX] {
            let corrupt = cursor.take(too_many).unwrap_err();
            assert_eq!(corrupt.to_string(), "at byte 2: ends too early");
        }
        assert_eq!((cursor.take(1), cursor.rest()), (Ok(&b"c"[..]), &b""[..]));
        assert_eq!(cursor.refuse::<()>("no c").unwrap_err().at, 2);
    }

    #[test]
    fn memory_is_limited() {
        let mut cursor = Cursor::new(b"", 10);
        assert_eq!((cursor.weigh(7), cursor.left()), (Ok(()), 3));
        assert!(cursor.weigh(4).is_err() && cursor.weigh(3).is_ok());
    }
}
