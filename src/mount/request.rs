//! What a request says, in our words: who asks, for what, and from where in a directory.
//!
//! Pure decoding; it answers nothing. Its one reader is `fs.rs`.

use fuser::{FileType, INodeNo, OpenAccMode, OpenFlags, Request, WriteFlags};

use super::answer::Op;
use super::fs::Fs;
use super::process::caller;
use crate::vfs::{Access, At, Durable, FileKind, Opening, OverExisting};

pub(super) fn op(name: &'static str, ino: INodeNo, request: &Request) -> Op {
    Op {
        name,
        ino: ino.0,
        thread: request.pid(),
        bytes: 0,
        can_be_interrupted: true,
    }
}

/// An operation that changes the store: see [`Op::can_be_interrupted`].
pub(super) fn save_op(name: &'static str, ino: INodeNo, request: &Request) -> Op {
    Op {
        can_be_interrupted: false,
        ..op(name, ino, request)
    }
}

impl Fs {
    /// An operation that may move the whole value of a file.
    pub(super) fn heavy(&self, ino: INodeNo, op: Op) -> Op {
        Op {
            bytes: self.0.vfs.weight(ino.into()),
            ..op
        }
    }
}

pub(super) fn opening(request: &Request) -> Opening {
    Opening {
        who: caller(request.pid()),
        thread: request.pid(),
    }
}

pub(super) fn access(flags: i32) -> Access {
    let mode = OpenFlags(flags).acc_mode();
    Access {
        read: mode != OpenAccMode::O_WRONLY,
        write: mode != OpenAccMode::O_RDONLY,
        truncate: flags & libc::O_TRUNC != 0,
        append: flags & libc::O_APPEND != 0,
    }
}

/// Where the bytes of a write go. The kernel names the end of a file as it remembers it, and others
/// append too: what was opened to append says so in its flags. Pages of a memory map are written
/// where they were mapped from.
pub(super) fn at(offset: u64, write: WriteFlags, flags: OpenFlags) -> At {
    let is_mapped = write.contains(WriteFlags::FUSE_WRITE_CACHE);
    match flags.0 & libc::O_APPEND != 0 && !is_mapped {
        true => At::End,
        false => At::Offset(offset),
    }
}

/// When the bytes of a write are to be saved. The kernel passes on what the descriptor was opened
/// with, and what pwritev2(2) asks for.
pub(super) fn durable(always: bool, write: WriteFlags, flags: OpenFlags) -> Durable {
    let is_mapped = write.contains(WriteFlags::FUSE_WRITE_CACHE);
    match (always || flags.0 & libc::O_DSYNC != 0) && !is_mapped {
        true => Durable::AtOnce,
        false => Durable::AtSave,
    }
}

/// Whether a creation may meet a file that exists.
pub(super) fn over_existing(flags: i32) -> OverExisting {
    match flags & libc::O_EXCL {
        0 => OverExisting::Replace,
        _ => OverExisting::Refuse,
    }
}

/// The entries that every directory begins with, from an offset on, each with the offset behind it.
pub(super) fn dots(offset: u64) -> impl Iterator<Item = (u64, &'static str, FileType)> {
    [
        (1, ".", FileType::Directory),
        (2, "..", FileType::Directory),
    ]
    .into_iter()
    .filter(move |(at, _, _)| *at > offset)
}

/// The items of a directory from an offset on, each with the offset behind it.
pub(super) fn from<T>(items: &[T], offset: u64) -> impl Iterator<Item = (u64, &T)> {
    let skip = usize::try_from(offset.saturating_sub(2)).unwrap_or(usize::MAX);
    (3_u64..).zip(items).skip(skip)
}

pub(super) fn file_type(kind: FileKind) -> FileType {
    match kind {
        FileKind::Dir => FileType::Directory,
        FileKind::File | FileKind::Control => FileType::RegularFile,
    }
}
