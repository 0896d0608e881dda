//! Checksums of stored bytes: what is read back is what was received, or an error.
//!
//! A body file has one CRC-32 for each chunk, so that a range can be checked without reading the
//! whole file; a body in the index has one. They detect a disk that changed its mind, not an enemy:
//! whoever can write the data directory can write the index too.

use crc32fast::Hasher;

/// How much of a body one checksum covers, in bytes; the last chunk may be shorter.
pub(crate) const CHUNK: usize = 256 * 1024;

/// The checksum of bytes that are read at once.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Sums a body as it arrives, in pieces of any size.
#[derive(Default)]
pub(super) struct Summing {
    done: Vec<u8>,
    chunk: Hasher,
    filled: usize,
}

impl Summing {
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK - self.filled));
            self.chunk.update(now);
            self.filled += now.len();
            bytes = later;
            if self.filled == CHUNK {
                self.end_chunk();
            }
        }
    }

    fn end_chunk(&mut self) {
        let sum = std::mem::take(&mut self.chunk).finalize();
        self.done.extend(sum.to_le_bytes());
        self.filled = 0;
    }

    /// The sums of all chunks, four bytes each, little endian.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.filled > 0 {
            self.end_chunk();
        }
        self.done
    }
}

/// The sums of a body file, as [`Summing::finish`] wrote them.
pub(crate) struct Sums(Vec<u8>);

impl Sums {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Whether this is the chunk of that number.
    pub(crate) fn fit(&self, number: u64, chunk: &[u8]) -> bool {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        self.0.as_chunks::<4>().0.get(number) == Some(&sum(chunk).to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_of_a_body_do_not_depend_on_the_pieces_in_which_it_arrives() {
        let body: Vec<u8> = (0..2 * CHUNK + 7).map(|n| (n % 251) as u8).collect();
        for piece in [1000, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let mut summing = Summing::default();
            body.chunks(piece).for_each(|piece| summing.update(piece));
            let sums = Sums::new(&summing.finish());
            for (number, chunk) in body.chunks(CHUNK).enumerate() {
                assert!(sums.fit(number as u64, chunk));
            }
            assert!(!sums.fit(0, &body[1..=CHUNK]));
            assert!(!sums.fit(3, &[]));
        }
    }
}
