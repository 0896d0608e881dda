//! Answers to the two ways of reading a directory, from where the last answer ended.
//!
//! An open directory holds its names ([`Vfs::open_dir`]), so these are answered on the spot; it
//! knows nothing of where they come from. Its one reader is `fs.rs`.

use std::time::Duration;

use fuser::{Errno, FileType, Generation, INodeNo};

use super::{Look, errno};
use crate::vfs::{Fh, FileKind, Vfs};

/// The entries that every directory begins with, from an offset on, each with the offset behind it.
fn dots(offset: u64) -> impl Iterator<Item = (u64, &'static str, FileType)> {
    [
        (1, ".", FileType::Directory),
        (2, "..", FileType::Directory),
    ]
    .into_iter()
    .filter(move |(at, _, _)| *at > offset)
}

/// The items of a directory from an offset on, each with the offset behind it.
fn from<T>(items: &[T], offset: u64) -> impl Iterator<Item = (u64, &T)> {
    let skip = usize::try_from(offset.saturating_sub(2)).unwrap_or(usize::MAX);
    (3_u64..).zip(items).skip(skip)
}

fn file_type(kind: FileKind) -> FileType {
    match kind {
        FileKind::Dir => FileType::Directory,
        FileKind::File | FileKind::Control => FileType::RegularFile,
        FileKind::Symlink => FileType::Symlink,
    }
}

/// Answers with names and kinds; what it answered.
pub(super) fn names(
    vfs: &Vfs,
    ino: INodeNo,
    fh: Fh,
    offset: u64,
    mut reply: fuser::ReplyDirectory,
) -> Result<(), Errno> {
    let filled = vfs.read_dir(fh, |items, _| {
        for (at, name, kind) in dots(offset) {
            if reply.add(ino, at, kind, name) {
                return;
            }
        }
        for (at, item) in from(items, offset) {
            let known = vfs.known_ino(ino.into(), &item.name);
            if reply.add(known.into(), at, file_type(item.kind()), &item.name) {
                return;
            }
        }
    });
    match filled {
        Ok(()) => {
            reply.ok();
            Ok(())
        }
        Err(_) => {
            reply.error(errno::UNKNOWN_HANDLE);
            Err(errno::UNKNOWN_HANDLE)
        }
    }
}

/// Answers with names and attributes; the kernel is told of each. What it answered.
pub(super) fn names_and_attributes(
    vfs: &Vfs,
    look: &Look,
    ino: INodeNo,
    fh: Fh,
    offset: u64,
    mut reply: fuser::ReplyDirectoryPlus,
) -> Result<(), Errno> {
    let filled = vfs.read_dir(fh, |items, read_at| {
        let top = look.at(&vfs.dir_attr(ino.into()));
        for (at, name, _) in dots(offset) {
            // The kernel does not count these two as looked up.
            if reply.add(ino, at, name, &Duration::ZERO, &top, Generation(0)) {
                return;
            }
        }
        for (at, item) in from(items, offset) {
            let Some(attr) = vfs.tell(ino.into(), item, read_at) else {
                continue;
            };
            let ttl = attr.ttl.min(look.ttl);
            let seen = look.at(&attr);
            if reply.add(attr.ino.into(), at, &item.name, &ttl, &seen, Generation(0)) {
                vfs.forget(attr.ino, 1);
                return;
            }
        }
    });
    match filled {
        Ok(()) => {
            reply.ok();
            Ok(())
        }
        Err(_) => {
            reply.error(errno::UNKNOWN_HANDLE);
            Err(errno::UNKNOWN_HANDLE)
        }
    }
}
