//! Replies: what the filesystem answers, in the kernel's words.
//!
//! [`Reply`] lets `answer.rs` treat all of fuser's reply types alike. An answer that comes too late
//! is taken back ([`Undo`]): the kernel never heard of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fuser::{Errno, FileHandle, FopenFlags, Generation};

use super::Presentation;
use super::errno::NO_ROOM;
use crate::vfs::{Fh, FileKind, Told, Vfs};

/// How an open file is used by the kernel: every read and write comes to us, so that a handle
/// shows its own version and nothing else (R2).
const FILE_FLAGS: FopenFlags = FopenFlags::FOPEN_DIRECT_IO;

/// A fuser reply that takes a `T`.
pub(super) trait Reply<T>: Send + 'static {
    /// Answers with a result.
    fn send(self, value: T, look: &Presentation);
    /// Answers with an error.
    fn fail(self, errno: Errno);
}

/// What was done for an answer: what is told of it, and how it is taken back when nobody waits for it
/// any more.
pub(super) trait Undo: Send + 'static {
    /// Undoes it, without a request.
    fn undo(self, vfs: &Arc<Vfs>);

    /// How many bytes it moves.
    fn bytes(&self) -> u64 {
        0
    }

    /// The handle that it opened.
    fn opened(&self) -> Option<Fh> {
        None
    }
}

/// A name that the kernel is told of.
pub(super) struct LookedUp(pub(super) Told);
/// A file that was opened.
pub(super) struct OpenedFile(pub(super) Fh);
/// A directory that was opened.
pub(super) struct OpenedDir(pub(super) Fh);
/// A file that was created.
pub(super) struct Created(pub(super) Told, pub(super) Fh);
/// How many bytes were written.
pub(super) struct Written(pub(super) u32);
/// An extended attribute, or the list of them, and how many bytes the caller has room for.
pub(super) struct Xattr(pub(super) Bytes, pub(super) u32);

impl Undo for LookedUp {
    fn undo(self, vfs: &Arc<Vfs>) {
        vfs.forget(self.0.numbers.node, 1);
    }
}

impl Undo for OpenedFile {
    fn undo(self, vfs: &Arc<Vfs>) {
        vfs.close_unheard(self.0);
    }

    fn opened(&self) -> Option<Fh> {
        Some(self.0)
    }
}

impl Undo for OpenedDir {
    fn undo(self, vfs: &Arc<Vfs>) {
        vfs.close_unheard(self.0);
    }

    fn opened(&self) -> Option<Fh> {
        Some(self.0)
    }
}

impl Undo for Created {
    fn undo(self, vfs: &Arc<Vfs>) {
        vfs.abandon(self.1);
        vfs.forget(self.0.numbers.node, 1);
    }

    fn opened(&self) -> Option<Fh> {
        Some(self.1)
    }
}

/// Nothing to take back.
macro_rules! nothing_to_undo {
    ($($name:ty),*) => {
        $(impl Undo for $name {
            fn undo(self, _vfs: &Arc<Vfs>) {}
        })*
    };
}
nothing_to_undo!((), Told);

/// Nothing to take back of bytes that were moved.
macro_rules! bytes_moved {
    ($($name:ty, |$it:ident| $bytes:expr;)*) => {
        $(impl Undo for $name {
            fn undo(self, _vfs: &Arc<Vfs>) {}

            fn bytes(&self) -> u64 {
                let $it = self;
                $bytes
            }
        })*
    };
}
bytes_moved! {
    Bytes, |it| it.len() as u64;
    Written, |it| it.0.into();
    Xattr, |it| it.0.len() as u64;
}

impl Reply<LookedUp> for fuser::ReplyEntry {
    fn send(self, LookedUp(told): LookedUp, look: &Presentation) {
        // A file's name is looked up anew by every system call, so that an open knows whether its
        // own call has just asked the store (R1); a directory's name is believed for a while.
        let entry_ttl = match told.attr.kind {
            FileKind::Dir => look.ttl,
            FileKind::File | FileKind::Symlink | FileKind::Control => Duration::ZERO,
        };
        let (known, attr_ttl) = look.named(&told);
        self.entry_with_ttls(&attr_ttl, &entry_ttl, &known, Generation(0));
    }

    fn fail(self, errno: Errno) {
        self.error(errno);
    }
}

impl Reply<Told> for fuser::ReplyAttr {
    fn send(self, Told { attr, numbers }: Told, look: &Presentation) {
        self.attr(&attr.ttl, &look.at(&attr, numbers.shown));
    }

    fn fail(self, errno: Errno) {
        self.error(errno);
    }
}

impl Reply<OpenedFile> for fuser::ReplyOpen {
    fn send(self, OpenedFile(fh): OpenedFile, _look: &Presentation) {
        self.opened(FileHandle(fh.0), FILE_FLAGS);
    }

    fn fail(self, errno: Errno) {
        self.error(errno);
    }
}

impl Reply<OpenedDir> for fuser::ReplyOpen {
    fn send(self, OpenedDir(fh): OpenedDir, _look: &Presentation) {
        self.opened(FileHandle(fh.0), FopenFlags::empty());
    }

    fn fail(self, errno: Errno) {
        self.error(errno);
    }
}

impl Reply<Created> for fuser::ReplyCreate {
    fn send(self, Created(told, fh): Created, look: &Presentation) {
        let (known, _) = look.named(&told);
        self.created(
            &Duration::ZERO,
            &known,
            Generation(0),
            FileHandle(fh.0),
            FILE_FLAGS,
        );
    }

    fn fail(self, errno: Errno) {
        self.error(errno);
    }
}

impl Reply<Bytes> for fuser::ReplyData {
    fn send(self, bytes: Bytes, _look: &Presentation) {
        self.data(&bytes);
    }

    fn fail(self, errno: Errno) {
        self.error(errno);
    }
}

impl Reply<Written> for fuser::ReplyWrite {
    fn send(self, Written(len): Written, _look: &Presentation) {
        self.written(len);
    }

    fn fail(self, errno: Errno) {
        self.error(errno);
    }
}

impl Reply<()> for fuser::ReplyEmpty {
    fn send(self, (): (), _look: &Presentation) {
        self.ok();
    }

    fn fail(self, errno: Errno) {
        self.error(errno);
    }
}

impl Reply<Xattr> for fuser::ReplyXattr {
    fn send(self, Xattr(value, room): Xattr, _look: &Presentation) {
        match u32::try_from(value.len()) {
            Ok(len) if room == 0 => self.size(len),
            Ok(len) if len <= room => self.data(&value),
            _ => self.error(NO_ROOM),
        }
    }

    fn fail(self, errno: Errno) {
        self.error(errno);
    }
}
