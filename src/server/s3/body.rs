//! Bytes on their way out: exactly one version of an object, whatever happens to the key meanwhile.
//!
//! It knows segments and files, no keys. Small bodies are copied out of the snapshot, files are
//! leased in it and read as the client takes them. Read [`crate::server::storage`] for leases.

use std::collections::VecDeque;
use std::io::{self, SeekFrom};
use std::ops::Range;

use bytes::BytesMut;
use futures_util::stream;
use s3s::dto::StreamingBlob;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::server::storage::{Content, Lease, Refusal, Segment, Snapshot, Storage};

/// How much of a file is read at once.
const CHUNK: usize = 256 * 1024;

/// The bytes of one read.
pub(super) struct Bytes {
    pieces: VecDeque<Piece>,
    /// Keeps the files of the pieces.
    lease: Lease,
}

enum Piece {
    Memory(bytes::Bytes),
    File { id: u64, range: Range<u64> },
}

impl Bytes {
    /// Takes a range of a content out of a snapshot.
    pub(super) fn take(
        snapshot: &Snapshot,
        content: &Content,
        range: Range<u64>,
    ) -> Result<Self, Refusal> {
        let lease = snapshot.lease(&content.segments);
        let mut pieces = VecDeque::new();
        for (segment, part) in cut(&content.segments, range) {
            pieces.push_back(match segment {
                Segment::Blob { id, .. } => Piece::File { id, range: part },
                Segment::Inline { id, .. } => {
                    let whole = bytes::Bytes::from(snapshot.body(id)?);
                    // The index never holds more than fits in memory.
                    let (start, end) = (part.start as usize, part.end as usize);
                    if end > whole.len() {
                        return Err(Refusal::broken("a body is shorter than recorded"));
                    }
                    Piece::Memory(whole.slice(start..end))
                }
            });
        }
        Ok(Self { pieces, lease })
    }
}

/// The segments that a range touches, each with the range inside of it.
fn cut(segments: &[Segment], range: Range<u64>) -> Vec<(Segment, Range<u64>)> {
    let mut start = 0;
    let mut pieces = Vec::new();
    for segment in segments {
        let end = start + segment.size();
        let (from, to) = (range.start.max(start), range.end.min(end));
        if from < to {
            pieces.push((*segment, from - start..to - start));
        }
        start = end;
    }
    pieces
}

/// A stream of the bytes, for an answer.
pub(super) fn stream(storage: &Storage, bytes: Bytes) -> StreamingBlob {
    StreamingBlob::wrap(chunks(storage, bytes))
}

struct Reading {
    storage: Storage,
    pieces: VecDeque<Piece>,
    /// The open file, and how much of it is still to be sent.
    file: Option<(tokio::fs::File, u64)>,
    _lease: Lease,
}

/// The bytes, a chunk at a time.
pub(super) fn chunks(
    storage: &Storage,
    bytes: Bytes,
) -> impl stream::Stream<Item = io::Result<bytes::Bytes>> + Send + Sync + 'static {
    let reading = Reading {
        storage: storage.clone(),
        pieces: bytes.pieces,
        file: None,
        _lease: bytes.lease,
    };
    stream::try_unfold(reading, |mut reading| async move {
        Ok(reading.next().await?.map(|chunk| (chunk, reading)))
    })
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<bytes::Bytes>> {
        loop {
            if let Some((file, left)) = &mut self.file {
                if *left > 0 {
                    let mut chunk = BytesMut::zeroed((*left).min(CHUNK as u64) as usize);
                    let read = file.read(&mut chunk).await?;
                    if read == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    *left -= read as u64;
                    chunk.truncate(read);
                    return Ok(Some(chunk.freeze()));
                }
                self.file = None;
            }
            match self.pieces.pop_front() {
                None => return Ok(None),
                Some(Piece::Memory(bytes)) => return Ok(Some(bytes)),
                Some(Piece::File { id, range }) => {
                    let mut file = self.storage.open_blob(id).await?;
                    if range.start > 0 {
                        file.seek(SeekFrom::Start(range.start)).await?;
                    }
                    self.file = Some((file, range.end - range.start));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_the_segments() {
        let blob = |id, size| Segment::Blob { id, size };
        let segments = [blob(1, 10), blob(2, 5), blob(3, 10)];
        let ids = |range| -> Vec<(u64, Range<u64>)> {
            let cut = cut(&segments, range).into_iter();
            cut.map(|(segment, part)| match segment {
                Segment::Blob { id, .. } | Segment::Inline { id, .. } => (id, part),
            })
            .collect()
        };
        assert_eq!(ids(0..25), [(1, 0..10), (2, 0..5), (3, 0..10)]);
        assert_eq!(ids(9..16), [(1, 9..10), (2, 0..5), (3, 0..1)]);
        assert_eq!(ids(10..15), [(2, 0..5)]);
        assert_eq!(ids(12..13), [(2, 2..3)]);
        assert_eq!(ids(15..15), []);
    }
}
