//! The bytes of a draft: shared with the opened value until the first change; in memory while they are few,
//! else in a file without a name (A4).
//!
//! [`crate::model::Draft`] decides about versions and saves.

use std::fs::{DirBuilder, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::PathBuf;

use bytes::Bytes;

/// Where the bytes of drafts may be.
#[derive(Debug)]
pub(super) struct Room {
    /// The directory of drafts that are too large for memory; a read-only mount has none.
    dir: Option<PathBuf>,
    /// How many bytes of one draft are kept in memory.
    memory: usize,
}

impl Room {
    pub(super) fn new(dir: Option<PathBuf>, memory: usize) -> Self {
        Self { dir, memory }
    }

    /// Whether a draft of this size is kept in memory.
    pub(super) fn holds(&self, len: u64) -> bool {
        len <= self.memory as u64
    }

    /// An empty draft in a file.
    pub(super) fn file(&self) -> io::Result<Content> {
        let dir = self.dir.as_ref();
        let dir = dir.ok_or(io::ErrorKind::ReadOnlyFilesystem)?;
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let file = tempfile::tempfile_in(dir)?;
        Ok(Content::File(file, 0))
    }
}

/// The bytes a writer has so far.
#[derive(Debug)]
pub(super) enum Content {
    /// Those of the value that was opened, or of the last save.
    Shared(Bytes),
    /// Changed since.
    Own(Vec<u8>),
    /// In a file, and how many.
    File(File, usize),
}

impl Content {
    /// The bytes of an existing file.
    ///
    /// # Errors
    /// Any error of the local disk.
    pub(super) fn of_file(file: File) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        Ok(Self::File(file, len))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Shared(bytes) => bytes.len(),
            Self::Own(bytes) => bytes.len(),
            Self::File(_, len) => *len,
        }
    }

    /// Whether they are too many for memory.
    pub(super) fn is_large(&self) -> bool {
        matches!(self, Self::File(..))
    }

    /// At most `len` bytes from `start`; fewer at the end, none after it.
    ///
    /// # Errors
    /// Any error of the local disk, here and below.
    pub(super) fn read(&self, start: u64, len: usize) -> io::Result<Bytes> {
        Ok(match self {
            Self::Shared(bytes) => slice(bytes, start, len),
            Self::Own(bytes) => {
                let (start, end) = range(bytes.len(), start, len);
                Bytes::copy_from_slice(&bytes[start..end])
            }
            Self::File(file, size) => {
                let (start, end) = range(*size, start, len);
                let mut bytes = zeros(end - start)?;
                file.read_exact_at(&mut bytes, start as u64)?;
                bytes.into()
            }
        })
    }

    /// Writes at an offset; a gap before it is zeros.
    pub(super) fn write(&mut self, start: usize, data: &[u8], room: &Room) -> io::Result<()> {
        let end = start + data.len();
        self.make_room(end, room)?;
        if let Self::File(file, len) = self {
            let before = *len;
            if end > before {
                file.set_len(end as u64)?;
                *len = end;
            }
            let written = file.write_all_at(data, start as u64);
            if written.is_err() && end > before {
                // No gap of zeros in place of what had no room.
                file.set_len(before as u64)?;
                *len = before;
            }
            return written;
        }
        let bytes = self.own();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[start..end].copy_from_slice(data);
        Ok(())
    }

    pub(super) fn set_len(&mut self, len: usize, room: &Room) -> io::Result<()> {
        self.make_room(len, room)?;
        match self {
            Self::Shared(bytes) if len <= bytes.len() => bytes.truncate(len),
            Self::File(file, size) => {
                file.set_len(len as u64)?;
                *size = len;
            }
            _ => self.own().resize(len, 0),
        }
        Ok(())
    }

    /// All bytes, to send. They stay; the next change copies them. Those of a file are read.
    pub(super) fn share(&mut self) -> io::Result<Bytes> {
        let bytes = match self {
            Self::Shared(bytes) => return Ok(bytes.clone()),
            Self::File(_, len) => {
                let len = *len;
                return self.read(0, len);
            }
            Self::Own(bytes) => Bytes::from(std::mem::take(bytes)),
        };
        *self = Self::Shared(bytes.clone());
        Ok(bytes)
    }

    /// Moves the bytes to a file if there will be too many for memory.
    fn make_room(&mut self, len: usize, room: &Room) -> io::Result<()> {
        if self.is_large() || room.holds(len as u64) {
            return Ok(());
        }
        let mut large = room.file()?;
        let bytes = self.share()?;
        large.write(0, &bytes, room)?;
        *self = large;
        Ok(())
    }

    fn own(&mut self) -> &mut Vec<u8> {
        if let Self::Shared(bytes) = self {
            let taken = std::mem::take(bytes);
            // Without a copy if they are not shared.
            *self = Self::Own(Vec::from(taken));
        }
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(_) | Self::File(..) => unreachable!("it is in memory, and our own"),
        }
    }
}

