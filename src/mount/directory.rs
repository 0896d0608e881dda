//! Answers to the two ways of reading a directory, from where the last answer ended.
//!
//! An open directory holds its names ([`Vfs::open_dir`]), so these are answered on the spot; it
//! knows nothing of where they come from. Its one reader is `fs.rs`.

use std::time::Duration;

use fuser::{Errno, FileAttr, FileType, Generation, INodeNo};

use super::{Presentation, errno};
use crate::model::Ino;
use crate::vfs::{Fh, FileKind, Vfs};

/// The entries that every directory begins with, from an offset on, each with the offset behind it and
/// its number.
fn dots(vfs: &Vfs, ino: Ino, offset: u64) -> impl Iterator<Item = (u64, &'static str, u64)> {
    let [own, above] = vfs.numbers_of_dir(ino);
    [(1, ".", own), (2, "..", above)]
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
    ino: Ino,
    fh: Fh,
    offset: u64,
    mut reply: fuser::ReplyDirectory,
) -> Result<(), Errno> {
    let filled = vfs.read_dir(fh, |items, _| {
        for (at, name, number) in dots(vfs, ino, offset) {
            if reply.add(INodeNo(number), at, FileType::Directory, name) {
                return;
            }
        }
        for (at, item) in from(items, offset) {
            let number = INodeNo(vfs.number(ino, item));
            if reply.add(number, at, file_type(item.kind()), &item.name) {
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
    look: &Presentation,
    ino: Ino,
    fh: Fh,
    offset: u64,
    mut reply: fuser::ReplyDirectoryPlus,
) -> Result<(), Errno> {
    let filled = vfs.read_dir(fh, |items, age| {
        let top = vfs.dir_attr(ino);
        let mut add = |number, at, name: &str, ttl: Duration, seen: FileAttr| {
            reply.add(INodeNo(number), at, name, &ttl, &seen, Generation(0))
        };
        for (at, name, number) in dots(vfs, ino, offset) {
            // The kernel does not count these two as looked up.
            if add(number, at, name, Duration::ZERO, look.at(&top, number)) {
                return;
            }
        }
        for (at, item) in from(items, offset) {
            let Some(told) = vfs.tell(ino, item, age) else {
                continue;
            };
            let (known, ttl) = look.named(&told);
            let number = told.numbers.shown;
            if add(number, at, item.name.as_str(), ttl.min(look.ttl), known) {
                vfs.forget(told.numbers.node, 1);
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
