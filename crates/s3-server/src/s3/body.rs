//! Bytes on their way out: exactly one version of an object, whatever happens to the key meanwhile.
//!
//! It knows segments and files, no keys. Small bodies are copied out of the snapshot, files are
//! leased in it and read as the client takes them. Read [`crate::storage`] for leases.

use std::collections::VecDeque;
use std::io::{self, SeekFrom};
use std::ops::Range;

use bytes::BytesMut;
use futures_util::stream;
use s3s::dto::StreamingBlob;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::storage::{CHUNK, Content, Lease, Refusal, Segment, Snapshot, Storage, Sums, sum};

/// The bytes of one read.
pub(super) struct Bytes {
    pieces: VecDeque<Piece>,
    /// Keeps the files of the pieces.
    lease: Lease,
}

enum Piece {
    Memory(bytes::Bytes),
    File(File),
}

/// A part of a body file.
struct File {
    id: u64,
    /// Of the whole file.
    size: u64,
    /// What is wanted of it.
    range: Range<u64>,
    sums: Option<Sums>,
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
                Segment::Blob { id, size } => Piece::File(File {
                    id,
                    size,
                    range: part,
                    sums: snapshot.sums(id)?,
                }),
                Segment::Inline { id, sum: known, .. } => {
                    let whole = bytes::Bytes::from(snapshot.body(id)?);
                    // The index never holds more than fits in memory.
                    let (start, end) = (part.start as usize, part.end as usize);
                    if end > whole.len() {
                        return Err(Refusal::broken("a body is shorter than recorded"));
                    }
                    if known.is_some_and(|known| known != sum(&whole)) {
                        return Err(Refusal::broken("a body does not match its checksum"));
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
    /// The open file, and what of it is still to be sent.
    file: Option<(tokio::fs::File, File)>,
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
            if let Some((open, file)) = &mut self.file {
                if !file.range.is_empty() {
                    return file.next(open).await.map(Some);
                }
                self.file = None;
            }
            match self.pieces.pop_front() {
                None => return Ok(None),
                Some(Piece::Memory(bytes)) => return Ok(Some(bytes)),
                Some(Piece::File(file)) => {
                    let mut open = self.storage.open_blob(file.id).await?;
                    if file.chunk() > 0 {
                        open.seek(SeekFrom::Start(file.chunk() * CHUNK as u64))
                            .await?;
                    }
                    self.file = Some((open, file));
                }
            }
        }
    }
}

impl File {
    /// The number of the chunk in which the next bytes are.
    fn chunk(&self) -> u64 {
        self.range.start / CHUNK as u64
    }

    /// The next bytes, from a whole chunk that was checked: a range is read with what is around it.
    async fn next(&mut self, open: &mut tokio::fs::File) -> io::Result<bytes::Bytes> {
        let start = self.chunk() * CHUNK as u64;
        let end = self.size.min(start + CHUNK as u64);
        let mut chunk = BytesMut::zeroed((end - start) as usize);
        open.read_exact(&mut chunk).await?;
        if self
            .sums
            .as_ref()
            .is_some_and(|sums| !sums.fit(self.chunk(), &chunk))
        {
            let id = self.id;
            tracing::error!(
                id,
                start,
                "a body does not match its checksum; it is not sent"
            );
            return Err(io::Error::other("a body does not match its checksum"));
        }
        let wanted = self.range.start - start..self.range.end.min(end) - start;
        self.range.start = self.range.end.min(end);
        Ok(chunk
            .freeze()
            .slice(wanted.start as usize..wanted.end as usize))
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
