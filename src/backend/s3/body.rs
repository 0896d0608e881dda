//! The body of a GET: read to its end, and never more than is wanted of it.

use aws_sdk_s3::primitives::ByteStream;
use bytes::{Bytes, BytesMut};

use super::byte_range::{Extent, MOST_FOR_A_PART};
use super::causes::chain;

/// Reads a body to its end; what is not as long as announced is worth nothing. None, if it goes on
/// behind what is wanted of it. More than that is never kept.
pub(super) async fn whole(mut body: ByteStream, extent: Extent) -> Result<Option<Bytes>, String> {
    if extent == Extent::Nothing {
        return Ok(Some(Bytes::new()));
    }
    let most = extent.most();
    let mut bytes = match extent {
        // No more than a part has, whatever is announced.
        Extent::Exactly(length) => {
            BytesMut::with_capacity(usize::try_from(length.min(MOST_FOR_A_PART)).unwrap_or(0))
        }
        _ => BytesMut::new(),
    };
    while let Some(piece) = body.try_next().await.map_err(|error| chain(&error))? {
        if (bytes.len() + piece.len()) as u64 > most {
            return match extent {
                Extent::UpTo(_) => Ok(None),
                _ => Err(format!("more than the {most} bytes that were announced")),
            };
        }
        bytes.extend_from_slice(&piece);
    }
    match (extent, bytes.len() as u64) {
        (Extent::Exactly(length), got) if got != length => {
            Err(format!("{got} bytes instead of {length}"))
        }
        _ => Ok(Some(bytes.freeze())),
    }
}
