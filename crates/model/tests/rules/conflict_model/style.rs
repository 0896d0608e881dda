//! How programs use a file.
//!
//! A style is a list of operations that a program does, whatever happens; it knows no state. It is
//! carried out in `process.rs`.

use etagfs_model::SaveReason;

/// How a program uses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Style {
    /// `open(O_RDWR)`, write, fsync, write, close.
    InPlace,
    /// `open(O_WRONLY)` without truncation, write, close.
    WriteOnly,
    /// `open(O_WRONLY|O_CREAT|O_TRUNC)` as a shell does: a copy of the descriptor is closed before
    /// the first write.
    Truncate,
    /// `: > f`.
    Empty,
    /// `open(O_CREAT|O_EXCL)`, write, close.
    CreateNew,
    /// `open(O_WRONLY|O_CREAT|O_APPEND)`, write, fsync, write, close.
    Append,
    /// `unlink`.
    Unlink,
    /// `rename` of a temporary file that this process created.
    RenameOver {
        /// Who created the temporary file.
        creator: usize,
    },
}

#[derive(Clone, Copy)]
pub(super) enum Op {
    Edit,
    Append,
    Save(SaveReason),
    Delete,
}

impl Style {
    pub(super) fn creator(self) -> Option<usize> {
        match self {
            Self::RenameOver { creator } => Some(creator),
            _ => None,
        }
    }

    pub(super) fn ops(self) -> &'static [Op] {
        use Op::{Append, Delete, Edit, Save};
        use SaveReason::{Close, Flush, Fsync, Release};
        match self {
            Self::InPlace => &[Edit, Save(Fsync), Edit, Save(Flush), Save(Release)],
            Self::Append => &[
                Save(Flush),
                Append,
                Save(Fsync),
                Append,
                Save(Flush),
                Save(Release),
            ],
            Self::WriteOnly | Self::CreateNew => &[Edit, Save(Flush), Save(Release)],
            Self::Truncate => &[Save(Flush), Edit, Save(Flush), Save(Release)],
            Self::Empty => &[Save(Flush), Save(Close), Save(Release)],
            Self::Unlink => &[Delete],
            Self::RenameOver { .. } => &[Edit, Save(Fsync)],
        }
    }
}
