//! The bytes of a draft: shared with the value it was opened from until the first change.
//!
//! Knows neither versions nor saves; [`crate::model::Draft`] decides about those.

use bytes::Bytes;

/// The bytes a writer has so far.
#[derive(Debug)]
pub(super) enum Content {
    /// Those of the value that was opened, or of the last save.
    Shared(Bytes),
    /// Changed since.
    Own(Vec<u8>),
}

impl Content {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Shared(bytes) => bytes.len(),
            Self::Own(bytes) => bytes.len(),
        }
    }

    /// At most `len` bytes from `start`; fewer at the end, none behind it.
    pub(super) fn read(&self, start: u64, len: usize) -> Bytes {
        match self {
            Self::Shared(bytes) => slice(bytes, start, len),
            Self::Own(bytes) => {
                let (start, end) = range(bytes.len(), start, len);
                Bytes::copy_from_slice(&bytes[start..end])
            }
        }
    }

    /// Writes at an offset; a gap before it is zeros.
    pub(super) fn write(&mut self, start: usize, data: &[u8]) {
        let bytes = self.own();
        let end = start + data.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(data);
    }

    pub(super) fn set_len(&mut self, len: usize) {
        match self {
            Self::Shared(bytes) if len <= bytes.len() => bytes.truncate(len),
            _ => self.own().resize(len, 0),
        }
    }

    /// All bytes, to send. They stay; the next change copies them.
    pub(super) fn share(&mut self) -> Bytes {
        let bytes = match self {
            Self::Shared(bytes) => return bytes.clone(),
            Self::Own(bytes) => Bytes::from(std::mem::take(bytes)),
        };
        *self = Self::Shared(bytes.clone());
        bytes
    }

    fn own(&mut self) -> &mut Vec<u8> {
        if let Self::Shared(bytes) = self {
            let taken = std::mem::take(bytes);
            // Without a copy when nobody else holds them.
            *self = Self::Own(Vec::from(taken));
        }
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(_) => unreachable!("it was made our own above"),
        }
    }
}

fn range(size: usize, start: u64, len: usize) -> (usize, usize) {
    let start = usize::try_from(start).unwrap_or(usize::MAX).min(size);
    (start, start.saturating_add(len).min(size))
}

/// At most `len` bytes of a value from `start`.
pub(super) fn slice(bytes: &Bytes, start: u64, len: usize) -> Bytes {
    let (start, end) = range(bytes.len(), start, len);
    bytes.slice(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_shared_for_a_save_is_not_changed_by_later_writes() {
        let mut content = Content::Shared(Bytes::from_static(b"abc"));
        content.write(1, b"X");
        let sent = content.share();
        content.write(0, b"YY");
        assert_eq!(&sent[..], b"aXc");
        assert_eq!(&content.read(0, 9)[..], b"YYc");
    }

    proptest! {
        #[test]
        fn content_is_what_a_plain_vector_would_be(
            ops in proptest::collection::vec((0..3_u8, 0..64_usize, proptest::collection::vec(any::<u8>(), 0..16)), 0..40)
        ) {
            let mut content = Content::Shared(Bytes::new());
            let mut reference: Vec<u8> = Vec::new();
            for (op, at, data) in ops {
                match op {
                    0 => {
                        content.write(at, &data);
                        if reference.len() < at + data.len() {
                            reference.resize(at + data.len(), 0);
                        }
                        reference[at..at + data.len()].copy_from_slice(&data);
                    }
                    1 => {
                        content.set_len(at);
                        reference.resize(at, 0);
                    }
                    _ => prop_assert_eq!(&content.share()[..], &reference[..]),
                }
                prop_assert_eq!(content.len(), reference.len());
                prop_assert_eq!(&content.read(3, 20)[..], reference.get(3..).map_or(&[][..], |rest| &rest[..rest.len().min(20)]));
            }
        }
    }
}
