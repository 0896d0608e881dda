//! Taking in a body: to the end, hashed, checked against what the client claims of it, and kept
//! where a transaction can adopt it.
//!
//! It knows nothing of keys and conditions: a body is received whole before anything is decided, so
//! that the decision and the commit can be one. Read [`super::claims`] for what is checked, and
//! [`super::storage`] for where the bytes go.

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use md5::{Digest, Md5};
use s3s::{S3Result, StdError, s3_error};

use super::claims::{Claims, Trailers};
use super::s3::errors::storage_fault;
use super::storage::{Content, INLINE_LIMIT, NewBlob, Refusal, Segment, Storage, Tx};

/// The largest body of one request: the limit of S3 for a PUT and for a part.
const MAX_BODY: u64 = 5 * 1024 * 1024 * 1024;

/// A body that is whole and as claimed, and belongs to no object yet.
pub(super) struct Received {
    bytes: Kept,
    size: u64,
    etag: String,
    checksums: std::collections::BTreeMap<String, String>,
}

enum Kept {
    Small(Vec<u8>),
    Large(NewBlob),
}

impl Received {
    /// Lets a transaction adopt the bytes.
    pub(super) fn adopt(self, tx: &mut Tx<'_>, now: i64) -> Result<Content, Refusal> {
        let segments: Vec<Segment> = match self.bytes {
            Kept::Small(bytes) if bytes.is_empty() => Vec::new(),
            Kept::Small(bytes) => vec![tx.add_inline(&bytes)?],
            Kept::Large(blob) => vec![tx.add_blob(blob, self.size)?],
        };
        Ok(Content {
            etag: self.etag,
            size: self.size,
            modified: now,
            segments,
            checksums: self.checksums,
        })
    }
}

/// Receives a body.
pub(super) async fn receive<S>(
    storage: &Storage,
    body: Option<S>,
    claims: Claims,
    trailers: Trailers,
) -> S3Result<Received>
where
    S: Stream<Item = Result<Bytes, StdError>> + Unpin,
{
    let mut sums = claims.hasher();
    let mut md5 = Md5::new();
    let mut kept = Kept::Small(Vec::new());
    let mut size = 0_u64;
    if let Some(mut body) = body {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(broken_body)?;
            size += chunk.len() as u64;
            if size > MAX_BODY {
                return Err(s3_error!(EntityTooLarge));
            }
            md5.update(&chunk);
            sums.update(&chunk);
            kept = keep(storage, kept, &chunk).await.map_err(storage_fault)?;
        }
    }
    let md5: [u8; 16] = md5.finalize().into();
    let checksums = claims.check(size, md5, sums, trailers)?;
    if let Kept::Large(blob) = &mut kept {
        blob.finish().await.map_err(storage_fault)?;
    }
    Ok(Received {
        bytes: kept,
        size,
        etag: hex::encode(md5),
        checksums,
    })
}

async fn keep(storage: &Storage, kept: Kept, chunk: &[u8]) -> std::io::Result<Kept> {
    match kept {
        Kept::Small(mut bytes) if bytes.len() + chunk.len() <= INLINE_LIMIT => {
            bytes.extend_from_slice(chunk);
            Ok(Kept::Small(bytes))
        }
        Kept::Small(bytes) => {
            let mut blob = storage.new_blob().await?;
            blob.write(&bytes).await?;
            blob.write(chunk).await?;
            Ok(Kept::Large(blob))
        }
        Kept::Large(mut blob) => {
            blob.write(chunk).await?;
            Ok(Kept::Large(blob))
        }
    }
}

/// Whether the pace of the body ended it, however deep that is wrapped.
fn is_too_slow(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .filter_map(|error| error.downcast_ref::<s3s::S3Error>())
        .any(|error| *error.code() == s3s::S3ErrorCode::RequestTimeout)
}

/// A body that ended too early, or whose signature or framing is wrong: nothing is stored.
fn broken_body(error: StdError) -> s3s::S3Error {
    match error.downcast::<s3s::S3Error>() {
        Ok(error) => *error,
        // A framed body's failure holds what its inner body said.
        Err(error) if is_too_slow(&*error) => {
            s3_error!(RequestTimeout, "the body arrives too slowly")
        }
        Err(error) => {
            let mut refusal = s3_error!(IncompleteBody, "the body could not be read: {error}");
            refusal.set_source(error);
            refusal
        }
    }
}