/// Allocates this many bytes of memory.
///
/// # Errors
/// [`io::ErrorKind::OutOfMemory`], where a plain vector would end the process.
pub(super) fn zeros(len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(len)
        .map_err(|_| io::ErrorKind::OutOfMemory)?;
    bytes.resize(len, 0);
    Ok(bytes)
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

/// What could not be written for lack of room. Until it is written after all, or cut off, the bytes are only
/// a part of a value.
#[derive(Debug, Default)]
pub(super) struct Missing(Option<Range<u64>>);

impl Missing {
    pub(super) fn is_something(&self) -> bool {
        self.0.is_some()
    }

    /// These bytes could not be written.
    pub(super) fn lost(&mut self, bytes: Range<u64>) {
        self.0 = Some(match self.0.take() {
            Some(others) => others.start.min(bytes.start)..others.end.max(bytes.end),
            None => bytes,
        });
    }

    /// These bytes were written.
    pub(super) fn written(&mut self, bytes: Range<u64>) {
        if let Some(missing) = &mut self.0
            && bytes.start <= missing.start
        {
            missing.start = missing.start.max(bytes.end);
        }
        self.0.take_if(|missing| missing.is_empty());
    }

    /// The value ends here now.
    pub(super) fn ends_at(&mut self, len: u64) {
        self.0.take_if(|missing| len <= missing.start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_shared_for_a_save_is_not_changed_by_later_writes() {
        let room = Room::new(None, 100);
        let mut content = Content::Shared(Bytes::from_static(b"abc"));
        content.write(1, b"X", &room).unwrap();
        let sent = content.share().unwrap();
        content.write(0, b"YY", &room).unwrap();
        assert_eq!(&sent[..], b"aXc");
        assert_eq!(&content.read(0, 9).unwrap()[..], b"YYc");
    }

    #[test]
    fn a_large_gap_takes_no_memory_and_no_disk() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let room = Room::new(Some(dir.path().to_owned()), 100);
        let mut content = Content::Shared(Bytes::from_static(b"abc"));
        content.set_len(4 << 30, &room).unwrap();
        let Content::File(file, len) = &content else {
            panic!("it is in memory")
        };
        assert_eq!(*len, 4 << 30);
        assert!(file.metadata().unwrap().blocks() < 100);
        assert_eq!(&content.read(1, 4).unwrap()[..], b"bc\0\0");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    proptest! {
        #[test]
        fn content_is_what_a_plain_vector_would_be(
            memory in prop_oneof![Just(0_usize), Just(20), Just(1000)],
            ops in proptest::collection::vec((0..3_u8, 0..64_usize, proptest::collection::vec(any::<u8>(), 0..16)), 0..40)
        ) {
            let dir = tempfile::tempdir().unwrap();
            let room = Room::new(Some(dir.path().to_owned()), memory);
            let mut content = Content::Shared(Bytes::new());
            let mut reference: Vec<u8> = Vec::new();
            for (op, at, data) in ops {
                match op {
                    0 => {
                        content.write(at, &data, &room).unwrap();
                        if reference.len() < at + data.len() {
                            reference.resize(at + data.len(), 0);
                        }
                        reference[at..at + data.len()].copy_from_slice(&data);
                    }
                    1 => {
                        content.set_len(at, &room).unwrap();
                        reference.resize(at, 0);
                    }
                    _ => prop_assert_eq!(&content.share().unwrap()[..], &reference[..]),
                }
                prop_assert_eq!(content.len(), reference.len());
                prop_assert_eq!(&content.read(3, 20).unwrap()[..], reference.get(3..).map_or(&[][..], |rest| &rest[..rest.len().min(20)]));
            }
        }
    }

    #[test]
    fn what_had_no_room_is_missing_until_it_is_written_or_cut_off() {
        let mut missing = Missing::default();
        missing.written(0..10);
        assert!(!missing.is_something());
        missing.lost(10..20);
        for elsewhere in [0..10, 12..30] {
            missing.written(elsewhere);
            assert!(missing.is_something());
        }
        missing.written(5..15);
        assert!(missing.is_something());
        missing.written(15..20);
        assert!(!missing.is_something());
        missing.lost(10..20);
        missing.lost(5..7);
        missing.ends_at(6);
        assert!(missing.is_something());
        missing.ends_at(5);
        assert!(!missing.is_something());
        missing.lost(0..u64::MAX);
        missing.written(0..1000);
        missing.ends_at(0);
        assert!(!missing.is_something());
    }
}
