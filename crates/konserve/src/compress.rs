//! What blobs are compressed with: LZ4 frames and zstd.
//!
//! Bytes to bytes, with a limit on what comes out; it knows nothing of what they mean.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};
use thiserror::Error;

/// As konserve: zstd's default.
const ZSTD_LEVEL: i32 = 3;
/// The windows a zstd frame may ask for, as powers of two: what is allowed at any limit (four times
/// what konserve's level asks for), and what zstd itself allows at most.
const ZSTD_WINDOW_LOG: (u32, u32) = (23, 27);

/// The second step from a value to stored bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// An LZ4 frame.
    Lz4,
    /// A zstd frame.
    Zstd,
}

/// Why bytes do not unpack.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unpacked {
    /// Not a frame, or a damaged one.
    #[error("damaged compressed data: {0}")]
    Damaged(String),
    /// More than the limit comes out.
    #[error("more than {0} bytes come out of the compressed data")]
    TooLarge(usize),
}

impl Compression {
    /// What was packed, if it is no more than `limit` bytes.
    pub fn unpack(self, stored: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, Unpacked> {
        match self {
            Self::None => Ok(Cow::Borrowed(stored)),
            Self::Lz4 => {
                // Older konserve leaves the end mark out; the decoder takes the end for it.
                read_all(FrameDecoder::new(stored), limit)
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(stored)
                    .map_err(|e| Unpacked::Damaged(e.to_string()))?;
                decoder
                    .window_log_max(window_log(limit))
                    .map_err(|e| Unpacked::Damaged(e.to_string()))?;
                read_all(decoder, limit)
            }
        }
    }

    /// A complete frame, which every reader takes; not always the bytes that konserve would write.
    pub fn pack(self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(bytes),
            Self::Lz4 => {
                let info = FrameInfo::new()
                    .block_size(BlockSize::Max4MB)
                    .block_mode(BlockMode::Independent);
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(&bytes)?;
                Ok(encoder.finish()?)
            }
            Self::Zstd => zstd::stream::encode_all(&*bytes, ZSTD_LEVEL),
        }
    }
}

/// Decoders take memory for the window before anything comes out.
fn window_log(limit: usize) -> u32 {
    let (least, most) = ZSTD_WINDOW_LOG;
    usize::BITS
        .saturating_sub(limit.leading_zeros())
        .clamp(least, most)
}

fn read_all<'a>(from: impl Read, limit: usize) -> Result<Cow<'a, [u8]>, Unpacked> {
    let mut bytes = Vec::new();
    from.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| Unpacked::Damaged(e.to_string()))?;
    match bytes.len() <= limit {
        true => Ok(Cow::Owned(bytes)),
        false => Err(Unpacked::TooLarge(limit)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: usize = 1 << 20;
    const ALL: [Compression; 3] = [Compression::None, Compression::Lz4, Compression::Zstd];

    #[test]
    fn more_than_the_limit_does_not_come_out() {
        for compression in [Compression::Lz4, Compression::Zstd] {
            let packed = compression.pack(vec![0; LIMIT + 1]).unwrap();
            assert!(packed.len() < LIMIT / 100);
            let refused = compression.unpack(&packed, LIMIT);
            assert_eq!(refused, Err(Unpacked::TooLarge(LIMIT)));
            assert_eq!(
                compression.unpack(&packed, LIMIT + 1).unwrap().len(),
                LIMIT + 1
            );
        }
    }

    #[test]
    fn an_lz4_frame_without_end_mark_is_read() {
        for length in [0, 1, 100, 10_000, 5 << 20] {
            let bytes: Vec<u8> = (0..length).map(|n: usize| ((n * n) >> 7) as u8).collect();
            let mut packed = Compression::Lz4.pack(bytes.clone()).unwrap();
            packed.truncate(packed.len() - 4);
            assert_eq!(*Compression::Lz4.unpack(&packed, 6 << 20).unwrap(), bytes);
        }
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out(bytes in proptest::collection::vec(any::<u8>(), 0..2000), repeat in 1..40usize) {
            let bytes = bytes.repeat(repeat);
            for compression in ALL {
                let packed = compression.pack(bytes.clone()).unwrap();
                let unpacked = compression.unpack(&packed, LIMIT).unwrap();
                prop_assert_eq!(&*unpacked, &bytes);
            }
        }

        #[test]
        fn spoilt_frames_come_out_or_are_refused(bytes in proptest::collection::vec(0..9u8, 1..500), at in any::<prop::sample::Index>(), by in any::<u8>()) {
            for compression in ALL {
                let mut packed = compression.pack(bytes.repeat(9)).unwrap();
                let at = at.index(packed.len());
                packed[at] = by;
                let _ = compression.unpack(&packed, LIMIT);
                packed.truncate(at);
                let _ = compression.unpack(&packed, LIMIT);
            }
        }

        #[test]
        fn bytes_of_any_kind_come_out_or_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (compression, magic) in [(Compression::Lz4, 0x184d_2204u32), (Compression::Zstd, 0xfd2f_b528)] {
                let _ = compression.unpack(&bytes, LIMIT);
                let _ = compression.unpack(&[&magic.to_le_bytes(), &*bytes].concat(), LIMIT);
            }
        }
    }
}
