//! What a request says, in our words: who asks, and for what.
//!
//! Pure decoding; it answers nothing. Its one reader is `fs.rs`.

use std::ffi::OsStr;

use fuser::{INodeNo, OpenAccMode, OpenFlags, RenameFlags, Request, WriteFlags};

use super::answer::Bridge;
use super::op::Op;
use super::process::caller;
use crate::model::{Ino, NodeId, Origin};
use crate::vfs::{Access, At, Context, Creation, Durable, OverExisting, SetMode};

/// The filesystem as the kernel sees it.
pub(super) struct Fs(pub(super) Bridge);

impl Fs {
    /// What the kernel calls by this number.
    pub(super) fn ino(&self, id: INodeNo) -> Ino {
        self.0.vfs.ino_of(NodeId(id.0))
    }

    /// An operation on an inode.
    pub(super) fn op(&self, name: &'static str, ino: INodeNo, request: &Request) -> Op {
        let subject = self.0.vfs.subject(self.ino(ino), None);
        Op::new(name, ino.0, request.pid(), subject)
    }

    /// An operation on a name in a directory.
    pub(super) fn op_on(
        &self,
        name: &'static str,
        parent: INodeNo,
        child: &OsStr,
        request: &Request,
    ) -> Op {
        let subject = self.0.vfs.subject(self.ino(parent), Some(child));
        Op::new(name, parent.0, request.pid(), subject)
    }

    /// An operation that may move the whole value of a file.
    pub(super) fn heavy(&self, op: Op) -> Op {
        let weight = self.0.vfs.weight(self.ino(INodeNo(op.ino)));
        op.weighing(weight)
    }
}

/// The context of a request, with the process that waits for its answer.
pub(super) fn context(request: &Request) -> Context {
    Context::new(caller(request.pid()), request.pid())
}

/// The context of a request that seldom depends on the process, which costs a look into `/proc`.
pub(super) fn thread_of(request: &Request) -> Context {
    Context::on(request.pid())
}

pub(super) fn access(flags: i32) -> Access {
    let mode = OpenFlags(flags).acc_mode();
    Access {
        read: mode != OpenAccMode::O_WRONLY,
        write: mode != OpenAccMode::O_RDONLY,
        truncate: flags & libc::O_TRUNC != 0,
        append: flags & libc::O_APPEND != 0,
        durable: match flags & libc::O_DSYNC != 0 {
            true => Durable::AtOnce,
            false => Durable::AtSave,
        },
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

/// What a rename does when the new name is taken. `None` for flags that are not known.
pub(super) fn over(flags: RenameFlags) -> Option<OverExisting> {
    match flags {
        flags if flags.is_empty() => Some(OverExisting::Replace),
        RenameFlags::RENAME_NOREPLACE => Some(OverExisting::Refuse),
        _ => None,
    }
}

/// How an attribute is set.
pub(super) fn set_mode(flags: i32) -> SetMode {
    match flags {
        libc::XATTR_CREATE => SetMode::Create,
        libc::XATTR_REPLACE => SetMode::Replace,
        _ => SetMode::Any,
    }
}

/// How a file is created: whether it may exist, and whether it looks like mkstemp(3), which asks for
/// O_RDWR, O_EXCL and mode 600. A copy of a secret (`cp`, `tar`, `install`) is for its owner alone and
/// exclusive too, but written only.
pub(super) fn creation(flags: i32, mode: u32) -> Creation {
    let exclusive = flags & libc::O_EXCL != 0;
    Creation {
        over: match exclusive {
            true => OverExisting::Refuse,
            false => OverExisting::Replace,
        },
        origin: match exclusive && access(flags).read && mode & 0o777 == 0o600 {
            true => Origin::Temporary,
            false => Origin::Other,
        },
    }
}
