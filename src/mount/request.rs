//! What a request says, in our words: who asks, and for what.
//!
//! Pure decoding; it answers nothing. Its one reader is `fs.rs`.

use fuser::{INodeNo, OpenAccMode, OpenFlags, Request};

use super::answer::Op;
use super::process::caller;
use crate::model::Origin;
use crate::vfs::{Access, Creation, Opening, OverExisting};

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

/// How a file is created: whether it may exist, and whether it looks like mkstemp(3), which asks
/// for O_EXCL and mode 600.
pub(super) fn creation(flags: i32, mode: u32) -> Creation {
    let exclusive = flags & libc::O_EXCL != 0;
    Creation {
        over: match exclusive {
            true => OverExisting::Refuse,
            false => OverExisting::Replace,
        },
        origin: match exclusive && mode & 0o777 == 0o600 {
            true => Origin::Temporary,
            false => Origin::Other,
        },
    }
}
